"""People, devices and journals for tests of the rules. Owns making signed things with real keys from small numbers.

Sealed parts are opaque bytes here: the judge never opens one.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from crypto.identity import DeviceKeys as SecretKeys
from crypto.identity import SigningKey, sign
from crypto.invitation import InvitationKeys
from crypto.journal_chain import JournalHashes
from crypto.labels import Label
from protocol import model
from protocol.chains import UserChain, judge_chain
from protocol.ids import (
    NO_LINK,
    NO_LOG,
    NO_USER,
    NO_WORKSPACE,
    ROOT,
    ChangeId,
    CommitDigest,
    DeviceId,
    EntryId,
    LinkHash,
    LogHash,
    NameKey,
    UserId,
    WorkspaceId,
)
from protocol.model import (
    AnyChange,
    Change,
    Chunker,
    Clear,
    Commit,
    CommitBody,
    DeviceAdded,
    DeviceKeys,
    DevicePaired,
    DeviceRevoked,
    Entries,
    Founded,
    Genesis,
    Header,
    KeysRotated,
    Kind,
    Link,
    LinkBody,
    NewEpoch,
    PairingAdmitted,
    Revocation,
    SealedKey,
    Seen,
    SignedLink,
)
from protocol.rules import Delta, Verdict, digest_of, judge
from protocol.state import MemoryState

HASHES = JournalHashes()
CHUNKER = Chunker("fastcdc2020", 65_536, 262_144, 2_097_152)
NO_SIGNATURE = bytes(64)
HOUR_MS = 3_600_000


def seed(*parts: object) -> bytes:
    """32 bytes that follow from the parts."""
    return hashlib.sha256(repr(parts).encode()).digest()


def entry_id(label: object) -> EntryId:
    """An entry id that follows from a label."""
    return EntryId(seed("entry", label)[:16])


def block_id(label: object) -> bytes:
    """A block id that follows from a label."""
    return seed("block", label)


def key_of(parent: bytes, name: str) -> NameKey:
    """A stand-in for the keyed hash of parent and name."""
    return NameKey(seed("name", parent, name)[:16])


@dataclass
class TestDevice:
    """A device with its secret keys, as the tests play it."""

    __test__ = False
    name: str
    secret: SecretKeys
    number: int = 0

    @property
    def keys(self) -> DeviceKeys:
        """Its public half as the protocol has it."""
        public = self.secret.public
        return DeviceKeys(self.name, public.sign, public.box, public.tls)

    @property
    def id(self) -> DeviceId:
        """Its id."""
        return DeviceId(self.secret.public.device_id)

    def sign_link(self, link_hash: bytes) -> bytes:
        """A signature over a link."""
        return sign(Label.SIGN_LINK, self.secret.sign.secret, link_hash)


def make_device(name: str) -> TestDevice:
    """A device whose keys follow from its name."""
    return TestDevice(name, SecretKeys.from_seed(seed("device", name)))


@dataclass
class TestUser:
    """A person with a first device, and the chain that grows from it."""

    __test__ = False
    name: str
    devices: list[TestDevice] = field(default_factory=list)
    links: list[SignedLink] = field(default_factory=list)

    def __post_init__(self) -> None:
        first = make_device(f"{self.name}-1")
        recovery, box = SigningKey.from_seed(seed("recovery", self.name)), seed("recovery box", self.name)
        self.devices.append(first)
        self.append(Founded(self.name, first.keys, recovery.public, box), first.secret.sign, recovery)

    @property
    def id(self) -> UserId:
        """The user's id."""
        return UserId(HASHES.link_hash(model.link_bytes(self.links[0].link))[:16])

    @property
    def chain(self) -> UserChain:
        """The chain as judged; it must be valid."""
        chain = judge_chain(self.links, HASHES)
        assert isinstance(chain, UserChain), chain
        return chain

    def link(self, body: LinkBody, *signers: SigningKey, time: int = 1, **overrides: object) -> SignedLink:
        """The next link with this body, signed by these keys; parts may be overridden to make it wrong."""
        previous = LinkHash(HASHES.link_hash(model.link_bytes(self.links[-1].link))) if self.links else NO_LINK
        user = self.id if self.links else NO_USER
        parts = {"suite": 1, "user": user, "index": len(self.links), "previous": previous, "time": time, "body": body}
        link = Link(**(parts | overrides))  # type: ignore[arg-type]
        hashed = HASHES.link_hash(model.link_bytes(link))
        return SignedLink(link, tuple(sign(Label.SIGN_LINK, key.secret, hashed) for key in signers))

    def append(self, body: LinkBody, *signers: SigningKey, time: int = 1) -> None:
        """Add a link."""
        self.links.append(self.link(body, *signers, time=time))

    def admit(self, label: object, expires: int = HOUR_MS) -> InvitationKeys:
        """Admit a pairing key by the first device."""
        pairing = InvitationKeys.of(seed("pairing", self.name, label)[:16])
        first = self.devices[0]
        self.append(
            PairingAdmitted(first.id, pairing.sign.public, pairing.box.public, expires), first.secret.sign, time=0
        )
        return pairing

    def pair(self, name: str) -> TestDevice:
        """Admit a pairing and use it for a new device."""
        return self.use(self.admit(name), name)

    def use(self, pairing: InvitationKeys, name: str) -> TestDevice:
        """Add a device by a pairing that was admitted."""
        device = make_device(name)
        self.append(DevicePaired(pairing.sign.public, device.keys), pairing.sign, device.secret.sign)
        self.devices.append(device)
        return device

    def revocation(self, device: TestDevice, by: TestDevice | None = None) -> SignedLink:
        """The next link, which revokes a device; by the first one unless said."""
        author = by or self.devices[0]
        return self.link(Revocation(author.id, device.id), author.secret.sign)

    def revoke(self, device: TestDevice, by: TestDevice | None = None) -> None:
        """Revoke a device."""
        self.links.append(self.revocation(device, by))


