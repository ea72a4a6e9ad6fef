"""A power loss after any call of the block store loses no block that it said was stored, and the next start works."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import pytest
import trio
from blake3 import blake3

from coordinator.ports import BlockPlace
from coordinator.storage.segments import SegmentStore, open_segments
from protocol.ids import BlockId
from simulations.disk import Loss, SimBlockFiles, SimDisk
from tests.common.disks import Crashed
from tests.common.simulated_disks import sim_disk

T = TypeVar("T")
WAYS = [(Loss.ALL, 0), (Loss.NONE, 0), *((Loss.DRAWN, seed) for seed in range(4))]
Stored = dict[BlockId, tuple[BlockPlace, bytes]]


class Inline:
    async def run(self, function: Callable[[], T]) -> T:
        await trio.lowlevel.checkpoint()
        return function()


def block(number: int) -> tuple[BlockId, bytes]:
    data = b"%d " % number * 300
    return BlockId(blake3(data).digest()), data


@asynccontextmanager
async def opened(disk: SimDisk) -> AsyncIterator[SegmentStore]:
    files = SimBlockFiles(disk.filesystem(), "/blocks")
    async with open_segments(files, writer=Inline(), readers=Inline(), segment_bytes=3000, reserve_bytes=0) as store:
        yield store


async def put(store: SegmentStore, numbers: range, stored: Stored) -> None:
    blocks = [block(number) for number in numbers]
    for (found, data), place in zip(blocks, await store.put_batch(blocks), strict=True):
        stored[found] = (place, data)


async def check(store: SegmentStore, stored: Stored) -> None:
    asked = [(found, place) for found, (place, _) in stored.items()]
    assert await store.get(asked) == [data for _, data in stored.values()]
    assert all(await store.have(asked))


async def store_until_the_power_goes(disk: SimDisk, at: int, stored: Stored) -> bool:
    left = [at]

    def before_call(call: str, arguments: tuple[object, ...]) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Crashed

    disk.before_call = before_call
    went = True
    with suppress(Crashed):
        async with opened(disk) as store:
            for first in (100, 103, 106, 109):
                await put(store, range(first, first + 3), stored)
            went = False
    disk.before_call = None
    return went


@pytest.mark.parametrize(("loss", "seed"), WAYS, ids=[f"{loss.name.lower()}-{seed}" for loss, seed in WAYS])
async def test_what_was_said_to_be_stored_is_there_after_a_power_loss_at_any_call(loss: Loss, seed: int) -> None:
    at, went = 0, True
    while went:
        disk, stored = sim_disk(seed, directories=()), Stored()
        async with opened(disk) as store:
            await put(store, range(3), stored)
        went = await store_until_the_power_goes(disk, at, stored)
        disk.crash(power=True, loss=loss)
        async with opened(disk) as store:
            await check(store, stored)
            await put(store, range(200, 203), stored)
            await check(store, stored)
            found = {one: place async for one, place in store.scan()}
            assert {one: place for one, (place, _) in stored.items()}.items() <= found.items()
        at += 1
    assert at > 40
