"""What the coordinator stands on: storage, wake-ups, time, randomness, files and threads, as promises.

Owns the protocols and the small values that pass through them. Never names an implementation: the real ones are
made in `app`, the simulated ones in the simulator's world. Every implementation passes the same contract tests.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from coordinator.records import BlockIndex, BlockPlace, Facts, Journals, Offers, People
from protocol.ids import BlockId, DeviceId, LogHash, UserId, WorkspaceId
from protocol.model import JournalRow

__all__ = [
    "BlockFile",
    "BlockFiles",
    "BlockPlace",
    "BlockStore",
    "ChainGrew",
    "Clock",
    "Committed",
    "DeviceDropped",
    "Entropy",
    "FileFacts",
    "Files",
    "Identity",
    "MetadataStore",
    "Notice",
    "Notifier",
    "Offload",
    "StorageUnavailable",
    "Transaction",
]

T = TypeVar("T")


class StorageUnavailable(Exception):
    """The metadata could not be written. Nothing that this answers was kept for sure; ask again later.

    `full` says that the disk has no room. The text is for the host's log, not for a device.
    """

    def __init__(self, why: str, *, full: bool = False) -> None:
        super().__init__(why)
        self.full = full


class Clock(Protocol):
    """Time. The two readings never mix."""

    def now_ms(self) -> int:
        """Milliseconds since 1970, as the machine believes; may jump either way."""

    def monotonic_s(self) -> float:
        """Seconds since some moment; never goes back."""


class Entropy(Protocol):
    """Randomness fit for keys and tokens."""

    def bytes(self, count: int) -> bytes:
        """`count` unpredictable bytes."""


class Offload(Protocol):
    """Work that would block the event loop, done elsewhere (inline in a simulation)."""

    async def run(self, function: Callable[[], T]) -> T:
        """The result of `function()`; its exceptions come through.

        At most as many run at a time as the resource allows. Once begun it is waited for, cancelled or not.
        """


class FileFacts(NamedTuple):
    """What tells a file from a copy of it."""

    inode: int
    ctime_ns: int


class Files(Protocol):
    """The few small files that the coordinator keeps beside its database."""

    def facts(self, path: Path) -> FileFacts | None:
        """Inode and change time, or None where there is no such file."""

    def read(self, path: Path) -> bytes | None:
        """The whole file, or None where there is none."""

    def write(self, path: Path, data: bytes, *, private: bool = False) -> None:
        """Replace the file as a whole and durably; mode 0600 where `private`."""


class BlockFile(Protocol):
    """An open file of a directory of blocks. Errors are `OSError`."""

    def size(self) -> int:
        """Its length in bytes."""

    def read(self, length: int, offset: int) -> bytes:
        """At most `length` bytes from `offset` on; fewer at the end."""

    def write(self, parts: Sequence[bytes | memoryview], offset: int) -> int:
        """Write the parts one after the other, and return how many bytes were; possibly few."""

    def truncate(self, size: int) -> None:
        """Set the length."""

    def flush(self) -> None:
        """Make its bytes survive a power loss. After an error what was not flushed may be lost without another."""

    def close(self) -> None:
        """Let go of it."""


class BlockFiles(Protocol):
    """One directory of large files. Names are plain ones. Errors are `OSError`."""

    def prepare(self) -> None:
        """Make the directory if it is not there."""

    def names(self) -> list[str]:
        """What is in it, in no order."""

    def has(self, name: str) -> bool:
        """Whether something has that name; no where the directory is gone."""

    def free_bytes(self) -> int:
        """How much may still be written."""

    def make(self, name: str) -> BlockFile:
        """Make a file, open for both; `FileExistsError`. Its name may not survive a power loss yet."""

    def open(self, name: str, *, writes: bool) -> BlockFile:
        """Open a file; `FileNotFoundError`. Never follows a link."""

    def flush_names(self) -> None:
        """Make what was made survive a power loss."""


class Identity(Protocol):
    """The coordinator's own key, made once and moved with its data."""

    @property
    def public(self) -> bytes:
        """The Ed25519 public key, 32 bytes."""

    def sign_offer(self, statement: bytes) -> bytes:
        """Signature of a login challenge, under the label for that alone; 64 bytes."""


