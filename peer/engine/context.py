"""What an engine works with. Owns the bundle of ports and facts that its parts share; does nothing itself."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import trio

from chunking.params import ChunkerParams
from crypto.identity import BoxKey, DeviceKeys
from crypto.keyring import WorkspaceKeyring
from peer.disk.root import Root
from peer.engine.limiting import Limiting
from peer.engine.losses import Losses
from peer.engine.problems import Problems
from peer.lan.presence import Presence
from peer.lan.serving import Turns
from peer.link.coordinator import CoordinatorClient
from peer.ports import Clock, Entropy, Folders, Offload, Watching
from peer.scan.ignore import IgnoreRules
from peer.store.contents import ContentStore
from peer.store.database import Database
from peer.store.journal import JournalState
from peer.store.trees import TreeStore
from peer.store.workspaces import Record
from peer.transfer.counters import Progress, TransferCounters
from protocol.ids import DeviceId, UserId
from protocol.model import Chunker

OFFER_BYTES: Final = 1024 * 1024


@dataclass(frozen=True)
class Machine:
    """The ports and pools of a daemon, shared by its engines. `database_work` runs one thing at a time."""

    clock: Clock
    entropy: Entropy
    database_work: Offload
    disk_work: Offload
    compute: Offload
    watching: Watching
    client: CoordinatorClient
    database: Database
    counters: TransferCounters
    limiting: Limiting
    folders: Folders
    lan: Presence | None = None
    """This device on the local network; None: it stays away from there."""
    turns: Turns = field(default_factory=Turns)
    offer_bytes: int = OFFER_BYTES
    """A file that is not longer is sent before it is committed, whoever is near."""
    boot: str = ""
    """Which run of the operating system this is: while it is the same, a disk has forgotten nothing. Empty: unknown."""


@dataclass(frozen=True)
class Identity:
    """Who this device is."""

    device: DeviceId
    device_name: str
    user: UserId
    keys: DeviceKeys
    pairing: BoxKey | None = None
    """The box key of the pairing that this device came with: keys may be sealed to that."""

    @property
    def boxes(self) -> tuple[BoxKey, ...]:
        """The keys that this device can open boxes with."""
        return (self.keys.box,) if self.pairing is None else (self.keys.box, self.pairing)


class Signal:
    """Something is to be looked at. Set any number of times, waited for by one task."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def set(self) -> None:
        """Wake the waiting task, now or when it next waits."""
        self._event.set()

    @property
    def is_set(self) -> bool:
        """Whether somebody is waiting to be heard."""
        return self._event.is_set()

    async def wait(self, timeout_s: float | None = None) -> None:
        """Until it is set, or for `timeout_s`; then it is unset."""
        with trio.move_on_after(float("inf") if timeout_s is None else max(0.0, timeout_s)):
            await self._event.wait()
        self._event = trio.Event()


@dataclass
class Context:
    """One mounted workspace at work. `changed` is called after anything that a person could see."""

    machine: Machine
    identity: Identity
    record: Record
    root: Root
    trees: TreeStore
    journal: JournalState
    contents: ContentStore
    signal: Signal
    changed: Callable[[], None]
    problems: Problems
    rules: IgnoreRules = field(default_factory=IgnoreRules)
    up: Progress = field(default_factory=Progress)
    down: Progress = field(default_factory=Progress)
    losses: Losses = field(init=False)

    def __post_init__(self) -> None:
        self.losses = Losses(self.machine.clock)

    @property
    def keyring(self) -> WorkspaceKeyring:
        """The workspace's keys."""
        return self.record.keyring

    @property
    def chunker(self) -> Chunker:
        """How the workspace's files are cut, as recorded in its genesis."""
        return self.record.founding.chunker

    @property
    def chunker_params(self) -> ChunkerParams:
        """The same for the cutter."""
        its = self.chunker
        return ChunkerParams(min_size=its.min_size, avg_size=its.avg_size, max_size=its.max_size)

    @property
    def online(self) -> bool:
        """Whether the coordinator can be reached."""
        return self.machine.client.status.current.state == "connected"
