"""New keys: the revoked device opens nothing of what comes, all others do, and of two who begin an epoch one does."""

from collections.abc import Iterator
from dataclasses import replace as replaced

import pytest

from crypto import sealing
from crypto.digest import name_key
from crypto.identity import BoxKey
from crypto.keyring import WorkspaceKeyring
from peer.engine import epochs, founding
from peer.engine.context import Identity
from peer.link.chain import judge_received
from peer.store import workspaces
from peer.store.database import Database, open_database
from peer.store.journal import HASHES, JournalState, Taken, take_rows
from peer.store.trees import TreeStore
from protocol.codec import decode, encode
from protocol.ids import ROOT, NameKey
from protocol.messages import CommitReason, WorkspaceInfo
from protocol.model import (
    Body,
    Change,
    Clear,
    Commit,
    CommitBody,
    DeviceAdded,
    DeviceRevoked,
    Entries,
    Header,
    JournalRow,
    KeysRotated,
    Kind,
    NewEpoch,
    Role,
    SealedKey,
    lists_bytes,
    sealed_context,
)
from protocol.rules import Delta, Refused, judge
from protocol.state import MemoryState
from tests.common.journals import HOUR_MS, TestDevice, TestUser, entry_id, seed, signed_commit
from tests.common.link_server import SeededEntropy


class World:
    """A workspace made by ana's first device, and its journal, judged as the coordinator would."""

    def __init__(self, *names: str) -> None:
        self.ana = TestUser("ana")
        for name in names:
            self.ana.pair(name)
        first = self.ana.devices[0]
        self.entropy = SeededEntropy(7)
        made = founding.make_genesis("Docs", first.secret, self.ana.links, self.ana.chain, self.entropy, 0)
        self.workspace, self.genesis, self.keyring = made
        self.state, self.rows = MemoryState(), list[JournalRow]()
        self.accept(self.genesis)

    def judge(self, commit: Commit) -> Delta | CommitReason:
        verdict = judge(self.state, commit, HASHES)
        if isinstance(verdict, Refused):
            return verdict.reason
        assert isinstance(verdict, Delta)
        return verdict

    def accept(self, commit: Commit) -> None:
        verdict = self.judge(commit)
        assert isinstance(verdict, Delta), verdict
        self.state.apply(verdict)
        self.rows.append(JournalRow(verdict.workspace.seq, verdict.workspace.log_hash, 1_000, commit))


class Side:
    """One device with its store; `box_keys` are what it can open boxes with."""

    def __init__(
        self, world: World, device: TestDevice, database: Database, keyring: WorkspaceKeyring | None = None
    ) -> None:
        self.world, self.device, self.database = world, device, database
        ring = keyring or world.keyring
        self.record = workspaces.add(database, world.workspace, f"Docs {device.name}", ring, world.genesis)
        self.trees = TreeStore(database, self.record.w)
        self.journal = JournalState(database, self.record.w)
        self.identity = Identity(device.id, device.name, world.ana.id, device.secret)
        self.read()

    @property
    def ring(self) -> WorkspaceKeyring:
        return self.record.keyring

    def read(self) -> Taken:
        """What is new of the journal, row by row."""
        taken = Taken(0, (), (), None)
        for row in self.world.rows[self.journal.workspace.seq :]:
            taken = take_rows(self.database, self.journal, self.trees, self.ring, self.record.founding.chunker, [row])
            assert taken.invalid is None, taken
            if taken.lacks_key:
                break
            self.record = epochs.take_up(self.database, self.journal, self.record, self.identity.boxes)
        return taken

    def due(self, now_ms: int = 0) -> CommitBody | None:
        """What it would enter into the journal next."""
        known = judge_received(tuple(self.world.ana.links))
        return epochs.next_control(
            self.database, self.journal, self.record, self.identity, known, self.world.entropy, now_ms
        )

    def sign(self, body: CommitBody) -> Commit:
        here, known = self.journal.workspace, self.world.state.device(self.device.id)
        last = 0 if known is None else known.last_number
        header = Header(1, here.workspace, self.device.id, last + 1, last, here.seq, here.log_hash, 0)
        return signed_commit(self.device, header, body)

    def enter(self, now_ms: int = 0) -> CommitBody:
        """Commit what is due."""
        body = self.due(now_ms)
        assert body is not None
        self.world.accept(self.sign(body))
        self.read()
        return body

    def put(self, label: str) -> None:
        """Commit a directory under the current epoch's key."""
        keys = self.ring.epoch(self.journal.workspace.epoch)
        assert keys is not None
        key = NameKey(name_key(self.ring.fixed, ROOT, label))
        clear = Clear(entry_id(label), ROOT, Kind.DIRECTORY, None, key, False, False, keys.epoch, 0, None)
        bound = sealed_context(self.world.workspace, clear, HASHES.lists_hash(lists_bytes(b"", b"")))
        body = Body(label, 0, 0, False, None, None, None, None)
        sealed = sealing.seal(keys.seal, self.world.entropy.token(24), encode(body), bound)
        self.world.accept(self.sign(Entries((Change(clear, sealed, b"", b""),))))
        self.read()

    def reads(self, label: str) -> bool:
        row = self.database.one("SELECT usable FROM remote WHERE w = ? AND entry = ?", (self.record.w, entry_id(label)))
        return row is not None and bool(row[0])


