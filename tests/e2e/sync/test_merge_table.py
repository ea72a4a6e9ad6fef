"""Every row of the merge table with two real devices, whichever is first, and with neither."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.common.fleet import Fleet, Peer, read_contents
from tests.e2e.sync.rows import BASE_S, ROWS, Contents

KNOWN_BEFORE = {b"base", b"x", b"y", b"a", b"b", b"c", b"o", b"dash", b"-> here"}
MOVED = {"moved to a name, made there", "made at a name, moved there", "two moved to a name"}
"""Rows in which an entry that is called a conflicted copy is itself, not the copy of another."""


@dataclass
class Outcome:
    """What there was in the end, by row; `edited`: what either device had before it heard of the other."""

    found: dict[str, Contents]
    edited: dict[str, tuple[Contents, Contents]]


def make_bases(folder: Path) -> None:
    for row in ROWS:
        at = folder / row.name
        at.mkdir(parents=True)
        row.base(at)
        for path in at.rglob("*"):
            os.utime(path, (BASE_S, BASE_S), follow_symlinks=False)


def edit_both(early: Peer, late: Peer) -> dict[str, tuple[Contents, Contents]]:
    for row in ROWS:
        row.early(early.folder / row.name)
        row.late(late.folder / row.name)
    return {row.name: (read_contents(early.folder / row.name), read_contents(late.folder / row.name)) for row in ROWS}


def finish(fleet: Fleet, red: Peer, edited: dict[str, tuple[Contents, Contents]]) -> Outcome:
    tree = fleet.settle()
    listed = [{path for path, _, _ in peer.conflicts()} for peer in fleet.peers]
    assert listed[0] == listed[1]
    named = {path for path in tree if "conflicted copy" in path}
    assert listed[0] <= named
    assert {path.partition("/")[0] for path in named - listed[0]} <= MOVED
    return Outcome({row.name: read_contents(red.folder / row.name) for row in ROWS}, edited)


@pytest.mark.parametrize("first", ["red", "blue"])
def test_the_first_in_the_journal_has_the_name_and_nothing_is_lost(fleet: Fleet, first: str) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=make_bases)
    early, late = (red, blue) if first == "red" else (blue, red)
    late.stop()
    early.program.signal(signal.SIGSTOP)
    edited = edit_both(early, late)
    early.program.signal(signal.SIGCONT)
    early.wait()
    late.start()
    outcome = finish(fleet, red, edited)
    expected = {row.name: row.expected(late.name) for row in ROWS}
    assert {name: its for name, its in outcome.found.items() if its != expected[name]} == {}


def test_of_edits_made_at_once_while_running_none_is_lost_and_no_copy_is_needless(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=make_bases)
    for peer in (red, blue):
        peer.program.signal(signal.SIGSTOP)
    edited = edit_both(red, blue)
    for peer in (red, blue):
        peer.program.signal(signal.SIGCONT)
    check_nothing_lost(finish(fleet, red, edited))


def test_of_edits_made_at_once_while_stopped_none_is_lost_and_no_copy_is_needless(fleet: Fleet) -> None:
    red, blue = fleet.pair_of("red", "blue", fill=make_bases)
    red.stop()
    blue.stop()
    edited = edit_both(red, blue)
    red.start()
    blue.start()
    check_nothing_lost(finish(fleet, red, edited))


def check_nothing_lost(outcome: Outcome) -> None:
    for row in ROWS:
        found = outcome.found[row.name]
        for edited in outcome.edited[row.name]:
            for data in edited.values():
                assert data is None or data in KNOWN_BEFORE or data in found.values(), (row.name, data, found)
        if not any("conflicted copy" in path for path in row.expected("red")):
            assert not any("conflicted copy" in path for path in found), (row.name, found)
