"""Address hints: only fellows in one network get them, only while both are connected, and nothing of them is kept."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from coordinator.ports import DeviceDropped
from coordinator.service import revoking
from coordinator.web.nearby import Neighbourhood, seen_from
from coordinator.web.notify import Hub
from protocol import limits
from protocol.codec import Malformed, decode, encode
from protocol.messages import Ok, Refusal, RefusalCode, RevokeRequest
from protocol.nearby import Nearby, NearbyRequest, NearDevice
from tests.common.coordination import Coordination, open_coordination, session_of
from tests.common.journals import TestDevice, TestJournal, TestUser

HOME, ELSEWHERE = "9.9.9.9", "9.9.9.8"
PORT = 4_000
NOBODY = Nearby(())


def host(device: TestDevice) -> bytes:
    return bytes((192, 168, *device.id[:2]))


def where(device: TestDevice) -> NearDevice:
    return NearDevice(device.id, PORT, (host(device),))


class Here:
    """Ana with a laptop and a phone, and a workspace; Ben and Carla, who have ones of their own."""

    def __init__(self, coordination: Coordination) -> None:
        self.coordination = coordination
        self.ana, self.ben, self.carla = TestUser("ana"), TestUser("ben"), TestUser("carla")
        self.laptop, self.phone = self.ana.devices[0], self.ana.pair("phone")
        self.hub = Hub()
        self.neighbourhood = Neighbourhood(self.hub)

    async def begin_with(self, *users: TestUser) -> None:
        await self.coordination.know(*users)
        for user in users:
            await self.coordination.accept(session_of(user), TestJournal(user).commits[0])

    @contextmanager
    def connected(self, *devices: TestDevice) -> Iterator[None]:
        with ExitStack() as opened:
            for each in devices:
                opened.enter_context(self.hub.opened(session_of(self.of(each), each), b"token"))
            yield

    def of(self, device: TestDevice) -> TestUser:
        return next(user for user in (self.ana, self.ben, self.carla) if device in user.devices)

    async def tell(self, device: TestDevice, network: str = HOME, *hosts: bytes) -> Nearby | Refusal:
        asked = NearbyRequest(PORT, hosts or (host(device),))
        session = session_of(self.of(device), device)
        return await self.neighbourhood.tell(self.coordination.context, session, asked, network)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    async with open_coordination(tmp_path / "metadata.db") as opened:
        scene = Here(opened)
        await scene.begin_with(scene.ana, scene.ben)
        yield scene


def bytes_under(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


def code_of(reply: object) -> RefusalCode:
    assert isinstance(reply, Refusal), reply
    return reply.code


async def test_devices_in_one_network_that_share_a_workspace_are_told_of_each_other(here: Here) -> None:
    with here.connected(here.laptop, here.phone):
        assert await here.tell(here.laptop) == NOBODY
        assert await here.tell(here.phone) == Nearby((where(here.laptop),))
        assert await here.tell(here.laptop) == Nearby((where(here.phone),))


async def test_whoever_shares_no_workspace_is_told_nothing_and_is_told_of_to_nobody(here: Here) -> None:
    (stranger,) = here.ben.devices
    with here.connected(here.laptop, stranger):
        await here.tell(here.laptop)
        assert await here.tell(stranger) == NOBODY
        assert await here.tell(here.laptop) == NOBODY


async def test_who_is_in_another_network_is_told_nothing_and_one_that_goes_there_is_told_of_no_more(here: Here) -> None:
    with here.connected(here.laptop, here.phone):
        await here.tell(here.laptop)
        assert await here.tell(here.phone, ELSEWHERE) == NOBODY
        assert await here.tell(here.laptop, ELSEWHERE) == Nearby((where(here.phone),))
        assert await here.tell(here.phone, HOME) == NOBODY


@pytest.mark.parametrize("network", ["", "127.0.0.1", "::1"])
async def test_of_whom_it_is_not_known_where_they_are_nothing_is_kept(here: Here, network: str) -> None:
    with here.connected(here.laptop, here.phone):
        await here.tell(here.laptop, network)
        assert await here.tell(here.phone, network) == NOBODY
        assert here.hub._networks == {}


async def test_what_was_told_goes_with_the_socket_that_it_was_told_on(here: Here) -> None:
    with here.connected(here.phone):
        await here.tell(here.laptop)
        assert await here.tell(here.phone) == NOBODY, "it has no socket"
        with here.connected(here.laptop):
            await here.tell(here.laptop)
            assert await here.tell(here.phone) == Nearby((where(here.laptop),))
        assert await here.tell(here.phone) == NOBODY
    assert here.hub._networks == {}


async def test_a_socket_that_another_one_replaced_tells_nothing_any_more(here: Here) -> None:
    with here.connected(here.laptop, here.phone):
        await here.tell(here.laptop)
        with here.hub.opened(session_of(here.ana, here.laptop), b"newer") as newer:
            here.hub.replace(newer)
            assert await here.tell(here.phone) == NOBODY
            await here.tell(here.laptop)
            assert await here.tell(here.phone) == Nearby((where(here.laptop),))


async def test_a_revoked_device_is_told_nothing_and_told_of_to_nobody(here: Here) -> None:
    with here.connected(here.laptop, here.phone):
        await here.tell(here.phone)
        request = RevokeRequest(here.ana.revocation(here.phone))
        assert await revoking.revoke(here.coordination.context, session_of(here.ana), request) == Ok()
        assert await here.tell(here.laptop) == NOBODY, "though its socket is not closed yet"
        assert code_of(await here.tell(here.phone)) is RefusalCode.DENIED
        here.hub.publish(DeviceDropped(here.phone.id))
        assert [each.session.device for each in here.hub.near(HOME)] == [here.laptop.id]


@pytest.mark.parametrize(
    "bad",
    [bytes((127, 0, 0, 1)), bytes(4), bytes((224, 0, 0, 1)), bytes((9, 9, 9, 9)), bytes(16), bytes(5)],
    ids=["loopback", "unspecified", "multicast", "public", "unspecified of IPv6", "no address"],
)
async def test_addresses_of_no_local_network_are_refused_as_a_whole(here: Here, bad: bytes) -> None:
    with here.connected(here.laptop, here.phone):
        assert code_of(await here.tell(here.laptop, HOME, host(here.laptop), bad)) is RefusalCode.MALFORMED
        assert await here.tell(here.phone) == NOBODY


def test_more_addresses_than_the_bound_are_not_read() -> None:
    fits = NearbyRequest(PORT, (bytes((10, 0, 0, 1)),) * limits.NEARBY_HOSTS)
    assert decode(NearbyRequest, encode(fits), 10_000) == fits
    for broken in (NearbyRequest(PORT, (*fits.hosts, fits.hosts[0])), NearbyRequest(0, fits.hosts)):
        with pytest.raises(Malformed):
            decode(NearbyRequest, encode(broken), 10_000)
    with pytest.raises(Malformed):
        decode(NearbyRequest, encode(NearbyRequest(PORT, (bytes(17),))), 10_000)


async def test_a_device_that_asks_all_the_time_is_refused(here: Here) -> None:
    with here.connected(here.laptop):
        answers = [await here.tell(here.laptop) for _ in range(limits.NEARBY_A_MINUTE)]
        assert code_of(answers[-1]) is RefusalCode.RATE_LIMITED
        assert isinstance(answers[-1], Refusal)
        assert 0 < answers[-1].retry_after_ms <= 60_000 // limits.NEARBY_A_MINUTE


async def test_an_answer_has_a_bound_and_the_newest_are_in_it(here: Here) -> None:
    crowd = [here.carla.pair(f"device {number}") for number in range(limits.NEARBY + 5)]
    await here.begin_with(here.carla)
    with here.connected(*here.carla.devices):
        for each in crowd:
            here.hub.place(each.id, HOME, where(each))
        answer = await here.tell(here.carla.devices[0])
        assert answer == Nearby(tuple(map(where, reversed(crowd[-limits.NEARBY :]))))


async def test_nothing_of_it_is_written_down_or_logged(
    here: Here, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = bytes((10, 203, 113, 77))
    with caplog.at_level("DEBUG"), here.connected(here.laptop, here.phone):
        await here.tell(here.laptop, HOME, told)
        assert isinstance(await here.tell(here.phone), Nearby)
    assert "10.203.113.77" not in caplog.text
    assert repr(told) not in caplog.text
    written = bytes_under(tmp_path)
    assert b"SQLite" in written
    assert told not in written
    assert b"10.203.113.77" not in written


@pytest.mark.parametrize("name", [b"x-forwarded-for", b"forwarded", b"via", b"x-real-ip"])
def test_a_request_that_was_passed_on_comes_from_nowhere(name: bytes) -> None:
    scope = {"client": (HOME, 1), "headers": [(b"host", b"here"), (name, b"9.9.9.7")]}
    assert seen_from(scope) == ""
    assert seen_from({**scope, "headers": []}) == HOME
    assert seen_from({"client": None, "headers": []}) == ""
