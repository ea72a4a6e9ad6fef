"""Lookups of many keys in one statement. Owns how key lists are cut; knows no table."""

from collections.abc import Callable, Collection, Iterator
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import BindParameter, ColumnElement, Connection, Executable, bindparam

SIZES: Final = (1, 8, 64, 500)
"""Lists are filled up to one of these lengths (with a repeat), so that few statements are ever compiled."""

K = TypeVar("K", bytes, int)


class Lookup:
    """A statement with an `IN` list, made once for each list length. `make(condition)` takes the list's parameters."""

    def __init__(self, column: ColumnElement[Any], make: Callable[[ColumnElement[bool]], Executable]) -> None:
        self._statements: dict[int, Executable] = {}
        for size in SIZES:
            keys: list[BindParameter[Any]] = [bindparam(f"k{at}", type_=column.type) for at in range(size)]
            self._statements[size] = make(column.in_(keys))

    def run(self, connection: Connection, keys: Collection[bytes], /, **others: object) -> Iterator[Any]:
        """The rows found for all keys, in no order. `others` are the statement's other parameters."""
        remaining = iter(keys)
        while piece := list(islice(remaining, SIZES[-1])):
            size = next(size for size in SIZES if size >= len(piece))
            piece += piece[-1:] * (size - len(piece))
            parameters = {f"k{at}": key for at, key in enumerate(piece)}
            yield from connection.execute(self._statements[size], parameters | others)
