"""Signing in: challenge, login, and who a token belongs to. Owns nothing durable but `last_seen`."""

import logging
from typing import Final

from coordinator.ports import StorageUnavailable, Transaction
from coordinator.records import Device
from coordinator.service import access
from coordinator.service.context import Context, Session
from crypto.identity import verify
from crypto.labels import Label
from protocol import limits, version
from protocol.codec import encode
from protocol.messages import Challenge, ChallengeRequest, LoggedIn, LoginRequest, Refusal, RefusalCode
from protocol.model import SUITE

logger = logging.getLogger("coordinator.sessions")

_NONCE_BYTES: Final = 32


async def challenge(context: Context, request: ChallengeRequest) -> Challenge | Refusal:
    """A fresh nonce, signed together with the device's own by the coordinator's identity.

    Refuses `old_client` for another major version. Says nothing about whether the device is known.
    """
    if request.major != version.MAJOR:
        return Refusal(RefusalCode.OLD_CLIENT, f"this coordinator speaks version {version.MAJOR} of the protocol")
    nonce = context.tokens.challenge(request.device, context.clock.monotonic_s(), context.entropy.bytes(_NONCE_BYTES))
    identity = context.identity.public
    return Challenge(
        major=version.MAJOR,
        revision=version.REVISION,
        capabilities=tuple(sorted(version.CAPABILITIES)),
        identity=identity,
        nonce=nonce,
        signature=context.identity.sign_offer(encode((SUITE, identity, request.device, request.nonce, nonce))),
        time=context.clock.now_ms(),
    )


async def login(context: Context, request: LoginRequest) -> LoggedIn | Refusal:
    """A token for `limits.TOKEN_S` seconds, for an active device that signed an open challenge (used up by this).

    Refuses `denied` to a device that was revoked and has proved who it is, and `unauthenticated` for everything else,
    without saying why.
    """
    if not context.tokens.is_open(request.device, request.nonce, context.clock.monotonic_s()):
        return _unauthenticated()
    statement = encode((SUITE, context.identity.public, request.device, request.nonce))

    def check(transaction: Transaction) -> Device | None:
        device = transaction.people.device(request.device)
        if device is None:
            return None
        return device if verify(Label.SIGN_LOGIN, device.keys.sign, statement, request.signature) else None

    device = await context.metadata.read(check)
    now_s, now_ms = context.clock.monotonic_s(), context.clock.now_ms()
    if device is None or not context.tokens.take(request.device, request.nonce, now_s):
        return _unauthenticated()
    if not device.active:
        return access.revoked()
    try:
        await context.metadata.run(lambda transaction: transaction.people.seen(request.device, now_ms))
    except StorageUnavailable as error:  # on a full disk, say: what is there can be read all the same
        logger.warning("when a device was here last could not be noted: %s", error)
    token = context.entropy.bytes(_NONCE_BYTES)
    context.tokens.add(token, Session(device.device, device.user), now_s)
    return LoggedIn(
        token=token,
        expires=now_ms + limits.TOKEN_S * 1000,
        user=device.user,
        addresses=context.addresses()[: limits.ADDRESSES],
    )


def authenticate(context: Context, token: bytes) -> Session | Refusal:
    """Whose token this is; `unauthenticated` where it is unknown or has expired. Memory only, no waiting."""
    return context.tokens.find(token, context.clock.monotonic_s()) or _unauthenticated()


def _unauthenticated() -> Refusal:
    return Refusal(RefusalCode.UNAUTHENTICATED, "sign in first")
