"""Scratch directories of worlds. Owns what they are called, and that none outlives its process for long."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_MEMORY: Final = "/dev/shm"  # noqa: S108 - a directory of its own is made there
_PREFIX: Final = "shoal-sim-"


@contextmanager
def open_scratch() -> Iterator[Path]:
    """A directory of its own, in memory where there is such a place, which goes away with the context."""
    place = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=_where()))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def sweep_scratch() -> int:
    """Delete what processes that were killed have left; how many directories that were."""
    swept = 0
    for place in Path(_where()).glob(f"{_PREFIX}*-*"):
        number = place.name.removeprefix(_PREFIX).partition("-")[0]
        try:
            is_ours = place.stat().st_uid == os.geteuid() and not place.is_symlink()
        except FileNotFoundError:
            continue
        if is_ours and number.isdigit() and not Path(f"/proc/{number}").exists():
            shutil.rmtree(place, ignore_errors=True)
            swept += 1
    return swept


def _where() -> str:
    return _MEMORY if Path(_MEMORY).is_dir() else tempfile.gettempdir()
