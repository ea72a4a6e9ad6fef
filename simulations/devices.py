"""A device as a program of a world: the real engine on a simulated machine.

Owns how it is put together there, as `peer.app` does for a real one, and what people ask of it.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from random import Random  # noqa: TID251 - drawn from the world's seed

import trio

from crypto.invitation import Code, decode_code
from peer.app import Parts, open_device
from peer.becoming import become
from peer.control.answers import Answers
from peer.control.base import Reply
from peer.control.messages import AnyRequest, Failure, Status, StatusRequest, Wait, Waited
from peer.engine.context import OFFER_BYTES
from peer.engine.device import DeviceEngine
from peer.home import Home
from peer.link.joining import Doors
from peer.store.database import open_database
from protocol.messages import Refusal
from simulations.disk import SimDisk
from simulations.machine import Host, InlineOffload, Killed, Life, SimClock, SimEntropy
from simulations.network.lan import SimLan
from simulations.network.net import Net
from simulations.points import GuardedDatabase, Points, guarded
from simulations.programs import Program
from simulations.templates import put_store
from simulations.trace import Trace


class NotRunning(Exception):
    """The device's program has no life just now."""


class SimFolders:
    """The `Folders` port of a machine with one home: every folder is free."""

    def check(self, folder: Path, home: Home, taken: Sequence[Path], *, make: bool) -> Path:
        """See the port."""
        del home, taken, make
        return folder

    def claim(self, folder: Path, home: Home) -> None:
        """See the port."""

    def release(self, folder: Path, home: Home) -> None:
        """See the port."""

    def lock(self, folder: Path) -> AbstractContextManager[None]:
        """See the port."""
        del folder
        return nullcontext()


@dataclass(frozen=True)
class Image:
    """A machine's disk, and the small files and the database of its device's home."""

    disk: SimDisk
    home: dict[str, bytes]


class SimDevice(Program):
    """A device of a world. Its home lies in a scratch directory, its folder on its disk."""

    def __init__(
        self,
        host: Host,
        net: Net,
        trace: Trace,
        nursery: trio.Nursery,
        place: Path,
        disk: SimDisk,
        draw: Random,
        seed: str,
    ) -> None:
        super().__init__(host, net, trace, nursery)
        self.disk = disk
        self.home = Home(place)
        self.engine: DeviceEngine | None = None
        self.disturb: Callable[[], None] | None = None
        """What happens, perhaps, between two calls that any life of the program makes to its disk or database."""
        self.offer_bytes = OFFER_BYTES
        """From how many bytes on a file is offered before it is sent."""
        self.images = 0
        """How often an image was put back."""
        self._draw = draw
        self._clock = SimClock(host)
        self._boots = 0
        self._entropy = SimEntropy(seed)

    async def join(self, code: Code | str, name: str | None = None) -> None:
        """Become a device by a code; the program does not run yet."""
        meant = decode_code(code) if isinstance(code, str) else code
        self.home.prepare()
        put_store(self.home.database)
        life = Life(self.host)
        doors = Doors(self.net.door(life), self._clock, self._entropy, allow_plain=True)
        identity = await become(self.home, meant, name or self.name, doors)
        assert not isinstance(identity, Refusal), identity
        self.net.end(life, silently=False)

    async def be(self, life: Life) -> None:
        """Keep the folders in step."""
        self.points = points = Points(life)
        points.on_kill, points.disturb = self.end_now, self.disturb
        points.told, self.told_next = self.told_next, None
        points.committed = self.committed
        disk_work = InlineOffload(life, 2, self._draw)
        filesystem = guarded(self.disk.filesystem(), points)
        parts = Parts(
            clock=self._clock,
            entropy=self._entropy,
            network=self.net.door(life),
            filesystem=filesystem,
            watching=self.disk.watching(filesystem, disk_work),
            folders=SimFolders(),
            database_work=InlineOffload(life, 1, self._draw),
            disk_work=disk_work,
            compute=InlineOffload(life, 3, self._draw),
            allow_plain=True,
            boot=f"boot {self._boots}",
            lan=SimLan(self.net, life),
            offer_bytes=self.offer_bytes,
        )
        try:
            with open_database(self.home.database) as opened:
                async with open_device(self.home, parts, GuardedDatabase(opened, points)) as engine:
                    self.engine = engine
                    if self.trace.listener is not None:
                        self.trace.listener.attach(self.name, engine)
                    self.ready.set()
                    await trio.sleep_forever()
        finally:
            self.engine = None

    def sever(self, *, power: bool) -> None:
        """What its database has not committed is undone by the guard; the disk loses what only power keeps."""
        self.disk.crash(power=power)
        self._boots += power

    def image(self) -> "Image":
        """Its disk and its home, as they are while the program does not run."""
        assert not self.runs
        files = {path.name: path.read_bytes() for path in self.home.path.iterdir() if path.is_file()}
        return Image(self.disk.image(), files)

    def restore(self, image: "Image", *, disk: bool = True, home: bool = True) -> None:
        """Put an image back, or a part of it."""
        assert not self.runs
        self.images += 1
        if disk:
            self.disk.restore(image.disk)
        if not home:
            return
        self.home.prepare()
        for path in self.home.path.iterdir():
            if path.is_file():
                path.unlink()
        for name, data in image.home.items():
            (self.home.path / name).write_bytes(data)

    # --- what people ask ----------------------------------------------------------------------------------

    async def ask(self, request: AnyRequest) -> Reply:
        """The program's last answer to a command, which waits while the host stands still. Raises `NotRunning`."""
        await self.host.gate()
        engine = self.engine
        if engine is None:
            raise NotRunning(self.name)
        answer: Reply | None = None
        try:
            async for reply in Answers(engine, lambda: None)(request):
                answer = reply
        except* Killed:
            raise NotRunning(self.name) from None
        assert answer is not None
        assert not isinstance(answer, Failure), answer.message
        return answer

    async def status(self) -> Status:
        """Its status document."""
        answer = await self.ask(StatusRequest())
        assert isinstance(answer, Status)
        return answer

    async def wait(self, timeout_s: float, *, durable: bool = False) -> Waited:
        """What `shoal wait` says."""
        answer = await self.ask(Wait(timeout_s=timeout_s, durable=durable))
        assert isinstance(answer, Waited)
        return answer
