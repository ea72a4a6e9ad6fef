"""What the simulated disk does that a real one does only on a bad day."""

import errno
from collections.abc import Callable

import pytest

from peer.ports import Handle
from simulations.disk import WINDOWS_NAMES, Content, Kind, Loss, NameRules, SimDisk, SimFilesystem
from tests.common.simulated_disks import StoppedTime, sim_disk

LIVES = [(Loss.ALL, 0), *((Loss.DRAWN, seed) for seed in range(40))]


def refuses(code: int, call: Callable[..., object], *arguments: object) -> None:
    with pytest.raises(OSError, match=r".") as raised:
        call(*arguments)
    assert raised.value.errno == code


def write(fs: SimFilesystem, top: Handle, name: str, data: bytes, *, sync: bool = False) -> None:
    try:
        handle = fs.create(top, name)
    except FileExistsError:
        handle = fs.open_write(top, name)
    fs.write_at(handle, data, 0)
    if sync:
        fs.sync(handle)
    fs.close(handle)


def names(disk: SimDisk, path: str = "/folder") -> list[str]:
    handle = disk.people.open_root(path)
    found = sorted(name for name, _ in disk.people.list_names(handle))
    disk.people.close(handle)
    return found


def test_what_was_synced_survives_every_power_loss() -> None:
    for loss, seed in LIVES:
        disk = sim_disk(seed)
        fs = disk.filesystem()
        top = fs.open_root("/folder")
        write(fs, top, "a", b"lasting", sync=True)
        fs.sync(top)
        write(fs, top, "b", b"not")
        disk.crash(power=True, loss=loss)
        assert bytes(disk.content("/folder/a")) == b"lasting"


def test_bytes_that_were_not_synced_come_back_old_new_short_empty_or_mixed() -> None:
    old, new = b"o" * 10_000, b"n" * 20_000
    found = set()
    for loss, seed in LIVES:
        disk = sim_disk(seed)
        disk.put("/folder/a", old)
        disk.volume.save_all()
        fs = disk.filesystem()
        top = fs.open_root("/folder")
        write(fs, top, "a", new)
        disk.crash(power=True, loss=loss)
        left = bytes(disk.content("/folder/a"))
        assert set(left) <= set(b"on\0")
        found.add((len(left), *sorted(set(left))))
    assert (10_000, *b"o") in found
    assert (20_000, *b"n") in found
    assert (20_000, 0, *b"o") in found
    assert any(10_000 < size < 20_000 for size, *_ in found)
    assert any(kinds == [*b"no"] for _, *kinds in found)


def test_names_that_were_not_synced_are_undone_from_the_last_on() -> None:
    met = set()
    for loss, seed in LIVES:
        disk = sim_disk(seed)
        fs = disk.filesystem()
        top = fs.open_root("/folder")
        for name in "abc":
            write(fs, top, name, b"", sync=True)
        disk.crash(power=True, loss=loss)
        met.add("".join(names(disk)))
    assert met == {"", "a", "ab", "abc"}


def test_a_rename_is_done_or_undone_as_a_whole_and_nothing_leaves_the_tree() -> None:
    for loss, seed in LIVES:
        disk = sim_disk(seed, directories=("/folder/a/inner", "/folder/b"))
        disk.put("/folder/a/inner/f", b"mine")
        disk.volume.save_all()
        fs = disk.filesystem()
        top = fs.open_root("/folder")
        a, b = fs.open_dir(top, "a"), fs.open_dir(top, "b")
        inner = fs.open_dir(a, "inner")
        fs.rename_new(a, "inner", top, "out")
        fs.rename_new(top, "b", inner, "b")
        fs.rename_new(top, "a", b, "a")
        if seed % 3 == 0:
            fs.sync(b)
        disk.crash(power=True, loss=loss)
        places = [path for path in ("/folder/a/inner/f", "/folder/out/f") if exists(disk, path)]
        assert len(places) == 1
        directories = [path for path in ("/folder/b", "/folder/out/b", "/folder/a/inner/b") if exists(disk, path)]
        assert len(directories) == 1


def exists(disk: SimDisk, path: str) -> bool:
    above, _, name = path.rpartition("/")
    try:
        handle = disk.people.open_root(above)
    except OSError:
        return False
    try:
        return name in {each for each, _ in disk.people.list_names(handle)}
    finally:
        disk.people.close(handle)


