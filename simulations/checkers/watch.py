"""Somebody who looks at a world at every step, and at what it has come to. Owns which checker is asked when.

Steps are: each call by which a program changes its disk, each commit of a device's database, each row of the journal,
each loss of power. Nothing that is done here takes time, draws, or is in the trace.
"""

import sqlite3
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import trio

from coordinator.storage.metadata_sql import METADATA_FILE
from crypto.digest import file_digest
from peer.control.messages import WorkspaceStatus
from protocol import limits
from protocol.codec import decode
from protocol.model import Body
from simulations.checkers.a01_destruction import destroyed
from simulations.checkers.a03_evidence import Evidence
from simulations.checkers.a05_row_and_disk import watch_loss
from simulations.checkers.a06_order import Cursors, Order
from simulations.checkers.a07_chain import Chain
from simulations.checkers.a08_compare_and_swap import Heads
from simulations.checkers.a09_references import References
from simulations.checkers.a13_tree import Trees
from simulations.checkers.a14_partial import misplaced
from simulations.checkers.a15_containment import escaped
from simulations.checkers.a17_ciphertext import readable
from simulations.checkers.a20_bounds import left_over, too_many_handles
from simulations.checkers.disk_calls import CHANGES, DiskCalls, Place
from simulations.checkers.journal import Committed, Journal, Keyrings
from simulations.checkers.l01_convergence import JournalTree, Tree, disk_tree, diverged
from simulations.checkers.l05_idle import Activity
from simulations.checkers.l08_explained import rests, unexplained
from simulations.checkers.reading import Reader, look_up
from simulations.checkers.versions import MOST_BYTES, Versions
from simulations.coordinating import BLOCKS, SimCoordinator
from simulations.devices import SimDevice
from simulations.disk import Content, SimFilesystem
from simulations.ledger import Ledger

_WORDS: Final = (b"conflicted copy", b"directory")
"""What is in people's names and nowhere in the coordinator's own."""
_WORD_BYTES: Final = 14
_LOOK_S: Final = 5.0
_PROVISIONAL: Final = (
    "SELECT s.id, v.change, v.body FROM versions v JOIN workspaces s ON s.w = v.w "
    "WHERE v.seq > s.seq AND v.body IS NOT NULL"
)
REST_S: Final = 60.0
"""So long after all have the same, all say that they rest."""
MOST_TOLD: Final = 20
"""So many broken promises of a world are told: the first ones say most."""


