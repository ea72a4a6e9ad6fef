"""What looks at programs' calls to their disk finds what it is there to find, and nothing else."""

from collections.abc import Callable

import pytest

from crypto.digest import FixedKeys, file_digest
from peer.ports import Handle
from protocol.model import Body
from simulations.checkers.a01_destruction import destroyed
from simulations.checkers.a14_partial import misplaced
from simulations.checkers.a15_containment import escaped
from simulations.checkers.a20_bounds import left_over, too_many_handles
from simulations.checkers.disk_calls import CHANGES, DiskCalls, Place
from simulations.checkers.versions import Versions
from simulations.disk import Content, SimFilesystem
from tests.common.simulated_disks import sim_disk

KEYS = FixedKeys.of(bytes(32), bytes(16))
VERSION, UNKNOWN = b"a version of the journal", b"nobody else has it"


class Looked:
    """A disk with a program that has its folder and its private directory open, and what was said of its calls."""

    def __init__(self) -> None:
        self.disk = sim_disk(directories=("/folder", "/drafts"))
        self.disk.make_directory("/folder/.shoal/swap")
        self.disk.put("/folder/known", VERSION)
        self.disk.put("/folder/unknown", UNKNOWN)
        self.versions = Versions()
        self.versions.note(b"w", KEYS, file_digest(KEYS, VERSION))
        calls = DiskCalls("red")
        self.found: list[str] = []
        self.elsewhere: set[bytes] = set()

        def look(view: SimFilesystem, call: str, arguments: tuple[object, ...]) -> None:
            resolved = calls.resolve(view, call, arguments) if call in CHANGES else None
            if resolved is not None:
                gone = destroyed(resolved, self.versions, lambda content: bytes(content) in self.elsewhere)
                told = gone, misplaced(resolved, self.versions), escaped(resolved)
                self.found += [wrong for wrong in told if wrong is not None]

        self.disk.looking = look
        self.fs = self.disk.filesystem()
        self.folder, self.swap = self.fs.open_root("/folder"), self.fs.open_root("/folder/.shoal/swap")

    def temporary(self, data: bytes) -> str:
        """A file of the program's own."""
        handle = self.fs.create(self.swap, "new")
        self.fs.write_at(handle, data, 0)
        self.fs.close(handle)
        return "new"

    def writing(self, name: str) -> Handle:
        """A file of people's, opened."""
        return self.fs.open_write(self.folder, name)


Act = Callable[[Looked], object]


def _replace(at: Looked, name: str) -> None:
    at.fs.exchange(at.swap, at.temporary(VERSION), at.folder, name)
    at.fs.unlink(at.swap, "new")


def _take_and_put_back(at: Looked) -> None:
    at.fs.rename_new(at.folder, "unknown", at.swap, "taken")
    at.fs.rename_new(at.swap, "taken", at.folder, "unknown")


def _take_and_unlink(at: Looked, name: str) -> None:
    at.fs.rename_new(at.folder, name, at.swap, "taken")
    at.fs.unlink(at.swap, "taken")


def _link(at: Looked) -> None:
    at.fs.make_link(at.swap, "link", "elsewhere")
    at.fs.rename_new(at.swap, "link", at.folder, "link")


@pytest.mark.parametrize(
    ("act", "promise"),
    [
        (lambda at: at.fs.unlink(at.folder, "unknown"), "A1"),
        (lambda at: _take_and_unlink(at, "unknown"), "A1"),
        (lambda at: _replace(at, "unknown"), "A1"),
        (lambda at: at.fs.rename_over(at.swap, at.temporary(VERSION), at.folder, "unknown"), "A1"),
        (lambda at: at.fs.truncate(at.writing("unknown"), 3), "A1"),
        (lambda at: at.fs.write_at(at.writing("known"), b"x", 0), "A14"),
        (lambda at: at.fs.create(at.folder, "made in place"), "A14"),
        (lambda at: at.fs.rename_new(at.swap, at.temporary(VERSION[:-1]), at.folder, "half"), "A14"),
        (lambda at: at.fs.exchange(at.folder, "known", at.swap, at.temporary(b"other bytes")), "A14"),
        (_link, "A14"),
        (lambda at: at.fs.make_dir(at.fs.open_root("/drafts"), "x", 0o755), "A15"),
        (lambda at: at.fs.rename_new(at.folder, "known", at.fs.open_root("/"), "x"), "A15"),
    ],
)
def test_a_call_that_breaks_a_promise_is_found(act: Act, promise: str) -> None:
    looked = Looked()
    act(looked)
    assert looked.found
    assert looked.found[0].startswith(f"{promise} ")


