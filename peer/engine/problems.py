"""What a person should look at. Owns the problems of one workspace, by path and code; they are found anew, never kept
over a restart."""

from collections.abc import Iterable
from dataclasses import dataclass

from peer.fingerprint import Path
from peer.ports import Clock
from peer.problem_codes import MEANINGS


@dataclass(frozen=True, slots=True)
class Trouble:
    """A problem: `path` is "" for the whole workspace, `code` one of those the commands document."""

    path: str
    code: str
    message: str
    since_ns: int


class Problems:
    """The current ones."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._all: dict[tuple[str, str], Trouble] = {}

    def put(self, path: str, code: str, message: str) -> None:
        """There is this problem; `since` stays that of its first mention."""
        assert code in MEANINGS, f"{code} is no code that people are told of"
        known = self._all.get((path, code))
        since_ns = known.since_ns if known else self._clock.wall_ns()
        self._all[path, code] = Trouble(path, code, message, since_ns)

    def clear(self, path: str, *codes: str) -> None:
        """These problems of a path are over."""
        for code in codes:
            self._all.pop((path, code), None)

    def clear_code(self, code: str, keep: Iterable[str] = ()) -> None:
        """Problems of this code are over everywhere but at the paths named."""
        kept = set(keep)
        for path, its in list(self._all):
            if its == code and path not in kept:
                del self._all[path, its]

    def has(self, *codes: str) -> bool:
        """Whether the whole workspace has one of these."""
        return any(("", code) in self._all for code in codes)

    def get(self, path: str, code: str) -> Trouble | None:
        """One of them."""
        return self._all.get((path, code))

    def at(self, path: str) -> list[Trouble]:
        """Those of one path."""
        return [trouble for (where, _), trouble in self._all.items() if where == path]

    def all(self) -> list[Trouble]:
        """Every one, by path."""
        return [self._all[key] for key in sorted(self._all)]


def path_text(path: Path) -> str:
    """A path as a person is told of it; what is not UTF-8 in it is replaced."""
    return "/".join(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
