"""`shoal`: the commands of whoever syncs. Owns the command group only."""

from typing import NoReturn

import click

from peer.cli.command import run
from peer.cli.files import cat, conflicts, ls
from peer.cli.folders import add, confirm, mount, unmount, workspaces
from peer.cli.membership import devices, join, pair
from peer.cli.running import start, stop
from peer.cli.watching import status, wait
from peer.home import Home

_EPILOG = """
\b
Examples:
  shoal join CODE && shoal start && shoal add ~/Documents
  eval "$(_SHOAL_COMPLETE=bash_source shoal)"     completion; zsh_source and fish_source for other shells
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}, epilog=_EPILOG)
@click.option(
    "--home",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="This device's private directory; else $SHOAL_HOME, else the platform's place for it.",
)
@click.pass_context
def shoal(context: click.Context, home: str | None) -> None:
    """Keep folders in step across your devices."""
    context.obj = Home.at(home)


for _command in (
    join,
    pair,
    start,
    stop,
    add,
    mount,
    unmount,
    workspaces,
    devices,
    status,
    wait,
    confirm,
    ls,
    cat,
    conflicts,
):
    shoal.add_command(_command)


def main() -> NoReturn:
    """The console script."""
    run(shoal, "shoal")


if __name__ == "__main__":
    main()
