"""Opening a coordinator's data from a command, beside a running server or without one. Owns how failures are said."""

import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import click
import trio
from sqlalchemy.exc import DBAPIError

from coordinator.machine import ThreadOffload
from coordinator.ports import StorageUnavailable
from coordinator.settings import default_data
from coordinator.storage.metadata_sql import METADATA_FILE, SqlMetadata, open_metadata

T = TypeVar("T")

data_option: Final = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=default_data,
    show_default="the platform's data directory",
    help="Where the coordinator keeps everything.",
)
json_option: Final = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@dataclass(frozen=True, slots=True)
class _Failed:
    why: str


def with_metadata(data: Path, work: Callable[[SqlMetadata], Awaitable[T]], *, make: bool = False) -> T:
    """What `work` returns, given the metadata in `data`; made there if need be where `make`.

    Whatever goes wrong with the disk or the database ends the command with exit status 1 and one line.
    """
    path = data / METADATA_FILE
    try:
        if make:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
        elif not path.exists():
            raise click.ClickException(
                f"there is no coordinator in {data}; start one with `serve`, or name it with --data"
            )
        outcome = trio.run(_run, path, work)
    except (OSError, sqlite3.Error, DBAPIError) as error:
        raise click.ClickException(f"cannot use the data in {data}: {_one_line(error)}") from None
    if isinstance(outcome, _Failed):
        raise click.ClickException(f"cannot write to {data}: {outcome.why}")
    return outcome


async def _run(path: Path, work: Callable[[SqlMetadata], Awaitable[T]]) -> T | _Failed:
    async with open_metadata(path, writer=ThreadOffload(1), readers=ThreadOffload(1)) as metadata:
        try:
            return await work(metadata)
        except StorageUnavailable as error:
            return _Failed("the disk is full" if error.full else _one_line(error))


def _one_line(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return str(cause).splitlines()[0] if str(cause) else type(cause).__name__
