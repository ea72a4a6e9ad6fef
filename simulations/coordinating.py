"""The coordinator as a program of a world: the real application over the real storage, on a simulated network.

Owns how it is put together there, as `coordinator.app` does for a real machine. Its database lies in a scratch
directory, its blocks on a simulated disk; where calls to that disk fail, so do SQLite's own to the database.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random  # noqa: TID251 - drawn from the world's seed
from typing import Final

import trio

from coordinator.app import EXPECTED, open_coordinator
from coordinator.identity import IDENTITY_FILE, CoordinatorIdentity, open_identity
from coordinator.machine import DirectoryFiles
from coordinator.ports import MetadataStore
from coordinator.service import admin
from coordinator.service.belonging import MARK_FILE, check_blocks
from coordinator.service.continuity import open_continuity
from coordinator.serving import serve
from coordinator.storage.metadata_sql import METADATA_FILE, open_metadata
from coordinator.storage.segments import open_segments
from coordinator.web.limits import RequestLimits
from crypto.identity import coordinator_hash
from crypto.invitation import Code, CodeKind
from simulations.disk import SimBlockFiles, SimDisk, SimFiles, failing_databases
from simulations.machine import Host, InlineOffload, Life, SimClock, SimEntropy
from simulations.network.net import Net
from simulations.points import GuardedOffload, Points, guarded
from simulations.programs import Program
from simulations.templates import put_metadata
from simulations.trace import Trace

PORT: Final = 8440
BLOCKS: Final = "/blocks"
"""Where its blocks are on its disk."""
_WEEK_MS: Final = 7 * 24 * 3600 * 1000


class SimCoordinator(Program):
    """The coordinator of a world. Raises what `coordinator.app.run` does."""

    def __init__(
        self, host: Host, net: Net, trace: Trace, nursery: trio.Nursery, place: Path, draw: Random, seed: str
    ) -> None:
        super().__init__(host, net, trace, nursery)
        self.place = place
        self.disk = SimDisk(SimClock(host), draw, directories=())
        """Where its blocks are. Its faults are those of all its files, and count the calls to all of them."""
        self._draw = draw
        self._clock = SimClock(host)
        self._entropy = SimEntropy(seed)
        self.metadata: MetadataStore | None = None
        self._identity: CoordinatorIdentity | None = None
        self._given = 0
        """How many errors its disk had given when this life began."""

    @property
    def url(self) -> str:
        """Where it can be reached."""
        return f"http://{self.name}:{PORT}"

    async def be(self, life: Life) -> None:
        """Serve."""
        clock, entropy, files = self._clock, self._entropy, DirectoryFiles()
        database = self.place / METADATA_FILE
        self.place.mkdir(parents=True, exist_ok=True)
        put_metadata(database)
        self.points = points = Points(life)
        points.on_kill = self.end_now
        points.told, self.told_next = self.told_next, None
        points.committed = self.committed
        disk_files = guarded(self.disk.filesystem(), points)
        blocks = SimBlockFiles(disk_files, BLOCKS)
        self._given = self.disk.faults.given
        self.disk.faults.check("open_read", (IDENTITY_FILE,))
        self._identity = identity = open_identity(self.place, entropy)
        disk, cores = InlineOffload(life, 1, self._draw), InlineOffload(life, 4, self._draw)
        await disk.run(blocks.prepare)
        async with (
            self._failing(),
            open_metadata(
                database, writer=GuardedOffload(points, 1, self._draw), readers=InlineOffload(life, 4, self._draw)
            ) as metadata,
        ):
            self.metadata = metadata
            await check_blocks(metadata, SimFiles(disk_files), entropy, Path(BLOCKS))
            continuity = await open_continuity(
                metadata, files, clock, entropy, database=database, identity=self.place / IDENTITY_FILE
            )
            async with (
                open_segments(blocks, writer=disk, readers=cores, mark=MARK_FILE) as store,
                open_coordinator(
                    metadata=metadata,
                    store=store,
                    offload=cores,
                    clock=clock,
                    entropy=entropy,
                    identity=identity,
                    continuity=continuity,
                    addresses=lambda: (self.url,),
                    bounds=RequestLimits(),
                ) as coordinator,
            ):
                with self.net.listening(life, PORT) as listener:
                    self.ready.set()
                    await serve(coordinator.application, [listener], stop=trio.Event())

    def sever(self, *, power: bool) -> None:
        """Its database is durable at each commit; the disk with its segments loses what only power keeps."""
        self.disk.crash(power=power)
        self.metadata = None

    def may_end_with(self, error: BaseException) -> bool:
        """At its start it may find that its disk gives errors, and says so to whoever starts it."""
        expected = isinstance(error, EXPECTED)
        return expected and not self.ready.is_set() and self.disk.faults.given > self._given

    @asynccontextmanager
    async def _failing(self) -> AsyncGenerator[None, None]:
        with failing_databases(self.place, self.disk.faults):
            yield

    async def invite(self, user: str) -> Code:
        """A join code for a person."""
        assert self.metadata is not None
        assert self._identity is not None
        made = await admin.invite(self.metadata, self._clock, self._entropy, user, admin=False, lifetime_ms=_WEEK_MS)
        assert not isinstance(made, str), made
        return Code(CodeKind.JOIN, made.secret, coordinator_hash(self._identity.public), (self.url,))
