"""The schema that migrations make is the one that the tables declare."""

import logging
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect

from coordinator.storage.metadata_sql import sqlite_engine
from coordinator.storage.migrate import HERE, migrate
from coordinator.storage.sql_journals import SqlJournals
from coordinator.storage.sql_offers import SqlOffers
from coordinator.storage.tables import metadata
from protocol.ids import WorkspaceId


def differences(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))


def test_migrating_an_empty_database_makes_the_declared_tables(tmp_path: Path) -> None:
    engine = sqlite_engine(tmp_path / "m.db")
    migrate(engine)
    assert differences(engine) == []
    assert {"alembic_version", *metadata.tables} == set(inspect(engine).get_table_names())
    engine.dispose()


def test_what_was_there_before_offered_versions_is_kept_and_durable(tmp_path: Path) -> None:
    engine = sqlite_engine(tmp_path / "m.db")
    migrate(engine, "0001")
    columns = "id, workspace_id, owner, salt, head_seq, head_hash, epoch, last_control, received, entries, stored_bytes"
    with engine.connect() as connection:
        connection.exec_driver_sql(
            f"INSERT INTO workspaces ({columns}) VALUES (1, x'aa', x'bb', x'cc', 7, x'dd', 1, x'ee', 9, 3, 4096)"
        )
    migrate(engine)
    assert differences(engine) == []
    with engine.connect() as connection:
        found = SqlJournals(connection).workspace(WorkspaceId(b"\xaa"))
        assert found is not None
        assert (found.head_seq, found.stored_bytes, found.durability) == (7, 4096, 0)
        assert SqlOffers(connection).open(1) == []
    engine.dispose()


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    engine = sqlite_engine(tmp_path / "m.db")
    migrate(engine)
    migrate(engine)
    assert differences(engine) == []
    engine.dispose()


def test_the_scripts_lie_inside_the_package() -> None:
    assert HERE.parent.name == "storage"
    assert (HERE / "env.py").is_file()
    assert list((HERE / "versions").glob("0001_*.py"))


def test_migrating_leaves_logging_as_it_was(tmp_path: Path) -> None:
    before = logging.getLogger().handlers[:], logging.getLogger().level
    engine = sqlite_engine(tmp_path / "m.db")
    migrate(engine)
    engine.dispose()
    assert (logging.getLogger().handlers[:], logging.getLogger().level) == before
