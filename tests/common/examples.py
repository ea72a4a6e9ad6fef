"""One value of every type of the protocol, the same every time. Owns examples only, for vectors and for fuzzing."""

from typing import Any, Final

from protocol import lan, model
from protocol import messages as m
from protocol.ids import ROOT, BlockId, ChangeId, ChunkId, CommitDigest, LogHash
from protocol.model import Change, ChunkRef, Commit, CopyOf, FlatManifest, JournalRow, Kind, PurgedChange, Role, Seen
from protocol.nearby import Nearby, NearbyRequest, NearDevice
from protocol.offered import Mark, OfferedPage, Standing
from tests.common.journals import (
    CHUNKER,
    TestJournal,
    TestUser,
    block_id,
    entry_id,
    genesis_of,
    seed,
    signed_commit,
)

Example = tuple[str, Any, object]
"""What it shows, the type that decodes it, and the value."""

TIME_MS: Final = 1_795_500_000_000
MTIME_NS: Final = 1_795_499_999_123_456_789


class Story:
    """Ana's laptop makes a workspace and a few entries; her phone is paired and adds itself."""

    def __init__(self) -> None:
        self.ana = TestUser("ana")
        self.laptop = self.ana.devices[0]
        self.journal = journal = TestJournal(self.ana)
        made = [
            journal.directory("docs"),
            journal.change("plan.txt", entry_id("docs"), added=[block_id(1), block_id(2)], sealed=b"sealed body"),
        ]
        journal.put(self.laptop, *made, time=TIME_MS)
        self.phone = self.ana.pair("phone")
        journal.accept(journal.add_device(self.ana, self.phone))
        edited = journal.change("plan.txt", entry_id("docs"), added=[block_id(3)], removed=[block_id(1)])
        self.edit = journal.put(self.phone, edited, time=TIME_MS + 1)
        journal.put(self.laptop, journal.deletion("docs", seen_seq=3, seen=[self.edit.digest]))
        self.unused = self.ana.admit("later", expires=TIME_MS)

    def revocation(self) -> model.SignedLink:
        """The laptop's link that revokes the phone; it is not in the chain."""
        return self.ana.revocation(self.phone)

    def rows(self) -> list[JournalRow]:
        """The journal."""
        return [
            JournalRow(seq, self.journal.log_hashes[seq - 1], TIME_MS + seq, commit)
            for seq, commit in enumerate(self.journal.commits, 1)
        ]


def model_examples(story: Story) -> list[Example]:
    """What is hashed, signed, sealed and kept."""
    file = ChunkRef(ChunkId(seed("chunk")), BlockId(block_id(1)), 1, 262_144)
    manifest = FlatManifest((file,))
    body = model.Body("plan.txt", 262_144, MTIME_NS, False, seed("digest"), None, manifest, None)
    copy = CopyOf(entry_id("docs"), story.edit.entries[0][1].head)
    clear = story.journal.change("new").clear
    deleted = model.Clear(entry_id("docs"), ROOT, Kind.DIRECTORY, copy.base, clear.name_key, True, False, 1, 0, None)
    examples: list[Example] = [
        ("clear part of a new file", model.Clear, clear),
        ("clear part of a deletion", model.Clear, deleted),
        ("what a deleter had seen", model.Seen, Seen(7, (CommitDigest(seed("digest")),))),
        ("change", model.AnyChange, Change(clear, b"sealed", block_id(1), block_id(2))),
        ("purged change", model.AnyChange, PurgedChange(clear, seed("sealed hash"), seed("lists hash"))),
        ("body of a file", model.Body, body),
        (
            "body of an executable conflicted copy, empty and older than 1970",
            model.Body,
            model.Body("é.sh", 0, -1, True, seed("digest"), None, FlatManifest(()), copy),
        ),
        ("body of a symlink", model.Body, model.Body("link", 9, 0, False, None, b"plan.txt\xff", None, None)),
        ("body of a directory or a deletion", model.Body, model.Body("docs", 0, 0, False, None, None, None, None)),
        ("chunker", model.Chunker, CHUNKER),
        ("sealed key", model.SealedKey, model.SealedKey(story.phone.id, bytes(range(64)))),
        ("device keys", model.DeviceKeys, story.phone.keys),
    ]
    here, chain = story.journal.state.workspace, story.ana.chain
    bundled = model.BundledWorkspace(here.workspace, b"packed keyring", here.seq, here.log_hash)
    examples.append(("pairing bundle", model.Bundle, model.Bundle(1, chain.length, chain.last, (bundled,))))
    kinds = ("founding", "admitting a pairing", "pairing a device")
    examples += [(f"link {kind}", model.SignedLink, link) for kind, link in zip(kinds, story.ana.links, strict=False)]
    titles = ("genesis", "two new entries", "a device added", "an edit", "a directory deleted")
    examples.append(("link revoking a device", model.SignedLink, story.revocation()))
    examples += [
        (f"commit: {title}", model.Commit, commit) for title, commit in zip(titles, story.journal.commits, strict=True)
    ]
    header = story.journal.header(story.laptop)
    empty = signed_commit(story.laptop, header, model.Entries(()))
    control, chain_links = here.last_control, (*story.ana.links, story.revocation())
    keys = (model.SealedKey(story.laptop.id, bytes(range(64))),)
    rotation = model.NewEpoch(2, seed("commitment"), keys, b"the older keys, sealed")
    revoking = signed_commit(story.laptop, header, model.DeviceRevoked(control, story.ana.id, chain_links, rotation))
    examples.append(("commit: a device revoked, with new keys", model.Commit, revoking))
    rotating = signed_commit(story.laptop, header, model.KeysRotated(control, rotation))
    examples.append(("commit: new keys", model.Commit, rotating))
    return [*examples, ("commit without changes", model.Commit, empty), ("row", model.JournalRow, story.rows()[1])]


