"""Tests with disks of their own, which need no privilege: each runs once more in a child that may mount."""

import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.common.fleet import Fleet, as_ourselves

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
        node = request.node
        command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{node.path}::{node.name}"]
        with as_ourselves():
            done = subprocess.run(
                ["unshare", "--user", "--map-root-user", "--mount", *command],
                cwd=request.config.rootpath,
                env={**os.environ, _FLAG: "1"},
                capture_output=True,
                text=True,
                check=False,
            )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "1 passed" in done.stdout, done.stdout

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
