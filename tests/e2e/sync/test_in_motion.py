"""Files that change while they are looked at, and the ways in which programs save."""

import ctypes
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from simulations.noise import noise
from tests.common.fleet import Peer, read_contents
from tests.e2e.sync.conftest import Duo

PIECE = 64 * 1024
PIECES = 16


class Looking:
    """Reads a file again and again, and keeps what it saw."""

    def __init__(self, path: Path, judge: Callable[[bytes], bool]) -> None:
        self.bad: list[bytes] = []
        """Which bytes there were in what should not have been seen."""
        self.seen = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, args=(path, judge))

    def __enter__(self) -> "Looking":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self, path: Path, judge: Callable[[bytes], bool]) -> None:
        while not self._ended.wait(0.005):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                continue
            self.seen += 1
            if not judge(data):
                self.bad.append(bytes(sorted(set(data))))


def test_a_log_that_grows_arrives_in_whole_lines(duo: Duo) -> None:
    path = duo.red.folder / "growing.log"
    lines = [b"line %d\n" % number for number in range(400)]
    whole = b"".join(lines)
    with Looking(
        duo.blue.folder / "growing.log", lambda data: whole.startswith(data) and data[-1:] in (b"", b"\n")
    ) as it:
        with path.open("wb", buffering=0) as file:
            for line in lines:
                file.write(line)
                it._ended.wait(0.002)
        duo.fleet.settle()
    assert it.bad == []
    assert (duo.blue.folder / "growing.log").read_bytes() == whole


def test_a_long_file_written_with_pauses_is_sent_once(duo: Duo) -> None:
    duo.fleet.settle()
    data = noise(12 << 20)
    before = duo.red.status().transfer.server_out
    pause = threading.Event()
    with (duo.red.folder / "film").open("wb", buffering=0) as file:
        for at in range(0, len(data), 1 << 20):
            file.write(data[at : at + (1 << 20)])
            pause.wait(0.35)
    duo.fleet.settle()
    assert (duo.blue.folder / "film").read_bytes() == data
    assert len(data) <= duo.red.status().transfer.server_out - before < 1.25 * len(data)


def test_a_file_rewritten_in_place_is_never_seen_half(duo: Duo) -> None:
    path = duo.red.folder / "rewritten"

    def is_whole(data: bytes) -> bool:
        return len(set(data)) == 1 and len(data) == PIECE * PIECES

    path.write_bytes(b"\0" * (PIECE * PIECES))
    duo.fleet.settle()
    rested: set[int] = set()
    with Looking(duo.blue.folder / "rewritten", is_whole) as it:
        for value in range(1, 40):
            with path.open("r+b", buffering=0) as file:
                for _ in range(PIECES):
                    began = time.monotonic()
                    file.write(bytes([value]) * PIECE)
                    if value % 3 == 0:
                        it._ended.wait(0.001)
                    if time.monotonic() - began > 0.1:
                        rested |= {value}  # a busy machine held us up: the file was at rest, half written
            if value % 8 == 0:
                duo.red.wait()
        duo.fleet.settle()
    assert [values for values in it.bad if not rested & set(values)] == []
    assert it.seen > 0
    assert is_whole((duo.blue.folder / "rewritten").read_bytes())


def save_over(path: Path, data: bytes) -> None:
    fresh = path.with_name(f".{path.name}.swp")
    fresh.write_bytes(data)
    os.replace(fresh, path)


def save_with_backup(path: Path, data: bytes) -> None:
    os.replace(path, path.with_name(path.name + "~"))
    path.write_bytes(data)


def save_in_place(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def save_by_exchange(path: Path, data: bytes) -> None:
    fresh = path.with_name("exchanged")
    fresh.write_bytes(data)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.renameat2(-100, os.fsencode(fresh), -100, os.fsencode(path), 2) == 0
    fresh.unlink()


def test_every_way_of_saving_is_an_edit_of_the_same_file(duo: Duo) -> None:
    at, there = duo.red.folder / "saved", duo.blue.folder / "saved"
    at.mkdir()
    ways = (save_over, save_with_backup, save_in_place, save_by_exchange)
    for way in ways:
        (at / f"{way.__name__}.txt").write_bytes(b"first")
    duo.fleet.settle()
    for round_ in range(6):
        for way in ways:
            way(at / f"{way.__name__}.txt", b"round %d" % round_)
    duo.fleet.settle()
    found = read_contents(there)
    assert found.pop("save_with_backup.txt~") == b"round 4"
    assert found == {f"{way.__name__}.txt": b"round 5" for way in ways}
    for way in ways:
        way(there / f"{way.__name__}.txt", b"and back")
    duo.fleet.settle()
    assert set(read_contents(at)) == {f"{way.__name__}.txt" for way in ways} | {"save_with_backup.txt~"}
    assert duo.red.conflicts() == set()


def test_at_rest_a_daemon_does_nothing(duo: Duo) -> None:
    duo.fleet.settle()
    before = {peer.name: used(peer) for peer in (duo.red, duo.blue)}
    pause = threading.Event()
    pause.wait(4)
    for peer in (duo.red, duo.blue):
        assert used(peer) - before[peer.name] < 0.6, "of four seconds"


def used(peer: Peer) -> float:
    return peer.cpu_s()
