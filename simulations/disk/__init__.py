"""A disk in memory: the `Filesystem` and `Watching` ports with what real disks do at a crash, and their errors.

`SimDisk` is the whole of it, one for each simulated machine. `Kind` says what sort of disk it is, `Loss` what a loss
of power takes, `Content` describes the bytes of files that are too large to hold.
"""

from simulations.disk.block_files import SimBlockFiles, SimFiles
from simulations.disk.content import Content
from simulations.disk.database_calls import failing_databases
from simulations.disk.disk import SimDisk
from simulations.disk.faults import CHANGING, Fault
from simulations.disk.filesystem import SimFilesystem
from simulations.disk.inodes import WINDOWS_NAMES, NameRules
from simulations.disk.lasting import Loss
from simulations.disk.volume import Kind, Volume
from simulations.disk.watching import SimWatching, WatchFaults

__all__ = [
    "CHANGING",
    "WINDOWS_NAMES",
    "Content",
    "Fault",
    "Kind",
    "Loss",
    "NameRules",
    "SimBlockFiles",
    "SimDisk",
    "SimFiles",
    "SimFilesystem",
    "SimWatching",
    "Volume",
    "WatchFaults",
    "failing_databases",
]
