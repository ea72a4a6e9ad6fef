"""Errors that a simulated disk gives on purpose.

Owns which call fails, and how. Never touches the tree.
"""

import errno
from collections.abc import Collection
from dataclasses import dataclass

from simulations.disk.inodes import Draw, error

CHANGING = frozenset(
    {
        "create", "write_at", "copy_range", "allocate", "truncate", "set_mode", "set_mtime", "sync", "sync_all",
        "make_dir", "make_link", "rename_new", "rename_over", "exchange", "unlink", "remove_dir", "link",
    }
)  # fmt: skip
"""Calls that change the disk, or what of it lasts."""

_FULL = frozenset({"create", "write_at", "copy_range", "allocate", "make_dir", "make_link", "rename_new", "exchange"})
_DENIED = CHANGING - {"sync", "sync_all"} | {"open_root", "open_dir", "open_read", "open_write", "stat", "read_link"}


def can_fail_with(call: str, code: int) -> bool:
    """Whether a real disk gives this error for that call."""
    match code:
        case errno.ENOSPC | errno.EDQUOT:
            return call in _FULL
        case errno.EACCES | errno.EPERM:
            return call in _DENIED - {"write_at", "copy_range", "allocate", "truncate"}
        case errno.EROFS:
            return call in CHANGING - {"sync", "sync_all"}
        case _:
            return call not in ("close", "free_bytes", "is_being_written", "stat_handle")


@dataclass
class Fault:
    """`code` for `times` calls, from the `skip`-th on of those that are meant; -1 times is for ever."""

    code: int
    skip: int = 0
    times: int = 1
    calls: Collection[str] | None = None
    """None is for all calls that can fail in this way."""
    names: Collection[str] | None = None
    """Only calls that name one of these."""

    def hits(self, call: str, names: Collection[str]) -> bool:
        """Count one call, and say whether it fails."""
        if self.times == 0:
            return False
        meant = can_fail_with(call, self.code) if self.calls is None else call in self.calls
        if not meant or (self.names is not None and not set(self.names) & set(names)):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True


class Faults:
    """All that is to go wrong on one disk."""

    def __init__(self, draw: Draw) -> None:
        self.planned: list[Fault] = []
        self.short_reads = 0.0
        """How likely a read gives fewer bytes than it could."""
        self.short_writes = 0.0
        self.given = 0
        """Errors given so far."""
        self._draw = draw

    def check(self, call: str, arguments: tuple[object, ...]) -> None:
        """Raise the error that this call is to have."""
        if not self.planned:
            return
        names = [each for each in arguments if isinstance(each, str)]
        hits = [fault for fault in self.planned if fault.hits(call, names)]
        if hits:
            self.given += 1
            self.planned = [fault for fault in self.planned if fault.times]
            raise error(hits[0].code, names[0] if names else "")

    def shortened(self, length: int, chance: float) -> int:
        """How many of `length` bytes a call handles."""
        if length > 1 and chance and self._draw.random() < chance:
            return 1 + self._draw.randrange(length - 1)
        return length
