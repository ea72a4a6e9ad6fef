"""`shoal-sim mutants`. Owns what it prints."""

import json
import os
import sys
from dataclasses import asdict
from typing import Final

import click

from simulations.mutants.register import MUTANTS
from simulations.mutants.trials import BUDGET, Trial, try_all

_FINDING_CHARS: Final = 150


@click.command("mutants", epilog="Example: shoal-sim mutants no-compare-and-swap --budget 20")
@click.argument("names", nargs=-1, type=click.Choice(list(MUTANTS)), metavar="[NAME]...")
@click.option(
    "--budget", type=click.IntRange(1), default=BUDGET, show_default=True, help="The most attempts for each mistake."
)
@click.option("--jobs", type=click.IntRange(1, 256), default=None, help="Processes at a time; one a core if not given.")
@click.option("--list", "only_list", is_flag=True, help="Only say which mistakes there are.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of lines.")
def mutants(names: tuple[str, ...], budget: int, jobs: int | None, only_list: bool, as_json: bool) -> None:
    """Put known mistakes into the program, one at a time, and see that each is found. Then make the same attempts
    with the program as it is. Exits with 1 where a mistake was not found, or where there was one without."""
    chosen = list(dict.fromkeys(names)) or list(MUTANTS)
    if only_list:
        _list(chosen, as_json=as_json)
        return

    def told(trial: Trial) -> None:
        if not as_json:
            _tell(trial)

    trials = try_all(chosen, budget, jobs or os.cpu_count() or 1, told)
    good = all(trial.is_good for trial in trials)
    if as_json:
        click.echo(json.dumps([_document(trial) for trial in trials]))
    else:
        _sum_up(trials)
    sys.exit(0 if good else 1)


def _list(chosen: list[str], *, as_json: bool) -> None:
    found = [MUTANTS[name] for name in chosen]
    if as_json:
        keys = ("name", "disaster", "promise")
        click.echo(json.dumps([{key: getattr(one, key) for key in keys} | {"in": one.finder.name} for one in found]))
        return
    for one in found:
        click.echo(f"{one.name:32} {one.disaster} [{one.promise}; looked for in {one.finder.name}]")


def _document(trial: Trial) -> dict[str, object]:
    said = asdict(trial) | {"is_good": trial.is_good, "finding": trial.finding}
    if trial.mutant:
        said |= {"disaster": MUTANTS[trial.mutant].disaster, "promise": MUTANTS[trial.mutant].promise}
    return said


def _tell(trial: Trial) -> None:
    took = f"{_plural(trial.attempts, trial.unit):16} {trial.seconds:6.1f} s"
    if not trial.mutant:
        click.echo(f"{'passes' if trial.is_good else 'FAILS':9} {took}  without a mistake: {trial.finder}")
        if trial.failures:
            click.echo(f"{'':10}{trial.finding[:_FINDING_CHARS]}")
        return
    verdict = "found" if trial.is_good else "NOT FOUND"
    why = "" if trial.reached else " (never reached)"
    click.echo(f"{verdict:9} {took}  {trial.mutant}{why}")
    click.echo(f"{'':10}{MUTANTS[trial.mutant].disaster}")
    click.echo(f"{'':10}{MUTANTS[trial.mutant].promise}: {trial.finding[:_FINDING_CHARS] or 'holds'}")


def _plural(count: int, unit: str) -> str:
    many = f"{unit[:-1]}ies" if unit.endswith("y") else f"{unit}s"
    return f"{count} {unit if count == 1 else many}"


def _sum_up(trials: list[Trial]) -> None:
    mutated = [trial for trial in trials if trial.mutant]
    plain = [trial for trial in trials if not trial.mutant]
    found = [trial for trial in mutated if trial.is_good]
    click.echo(
        f"{len(found)} of {len(mutated)} mistakes found, in {sum(trial.attempts for trial in mutated)} attempts and "
        f"{sum(trial.seconds for trial in mutated):.0f} s; without a mistake "
        f"{sum(trial.attempts for trial in plain)} attempts in {sum(trial.seconds for trial in plain):.0f} s, "
        f"{sum(not trial.is_good for trial in plain)} failures"
    )
    for trial in mutated:
        if not trial.is_good:
            click.echo(f"not found: {trial.mutant}")