def signed_commit(device: TestDevice, header: Header, body: CommitBody) -> Commit:
    """A commit with the device's signature over its digest."""
    digest = digest_of(Commit(header, body, NO_SIGNATURE), HASHES)
    return Commit(header, body, sign(Label.SIGN_COMMIT, device.secret.sign.secret, digest))


def genesis_of(user: TestUser, **overrides: object) -> Genesis:
    """A genesis body by this user, with keys sealed to every active device."""
    parts = {
        "salt": seed("salt", user.name)[:16],
        "owner": user.id,
        "chain": tuple(user.links),
        "chunker": CHUNKER,
        "dedup": "workspace",
        "key_commitment": seed("commitment"),
        "keys": tuple(SealedKey(bytes(device), bytes(64)) for device in user.chain.active_devices()),
        "sealed_name": b"sealed name",
    }
    return Genesis(**(parts | overrides))  # type: ignore[arg-type]


class TestJournal:
    """One workspace's journal as the coordinator would keep it, over the reference state."""

    __test__ = False

    def __init__(self, owner: TestUser) -> None:
        self.owner = owner
        self.state = MemoryState()
        self.commits: list[Commit] = []
        self.log_hashes: list[LogHash] = []
        device = owner.devices[0]
        header = Header(1, NO_WORKSPACE, device.id, 1, 0, 0, NO_LOG, 0)
        device.number = 1
        self.accept(signed_commit(device, header, genesis_of(owner)))

    @property
    def id(self) -> WorkspaceId:
        """The workspace."""
        return self.state.workspace.workspace

    def header(self, device: TestDevice, **overrides: object) -> Header:
        """The header of the device's next commit here."""
        here = self.state.workspace
        known = self.state.device(device.id)
        after = known.last_number if known else 0
        parts = {
            "suite": 1,
            "workspace": here.workspace,
            "device": device.id,
            "number": after + 1,
            "after": after,
            "head_seq": here.seq,
            "head_hash": here.log_hash,
            "time": 0,
        }
        return Header(**(parts | overrides))  # type: ignore[arg-type]

    def commit(self, device: TestDevice, *changes: AnyChange, **overrides: object) -> Commit:
        """A signed commit with these changes."""
        return signed_commit(device, self.header(device, **overrides), Entries(changes))

    def judge(self, commit: Commit) -> Verdict:
        """What the rules say."""
        return judge(self.state, commit, HASHES)

    def accept(self, commit: Commit) -> Delta:
        """Take a commit that must be legal."""
        verdict = self.judge(commit)
        assert isinstance(verdict, Delta), verdict
        self.state.apply(verdict)
        self.commits.append(commit)
        self.log_hashes.append(verdict.workspace.log_hash)
        return verdict

    def put(self, device: TestDevice, *changes: AnyChange, **overrides: object) -> Delta:
        """Commit changes that must be legal."""
        return self.accept(self.commit(device, *changes, **overrides))

    def add_device(self, member: TestUser, device: TestDevice, **overrides: object) -> Commit:
        """The commit by which the device becomes valid here."""
        parts = {
            "previous_control": self.state.workspace.last_control,
            "user": member.id,
            "chain": tuple(member.links),
        } | overrides
        return signed_commit(device, self.header(device), DeviceAdded(**parts))  # type: ignore[arg-type]

    def rotation(self, *without: TestDevice, **overrides: object) -> NewEpoch:
        """The next epoch's keys for every device that is valid here, but for some; the boxes are no real ones."""
        left_out = {device.id for device in without}
        devices = [device for device, known in self.state.devices() if known.active and device not in left_out]
        parts = {
            "epoch": self.state.workspace.epoch + 1,
            "key_commitment": seed("commitment", self.state.workspace.epoch + 1),
            "keys": tuple(SealedKey(bytes(device), bytes(64)) for device in devices),
            "older": b"older keys",
        } | overrides
        return NewEpoch(**parts)  # type: ignore[arg-type]

    def revoke_device(self, by: TestDevice, member: TestUser, rotation: NewEpoch | None, **overrides: object) -> Commit:
        """The commit that enters a user's chain, which revokes somebody."""
        parts = {
            "previous_control": self.state.workspace.last_control,
            "user": member.id,
            "chain": tuple(member.links),
            "rotation": rotation,
        } | overrides
        return signed_commit(by, self.header(by), DeviceRevoked(**parts))  # type: ignore[arg-type]

    def rotate(self, by: TestDevice, rotation: NewEpoch) -> Commit:
        """The commit that begins another epoch."""
        return signed_commit(by, self.header(by), KeysRotated(self.state.workspace.last_control, rotation))

    def change(
        self,
        label: object,
        parent: EntryId = ROOT,
        name: str | None = None,
        kind: Kind = Kind.FILE,
        *,
        added: Iterable[bytes] = (),
        removed: Iterable[bytes] = (),
        sealed: bytes = b"sealed",
        **overrides: object,
    ) -> Change:
        """A change of an entry on its present head; of the entry `label`, or of the id where it is one."""
        entry = EntryId(label) if isinstance(label, bytes) else entry_id(label)
        known = self.state.entry(entry)
        lists = b"".join(added), b"".join(removed)
        parts = {
            "entry": entry,
            "parent": parent,
            "kind": kind,
            "base": known.head if known else None,
            "name_key": key_of(parent, str(label) if name is None else name),
            "deleted": False,
            "offered": False,
            "epoch": self.state.workspace.epoch,
            "padded_bytes": 1_000 * (len(lists[0]) // 32),
            "seen": None,
        }
        return Change(Clear(**(parts | overrides)), sealed, *lists)  # type: ignore[arg-type]

    def directory(self, label: object, parent: EntryId = ROOT, name: str | None = None, **more: object) -> Change:
        """A change that makes, moves or restores a directory."""
        return self.change(label, parent, name, Kind.DIRECTORY, **more)  # type: ignore[arg-type]

    def deletion(self, label: object, *, seen_seq: int | None = None, seen: Iterable[bytes] = ()) -> Change:
        """A change that deletes an entry as it stands; of a directory, by somebody who saw all of the journal."""
        entry = EntryId(label) if isinstance(label, bytes) else entry_id(label)
        known = self.state.entry(entry)
        assert known is not None
        seq = self.state.workspace.seq if seen_seq is None else seen_seq
        seen_commits = tuple(CommitDigest(digest) for digest in seen)
        clear = Clear(
            entry,
            known.parent,
            known.kind,
            known.head,
            known.name_key,
            True,
            False,
            self.state.workspace.epoch,
            0,
            Seen(seq, seen_commits) if known.kind is Kind.DIRECTORY else None,
        )
        return Change(clear, b"sealed", b"", b"")


def other_head(seq: int = 1) -> LogHash:
    """A log hash of no journal."""
    return LogHash(seed("log", seq))


def other_change() -> ChangeId:
    """A change id of no journal."""
    return ChangeId(seed("change"))