def test_an_unlinked_file_may_come_back_whole() -> None:
    met = set()
    for loss, seed in LIVES:
        disk = sim_disk(seed, Kind(reuses_inodes=True))
        disk.put("/folder/a", b"a")
        disk.volume.save_all()
        fs = disk.filesystem()
        top = fs.open_root("/folder")
        fs.unlink(top, "a")
        write(fs, top, "b", b"b", sync=True)
        disk.crash(power=True, loss=loss)
        met.add("".join(names(disk)))
        top = disk.people.open_root("/folder")
        numbers = [disk.people.stat(top, name).fingerprint.inode for name in names(disk)]
        assert len(set(numbers)) == len(numbers)
        if "a" in names(disk):
            assert bytes(disk.content("/folder/a")) == b"a"
    assert met == {"a", "", "b"}


def test_a_sync_that_failed_writes_nothing_and_neither_does_the_next() -> None:
    disk = sim_disk()
    fs = disk.filesystem()
    top = fs.open_root("/folder")
    handle = fs.create(top, "a")
    fs.sync(top)
    fs.write_at(handle, b"data", 0)
    disk.fail(errno.EIO, calls=("sync",))
    refuses(errno.EIO, fs.sync, handle)
    fs.sync(handle)
    disk.crash(power=True, loss=Loss.ALL)
    assert bytes(disk.content("/folder/a")) == b""


def test_a_dead_program_changes_nothing_more() -> None:
    class End(BaseException):
        pass

    disk = sim_disk()
    fs = disk.filesystem()
    top = fs.open_root("/folder")
    handle = fs.create(top, "a")

    def end(call: str, arguments: tuple[object, ...]) -> None:
        if call == "unlink":
            raise End

    disk.before_call = end
    with pytest.raises(End):
        fs.unlink(top, "a")
    with pytest.raises(End):
        fs.write_at(handle, b"late", 0)
    fs.close(handle)
    other = disk.filesystem()
    disk.crash(power=False)
    refuses(errno.EIO, other.open_root, "/folder")
    assert bytes(disk.content("/folder/a")) == b""


@pytest.mark.parametrize(
    ("code", "calls"),
    [(errno.EIO, ["open_root"]), (errno.ENOSPC, ["create", "write_at"]), (errno.EACCES, ["open_root", "create"])],
)
def test_the_nth_call_that_can_fails(code: int, calls: list[str]) -> None:
    for skip, expected in enumerate(calls):
        disk = sim_disk()
        fs = disk.filesystem()
        disk.fail(code, skip=skip)
        met: list[str] = []

        def go(fs: SimFilesystem, met: list[str]) -> None:
            met.append("open_root")
            top = fs.open_root("/folder")
            met.append("create")
            handle = fs.create(top, "a")
            met.append("write_at")
            fs.write_at(handle, b"x", 0)

        refuses(code, go, fs, met)
        assert met[-1] == expected
        assert disk.faults.given == 1


def test_a_full_disk_takes_what_there_is_room_for_and_room_comes_back() -> None:
    disk = sim_disk(kind=Kind(capacity=3 * 4096))
    fs = disk.filesystem()
    top = fs.open_root("/folder")
    handle = fs.create(top, "a")
    assert fs.write_at(handle, b"x" * 10_000, 0) == 10_000
    other = fs.create(top, "b")
    refuses(errno.ENOSPC, fs.write_at, other, b"y", 0)
    refuses(errno.ENOSPC, fs.allocate, other, 1)
    fs.truncate(handle, 100)
    assert fs.free_bytes(top) == 2 * 4096
    assert fs.write_at(other, b"y" * 10_000, 0) == 2 * 4096
    fs.unlink(top, "b")
    assert fs.free_bytes(top) == 0
    fs.close(other)
    assert fs.free_bytes(top) == 2 * 4096


def test_short_reads_and_writes_go_on_where_they_ended() -> None:
    disk = sim_disk(seed=3)
    disk.faults.short_reads = disk.faults.short_writes = 0.9
    fs = disk.filesystem()
    top = fs.open_root("/folder")
    handle, data, at = fs.create(top, "a"), bytes(range(200)), 0
    while at < len(data):
        at += fs.write_at(handle, data[at:], at)
    buffer, done = bytearray(200), 0
    while count := fs.read_into(handle, memoryview(buffer)[done:], done):
        done += count
    assert buffer == data


