"""L2, no phantoms: nothing has a name that no person gave, and no conflicted copy has."""

import re
from collections.abc import Iterable
from typing import Final

_NAMES: Final = re.compile(r"[a-z]+-\d+(\.[a-z]+)?( \([a-z]+'s conflicted copy \d{4}-\d\d-\d\d\)(-\d+)?)?(\.[a-z]+)?")
"""What is called otherwise was not made by a person, nor is it a conflicted copy (of what is none) of what was."""


def strange_names(paths: Iterable[str]) -> list[str]:
    """Those in which something is called as no person and no conflicted copy is."""
    return [path for path in paths if not all(_NAMES.fullmatch(name) for name in path.split("/"))]


def phantoms(paths: Iterable[str]) -> list[str]:
    """What has a strange name below the top directories, which are people's."""
    below = {path.partition("/")[2] for path in paths} - {""}
    return [f"L2 phantom: nobody called anything {path}" for path in strange_names(sorted(below))]
