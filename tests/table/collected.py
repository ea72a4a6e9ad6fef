"""Whether the tests are there that are named somewhere, and which rows of the table name others or none."""

from importlib import import_module
from itertools import chain

import pytest

from tests.acceptance.shows import SHOWS
from tests.table import Row, codes, faults, merge

ALL: tuple[Row, ...] = (*merge.ROWS, *codes.ROWS, *faults.ROWS)


def is_there(test: str) -> bool:
    """Whether pytest would find this test, called by its file and name, and maybe by the values that it is given."""
    path, _, called = test.partition("::")
    name, bracket, values = called.partition("[")
    file = path.rpartition("/")[2]
    if not (file.startswith("test_") and file.endswith(".py") and name.startswith("test_")):
        return False
    try:
        module = import_module(path.removesuffix(".py").replace("/", "."))
    except ModuleNotFoundError:
        return False
    function = getattr(module, name, None)
    return callable(function) and (not bracket or values.removesuffix("]") in _given(function))


def _given(function: object) -> set[str]:
    """What a test is given, one at a time, as far as it is texts."""
    marks: list[pytest.Mark] = getattr(function, "pytestmark", [])
    values = chain.from_iterable(mark.args[1] for mark in marks if mark.name == "parametrize")
    return {value for value in values if isinstance(value, str)}


def missing() -> list[str]:
    """What the table names and is not there, and rows that nothing stands for; a line each."""
    shows = {show.name for show in SHOWS}
    wrong: list[str] = []
    for row in ALL:
        wrong += [f"{row.name}: there is no test {test}" for test in row.tests if not is_there(test)]
        wrong += [f"{row.name}: there is no show {show}" for show in row.shows if show not in shows]
        if not (row.tests or row.shows or row.left):
            wrong.append(f"{row.name}: nothing stands for it, and nobody says why")
    return wrong