class Watch:
    """Looks at one world. `fail` is told of each broken promise, at most `MOST_TOLD` times; `stored` of each commit of
    a device's database, with the connection that it is read by here."""

    def __init__(
        self,
        coordinator: SimCoordinator,
        carried: Callable[[], dict[str, int]],
        fail: Callable[[str], None],
        stored: Callable[[str, sqlite3.Connection], None],
    ) -> None:
        self._fail = fail
        self._stored = stored
        self._carried = carried
        self._told: set[str] = set()
        self._coordinator = coordinator
        self._lives = coordinator.lives
        self._devices: dict[str, SimDevice] = {}
        self._names: dict[bytes, str] = {}
        self._doubled: set[bytes] = set()
        self._keyrings = Keyrings()
        self.versions = Versions()
        self.order = Order()
        database = coordinator.place / METADATA_FILE
        self.references = References(database, coordinator.disk, BLOCKS)
        self._journal = Journal(database, self._keyrings, self._committed)
        self._row_checks: list[Callable[[Committed], str | None]] = [
            self.order,
            Chain(),
            Heads(),
            Trees(),
            self.references,
        ]
        self._cursors: list[_Cursor] = []
        self._trees: dict[bytes, JournalTree] = {}
        self._rows = 0
        self._changes: dict[str, int] = {}
        self._views: dict[str, SimFilesystem] = {}
        self._words: Callable[[], Iterable[bytes]] = tuple
        coordinator.committed = self._read_journal

    def look_at(self, device: SimDevice) -> None:
        """One more device, which has not begun to run."""
        calls = DiskCalls(device.name)
        self._devices[device.name] = device
        self._changes[device.name] = 0
        self._keyrings.databases.append(device.home.database)

        def look(view: SimFilesystem, call: str, arguments: tuple[object, ...]) -> None:
            if call not in CHANGES:
                if call == "open_dir":
                    self._views[device.name] = view
                    self.tell(too_many_handles(device.name, view.opened))
                return
            resolved = calls.resolve(view, call, arguments)
            if resolved is not None:
                self._changes[device.name] += any(name.place is Place.PEOPLE for name in resolved.names)
                self.tell(destroyed(resolved, self.versions, lambda content: self._is_elsewhere(device, content)))
                self.tell(misplaced(resolved, self.versions))
                self.tell(escaped(resolved))

        cursor = _Cursor(device, Cursors(device.name, self.order), self._handed)
        self._cursors.append(cursor)
        device.disk.looking = look
        device.disk.before_loss = lambda: watch_loss(device.name, device.home.database, device.disk, self.tell)

        def committed() -> None:
            self.tell(cursor.look())
            self._stored(device.name, cursor.reading)

        device.committed = committed

    def _is_elsewhere(self, device: SimDevice, content: Content) -> bool:
        others = (one for one in self._devices.values() if one is not device)
        return any(one.disk.volume.has(content) for one in others)

    def note_twin(self, device: SimDevice) -> None:
        """Another machine is this device as well: whose person did something cannot be told from now on."""
        self._doubled.add(bytes(device.home.read_identity().device))

    def follow(self, ledger: Ledger) -> None:
        """From now on people's deeds are in this ledger."""
        self._row_checks.append(Evidence(ledger, self._author, self._digest))
        self._words = lambda: (
            *_WORDS,
            *(content.data()[:_WORD_BYTES] for content in list(ledger.contents.values())[:1]),
        )

    def tell(self, wrong: str | None) -> None:
        """A promise was broken, or none."""
        if wrong is not None and wrong not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(wrong)
            self._fail(wrong)

    def end(self) -> None:
        """The world is at its end: look at what is there for good, and let go of all files."""
        self.tell(self.references.all_there())
        for wrong in readable(self._at_the_coordinator(), self._words()):
            self.tell(wrong)
        self._journal.end()
        self.references.reader.end()
        for cursor in self._cursors:
            cursor.end()

    # --- at rest ------------------------------------------------------------------------------------------

    def activity(self) -> Activity:
        """What has been done so far."""
        return Activity(self._rows, dict(self._changes), sum(self._carried().values()))

    async def look_at_rest(self, share: str | None = None) -> None:
        """All that people share, or one of it, is the same on all devices that run. What must be so then?"""
        running = [one for one in self._devices.values() if one.runs]
        ends_s = trio.current_time() + REST_S
        while True:
            statuses = await self._statuses(running, share)
            if all(rests(status) for _, status in statuses) or trio.current_time() > ends_s:
                break
            await trio.sleep(1.0)
        found: dict[bytes, dict[str, Tree]] = {}
        for device, status in statuses:
            self.tell(unexplained(device.name, status, in_step=True))
            workspace = bytes.fromhex(status.id)
            digest = partial(self._digest, workspace)
            found.setdefault(workspace, {})[device.name] = disk_tree(device.disk, status.folder, digest)
        for workspace, trees in found.items():
            for wrong in diverged(self._trees[workspace].tree(), trees):
                self.tell(wrong)
        tasks = trio.lowlevel.current_statistics().tasks_living
        for wrong in left_over(
            {one.name: self._views[one.name].opened for one in running if one.name in self._views}, tasks
        ):
            self.tell(wrong)

    async def come_to_rest(self, folder: str, within_s: float) -> bool:
        """Wait until all devices have in this folder what the journal says. Only looks: who asks a device has it look
        around, and hides that it would not have done so by itself. Whether they came to it in that time."""
        ends_s = trio.current_time() + within_s
        while True:
            wrong = self._differing(folder)
            if not wrong:
                return True
            if trio.current_time() > ends_s:
                self.tell(f"L1 divergence: by themselves devices are not in step after {within_s:.0f} s: {wrong[:6]}")
                return False
            await trio.sleep(_LOOK_S)

    async def look_for_causes(self) -> None:
        """A world has not come to rest: do the devices that have something else than the journal say so?"""
        for device, status in await self._statuses([one for one in self._devices.values() if one.runs], None):
            workspace = bytes.fromhex(status.id)
            tree = disk_tree(device.disk, status.folder, partial(self._digest, workspace))
            if diverged(self._trees[workspace].tree(), {device.name: tree}):
                self.tell(unexplained(device.name, status, in_step=False))

    def _differing(self, folder: str) -> list[str]:
        found: list[str] = []
        for workspace, journal in self._trees.items():
            digest = partial(self._digest, workspace)
            trees = {name: disk_tree(one.disk, folder, digest) for name, one in self._devices.items() if one.runs}
            found += diverged(journal.tree(), trees)
        return found

    @staticmethod
    async def _statuses(devices: list[SimDevice], share: str | None) -> list[tuple[SimDevice, WorkspaceStatus]]:
        found = [(device, status) for device in devices for status in (await device.status()).workspaces]
        return [(device, status) for device, status in found if share in (None, status.name)]

    # --- how ----------------------------------------------------------------------------------------------

    def _read_journal(self) -> None:
        if self._lives != self._coordinator.lives:
            self._lives = self._coordinator.lives
            self._journal.end()
            self.references.reader.end()
        self._journal.read()

    def _committed(self, committed: Committed) -> None:
        self._rows += 1
        for check in self._row_checks:
            self.tell(check(committed))
        self._trees.setdefault(committed.workspace, JournalTree())(committed)
        keyring = self._keyrings.of(committed.workspace)
        for version in committed.versions:
            if version.body is not None and keyring is not None:
                if version.body.digest is not None:
                    self.versions.note(committed.workspace, keyring.fixed, version.body.digest)
                if version.body.target is not None:
                    self.versions.note_link(committed.workspace, keyring.fixed, version.body.target)

    def _handed(self, workspace: bytes, packed: bytes) -> None:
        keyring = self._keyrings.of(workspace)
        if keyring is not None:
            self.versions.note_handed(workspace, keyring.fixed, decode(Body, packed, limits.SEALED_BYTES))

    def _author(self, device: bytes) -> str | None:
        if device in self._doubled:
            return None
        if device not in self._names:
            joined = (one for one in self._devices.values() if one.home.has_joined())
            self._names = {bytes(one.home.read_identity().device): one.name for one in joined}
        return self._names.get(device)

    def _digest(self, workspace: bytes, data: bytes) -> bytes:
        keyring = self._keyrings.of(workspace)
        assert keyring is not None
        return file_digest(keyring.fixed, data)

    def _at_the_coordinator(self) -> dict[str, bytes]:
        files = sorted(path for path in self._coordinator.place.rglob("*") if path.is_file())
        places = {path.name: path.read_bytes() for path in files}
        directory = look_up(self._coordinator.disk, BLOCKS)
        for name, entry in {} if directory is None else directory.children.items():
            if entry.inode.content.size <= MOST_BYTES:
                places[name] = bytes(entry.inode.content)
        return places


class _Cursor:
    """A device's cursors, looked up after each commit of its database, through a connection for each of its lives."""

    def __init__(self, device: SimDevice, check: Cursors, handed: Callable[[bytes, bytes], None]) -> None:
        self._device = device
        self._check = check
        self._handed = handed
        self._seen: set[bytes] = set()
        self._reader = Reader(device.home.database)
        self._lives = 0
        self._images = 0

    def look(self) -> str | None:
        """The broken promise, if what is there now breaks one."""
        device = self._device
        if self._images != device.images:
            self._images = device.images
            self._check.forget()
        if self._lives != device.lives:
            self._lives = device.lives
            self._reader.end()
        reading = self._reader.connection
        if reading.execute("SELECT 1 FROM before LIMIT 1").fetchone() is not None:
            for workspace, change, packed in reading.execute(_PROVISIONAL):
                if change not in self._seen:
                    self._seen.add(change)
                    self._handed(workspace, packed)
        return self._check(reading.execute("SELECT id, seq, log_hash FROM workspaces").fetchall())

    @property
    def reading(self) -> sqlite3.Connection:
        """What it looks through."""
        return self._reader.connection

    def end(self) -> None:
        """Let go of the database."""
        self._reader.end()