@pytest.fixture
def databases() -> Iterator[list[Database]]:
    with open_database(None) as a, open_database(None) as b, open_database(None) as c, open_database(None) as d:
        yield [a, b, c, d]


def sides(world: World, databases: list[Database]) -> Iterator[Side]:
    """Every device of the world, with a database each."""
    return (Side(world, device, each) for device, each in zip(world.ana.devices, databases, strict=False))


def rotation(body: CommitBody) -> NewEpoch:
    found = epochs.rotation_of(body)
    assert found is not None
    return found


def test_who_is_revoked_reads_nothing_of_what_comes_and_all_others_do(databases: list[Database]) -> None:
    world = World("phone", "tablet")
    laptop, phone, tablet = sides(world, databases)
    laptop.put("before")
    assert laptop.due() is None
    world.ana.revoke(phone.device)
    assert isinstance(laptop.enter(), DeviceRevoked)
    assert laptop.due() is None
    laptop.put("after")
    taken = phone.read()  # had it been served the rows
    assert taken.lacks_key
    assert phone.ring.epochs == (1,)
    assert not phone.reads("after")
    tablet.read()
    assert tablet.reads("before")
    assert tablet.reads("after")
    assert tablet.ring.epochs == (1, 2)
    assert tablet.due() is None


def test_a_chunk_is_named_alike_and_a_name_found_alike_in_every_epoch(databases: list[Database]) -> None:
    world = World("phone")
    laptop = Side(world, world.ana.devices[0], databases[0])
    before = laptop.ring.fixed
    world.ana.revoke(world.ana.devices[1])
    laptop.enter()
    assert laptop.ring.fixed == before


def test_an_unused_pairing_and_a_device_that_was_never_added_get_the_keys_and_an_expired_pairing_does_not(
    databases: list[Database],
) -> None:
    world = World("phone")
    laptop = Side(world, world.ana.devices[0], databases[0])
    waiting, expired = world.ana.admit("waiting", expires=HOUR_MS), world.ana.admit("expired", expires=10)
    never = world.ana.pair("never")
    world.ana.revoke(world.ana.devices[1])
    laptop.put("before")
    body = laptop.enter(now_ms=1_000)
    recipients = {sealed.recipient for sealed in rotation(body).keys}
    assert recipients == {laptop.device.id, never.id, waiting.box.public[:16]}
    laptop.put("after")
    assert expired.box.public[:16] not in recipients
    paired = world.ana.use(waiting, "paired")
    late = Side(world, paired, databases[1])
    late.identity = replaced(late.identity, pairing=BoxKey(waiting.box.public, waiting.box.secret))
    late.record = epochs.take_up(late.database, late.journal, late.record, late.identity.boxes)
    late.read()
    assert late.reads("after")


def test_of_two_that_revoke_at_once_one_does_and_the_other_has_nothing_left_to_do(databases: list[Database]) -> None:
    world = World("phone", "tablet")
    laptop, phone, tablet = sides(world, databases)
    world.ana.revoke(phone.device)
    first, second = laptop.due(), tablet.due()
    assert first is not None
    assert second is not None
    late = tablet.sign(second)
    world.accept(laptop.sign(first))
    assert world.judge(late) is CommitReason.CONTROL_MOVED
    for side in (laptop, tablet):
        side.read()
        assert side.due() is None
        assert side.ring.epochs == (1, 2)
    assert laptop.ring == tablet.ring


def test_who_comes_later_reads_the_whole_history(databases: list[Database]) -> None:
    world = World("one", "two", "three")
    laptop = Side(world, world.ana.devices[0], databases[0])
    for number, device in enumerate(world.ana.devices[1:], 1):
        laptop.put(f"in epoch {number}")
        world.ana.revoke(device)
        laptop.enter()
    laptop.put("in epoch 4")
    assert laptop.ring.epochs == (1, 2, 3, 4)
    late = Side(world, world.ana.pair("late"), databases[1], laptop.ring)
    assert late.ring.epochs == (1, 2, 3, 4)
    assert all(late.reads(f"in epoch {number}") for number in (1, 2, 3, 4))
    assert isinstance(late.due(), DeviceAdded)


