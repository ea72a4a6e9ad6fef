"""Brings a database to the present schema. Owns running the migrations; each one is a file in `migrations/versions`.

The scripts are part of the package, found beside this module, so that an installed wheel migrates by itself.
"""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

HERE = Path(__file__).parent / "migrations"


def migrate(engine: Engine, to: str = "head") -> None:
    """Run what is missing, in one transaction. Safe beside another process that does the same.

    `to` names an older schema, for a database as it was once.
    """
    with engine.connect() as connection:
        if MigrationContext.configure(connection).get_current_heads() == _heads():
            return
        config = _config()
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            config.attributes["connection"] = connection
            command.upgrade(config, to)
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE).replace("%", "%%"))
    return config


@cache
def _heads() -> tuple[str, ...]:
    """The present schema's name."""
    return tuple(ScriptDirectory.from_config(_config()).get_heads())
