"""Simulated disks for tests: a clock that stands still and draws from a seed."""

from collections.abc import Sequence
from random import Random  # noqa: TID251 - draws of a test follow from its seed

from simulations.disk import Kind, SimDisk
from tests.common.disks import MTIME_NS


class StoppedTime:
    """Time that only a test moves."""

    def __init__(self, wall_ns: int = MTIME_NS) -> None:
        self.now_ns = wall_ns

    def wall_ns(self) -> int:
        return self.now_ns


def sim_disk(
    seed: int = 0,
    kind: Kind | None = None,
    *,
    time: StoppedTime | None = None,
    directories: Sequence[str] = ("/folder",),
) -> SimDisk:
    return SimDisk(time or StoppedTime(), Random(seed), kind, directories=directories)
