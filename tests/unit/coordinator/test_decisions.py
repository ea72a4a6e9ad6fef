"""The coordinator's decisions, as functions of data."""

from collections.abc import Collection
from dataclasses import dataclass, field

from coordinator.domain.access import may_read, may_write
from coordinator.domain.commit import Offered, decide, decide_row, offers_of
from coordinator.domain.journal import Cursor, Place, place_cursor, place_row, received_at
from protocol.ids import BlockId, ChangeId, DeviceId, LinkHash, LogHash, UserId
from protocol.messages import ChangeReason, CommitReason
from protocol.model import Commit, JournalRow, Role
from protocol.rules import Delta, Refused, Repeated
from protocol.state import MemoryState
from tests.common.journals import HASHES, TestJournal, TestUser, block_id, other_head

HERE, OTHER = other_head(1), other_head(2)


@dataclass
class Known:
    """What the coordinator knows, as the test says."""

    user: TestUser
    absent: set[bytes] = field(default_factory=set)
    full: bool = False
    inactive: bool = False
    lacked: set[ChangeId] = field(default_factory=set)

    def missing(self, device: DeviceId, user: UserId, blocks: Collection[BlockId]) -> set[BlockId]:
        return {block for block in blocks if block in self.absent}

    def lacking(self, changes: Collection[ChangeId]) -> set[ChangeId]:
        return self.lacked.intersection(changes)

    def link_hash(self, user: UserId, position: int) -> LinkHash | None:
        hashes = self.user.chain.link_hashes if user == self.user.id else ()
        return hashes[position] if position < len(hashes) else None

    def active(self, device: DeviceId) -> bool:
        return not self.inactive

    def room(self, user: UserId, size_bytes: int) -> bool:
        return not self.full


def refused(verdict: object) -> CommitReason:
    assert isinstance(verdict, Refused), verdict
    return verdict.reason


def verdict_of(kept: TestJournal, commit: Commit, known: Known) -> Delta | Repeated | Refused:
    return decide(kept.state, commit, HASHES, known, kept.owner.id)


def test_a_legal_commit_with_all_its_blocks_is_accepted() -> None:
    kept = TestJournal(ana := TestUser("ana"))
    commit = kept.commit(ana.devices[0], kept.change("f", added=[block_id("a")]))
    assert isinstance(verdict_of(kept, commit, Known(ana)), Delta)


def test_missing_blocks_are_named_change_by_change() -> None:
    kept = TestJournal(ana := TestUser("ana"))
    kept.put(ana.devices[0], kept.change("old", added=[block_id("x")]))
    head = kept.state.entry(kept.change("old").clear.entry)
    assert head is not None
    commit = kept.commit(
        ana.devices[0],
        kept.change("whole", added=[block_id("a")]),
        kept.change("old", added=[block_id("b"), block_id("a"), block_id("c")], removed=[block_id("x")]),
        kept.directory("d"),
    )
    verdict = verdict_of(kept, commit, Known(ana, {block_id("b"), block_id("c")}))
    assert isinstance(verdict, Refused)
    assert verdict.reason is CommitReason.CHANGES
    assert verdict.last_number == 2
    (change,) = verdict.changes
    assert (change.reason, change.head) == (ChangeReason.MISSING_BLOCKS, head.head)
    assert change.ids == (block_id("b"), block_id("c"))


def test_what_the_rules_refuse_is_refused_before_blocks_are_looked_up() -> None:
    kept = TestJournal(ana := TestUser("ana"))
    commit = kept.commit(ana.devices[0], kept.change("f", added=[block_id("a")]), after=5, number=9)
    assert refused(verdict_of(kept, commit, Known(ana, {block_id("a")}))) is CommitReason.NOT_NEXT


def test_a_full_owner_and_an_inactive_author_are_refused() -> None:
    kept = TestJournal(ana := TestUser("ana"))
    commit = kept.commit(ana.devices[0], kept.change("f", added=[block_id("a")]))
    assert refused(verdict_of(kept, commit, Known(ana, full=True))) is CommitReason.QUOTA
    empty = kept.commit(ana.devices[0], kept.directory("d"))
    assert isinstance(verdict_of(kept, empty, Known(ana, full=True)), Delta)
    assert refused(verdict_of(kept, commit, Known(ana, inactive=True))) is CommitReason.DENIED


def test_a_repeated_commit_needs_nothing_any_more() -> None:
    kept = TestJournal(ana := TestUser("ana"))
    kept.put(ana.devices[0], kept.change("f", added=[block_id("a")]))
    again = verdict_of(kept, kept.commits[-1], Known(ana, {block_id("a")}, full=True, inactive=True))
    assert isinstance(again, Repeated)


def test_a_chain_that_the_coordinator_does_not_have_enters_no_journal() -> None:
    ana = TestUser("ana")
    kept = TestJournal(ana)
    assert isinstance(decide(MemoryState(), kept.commits[0], HASHES, Known(ana), ana.id), Delta)
    stranger = Known(TestUser("ben"))
    assert refused(decide(MemoryState(), kept.commits[0], HASHES, stranger, ana.id)) is CommitReason.DENIED
    laptop = ana.pair("laptop")
    added = kept.add_device(ana, laptop)
    assert isinstance(verdict_of(kept, added, Known(ana)), Delta)
    shorter = TestUser("ana")
    assert refused(verdict_of(kept, added, Known(shorter))) is CommitReason.DENIED


