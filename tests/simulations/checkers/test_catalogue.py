"""The table of checkers says what there is."""

from pathlib import Path

from simulations import checkers
from simulations.checkers.catalogue import INVARIANTS

ROOT = Path(__file__).parents[3]
PACKAGE = Path(checkers.__file__).parent


def test_every_invariant_has_a_checker_or_a_place_where_it_is_looked_after() -> None:
    numbers = [f"A{number}" for number in range(1, 21)] + [f"L{number}" for number in range(1, 12)]
    assert [one.id for one in INVARIANTS] == numbers
    for one in INVARIANTS:
        assert one.module is None or (PACKAGE / f"{one.module}.py").is_file(), one.id
        assert one.module or one.elsewhere or one.when, one.id
        for path in one.elsewhere.split():
            assert (ROOT / path).exists(), path


def test_every_checker_is_in_the_table() -> None:
    modules = {path.stem for path in PACKAGE.glob("[al][0-9]*.py")}
    assert modules == {one.module for one in INVARIANTS if one.module is not None}
