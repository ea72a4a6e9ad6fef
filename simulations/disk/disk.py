"""One simulated machine's disk, as the world handles it.

Owns who sees the volume: programs, whose view ends when they die, and people, for whom nothing fails. Made of a seed's
draws and a clock; the same ones and the same calls give the same disk.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

from peer.ports import Filesystem, Offload
from simulations.disk.content import Content
from simulations.disk.faults import Fault, Faults
from simulations.disk.filesystem import SimFilesystem
from simulations.disk.handles import Before
from simulations.disk.inodes import Draw, Time
from simulations.disk.lasting import Loss
from simulations.disk.volume import Kind, Volume
from simulations.disk.watching import SimWatching, WatchFaults

FOLDER = "/folder"
DRAFTS = "/drafts"

Looking = Callable[[SimFilesystem, str, tuple[object, ...]], None]


class SimDisk:
    """A disk with a synced `folder`, and `drafts` where people keep what they have not saved yet."""

    def __init__(
        self,
        time: Time,
        draw: Draw,
        kind: Kind | None = None,
        directories: Sequence[str] = (FOLDER, DRAFTS),
        volume: Volume | None = None,
    ) -> None:
        self.folder, self.drafts = FOLDER, DRAFTS
        self.volume = volume or Volume(kind or Kind(), time, draw)
        self.faults = Faults(draw)
        """What goes wrong with programs' calls."""
        self.watch_faults = WatchFaults()
        self.before_call: Before | None = None
        """Told of every call of a program but `close` before it does anything; what it raises comes out of the call,
        and where that is no `Exception` the program's view is dead: it comes out of all later ones as well."""
        self.looking: Looking | None = None
        """Told of the same calls, and through which view; it must change nothing and raise nothing."""
        self.before_loss: Callable[[], Callable[[], None]] | None = None
        """Called before power is lost; what it returns is called after it."""
        self.calls = 0
        """Calls of programs so far, without `close`."""
        self.people = SimFilesystem(self.volume)
        self._time, self._draw = time, draw
        self._views: list[SimFilesystem] = []
        for path in directories:
            self.make_directory(path)
        if volume is None:
            self.volume.save_all()

    def filesystem(self) -> SimFilesystem:
        """For one life of a program."""

        def count(call: str, arguments: tuple[object, ...]) -> None:
            self._count(view, call, arguments)

        view = SimFilesystem(self.volume, count, self.faults)
        return self._view(view)

    def watching(self, filesystem: Filesystem | None = None, offload: Offload | None = None) -> SimWatching:
        """For one life of a program. Its looking around is neither counted nor fails."""
        del filesystem
        return SimWatching(self._view(SimFilesystem(self.volume)), offload, self.watch_faults, self._draw)

    def crash(self, *, power: bool, loss: Loss = Loss.DRAWN) -> None:
        """The programs are dead: their calls, but `close`, raise EIO and change nothing.

        With `power` what was not synced is lost as well, and people's handles are closed.
        """
        for view in self._views:
            view.sever()
        self._views = []
        if power:
            after_loss = None if self.before_loss is None else self.before_loss()
            self.people.close_all()
            self.volume.lose_power(loss)
            if after_loss is not None:
                after_loss()

    def fail(self, code: int, *, skip: int = 0, times: int = 1, calls: Sequence[str] | None = None) -> Fault:
        """Let programs' calls fail with this error number: `times` calls after `skip` that could fail in this way."""
        fault = Fault(code, skip, times, calls)
        self.faults.planned.append(fault)
        return fault

    def image(self, draw: Draw | None = None) -> "SimDisk":
        """Another disk with the same things on it, inode numbers included, as of this moment."""
        return SimDisk(self._time, draw or self._draw, directories=(), volume=self.volume.copy())

    def restore(self, image: "SimDisk") -> None:
        """Put an image back in the place of all there is. Only while no program runs."""
        self.crash(power=True, loss=Loss.NONE)
        self.volume.restore(image.volume)

    # --- people --------------------------------------------------------------------------------------------

    def make_directory(self, path: str) -> None:
        """Make the directory at this absolute path, and those on the way."""
        names = [name for name in path.split("/") if name]
        for depth, name in enumerate(names):
            parent = self.people.open_root("/" + "/".join(names[:depth]))
            with suppress(FileExistsError):
                self.people.make_dir(parent, name, 0o755)
            self.people.close(parent)

    def put(self, path: str, content: Content | bytes) -> None:
        """Make a file with that content, which may be of any size; one that is there gets it instead, in place."""
        content = Content.of(content) if isinstance(content, bytes) else content
        above, _, name = path.rpartition("/")
        parent = self.people.open_root(above or "/")
        try:
            try:
                handle = self.people.create(parent, name)
            except FileExistsError:
                handle = self.people.open_write(parent, name)
            try:
                self.people.truncate(handle, 0)
                self.people.put_content(handle, content, 0)
            finally:
                self.people.close(handle)
        finally:
            self.people.close(parent)

    def content(self, path: str) -> Content:
        """What is in the file at this absolute path, without reading it."""
        above, _, name = path.rpartition("/")
        parent = self.people.open_root(above or "/")
        try:
            handle = self.people.open_read(parent, name)
            try:
                return self.people.inode_of(handle).content
            finally:
                self.people.close(handle)
        finally:
            self.people.close(parent)

    def _view(self, view: SimFilesystem) -> SimFilesystem:
        self._views = [each for each in self._views if not each.is_severed]
        self._views.append(view)
        return view

    def _count(self, view: SimFilesystem, call: str, arguments: tuple[object, ...]) -> None:
        self.calls += 1
        if self.looking is not None:
            self.looking(view, call, arguments)
        if self.before_call is not None:
            self.before_call(call, arguments)