def test_permissions_bind_a_user_who_is_not_privileged() -> None:
    disk = sim_disk(directories=("/folder/d",))
    disk.put("/folder/d/f", b"x")
    fs = disk.filesystem()
    top = fs.open_root("/folder")
    directory = fs.open_dir(top, "d")
    fs.set_mode(directory, 0o500)
    refuses(errno.EACCES, fs.unlink, directory, "f")
    refuses(errno.EACCES, fs.rename_new, directory, "f", top, "f")
    refuses(errno.EACCES, fs.create, directory, "g")
    fs.set_mode(directory, 0o600)
    assert [type(found) for _, found in fs.list_dir(directory)] == [PermissionError]
    refuses(errno.EACCES, fs.stat, directory, "f")
    fs.set_mode(directory, 0o000)
    refuses(errno.EACCES, fs.open_dir, top, "d")


def test_names_fold_decompose_and_are_refused_as_the_disk_has_it() -> None:
    folding = sim_disk(kind=Kind(rules=NameRules(folds_case=True))).filesystem()
    top = folding.open_root("/folder")
    write(folding, top, "Äpfel", b"x")
    refuses(errno.EEXIST, folding.create, top, "äPFEL")
    assert folding.list_names(top) == [("Äpfel", False)]
    decomposing = sim_disk(kind=Kind(rules=NameRules(decomposes=True))).filesystem()
    top = decomposing.open_root("/folder")
    write(decomposing, top, "\u00e9", b"x")
    assert decomposing.list_names(top) == [("e\u0301", False)]
    assert decomposing.stat(top, "\u00e9") == decomposing.stat(top, "e\u0301")
    windows = sim_disk(kind=Kind(rules=WINDOWS_NAMES)).filesystem()
    top = windows.open_root("/folder")
    for name in ("aux.txt", "a:b", "dot."):
        refuses(errno.EINVAL, windows.create, top, name)


def test_numbers_are_used_again_only_where_the_disk_does_so() -> None:
    for reuses in (False, True):
        disk = sim_disk(kind=Kind(reuses_inodes=reuses))
        fs = disk.filesystem()
        top = fs.open_root("/folder")
        write(fs, top, "a", b"a")
        before = fs.stat(top, "a").fingerprint
        fs.unlink(top, "a")
        write(fs, top, "a", b"b")
        assert fs.stat(top, "a").fingerprint.is_same_file(before) == reuses


def test_coarse_times_hide_a_second_change_and_fine_ones_do_not() -> None:
    for step, is_hidden in ((1, False), (2_000_000_000, True)):
        time = StoppedTime()
        disk = sim_disk(kind=Kind(time_step_ns=step), time=time)
        fs = disk.filesystem()
        top = fs.open_root("/folder")
        write(fs, top, "a", b"1")
        before = fs.stat(top, "a").fingerprint
        write(fs, top, "a", b"2")
        assert (fs.stat(top, "a").fingerprint == before) == is_hidden


def test_an_image_is_the_same_disk_at_an_earlier_time() -> None:
    disk = sim_disk()
    disk.put("/folder/a", b"then")
    image = disk.image()
    disk.put("/folder/a", b"now")
    disk.put("/folder/b", Content.generated(1, 1 << 40))
    top = image.people.open_root("/folder")
    assert image.people.stat(top, "a").fingerprint.inode == _inode(disk, "a")
    disk.restore(image)
    assert names(disk) == ["a"]
    assert bytes(disk.content("/folder/a")) == b"then"
    assert disk.volume.used == image.volume.used


def _inode(disk: SimDisk, name: str) -> int:
    top = disk.people.open_root("/folder")
    return disk.people.stat(top, name).fingerprint.inode


def test_a_name_saved_over_another_and_a_second_name_are_as_on_any_disk() -> None:
    disk = sim_disk(directories=("/folder/d", "/folder/e"))
    people = disk.people
    disk.put("/folder/a", b"old")
    disk.put("/folder/new", b"new")
    top = people.open_root("/folder")
    people.rename_over(top, "new", top, "a")
    assert bytes(disk.content("/folder/a")) == b"new"
    people.link(top, "a", top, "b")
    assert people.stat(top, "b").links == 2
    people.rename_over(top, "a", top, "b")
    assert people.stat(top, "a").links == 2
    refuses(errno.EISDIR, people.rename_over, top, "a", top, "d")
    refuses(errno.ENOTDIR, people.rename_over, top, "d", top, "a")
    people.rename_over(top, "d", top, "e")
    assert names(disk) == ["a", "b", "e"]
