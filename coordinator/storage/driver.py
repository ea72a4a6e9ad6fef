"""Statements compiled once and run on the bare driver. Owns that shortcut; knows no table.

A commit takes some twenty small statements, and the way through SQLAlchemy's execution costs each of them three times
what SQLite does. The statements are written with SQLAlchemy all the same; only running them is done here. Values go in
and come out as the driver has them: integers, text and bytes. The driver's own exceptions come through.
"""

from collections import namedtuple
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeAlias

from sqlalchemy import BindParameter, ColumnElement, Connection, Table, bindparam
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.expression import ClauseElement

SIZES: Final = (1, 8, 64, 500)
"""Key lists are filled up to one of these lengths (with a repeat), so that few statements are ever compiled."""

Parameters: TypeAlias = Mapping[str, object]


class Statement:
    """One statement. Rows come as named tuples of its columns; an insert takes all columns of its table."""

    def __init__(self, clause: ClauseElement) -> None:
        self._clause = clause
        self._sql = ""
        self._names: tuple[str, ...] = ()
        self._defaults: Parameters = {}
        columns = [] if isinstance(clause, Insert) else [each.key for each in getattr(clause, "exported_columns", ())]
        self.make_row: Callable[[Iterable[Any]], Any] = tuple
        if columns:
            named: Any = namedtuple("Row", columns, rename=True)  # type: ignore[misc]  # columns known when it runs
            self.make_row = named._make

    def prepared(self, driver: "Driver") -> str:
        """Its text for the driver's dialect."""
        if not self._sql:
            table = getattr(self._clause, "table", None)
            keys = list(table.columns.keys()) if isinstance(self._clause, Insert) and isinstance(table, Table) else None
            compiled = self._clause.compile(dialect=driver.dialect, column_keys=keys)
            self._names = tuple(compiled.positiontup or ())  # type: ignore[attr-defined]
            self._defaults = {name: value for name, value in (compiled.params or {}).items() if value is not None}
            self._sql = str(compiled)
        return self._sql

    def arguments(self, parameters: Parameters) -> Sequence[object]:
        """The parameters in the order of the text."""
        defaults = self._defaults
        return [parameters[name] if name in parameters else defaults[name] for name in self._names]


class Driver:
    """The driver beneath one connection, within whatever transaction that has open."""

    def __init__(self, connection: Connection) -> None:
        self.dialect = connection.dialect
        assert self.dialect.positional, "parameters are passed by position"
        self._driver: Any = connection.connection.dbapi_connection

    def rows(self, statement: Statement, parameters: Parameters) -> list[Any]:
        """All rows."""
        cursor = self._driver.execute(statement.prepared(self), statement.arguments(parameters))
        return [statement.make_row(row) for row in cursor.fetchall()]

    def row(self, statement: Statement, parameters: Parameters) -> Any | None:
        """The first row, if any."""
        found = self._driver.execute(statement.prepared(self), statement.arguments(parameters)).fetchone()
        return None if found is None else statement.make_row(found)

    def value(self, statement: Statement, parameters: Parameters) -> Any | None:
        """The first column of the first row, if any."""
        found = self._driver.execute(statement.prepared(self), statement.arguments(parameters)).fetchone()
        return None if found is None else found[0]

    def run(self, statement: Statement, parameters: Parameters) -> None:
        """For what it does."""
        self._driver.execute(statement.prepared(self), statement.arguments(parameters))

    def run_many(self, statement: Statement, rows: Iterable[tuple[object, ...]]) -> None:
        """An insert of many rows, each a tuple of all the table's columns in order."""
        self._driver.executemany(statement.prepared(self), rows)


class Lookup:
    """A statement with an `IN` list, one for each list length. `make(condition)` gets the condition on `column`."""

    def __init__(self, column: ColumnElement[Any], make: Callable[[ColumnElement[bool]], ClauseElement]) -> None:
        self._statements: dict[int, Statement] = {}
        self._names = [f"k{at}" for at in range(SIZES[-1])]
        for size in SIZES:
            keys: list[BindParameter[Any]] = [bindparam(name, type_=column.type) for name in self._names[:size]]
            self._statements[size] = Statement(make(column.in_(keys)))

    def rows(self, driver: Driver, keys: Collection[bytes], **others: object) -> Iterator[Any]:
        """The rows found for all keys, in no order. `others` are the statement's other parameters."""
        remaining = iter(keys)
        while piece := list(islice(remaining, SIZES[-1])):
            size = next(size for size in SIZES if size >= len(piece))
            piece += piece[-1:] * (size - len(piece))
            parameters = dict(zip(self._names, piece, strict=False))
            yield from driver.rows(self._statements[size], parameters | others)
