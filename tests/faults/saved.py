"""What people wrote and synced, and where it must be found. Owns the ledger of the power cuts' load, and its checks.

Every file says itself what it has to contain, so that anybody who comes upon it can tell whether it is whole.
"""

import hashlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random  # noqa: TID251 - drawn from a seed that the caller has

from crypto.digest import file_digest
from peer.home import Home
from peer.store import workspaces
from peer.store.database import open_database
from tests.common.fleet import Peer


def is_whole(data: bytes) -> bool:
    """Whether a file of the load has all that it was written with, and nothing else."""
    head, _, body = data.partition(b"\n")
    return head.rpartition(b" ")[2] == hashlib.sha256(body).hexdigest().encode()


class Ledger:
    """A mixed load. What `synced` was told of is on the disk when a method returns, and in the ledger."""

    def __init__(self, draw: Random) -> None:
        self._draw = draw
        self._count = 0
        self.saved: list[bytes] = []
        self.removed: list[bytes] = []

    def edit(self, peer: Peer, cycle: int, synced: Callable[..., None]) -> None:
        """New files, edits of shared ones, one of several blocks, renames, deletions, directories."""
        draw, top = self._draw, peer.folder / peer.name
        mine = top / f"{cycle}"
        if not top.is_dir():
            top.mkdir()
        mine.mkdir()
        synced(peer.folder, top, mine)
        for number in range(draw.randrange(1, 12)):
            self._save(peer, mine / f"{number}", draw.choice((10, 3000, 200_000)), synced)
        self._save(peer, top / "large", 1_500_000, synced)
        for number in draw.sample(range(6), 2):
            self._save(peer, peer.folder / f"shared {number}", 100, synced)
        previous = top / f"{cycle - 1}"
        if previous.is_dir():
            moved = top / f"{cycle - 1} renamed"
            previous.rename(moved)
            synced(top)
            first = min(moved.iterdir())
            self.removed.append(first.read_bytes())
            first.unlink()
            synced(moved)

    def _save(self, peer: Peer, path: Path, size: int, synced: Callable[..., None]) -> None:
        """As a careful program saves: beside the folder, synced, renamed into place, the directory synced."""
        self._count += 1
        body = self._draw.randbytes(size)
        data = b"%s %d %s\n%s" % (path.name.encode(), self._count, hashlib.sha256(body).hexdigest().encode(), body)
        beside = peer.place / "being saved"
        beside.write_bytes(data)
        beside.replace(path)
        synced(path, *path.parents[: len(path.relative_to(peer.folder).parts)])
        self.saved.append(data)


class Watcher:
    """Reads the folders over and over: whatever can be seen in them is whole. Pauses while somebody has `lock`."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._stop = threading.Event()
        self._known: dict[Path, tuple[int, int, int]] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.lock = threading.Lock()
        self.partial: list[str] = []
        self.looks = 0

    def __enter__(self) -> "Watcher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            for folder in self._folders:
                with self.lock:
                    self._look(folder)

    def _look(self, folder: Path) -> None:
        for path in files(folder):
            try:
                with path.open("rb") as file:
                    status = os.fstat(file.fileno())
                    state = (status.st_ino, status.st_size, status.st_mtime_ns)
                    if self._known.get(path) == state:
                        continue
                    data = file.read()
            except FileNotFoundError:
                continue
            self._known[path] = state
            self.looks += 1
            if not is_whole(data):
                self.partial.append(f"{path}: {len(data)} bytes, beginning {data[:40]!r}")


def files(folder: Path) -> Iterator[Path]:
    """Every file at a user path."""
    for at, directories, names in os.walk(folder):
        if ".shoal" in directories and Path(at) == folder:
            directories.remove(".shoal")
        yield from (Path(at, name) for name in names)


def lost(peer: Peer, saved: Sequence[bytes]) -> list[str]:
    """Which of these contents are no version in the journal as this stopped device knows it, and not rescued there."""
    with open_database(Home.at(peer.home).database) as database:
        (record,) = workspaces.records(database)
        bodies = database.all("SELECT body FROM versions WHERE body IS NOT NULL")
        held = b"".join(bytes(body) for (body,) in bodies)
        held += b"".join(bytes(one) for (one,) in database.all("SELECT digest FROM remote WHERE digest IS NOT NULL"))
    rescued = {path.read_bytes() for path in (peer.folder / ".shoal" / "rescue").rglob("*") if path.is_file()}
    return [
        data.partition(b"\n")[0].decode()
        for data in saved
        if file_digest(record.keyring.fixed, data) not in held and data not in rescued
    ]


def doubled(folder: Path) -> list[str]:
    """Contents at more than one path."""
    counts = Counter(path.read_bytes() for path in files(folder))
    return [data.partition(b"\n")[0].decode("utf-8", "replace") for data, count in counts.items() if count > 1]


def resurrected(folder: Path, removed: Sequence[bytes]) -> list[str]:
    """Contents that were removed and are there again."""
    there = {path.read_bytes() for path in files(folder)}
    return [data.partition(b"\n")[0].decode() for data in removed if data in there]
