"""How a show says what it found: figures in a column, and the failure that ends it."""

import os
from typing import Final

AGAIN: Final = "SHOW_RUNS_ONCE_MORE"
"""Set in the environment of a show that runs itself once more, somewhere else: that says what it finds, and no more."""


class NotShown(Exception):
    """What was promised did not hold; the text says what was found instead."""


def demand(holds: bool, otherwise: str) -> None:
    """Raises `NotShown` with `otherwise` unless it holds."""
    if not holds:
        raise NotShown(otherwise)


def is_run_again() -> bool:
    """Whether this is the inner one of two."""
    return bool(os.environ.get(AGAIN))


def tell(what: str, figure: object = "") -> None:
    """One line: what was measured or done, and the figure."""
    print(f"  {what:<58} {figure}".rstrip(), flush=True)


def mib(size_bytes: float) -> str:
    """A size for people."""
    return f"{size_bytes / 2**20:,.1f} MiB"
