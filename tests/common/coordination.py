"""A coordinator's use cases over a real database, for tests. Owns a clock set by hand and a notifier that records."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from coordinator.machine import ThreadOffload
from coordinator.ports import BlockPlace, Notice, Transaction
from coordinator.records import Device, User
from coordinator.service import blocks, journal
from coordinator.service.context import Context, Session
from coordinator.service.continuity import Continuity
from coordinator.service.tokens import Tokens
from coordinator.storage.metadata_sql import SqlMetadata, open_metadata
from crypto.identity import SigningKey, sign
from crypto.labels import Label
from protocol.ids import BlockId, WorkspaceId
from protocol.messages import CommitAccepted, CommitRefused, CommitRequest, Refusal, Stored
from protocol.model import Commit
from tests.common.journals import HASHES, TestDevice, TestUser, seed

START_MS = 1_800_000_000_000


@dataclass
class HandClock:
    """Time that passes only when told to."""

    ms: int = START_MS

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return (self.ms - START_MS) / 1000 + 1_000

    def advance(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


@dataclass
class CountingEntropy:
    """Bytes that follow from a counter."""

    count: int = 0

    def bytes(self, count: int) -> bytes:
        self.count += 1
        return seed("entropy", self.count)[:count]


@dataclass
class RecordingNotifier:
    """Keeps what was published."""

    notices: list[Notice] = field(default_factory=list)

    def publish(self, notice: Notice) -> None:
        self.notices.append(notice)


class TestIdentity:
    """A coordinator's key."""

    __test__ = False

    def __init__(self) -> None:
        self.key = SigningKey.from_seed(seed("coordinator"))

    @property
    def public(self) -> bytes:
        return self.key.public

    def sign_offer(self, statement: bytes) -> bytes:
        return sign(Label.SIGN_COORDINATOR, self.key.secret, statement)


@dataclass
class Coordination:
    """The use cases with everything around them at hand."""

    context: Context
    metadata: SqlMetadata
    clock: HandClock
    notifier: RecordingNotifier

    async def know(self, *users: TestUser) -> None:
        """Record users with their whole chains and devices, as joining and pairing would."""

        def write(transaction: Transaction) -> None:
            for user in users:
                chain = user.chain
                transaction.people.add_user(User(user.id, user.name, False, True, START_MS, chain.state))
                for link, link_hash in zip(user.links, chain.link_hashes, strict=True):
                    transaction.people.add_link(user.id, link, link_hash)
                for device, known in chain.devices.items():
                    recipient = known.pairing.recipient if known.pairing else None
                    transaction.people.add_device(Device(device, user.id, known.keys, recipient, True, START_MS, 0))

        await self.metadata.run(write)

    async def propose(self, session: Session, commit: Commit) -> CommitAccepted | CommitRefused | Refusal:
        """Submit a commit."""
        return await journal.commit(self.context, session, CommitRequest(commit))

    async def accept(self, session: Session, *commits: Commit) -> CommitAccepted:
        """Submit commits that must be accepted; the last answer."""
        answer: object = None
        for commit in commits:
            answer = await self.propose(session, commit)
            assert isinstance(answer, CommitAccepted), answer
        assert isinstance(answer, CommitAccepted)
        return answer

    async def upload(self, session: Session, workspace: WorkspaceId, names: Sequence[bytes]) -> Stored | Refusal:
        """Record blocks as sent by this device, each of 1,000 bytes."""
        sent = [
            blocks.Uploaded(BlockId(name), 1_000, BlockPlace("segment", 1_000 * at, 1_000))
            for at, name in enumerate(names)
        ]
        return await blocks.record_upload(self.context, session, workspace, sent)


def session_of(user: TestUser, device: TestDevice | None = None) -> Session:
    """The session that a device would have after signing in; the user's first one by default."""
    return Session((device or user.devices[0]).id, user.id)


@asynccontextmanager
async def open_coordination(
    path: Path | None, *, continuity: Continuity | None = None
) -> AsyncGenerator[Coordination, None]:
    """The use cases over the database at `path` (None: in memory)."""
    clock, entropy, notifier = HandClock(), CountingEntropy(), RecordingNotifier()
    async with open_metadata(path, writer=ThreadOffload(1), readers=ThreadOffload(4)) as metadata:
        context = Context(
            metadata=metadata,
            notifier=notifier,
            clock=clock,
            entropy=entropy,
            identity=TestIdentity(),
            hashes=HASHES,
            addresses=lambda: ("https://coordinator.example:8440",),
            tokens=Tokens(entropy.bytes(32)),
            continuity=continuity or Continuity(),
        )
        yield Coordination(context, metadata, clock, notifier)
