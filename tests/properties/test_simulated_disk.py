"""The simulated disk does what the real one does: the same calls give the same results, errors and trees."""

import errno
import os
import tempfile
from pathlib import Path
from typing import Any, cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peer.disk.real import LinuxFilesystem
from peer.fingerprint import DiskKind, Status
from peer.ports import Filesystem, Handle
from simulations.disk import Kind
from tests.common.simulated_disks import sim_disk

SCRATCH = "/dev/shm" if os.path.isdir("/dev/shm") else None
SLOTS = 5
"""Handles that a sequence keeps; slot 0 is always the root."""
NAME = st.one_of(
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(["a", "b", "c", "e\u0301", "n" * 256, "", os.fsdecode(b"\xff")]),
)
ANY = st.integers(0, SLOTS - 1)
DIRECTORY = st.one_of(st.sampled_from([0, 1, 2]), st.sampled_from([0, 1, 2]), ANY)
FILE = st.one_of(st.sampled_from([3, 4]), st.sampled_from([3, 4]), ANY)
OFFSET = st.integers(0, 40)

CALLS = st.one_of(
    st.tuples(st.just("open_dir"), DIRECTORY, DIRECTORY, NAME),
    st.tuples(st.sampled_from(["open_read", "open_write", "create"]), FILE, DIRECTORY, NAME),
    st.tuples(st.sampled_from(["stat", "unlink", "remove_dir", "read_link"]), DIRECTORY, NAME),
    st.tuples(st.sampled_from(["list_dir", "list_names", "sync"]), DIRECTORY),
    st.tuples(st.sampled_from(["stat_handle", "is_being_written", "close"]), ANY),
    st.tuples(st.just("make_dir"), DIRECTORY, NAME, st.sampled_from([0o777, 0o700])),
    st.tuples(st.just("make_link"), DIRECTORY, NAME, st.sampled_from(["a", "b/c", "", "/nowhere", "x" * 4096])),
    st.tuples(st.sampled_from(["rename_new", "exchange"]), DIRECTORY, NAME, DIRECTORY, NAME),
    st.tuples(st.sampled_from(["rename_new", "exchange"]), DIRECTORY, NAME, DIRECTORY, NAME),
    st.tuples(st.just("write_at"), FILE, st.binary(max_size=20), OFFSET),
    st.tuples(st.just("read_into"), FILE, st.integers(1, 30), OFFSET),
    st.tuples(st.just("copy_range"), FILE, OFFSET, FILE, OFFSET, st.integers(0, 30)),
    st.tuples(st.sampled_from(["truncate", "allocate"]), FILE, OFFSET),
    st.tuples(st.just("set_mode"), ANY, st.sampled_from([0o600, 0o755, 0o644])),
    st.tuples(st.just("set_mtime"), ANY, st.sampled_from([0, -5, 1_700_000_000_000_000_001])),
)
BEFORE: list[tuple[Any, ...]] = [
    ("make_dir", 0, "a", 0o755),
    ("open_dir", 1, 0, "a"),
    ("make_dir", 1, "b", 0o755),
    ("open_dir", 2, 1, "b"),
    ("create", 3, 0, "b"),
    ("create", 4, 2, "a"),
    ("write_at", 3, b"0123456789", 0),
    ("make_link", 0, "c", "a"),
]
"""What every sequence begins with."""


