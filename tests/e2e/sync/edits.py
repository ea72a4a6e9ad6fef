"""What people do in a folder, as functions of it. All that they write is dated `DAY_S`."""

import os
from collections.abc import Callable
from pathlib import Path

Edit = Callable[[Path], None]

DAY_S = 1_614_816_000
"""2021-03-04."""
BASE_S = DAY_S - 1_000_000
"""When all that both devices know was last changed: 2021-02-20."""


def nothing(_: Path) -> None:
    """No edit."""


def put(name: str, data: bytes) -> Edit:
    """Write a file in place; missing directories are made."""

    def edit(at: Path) -> None:
        path = at / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (DAY_S, DAY_S))

    return edit


def save(name: str, data: bytes) -> Edit:
    """Write a file as editors do: a new one, renamed over the old one."""

    def edit(at: Path) -> None:
        path = at / name
        fresh = path.with_name(".saving")
        fresh.write_bytes(data)
        os.utime(fresh, (DAY_S, DAY_S))
        fresh.rename(path)

    return edit


def directory(name: str) -> Edit:
    """Make a directory."""
    return lambda at: (at / name).mkdir(parents=True)


def move(old: str, new: str) -> Edit:
    """Rename; missing directories are made."""

    def edit(at: Path) -> None:
        (at / new).parent.mkdir(parents=True, exist_ok=True)
        (at / old).rename(at / new)

    return edit


def remove(name: str) -> Edit:
    """Delete a file, or a directory with all in it."""

    def edit(at: Path) -> None:
        path = at / name
        if path.is_dir() and not path.is_symlink():
            for below in sorted(path.rglob("*"), reverse=True):
                below.rmdir() if below.is_dir() and not below.is_symlink() else below.unlink()
            path.rmdir()
        else:
            path.unlink()

    return edit


def link(name: str, target: str) -> Edit:
    """Make a symbolic link, in the place of one."""

    def edit(at: Path) -> None:
        (at / name).unlink(missing_ok=True)
        (at / name).symlink_to(target)

    return edit


def mode(name: str, bits: int) -> Edit:
    """Change permissions."""
    return lambda at: (at / name).chmod(bits)


def touch(name: str, time_s: int) -> Edit:
    """Change the modification time."""
    return lambda at: os.utime(at / name, (time_s, time_s))


def several(*edits: Edit) -> Edit:
    """One after the other."""

    def edit(at: Path) -> None:
        for one in edits:
            one(at)

    return edit
