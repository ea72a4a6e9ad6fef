"""Which use case answers which path. Owns the table; decoding and statuses are the web's."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from coordinator.service import journal, offers, pairing, revoking, sessions, users, workspaces
from coordinator.service.context import Context, Session

OPEN: Final[dict[str, Callable[[Context, Any], Awaitable[object]]]] = {
    "/v1/challenge": sessions.challenge,
    "/v1/login": sessions.login,
    "/v1/invitation": users.invitation,
    "/v1/join": users.join,
    "/v1/pairing/open": pairing.open_offer,
    "/v1/pairing/use": pairing.use,
}
"""Those that need no token."""

SIGNED_IN: Final[dict[str, Callable[[Context, Session, Any], Awaitable[object]]]] = {
    "/v1/pairing/offer": pairing.offer,
    "/v1/device/revoke": revoking.revoke,
    "/v1/chain": users.chain,
    "/v1/devices": users.devices,
    "/v1/workspaces": workspaces.workspaces,
    "/v1/keys": workspaces.deposit_keys,
    "/v1/commit": journal.commit,
    "/v1/journal": journal.page,
    "/v1/handback": journal.hand_back,
    "/v1/offered": offers.page,
    "/v1/holdings": offers.holdings,
}
"""Those that need one. `/v1/poll`, `/v1/nearby`, `/v1/have`, `/v1/lease`, blocks and the socket are the web's own."""
