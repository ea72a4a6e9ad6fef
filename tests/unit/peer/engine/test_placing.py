"""What was put in place when the program ended is known for what it is when the next one starts."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from crypto.keyring import WorkspaceKeyring
from peer.disk.private import inodes_inside, recover
from peer.disk.root import Root
from peer.engine import placing
from peer.fingerprint import Fingerprint
from peer.planner.operations import Agreed, MakeDirectory, WriteContent
from peer.planner.trees import Attributes, Content, LocalNode, Node, SyncedNode
from peer.store import workspaces
from peer.store.database import Database, open_database
from peer.store.trees import TreeStore
from protocol.ids import ROOT, ChangeId, EntryId
from protocol.model import Genesis, Kind
from tests.common.disks import MTIME_NS, make_temp, new_root
from tests.common.disks import fingerprint as fingerprint_of
from tests.common.journals import TestJournal, TestUser, entry_id, seed

KEYRING = WorkspaceKeyring(seed("salt")[:16], seed("fixed"), {1: seed("epoch 1")})
DATA = b"as the journal has it"
VERSION = ChangeId(seed("version"))
BOOT = "a run of the system"


@dataclass
class Device:
    """A folder with the trees of it."""

    folder: Path
    root: Root
    database: Database
    trees: TreeStore

    def note(self, operation: placing.Placed, temp: str | None = None) -> None:
        with self.database.transaction():
            placing.note(self.database, self.trees.w, self.root, [(operation, temp)], BOOT)

    def start(self, boot: str = BOOT) -> int:
        unplaced = inodes_inside(self.root)
        made_good = placing.make_good(self.database, self.trees.w, self.root, self.trees, unplaced, boot)
        recover(self.root)
        assert self.database.one("SELECT count(*) FROM placing") == (0,)
        return made_good

    def temp(self) -> tuple[str, Path]:
        name = make_temp(self.root, DATA)
        return name, self.folder / ".shoal" / "tmp" / name


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    journal = TestJournal(TestUser("ana"))
    genesis = journal.commits[0]
    assert isinstance(genesis.body, Genesis)
    with open_database(None) as database, new_root(tmp_path / "folder") as (root, _):
        w = workspaces.add(database, journal.id, "work", KEYRING, genesis).w
        yield Device(tmp_path / "folder", root, database, TreeStore(database, w))


def write(entry: EntryId, name: str, expected: Fingerprint | None = None) -> WriteContent:
    content, attributes = Content(seed("digest"), len(DATA)), Attributes(False, MTIME_NS)
    agreed = Agreed((ROOT, name), content, VERSION, attributes)
    return WriteContent(entry, ROOT, name, Kind.FILE, VERSION, content, attributes, expected, agreed)


def test_a_new_file_that_was_in_place_is_the_entry_that_it_was_to_be(device: Device) -> None:
    operation = write(entry_id("f"), "f")
    name, temp = device.temp()
    device.note(operation, name)
    temp.rename(device.folder / "f")
    assert device.start() == 1
    local, synced = device.trees.local(operation.entry), device.trees.synced(operation.entry)
    assert local is not None
    assert synced is not None
    assert (local.node.name, local.node.content, synced.base.content) == ("f", operation.content, operation.content)
    assert local.fingerprint != fingerprint_of(device.root, ("f",)), "the scan has to read it once more"


@pytest.mark.parametrize("moved", [False, True], ids=["as planned", "moved since"])
def test_a_file_in_the_place_of_an_older_one_is_the_newer_version(device: Device, moved: bool) -> None:
    entry = entry_id("f")
    (device.folder / "f").write_bytes(b"older")
    before = fingerprint_of(device.root, ("f",))
    node = Node(entry, Kind.FILE, ROOT, "f", Content(seed("older"), 5), Attributes(False, before.mtime_ns))
    with device.database.transaction():
        device.trees.put_local((LocalNode(node, "f", before),))
        device.trees.put_synced((SyncedNode(node, ChangeId(seed("first")), before),))
    planned = msgspec.structs.replace(before, ctime_ns=before.ctime_ns - 1) if moved else before
    operation = write(entry, "f", planned)
    name, temp = device.temp()
    device.note(operation, name)
    temp.replace(device.folder / "f")
    assert device.start() == 1
    synced = device.trees.synced(entry)
    assert synced is not None
    assert (synced.base.content, synced.content_base) == (operation.content, VERSION)


def test_what_was_not_put_in_place_yet_is_not_there(device: Device) -> None:
    operation = write(entry_id("f"), "f")
    device.note(operation, device.temp()[0])
    assert device.start() == 0
    assert device.trees.local(operation.entry) is None
    assert device.trees.synced(operation.entry) is None


def test_somebody_elses_file_at_the_name_stays_somebody_elses(device: Device) -> None:
    operation = write(entry_id("f"), "f")
    device.note(operation, device.temp()[0])
    (device.folder / "f").write_bytes(DATA)
    assert device.start() == 0
    assert device.trees.local(operation.entry) is None


def test_a_directory_that_was_made_is_the_entry_that_it_was_to_be(device: Device) -> None:
    operation = MakeDirectory(entry_id("d"), ROOT, "d", Agreed((ROOT, "d"), None, None, None))
    device.note(operation)
    (device.folder / "d").mkdir()
    assert device.start() == 1
    assert device.trees.local(operation.entry) is not None
    assert device.trees.synced(operation.entry) is not None
    device.note(MakeDirectory(entry_id("e"), ROOT, "e", operation.agreed))
    assert device.start() == 0


@pytest.mark.parametrize("by_then", ["saved over", "moved", "deleted"])
def test_what_its_person_went_on_from_was_in_place(device: Device, by_then: str) -> None:
    operation = write(entry_id("f"), "f")
    name, temp = device.temp()
    device.note(operation, name)
    temp.rename(device.folder / "f")
    match by_then:
        case "saved over":
            (device.folder / "draft").write_bytes(b"newer")
            (device.folder / "draft").replace(device.folder / "f")
        case "moved":
            (device.folder / "f").rename(device.folder / "g")
        case _:
            (device.folder / "f").unlink()
    assert device.start() == 1
    local, synced = device.trees.local(operation.entry), device.trees.synced(operation.entry)
    assert local is not None
    assert synced is not None
    assert synced.content_base == VERSION, (
        "what the scan finds or misses is their edit, move or deletion of this version"
    )


@pytest.mark.parametrize("boot", ["another run of the system", ""])
def test_what_a_power_loss_may_have_taken_is_not_taken_for_deleted(device: Device, boot: str) -> None:
    operation = write(entry_id("f"), "f")
    name, temp = device.temp()
    device.note(operation, name)
    temp.unlink()
    assert device.start(boot) == 0
    assert device.trees.local(operation.entry) is None
    assert device.trees.synced(operation.entry) is None


@pytest.mark.parametrize("where", ["tmp", "swap", "rescue"])
def test_what_lies_in_the_private_directory_was_not_in_place(device: Device, where: str) -> None:
    operation = write(entry_id("f"), "f")
    name, temp = device.temp()
    device.note(operation, name)
    temp.rename(device.folder / ".shoal" / where / name)
    (device.folder / "f").write_bytes(b"somebody's own")
    assert device.start() == 0
    assert device.trees.synced(operation.entry) is None
