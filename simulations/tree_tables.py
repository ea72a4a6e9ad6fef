"""Three trees as a table, for people and as data. Owns its form: a line for each entry, a column for each tree."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from protocol.model import Kind
from simulations.report.scale import bytes_shown
from simulations.steps import Changed, Table, Why
from simulations.trees import TREES, Cell, Row

LEGEND: Final = (
    "In the trees: #7 is content 7; * changed in this step; = as remote has it;",
    "- is not there; ~ counts here and is not yet in the coordinator's journal.",
)
_ENTRY: Final = 6
"""So many hexadecimal digits of an entry's id are shown."""
_INDENT: Final = 2
_BEFORE_PATH: Final = _INDENT + _ENTRY + 1
_GAP: Final = 2
_PATH: Final = 34
_CELL: Final = 15
"""Columns are at least so wide, where there is room, so that tables below each other look alike."""
_LEAST: Final = 12
_LEAST_PATH: Final = 26
_KINDS: Final = {Kind.DIRECTORY: "directory", Kind.MOUNT: "mount"}
_SAID: Final = {Why.BEGINNING: "by then", Why.FAILURE: "at a failure", Why.END: "in the end"}


@dataclass(frozen=True, slots=True)
class CellDocument:
    """One entry in one tree. Times and flags are of files; `digest` is hexadecimal; `content` is what a
    person wrote, as `#N`."""

    path: str
    kind: str
    content: str | None
    digest: str | None
    size: int
    mtime_ns: int
    executable: bool
    deleted: bool
    provisional: bool
    bad: bool
    parked: bool
    absent: bool


@dataclass(frozen=True, slots=True)
class RowDocument:
    """One entry; `changed` names trees, `same` says that all three agree."""

    workspace: str
    entry: str
    path: str
    changed: list[str]
    same: bool
    remote: CellDocument | None
    local: CellDocument | None
    synced: CellDocument | None


@dataclass(frozen=True, slots=True)
class TableDocument:
    """A device's trees after so many lines (`after`) of what `happened`; `why` is that of `steps.Why`."""

    at_s: float
    after: int
    device: str
    why: str
    journal: list[int]
    rows: list[RowDocument]
    same: int
    differing: int


def document(table: Table, after: int, labels: Mapping[bytes, str]) -> dict[str, object]:
    """A table as data, in the form of `TableDocument`."""
    rows = [_row_document(one, labels) for one in table.rows]
    return asdict(
        TableDocument(
            round(table.at_s, 6),
            after,
            table.device,
            table.why.value,
            list(table.journal),
            rows,
            table.same,
            table.differing,
        )
    )


def _row_document(one: Changed, labels: Mapping[bytes, str]) -> RowDocument:
    row = one.row
    cells = [None if cell is None else _cell_document(cell, labels) for cell in row.cells]
    changed: list[str] = [tree for tree in TREES if tree in one.trees]
    return RowDocument(row.workspace, row.entry.hex(), one.path, changed, row.is_same, *cells)


def _cell_document(cell: Cell, labels: Mapping[bytes, str]) -> CellDocument:
    digest = cell.digest
    return CellDocument(
        path=cell.path,
        kind=cell.kind.name.lower(),
        content=None if digest is None else labels.get(digest),
        digest=None if digest is None else digest.hex(),
        size=cell.size,
        mtime_ns=cell.mtime_ns,
        executable=cell.is_executable,
        deleted=cell.is_deleted,
        provisional=cell.is_provisional,
        bad=cell.is_bad,
        parked=cell.is_parked,
        absent=cell.is_absent,
    )


