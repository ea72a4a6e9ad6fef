"""Every row of the merge table with two real devices: offline, online and racing, whoever is first.

`python -P -m tests.e2e.sync.test_merge_table` prints which test goes through which row.
"""

import os
import re
import signal
from pathlib import Path

import pytest

from tests.common.fleet import copy_name, read_contents
from tests.e2e.sync.cases import TODAY, Contents
from tests.e2e.sync.conftest import Duo
from tests.e2e.sync.edits import BASE_S, DAY_S
from tests.e2e.sync.rows import CASES, TABLE

ORDERS = ("red", "blue")


class Meeting:
    """Two devices that have all bases, in a directory for this test."""

    def __init__(self, duo: Duo, first: str, how: str) -> None:
        self.duo = duo
        self.early, self.late = (duo.red, duo.blue) if first == "red" else (duo.blue, duo.red)
        self.place = f"{how}, {first} first"
        for case in CASES:
            at = self.early.folder / self.place / case.name
            at.mkdir(parents=True)
            case.base(at)
            for path in at.rglob("*"):
                os.utime(path, (BASE_S, BASE_S), follow_symlinks=False)
        duo.fleet.settle()

    def edit_early(self) -> None:
        for case in CASES:
            case.early(self.early.folder / self.place / case.name)

    def edit_late(self) -> None:
        for case in CASES:
            case.late(self.late.folder / self.place / case.name)

    def check(self, *, either: bool, watched: bool) -> None:
        """All come together, and to what the table says."""
        tree = self.duo.fleet.settle()
        called = {path for path in tree if "conflicted copy" in path.rpartition("/")[2]}
        for peer in self.duo.fleet.peers:
            assert {path for path, _, _ in peer.conflicts()} == called
            assert {of for _, of, _ in peer.conflicts()} <= tree.keys()
            assert (peer.workspace.conflicts, peer.workspace.entries) == (len(called), len(tree))
        wrong = []
        for case in CASES:
            at = self.early.folder / self.place / case.name
            found, executable = without_dates(read_contents(at)), executables(at)
            wanted = case.outcomes(self.early.name, self.late.name, either=either, watched=watched)
            if found not in wanted:
                wrong.append(f"{case.name}: {found} is none of {wanted}")
            elif executable != case.executable:
                wrong.append(f"{case.name}: executable is {set(executable)}")
        assert not wrong, "\n".join(wrong)


def without_dates(found: Contents) -> Contents:
    """Only directories are given conflicted names of the day of the test."""
    known = "|".join(copy_name("", "", time_s)[-11:-1] for time_s in (BASE_S, DAY_S))
    return {re.sub(rf"(conflicted copy )(?!{known})[0-9-]+", rf"\1{TODAY}", path): its for path, its in found.items()}


def executables(folder: Path) -> frozenset[str]:
    return frozenset(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if not path.is_symlink() and path.is_file() and path.stat().st_mode & 0o100
    )


@pytest.mark.parametrize("first", ORDERS)
def test_offline_edits_come_together_one_after_the_other(duo: Duo, first: str) -> None:
    meeting = Meeting(duo, first, "offline")
    meeting.early.stop()
    meeting.late.stop()
    meeting.edit_early()
    meeting.edit_late()
    meeting.early.start()
    meeting.early.wait()
    meeting.late.start()
    meeting.check(either=False, watched=False)


@pytest.mark.parametrize("first", ORDERS)
def test_offline_edits_race_when_both_come_back_at_once(duo: Duo, first: str) -> None:
    meeting = Meeting(duo, first, "back at once")
    meeting.early.stop()
    meeting.late.stop()
    meeting.edit_early()
    meeting.edit_late()
    meeting.early.start()
    meeting.late.start()
    meeting.check(either=True, watched=False)


@pytest.mark.parametrize("first", ORDERS)
def test_online_edits_meet_what_came_before_them(duo: Duo, first: str) -> None:
    meeting = Meeting(duo, first, "online")
    meeting.late.program.signal(signal.SIGSTOP)
    meeting.edit_early()
    meeting.early.wait()
    meeting.edit_late()
    meeting.late.program.signal(signal.SIGCONT)
    meeting.check(either=False, watched=True)


@pytest.mark.parametrize("first", ORDERS)
def test_racing_edits_end_as_if_either_had_been_first(duo: Duo, first: str) -> None:
    meeting = Meeting(duo, first, "racing")
    for peer in (meeting.early, meeting.late):
        peer.program.signal(signal.SIGSTOP)
    meeting.edit_early()
    meeting.edit_late()
    for peer in (meeting.early, meeting.late):
        peer.program.signal(signal.SIGCONT)
    meeting.check(either=True, watched=True)


def test_every_row_of_the_table_has_cases_of_its_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert all(TABLE.values())


def merge_table() -> dict[str, tuple[list[str], list[str]]]:
    """Of every row of the merge table: its cases, and the tests that go through them."""
    tests = [
        f"tests/e2e/sync/test_merge_table.py::{test.__name__}[{order}]"
        for test in (
            test_offline_edits_come_together_one_after_the_other,
            test_offline_edits_race_when_both_come_back_at_once,
            test_online_edits_meet_what_came_before_them,
            test_racing_edits_end_as_if_either_had_been_first,
        )
        for order in ORDERS
    ]
    return {row: ([case.name for case in cases], tests) for row, cases in TABLE.items()}


if __name__ == "__main__":
    for row, (cases, tests) in merge_table().items():
        print(f"{row}: {'; '.join(cases)}")
        for test in tests:
            print(f"    {test}")
