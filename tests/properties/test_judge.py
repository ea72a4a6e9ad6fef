"""The judge against a plain-minded oracle, over random commits of several devices, most of them illegal."""

from dataclasses import dataclass
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.ids import NO_LOG, ROOT, ChangeId, CommitDigest, EntryId, LogHash
from protocol.messages import CommitReason
from protocol.model import Change, Clear, Kind, Seen
from protocol.rules import Delta, EntryState, Refused, Repeated, judge
from protocol.state import MemoryState
from tests.common.journals import HASHES, TestDevice, TestJournal, TestUser, entry_id, key_of

DIRECTORIES, FILES, NAMES = ("d1", "d2", "d3", "d4"), ("f1", "f2", "f3"), ("x", "y", "z")


@dataclass(frozen=True)
class Draft:
    """A change as drawn. `back` is how many versions its base is behind the head; `unseen` how many commits."""

    label: str
    parent: str
    name: str
    deleted: bool
    in_place: bool
    back: int
    unseen: int
    names_the_rest: bool


LABELS = (*DIRECTORIES, *FILES)
PARENTS = ("root", *DIRECTORIES)


def draft_of(number: int) -> Draft:
    """A draft out of the digits of one number: cheap to draw, easy to shrink."""

    def digit(choices: int) -> int:
        nonlocal number
        number, rest = divmod(number, choices)
        return rest

    return Draft(
        label=LABELS[digit(len(LABELS))],
        parent=PARENTS[digit(len(PARENTS))],
        name=NAMES[digit(len(NAMES))],
        deleted=digit(4) == 1,
        in_place=digit(2) == 1,
        back=int(digit(12) == 1),
        unseen=(0, 0, 1, 3)[digit(4)],
        names_the_rest=digit(2) == 1,
    )


DRAFTS = st.integers(0, 7 * 5 * 3 * 4 * 2 * 12 * 4 * 2 - 1).map(draft_of)
COMMITS = st.lists(st.tuples(st.integers(0, 2), st.lists(DRAFTS, min_size=1, max_size=3)), min_size=4, max_size=16)
START = [
    *(Draft(label, "root", name, False, False, 0, 0, False) for label, name in (("d1", "x"), ("d3", "y"))),
    Draft("d2", "d1", "x", False, False, 0, 0, False),
    *(Draft(label, "d2", name, False, False, 0, 0, False) for label, name in (("f1", "x"), ("f2", "y"))),
]


@cache
def people() -> tuple[TestUser, tuple[TestDevice, ...]]:
    ana = TestUser("ana")
    ana.pair("phone")
    ana.pair("tablet")
    return ana, tuple(ana.devices)


def change_of(draft: Draft, journal: TestJournal, history: dict[EntryId, list[ChangeId]]) -> Change:
    entry, state = entry_id(draft.label), journal.state
    known = state.entry(entry)
    kind = Kind.DIRECTORY if draft.label in DIRECTORIES else Kind.FILE
    parent = ROOT if draft.parent == "root" else entry_id(draft.parent)
    name_key = key_of(parent, draft.name)
    if known is not None and (draft.in_place or draft.deleted):
        parent, name_key = known.parent, known.name_key
    versions = [None, *history.get(entry, [])]
    base = versions[max(0, len(versions) - 1 - draft.back)]
    seen = None
    if draft.deleted and kind is Kind.DIRECTORY:
        head = state.workspace.seq
        seq = max(0, head - draft.unseen)
        rest = [digest for digest, place in seqs(state).items() if place > seq] if draft.names_the_rest else []
        seen = Seen(seq, tuple(rest))
    clear = Clear(entry, parent, kind, base, name_key, draft.deleted, False, 1, 0, seen)
    return Change(clear, b"sealed %d" % state.workspace.seq, b"", b"")


def seqs(state: MemoryState) -> dict[CommitDigest, int]:
    return {digest: place[0] for digest in state.digests() if (place := state.accepted(digest))}


def way_up(entry: EntryId, tree: dict[EntryId, Clear | EntryState]) -> list[EntryId] | None:
    """The parents of an entry up to the root, or None where that does not end there."""
    above: list[EntryId] = []
    at = entry
    while at != ROOT:
        here = tree.get(at)
        if here is None or len(above) > len(tree):
            return None
        at = here.parent
        above.append(at)
    return above


def is_live(entry: EntryId, tree: dict[EntryId, Clear | EntryState]) -> bool:
    above = way_up(entry, tree)
    if above is None or tree[entry].deleted:
        return False
    return all(at == ROOT or (tree[at].kind is Kind.DIRECTORY and not tree[at].deleted) for at in above)


