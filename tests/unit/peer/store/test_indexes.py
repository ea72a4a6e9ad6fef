"""Look-ups by place, name and inode go through an index: a walk over a table makes planning quadratic."""

import re

import pytest

from peer.store import journal, trees
from peer.store.database import open_database

_SELECT = re.compile(r'"(SELECT entry FROM (?:remote|local|synced) [^"]*)"')


def _statements() -> list[str]:
    found = []
    for module in (trees, journal):
        assert module.__file__ is not None
        with open(module.__file__, encoding="utf-8") as source:
            found += _SELECT.findall(source.read())
    return found


@pytest.mark.parametrize("statement", _statements())
def test_a_look_up_of_entries_uses_a_covering_index(statement: str) -> None:
    with open_database(None) as database:
        parameters = (1,) * statement.count("?")
        plan = " ".join(str(row) for row in database.all(f"EXPLAIN QUERY PLAN {statement}", parameters))
    assert "USING COVERING INDEX" in plan, plan


def test_there_are_look_ups_to_check() -> None:
    assert len(_statements()) >= 8
