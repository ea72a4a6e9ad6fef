"""A real directory in the place of a simulated disk: slower, and its inodes and times are not from the seed."""

from pathlib import Path

from peer.disk.real import LinuxFilesystem
from peer.ports import Filesystem, Offload, Watching
from peer.scan.watcher import InotifyWatching


class RealDisk:
    """A disk whose `folder` is synced; people keep what they have not saved yet in `drafts`."""

    def __init__(self, place: Path) -> None:
        self.folder = str(place / "folder")
        self.drafts = str(place / "drafts")
        for path in (self.folder, self.drafts):
            Path(path).mkdir(parents=True)
        self.people: Filesystem = LinuxFilesystem()

    def filesystem(self) -> Filesystem:
        """For one life of a program."""
        return LinuxFilesystem()

    def watching(self, filesystem: Filesystem, offload: Offload) -> Watching:
        """For one life of a program."""
        return InotifyWatching(LinuxFilesystem(), offload)

    def crash(self, *, power: bool) -> None:
        """Nothing is lost here."""