def message_examples(story: Story) -> list[Example]:
    """Requests, replies and wake-ups."""
    here, links = story.journal.state.workspace, story.ana.links
    workspace, device, user = here.workspace, story.phone.id, story.ana.id
    rows = story.rows()
    genesis: Commit = story.journal.commits[0]
    refusal = m.ChangeRefusal(entry_id("docs"), m.ChangeReason.UNSEEN, None, (entry_id("plan.txt"),))
    at = LogHash(here.log_hash)
    version, other = story.edit.entries[0][1].head, ChangeId(seed("offered"))
    poke = m.Poke(workspace, here.seq, at, 3, (rows[3],))
    keys = genesis_of(story.ana).keys
    info = m.WorkspaceInfo(workspace, Role.OWNER, here.seq, at, genesis, keys, ((user, "ana", Role.OWNER),), 4096, 2)
    signature = links[0].signatures[0]
    values: list[object] = [
        m.Refusal(m.RefusalCode.RATE_LIMITED, "too many requests", 1_500),
        m.ChallengeRequest(1, 0, ("durable-versions",), device, seed("nonce")),
        m.Challenge(1, 0, ("durable-versions",), seed("identity"), seed("nonce 2"), signature, TIME_MS),
        m.LoginRequest(device, seed("nonce 2"), signature),
        m.LoggedIn(seed("token"), TIME_MS, user, ("https://192.0.2.7:8440",)),
        m.InvitationRequest(seed("invitation")),
        m.InvitationInfo("ana", TIME_MS),
        m.JoinRequest(seed("invitation"), signature, links[0]),
        m.Joined(user, story.laptop.id),
        m.PairingOffer(links[1], seed("lookup")[:16], b"sealed bundle"),
        m.PairingRequest(seed("lookup")[:16]),
        m.Pairing(tuple(links[:2]), b"sealed bundle"),
        m.PairRequest(seed("lookup")[:16], links[2]),
        m.RevokeRequest(story.revocation()),
        m.ChainRequest(user, 1),
        m.ChainReply(tuple(links[1:])),
        m.Ok(),
        m.WorkspacesRequest(),
        info,
        m.Workspaces((info,)),
        m.DevicesRequest(),
        m.DeviceInfo(device, "phone", user, "ana", True, 0),
        m.Devices((m.DeviceInfo(device, "phone", user, "ana", True, TIME_MS),)),
        m.KeysDeposit(workspace, keys),
        refusal,
        m.CommitRequest(story.journal.commits[1]),
        m.CommitAccepted(2, at, TIME_MS),
        m.CommitRefused(m.CommitReason.CHANGES, 5, at, 2, (refusal,), "an edit was not seen"),
        m.JournalRequest(workspace, 1, at),
        m.JournalPage(tuple(rows[1:3]), 5, at),
        m.CursorUnknown(5, at, None),
        m.HandBack(workspace, (rows[4],)),
        m.HaveRequest(workspace, (BlockId(block_id(1)), BlockId(block_id(2)))),
        m.HaveReply(b"\x80"),
        m.BlocksRequest(workspace, (BlockId(block_id(1)),)),
        m.Stored(2, 1),
        m.OfferedRequest(workspace, 7, 2),
        OfferedPage(7, False, 4, (Mark(3, version, Standing.DURABLE), Mark(4, other, Standing.OFFERED))),
        m.HoldingsRequest(workspace, (other,), (version,)),
        m.LeaseRequest(workspace, (BlockId(block_id(1)), BlockId(block_id(2)), BlockId(block_id(3)))),
        m.LeaseReply(b"\x80", b"\x20"),
        NearbyRequest(40_001, (bytes((192, 168, 1, 7)),)),
        Nearby((NearDevice(device, 40_002, (bytes((192, 168, 1, 8)),)),)),
        poke,
        m.ChainPoke(user, 3),
        m.Welcome(TIME_MS),
        m.PollRequest(((workspace, 5, 4),), 3, 55),
        m.Polled((poke, m.ChainPoke(user, 3))),
    ]
    return [(type(value).__name__, type(value), value) for value in values]


def lan_examples(story: Story) -> list[Example]:
    """What devices say to each other on a LAN link."""
    here = story.journal.state.workspace
    workspace, version, chunk = here.workspace, ChangeId(seed("version")), ChunkId(seed("chunk"))
    head = lan.LanHead(workspace, here.seq, LogHash(here.log_hash))
    values: list[object] = [
        head,
        lan.LanHello(1, 0, (), (head,)),
        lan.LanHeads((head,)),
        lan.LanNeed(workspace, version, 11, lan.bits_of((0, 9, 10), 11)),
        lan.LanEnough(workspace, version),
        lan.LanHave(workspace, version, 11, lan.all_bits(11)),
        lan.LanMore(workspace, version, (3, 7)),
        lan.LanNothing(workspace, version),
        lan.LanRequest(1, workspace, version, chunk, 65_536),
        lan.LanCancel(1),
        lan.LanGone(1, lan.GoneReason.GONE),
        lan.LanKept(workspace, (CommitDigest(seed("kept")), CommitDigest(seed("kept after it")))),
        lan.LanCommitAsk(workspace, CommitDigest(seed("kept")), 49_152),
        lan.LanCommitPart(workspace, CommitDigest(seed("kept")), 49_155, 49_152, b"end"),
        lan.LanPing(7),
        lan.LanPong(7),
        lan.LanBye(lan.ByeReason.CLOSING),
    ]
    return [(type(value).__name__, type(value), value) for value in values]
