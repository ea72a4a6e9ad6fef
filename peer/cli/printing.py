"""How values are shown: sizes, times and names for people, documents for scripts, bars for terminals.

Owns these forms. Names come from disks and from other people: nothing in one is ever taken as a control character, a
mark-up or a new line.
"""

import datetime
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, TextIO

import click
import msgspec

from peer.control.messages import Reply

if TYPE_CHECKING:
    from rich.console import Console

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def print_document(reply: Reply) -> None:
    """One JSON document on a line of its own: the answer without its tag."""
    fields = msgspec.to_builtins(reply)
    fields.pop("reply", None)
    print_json(fields)


def print_json(fields: dict[str, object]) -> None:
    """One JSON document on a line of its own, handed over at once."""
    sys.stdout.write(msgspec.json.encode(fields).decode() + "\n")
    sys.stdout.flush()


def say(message: str) -> None:
    """A line for people, beside the results."""
    click.echo(line_shown(message), err=True)


def is_terminal(stream: TextIO) -> bool:
    """Whether somebody sees it as it comes."""
    return stream.isatty()


def terminal(stream: TextIO) -> "Console":
    """A console on a terminal. Colours obey NO_COLOR and TERM; nothing in a text is taken as mark-up."""
    from rich.console import Console  # only where there is a terminal: scripts start commands often

    return Console(file=stream, markup=False, emoji=False, highlight=False)


def line_shown(text: str) -> str:
    """A text as one line in which whatever cannot be printed is spelled out."""
    return "".join(each if each.isprintable() else _spelled(each) for each in text)


def _spelled(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def size_shown(size_bytes: float) -> str:
    """Bytes with three digits that matter, such as 1.21 GiB."""
    size = float(size_bytes)
    unit = 0
    while size >= 999.5 and unit < len(_UNITS) - 1:
        size /= 1024
        unit += 1
    if unit == 0:
        return f"{size:.0f} B"
    return f"{size:.{2 if size < 9.995 else 1 if size < 99.95 else 0}f} {_UNITS[unit]}"


def span_shown(seconds: float) -> str:
    """A span of time in its two largest units, such as 2 h 05 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600:02} h"


def time_shown(stamp: str | None) -> str:
    """An RFC 3339 time in the zone of whoever reads it."""
    if not stamp:
        return "never"
    try:
        moment = datetime.datetime.fromisoformat(stamp)
    except ValueError:
        return line_shown(stamp)
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def count_shown(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun, such as 1 file or 1,200 files."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def print_rows(heads: Sequence[str], rows: Iterable[Sequence[str]], *, right: frozenset[int] = frozenset()) -> None:
    """A table on a terminal; elsewhere the rows alone, their cells parted by tabs. `right` are columns of numbers."""
    if not is_terminal(sys.stdout):
        for row in rows:
            click.echo("\t".join(line_shown(cell) for cell in row))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for at, head in enumerate(heads):
        table.add_column(head, justify="right" if at in right else "left", overflow="fold", no_wrap=at in right)
    for row in rows:
        table.add_row(*(Text(line_shown(cell)) for cell in row))
    terminal(sys.stdout).print(table)
