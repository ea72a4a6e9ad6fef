"""`shoal-sim explore` and `shoal-sim ledger`. Owns what they print."""

import json
import secrets
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import click

from simulations.explorations import BadLedger, Explorations, Totals, commit
from simulations.explore import Account, Exploration, jobs_here
from simulations.world import Outcome

_FRESH = 1_000_000
_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of lines.")


def _seeds(_context: click.Context, _parameter: click.Parameter, value: str) -> range:
    first, dash, last = value.partition("-")
    try:
        seeds = range(int(first), int(last if dash else first) + 1)
    except ValueError:
        raise click.BadParameter("give a range of numbers, as in 0-999") from None
    if not seeds:
        raise click.BadParameter("the last seed comes before the first")
    return seeds


@click.command("explore", epilog="Example: shoal-sim explore --seeds 0-999 --ledger explored.jsonl")
@click.option("--seeds", callback=_seeds, default="0-99", show_default=True, help="Which histories, first to last.")
@click.option("--fresh", type=click.IntRange(1), help="So many that nobody has seen, instead; the seeds are printed.")
@click.option("--jobs", type=click.IntRange(1, 256), default=None, help="Processes at a time; one a core if not given.")
@click.option("--minutes", type=click.FloatRange(0), default=None, help="Begin nothing more after so long.")
@click.option("--stop-after", type=click.IntRange(0), default=0, help="Stop after so many failures.")
@click.option("--ledger", type=click.Path(path_type=Path, dir_okay=False), help="Add a line to this file.")
@_json_option
def explore_command(
    seeds: range,
    fresh: int | None,
    jobs: int | None,
    minutes: float | None,
    stop_after: int,
    ledger: Path | None,
    as_json: bool,
) -> None:
    """Run random histories with random faults and check each; exits with 1 where one fails."""
    if fresh is not None:
        first = _FRESH + secrets.randbelow(_FRESH * 1_000)
        seeds = range(first, first + fresh)
        click.echo(f"fresh seeds {seeds.start}-{seeds.stop - 1}", err=as_json)
    at = commit()
    exploration = Exploration(
        seeds,
        jobs or jobs_here(),
        lambda account, outcome: None if as_json else _tell_run(account, outcome),
        most_failures=stop_after,
        within_s=float("inf") if minutes is None else minutes * 60,
    )
    try:
        if ledger is not None:
            Explorations(ledger).check(seeds, at)
        account = _run(exploration)
        if ledger is not None and account.histories:
            Explorations(ledger).add(account.line(at))
    except BadLedger as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        packed = asdict(account) | {"seeds": [account.seeds.start, account.seeds.stop - 1]}
        click.echo(json.dumps(packed | {"figures": dict(account.figures)}))
    else:
        _tell(account)
        if ledger is not None:
            click.echo(f"in all, by {ledger}:")
            _tell_totals(Explorations(ledger).totals())
    sys.exit(1 if account.failed else 0)


def _run(exploration: Exploration) -> Account:
    """Where it is interrupted, what came of the rounds that were ended."""

    def end(_number: int, _frame: object) -> NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    try:
        return exploration.run()
    except KeyboardInterrupt:
        click.echo("interrupted: the round under way does not count", err=True)
        return exploration.settled


def _tell_run(account: Account, outcome: Outcome) -> None:
    if outcome.failures:
        click.echo(f"seed {outcome.seed} fails:")
        for failure in outcome.failures[:6]:
            click.echo(f"    {failure[:400]}")
    if (account.histories + account.twice) % 50 == 0:
        click.echo(
            f"{account.histories} histories, {account.twice} of them twice, {len(account.failed)} failed, "
            f"{account.per_minute:.0f} a minute, {account.ratio:.0f} virtual seconds a second",
            err=True,
        )


def _tell(account: Account) -> None:
    last = account.seeds.start + account.histories - 1
    click.echo(
        f"seeds {account.seeds.start}-{last}: {account.histories} histories, {len(account.failed)} failed; "
        f"{account.wall_s:.0f} s, {account.per_minute:.0f} a minute, {account.ratio:.0f} virtual seconds a second"
    )
    click.echo(
        f"{account.twice} were run twice, in another process with another hash seed: {len(account.unequal)} unequal"
    )
    for name, count in sorted(account.figures.items()):
        click.echo(f"  {count:8}  {name}")
    if account.failed:
        click.echo("failed: " + " ".join(map(str, sorted(account.failed))))


@click.command("ledger", epilog="Example: shoal-sim ledger simulations/explored.jsonl")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--close", metavar="SEED@COMMIT", help="This failure is closed …")
@click.option("--by", metavar="TEXT", help="… by this: the test that would find it now.")
@_json_option
def ledger_command(file: Path, close: str | None, by: str | None, as_json: bool) -> None:
    """Add up explorations; exits with 1 where a failure is open or two runs of a history were not the same."""
    if (close is None) != (by is None):
        raise click.UsageError("give both --close and --by")
    try:
        if close is not None and by is not None:
            Explorations(file).close(close, by)
        found = Explorations(file).totals()
    except BadLedger as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        rates = {"per_minute": found.per_minute, "ratio": found.ratio}
        click.echo(
            json.dumps(
                asdict(found)
                | {"by_commit": dict(found.by_commit), "alone_by_commit": dict(found.alone_by_commit)}
                | rates
            )
        )
    else:
        _tell_totals(found)
    sys.exit(1 if found.open or found.unequal else 0)


def _tell_totals(found: Totals) -> None:
    click.echo(f"{found.histories:10,}  histories, in {found.explorations} explorations")
    click.echo(
        f"{found.twice:10,}  of them run twice, in another process with another hash seed; {found.unequal} unequal"
    )
    if found.again:
        click.echo(f"{found.again:10,}  of the others run two more times later")
    click.echo(f"{found.compared:10,}  of the explorations had some of their histories run twice")
    click.echo(f"{found.failed:10,}  failed; open: {' '.join(found.open) or 'none'}")
    click.echo(
        f"{found.virtual_s / 3600:10,.0f}  virtual hours in {found.wall_s / 3600:.1f} real ones, {found.ratio:.0f} to 1"
    )
    click.echo(f"{found.per_minute:10,.0f}  runs a minute")
    for commit_name, histories in found.by_commit.items():
        click.echo(f"{histories:10,}  at {commit_name}")
    click.echo(f"{found.alone:10,}  of all in which devices on a LAN went on without the coordinator")
    for commit_name, histories in found.alone_by_commit.items():
        if histories:
            click.echo(f"{histories:10,}  of these at {commit_name}")
    if found.not_counted:
        click.echo(f"{found.not_counted:10,}  more in changed checkouts, which do not count")
