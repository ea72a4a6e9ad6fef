"""Statements on the bare driver: what they find, and that they find it by an index."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, bindparam, select

from coordinator.storage import sql_blocks, sql_commits, sql_journals, sql_offers, tables
from coordinator.storage.driver import SIZES, Driver, Lookup, Statement
from coordinator.storage.metadata_sql import sqlite_engine
from coordinator.storage.migrate import migrate


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    engine = sqlite_engine(tmp_path / "m.db")
    migrate(engine)
    with engine.connect() as opened:
        yield opened
    engine.dispose()


def plan(connection: Connection, statement: Statement) -> str:
    driver = Driver(connection)
    text = statement.prepared(driver)
    values = [b"" for _ in range(text.count("?"))]
    found = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", tuple(values)).fetchall()
    return " | ".join(row[3] for row in found)


STATEMENTS = {
    f"{module.__name__.rpartition('.')[2]}{name}": value
    for module in (sql_journals, sql_commits, sql_blocks, sql_offers)
    for name, value in vars(module).items()
    if isinstance(value, Statement | Lookup) and not name.startswith(("_INSERT", "_NEXT_KEY", "_NEW_SEGMENT"))
}


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_every_statement_finds_its_rows_by_an_index(connection: Connection, name: str) -> None:
    statement = STATEMENTS[name]
    found = statement if isinstance(statement, Statement) else statement._statements[SIZES[1]]
    assert "SCAN" not in plan(connection, found).replace("SCAN CONSTANT ROW", "")


def test_names_are_looked_up_in_the_index_of_live_ones(connection: Connection) -> None:
    assert "entry_heads_by_name" in plan(connection, sql_journals._NAMED._statements[1])


@pytest.mark.parametrize("count", [0, 1, 2, 8, 9, 64, 65, 499, 500, 501, 1_300])
def test_a_lookup_finds_every_key_once_whatever_their_number(connection: Connection, count: int) -> None:
    driver, keys = Driver(connection), [number.to_bytes(4, "big") for number in range(count)]
    insert = Statement(sql_blocks._new)
    driver.run_many(insert, [(key, 1, 0, 1, 0) for key in keys])
    column = tables.blocks.c.block
    lookup = Lookup(column, lambda condition: select(column).where(condition, tables.blocks.c.length == bindparam("n")))
    found = [row.block for row in lookup.rows(driver, keys, n=1)]
    assert sorted(found) == keys
    assert not list(lookup.rows(driver, keys, n=2))
