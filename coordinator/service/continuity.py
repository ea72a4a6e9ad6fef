"""After a restore: which workspaces take only hand-backs for now. Owns that memory and how a restore is noticed.

A database that is not the file it was, or an identity file that is a copy, means that data were put back or moved:
the journal may lack commits that devices have. Until every device that the records call active has shown a cursor
that lies on the journal, at most `WAIT_S`, nothing new is taken, so that what was lost can come back to its place.
"""

from pathlib import Path
from typing import Final

from coordinator.ports import Clock, Entropy, FileFacts, Files, MetadataStore, Transaction
from protocol import codec, limits
from protocol.ids import DeviceId, WorkspaceId

WAIT_S: Final = 120
ACTIVE_MS: Final = 24 * 3600 * 1000
_FILES: Final = "files"
_RESTORED: Final = "restored"
_GENERATION: Final = "offers"
_GENERATION_BYTES: Final = 6

Waiting = dict[WorkspaceId, set[DeviceId]]


class Continuity:
    """Which workspaces wait for which devices. Times are monotonic seconds; by default nothing waits.

    Asked on the event loop and in the writer's thread: each call touches the memory in single steps.
    """

    def __init__(self, waiting: Waiting | None = None, until_s: float = 0.0) -> None:
        self._waiting: Waiting = waiting or {}
        self._until_s = until_s

    def wait_ms(self, workspace: WorkspaceId, now_s: float) -> int:
        """How long the workspace may still take only hand-backs; 0 where it takes commits."""
        if not self._waiting.get(workspace):
            return 0
        if now_s >= self._until_s:
            self._waiting.clear()
            return 0
        return max(1, int((self._until_s - now_s) * 1000))

    def named(self, workspace: WorkspaceId, device: DeviceId) -> None:
        """The device has shown a cursor that lies on the journal."""
        awaited = self._waiting.get(workspace)
        if awaited:
            awaited.discard(device)


async def open_continuity(
    metadata: MetadataStore, files: Files, clock: Clock, entropy: Entropy, *, database: Path, identity: Path
) -> Continuity:
    """Compare the files with what the database remembers of them. Called once at each start, before serving."""
    here = _facts_bytes(files.facts(database), files.facts(identity))
    now_ms = clock.now_ms()
    drawn = int.from_bytes(entropy.bytes(_GENERATION_BYTES), "big") + 1
    waiting, left_ms = await metadata.run(lambda transaction: _begin(transaction, here, now_ms, drawn))
    return Continuity(waiting, clock.monotonic_s() + left_ms / 1000)


def _facts_bytes(database: FileFacts | None, identity: FileFacts | None) -> bytes:
    inode = None if database is None else database.inode
    return codec.encode((inode, None if identity is None else tuple(identity)))


def generation(transaction: Transaction) -> int:
    """Of which copy of this database the numbers of versions that are not durable are (`protocol.offered`)."""
    drawn = transaction.facts.get(_GENERATION)
    return 0 if drawn is None else codec.decode(int, drawn, limits.KIB)


def _begin(transaction: Transaction, here: bytes, now_ms: int, drawn: int) -> tuple[Waiting, int]:
    facts = transaction.facts
    known = facts.get(_FILES)
    if known != here:
        facts.put(_FILES, here)
        facts.put(_GENERATION, codec.encode(drawn))
        for workspace in transaction.journals.workspaces():
            if workspace.durability:
                transaction.offers.begin_anew(workspace.key, now_ms)
        if known is not None:
            facts.put(_RESTORED, codec.encode(now_ms))
    noted = facts.get(_RESTORED)
    since_ms = now_ms - codec.decode(int, noted, limits.KIB) if noted is not None else WAIT_S * 1000
    left_ms = WAIT_S * 1000 - max(0, since_ms)
    return (_active(transaction), left_ms) if left_ms > 0 else ({}, 0)


def _active(transaction: Transaction) -> Waiting:
    """Devices seen within a day of the latest sign of life in the records, by the workspaces that have added them."""
    devices = [device for device in transaction.people.all_devices() if device.active]
    latest = max((device.last_seen for device in devices), default=0)
    lively = {device.device for device in devices if device.last_seen and device.last_seen >= latest - ACTIVE_MS}
    waiting: Waiting = {}
    for workspace in transaction.journals.workspaces():
        here = {device for device, state in transaction.journals.devices(workspace.key) if state.active}
        if here & lively:
            waiting[workspace.workspace] = here & lively
    return waiting