class Transaction(Protocol):
    """One transaction's view of the metadata, reads and writes. Valid only within its use case's call."""

    @property
    def people(self) -> People:
        """Users, devices, invitations, pairings."""

    @property
    def journals(self) -> Journals:
        """Workspaces, commits, entry heads, members, sealed keys."""

    @property
    def blocks(self) -> BlockIndex:
        """Which blocks are stored where, who uploaded them, which workspaces refer to them."""

    @property
    def offers(self) -> Offers:
        """Versions that are not durable yet."""

    @property
    def facts(self) -> Facts:
        """Small named values about this database itself."""


class MetadataStore(Protocol):
    """Durable, transactional metadata. One use case is one plain function of a transaction.

    A use case runs in a worker thread: it must not touch the event loop, await, or keep the transaction.
    """

    def run(self, use_case: Callable[[Transaction], T]) -> Awaitable[T]:
        """Run it with writes. Returned is its value, once all of it is durable.

        Use cases are serial: each sees all that ran before it. One that raises changes nothing, and the exception
        comes through. Raises `StorageUnavailable` where the storage itself fails. Many may share one flush of the
        disk. Once submitted, it is waited for, cancelled or not.
        """

    def read(self, use_case: Callable[[Transaction], T]) -> Awaitable[T]:
        """Run it on one consistent, recent snapshot that includes every `run` that has returned. It cannot write."""


class BlockStore(Protocol):
    """Block bytes in append-only segments. Knows nothing of users or of which block is needed."""

    async def put_batch(self, blocks: Sequence[tuple[BlockId, bytes]]) -> list[BlockPlace]:
        """Store the blocks, in order; durable on return (one flush). The caller has verified the ids.

        Raises `OSError` (`ENOSPC` for a full disk); what was stored then is unreferenced space.
        """

    async def get(self, blocks: Sequence[tuple[BlockId, BlockPlace]]) -> list[bytes | None]:
        """The bytes of each, verified by hash; None for one that is missing or damaged.

        Raises `StorageUnavailable` where the store as a whole is not there.
        """

    async def have(self, blocks: Sequence[tuple[BlockId, BlockPlace]]) -> list[bool]:
        """Whether bytes of that length are there (not verified)."""

    async def delete(self, places: Sequence[BlockPlace]) -> None:
        """Give the space back, now or at a later compaction. Unknown places are ignored."""

    def scan(self) -> AsyncIterator[tuple[BlockId, BlockPlace]]:
        """Every block found in the segments, in no particular order; an unfinished tail is left out."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A workspace's journal grew, or its set of versions that are not durable changed.

    `audience`: the devices that could read it when it did. `rows` are the new commits. Notices of one workspace may
    arrive out of order: the highest `head_seq` counts, and the highest `durability`.
    """

    workspace: WorkspaceId
    head_seq: int
    head_hash: LogHash
    rows: tuple[JournalRow, ...]
    audience: frozenset[DeviceId]
    durability: int = 0


@dataclass(frozen=True, slots=True)
class ChainGrew:
    """A user's chain has this length now. `audience`: that user's devices."""

    user: UserId
    length: int
    audience: frozenset[DeviceId]


@dataclass(frozen=True, slots=True)
class DeviceDropped:
    """A device may do nothing any more: close what it has open."""

    device: DeviceId


Notice = Committed | ChainGrew | DeviceDropped


class Notifier(Protocol):
    """Wakes connected devices."""

    def publish(self, notice: Notice) -> None:
        """Tell those concerned, soon. Called on the event loop after the change is durable; never waits or raises.

        A lost notice costs a device one poll, never data.
        """
