"""The chain of this device's user as it grows: followed, and new devices given the keys that they may lack.

Owns the chain that is known. All devices of a user hear of a new one in the same moment, and the keys that one of them
leaves are enough: the device that admitted it leaves them at once, the others some time later, for all that are new by
then. So a hundred devices that come one after the other do not make ten thousand requests.
"""

import logging
import sqlite3
from collections.abc import Callable, Sequence
from typing import Final

import trio

from peer.engine import founding, people
from peer.engine.context import Identity, Machine
from peer.link import revoking as link_revoking
from peer.link.chain import KnownChain
from peer.link.errors import LinkError
from peer.store import workspaces
from peer.store.workspaces import Record
from protocol.chains import UserChain
from protocol.ids import DeviceId
from protocol.messages import KeysDeposit, Refusal

LATER_S: Final = (2.0, 20.0)
"""When a device follows that did not admit the new one: drawn between these."""

_log = logging.getLogger("shoal.engine")


class Following:
    """What this device knows of its user's devices. `run` until cancelled."""

    def __init__(self, machine: Machine, identity: Identity, known: KnownChain) -> None:
        self._machine = machine
        self._identity = identity
        self.known = known
        self.lock = trio.Lock()
        """Held while the chain is taken further, and by whoever needs that it is not."""
        self._moved = trio.Event()
        self.on_revoked: Callable[[], None] = lambda: None
        """Called where the chain revokes a device: the journals are to say so."""

    def poke(self) -> None:
        """The chain has grown."""
        self._moved.set()

    async def run(self) -> None:
        """Follow it after each poke."""
        while True:
            await self._moved.wait()
            self._moved = trio.Event()
            later_s = self._machine.entropy.jitter(*LATER_S)
            with trio.move_on_after(later_s):
                while not self._has_admitted():  # which another poke may be about
                    await self._moved.wait()
                    self._moved = trio.Event()
            if not await self.follow():
                await self._machine.clock.sleep(later_s)
                self.poke()

    async def follow(self) -> bool:
        """Learn of devices added to this user, and give them the keys of workspaces that they may lack; False where
        the local database failed."""
        try:
            async with self.lock:
                await self.take(await people.follow_chain(self._machine.client, self.known))
        except (OSError, sqlite3.OperationalError) as failed:
            _log.warning("the devices of this user could not be kept (%s): that is tried again", failed)
            return False
        return True

    async def take(self, latest: KnownChain) -> bool:
        """Go on from a longer chain once its new devices have the keys; False where they could not be left for them.

        Kept and used only then, so that a device is never forgotten: it is new again the next time.
        """
        if latest.chain.length <= self.known.chain.length:
            return True
        before, machine = self.known.chain, self._machine
        new = [
            known.keys.box
            for device, known in latest.chain.devices.items()
            if known.active and device not in before.devices and device != self._identity.device
        ]
        records = await machine.database_work.run(workspaces.records, machine.database)
        if not await self.leave_keys(records, new, latest.chain):
            return False
        await machine.database_work.run(people.save_chain, machine.database, latest, before.length)
        self.known = latest
        if latest.chain.revoked_devices != before.revoked_devices:
            self.on_revoked()
        return True

    async def revoke(self, device: DeviceId) -> Refusal | None:
        """Revoke another device of the user, which the known chain has; a refusal where that is not granted.

        Raises `LinkError`.
        """
        async with self.lock:
            latest = await link_revoking.revoke(self._machine.client, self._identity.keys, self.known, device)
            if isinstance(latest, Refusal):
                return latest
            await self.take(latest)
        return None

    async def leave_keys(
        self, records: Sequence[Record], boxes: Sequence[bytes], chain: UserChain | None = None
    ) -> bool:
        """Leave workspaces' keys with the coordinator for these devices of the chain; False where it is away."""
        machine = self._machine
        for record in records if boxes else ():
            keys = tuple(founding.seal_keys(record.keyring, chain or self.known.chain, boxes, machine.entropy))
            try:
                await machine.client.request(KeysDeposit(record.workspace, keys, record.keyring.newest_epoch))
            except LinkError:
                return False
        return True

    def _has_admitted(self) -> bool:
        """Whether a device that this one has admitted may be the new one."""
        return any(pairing.author == self._identity.device for pairing in self.known.chain.pairings.values())
