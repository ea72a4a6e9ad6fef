"""What holds for every test."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.common.processes import work_directory


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture(autouse=True)
def no_unexpected_errors() -> Iterator[list[logging.LogRecord]]:
    """Fails a test during which an ERROR was logged. A test that expects some takes them out of this list."""
    handler = _Errors()
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield handler.records
    finally:
        root.removeHandler(handler)
    if handler.records:
        said = "\n".join(f"{each.name}: {each.getMessage()} {each.exc_info or ''}" for each in handler.records)
        pytest.fail(f"unexpected ERROR in the log:\n{said}")


@pytest.fixture
def workplace() -> Iterator[Path]:
    """A directory that the programs under test may use, which run as another user where the tests run as root."""
    with work_directory() as path:
        yield path
