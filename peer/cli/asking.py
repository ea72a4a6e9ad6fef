"""Asking the daemon. Owns turning a failure or an unexpected answer into the command's end."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from peer.cli.command import CommandFailed, Exit, Session
from peer.control import client
from peer.control.messages import AnyReply, Failure, Reply, Request
from peer.home import running_pid

R = TypeVar("R", bound=Reply)

ANSWER_S: Final = 120.0
"""How long a question that the daemon answers from what it knows may take before it counts as hung."""


def ask(session: Session, request: Request, answer: type[R], timeout_s: float | None = ANSWER_S) -> R:
    """The answer. Raises `CommandFailed` with the daemon's own words, or where nobody is there."""
    require_daemon(session)
    return expect(client.ask(session.home.path, request, timeout_s), answer)


@contextmanager
def converse(session: Session, request: Request) -> Iterator[Iterator[AnyReply]]:
    """The answers of a stream, as `ask` has one."""
    require_daemon(session)
    with client.converse(session.home.path, request) as replies:
        yield replies


def expect(reply: AnyReply, answer: type[R]) -> R:
    """The reply, if it is what was asked for. Raises `CommandFailed`."""
    if isinstance(reply, Failure):
        raise CommandFailed(reply.message, reply.status)
    if not isinstance(reply, answer):
        raise CommandFailed(
            "the daemon answers in another version's words: restart it with `shoal stop`, `shoal start`"
        )
    return reply


def require_daemon(session: Session) -> None:
    """Says what is missing where it is plain that nobody can answer. Raises `CommandFailed`."""
    home = session.home
    if not home.has_joined():
        raise CommandFailed(f"{home.path} has not joined yet: use a code with `shoal join`", Exit.UNREACHABLE)
    if running_pid(home) is None and not home.socket.exists():
        raise CommandFailed(f"no daemon is running for {home.path}: start one with `shoal start`", Exit.UNREACHABLE)
