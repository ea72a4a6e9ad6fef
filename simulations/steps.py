"""A history step by step: what each commit of a device's database changed in its three trees, and the trees in between.

Owns keeping the changes while a world runs, and playing them back afterwards. It reads what the checkers read, and
nothing of the world changes by it.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from crypto.digest import FixedKeys, file_digest
from crypto.keyring import WorkspaceKeyring
from simulations.trees import TREES, Row, read_trees

END: Final = 1 << 62
"""The place after everything."""


class Why(Enum):
    """Why a table is shown."""

    STEP = "step"
    BEGINNING = "beginning"
    FAILURE = "failure"
    END = "end"


@dataclass(frozen=True, slots=True)
class Changed:
    """A row, what its entry is called, and in which of its trees it is not as it was."""

    row: Row
    path: str
    trees: frozenset[str]


@dataclass(frozen=True, slots=True)
class Table:
    """A device's trees at a moment: after a step what changed in it, else whatever the trees do not agree about."""

    at_s: float
    device: str
    why: Why
    journal: tuple[int, ...]
    """How far it has the journal of each of its workspaces."""
    rows: tuple[Changed, ...]
    same: int
    """Of so many other entries, which are not among `rows`, the trees agree."""
    differing: int
    """Of so many they do not."""


@dataclass(frozen=True, slots=True)
class _Step:
    at_s: float
    place: int
    device: str | None
    """None where a promise was found broken."""
    journal: tuple[int, ...] = ()
    changed: tuple[Changed, ...] = ()


@dataclass
class _Device:
    connection: sqlite3.Connection | None = None
    version: int = -1
    rows: Mapping[tuple[str, bytes], Row] = field(default_factory=dict)
    journal: tuple[int, ...] = ()


class Steps:
    """A `StoreListener` that keeps every change. `place` says how many notes there are at a moment."""

    def __init__(self, place: Callable[[], int]) -> None:
        self._place = place
        self._devices: dict[str, _Device] = {}
        self._steps: list[_Step] = []
        self._keys: dict[bytes, FixedKeys] = {}
        self._contents: Callable[[], Iterable[tuple[str, bytes]]] = tuple

    @property
    def devices(self) -> list[str]:
        """All that had trees."""
        return list(self._devices)

    def follow(self, contents: Callable[[], Iterable[tuple[str, bytes]]]) -> None:
        """See `StoreListener`."""
        self._contents = contents

    def stored(self, at_s: float, name: str, connection: sqlite3.Connection) -> None:
        """See `StoreListener`."""
        device = self._devices.setdefault(name, _Device())
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        if device.connection is connection and device.version == version:
            return
        device.connection, device.version = connection, version
        found = connection.execute("SELECT id, seq, keyring FROM workspaces ORDER BY w").fetchall()
        for workspace, _, keyring in found:
            if workspace not in self._keys:
                self._keys[workspace] = WorkspaceKeyring.unpack(bytes(keyring)).fixed
        device.journal = tuple(seq for _, seq, _ in found)
        rows = read_trees(connection)
        changed = tuple(_changed(device.rows, rows))
        device.rows = rows
        if changed:
            self._steps.append(_Step(at_s, self._place(), name, device.journal, changed))

    def failed(self, at_s: float) -> None:
        """See `StoreListener`."""
        if not self._steps or self._steps[-1].device is not None:
            self._steps.append(_Step(at_s, self._place(), None))

    def labels(self) -> dict[bytes, str]:
        """What contents are called, by their digests."""
        contents = list(self._contents())
        return {file_digest(keys, data): label for keys in self._keys.values() for label, data in contents}

    def play(
        self, devices: Collection[str], from_s: float, until_s: float, *, whole: bool
    ) -> Iterator[tuple[int, Table]]:
        """What to show of these devices in this time, each with how many notes come before it at least.

        Whole trees at the beginning where that is not the world's, at each failure and at the end; `whole`: with what
        the trees agree about.
        """
        playing = {name: _Playing(name) for name in self._devices if name in devices}
        has_begun, place = from_s <= 0, 0
        for step in self._steps:
            if step.at_s > until_s:
                break
            if not has_begun and step.at_s >= from_s:
                has_begun = True
                begun = [one for one in playing.values() if one.has_rows]
                yield from ((place, one.table(from_s, Why.BEGINNING, whole=whole)) for one in begun)
            place, at_s = step.place, step.at_s
            if step.device is None:
                shown = [one.table(at_s, Why.FAILURE, whole=whole) for one in playing.values() if one.has_rows]
            elif step.device in playing:
                shown = [playing[step.device].take(step)]
            else:
                continue
            if has_begun:
                yield from ((place, table) for table in shown)
        yield from ((END, one.table(until_s, Why.END, whole=whole)) for one in playing.values())


class _Playing:
    """A device's trees while its steps are played back."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._journal: tuple[int, ...] = ()
        self._rows: dict[tuple[str, bytes], Row] = {}

    @property
    def has_rows(self) -> bool:
        """Whether there is anything to show."""
        return bool(self._rows)

    def take(self, step: _Step) -> Table:
        """The step, as it is to be shown."""
        self._journal = step.journal
        for one in step.changed:
            self._rows[one.row.workspace, one.row.entry] = one.row
        return self._table(step.at_s, Why.STEP, [one for one in step.changed if one.trees])

    def table(self, at_s: float, why: Why, *, whole: bool) -> Table:
        """Whatever the trees do not agree about, or all that they have."""
        rows = [row for row in self._rows.values() if (not row.is_gone if whole else not row.is_same)]
        return self._table(at_s, why, [Changed(row, row.path, frozenset()) for row in rows])

    def _table(self, at_s: float, why: Why, rows: Collection[Changed]) -> Table:
        shown = {(one.row.workspace, one.row.entry) for one in rows}
        others = [row for key, row in self._rows.items() if key not in shown and not row.is_gone]
        same = sum(row.is_same for row in others)
        ordered = sorted(rows, key=lambda one: (one.row.workspace, one.path, one.row.entry))
        return Table(at_s, self._name, why, self._journal, tuple(ordered), same, len(others) - same)


def _changed(before: Mapping[tuple[str, bytes], Row], after: Mapping[tuple[str, bytes], Row]) -> Iterator[Changed]:
    """What has to be taken over; of what only the path is another one, since a directory above it moved, no tree."""
    for key in before.keys() | after.keys():
        old, new = before.get(key, Row(*key)), after.get(key, Row(*key))
        pairs = zip(TREES, old.cells, new.cells, strict=True)
        trees = frozenset(tree for tree, was, now in pairs if was != now)
        if trees or old.paths != new.paths:
            yield Changed(new, new.path or old.path, trees)
