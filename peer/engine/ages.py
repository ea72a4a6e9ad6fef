"""Whether home and folder belong together. Owns the number that both have, and what a difference says.

It grows at every start and now and then, first in the folder, then in the home, which notes before that what it is
about to be. So a crash in between is told from a backup of one of the two that was put back.
"""

import enum
from contextlib import suppress

from peer.disk.private import read_age, write_age
from peer.disk.root import Root
from peer.store import workspaces
from peer.store.database import Database


class Verdict(enum.Enum):
    """Which of the two is an older copy."""

    TOGETHER = enum.auto()
    OLD_HOME = enum.auto()
    OLD_FOLDER = enum.auto()


class Ages:
    """The numbers of workspace number `w` and of its folder. Belongs in the database's thread."""

    def __init__(self, database: Database, w: int, root: Root) -> None:
        self._database = database
        self._w = w
        self._root = root

    def judge(self) -> Verdict:
        """Compare them. A folder without a number, and a home without, are taken for new ones. Raises OSError."""
        age, next_age = workspaces.ages(self._database, self._w)
        found = read_age(self._root)
        if found is None or age == 0 or age <= found <= next_age:
            return Verdict.TOGETHER
        return Verdict.OLD_HOME if found > next_age else Verdict.OLD_FOLDER

    def grow(self) -> None:
        """Note once more that they belong together; later, where the disk refuses it."""
        _, next_age = workspaces.ages(self._database, self._w)
        with suppress(OSError):
            found = read_age(self._root) or 0
            age = max(found, next_age) + 1
            workspaces.set_ages(self._database, self._w, found, age)
            write_age(self._root, age)
            workspaces.set_ages(self._database, self._w, age, age)