class Sequence:
    """Carries calls out on one file system, and tells what came of each without what may differ."""

    def __init__(self, fs: Filesystem, root: str) -> None:
        self.fs = fs
        self.root = root
        self.slots: list[Handle | None] = [fs.open_root(root), *[None] * (SLOTS - 1)]
        self.inodes: dict[int, int] = {}

    def run(self, call: tuple[Any, ...]) -> object:
        try:
            return self.do(*call)
        except OSError as error:
            return errno.errorcode[error.errno or 0]

    def do(self, name: str, *arguments: Any) -> object:
        fs = self.fs
        match name, arguments:
            case (("open_dir" | "open_read" | "open_write" | "create"), (place, slot, each)):
                opened = getattr(fs, name)(self.handle(slot), each)
                if place == 0:
                    fs.close(opened)
                else:
                    self.put(place, opened)
                return "opened"
            case "close", (slot,):
                if slot:
                    self.put(slot, None)
                return None
            case (("stat_handle" | "stat"), (slot, *names)):
                return self.known(getattr(fs, name)(self.handle(slot), *names))
            case "list_dir", (slot,):
                listed = sorted(fs.list_dir(self.handle(slot)), key=lambda one: one[0])
                return [(each, self.known(found)) for each, found in listed]
            case "list_names", (slot,):
                return sorted(fs.list_names(self.handle(slot)))
            case "read_into", (slot, size, offset):
                buffer = bytearray(size)
                count = fs.read_into(self.handle(slot), memoryview(buffer), offset)
                return bytes(buffer[:count])
            case (("rename_new" | "exchange"), (slot, each, other, other_name)):
                return getattr(fs, name)(self.handle(slot), each, self.handle(other), other_name)
            case "copy_range", (slot, offset, other, other_offset, length):
                return fs.copy_range(self.handle(slot), offset, self.handle(other), other_offset, length)
            case _:
                return getattr(fs, name)(self.handle(arguments[0]), *arguments[1:])

    def handle(self, slot: int) -> Handle:
        found = self.slots[slot]
        return found if found is not None else cast(Handle, self.slots[0])

    def put(self, slot: int, opened: Handle | None) -> None:
        old, self.slots[slot] = self.slots[slot], opened
        if old is not None:
            self.fs.close(old)

    def known(self, found: Status | OSError) -> tuple[object, ...]:
        """A status, inodes numbered by when they were first seen; times only where a call set them."""
        assert isinstance(found, Status)
        print_ = found.fingerprint
        number = self.inodes.setdefault(print_.inode, len(self.inodes))
        size = None if found.kind is DiskKind.DIRECTORY else print_.size
        mtime = print_.mtime_ns if print_.mtime_ns in (0, -5, 1_700_000_000_000_000_001) else None
        return (found.kind.value, number, size, mtime, print_.executable, found.mode, found.links)

    def tree(self) -> object:
        def below(handle: Handle) -> dict[str, object]:
            found: dict[str, object] = {}
            for name, status in sorted(self.fs.list_dir(handle), key=lambda one: one[0]):
                known: object = self.known(status)
                inner: object = None
                if isinstance(status, Status) and status.kind is DiskKind.DIRECTORY:
                    opened = self.fs.open_dir(handle, name)
                    inner = below(opened)
                    self.fs.close(opened)
                elif isinstance(status, Status) and status.kind is DiskKind.FILE:
                    opened = self.fs.open_read(handle, name)
                    buffer = bytearray(200)
                    inner = bytes(buffer[: self.fs.read_into(opened, memoryview(buffer), 0)])
                    self.fs.close(opened)
                elif isinstance(status, Status):
                    inner = self.fs.read_link(handle, name)
                found[name] = (known, inner)
            return found

        return below(cast(Handle, self.slots[0]))

    def close(self) -> None:
        for handle in self.slots:
            if handle is not None:
                self.fs.close(handle)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(calls=st.lists(CALLS, max_size=40))
def test_the_same_calls_give_the_same_results_and_errors_as_on_a_real_disk(calls: list[Any]) -> None:
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        (Path(folder) / "root").mkdir(mode=0o755)
        real = Sequence(LinuxFilesystem(), folder + "/root")
        disk = sim_disk(kind=Kind(privileged=os.geteuid() == 0), directories=("/root",))
        fs = disk.filesystem()
        umask = os.umask(0o022)
        os.umask(umask)
        fs.umask = umask
        simulated = Sequence(fs, "/root")
        try:
            for call in BEFORE + calls:
                assert (call, simulated.run(call)) == (call, real.run(call))
            assert simulated.tree() == real.tree()
        finally:
            real.close()
            simulated.close()
