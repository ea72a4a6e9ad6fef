"""The judge: rows that are replayed."""

import msgspec

from protocol.ids import NO_LOG, ROOT, EntryId, LogHash
from protocol.model import (
    Entries,
    JournalRow,
)
from protocol.rules import Delta, Refused, judge, judge_row
from protocol.state import MemoryState
from tests.common.journals import (
    HASHES,
    entry_id,
    key_of,
    seed,
)
from tests.unit.protocol.rules.scene import Below, Scene, purged


def test_a_journal_replays_row_by_row_to_the_state_it_made(below: Below) -> None:
    journal = below.journal
    journal.put(below.laptop, journal.deletion("dir"))
    state, log_hash = MemoryState(), LogHash(NO_LOG)
    for seq, commit in enumerate(journal.commits, 1):
        row_commit = purged(commit) if isinstance(commit.body, Entries) else commit
        verdict = judge(state, row_commit, HASHES, replay=True)
        assert isinstance(verdict, Delta)
        log_hash = LogHash(HASHES.log_hash(log_hash, verdict.digest))
        row = JournalRow(seq, log_hash, seq, row_commit)
        delta = judge_row(state, row, HASHES)
        assert isinstance(delta, Delta)
        state.apply(delta)
    assert state.entries == journal.state.entries
    assert state.workspace == journal.state.workspace
    assert state.known_devices == journal.state.known_devices


def test_a_row_out_of_place_or_with_another_log_hash_is_refused(scene: Scene) -> None:
    journal = scene.journal
    commit = journal.commit(scene.laptop)
    delta = journal.judge(commit)
    assert isinstance(delta, Delta)
    good = JournalRow(delta.workspace.seq, delta.workspace.log_hash, 0, commit)
    assert judge_row(journal.state, good, HASHES) == delta
    for row in (
        msgspec.structs.replace(good, seq=1),
        msgspec.structs.replace(good, seq=3),
        msgspec.structs.replace(good, log_hash=seed("other")),
        JournalRow(2, good.log_hash, 0, journal.commits[0]),
    ):
        assert isinstance(judge_row(journal.state, row, HASHES), Refused)


def test_a_view_that_can_is_asked_once_for_everything_it_will_be_asked_for(scene: Scene) -> None:
    asked: list[tuple[set[EntryId], set[tuple[EntryId, bytes]]]] = []

    class Bulk(MemoryState):
        def prefetch(self, entries: object, names: object) -> None:
            asked.append((set(entries), set(names)))  # type: ignore[call-overload]

    state = Bulk()
    first = judge(state, scene.journal.commits[0], HASHES)
    assert isinstance(first, Delta)
    state.apply(first)
    verdict = judge(state, scene.journal.commit(scene.laptop, scene.journal.change("a")), HASHES)
    assert isinstance(verdict, Delta)
    assert asked == [({entry_id("a"), ROOT}, {(ROOT, key_of(ROOT, "a"))})]
