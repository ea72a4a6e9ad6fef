"""The table of what is shown by which tests: rows of the merge table, codes of problems, faults; and what is left.

Looks for the tests, so that none is named that is not there. It runs none of them: `make test` does.
"""

from collections.abc import Sequence

from tests.acceptance.telling import demand, tell
from tests.table import Row, codes, faults, merge
from tests.table.collected import missing

PARTS = (
    ("The merge table, with real devices: offline, online and racing, whoever is first", merge.ROWS),
    ("Codes of problems", codes.ROWS),
    ("Faults", faults.ROWS),
)


def run(_arguments: Sequence[str]) -> None:
    for title, rows in PARTS:
        print(f"\n{title}")
        for row in rows:
            _print(row)
    print()
    for title, rows in PARTS:
        real = sum(row.is_real for row in rows)
        parts = sum(bool(row.tests) and not row.is_real for row in rows)
        tell(f"{title.partition(',')[0]}: rows", len(rows))
        tell("  with real programs, with parts of them, neither", f"{real}, {parts}, {len(rows) - real - parts}")
    absent = missing()
    demand(not absent, "\n".join(absent))


def _print(row: Row) -> None:
    kind = "real " if row.is_real else "parts" if row.tests else "-    "
    print(f"  {kind} {row.name}: {row.what}")
    for show in row.shows:
        print(f"          make show NAME={show}")
    for test in row.tests:
        print(f"          {test}")
    if row.left:
        print(f"          left: {row.left}")
