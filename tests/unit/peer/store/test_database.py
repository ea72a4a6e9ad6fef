"""Transactions: all or nothing, also where the end of one fails; and files that are not this version's."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from peer.store.database import Database, StoreError, open_database


def count(database: Database) -> int:
    row = database.one("SELECT count(*) FROM differing")
    assert row is not None
    return int(row[0])


def put(database: Database, entry: bytes) -> None:
    database.run("INSERT INTO differing VALUES (1, ?)", (entry,))


def put_all(database: Database, entries: list[bytes]) -> None:
    with database.transaction():
        for entry in entries:
            put(database, entry)


def test_what_a_failed_transaction_did_is_undone_and_the_next_one_works() -> None:
    with open_database(None) as database:
        with pytest.raises(sqlite3.IntegrityError):
            put_all(database, [b"one", b"one"])
        assert count(database) == 0
        with database.transaction():
            put(database, b"two")
        assert count(database) == 1


def test_a_transaction_whose_end_fails_is_undone_and_the_next_one_works() -> None:
    with open_database(None) as database:
        database.run("PRAGMA foreign_keys=ON")
        database.run("CREATE TABLE above (x PRIMARY KEY)")
        database.run("CREATE TABLE below (x REFERENCES above DEFERRABLE INITIALLY DEFERRED)")
        database.run("CREATE TRIGGER wrong AFTER INSERT ON differing BEGIN INSERT INTO below VALUES (1); END")
        with pytest.raises(sqlite3.IntegrityError):
            put_all(database, [b"one"])
        database.run("DROP TRIGGER wrong")
        assert count(database) == 0
        with database.transaction():
            put(database, b"two")
        assert count(database) == 1


def test_a_full_disk_undoes_the_transaction(tmp_path: Path) -> None:
    with open_database(tmp_path / "state.db") as database:
        row = database.one("PRAGMA page_count")
        assert row is not None
        database.run(f"PRAGMA max_page_count={row[0] + 1}")
        with pytest.raises(sqlite3.OperationalError) as full:
            put_all(database, [number.to_bytes(16, "big") for number in range(2000)])
        assert full.value.sqlite_errorcode == sqlite3.SQLITE_FULL
        assert count(database) == 0


def test_what_was_written_is_there_after_opening_again(tmp_path: Path) -> None:
    for expected in (1, 2):
        with open_database(tmp_path / "state.db") as database:
            with database.transaction():
                put(database, bytes([expected]))
            assert count(database) == expected


def test_a_database_of_another_version_and_what_is_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with open_database(path) as database:
        database.run("PRAGMA user_version=99")
    with pytest.raises(StoreError, match="another version"), open_database(path):
        pass
    path.write_bytes(b"not a database, " * 100)
    with pytest.raises(StoreError, match="cannot use"), open_database(path):
        pass


def test_damage_that_is_found_later_is_told_like_damage_found_at_once(tmp_path: Path) -> None:
    (tmp_path / "garbage").write_bytes(b"no database" * 1000)
    with (
        contextlib.closing(sqlite3.connect(tmp_path / "garbage")) as other,
        pytest.raises(sqlite3.DatabaseError) as met,
    ):
        other.execute("SELECT * FROM sqlite_master")
    with (
        pytest.raises(StoreError, match="mount"),
        open_database(tmp_path / "state.db"),
    ):
        raise ExceptionGroup("in a nursery", [ExceptionGroup("in another", [met.value])])
    with pytest.raises(ExceptionGroup), open_database(tmp_path / "state.db"):
        raise ExceptionGroup("in a nursery", [ValueError("something else")])