class Lines:
    """Tables as lines of at most `width` characters, None for no limit; with `counts` of what they do not show."""

    def __init__(self, labels: Mapping[bytes, str], width: int | None, *, counts: bool = True) -> None:
        self._labels = labels
        self._counts = counts
        self._width = width

    def found(self, table: Table, find: Sequence[str]) -> Table | None:
        """Only the rows in which one of these texts occurs, where there are any."""
        rows = [one for one in table.rows if any(text in " ".join(self._texts(one)) for text in find)]
        return replace(table, rows=tuple(rows)) if rows else None

    def of(self, table: Table) -> list[str]:
        """A heading, a line for each entry, and how many there are besides."""
        rows = [self._texts(one) for one in table.rows]
        heading = f"{table.at_s:10.3f}  {_heading(table)}"
        path_width, *widths = self._widths(len(heading) - _BEFORE_PATH, [row[1:] for row in rows])
        said = _rest(table) if self._counts else ""
        if not rows:
            return [f"{heading}: {said}"]
        columns = "".join(f"{' ' * _GAP}  {tree:<{width - 2}}" for tree, width in zip(TREES, widths, strict=True))
        lines = [(f"{_cut(heading, _BEFORE_PATH + path_width):<{_BEFORE_PATH + path_width}}{columns}").rstrip()]
        for entry, path, *cells in rows:
            cut = (f"{' ' * _GAP}{_cut(cell, width):<{width}}" for cell, width in zip(cells, widths, strict=True))
            lines.append(f"{' ' * _INDENT}{entry} {_cut(path, path_width):<{path_width}}{''.join(cut)}".rstrip())
        return [*lines, f"{' ' * _BEFORE_PATH}{said}"] if said else lines

    def _widths(self, heading: int, rows: Sequence[Sequence[str]]) -> list[int]:
        """Of the path and of each tree: the usual ones, but what needs more has it from what needs less."""
        needed = [max((len(row[column]) for row in rows), default=0) for column in range(len(TREES) + 1)]
        needed[0] = max(needed[0], heading)
        if self._width is None:
            return [max(needed[0], _PATH), *(max(one, _CELL) for one in needed[1:])]
        room = self._width - _BEFORE_PATH - _GAP * len(TREES)
        cell = max(_LEAST, min(_CELL, (room - _LEAST_PATH) // len(TREES)))
        widths = [max(_LEAST, room - cell * len(TREES)), *(cell for _ in TREES)]
        while True:
            short = [need - width for need, width in zip(needed, widths, strict=True)]
            spare = [width - max(need, _LEAST) for need, width in zip(needed, widths, strict=True)]
            if max(short) <= 0 or max(spare) <= 0:
                return widths
            widths[short.index(max(short))] += 1
            widths[spare.index(max(spare))] -= 1

    def _texts(self, one: Changed) -> list[str]:
        row = one.row
        name = row.named_by
        files = [cell for cell in row.cells if cell is not None and not cell.is_deleted and cell.kind is Kind.FILE]
        is_timed = len({cell.digest for cell in files}) == 1 < len({cell.mtime_ns for cell in files})
        texts = [row.entry.hex()[:_ENTRY], one.path]
        for tree, cell in zip(TREES, row.cells, strict=True):
            mark = "* " if tree in one.trees else "  "
            is_as_remote = tree != "remote" and _is_equal(row.remote, cell)
            text = "=" if is_as_remote else _text(cell, name, self._labels, is_timed=is_timed)
            texts.append(mark + text + _marks(cell))
        return texts


def _is_equal(remote: Cell | None, cell: Cell | None) -> bool:
    if remote is None or cell is None or remote.is_deleted or cell.is_deleted:
        return False
    return remote.value == cell.value


def _text(cell: Cell | None, name: Cell | None, labels: Mapping[bytes, str], *, is_timed: bool) -> str:
    if cell is None:
        return "-"
    provisional = "~" * cell.is_provisional
    if cell.is_deleted:
        return f"{provisional}deleted"
    moved = f"at {cell.path}" if name is not None and (cell.parent, cell.name) != (name.parent, name.name) else ""
    if moved and name is not None and replace(name, parent=cell.parent, name=cell.name).value == cell.value:
        return provisional + moved
    parts = [_KINDS.get(cell.kind, "")]
    if cell.digest is not None:
        label = labels.get(cell.digest, cell.digest.hex()[:6])
        parts = [f"link {label}" if cell.kind is Kind.SYMLINK else f"{label} {bytes_shown(cell.size)}"]
    if cell.is_executable:
        parts.append("x")
    if is_timed:
        time = datetime.datetime.fromtimestamp(cell.mtime_ns / 1e9, datetime.UTC)
        parts.append(time.strftime("%H:%M:%S.%f")[:-3])
    return provisional + " ".join([*parts, moved] if moved else parts)


def _marks(cell: Cell | None) -> str:
    if cell is None:
        return ""
    return " bad" * cell.is_bad + " parked" * cell.is_parked + " absent" * cell.is_absent


def _heading(table: Table) -> str:
    if table.why is Why.STEP:
        return f"{table.device}'s trees, {_journal(table)}"
    return f"{table.device}'s trees {_SAID[table.why]}"


def _journal(table: Table) -> str:
    return f"journal {'/'.join(str(seq) for seq in table.journal)}" if table.journal else "no journal"


def _rest(table: Table) -> str:
    """What is not among the rows."""
    if table.why is not Why.STEP:
        return f"{table.same} the same in all three, {_journal(table)}" if table.same else _journal(table)
    if not table.same + table.differing:
        return ""
    differing = f", {table.differing} of them not the same in all three" if table.differing else ""
    return f"{table.same + table.differing} more as before{differing}"


def _cut(text: str, width: int) -> str:
    """The beginning and the end of what is too long."""
    if len(text) <= width:
        return text
    head = width // 3
    return f"{text[:head]}…{text[len(text) - (width - head - 1) :]}"


def told(at_s: float, device: str, rows: Iterable[Row]) -> list[str]:
    """A device's trees without their history: whatever they do not agree about."""
    found = [Changed(row, row.path, frozenset()) for row in rows if not row.is_same]
    table = Table(at_s, device, Why.END, (), tuple(sorted(found, key=lambda one: (one.path, one.row.entry))), 0, 0)
    return Lines({}, None).of(table)
