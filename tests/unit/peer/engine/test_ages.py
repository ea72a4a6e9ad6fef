"""Home and folder have a number each, by which an old copy of one of them is told."""

import errno
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from peer.disk.private import read_age, write_age
from peer.disk.root import Root
from peer.engine.ages import Ages, Verdict
from peer.store import workspaces
from peer.store.database import Database, open_database
from protocol.model import Genesis
from tests.common.disks import hooked, new_root
from tests.common.journals import TestJournal, TestUser
from tests.unit.peer.store.test_taking_rows import KEYRING


@pytest.fixture
def database() -> Iterator[Database]:
    with open_database(None) as opened:
        journal = TestJournal(TestUser("ana"))
        assert isinstance(journal.commits[0].body, Genesis)
        workspaces.add(opened, journal.id, "work", KEYRING, journal.commits[0])
        yield opened


def grown(database: Database, root: Root, times: int = 3) -> Ages:
    ages = Ages(database, 1, root)
    for _ in range(times):
        assert ages.judge() is Verdict.TOGETHER
        ages.grow()
    return ages


def test_a_number_of_the_past_tells_which_one_is_the_copy(database: Database, tmp_path: pathlib.Path) -> None:
    with new_root(tmp_path) as (root, _):
        ages = grown(database, root)
        now = read_age(root)
        assert now is not None
        write_age(root, now - 1)
        assert ages.judge() is Verdict.OLD_FOLDER
        write_age(root, now + 1)
        assert ages.judge() is Verdict.OLD_HOME
        write_age(root, now)
        assert ages.judge() is Verdict.TOGETHER


def test_without_a_number_they_are_taken_for_new(database: Database, tmp_path: pathlib.Path) -> None:
    with new_root(tmp_path) as (root, _):
        ages = grown(database, root)
        for garbled in (b"", b"x", b"-3", b"9" * 400):
            (tmp_path / ".shoal" / "age").write_bytes(garbled)
            assert ages.judge() is Verdict.TOGETHER
            ages.grow()
            assert ages.judge() is Verdict.TOGETHER


@pytest.mark.parametrize("failing", ["create", "write_at", "sync", "unlink", "rename_new"])
def test_what_a_crash_or_a_full_disk_leaves_is_no_copy(
    database: Database, tmp_path: pathlib.Path, failing: str
) -> None:
    refusing = False

    def refuse(number: int, name: str, arguments: tuple[Any, ...]) -> None:
        if refusing and name == failing:
            raise OSError(errno.ENOSPC, "full")

    with new_root(tmp_path, hooked(refuse)) as (root, _):
        ages = grown(database, root)
        refusing = True
        for _ in range(2):
            ages.grow()
            assert ages.judge() is Verdict.TOGETHER
        refusing = False
        grown(database, root)
