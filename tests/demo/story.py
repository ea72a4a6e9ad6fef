"""What the demonstration does, step by step, and what each step cost. Owns the edits; shows nothing itself."""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.demo.stage import DEADLINE_S, Device, Failed, Stage
from tests.demo.trees import differences

MIB = 2**20
BIG_BYTES = 32 * MIB
FULL_DIRECTORY = 200
_GLANCE_S = 0.01


@dataclass(frozen=True)
class Cost:
    """What one step took: seconds until the other folder had it, and block bytes on the wire, up and down."""

    title: str
    seconds: float
    sent: int
    received: int
    by_lan: int
    """How much of what was received came by the LAN."""
    note: str = ""


Tell = Callable[[str], None]
Paid = Callable[[Cost], None]


class Story:
    """The steps, in order. `tell` gets what happens in words, `paid` what each step cost."""

    def __init__(self, stage: Stage, tell: Tell, paid: Paid) -> None:
        self._stage = stage
        self._tell = tell
        self._paid = paid
        self._counters: dict[str, tuple[int, int, int]] = {}
        self.watching = False
        """Whether the devices' states are to be followed all the time, for a screen."""

    def steps(self) -> Iterator[Callable[[], None]]:
        """The steps to call one after the other. Each raises `Failed` where the folders do not end up equal."""
        yield self.set_up
        yield self.save_a_file
        yield self.save_a_big_file
        yield self.edit_it_in_the_middle
        yield self.rename_a_full_directory
        yield self.edit_on_both_sides_offline

    # --- the steps ---------------------------------------------------------------------------------------

    def set_up(self) -> None:
        """Coordinator, first device with a full folder, second device."""
        stage, (left, right) = self._stage, self._stage.devices
        began = time.monotonic()
        stage.serve()
        self._tell(f"coordinator: listening on {stage.url}")
        left.run("join", stage.invite("ana"), "--device", left.name)
        self._start(left)
        self._fill(left.folder)
        left.run("add", str(left.folder), "--name", "Shared")
        self._tell(f"{left.name}: joined, and made a workspace of {left.folder}")
        right.run("join", left.run("pair", "--json").split('"')[3], "--device", right.name)
        self._start(right)
        right.run("mount", "Shared", str(right.folder))
        self._tell(f"{right.name}: paired, and mounted it at {right.folder}")
        self._settle()
        counted = self._count()
        sent, received, by_lan = counted[left.name][0], *counted[right.name][1:]
        note = f"{FULL_DIRECTORY + 3} entries on a second device, starting from nothing"
        self._paid(Cost("set up", time.monotonic() - began, sent, received, by_lan, note))

    def save_a_file(self) -> None:
        """One small file."""
        left, right = self._stage.devices
        with self._costs("a file of 2 KiB", left, right, lambda: _has(right.folder / "note.txt", 2048)):
            _save(left.folder / "note.txt", b"x" * 2047 + b"\n")

    def save_a_big_file(self) -> None:
        """One big file of random bytes."""
        left, right = self._stage.devices
        title = f"a file of {BIG_BYTES // MIB} MiB"
        with self._costs(title, left, right, lambda: _has(right.folder / "film.bin", BIG_BYTES)):
            _save(left.folder / "film.bin", secrets.token_bytes(BIG_BYTES))

    def edit_it_in_the_middle(self) -> None:
        """A kilobyte put into the middle of it, on the other device: all that comes after moves."""
        left, right = self._stage.devices
        put_in = secrets.token_bytes(1024)
        size = BIG_BYTES + len(put_in)
        with self._costs("1 KiB put into its middle", right, left, lambda: _has(left.folder / "film.bin", size)):
            content = (right.folder / "film.bin").read_bytes()
            _save(right.folder / "film.bin", content[: len(content) // 2] + put_in + content[len(content) // 2 :])

    def rename_a_full_directory(self) -> None:
        """A directory with all that is in it."""
        left, right = self._stage.devices
        last = left.folder / "Pictures 2026" / f"{FULL_DIRECTORY - 1:03}.jpg"
        title = f"a directory of {FULL_DIRECTORY} files renamed"
        with self._costs(title, right, left, last.exists):
            (right.folder / "Pictures").rename(right.folder / "Pictures 2026")

    def edit_on_both_sides_offline(self) -> None:
        """The same file edited on both while neither hears of the other."""
        left, right = self._stage.devices
        for device in (left, right):
            device.stop()
        self._tell("both devices are offline; the same note is edited on each")
        _save(left.folder / "note.txt", b"written on the laptop\n")
        _save(right.folder / "note.txt", b"written on the desk\n")
        began = time.monotonic()
        self._start(right)
        right.wait()
        self._start(left)
        left.wait()
        self._settle()
        took = time.monotonic() - began
        copies = [each.name for each in left.folder.iterdir() if each.name.startswith("note") and each.suffix == ".txt"]
        texts = sorted((left.folder / each).read_bytes() for each in copies)
        if texts != [b"written on the desk\n", b"written on the laptop\n"]:
            raise Failed(f"both edits should be there, under two names: {copies}")
        copy = next(each for each in copies if each != "note.txt")
        counted = self._count().values()
        sent, received, by_lan = (sum(each[at] for each in counted) for at in range(3))
        title = "the same file edited on both, offline"
        self._paid(Cost(title, took, sent, received, by_lan, f"nothing lost: {copy!r} beside it"))

    # --- how they are measured ---------------------------------------------------------------------------

    @contextmanager
    def _costs(self, title: str, writer: Device, reader: Device, arrived: Callable[[], bool]) -> Iterator[None]:
        """Measures what the edit inside costs until it has arrived; then both folders must be equal."""
        before = self._counters
        self._tell(f"{writer.name}: {title}")
        yield
        began = time.monotonic()
        while not arrived():
            if time.monotonic() > began + DEADLINE_S:
                raise Failed(f"{title}: not on {reader.name} after {DEADLINE_S:.0f} s")
            time.sleep(_GLANCE_S)
        took = time.monotonic() - began
        self._settle()
        after = self._count()
        sent = after[writer.name][0] - before[writer.name][0]
        received, by_lan = (after[reader.name][at] - before[reader.name][at] for at in (1, 2))
        self._paid(Cost(title, took, sent, received, by_lan))

    def _settle(self) -> None:
        """Until both folders hold the same, by hash. Raises `Failed` where they do not come to it."""
        left, right = self._stage.devices
        ends = time.monotonic() + DEADLINE_S
        while differ := differences(left.folder, right.folder):
            if time.monotonic() > ends:
                raise Failed(f"the folders differ: {', '.join(differ[:5])}")
            time.sleep(10 * _GLANCE_S)

    def _count(self) -> dict[str, tuple[int, int, int]]:
        """What each device's daemon has sent and received so far; the next step is charged from here on."""
        with ThreadPoolExecutor(2) as both:
            moved = both.map(Device.moved, self._stage.devices)
            self._counters = dict(zip((each.name for each in self._stage.devices), moved, strict=True))
        return self._counters

    def _start(self, device: Device) -> None:
        device.start()
        if self.watching:
            device.watch()

    def _fill(self, folder: Path) -> None:
        pictures = folder / "Pictures"
        pictures.mkdir()
        for number in range(FULL_DIRECTORY):
            _save(pictures / f"{number:03}.jpg", secrets.token_bytes(8192))
        _save(folder / "run.sh", b"#!/bin/sh\necho hello\n", executable=True)
        (folder / "latest").symlink_to("Pictures/000.jpg")


def _save(path: Path, content: bytes, *, executable: bool = False) -> None:
    """As editors do it: a new file in the old one's place."""
    temporary = path.with_name(f".{path.name}.saving")
    temporary.write_bytes(content)
    if executable:
        temporary.chmod(0o755)
    os.replace(temporary, path)


def _has(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False
