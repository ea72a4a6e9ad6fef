"""Every row of the merge table with two real devices, whichever is first, and with neither."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.common.fleet import Fleet, Peer, open_fleet, read_contents
from tests.e2e.sync.rows import BASE_S, ROWS, Contents, Row

ORDERS = ("red first", "blue first", "at once while running", "at once while stopped")
MOVED = {"moved to a name, made there", "made at a name, moved there", "two moved to a name"}
"""Rows in which an entry that is called a conflicted copy is itself, not the copy of another."""


@dataclass
class Outcome:
    """What there was in the end, by order and row; `edited`: what either device had before it heard of the other."""

    found: dict[tuple[str, str], Contents]
    edited: dict[tuple[str, str], tuple[Contents, Contents]]


def edit(early: Peer, late: Peer | None, order: str, outcome: Outcome) -> None:
    for row in ROWS:
        at = Path(order) / row.name
        row.early(early.folder / at)
        if late is not None:
            row.late(late.folder / at)
            outcome.edited[order, row.name] = (read_contents(early.folder / at), read_contents(late.folder / at))


def make_bases(folder: Path) -> None:
    for order in ORDERS:
        for row in ROWS:
            at = folder / order / row.name
            at.mkdir(parents=True)
            row.base(at)
            for path in at.rglob("*"):
                os.utime(path, (BASE_S, BASE_S), follow_symlinks=False)


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    with open_fleet() as fleet:
        return play(fleet)


def play(fleet: Fleet) -> Outcome:
    red, blue = fleet.pair_of("red", "blue", fill=make_bases)
    outcome = Outcome({}, {})
    for order, early, late in ((ORDERS[0], red, blue), (ORDERS[1], blue, red)):
        late.stop()
        early.program.signal(signal.SIGSTOP)
        edit(early, None, order, outcome)
        early.program.signal(signal.SIGCONT)
        early.wait()
        for row in ROWS:
            row.late(late.folder / order / row.name)
        late.start()
        fleet.settle()
    for peer in (red, blue):
        peer.program.signal(signal.SIGSTOP)
    edit(red, blue, ORDERS[2], outcome)
    for peer in (red, blue):
        peer.program.signal(signal.SIGCONT)
    fleet.settle()
    red.stop()
    blue.stop()
    edit(red, blue, ORDERS[3], outcome)
    red.start()
    blue.start()
    fleet.settle()
    for order in ORDERS:
        for row in ROWS:
            outcome.found[order, row.name] = read_contents(red.folder / order / row.name)
    assert red.conflicts() == blue.conflicts()
    copies = {path for path, _, _ in red.conflicts()}
    named = {path for path in red.tree() if "conflicted copy" in path}
    assert copies <= named
    assert {path.split("/")[1] for path in named - copies} <= MOVED
    return outcome


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize(("order", "late"), [(ORDERS[0], "blue"), (ORDERS[1], "red")])
def test_the_first_in_the_journal_has_the_name_and_nothing_is_lost(
    outcome: Outcome, row: Row, order: str, late: str
) -> None:
    assert outcome.found[order, row.name] == row.expected(late)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("order", ORDERS[2:])
def test_of_edits_made_at_once_none_is_lost_and_no_copy_is_made_without_need(
    outcome: Outcome, row: Row, order: str
) -> None:
    found = outcome.found[order, row.name]
    base = {b"base", b"x", b"y", b"a", b"b", b"c", b"o", b"dash", b"-> here"}
    for edited in outcome.edited[order, row.name]:
        for data in edited.values():
            assert data is None or data in base or data in found.values()
    if not any("conflicted copy" in path for path in row.expected("red")):
        assert not any("conflicted copy" in path for path in found)