@pytest.mark.parametrize(
    "act",
    [
        lambda at: at.fs.unlink(at.folder, "known"),
        lambda at: _take_and_unlink(at, "known"),
        lambda at: _replace(at, "known"),
        _take_and_put_back,
        lambda at: at.fs.unlink(at.swap, at.temporary(b"a temporary file")),
        lambda at: at.fs.rename_new(at.folder, "unknown", at.folder, "moved"),
        lambda at: at.fs.rename_new(at.folder, "unknown", at.swap, "held"),
        lambda at: at.fs.make_dir(at.folder, "d", 0o755),
        lambda at: at.fs.set_mode(at.writing("unknown"), 0o755),
    ],
)
def test_what_a_program_may_do_is_not(act: Act) -> None:
    looked = Looked()
    act(looked)
    assert looked.found == []


def test_what_was_put_back_is_peoples_again_and_not_destroyed_a_second_time() -> None:
    looked = Looked()
    _take_and_put_back(looked)
    looked.fs.unlink(looked.folder, "unknown")
    assert [wrong[:2] for wrong in looked.found] == ["A1"]


@pytest.mark.parametrize(("is_handed", "is_elsewhere"), [(True, True), (True, False), (False, True)])
def test_what_was_handed_from_device_to_device_may_go_where_another_has_it(is_handed: bool, is_elsewhere: bool) -> None:
    looked = Looked()
    if is_handed:
        body = Body("unknown", len(UNKNOWN), 0, False, file_digest(KEYS, UNKNOWN), None, None, None)
        looked.versions.note_handed(b"w", KEYS, body)
    if is_elsewhere:
        looked.elsewhere.add(UNKNOWN)
    _take_and_unlink(looked, "unknown")
    assert (looked.found == []) is (is_handed and is_elsewhere)


def test_a_disk_has_a_content_wherever_it_is() -> None:
    disk = sim_disk(directories=("/folder/below/.shoal/tmp",))
    disk.put("/folder/below/.shoal/tmp/one", UNKNOWN)
    assert disk.volume.has(Content.of(UNKNOWN))
    assert not disk.volume.has(Content.of(UNKNOWN[::-1]))


def test_the_private_directory_itself_is_nobodys_place() -> None:
    disk, calls = sim_disk(directories=("/folder",)), DiskCalls("red")
    places: list[Place] = []

    def look(view: SimFilesystem, call: str, arguments: tuple[object, ...]) -> None:
        resolved = calls.resolve(view, call, arguments) if call in CHANGES else None
        places.extend(() if resolved is None else [name.place for name in resolved.names])

    disk.looking = look
    fs = disk.filesystem()
    folder = fs.open_root("/folder")
    fs.make_dir(folder, ".shoal", 0o700)
    fs.make_dir(fs.open_root("/folder/.shoal"), "tmp", 0o700)
    fs.remove_dir(fs.open_root("/folder/.shoal"), "tmp")
    fs.remove_dir(folder, ".shoal")
    assert places == [Place.OWN] * 4
    fs.make_dir(folder, "d", 0o755)
    fs.make_dir(fs.open_root("/folder/d"), ".shoal", 0o755)
    assert places[4:] == [Place.PEOPLE] * 2


def test_open_files_and_tasks_have_bounds() -> None:
    assert too_many_handles("red", 50) is None
    assert "A20" in str(too_many_handles("red", 5_000))
    assert left_over({"red": 6, "blue": 6}, 90) == []
    assert len(left_over({"red": 6, "blue": 300}, 900)) == 2
