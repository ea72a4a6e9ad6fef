"""`shoal-coordinator`: the commands of whoever hosts. Owns the command group only."""

import click

from coordinator.cli.invite import invite
from coordinator.cli.lists import devices, users, workspaces
from coordinator.cli.serve import serve


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: shoal-coordinator serve",
)
def main() -> None:
    """Run and look after a Shoal coordinator."""


for command in (serve, invite, users, devices, workspaces):
    main.add_command(command)


if __name__ == "__main__":
    main()