def test_older_keys_come_with_the_newest_one(databases: list[Database]) -> None:
    world = World("one", "two", "three")
    laptop = Side(world, world.ana.devices[0], databases[0])
    for device in world.ana.devices[1:]:
        world.ana.revoke(device)
        laptop.enter()
    workspaces.set_keyring(laptop.database, laptop.record.w, laptop.ring.only((1, 4)))
    held = workspaces.reread(laptop.database, laptop.record)
    assert held.keyring.epochs == (1, 4)
    assert epochs.take_up(laptop.database, laptop.journal, held, ()).keyring == laptop.ring
    assert workspaces.reread(laptop.database, held).keyring == laptop.ring
    workspaces.set_keyring(laptop.database, laptop.record.w, laptop.ring.only((1, 3)))
    held = workspaces.reread(laptop.database, laptop.record)
    assert epochs.take_up(laptop.database, laptop.journal, held, ()).keyring.epochs == (1, 2, 3)


def test_a_key_other_than_the_one_committed_to_counts_for_nothing_whoever_handed_it_over(
    databases: list[Database],
) -> None:
    world = World("phone")
    laptop = Side(world, world.ana.devices[0], databases[0])
    world.ana.revoke(world.ana.devices[1])
    laptop.enter()
    laptop.put("after")
    late = world.ana.pair("late")
    false = world.keyring.with_epoch(2, seed("of somebody who was revoked"))
    side = Side(world, late, databases[1], false)
    assert side.ring.epochs == (1,)
    assert not side.reads("after")
    assert side.due() is not None  # it may still add itself, and be handed the right one
    (box,) = founding.seal_keys(laptop.ring, world.ana.chain, [late.secret.box.public], SeededEntropy(3))
    (other,) = founding.seal_keys(false, world.ana.chain, [late.secret.box.public], SeededEntropy(4))
    for keys, held in (((other,), (1,)), ((box,), (1, 2)), ((other,), (1, 2))):
        info = info_of(world, keys)
        side.record = epochs.take_over(side.database, side.journal, side.record, info, side.identity.boxes)
        assert side.ring.epochs == held
    side.read()
    assert side.reads("after")


def info_of(world: World, keys: tuple[SealedKey, ...]) -> WorkspaceInfo:
    fields = {"workspace": world.workspace, "genesis": world.genesis, "keys": keys, "role": Role.OWNER, "members": ()}
    given = {name: fields.get(name, 0) for name in WorkspaceInfo.__struct_fields__}
    return WorkspaceInfo(**given)  # type: ignore[arg-type]


def test_what_an_editors_revocation_leaves_due_a_manager_makes_up_for_once(databases: list[Database]) -> None:
    world = World("phone", "tablet")
    laptop, phone, tablet = sides(world, databases)

    def be(role: Role) -> None:
        world.state.roles[world.ana.id] = role
        for side in (laptop, tablet):
            with side.database.transaction():
                side.database.run("UPDATE members SET role = ? WHERE w = ?", (int(role), side.record.w))

    be(Role.EDITOR)
    world.ana.revoke(phone.device)
    body = tablet.enter()
    assert isinstance(body, DeviceRevoked)
    assert body.rotation is None
    assert tablet.due() is None
    laptop.read()
    be(Role.MANAGER)
    assert isinstance(laptop.enter(), KeysRotated)
    tablet.read()
    assert laptop.due() is None
    assert tablet.due() is None
    assert laptop.ring.epochs == tablet.ring.epochs == (1, 2)


def test_a_device_that_came_with_the_longer_chain_makes_the_keys_that_are_due(databases: list[Database]) -> None:
    world = World("phone")
    laptop = Side(world, world.ana.devices[0], databases[0])
    world.ana.revoke(world.ana.devices[1])
    late = Side(world, world.ana.pair("late"), databases[1])
    assert isinstance(late.enter(), DeviceAdded)
    assert isinstance(late.enter(), KeysRotated)
    laptop.read()
    assert laptop.due() is None
    assert laptop.ring == late.ring


def test_a_device_that_lacks_a_key_hands_none_on(databases: list[Database]) -> None:
    world = World("phone", "tablet")
    laptop = Side(world, world.ana.devices[0], databases[0])
    world.ana.revoke(world.ana.devices[1])
    laptop.enter()
    late = Side(world, world.ana.pair("late"), databases[1])
    world.accept(late.sign(late.due() or DeviceAdded(bytes(32), world.ana.id, ())))  # type: ignore[arg-type]
    late.read()
    assert late.ring.epoch(2) is None
    world.ana.revoke(world.ana.devices[2])
    assert late.due() is None
    laptop.read()
    assert isinstance(laptop.enter(), DeviceRevoked)
    late.read()
    assert late.ring.epochs == (1, 2, 3)


def test_of_very_many_keys_as_many_are_handed_over_as_fit_a_box() -> None:
    many = founding.HANDED_EPOCHS + 100
    ring = WorkspaceKeyring(seed("salt")[:16], seed("fixed"), {number: seed(number) for number in range(1, many + 1)})
    ana = TestUser("ana")
    (sealed,) = founding.seal_keys(ring, ana.chain, [ana.devices[0].secret.box.public], SeededEntropy(1))
    assert decode(SealedKey, encode(sealed), 100_000) == sealed
    (opened,) = founding.opened_rings([sealed], ring.salt, [ana.devices[0].secret.box])
    assert opened.epochs == (1, *range(102, many + 1))
