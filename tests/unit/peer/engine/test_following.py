"""How a device follows its user's chain: nobody is forgotten, and a crowd does not make a crowd of requests."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import TypeVar, TypeVarTuple, cast

import pytest
import trio
import trio.testing

from crypto.identity import DeviceKeys
from crypto.keyring import WorkspaceKeyring
from peer.engine.context import Identity, Machine
from peer.engine.following import LATER_S, Following
from peer.engine.people import load_chain, save_chain
from peer.link.chain import judge_received
from peer.link.errors import Unreachable
from peer.machine import SystemClock, SystemEntropy
from peer.store import workspaces
from peer.store.database import Database, open_database
from protocol.messages import ChainReply, ChainRequest, KeysDeposit, Ok, Refusal, RefusalCode, RevokeRequest
from protocol.model import SignedLink
from tests.common.journals import TestJournal, TestUser, seed

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
KEYRING = WorkspaceKeyring(seed("salt")[:16], seed("fixed"), {1: seed("epoch 1")})


@pytest.fixture
def database() -> Iterator[Database]:
    with open_database(None) as opened:
        yield opened


class AtOnce:
    """An `Offload` without threads, of which virtual time would not know."""

    async def run(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        await trio.lowlevel.checkpoint()
        return fn(*args)


class Coordinator:
    """As far as the chain and leaving keys go; `away`: nobody answers."""

    def __init__(self, user: TestUser) -> None:
        self.away = False
        self.asked = 0
        self.left: list[KeysDeposit] = []
        self._user = user

    def take(self, link: SignedLink) -> Ok | Refusal:
        """A link that goes on from the chain as it is."""
        if link.link.index != len(self._user.links):
            return Refusal(RefusalCode.CONFLICT, "the chain has moved on")
        self._user.links.append(link)
        return Ok()

    def now_ms(self) -> int:
        """By its clock."""
        return 1

    async def request(self, message: KeysDeposit | ChainRequest | RevokeRequest) -> Ok | ChainReply | Refusal:
        await trio.lowlevel.checkpoint()
        if self.away:
            raise Unreachable("cut")
        if isinstance(message, RevokeRequest):
            return self.take(message.link)
        if isinstance(message, ChainRequest):
            self.asked += 1
            return ChainReply(tuple(self._user.links[message.start :]))
        self.left.append(message)
        return Ok()


def follow(user: TestUser, database: Database, coordinator: Coordinator, who: int = 0) -> Following:
    """One device of the user, with one workspace, that knows the chain as it is now."""
    journal = TestJournal(user)
    workspaces.add(database, journal.id, "work", KEYRING, journal.commits[0])
    machine = SimpleNamespace(
        clock=SystemClock(),
        entropy=SystemEntropy(),
        database_work=AtOnce(),
        client=coordinator,
        database=database,
    )
    own = user.devices[who]
    identity = Identity(own.id, own.name, user.id, DeviceKeys.from_seed(seed("device", own.name)))
    known = load_chain(database, user.id, tuple(user.links))
    save_chain(database, known)
    return Following(cast(Machine, machine), identity, known)


async def test_a_new_device_is_new_until_the_keys_were_left_for_it(database: Database) -> None:
    user = TestUser("ana")
    first, coordinator = tuple(user.links), Coordinator(user)
    following = follow(user, database, coordinator)
    user.pair("ana-2")
    latest = judge_received(tuple(user.links))

    coordinator.away = True
    assert not await following.take(latest)
    assert following.known.chain.length == len(first)
    assert load_chain(database, user.id, first).chain.length == len(first)

    coordinator.away = False
    assert await following.take(latest)
    assert [len(each.keys) for each in coordinator.left] == [1]
    assert following.known.chain.length == load_chain(database, user.id, first).chain.length == len(user.links)
    assert await following.take(judge_received(first)), "a chain that is known already"
    assert len(coordinator.left) == 1


async def test_devices_that_others_admitted_are_given_keys_together_some_time_later(
    database: Database, autojump_clock: trio.testing.MockClock
) -> None:
    user = TestUser("ana")
    user.pair("ana-2")
    coordinator = Coordinator(user)
    following = follow(user, database, coordinator, who=1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(following.run)
        for name in ("ana-3", "ana-4", "ana-5"):
            user.pair(name)
            following.poke()
            await trio.sleep(LATER_S[0] / 10)
        assert not coordinator.left
        await trio.sleep(LATER_S[1] + 1)
        assert [len(each.keys) for each in coordinator.left] == [3]
        assert coordinator.asked <= 2
        nursery.cancel_scope.cancel()


async def test_the_device_that_admitted_a_new_one_leaves_the_keys_at_once(
    database: Database, autojump_clock: trio.testing.MockClock
) -> None:
    user = TestUser("ana")
    coordinator = Coordinator(user)
    pairing = user.admit("ana-2")
    following = follow(user, database, coordinator)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(following.run)
        user.use(pairing, "ana-2")
        following.poke()
        await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(LATER_S[0] / 2)
        assert [len(each.keys) for each in coordinator.left] == [1]
        nursery.cancel_scope.cancel()


async def test_a_device_is_revoked_once_and_whoever_follows_is_told(database: Database) -> None:
    user = TestUser("ana")
    phone = user.pair("phone")
    coordinator = Coordinator(user)
    following, told = follow(user, database, coordinator), []
    following.on_revoked = lambda: told.append("revoked")
    assert await following.revoke(phone.id) is None
    assert following.known.chain.revoked_devices == {phone.id}
    assert load_chain(database, user.id, tuple(user.links[:2])).chain.revoked_devices == {phone.id}
    assert await following.revoke(phone.id) is None
    assert len(user.links) == 4
    assert told == ["revoked"]


async def test_a_chain_that_moves_on_meanwhile_is_read_anew_and_a_refusal_comes_back(database: Database) -> None:
    user = TestUser("ana")
    phone = user.pair("phone")
    coordinator = Coordinator(user)
    following, take = follow(user, database, coordinator), coordinator.take

    def moves_on(link: SignedLink) -> Ok | Refusal:
        coordinator.take = take  # type: ignore[method-assign]
        user.admit("meanwhile")
        return take(link)

    coordinator.take = moves_on  # type: ignore[method-assign]
    assert await following.revoke(phone.id) is None
    assert [type(signed.link.body).__name__ for signed in user.links[3:]] == ["PairingAdmitted", "Revocation"]

    tablet = user.pair("tablet")
    denied = Refusal(RefusalCode.DENIED, "not you")
    coordinator.take = lambda link: denied  # type: ignore[method-assign]
    assert await following.revoke(tablet.id) == denied
    assert tablet.id not in following.known.chain.revoked_devices


async def test_a_device_whose_link_the_coordinator_never_got_is_not_taken_for_revoked(database: Database) -> None:
    user = TestUser("ana")
    phone = user.pair("phone")
    coordinator = Coordinator(user)
    following = follow(user, database, coordinator)
    coordinator.away = True
    with pytest.raises(Unreachable):
        await following.revoke(phone.id)
    assert following.known.chain.revoked_devices == set()
