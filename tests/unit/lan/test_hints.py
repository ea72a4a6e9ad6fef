"""Address hints on a device: when it asks, what it tells, and how little it believes."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from ipaddress import ip_address
from itertools import pairwise

import trio
from trio.testing import MockClock

from peer.lan.hints import EVERY_S, HINT_S, LEAST_GAP_S, Hints
from peer.lan.members import Members, Membership
from peer.lan.ports import Listener, Multicast
from peer.lan.sightings import PLACES, Place
from peer.link.errors import Unreachable
from protocol import limits
from protocol.ids import DeviceId, WorkspaceId
from protocol.messages import Refusal, RefusalCode
from protocol.nearby import Nearby, NearbyRequest, NearDevice
from tests.common.link_server import SeededEntropy, TrioClock

OWN, ANA, BEN, STRANGER = (DeviceId(name * 16) for name in (b"o", b"a", b"b", b"s"))
FELLOWS = Membership(WorkspaceId(b"h" * 32), (b"k" * 32,), frozenset({OWN, ANA, BEN}))
PORT = 4_000
MINUTES = 60.0


def packed(*addresses: str) -> tuple[bytes, ...]:
    return tuple(ip_address(each).packed for each in addresses)


def near(device: DeviceId, *addresses: str) -> NearDevice:
    return NearDevice(device, PORT, packed(*addresses))


class Machine:
    """A machine whose interfaces are set by hand."""

    def __init__(self) -> None:
        self.own = packed("192.168.1.7", "127.0.0.1", "fe80::1", "2a00:1450:1:2::7")

    def addresses(self) -> tuple[bytes, ...]:
        return self.own

    def open_multicast(self) -> AbstractAsyncContextManager[Multicast]:
        raise OSError("there is no multicast here")

    def open_listener(self) -> AbstractAsyncContextManager[Listener]:
        raise NotImplementedError


class Scene:
    """Hints, with a coordinator that answers what `says` says."""

    def __init__(self) -> None:
        self.lan = Machine()
        self.members = Members(OWN, [FELLOWS])
        self.says: Nearby | Refusal | None = Nearby((near(ANA, "192.168.1.8"),))
        self.asked: list[tuple[float, NearbyRequest]] = []
        self.found: list[DeviceId] = []
        self.hints = Hints(self.lan, TrioClock(), SeededEntropy(), self.members, PORT, self._answer, self.found.append)

    async def _answer(self, asked: NearbyRequest) -> Nearby | Refusal:
        self.asked.append((trio.current_time(), asked))
        await trio.sleep(0.1)
        if self.says is None:
            raise Unreachable("the coordinator is away")
        return self.says

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.hints.run)
            self.hints.ask_soon()
            await trio.sleep(1)
            yield
            nursery.cancel_scope.cancel()


async def test_what_others_could_use_is_told_and_what_is_told_of_fellows_is_tried(autojump_clock: MockClock) -> None:
    scene = Scene()
    async with scene.running():
        ((_, asked),) = scene.asked
        assert asked == NearbyRequest(PORT, packed("192.168.1.7", "2a00:1450:1:2::7"))
        assert scene.found == [ANA]
        assert scene.hints.devices() == (ANA,)
        assert scene.hints.places(ANA) == (Place("192.168.1.8", PORT),)
        assert scene.hints.places(BEN) == ()


async def test_whoever_has_no_fellows_tells_nothing(autojump_clock: MockClock) -> None:
    scene = Scene()
    scene.members.replace([])
    async with scene.running():
        await trio.sleep(60 * MINUTES)
        assert scene.asked == []
        scene.members.replace([FELLOWS])
        scene.hints.ask_soon()
        await trio.sleep(1)
        assert len(scene.asked) == 1


async def test_whatever_the_reasons_it_asks_only_so_often_and_without_one_rarely(autojump_clock: MockClock) -> None:
    scene = Scene()
    async with scene.running():
        with trio.move_on_after(10 * MINUTES):
            while True:
                scene.hints.ask_soon()
                await trio.sleep(0.2)
        times = [time for time, _ in scene.asked]
        assert all(after - before >= LEAST_GAP_S for before, after in pairwise(times))
        assert 100 < len(times) <= 10 * limits.NEARBY_A_MINUTE
        assert scene.found == [ANA], "the same again is no news"
        await trio.sleep(EVERY_S)
        count = len(scene.asked)
        await trio.sleep(10 * EVERY_S)
        assert 8 <= len(scene.asked) - count <= 13


async def test_nothing_is_believed_of_an_answer_but_places_of_fellows(autojump_clock: MockClock) -> None:
    scene = Scene()
    many = [f"10.0.0.{number}" for number in range(1, limits.NEARBY_HOSTS + 1)]
    scene.says = Nearby(
        (
            near(STRANGER, "192.168.1.9"),
            near(OWN, "192.168.1.9"),
            near(BEN, "127.0.0.1", "9.9.9.9", "169.254.169.254", "2a00:1450:1:3::7", "ff02::1"),
            near(ANA, "9.9.9.9", "2a00:1450:1:2::8", *many[:6]),
        )
    )
    async with scene.running():
        assert scene.found == [ANA]
        places = scene.hints.places(ANA)
        assert len(places) == PLACES
        assert places[0] == Place("2a00:1450:1:2::8", PORT)
        assert not any(map(scene.hints.places, (STRANGER, OWN, BEN)))


async def test_a_hint_counts_while_the_coordinator_is_away_but_not_for_ever(autojump_clock: MockClock) -> None:
    scene = Scene()
    async with scene.running():
        scene.says = None
        await trio.sleep(HINT_S - 10)
        assert scene.hints.places(ANA)
        await trio.sleep(10)
        assert not scene.hints.places(ANA)
        assert not scene.hints.devices()
        scene.says = Nearby((near(ANA, "192.168.1.8"),))
        await trio.sleep(2 * EVERY_S)
        assert scene.found == [ANA, ANA]


async def test_hints_are_of_the_place_where_they_were_given_and_the_last_answer_counts(
    autojump_clock: MockClock,
) -> None:
    scene = Scene()
    async with scene.running():
        scene.says = Refusal(RefusalCode.UNAVAILABLE, "not now")
        scene.hints.ask_soon()
        await trio.sleep(10)
        assert scene.hints.places(ANA)
        scene.lan.own = packed("10.1.1.1")
        scene.hints.ask_soon()
        await trio.sleep(10)
        assert scene.hints.places(ANA) == ()
        scene.says = Nearby((near(BEN, "10.1.1.2"),))
        scene.hints.ask_soon()
        await trio.sleep(10)
        assert scene.hints.devices() == (BEN,)
        count = len(scene.asked)
        scene.lan.own = packed("127.0.0.1")
        scene.hints.ask_soon()
        await trio.sleep(10)
        assert scene.hints.devices() == ()
        assert len(scene.asked) == count
