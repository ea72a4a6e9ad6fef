"""A failing history is made small, and kept in a file."""

from pathlib import Path

import pytest

from simulations.histories import run_history
from simulations.ledger import Ledger
from simulations.shrinking import read_case, shrink, write_case


def test_a_history_without_an_event_has_the_others_under_their_names() -> None:
    whole = run_history(31)
    assert not whole.failures
    less = run_history(31, dropped=frozenset(whole.events[:3]))
    assert not set(less.events) & set(whole.events[:3])
    assert len(less.events) > 5


def test_a_failing_history_shrinks_to_what_it_takes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Ledger, "gone_on", lambda *_: None)  # a checker that believes that nothing is ever deleted
    sizes: list[int] = []
    case = shrink("224", lambda left, _: sizes.append(left), most_runs=16)
    assert case is not None
    assert sizes[-1] <= 10
    assert sizes == sorted(sizes, reverse=True)
    write_case(tmp_path / "224.json", case)
    again = read_case(tmp_path / "224.json")
    assert again == case
    assert again.run().failures[0] == case.failure


def test_a_history_that_holds_is_not_shrunk() -> None:
    assert shrink("31", lambda *_: None) is None
