"""Revoking another device of one's own user. Owns the conversation; nothing is stored."""

from typing import Final

from crypto.identity import DeviceKeys
from peer.link.chain import KnownChain, judge_received, next_link, read_chain, sign_link
from peer.link.coordinator import CoordinatorClient
from protocol.ids import DeviceId
from protocol.messages import Refusal, RefusalCode, RevokeRequest
from protocol.model import Revocation

ATTEMPTS: Final = 5
"""How often a link is signed anew because the chain moved on meanwhile."""


async def revoke(
    client: CoordinatorClient, keys: DeviceKeys, known: KnownChain, device: DeviceId
) -> KnownChain | Refusal:
    """The user's chain, in which the device is revoked; at once where it was before.

    The device must be in the chain at the coordinator, and be another one. Raises `LinkError` (`BadReply` where the
    chain there contradicts the one that is known); after that, or a cancellation, call again.
    """
    body, answer = Revocation(DeviceId(keys.public.device_id), device), None
    for _ in range(ATTEMPTS):
        latest = await read_chain(client, known.chain.user, known)
        if isinstance(latest, Refusal) or device in latest.chain.revoked_devices:
            return latest
        signed = sign_link(next_link(latest.chain, body, client.now_ms()), keys.sign)
        revoked = judge_received((signed,), latest)
        answer = await client.request(RevokeRequest(signed))
        if not isinstance(answer, Refusal):
            return revoked
        if answer.code is not RefusalCode.CONFLICT:
            break
        known = latest
    assert isinstance(answer, Refusal)
    return answer