def test_a_row_handed_back_needs_its_place_and_none_of_its_blocks() -> None:
    kept = TestJournal(ana := TestUser("ana"))
    commit = kept.commit(ana.devices[0], kept.change("f", added=[block_id("lost")]))
    delta = kept.judge(commit)
    assert isinstance(delta, Delta)
    row = JournalRow(2, delta.workspace.log_hash, 7, commit)
    assert decide_row(kept.state, row, HASHES) == delta
    for wrong in (JournalRow(3, row.log_hash, 7, commit), JournalRow(2, OTHER, 7, commit)):
        assert isinstance(decide_row(kept.state, wrong, HASHES), Refused)


def test_a_cursor_lies_on_the_journal_beyond_it_or_on_another() -> None:
    assert place_cursor(5, 5, HERE, HERE) is Cursor.ON_JOURNAL
    assert place_cursor(5, 3, HERE, HERE) is Cursor.ON_JOURNAL
    assert place_cursor(5, 6, HERE, None) is Cursor.WENT_BACK
    assert place_cursor(5, 3, HERE, OTHER) is Cursor.FORKED


def test_a_row_is_next_held_or_elsewhere() -> None:
    assert place_row(5, 6, HERE, None) is Place.NEXT
    assert place_row(5, 5, HERE, HERE) is Place.HELD
    assert place_row(5, 5, HERE, OTHER) is Place.ELSEWHERE
    assert place_row(5, 7, HERE, None) is Place.ELSEWHERE
    assert place_row(5, 0, LogHash(bytes(32)), LogHash(bytes(32))) is Place.ELSEWHERE


def test_received_times_never_decrease_and_are_not_taken_from_the_future() -> None:
    assert received_at(100, 200) == 200
    assert received_at(300, 200) == 300
    assert received_at(100, 200, 150) == 150
    assert received_at(160, 200, 150) == 160
    assert received_at(100, 200, 10**15) == 200


def test_members_read_and_editors_write_while_their_device_is_active() -> None:
    assert [may_read(True, role) for role in (None, Role.VIEWER, Role.OWNER)] == [False, True, True]
    assert [may_write(True, role) for role in (None, Role.VIEWER, Role.EDITOR)] == [False, False, True]
    assert not may_read(False, Role.OWNER)
    assert not may_write(False, Role.OWNER)


# --- offered versions ---------------------------------------------------------------------------------------


def test_an_offered_change_may_lack_blocks_and_says_which_and_the_others_of_its_commit_may_not() -> None:
    kept = TestJournal(ana := TestUser("ana"))
    known = Known(ana, {block_id("a"), block_id("b")})
    offered = kept.change("film", added=[block_id("a"), block_id("c")], offered=True)
    stored = kept.change("photo", added=[block_id("c")], offered=True)
    plain = kept.change("note", added=[block_id("c")])
    commit = kept.commit(ana.devices[0], offered, stored, plain)
    delta = decide(kept.state, commit, HASHES, known, ana.id)
    assert isinstance(delta, Delta)
    (first, _, _) = delta.entries
    lacks = frozenset({BlockId(block_id("a"))})
    assert offers_of(commit, delta, known) == (Offered(first[1].head, lacks, None, frozenset(), True),)

    lacking = kept.commit(ana.devices[0], offered, kept.change("note", added=[block_id("b")]))
    verdict = decide(kept.state, lacking, HASHES, known, ana.id)
    assert isinstance(verdict, Refused)
    (change,) = verdict.changes
    assert (change.reason, change.ids) == (ChangeReason.MISSING_BLOCKS, (block_id("b"),))


def test_a_version_lacks_what_its_base_lacks_without_what_it_removes_unless_it_is_a_deletion() -> None:
    kept = TestJournal(ana := TestUser("ana"))
    a, b, c = (BlockId(block_id(name)) for name in "abc")
    bases = []
    for name in ("renamed", "cut", "replaced", "deleted"):
        delta = kept.put(ana.devices[0], kept.change(name, added=[a, b], offered=True))
        bases.append(delta.entries[0][1].head)
    commit = kept.commit(
        ana.devices[0],
        kept.change("renamed", name="other"),
        kept.change("cut", added=[c], removed=[a]),
        kept.change("replaced", added=[c], removed=[a, b], offered=True),
        kept.deletion("deleted"),
    )
    known = Known(ana, {c}, lacked=set(bases))
    delta = kept.accept(commit)
    heads = [state.head for _, state in delta.entries]
    none = frozenset[BlockId]()
    assert offers_of(commit, delta, known) == (
        Offered(heads[0], none, bases[0], none, False),
        Offered(heads[1], none, bases[1], frozenset({a}), False),
        Offered(heads[2], frozenset({c}), bases[2], frozenset({a, b}), True),
    )
    known = Known(ana, {c})
    handed_back = offers_of(commit, delta, known, handed_back=True)
    assert [(each.change, each.own) for each in handed_back] == [(head, frozenset({c})) for head in heads[1:3]]


def test_an_offered_change_brings_blocks() -> None:
    kept = TestJournal(ana := TestUser("ana"))
    empty = kept.commit(ana.devices[0], kept.change("film", offered=True))
    assert refused(decide(kept.state, empty, HASHES, Known(ana), ana.id)) is CommitReason.MALFORMED


def test_declared_bytes_of_an_offered_version_need_room_at_once() -> None:
    kept = TestJournal(ana := TestUser("ana"))
    known = Known(ana, {block_id("a")}, full=True)
    commit = kept.commit(ana.devices[0], kept.change("film", added=[block_id("a")], offered=True))
    assert refused(decide(kept.state, commit, HASHES, known, ana.id)) is CommitReason.QUOTA
