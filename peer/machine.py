"""This machine's time, chance and threads behind their ports.

Owns the only calls to the system's clock and random source. Made in `peer.app` alone.
"""

import contextlib
import ctypes
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import trio

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def boot_id() -> str:
    """What the kernel calls this run of itself, see random(4); empty where it does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


class SystemClock:
    """The `Clock` port."""

    def wall_ns(self) -> int:
        """See the port."""
        return time.time_ns()

    def monotonic_s(self) -> float:
        """See the port; may be asked from any thread."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """See the port."""
        await trio.sleep(seconds)


class SystemEntropy:
    """The `Entropy` port."""

    def __init__(self) -> None:
        self._random = secrets.SystemRandom()

    def token(self, size: int) -> bytes:
        """See the port."""
        return secrets.token_bytes(size)

    def jitter(self, low: float, high: float) -> float:
        """See the port."""
        return self._random.uniform(low, high)


class ThreadOffload:
    """The `Offload` port: at most `threads` calls at a time, one object for each kind of resource."""

    def __init__(self, threads: int) -> None:
        self._limiter = trio.CapacityLimiter(threads)

    async def run(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        """See the port."""
        return await trio.to_thread.run_sync(fn, *args, limiter=self._limiter)


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""From glibc's malloc.h."""


def bound_memory() -> None:
    """Have the C library give freed buffers back, and set none aside for each thread. Of effect with glibc only.

    What blocks and pieces of files take is used again before it is given back: each of their pages, when it is new,
    costs the system as much as encrypting it does.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.mallopt(_M_MMAP_THRESHOLD, 640 * 1024)
        libc.mallopt(_M_TRIM_THRESHOLD, 1024 * 1024)
