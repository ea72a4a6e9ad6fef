"""`shoal-coordinator`: the commands of whoever hosts. Owns the command group, and that nobody ever sees a traceback."""

import sys
import traceback

import click

from coordinator.cli.invite import invite
from coordinator.cli.lists import devices, users, workspaces
from coordinator.cli.serve import serve


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: shoal-coordinator serve",
)
def commands() -> None:
    """Run and look after a Shoal coordinator."""


for command in (serve, invite, users, devices, workspaces):
    commands.add_command(command)


def main() -> None:
    """The console script; does not return."""
    try:
        commands.main(prog_name="shoal-coordinator")
    except Exception as error:  # noqa: BLE001 - the last guard: one line that says where to look
        place = traceback.extract_tb(error.__traceback__)[-1]
        said = " ".join(str(error).split())
        click.echo(f"Error: unexpected {type(error).__name__}: {said} ({place.filename}:{place.lineno})", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
