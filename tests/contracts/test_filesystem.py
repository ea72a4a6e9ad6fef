"""What every `Filesystem` promises. An implementation is added to `FILESYSTEMS`, and passes all of it."""

import errno
import os
import pathlib
from collections.abc import Callable, Iterator

import pytest

from peer.disk.real import LinuxFilesystem
from peer.fingerprint import DiskKind, Status
from peer.ports import Filesystem, Handle
from tests.common.simulated_disks import sim_disk


def real(folder: pathlib.Path) -> Filesystem:
    return LinuxFilesystem()


def simulated(folder: pathlib.Path) -> Filesystem:
    return sim_disk(directories=(os.fspath(folder),)).filesystem()


FILESYSTEMS: list[Callable[[pathlib.Path], Filesystem]] = [real, simulated]


@pytest.fixture(params=FILESYSTEMS)
def fs(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Filesystem:
    made: Filesystem = request.param(tmp_path)
    return made


@pytest.fixture
def top(fs: Filesystem, tmp_path: pathlib.Path) -> Iterator[Handle]:
    handle = fs.open_root(os.fspath(tmp_path))
    yield handle
    fs.close(handle)


def write(fs: Filesystem, parent: Handle, name: str, data: bytes = b"") -> None:
    handle = fs.create(parent, name)
    assert fs.write_at(handle, data, 0) == len(data)
    fs.close(handle)


def read(fs: Filesystem, parent: Handle, name: str) -> bytes:
    handle = fs.open_read(parent, name)
    buffer = bytearray(100)
    size = fs.read_into(handle, memoryview(buffer), 0)
    fs.close(handle)
    return bytes(buffer[:size])


def refuses(code: int, call: Callable[..., object], *arguments: object) -> None:
    with pytest.raises(OSError, match=r".") as raised:
        call(*arguments)
    assert raised.value.errno == code


def test_a_created_file_has_what_was_written_and_a_name_is_created_once(fs: Filesystem, top: Handle) -> None:
    write(fs, top, "a", b"hello")
    refuses(errno.EEXIST, fs.create, top, "a")
    assert read(fs, top, "a") == b"hello"
    status = fs.stat(top, "a")
    assert (status.kind, status.fingerprint.size, status.links) == (DiskKind.FILE, 5, 1)
    assert not status.fingerprint.executable


def test_reading_and_writing_go_by_offset(fs: Filesystem, top: Handle) -> None:
    handle = fs.create(top, "a")
    fs.write_at(handle, b"defg", 3)
    fs.write_at(handle, memoryview(b"abc"), 0)
    buffer = bytearray(3)
    assert fs.read_into(handle, memoryview(buffer), 2) == 3
    assert buffer == b"cde"
    assert fs.read_into(handle, memoryview(buffer), 7) == 0
    fs.truncate(handle, 2)
    assert fs.stat_handle(handle).fingerprint.size == 2
    fs.close(handle)


def test_times_and_modes_are_kept_and_show_in_the_fingerprint(fs: Filesystem, top: Handle) -> None:
    handle = fs.create(top, "a")
    before = fs.stat_handle(handle).fingerprint
    fs.set_mtime(handle, -1_500_000_000)
    fs.set_mode(handle, 0o750)
    fs.sync(handle)
    fs.close(handle)
    status = fs.stat(top, "a")
    assert status.fingerprint.mtime_ns == -1_500_000_000
    assert status.fingerprint.executable
    assert status.mode == 0o750
    assert status.fingerprint.ctime_ns >= before.ctime_ns
    assert status.fingerprint.is_same_file(before)


def test_reserving_room_does_not_change_the_length(fs: Filesystem, top: Handle) -> None:
    handle = fs.create(top, "a")
    fs.allocate(handle, 100_000)
    fs.allocate(handle, 0)
    assert fs.stat_handle(handle).fingerprint.size == 0
    fs.close(handle)
    assert fs.free_bytes(top) > 0


def test_links_are_kept_as_links_and_never_followed(fs: Filesystem, top: Handle) -> None:
    fs.make_dir(top, "d", 0o755)
    write(fs, top, "f")
    for name, target in (("to_d", "d"), ("to_f", "f"), ("dangling", "nowhere/at all")):
        fs.make_link(top, name, target)
        assert fs.read_link(top, name) == target
        assert fs.stat(top, name).kind is DiskKind.SYMLINK
    refuses(errno.EEXIST, fs.make_link, top, "f", "x")
    refuses(errno.ELOOP, fs.open_read, top, "to_f")
    refuses(errno.ELOOP, fs.open_write, top, "to_f")
    with pytest.raises(OSError, match="to_d"):
        fs.open_dir(top, "to_d")
    fs.unlink(top, "to_f")
    assert fs.stat(top, "f").kind is DiskKind.FILE


def test_directories_are_opened_listed_and_removed_only_when_empty(fs: Filesystem, top: Handle) -> None:
    fs.make_dir(top, "d", 0o755)
    refuses(errno.EEXIST, fs.make_dir, top, "d", 0o755)
    directory = fs.open_dir(top, "d")
    fs.make_dir(directory, "below", 0o755)
    write(fs, directory, "file")
    for _ in range(2):
        listed = dict(fs.list_dir(directory))
        assert {name: status.kind for name, status in listed.items() if isinstance(status, Status)} == {
            "below": DiskKind.DIRECTORY,
            "file": DiskKind.FILE,
        }
        assert listed["file"] == fs.stat(directory, "file")
        assert sorted(fs.list_names(directory)) == [("below", True), ("file", False)]
    refuses(errno.ENOTEMPTY, fs.remove_dir, top, "d")
    fs.remove_dir(directory, "below")
    fs.unlink(directory, "file")
    fs.sync(directory)
    fs.remove_dir(top, "d")
    refuses(errno.ENOENT, fs.stat, top, "d")
    fs.close(directory)


def test_a_rename_never_replaces_and_keeps_all_but_the_change_time(fs: Filesystem, top: Handle) -> None:
    fs.make_dir(top, "d", 0o755)
    directory = fs.open_dir(top, "d")
    write(fs, top, "a", b"a")
    write(fs, top, "b", b"b")
    before = fs.stat(top, "a").fingerprint
    refuses(errno.EEXIST, fs.rename_new, top, "a", top, "b")
    refuses(errno.EEXIST, fs.rename_new, top, "a", top, "d")
    refuses(errno.ENOENT, fs.rename_new, top, "gone", top, "x")
    fs.rename_new(top, "a", directory, "a")
    assert fs.stat(directory, "a").fingerprint.is_renamed_from(before)
    refuses(errno.ENOENT, fs.stat, top, "a")
    assert read(fs, top, "b") == b"b"
    refuses(errno.EINVAL, fs.rename_new, top, "d", directory, "into itself")
    fs.close(directory)


def test_a_directory_is_born_once_and_a_file_has_no_birth(fs: Filesystem, top: Handle) -> None:
    fs.make_dir(top, "d", 0o755)
    born_ns = fs.stat(top, "d").fingerprint.born_ns
    assert born_ns
    directory = fs.open_dir(top, "d")
    write(fs, directory, "file")
    fs.rename_new(top, "d", top, "renamed")
    assert fs.stat(top, "renamed") == fs.stat_handle(directory) == dict(fs.list_dir(top))["renamed"]
    assert fs.stat_handle(directory).fingerprint.born_ns == born_ns
    assert fs.stat(directory, "file").fingerprint.born_ns == 0
    fs.close(directory)


def test_an_exchange_swaps_whatever_two_names_stand_for(fs: Filesystem, top: Handle) -> None:
    fs.make_dir(top, "d", 0o755)
    write(fs, top, "a", b"a")
    write(fs, top, "b", b"b")
    a, b = fs.stat(top, "a").fingerprint, fs.stat(top, "b").fingerprint
    fs.exchange(top, "a", top, "b")
    assert fs.stat(top, "b").fingerprint.is_renamed_from(a)
    assert fs.stat(top, "a").fingerprint.is_renamed_from(b)
    fs.exchange(top, "a", top, "d")
    assert fs.stat(top, "a").kind is DiskKind.DIRECTORY
    refuses(errno.ENOENT, fs.exchange, top, "a", top, "gone")


def test_an_open_file_outlives_its_name_and_a_writer_is_noticed(fs: Filesystem, top: Handle) -> None:
    write(fs, top, "a", b"a")
    reader = fs.open_read(top, "a")
    assert not fs.is_being_written(reader)
    writer = fs.open_write(top, "a")
    assert fs.is_being_written(reader)
    fs.close(writer)
    assert not fs.is_being_written(reader)
    fs.unlink(top, "a")
    assert fs.stat_handle(reader).links == 0
    buffer = bytearray(1)
    assert fs.read_into(reader, memoryview(buffer), 0) == 1
    fs.close(reader)


def test_bytes_are_copied_between_files_up_to_the_end_of_the_source(fs: Filesystem, top: Handle) -> None:
    write(fs, top, "a", b"0123456789")
    source, target = fs.open_read(top, "a"), fs.create(top, "b")
    done = 0
    while count := fs.copy_range(source, 4 + done, target, 1 + done, 100):
        done += count
    fs.close(source)
    fs.close(target)
    assert done == 6
    assert read(fs, top, "b") == b"\x00456789"


def test_everything_is_synced_at_once(fs: Filesystem, top: Handle) -> None:
    write(fs, top, "a", b"a")
    fs.sync_all(top)


@pytest.mark.parametrize("name", ["e\u0301", "\u00e9", os.fsdecode(b"\xff\xfe"), " .", "a\nb"])
def test_names_come_back_as_they_were_given(fs: Filesystem, top: Handle, name: str) -> None:
    write(fs, top, name)
    assert fs.list_names(top) == [(name, False)]
    refuses(errno.ENAMETOOLONG, fs.create, top, "n" * 256)
