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
from protocol.messages import ChainReply, ChainRequest, KeysDeposit, Ok
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

    async def request(self, message: KeysDeposit | ChainRequest) -> Ok | ChainReply:
        await trio.lowlevel.checkpoint()
        if self.away:
            raise Unreachable("cut")
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
