"""`pair`, `devices`, `device revoke`, `peers`: which devices there are and are nearby, a code for one more, the end of
one. Owns printing them."""

import io
import sys

import click

from peer.cli.asking import ask
from peer.cli.command import Session, example, with_session
from peer.cli.printing import is_terminal, print_document, print_rows, say, size_shown, time_shown
from peer.control.messages import Devices, DevicesRequest, Pair, PairReply
from peer.control.upkeep import Peers, PeersRequest, RevokedDevice, RevokeDevice


@click.command(epilog=example("shoal pair"))
@with_session
def pair(session: Session) -> None:
    """Print a code that adds another device of yours.

    On a terminal it is also shown as a QR code. It works once, for whoever has it: show it to nobody else.
    """
    reply = ask(session, Pair(), PairReply)
    if session.as_json:
        print_document(reply)
        return
    click.echo(reply.code)
    if is_terminal(sys.stdout):
        import segno  # here alone: commands are started often

        picture = io.StringIO()
        segno.make(reply.code.upper(), error="l").terminal(picture, compact=True)  # capitals take less room
        click.echo(picture.getvalue())
    say(f"on the new device: shoal join CODE (once, until {time_shown(reply.expires)})")


@click.command(epilog=example("shoal devices --json"))
@with_session
def devices(session: Session) -> None:
    """List your devices."""
    reply = ask(session, DevicesRequest(), Devices)
    if session.as_json:
        print_document(reply)
        return
    print_rows(
        ("name", "state", "last seen", "id", ""),
        (
            (each.name, each.state, time_shown(each.last_seen), each.id, "this device" if each.this else "")
            for each in reply.devices
        ),
    )


@click.group(epilog=example("shoal device revoke 'old phone'"))
def device() -> None:
    """Change one of your devices."""


@device.command("revoke", epilog=example("shoal device revoke 'old phone'"))
@click.argument("name")
@with_session
def revoke(session: Session, name: str) -> None:
    """Let a lost or stolen device of yours in no more, for good.

    NAME is its name or id, as `shoal devices` lists it. From that moment the coordinator refuses it everything, and all
    that is written afterwards has new keys, which it does not get. What it has already it keeps. Your other devices
    drop it as soon as they hear of it. To use the same machine again, join anew in a fresh home.
    """
    reply = ask(session, RevokeDevice(name), RevokedDevice)
    if session.as_json:
        print_document(reply)
        return
    say(f"{reply.name} is revoked: the coordinator refuses it from now on")
    if reply.entered:
        say(f"new keys for what is written from now on: {', '.join(reply.entered)}")
    if reply.to_enter:
        say(f"still to come, by itself, once it can: {', '.join(reply.to_enter)} (see `shoal status`)")


@click.command(epilog=example("shoal peers --json"))
@with_session
def peers(session: Session) -> None:
    """Show which devices are on the local network, and what came from whom.

    `linked`: files come from there directly. `seen`: it was heard, and there is no link. `away`: it was linked before.
    `other_history`: it is linked, and has verified a history of a workspace that is not the one here.
    """
    reply = ask(session, PeersRequest(), Peers)
    if session.as_json:
        print_document(reply)
        return
    if not reply.lan:
        say("this daemon stays away from the local network: start it without --no-lan and without SHOAL_LAN=off")
    print_rows(
        ("device", "address", "state", "from it", "to it"),
        (
            (each.device, each.address, each.state, size_shown(each.lan_in), size_shown(each.lan_out))
            for each in reply.peers
        ),
        right=frozenset({3, 4}),
    )
