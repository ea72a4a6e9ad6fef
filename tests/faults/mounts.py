"""Tests with disks of their own, which need no privilege: each runs once more in a child that may mount."""

import functools
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.common.fleet import Fleet
from tests.common.namespaces import run_once_more

_FLAG: Final = "OWN_MOUNTS"
_mounted: Final[list[Path]] = []


def in_own_mounts(test: Callable[[Fleet], None]) -> Callable[[pytest.FixtureRequest], None]:
    """A test of a fleet that may `mount_small`. It runs in user and mount namespaces of its own (unshare(1))."""

    @functools.wraps(test)
    def run(request: pytest.FixtureRequest) -> None:
        if os.environ.get(_FLAG):
            fleet = request.getfixturevalue("fleet")
            try:
                test(fleet)
            finally:
                fleet.end()
                while _mounted:
                    unmount(_mounted[-1])
            return
        run_once_more(request, "--mount", _FLAG)

    del run.__wrapped__  # pytest would ask for the fixtures of the test itself
    return run


def mount_small(path: Path, mib: int) -> None:
    """An empty file system of that size at `path`, gone with the test."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0755", "small", str(path)], check=True)
    _mounted.append(path)


def enlarge(path: Path, mib: int) -> None:
    """More room there."""
    subprocess.run(["mount", "-o", f"remount,size={mib}m", str(path)], check=True)


def unmount(path: Path) -> None:
    """Gone, with all that is on it; open files stay open."""
    subprocess.run(["umount", "--lazy", str(path)], check=True)
    if path in _mounted:
        _mounted.remove(path)
