"""Which tests stand for what: the rows of the merge table, the codes of problems, the faults that programs meet.

Owns that list and nothing that runs. `make show NAME=table` prints it; tests/unit/test_table.py compares it with the
tests that there are.
"""

from dataclasses import dataclass
from typing import Final

REAL: Final = ("tests/e2e/", "tests/sessions/")
"""Tests below these run the real programs, or real ends over real sockets; all others run parts of them."""


@dataclass(frozen=True)
class Row:
    """One thing that must hold, and what stands for it. `left`: what is not shown yet, and who or what brings it."""

    name: str
    what: str
    tests: tuple[str, ...] = ()
    """Node ids without parameters."""
    shows: tuple[str, ...] = ()
    left: str = ""

    @property
    def is_real(self) -> bool:
        """Whether real programs go through it."""
        return bool(self.shows) or any(test.startswith(REAL) for test in self.tests)


def of(file: str, *names: str) -> tuple[str, ...]:
    """Node ids of tests in one file, which is named from `tests/` on, without its ending."""
    return tuple(f"tests/{file}.py::test_{name}" for name in names)
