"""Address hints: a device says where it listens, and is told where its fellows in the same network do.

Owns how often, what is refused, and that whoever asks through something that passes requests on is told nothing: of
those it is not known where they are. What was told is in the `Hub`, with the socket, and nowhere else: not on disk, and
in no log.
"""

from typing import Any, Final

from coordinator.service import workspaces
from coordinator.service.context import Context, Session
from coordinator.web.limits import Rates
from coordinator.web.notify import Hub
from protocol import limits
from protocol.ids import DeviceId
from protocol.messages import Refusal, RefusalCode
from protocol.nearby import Nearby, NearbyRequest, NearDevice, may_be_told, network_of

_BURST: Final = 3
_PASSED_ON: Final = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"})


class Neighbourhood:
    """The use case, and how often each device has had it."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._rates: Rates[DeviceId] = Rates(limits.NEARBY_A_MINUTE / 60, _BURST)

    async def tell(self, context: Context, session: Session, asked: NearbyRequest, seen_from: str) -> Nearby | Refusal:
        """Keep where a device listens while its socket is open, and say where others do; `seen_from` is its address.

        Told are devices that have a socket open from the same network, are active, and share a workspace with the
        asker. Refuses `rate_limited`, and `malformed` for addresses that no host of a local network has.
        """
        wait_s = self._rates.take(session.device)
        if wait_s:
            return Refusal(RefusalCode.RATE_LIMITED, "too often", max(1, int(wait_s * 1000)))
        if not all(may_be_told(host) for host in asked.hosts):
            return Refusal(RefusalCode.MALFORMED, "no address of a host in a local network")
        network = network_of(seen_from)
        if network is None:
            return Nearby(())
        others = [each.session for each in self._hub.near(network) if each.session.device != session.device]
        fellows = await workspaces.fellows(context, session, others)
        if isinstance(fellows, Refusal):
            return fellows
        self._hub.place(session.device, network, NearDevice(session.device, asked.port, asked.hosts))
        found = (each.where for each in self._hub.near(network) if each.session.device in fellows)
        return Nearby(tuple(where for where in found if where is not None)[: limits.NEARBY])


def seen_from(scope: Any) -> str:
    """The address that a request came from; empty where it was passed on by something that says so."""
    client = scope.get("client")
    passed_on = any(name in _PASSED_ON for name, _ in scope["headers"])
    return "" if passed_on or not client else str(client[0])
