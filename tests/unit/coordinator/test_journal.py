"""Commits in, pages out, lost commits back: the journal's use cases over a real database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from coordinator.ports import Committed
from coordinator.service import journal, workspaces
from coordinator.service.continuity import Continuity
from protocol import limits
from protocol.codec import encode
from protocol.ids import NO_LOG, ROOT, LogHash
from protocol.messages import (
    ChangeReason,
    CommitAccepted,
    CommitReason,
    CommitRefused,
    CommitRequest,
    CursorUnknown,
    HandBack,
    JournalPage,
    JournalRequest,
    Ok,
    Refusal,
    RefusalCode,
    WorkspacesRequest,
)
from protocol.model import JournalRow
from tests.common.coordination import Coordination, open_coordination, session_of
from tests.common.journals import (
    TestDevice,
    TestJournal,
    TestUser,
    block_id,
    make_device,
    other_head,
    seed,
    signed_commit,
)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Coordination]:
    async with open_coordination(tmp_path / "metadata.db") as opened:
        yield opened


@pytest.fixture
async def ana(here: Coordination) -> TestUser:
    user = TestUser("ana")
    user.pair("ana-2")
    await here.know(user)
    return user


@pytest.fixture
async def kept(here: Coordination, ana: TestUser) -> TestJournal:
    kept = TestJournal(ana)
    await here.accept(session_of(ana), kept.commits[0])
    return kept


async def pages(here: Coordination, user: TestUser, kept: TestJournal, seq: int = 0, log: LogHash = NO_LOG):  # type: ignore[no-untyped-def]  # noqa: ANN201
    return await journal.page(here.context, session_of(user), JournalRequest(kept.id, seq, log))


async def rows_of(here: Coordination, user: TestUser, kept: TestJournal) -> tuple[JournalRow, ...]:
    reply = await pages(here, user, kept)
    assert isinstance(reply, JournalPage)
    return reply.rows


async def test_a_genesis_makes_a_workspace_that_its_owner_sees(
    here: Coordination, ana: TestUser, kept: TestJournal
) -> None:
    listed = await workspaces.workspaces(here.context, session_of(ana), WorkspacesRequest())
    assert not isinstance(listed, Refusal)
    (info,) = listed.workspaces
    assert (info.workspace, info.head_seq, info.head_hash) == (kept.id, 1, kept.state.workspace.log_hash)
    assert info.genesis == kept.commits[0]
    assert [key.recipient for key in info.keys] == [ana.devices[0].id]
    assert [member[:2] for member in info.members] == [(ana.id, "ana")]


async def test_an_accepted_commit_is_served_byte_for_byte(here: Coordination, ana: TestUser, kept: TestJournal) -> None:
    device = ana.devices[0]
    await here.upload(session_of(ana), kept.id, [block_id("a"), block_id("b")])
    kept.put(device, kept.directory("d"), kept.change("f", added=[block_id("a"), block_id("b")], sealed=b"\0" * 9_000))
    kept.put(device)
    kept.put(device, kept.deletion("d"), kept.change("f", removed=[block_id("a")]))
    await here.accept(session_of(ana), *kept.commits[1:])
    rows = await rows_of(here, ana, kept)
    assert [encode(row.commit) for row in rows] == [encode(commit) for commit in kept.commits]
    assert [row.seq for row in rows] == [1, 2, 3, 4]
    assert rows[-1].log_hash == kept.state.workspace.log_hash


async def test_a_commit_seen_again_gets_the_same_answer(here: Coordination, ana: TestUser, kept: TestJournal) -> None:
    kept.put(ana.devices[0], kept.directory("d"))
    first = await here.accept(session_of(ana), kept.commits[1])
    here.clock.advance(5)
    kept.put(ana.devices[0], kept.directory("e"))
    await here.accept(session_of(ana), kept.commits[2])
    assert await here.propose(session_of(ana), kept.commits[1]) == first
    assert await here.propose(session_of(ana), kept.commits[0]) == CommitAccepted(
        1, (await rows_of(here, ana, kept))[0].log_hash, first.received
    )
    assert len(await rows_of(here, ana, kept)) == 3


async def test_names_can_be_swapped_in_one_commit(here: Coordination, ana: TestUser, kept: TestJournal) -> None:
    device = ana.devices[0]
    kept.put(device, *(kept.directory(name, name=name) for name in ("a", "b", "c")))
    kept.put(device, kept.directory("a", name="b"), kept.directory("b", name="c"), kept.directory("c", name="a"))
    kept.put(device, kept.deletion("a"), kept.directory("d", name="b"))
    await here.accept(session_of(ana), *kept.commits[1:])
    listed = await workspaces.workspaces(here.context, session_of(ana), WorkspacesRequest())
    assert not isinstance(listed, Refusal)
    assert listed.workspaces[0].entries == 3


async def test_what_the_rules_refuse_is_refused_with_the_head_and_the_last_number(
    here: Coordination, ana: TestUser, kept: TestJournal
) -> None:
    device = ana.devices[0]
    kept.put(device, kept.directory("d", name="d"))
    await here.accept(session_of(ana), kept.commits[1])
    answer = await here.propose(session_of(ana), kept.commit(device, kept.directory("other", name="d")))
    assert isinstance(answer, CommitRefused)
    assert (answer.reason, answer.changes[0].reason) == (CommitReason.CHANGES, ChangeReason.NAME_TAKEN)
    here_is = kept.state.workspace
    assert (answer.head_seq, answer.head_hash, answer.last_number) == (2, here_is.log_hash, 2)
    wrong = kept.commit(device, head_hash=other_head(), head_seq=2)
    answer = await here.propose(session_of(ana), wrong)
    assert isinstance(answer, CommitRefused)
    assert answer.reason is CommitReason.UNKNOWN_HEAD
    assert len(await rows_of(here, ana, kept)) == 2


async def test_a_commit_may_only_refer_to_stored_blocks_that_its_author_sent_or_its_user_has(
    here: Coordination, ana: TestUser, kept: TestJournal
) -> None:
    first, second = ana.devices
    await here.upload(session_of(ana, first), kept.id, [block_id("sent")])
    not_stored = kept.commit(first, kept.change("f", added=[block_id("sent"), block_id("nowhere")]))
    answer = await here.propose(session_of(ana), not_stored)
    assert isinstance(answer, CommitRefused)
    assert answer.changes[0].reason is ChangeReason.MISSING_BLOCKS
    assert answer.changes[0].ids == (block_id("nowhere"),)
    not_sent = kept.commit(second, kept.change("f", added=[block_id("sent")]))
    answer = await here.propose(session_of(ana, second), not_sent)
    assert isinstance(answer, CommitRefused)
    kept.put(first, kept.change("f", added=[block_id("sent")]))
    await here.accept(session_of(ana), kept.commits[-1])
    kept.put(second, kept.change("g", added=[block_id("sent")]))
    await here.accept(session_of(ana, second), kept.commits[-1])


async def test_a_stranger_gets_nothing_and_learns_nothing(here: Coordination, ana: TestUser, kept: TestJournal) -> None:
    eve = TestUser("eve")
    await here.know(eve)
    nothing = await pages(here, eve, kept)
    assert isinstance(nothing, Refusal)
    assert nothing.code is RefusalCode.NOT_FOUND
    unknown = await journal.page(here.context, session_of(eve), JournalRequest(seed("none"), 0, NO_LOG))  # type: ignore[arg-type]
    assert unknown == nothing, "a workspace that is not there is answered alike"
    kept.put(ana.devices[0], kept.directory("d"))
    assert await here.propose(session_of(eve), kept.commits[1]) == nothing
    rows = await rows_of(here, ana, kept)
    assert await journal.hand_back(here.context, session_of(eve), HandBack(kept.id, rows)) == nothing
    listed = await workspaces.workspaces(here.context, session_of(eve), WorkspacesRequest())
    assert not isinstance(listed, Refusal)
    assert listed.workspaces == ()


async def test_nobody_makes_a_workspace_for_somebody_else_or_with_an_unknown_chain(
    here: Coordination, ana: TestUser
) -> None:
    eve = TestUser("eve")
    await here.know(eve)
    genesis = TestJournal(ana).commits[0]
    refused = await here.propose(session_of(eve), genesis)
    assert isinstance(refused, Refusal)
    longer = TestUser("ana")
    longer.pair("ana-2")
    longer.pair("smuggled")
    answer = await here.propose(session_of(ana), TestJournal(longer).commits[0])
    assert isinstance(answer, CommitRefused)
    assert answer.reason is CommitReason.DENIED


async def test_a_paired_device_enters_the_journal_by_its_own_commit(here: Coordination) -> None:
    ben = TestUser("ben")
    founded = TestJournal(ben)
    newcomer = ben.pair("ben-2")
    await here.know(ben)
    await here.accept(session_of(ben), founded.commits[0])
    early = founded.commit(newcomer, founded.directory("d"))
    answer = await here.propose(session_of(ben, newcomer), early)
    assert isinstance(answer, CommitRefused)
    assert answer.reason is CommitReason.DENIED
    founded.accept(founded.add_device(ben, newcomer))
    founded.put(newcomer, founded.directory("d"))
    await here.accept(session_of(ben, newcomer), *founded.commits[1:])


async def test_a_device_that_is_not_active_is_not_served(here: Coordination, ana: TestUser, kept: TestJournal) -> None:
    ghost = session_of(ana, make_device("ghost"))
    refused = await journal.page(here.context, ghost, JournalRequest(kept.id, 0, NO_LOG))
    assert isinstance(refused, Refusal)
    assert refused.code is RefusalCode.UNAUTHENTICATED


async def test_devices_of_members_are_woken_after_a_commit(
    here: Coordination, ana: TestUser, kept: TestJournal
) -> None:
    here.notifier.notices.clear()
    kept.put(ana.devices[0], kept.directory("d"))
    await here.accept(session_of(ana), kept.commits[1])
    (notice,) = here.notifier.notices
    assert isinstance(notice, Committed)
    assert (notice.workspace, notice.head_seq) == (kept.id, 2)
    assert notice.audience == {device.id for device in ana.devices}
    assert [row.commit for row in notice.rows] == [kept.commits[1]]
    await here.propose(session_of(ana), kept.commits[1])
    assert len(here.notifier.notices) == 1, "a repeated commit is no news"


async def test_large_commits_are_announced_without_their_rows(
    here: Coordination, ana: TestUser, kept: TestJournal
) -> None:
    kept.put(ana.devices[0], kept.change("f", sealed=bytes(limits.INLINE_BYTES)))
    await here.accept(session_of(ana), kept.commits[1])
    notice = here.notifier.notices[-1]
    assert isinstance(notice, Committed)
    assert notice.rows == ()


async def test_pages_end_before_they_grow_too_large_and_go_on_at_the_cursor(
    here: Coordination, ana: TestUser, kept: TestJournal
) -> None:
    for number in range(5):
        kept.put(ana.devices[0], kept.change(f"f{number}", sealed=bytes(limits.PAGE_BYTES * 3 // 8)))
    await here.accept(session_of(ana), *kept.commits[1:])
    seq, log, lengths = 0, NO_LOG, []
    while True:
        reply = await pages(here, ana, kept, seq, log)
        assert isinstance(reply, JournalPage)
        if not reply.rows:
            break
        lengths.append(len(reply.rows))
        seq, log = reply.rows[-1].seq, reply.rows[-1].log_hash
    assert lengths == [3, 2, 1]
    assert log == kept.state.workspace.log_hash
    one = await journal.page(here.context, session_of(ana), JournalRequest(kept.id, 0, NO_LOG, 1))
    assert isinstance(one, JournalPage)
    assert len(one.rows) == 1


async def test_received_times_never_decrease(here: Coordination, ana: TestUser, kept: TestJournal) -> None:
    kept.put(ana.devices[0], kept.directory("d"))
    here.clock.advance(-3_600)
    await here.accept(session_of(ana), kept.commits[1])
    first, second = await rows_of(here, ana, kept)
    assert second.received == first.received


async def test_a_cursor_beyond_the_head_or_on_another_journal_is_said(
    here: Coordination, ana: TestUser, kept: TestJournal
) -> None:
    head = kept.state.workspace.log_hash
    assert await pages(here, ana, kept, 7, other_head(7)) == CursorUnknown(1, head, None)
    assert await pages(here, ana, kept, 1, other_head(1)) == CursorUnknown(1, head, head)
    assert isinstance(await pages(here, ana, kept, 1, head), JournalPage)


async def restored(tmp_path: Path, ana: TestUser, kept: TestJournal, count: int) -> tuple[Path, tuple[JournalRow, ...]]:
    """A database that has lost all but `count` commits, and all the rows that there were."""
    async with open_coordination(tmp_path / "whole.db") as whole:
        await whole.know(ana)
        await whole.accept(session_of(ana), *kept.commits)
        rows = await rows_of(whole, ana, kept)
    async with open_coordination(tmp_path / "old.db") as old:
        await old.know(ana)
        if count:
            await old.accept(session_of(ana), *kept.commits[:count])
    return tmp_path / "old.db", rows


def grown(ana: TestUser, commits: int = 6) -> TestJournal:
    kept = TestJournal(ana)
    for number in range(commits - 1):
        kept.put(ana.devices[0], kept.directory(f"d{number}"))
    return kept


@pytest.mark.parametrize("count", [0, 1, 4])
async def test_lost_commits_handed_back_give_the_identical_journal(tmp_path: Path, count: int) -> None:
    ana = TestUser("ana")
    kept = grown(ana)
    path, rows = await restored(tmp_path, ana, kept, count)
    async with open_coordination(path) as here:
        here.clock.advance(3_600)
        assert await journal.hand_back(here.context, session_of(ana), HandBack(kept.id, rows)) == Ok()
        again = await rows_of(here, ana, kept)
        assert [(row.seq, row.log_hash, row.commit) for row in again] == [
            (row.seq, row.log_hash, row.commit) for row in rows
        ]
        assert [row.received for row in again][count:] == [row.received for row in rows][count:]
        kept.put(ana.devices[0], kept.directory("new"))
        await here.accept(session_of(ana), kept.commits[-1])


async def test_a_commit_that_names_lost_history_is_refused_until_it_is_back(tmp_path: Path) -> None:
    ana = TestUser("ana")
    kept = grown(ana)
    path, rows = await restored(tmp_path, ana, kept, 3)
    kept.put(ana.devices[0], kept.directory("new"))
    async with open_coordination(path) as here:
        answer = await here.propose(session_of(ana), kept.commits[-1])
        assert isinstance(answer, CommitRefused)
        await journal.hand_back(here.context, session_of(ana), HandBack(kept.id, rows[3:]))
        await here.accept(session_of(ana), kept.commits[-1])


async def test_rows_are_taken_back_only_at_exactly_their_place(tmp_path: Path) -> None:
    ana = TestUser("ana")
    kept = grown(ana)
    path, rows = await restored(tmp_path, ana, kept, 2)
    async with open_coordination(path) as here:
        session = session_of(ana)

        async def offer(*offered: JournalRow) -> Ok | Refusal:
            return await journal.hand_back(here.context, session, HandBack(kept.id, offered))

        for wrong in (
            (rows[3],),
            (JournalRow(3, other_head(), rows[2].received, rows[2].commit),),
            (JournalRow(3, rows[3].log_hash, rows[3].received, rows[3].commit),),
            (JournalRow(2, other_head(), rows[1].received, rows[1].commit),),
        ):
            refused = await offer(*wrong)
            assert isinstance(refused, Refusal)
            assert refused.code is RefusalCode.CONFLICT
        assert len(await rows_of(here, ana, kept)) == 2
        assert isinstance(await offer(rows[2], rows[4]), Refusal)
        assert len(await rows_of(here, ana, kept)) == 3, "those before the wrong one are kept"
        assert await offer(*rows) == Ok()
        assert await offer(*rows) == Ok()
        assert len(await rows_of(here, ana, kept)) == 6


async def test_while_devices_are_awaited_only_hand_backs_are_taken(tmp_path: Path) -> None:
    ana = TestUser("ana")
    kept = grown(ana)
    path, rows = await restored(tmp_path, ana, kept, 3)
    continuity = Continuity({kept.id: {ana.devices[0].id}}, until_s=1_000 + 120)
    kept.put(ana.devices[0], kept.directory("new"))
    async with open_coordination(path, continuity=continuity) as here:
        answer = await here.propose(session_of(ana), kept.commits[-1])
        assert isinstance(answer, Refusal)
        assert (answer.code, answer.retry_after_ms) == (RefusalCode.CATCHING_UP, 120_000)
        eve = TestUser("eve")
        await here.know(eve)
        stranger = await here.propose(session_of(eve), kept.commits[-1])
        assert isinstance(stranger, Refusal)
        assert stranger.code is RefusalCode.NOT_FOUND
        assert isinstance(await pages(here, ana, kept, 6, rows[5].log_hash), CursorUnknown)
        assert isinstance(await here.propose(session_of(ana), kept.commits[-1]), Refusal)
        assert await journal.hand_back(here.context, session_of(ana), HandBack(kept.id, rows)) == Ok()
        assert isinstance(await pages(here, ana, kept, 6, rows[5].log_hash), JournalPage)
        await here.accept(session_of(ana), kept.commits[-1])


async def test_of_commits_that_race_for_one_name_exactly_one_is_accepted(here: Coordination) -> None:
    ana = TestUser("ana")
    for number in range(8):
        ana.pair(f"device {number}")
    kept = TestJournal(ana)
    await here.know(ana)
    await here.accept(session_of(ana), kept.commits[0])
    answers: list[CommitAccepted | CommitRefused | Refusal] = []

    async def race(device: TestDevice) -> None:
        commit = kept.commit(device, kept.directory(device.name, name="the one"))
        answers.append(await here.propose(session_of(ana, device), commit))

    async with trio.open_nursery() as nursery:
        for device in ana.devices:
            nursery.start_soon(race, device)
    accepted = [answer for answer in answers if isinstance(answer, CommitAccepted)]
    refused = [answer for answer in answers if isinstance(answer, CommitRefused)]
    assert (len(accepted), len(refused)) == (1, 8)
    assert {change.reason for answer in refused for change in answer.changes} == {ChangeReason.NAME_TAKEN}
    assert {answer.head_seq for answer in refused} == {2}


async def test_a_header_for_another_workspace_is_refused(here: Coordination, ana: TestUser, kept: TestJournal) -> None:
    other = seed("elsewhere")
    commit = signed_commit(
        ana.devices[0], kept.header(ana.devices[0], workspace=other), kept.commit(ana.devices[0]).body
    )
    answer = await journal.commit(here.context, session_of(ana), CommitRequest(commit))
    assert isinstance(answer, Refusal)
    assert answer.code is RefusalCode.NOT_FOUND


async def test_a_thousand_changes_are_stored_and_replaced_in_one_commit_each(
    here: Coordination, ana: TestUser, kept: TestJournal
) -> None:
    device, names = ana.devices[0], [f"f{number}" for number in range(limits.COMMIT_CHANGES)]
    blocks = [block_id(name) for name in names]
    await here.upload(session_of(ana), kept.id, blocks)
    kept.put(device, *(kept.change(name, added=[block]) for name, block in zip(names, blocks, strict=True)))
    kept.put(device, *(kept.change(name, ROOT, f"{name}.new") for name in names))
    await here.accept(session_of(ana), *kept.commits[1:])
    listed = await workspaces.workspaces(here.context, session_of(ana), WorkspacesRequest())
    assert not isinstance(listed, Refusal)
    assert (listed.workspaces[0].entries, listed.workspaces[0].stored_bytes) == (1_000, 1_000_000)
