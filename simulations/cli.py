"""`shoal-sim`: histories and stories of simulated worlds, from the command line. Owns what it prints."""

import gc
import json
import shlex
import sys
import time
import traceback
from dataclasses import asdict
from pathlib import Path

import click

from simulations import stories
from simulations.checkers.cli import checkers
from simulations.crashpoints_cli import crashpoints
from simulations.explore_cli import explore_command, ledger_command
from simulations.histories import run_history
from simulations.mutants.command import mutants
from simulations.report import summary
from simulations.report.building import Told, make_report
from simulations.report.model import Report
from simulations.report.page import render
from simulations.report.recording import Recording
from simulations.scenario import run_scenario
from simulations.shrinking import read_case, shrink, write_case
from simulations.trace import Trace

_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of lines.")
_report_option = click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="Make a page of what happened, a single HTML file to open in a browser.",
)


@click.group()
def main() -> None:
    """Let the real coordinator and real devices live through simulated time, networks, faults and people."""
    gc.freeze()  # what is loaded lives on
    gc.set_threshold(50_000, 20, 50)


@main.command("list", epilog="Example: shoal-sim list")
@_json_option
def list_command(as_json: bool) -> None:
    """List the stories of the library."""
    found = {name: stories.load(name) for name in stories.names()}
    if as_json:
        click.echo(json.dumps({name: {"title": one.title, "expects": one.expects} for name, one in found.items()}))
        return
    for name, one in found.items():
        click.echo(f"{name:26} {one.expects}")


@main.command("run", epilog="Example: shoal-sim run week-offline")
@click.argument("story")
@click.option("--seed", default="1", show_default=True, help="For all chance in it.")
@click.option("--quiet", is_flag=True, help="Only what came of it.")
@_report_option
@_json_option
def run_command(story: str, seed: str, quiet: bool, report: Path | None, as_json: bool) -> None:
    """Let a story happen: one of the library by its name, or your own in a Python file. Exits with 1 where something
    in it is not as it was expected."""
    try:
        scenario = stories.load(story)
    except LookupError as error:
        raise click.ClickException(str(error)) from None
    except Exception as error:  # noqa: BLE001 - whatever somebody's file comes to
        raise click.ClickException(f"{story} cannot be read: {_where(error, story)}") from None
    recording = Recording()
    trace = Trace(keep_all=True, listener=recording)
    began_s = time.monotonic()
    outcome = run_scenario(scenario, seed, trace=trace)
    command = f"shoal-sim run {shlex.quote(story)} --seed {shlex.quote(seed)}"
    made = make_report(
        recording, outcome, Told(scenario.title, scenario.expects, command, seed, time.monotonic() - began_s)
    )
    _write_report(report, made)
    if as_json:
        click.echo(json.dumps(summary.document(made) | {"happened": [str(note) for note in trace.notes]}))
    else:
        click.echo(f"{scenario.title}: {scenario.expects}")
        for note in () if quiet else trace.notes:
            click.echo(str(note))
        for line in summary.told(made):
            click.echo(line)
        if report is not None:
            click.echo(f"{'the page is in':18}{report}")
    sys.exit(1 if outcome.failures else 0)


def _where(error: Exception, story: str) -> str:
    """The last line of a file in which it went wrong, and how."""
    line: int | None = None
    if isinstance(error, SyntaxError):
        line = error.lineno
    for frame in traceback.extract_tb(error.__traceback__):
        if Path(frame.filename) == Path(story):
            line = frame.lineno
    return f"line {line}: {error}" if line else str(error)


def _write_report(path: Path | None, report: Report) -> None:
    if path is None:
        return
    try:
        path.write_text(render(report), encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"the page cannot be written to {path}: {error.strerror}") from None


@main.command("shrink", epilog="Example: shoal-sim shrink 264 --file 264.json")
@click.argument("seed")
@click.option("--seconds", type=click.FloatRange(1), default=120.0, show_default=True, help="How long to try.")
@click.option("--file", type=click.Path(path_type=Path, dir_okay=False), help="Where to keep the case.")
def shrink_command(seed: str, seconds: float, file: Path | None) -> None:
    """Leave out of a failing history whatever it fails without; `replay` takes the file."""

    def told(left: int, runs: int) -> None:
        click.echo(f"{left} events after {runs} runs", err=True)

    case = shrink(seed, told, within_s=seconds)
    if case is None:
        raise click.ClickException(f"the history of seed {seed} does not fail")
    path = file or Path(f"{seed}.json")
    write_case(path, case)
    click.echo(f"{path}: {case.failure[:300]}")


@main.command("replay", epilog="Example: shoal-sim replay 264")
@click.argument("seed")
@click.option("--all", "everything", is_flag=True, help="Also what is too small to be read: each piece on the network.")
@click.option("--find", multiple=True, help="Only lines in which this occurs; may be given several times.")
@_report_option
@_json_option
def replay(seed: str, everything: bool, find: tuple[str, ...], report: Path | None, as_json: bool) -> None:
    """Run one history again and tell what happens in it. SEED is a number, or a file that `shrink` made."""
    given, recording = seed, Recording()
    trace = Trace(keep_all=True, show_all=everything, listener=recording)
    dropped: frozenset[str] = frozenset()
    if seed.endswith(".json"):
        case = read_case(Path(seed))
        seed, dropped = case.seed, frozenset(case.dropped)
    began_s = time.monotonic()
    outcome = run_history(seed, trace=trace, dropped=dropped)
    told = Told(
        f"history {seed}",
        "everything comes to rest, and nothing is lost, doubled or invented",
        f"shoal-sim replay {shlex.quote(given)}",
        seed,
        time.monotonic() - began_s,
    )
    _write_report(report, make_report(recording, outcome, told))
    lines = [str(note) for note in trace.notes if not find or any(text in str(note) for text in find)]
    if as_json:
        click.echo(json.dumps(asdict(outcome) | {"happened": lines}))
    else:
        for line in lines:
            click.echo(line)
        for failure in outcome.failures:
            click.echo(f"FAILED: {failure}")
        click.echo(f"{outcome.virtual_s:.3f} virtual seconds, trace {outcome.digest}")
    sys.exit(1 if outcome.failures else 0)


for command in (explore_command, ledger_command, crashpoints, checkers, mutants):
    main.add_command(command)
