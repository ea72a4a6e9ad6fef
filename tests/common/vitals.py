"""What a long-running process uses: memory, descriptors, threads and tasks, and whether that grows."""

from dataclasses import dataclass

from tests.common.processes import Program

MEMORY_GROWTH = 0.25
"""So much more than at the first look, of that, and `MEMORY_BYTES`, a process may have at the last one."""
MEMORY_BYTES = 16 << 20
DESCRIPTORS = 12
THREADS = 6
TASKS = 12


@dataclass(frozen=True)
class Vitals:
    """What it uses at one time."""

    rss_bytes: int
    descriptors: int
    threads: int
    tasks: int

    @classmethod
    def of(cls, program: Program) -> "Vitals":
        """Now."""
        return cls(program.rss_bytes(), program.descriptors(), program.threads(), program.tasks())

    def __str__(self) -> str:
        return f"{self.rss_bytes / 2**20:.1f} MiB, {self.descriptors} fds, {self.threads} threads, {self.tasks} tasks"


class Lifetimes:
    """What each process used at each look, from its first one on."""

    def __init__(self) -> None:
        self.looks: dict[tuple[str, int], list[Vitals]] = {}

    def look(self, name: str, program: Program) -> None:
        """At one of them, which rests."""
        self.looks.setdefault((name, program.pid), []).append(Vitals.of(program))

    def longest(self) -> dict[str, list[Vitals]]:
        """The looks at that process of each name that was looked at most often."""
        longest: dict[str, list[Vitals]] = {}
        for (name, _), looks in self.looks.items():
            if len(looks) > len(longest.get(name, [])):
                longest[name] = looks
        return longest

    def most(self, name: str) -> Vitals:
        """The most of each, over all processes of that name."""
        looks = [look for (its, _), each in self.looks.items() if its == name for look in each]
        return Vitals(
            max(look.rss_bytes for look in looks),
            max(look.descriptors for look in looks),
            max(look.threads for look in looks),
            max(look.tasks for look in looks),
        )


def growth(looks: list[Vitals]) -> list[str]:
    """What grew beyond its bound from the first to the last look at one process."""
    first, last = looks[0], looks[-1]
    bounds = {
        "resident bytes": (first.rss_bytes, last.rss_bytes, int(first.rss_bytes * MEMORY_GROWTH) + MEMORY_BYTES),
        "descriptors": (first.descriptors, last.descriptors, DESCRIPTORS),
        "threads": (first.threads, last.threads, THREADS),
        "tasks": (first.tasks, last.tasks, TASKS),
    }
    return [
        f"{what} grew from {then:,} to {now:,}" for what, (then, now, bound) in bounds.items() if now > then + bound
    ]
