"""`shoal-sim`: histories and stories of simulated worlds, from the command line. Owns what it prints."""

import gc
import json
import shlex
import sys
import time
import traceback
from pathlib import Path

import click

from simulations import stories
from simulations.checkers.cli import checkers
from simulations.crashpoints_cli import crashpoints
from simulations.explore_cli import explore_command, ledger_command
from simulations.mutants.command import mutants
from simulations.replay_cli import replay
from simulations.report import summary
from simulations.report.building import Told, make_report
from simulations.report.cli import json_option, report_option, write_report
from simulations.report.recording import Recording
from simulations.scenario import run_scenario
from simulations.shrinking import shrink, write_case
from simulations.trace import Trace


@click.group()
def main() -> None:
    """Let the real coordinator and real devices live through simulated time, networks, faults and people."""
    gc.freeze()  # what is loaded lives on
    gc.set_threshold(50_000, 20, 50)


@main.command("list", epilog="Example: shoal-sim list")
@json_option
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
@report_option
@json_option
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
    write_report(report, made)
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


for command in (explore_command, ledger_command, replay, crashpoints, checkers, mutants):
    main.add_command(command)
