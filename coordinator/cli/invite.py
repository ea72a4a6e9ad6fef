"""`shoal-coordinator invite`: makes a join code for one person. The secret in it is printed once and kept nowhere."""

from pathlib import Path
from typing import Final

import click

from coordinator import reach
from coordinator.cli.data import data_option, json_option, with_metadata
from coordinator.cli.output import duration_ms, print_json, time_text
from coordinator.identity import BadIdentity, open_identity
from coordinator.machine import MachineClock, MachineEntropy
from coordinator.service import admin as service
from crypto.identity import coordinator_hash
from crypto.invitation import MAX_ADDRESSES, Code, CodeKind, encode_code

_EPILOG: Final = "Example: shoal-coordinator invite ana --expires 2d"


@click.command(epilog=_EPILOG)
@click.argument("name")
@click.option("--admin", is_flag=True, help="The person may also administer this coordinator.")
@click.option(
    "--expires",
    callback=duration_ms,
    default="7d",
    metavar="SPAN",
    show_default=True,
    help="How long the code can be used.",
)
@data_option
@json_option
def invite(name: str, admin: bool, expires: int, data: Path, as_json: bool) -> None:
    """Print a code with which a person called NAME joins, once.

    Works beside a running `serve`. A second invitation of the same name replaces the first.
    """
    clock, entropy = MachineClock(), MachineEntropy()
    made = with_metadata(
        data,
        lambda metadata: service.invite(metadata, clock, entropy, name, admin=admin, lifetime_ms=expires),
        make=True,
    )
    if isinstance(made, str):
        raise click.ClickException(made)
    try:
        identity = open_identity(data, entropy)
    except BadIdentity as error:
        raise click.ClickException(str(error)) from None
    addresses = tuple(reach.addresses(data)[:MAX_ADDRESSES])
    code = encode_code(Code(CodeKind.JOIN, made.secret, coordinator_hash(identity.public), addresses))
    expiry = time_text(made.expires)
    if as_json:
        print_json({"code": code, "user": made.user, "expires": expiry})
        return
    click.echo(code)
    click.echo(f"for {made.user}, once, until {expiry}: shoal join CODE", err=True)
