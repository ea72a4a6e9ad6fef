"""`shoal-sim checkers`. Owns what it prints."""

import json
from dataclasses import asdict

import click

from simulations.checkers.catalogue import INVARIANTS


@click.command("checkers", epilog="Example: shoal-sim checkers")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of lines.")
def checkers(as_json: bool) -> None:
    """List what is promised, and when or where each promise is checked."""
    if as_json:
        click.echo(json.dumps([asdict(one) for one in INVARIANTS]))
        return
    for one in INVARIANTS:
        click.echo(f"{one.id:4} {one.name}: {one.promise}")
        click.echo(f"     {one.module or 'not in worlds'}: {one.when}")
        if one.elsewhere:
            click.echo(f"     also {one.elsewhere}")
