"""Calls of programs under test that fail on demand. Owns the rules' file; `faults.c` carries them out.

What is intercepted is what CPython and SQLite call in the C library. A call class is one of open (to read), openwrite,
create, list (open a directory, or begin to list it), readdir, stat, read, write, truncate, allocate, attributes, sync,
rename (either end), unlink (rmdir too), mkdir, symlink, or `*`. A path that was renamed after it was opened counts
under its present name. Not intercepted: memory maps, `fstat`, `fopen`, io_uring.
"""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.common.processes import give
from tests.faults.library import built


@dataclass(frozen=True)
class Rule:
    """Calls of a class on paths that match `pattern` (`*` stands for slashes too) fail with `error`.

    `skip` calls pass first; then `count` fail, 0 meaning all.
    """

    call: str
    error: int
    pattern: str
    skip: int = 0
    count: int = 0


def slow(call: str, delay_ms: int, pattern: str) -> Rule:
    """Calls that succeed after a while."""
    return Rule(call, 1000 + delay_ms, pattern)


class Failing:
    """The rules for the programs that are started with `env`; they may change at any time."""

    def __init__(self, place: Path) -> None:
        self._path = place / "rules"
        self._hits = place / "rules.hits"
        self._path.write_bytes(b"")
        give(self._path)
        self._hits.write_bytes(b"")
        give(self._hits)
        self.env = {"LD_PRELOAD": str(built()), "FAULTS_RULES": str(self._path)}

    def set(self, rules: Sequence[Rule]) -> None:
        """From the next call on these hold, and only these."""
        lines = [f"{rule.call} {rule.error} {rule.skip} {rule.count} {rule.pattern}\n" for rule in rules]
        assert all("\n" not in rule.pattern and rule.error < 1000 + 3_600_000 for rule in rules)
        new = self._path.with_name("rules.new")
        new.write_text("".join(lines))
        give(new)
        os.replace(new, self._path)

    def fail(self, call: str, error: int, pattern: str | Path, *, skip: int = 0, count: int = 0) -> None:
        """One rule, instead of all before."""
        assert error in errno.errorcode
        self.set([Rule(call, error, str(pattern), skip, count)])

    def clear(self) -> None:
        """Everything works again."""
        self.set([])

    def hits(self) -> list[str]:
        """What was failed or delayed so far: `CALL PATH`."""
        return self._hits.read_text().splitlines()