def is_legal(state: MemoryState, changes: list[Change], author: bytes) -> bool:
    """Rules 4 to 6, straight from their words, without regard for cost."""
    before: dict[EntryId, Clear | EntryState] = dict(state.entries)
    proposed = {change.clear.entry: change.clear for change in changes}
    after = before | proposed
    if len(proposed) != len(changes):
        return False
    for entry, clear in proposed.items():
        old = state.entries.get(entry)
        if clear.base != (old.head if old else None) or (old is not None and old.kind is not clear.kind):
            return False
        if clear.deleted:
            if old is None or not is_live(entry, before):
                return False
            if (clear.parent, clear.name_key) != (old.parent, old.name_key):
                return False
        elif not is_live(entry, after):
            return False
    live = [after[entry] for entry in after if is_live(entry, after)]
    if len({(node.parent, node.name_key) for node in live}) != len(live):
        return False
    return not any(ends_something_unseen(state, clear, after, proposed, author) for clear in proposed.values())


def ends_something_unseen(
    state: MemoryState,
    deletion: Clear,
    after: dict[EntryId, Clear | EntryState],
    proposed: dict[EntryId, Clear],
    author: bytes,
) -> bool:
    if deletion.seen is None:
        return False
    for entry, version, digest in state.entries_since(0):
        above = way_up(entry, after)
        if entry in proposed or version.deleted or version.device == author or above is None:
            continue
        first_deleted = next((at for at in above if at != ROOT and after[at].deleted), None)
        later = version.seq > deletion.seen.seq and digest not in deletion.seen.commits
        if first_deleted == deletion.entry and later:
            return True
    return False


def check_tree(state: MemoryState) -> None:
    tree: dict[EntryId, Clear | EntryState] = dict(state.entries)
    places = [(node.parent, node.name_key) for node in tree.values() if not node.deleted]
    assert len(set(places)) == len(places)
    for entry, node in state.entries.items():
        assert way_up(entry, tree) is not None
        assert node.parent == ROOT or tree[node.parent].kind is Kind.DIRECTORY
        assert (entry in state.children(node.parent, node.name_key)) == (not node.deleted)


@settings(deadline=None, max_examples=300)
@given(COMMITS)
def test_the_judge_takes_what_the_rules_allow_and_nothing_else(commits: list[tuple[int, list[Draft]]]) -> None:
    owner, devices = people()
    journal = TestJournal(owner)
    history: dict[EntryId, list[ChangeId]] = {}
    log_hash = journal.state.workspace.log_hash
    for number, drafts in [(0, START), *commits]:
        device, state = devices[number], journal.state
        changes = [change_of(draft, journal, history) for draft in drafts]
        commit = journal.commit(device, *changes)
        seq = state.workspace.seq
        verdict = journal.judge(commit)
        assert isinstance(verdict, Delta) == is_legal(state, changes, device.id), verdict
        if isinstance(verdict, Refused):
            assert verdict.reason is CommitReason.CHANGES
            assert {change.entry for change in verdict.changes} <= {change.clear.entry for change in changes}
            assert journal.judge(commit) == verdict
            continue
        assert isinstance(verdict, Delta)
        journal.accept(commit)
        for entry, version in verdict.entries:
            history.setdefault(entry, []).append(version.head)
        log_hash = LogHash(HASHES.log_hash(log_hash, verdict.digest))
        assert (state.workspace.seq, state.workspace.log_hash) == (seq + 1, log_hash)
        assert journal.judge(commit) == Repeated(seq + 1, log_hash)
        check_tree(state)
    replayed = MemoryState()
    for commit in journal.commits:
        delta = judge(replayed, commit, HASHES, replay=True)
        assert isinstance(delta, Delta)
        replayed.apply(delta)
    assert replayed.entries == journal.state.entries
    assert replayed.workspace == journal.state.workspace
    assert log_hash != NO_LOG


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-2, 3), st.integers(-2, 1)), max_size=12))
def test_numbers_rise_and_name_the_one_before(steps: list[tuple[int, int, int]]) -> None:
    owner, devices = people()
    journal = TestJournal(owner)
    for which, ahead, behind in steps:
        device = devices[which]
        known = journal.state.device(device.id)
        last = known.last_number if known else 0
        number, after = max(1, last + ahead), max(0, last + behind)
        commit = journal.commit(device, number=number, after=after, time=len(journal.commits))
        verdict = journal.judge(commit)
        if number <= last:
            assert isinstance(verdict, Refused)
            assert verdict.reason is CommitReason.SUPERSEDED
        elif after != last:
            assert verdict == Refused(CommitReason.NOT_NEXT, last, detail="not after the last accepted commit")
        else:
            journal.accept(commit)
