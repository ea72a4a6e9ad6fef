"""`shoal`: the commands of whoever syncs. Owns the command group only."""

import importlib
from typing import Final, NoReturn

import click

from peer.cli.command import run
from peer.home import Home

_COMMANDS: Final = {
    "join": "joining",
    "pair": "membership",
    "start": "running",
    "stop": "running",
    "add": "folders",
    "mount": "folders",
    "unmount": "folders",
    "workspaces": "folders",
    "devices": "membership",
    "device": "membership",
    "peers": "membership",
    "status": "watching",
    "wait": "watching",
    "confirm": "folders",
    "ls": "files",
    "cat": "files",
    "history": "versions",
    "conflicts": "files",
    "resolve": "resolving",
    "limit": "limiting",
    "pause": "pausing",
    "resume": "pausing",
    "verify": "checking",
    "doctor": "checking",
    "log": "activity",
}
"""Each command and its module of `peer.cli`, where it is called as it is here; read when it is used."""
_EPILOG = """
\b
Examples:
  shoal join CODE && shoal start && shoal add ~/Documents
  eval "$(_SHOAL_COMPLETE=bash_source shoal)"     completion; zsh_source and fish_source for other shells
"""


class _Commands(click.Group):
    """A group that reads a command's module when the command is asked for: scripts start commands often."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(importlib.import_module(f"peer.cli.{_COMMANDS[cmd_name]}"), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}, epilog=_EPILOG
)
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


def main() -> NoReturn:
    """The console script."""
    run(shoal, "shoal")


if __name__ == "__main__":
    main()
