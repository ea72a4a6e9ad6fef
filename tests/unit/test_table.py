"""The table of what is shown by which tests names every row, and only tests that there are."""

import pytest

from peer.problem_codes import MEANINGS
from tests.e2e.sync.rows import TABLE
from tests.table import codes, collected, faults, merge


def test_every_row_has_a_test_that_is_there_or_says_what_is_left() -> None:
    assert not collected.missing()


def test_every_row_of_the_merge_table_is_in_it() -> None:
    assert [row.name for row in merge.ROWS] == list(TABLE)


def test_every_code_of_a_problem_is_in_it() -> None:
    assert {row.name for row in codes.ROWS} == set(MEANINGS)
    assert len({row.name for row in codes.ROWS}) == len(codes.ROWS)


def test_every_fault_is_in_it() -> None:
    assert [row.name for row in faults.ROWS] == [f"F{number:02}" for number in range(1, 95)]


def test_what_is_left_is_left_to_somebody() -> None:
    for row in collected.ALL:
        assert not row.left or row.left.startswith(("simulator: ", "later: ")), row


@pytest.mark.parametrize(
    "test",
    [
        "tests/unit/test_table.py::test_every_fault_is_in_it[1]",
        "tests/unit/test_table.py::test_no_fault_is_in_it",
        "tests/unit/test_table.py::codes",
        "tests/unit/test_tables.py::test_every_fault_is_in_it",
        "tests/table/codes.py::ROWS",
    ],
)
def test_what_is_no_test_is_not_there(test: str) -> None:
    assert not collected.is_there(test)
