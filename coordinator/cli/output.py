"""How the commands print: tables for people, JSON for scripts. Owns the formats of times and sizes."""

import datetime
import json
import re
from collections.abc import Sequence
from typing import Final

import click

_DURATION: Final = re.compile(r"([1-9][0-9]{0,8})([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
LONGEST_S: Final = 366 * 86_400


def print_json(document: object) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(document, ensure_ascii=False))


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns under their heads; nothing but the heads where there are no rows."""
    widths = [max(len(line[at]) for line in (heads, *rows)) for at in range(len(heads))]
    for line in (heads, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def time_text(ms: int) -> str | None:
    """RFC 3339 in UTC; None for 0, which means never."""
    if not ms:
        return None
    moment = datetime.datetime.fromtimestamp(ms / 1000, tz=datetime.UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def size_text(size_bytes: int) -> str:
    """A size for people, in powers of 1,024."""
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def duration_ms(_context: click.Context, _parameter: click.Parameter, value: str) -> int:
    """A span of time such as `90m` or `7d` in milliseconds; at most a year. A callback for options."""
    match = _DURATION.fullmatch(value.strip().lower())
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if not 0 < seconds <= LONGEST_S:
        raise click.BadParameter(f"{value!r} is not a span of time like 12h, 7d or 4w, of a year at most")
    return seconds * 1000
