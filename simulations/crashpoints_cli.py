"""`shoal-sim crashpoints`. Owns what it prints."""

import json
import multiprocessing
import os
import sys
from collections import Counter
from dataclasses import asdict
from functools import partial

import click

from simulations.canonical import WORKLOADS
from simulations.crashpoints import ENDINGS, HOSTS, Count, Ending, cases, run_workload


def _run(wanted: list[tuple[str, Ending]], every: int, workload: str) -> list[Count]:
    return run_workload(workload, wanted, every=every)


_WORKLOADS = click.Choice(list(WORKLOADS))


@click.command("crashpoints", epilog='Example: shoal-sim crashpoints --workload "a file renamed" --host blue')
@click.option("--workload", "workloads", multiple=True, type=_WORKLOADS, help="Only this; repeatable.")
@click.option("--host", "hosts", multiple=True, type=click.Choice(HOSTS), help="Only there; repeatable.")
@click.option("--ending", "endings", multiple=True, type=click.Choice(ENDINGS), help="Only so; repeatable.")
@click.option("--every", type=click.IntRange(1), default=1, show_default=True, help="Only every so-manieth point.")
@click.option("--jobs", type=click.IntRange(1, 256), default=None, help="Processes at a time; one a core if not given.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of lines.")
def crashpoints(
    workloads: tuple[str, ...],
    hosts: tuple[str, ...],
    endings: tuple[Ending, ...],
    every: int,
    jobs: int | None,
    as_json: bool,
) -> None:
    """End a program at every point of small workloads, or let a disk call fail; exits with 1 where all is not well."""
    run = partial(_run, cases(hosts or HOSTS, endings or ENDINGS), every)
    chosen, counts = workloads or tuple(WORKLOADS), list[Count]()
    with multiprocessing.get_context("spawn").Pool(jobs or os.cpu_count() or 1, maxtasksperchild=20) as pool:
        for done, found in enumerate(pool.imap_unordered(run, chosen), 1):
            counts += found
            if not as_json:
                for failure in (failure for count in found for failure in count.failures):
                    click.echo(f"FAILED: {failure[:2000]}")
                click.echo(f"{done} of {len(chosen)}: {found[0].workload}, {_points(found)} points", err=True)
    if as_json:
        click.echo(json.dumps([asdict(count) for count in counts]))
    else:
        _tell(counts)
    sys.exit(1 if any(count.failures for count in counts) else 0)


def _points(counts: list[Count]) -> int:
    return sum(count.points for count in counts)


def _tell(counts: list[Count]) -> None:
    by_kind: Counter[tuple[str, str]] = Counter()
    for count in counts:
        by_kind[count.host, count.ending] += count.points
    click.echo(f"{'':12}" + "".join(f"{ending:>10}" for ending in ENDINGS))
    for host in HOSTS:
        click.echo(f"{host:12}" + "".join(f"{by_kind[host, ending] or '':>10}" for ending in ENDINGS))
    failures = sum(len(count.failures) for count in counts)
    workloads = len({count.workload for count in counts})
    click.echo(f"{workloads} workloads, {_points(counts)} points, {failures} failures")
