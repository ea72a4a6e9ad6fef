"""Where a program can be killed or disturbed: before any call to its disk or its database.

Owns the two doors through which a simulated device's engine reaches them. Never changes what a call does.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random  # noqa: TID251 - drawn from the world's seed
from typing import Any, TypeVar, TypeVarTuple, cast

import sqlalchemy as sa

from peer.ports import Filesystem
from peer.store.database import Database, Row
from simulations.machine import InlineOffload, Killed, Life

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_ALWAYS = frozenset({"close"})
"""What also the clean-up of a killed program may do: it changes nothing."""


class Points:
    """Called before each call of one program's life; may let people act, or kill the program."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.passed = 0
        self.kill_at: int | None = None
        """At which call the program is killed."""
        self.told: Callable[[str], bool] | None = None
        """Told of each call by its name; says whether the program is to be killed before it."""
        self.on_kill: Callable[[], None] = lambda: None
        self.disturb: Callable[[], None] | None = None
        """What happens between two calls, perhaps."""
        self.committed: Callable[[], None] = lambda: None
        """Told after each transaction that has become durable; it must change nothing and raise nothing."""

    def pass_one(self, call: str) -> None:
        """Raises `Killed` where the program is, or is to be, dead."""
        self.life.check()
        self.passed += 1
        asked = self.told is not None and self.told(call)
        if asked or (self.kill_at is not None and self.passed >= self.kill_at):
            self.kill_at = None
            self.on_kill()
            raise Killed
        if self.disturb is not None:
            self.disturb()


class _GuardedFilesystem:
    """Passes on every call, after `Points.pass_one`."""

    def __init__(self, inner: Filesystem, points: Points) -> None:
        self._inner = inner
        self._points = points

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name in _ALWAYS:
            return method

        def call(*arguments: Any) -> Any:
            self._points.pass_one(name)
            return method(*arguments)

        self.__dict__[name] = call
        return call


def guarded(inner: Filesystem, points: Points) -> Filesystem:
    """The file system as this life of a program sees it."""
    return cast(Filesystem, _GuardedFilesystem(inner, points))


class GuardedOffload(InlineOffload):
    """Threads of a program that may be killed before and after anything that they are to do."""

    def __init__(self, points: Points, threads: int, draw: Random) -> None:
        super().__init__(points.life, threads, draw)
        self._points = points

    async def run(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        """See the ports."""

        def between(*args: *Ts) -> T:
            self._points.pass_one("begin")
            value = fn(*args)
            self._points.committed()
            self._points.pass_one("committed")
            return value

        return await super().run(between, *args)


class GuardedDatabase(Database):
    """The local database as a life of a program sees it: it may be killed before and after anything becomes durable."""

    def __init__(self, inner: Database, points: Points) -> None:
        super().__init__(inner._connection)
        self._points = points

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """See `Database`."""
        self._points.pass_one("begin")
        with super().transaction():
            yield
            self._points.pass_one("commit")
        self._points.committed()
        self._points.pass_one("committed")

    def one(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        """See `Database`."""
        self._points.life.check()
        return super().one(sql, parameters)

    def all(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """See `Database`."""
        self._points.life.check()
        return super().all(sql, parameters)

    def run(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """See `Database`."""
        self._points.pass_one("run")
        return super().run(sql, parameters)

    def run_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """See `Database`."""
        self._points.pass_one("run")
        super().run_many(sql, rows)

    def insert(self, table: sa.Table, rows: Iterable[Sequence[object]]) -> None:
        """See `Database`."""
        self._points.pass_one("run")
        super().insert(table, rows)
