"""`join`: how this device becomes one of somebody's.

Owns the conversation with the person; what is said to the coordinator is `peer.link.joining`'s. Never prints a secret
other than the code that was asked for.
"""

import os
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Final

import click
import trio

from crypto.invitation import BadCode, Code, CodeKind, decode_code
from peer.becoming import become
from peer.cli.command import CommandFailed, Exit, Session, example, with_session
from peer.cli.printing import print_json, say
from peer.home import Home, Identity, open_lock
from peer.link import joining
from peer.link.errors import BadReply, LinkError, Unreachable, WrongIdentity
from peer.link.network import TrioNetwork
from peer.machine import SystemClock, SystemEntropy
from protocol import limits
from protocol.messages import Refusal, RefusalCode
from protocol.names import device_name_problem, nfc

JOIN_S: Final = 60.0
"""How long all of the coordinator's addresses together may take to answer."""
_LINE_CHARS: Final = 4096
_REFUSALS: Final = {
    RefusalCode.USED: "this code has been used already: ask for a new one",
    RefusalCode.EXPIRED: "this code has expired: ask for a new one",
    RefusalCode.NOT_FOUND: "the coordinator does not know this code, or no longer: ask for a new one",
    RefusalCode.OLD_CLIENT: "the coordinator speaks another version: install the version that it has",
}
_LATER: Final = frozenset({RefusalCode.UNAVAILABLE, RefusalCode.RATE_LIMITED, RefusalCode.CATCHING_UP})


@click.command(epilog=example("shoal join shoal-join-… --device laptop"))
@click.argument("code", required=False)
@click.option("--device", metavar="NAME", help="What to call this device; the machine's name if not given.")
@with_session
def join(session: Session, code: str | None, device: str | None) -> None:
    """Make this device one of yours, with a code.

    CODE is a join code or a pairing code. Without it, it is asked for; `-` reads it from standard input. Nobody
    else need be online, and no daemon.
    """
    home = session.home
    if device is not None:
        device = nfc(device)
        problem = device_name_problem(device)
        if problem is not None:
            raise click.BadParameter(f"this name {problem}", param_hint="--device")
    if home.has_joined():
        raise _joined_already(home)
    meant = _read_code(code)
    home.prepare()
    with open_lock(home):
        if home.has_joined():
            raise _joined_already(home)
        wanted = device or _machine_name()
        identity = _join(home, meant, wanted)
    if identity.device_name != wanted and meant.kind is CodeKind.PAIR:
        say(f"the name {wanted!r} is taken by another of your devices: this one is {identity.device_name!r}")
    if session.as_json:
        print_json(
            {
                "device": identity.device_name,
                "user": identity.user_name,
                "id": identity.device_id.hex(),
                "home": os.fspath(home.path),
            }
        )
    else:
        say(f"this device is {identity.device_name!r} of {identity.user_name} now: go on with `shoal start`")


def _joined_already(home: Home) -> CommandFailed:
    known = home.read_identity()
    return CommandFailed(
        f"{home.path} is {known.device_name!r} of {known.user_name} already: use another --home for another device"
    )


def _read_code(given: str | None) -> Code:
    if given == "-":
        given = sys.stdin.readline(_LINE_CHARS)
    elif given is None:
        given = click.prompt("Code", err=True)
    try:
        return decode_code(given or "")
    except BadCode as error:
        raise CommandFailed(f"{error.reason}: copy it once more, as a whole") from None


def _machine_name() -> str:
    """The machine's name as far as a device may have it."""
    plain = "".join(each if each.isalnum() or each in "-_" else "-" for each in nfc(socket.gethostname().split(".")[0]))
    name = plain[: limits.DEVICE_NAME_CHARS].strip("- ")
    return name if device_name_problem(name) is None else "device"


def _join(home: Home, code: Code, device: str) -> Identity:
    """The new identity, kept."""
    doors = joining.Doors(TrioNetwork(), SystemClock(), SystemEntropy())

    async def conversation() -> Identity | Refusal:
        with trio.fail_after(JOIN_S):
            return await become(home, code, device, doors)

    return _settle(conversation, code)


def _settle(conversation: Callable[[], Awaitable[Identity | Refusal]], code: Code) -> Identity:
    """Hold the conversation. Raises `CommandFailed` with what to do about whatever came of it."""
    where = ", ".join(code.addresses) or "(no address in the code)"
    try:
        joined = trio.run(conversation)
    except (Unreachable, trio.TooSlowError) as error:
        why = str(error) or f"no answer within {JOIN_S:.0f} s"
        raise CommandFailed(
            f"cannot reach the coordinator at {where} ({why}): see that it runs, then use the same code again",
            Exit.UNREACHABLE,
        ) from error
    except WrongIdentity as error:
        raise CommandFailed(
            f"whoever answers at {where} is not the coordinator that made this code ({error}): nothing was sent to it"
        ) from error
    except (BadReply, LinkError) as error:
        raise CommandFailed(f"the coordinator's answer makes no sense ({error}): see its log") from error
    if not isinstance(joined, Refusal):
        return joined
    if joined.code in _LATER:
        raise CommandFailed(
            f"the coordinator is busy ({joined.message}): use the same code again later", Exit.UNREACHABLE
        )
    raise CommandFailed(
        _REFUSALS.get(joined.code) or f"the coordinator refuses: {joined.message} ({joined.code.value})"
    )
