"""The schema that migrations make is the one that the tables declare."""

import logging
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect

from coordinator.storage.metadata_sql import sqlite_engine
from coordinator.storage.migrate import HERE, migrate
from coordinator.storage.tables import metadata


def differences(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))


def test_migrating_an_empty_database_makes_the_declared_tables(tmp_path: Path) -> None:
    engine = sqlite_engine(tmp_path / "m.db")
    migrate(engine)
    assert differences(engine) == []
    assert {"alembic_version", *metadata.tables} == set(inspect(engine).get_table_names())
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
