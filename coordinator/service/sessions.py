"""Signing in: challenge, login, and who a token belongs to. Owns nothing durable but `last_seen`."""

from coordinator.service.context import Context, Session
from protocol.messages import Challenge, ChallengeRequest, LoggedIn, LoginRequest, Refusal


async def challenge(context: Context, request: ChallengeRequest) -> Challenge | Refusal:
    """A fresh nonce, signed together with the device's own by the coordinator's identity.

    Refuses `old_client` for another major version. Says nothing about whether the device is known.
    """
    raise NotImplementedError


async def login(context: Context, request: LoginRequest) -> LoggedIn | Refusal:
    """A token for `limits.TOKEN_S` seconds, for an active device that signed an open challenge (used up by this).

    Refuses `unauthenticated` for everything else, without saying why.
    """
    raise NotImplementedError


def authenticate(context: Context, token: bytes) -> Session | Refusal:
    """Whose token this is; `unauthenticated` where it is unknown or has expired. Memory only, no waiting."""
    raise NotImplementedError
