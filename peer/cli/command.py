"""What all commands have in common: the home that is meant, `--json`, exit statuses and the one line of a failure.

Owns how a command ends. Never prints a result: that is the commands' own.
"""

import functools
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NoReturn, ParamSpec

import click

from peer.cli.printing import line_shown
from peer.control.client import NoDaemon
from peer.home import Home, HomeError

P = ParamSpec("P")

_LOG_BYTES: Final = 1024 * 1024


class Exit(IntEnum):
    """The exit statuses; scripts rely on them."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    TIMED_OUT = 4
    PROBLEMS = 5


class CommandFailed(Exception):
    """The command ends with this line on standard error, and this status."""

    def __init__(self, message: str, status: int = Exit.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class Session:
    """What a command was called with."""

    home: Home
    as_json: bool


def with_session(function: Callable[..., None]) -> Callable[..., None]:
    """Gives a command `--json`, and its `Session` as the first argument."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output, and nothing else there.")
    @click.pass_obj
    @functools.wraps(function)
    def called(home: Home, /, *args: Any, as_json: bool, **kwargs: Any) -> None:
        function(Session(home, as_json), *args, **kwargs)

    return called


def example(line: str) -> str:
    """The last part of a command's help."""
    return f"Example: {line}"


def run(group: click.Group, name: str) -> NoReturn:
    """Run the command line and end the process with its status. Whatever happens, no traceback is shown."""
    sys.exit(_status_of(group, name))


def _status_of(group: click.Group, name: str) -> int:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            returned = group.main(prog_name=name, standalone_mode=False)
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read our output has seen enough; Python must not trip over it once more at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return 128 + signal.SIGPIPE
        return returned if isinstance(returned, int) else Exit.DONE
    except CommandFailed as error:
        return _say(name, error.message, error.status)
    except NoDaemon as error:
        return _say(name, str(error), Exit.UNREACHABLE)
    except HomeError as error:
        return _say(name, str(error), Exit.FAILED)
    except (click.Abort, KeyboardInterrupt):
        click.echo(err=True)
        return 128 + signal.SIGINT
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the last guard: people get a line, the log gets the rest
        where = _keep_traceback(error)
        return _say(name, f"unexpected: {type(error).__name__}: {error}{where}", Exit.FAILED)


def _say(name: str, message: str, status: int) -> int:
    click.echo(f"{name}: {line_shown(message)}", err=True)
    return status


def _keep_traceback(error: Exception) -> str:
    """Writes it to the log of the home that was meant; returns where, for the line that is shown."""
    import logging.handlers

    home = _home_meant(sys.argv[1:])
    if not home.log.is_dir():
        return ""
    path = home.log / "commands.log"
    try:
        handler = logging.handlers.RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=1)
        path.chmod(0o600)
    except OSError:
        return ""
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    record = logging.LogRecord(
        "shoal", logging.ERROR, __file__, 0, "%s", ("a command failed",), (type(error), error, error.__traceback__)
    )
    handler.emit(record)
    handler.close()
    return f" (details in {path})"


def _home_meant(arguments: list[str]) -> Home:
    for at, argument in enumerate(arguments):
        if argument == "--home" and at + 1 < len(arguments):
            return Home.at(arguments[at + 1])
        if argument.startswith("--home="):
            return Home.at(argument.removeprefix("--home="))
    return Home.at(None)
