"""`shoal-sim replay`. Owns what it prints: what happened, and between it the three trees of devices, step by step."""

import json
import math
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import msgspec

from simulations.histories import run_history
from simulations.report.building import Told, make_report
from simulations.report.cli import json_option, report_option, write_report
from simulations.report.recording import Recording
from simulations.shrinking import Case, read_case
from simulations.steps import Steps, Table
from simulations.trace import Note, Trace
from simulations.tree_tables import LEGEND, Lines, document
from simulations.world import Outcome


@dataclass(frozen=True)
class Asked:
    """What is to be shown of a history."""

    find: Sequence[str]
    from_s: float
    until_s: float
    devices: Sequence[str]
    """All, where it names none."""
    shows_trees: bool
    whole: bool

    def has(self, note: Note) -> bool:
        """Whether this is to be shown of what happened."""
        is_then = self.from_s <= note.at_s <= self.until_s
        return is_then and (not self.find or any(text in str(note) for text in self.find))


@click.command("replay", epilog="Example: shoal-sim replay 264 --device red --from 20 --until 30")
@click.argument("seed")
@click.option("--all", "everything", is_flag=True, help="Also what is too small to be read: each piece on the network.")
@click.option("--find", multiple=True, help="Only lines in which this occurs; may be given several times.")
@click.option("--from", "from_s", type=float, default=0.0, help="Only what happens from this virtual second on.")
@click.option("--until", "until_s", type=float, default=math.inf, help="Only what happens until then.")
@click.option("--trees/--no-trees", default=True, show_default=True, help="Show devices' three trees.")
@click.option("--device", "devices", multiple=True, help="Only the trees of this device; may be given several times.")
@click.option("--whole", is_flag=True, help="In whole trees, also show each entry that is the same in all three.")
@report_option
@json_option
def replay(
    seed: str,
    everything: bool,
    find: tuple[str, ...],
    from_s: float,
    until_s: float,
    trees: bool,
    devices: tuple[str, ...],
    whole: bool,
    report: Path | None,
    as_json: bool,
) -> None:
    """Run one history again and tell what happens in it. SEED is a number, or a file that `shrink` made.

    After each commit of a device's database that changed one of its three trees it shows what changed: what the
    journal says (remote), what the last scan found on the disk (local), and what was last in step (synced). At a
    failure and in the end it shows whatever the trees do not agree about.
    """
    asked = Asked(find, from_s, until_s, devices, trees, whole)
    given, recording = seed, Recording()
    trace = Trace(keep_all=True, show_all=everything, listener=recording)
    steps = Steps(lambda: len(trace.notes))
    trace.stores = steps
    dropped: frozenset[str] = frozenset()
    if seed.endswith(".json"):
        case = _read_case(Path(seed))
        seed, dropped = case.seed, frozenset(case.dropped)
    began_s = time.monotonic()
    outcome = run_history(seed, trace=trace, dropped=dropped)
    _require_known(devices, steps, seed)
    told = Told(
        f"history {seed}",
        "everything comes to rest, and nothing is lost, doubled or invented",
        f"shoal-sim replay {shlex.quote(given)}",
        seed,
        time.monotonic() - began_s,
    )
    write_report(report, make_report(recording, outcome, told))
    labels = steps.labels()
    lines = Lines(labels, _width(), counts=not find)
    items = _items(trace, _tables(steps, asked, outcome.virtual_s, lines), asked)
    if as_json:
        _write_document(outcome, items, labels)
    else:
        _write_lines(outcome, items, lines, legend=trees and not find)
    sys.exit(1 if outcome.failures else 0)


def _read_case(path: Path) -> Case:
    try:
        return read_case(path)
    except (OSError, msgspec.DecodeError) as error:
        raise click.ClickException(f"{path} is no file that `shoal-sim shrink` made: {error}") from None


def _require_known(devices: Sequence[str], steps: Steps, seed: str) -> None:
    for name in devices:
        if name not in steps.devices:
            known = ", ".join(steps.devices)
            raise click.UsageError(f"there is no device {name!r} in history {seed}, which has: {known}")


def _tables(steps: Steps, asked: Asked, ends_s: float, lines: Lines) -> Iterator[tuple[int, Table]]:
    """What is to be shown of trees, each with how many notes come before it at least."""
    if not asked.shows_trees:
        return
    names, until_s = asked.devices or steps.devices, min(asked.until_s, ends_s)
    for place, table in steps.play(names, asked.from_s, until_s, whole=asked.whole):
        found = lines.found(table, asked.find) if asked.find else table
        if found is not None:
            yield place, found


def _items(trace: Trace, tables: Iterator[tuple[int, Table]], asked: Asked) -> Iterator[Note | Table]:
    """What is to be shown, in order."""
    waiting = next(tables, None)
    for place, note in enumerate(trace.notes):
        while waiting is not None and waiting[0] <= place:
            yield waiting[1]
            waiting = next(tables, None)
        if asked.has(note):
            yield note
    while waiting is not None:
        yield waiting[1]
        waiting = next(tables, None)


def _width() -> int | None:
    """That of the terminal; whatever reads it otherwise gets all."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _write_lines(outcome: Outcome, items: Iterator[Note | Table], lines: Lines, *, legend: bool) -> None:
    for line in LEGEND if legend else ():
        click.echo(line)
    for item in items:
        for line in [str(item)] if isinstance(item, Note) else lines.of(item):
            click.echo(line)
    for failure in outcome.failures:
        click.echo(f"FAILED: {failure}")
    click.echo(f"{outcome.virtual_s:.3f} virtual seconds, trace {outcome.digest}")


def _write_document(outcome: Outcome, items: Iterator[Note | Table], labels: Mapping[bytes, str]) -> None:
    happened: list[str] = []
    tables: list[dict[str, object]] = []
    for item in items:
        if isinstance(item, Note):
            happened.append(str(item))
        else:
            tables.append(document(item, len(happened), labels))
    click.echo(json.dumps(asdict(outcome) | {"happened": happened, "trees": tables}))
