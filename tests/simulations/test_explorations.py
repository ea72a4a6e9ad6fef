"""The account of explorations: what is counted, what is refused."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from simulations.explorations import BadLedger, Explorations, Line, is_twice
from simulations.explore import Account
from simulations.scratch import open_scratch, sweep_scratch


def line(first: int, last: int, commit: str = "abc", failed: tuple[int, ...] = ()) -> Line:
    seeds = range(first, last + 1)
    return Line(seeds, commit, len(seeds), len(seeds), failed, (), virtual_s=7_200.0, wall_s=60.0)


def test_lines_add_up(tmp_path: Path) -> None:
    ledger = Explorations(tmp_path / "explored.jsonl")
    for one in (line(0, 99), line(100, 299), line(0, 99, "def", failed=(7,))):
        ledger.add(one)
    found = ledger.totals()
    assert (found.explorations, found.histories, found.twice, found.failed) == (3, 400, 400, 1)
    assert found.open == ["7@def"]
    assert found.by_commit == {"abc": 300, "def": 100}
    assert found.ratio == 120
    assert found.per_minute == pytest.approx(800 / 3)


def test_a_seed_is_counted_once_at_a_commit(tmp_path: Path) -> None:
    ledger = Explorations(tmp_path / "explored.jsonl")
    ledger.add(line(0, 99))
    with pytest.raises(BadLedger, match="0-99 were run at abc already"):
        ledger.check(range(99, 100), "abc")
    with pytest.raises(BadLedger, match="take others"):
        ledger.add(line(50, 200))
    ledger.check(range(100, 200), "abc")
    ledger.check(range(100), "def")


def test_a_file_in_which_seeds_were_written_twice_by_hand_is_not_added_up(tmp_path: Path) -> None:
    path = tmp_path / "explored.jsonl"
    path.write_text((json.dumps(line(0, 9).packed()) + "\n") * 2)
    with pytest.raises(BadLedger, match="twice"):
        Explorations(path).totals()


def test_histories_of_a_changed_checkout_do_not_count(tmp_path: Path) -> None:
    ledger = Explorations(tmp_path / "explored.jsonl")
    for _ in range(2):
        ledger.add(line(0, 99, "abc+"))
    assert ledger.totals().histories == 0
    assert ledger.totals().not_counted == 200


def test_a_failure_is_open_until_it_is_closed(tmp_path: Path) -> None:
    ledger = Explorations(tmp_path / "explored.jsonl")
    ledger.add(line(0, 99, failed=(3, 4)))
    ledger.close("3@abc", "tests/…::test_that_finds_it")
    assert ledger.totals().open == ["4@abc"]
    with pytest.raises(BadLedger, match="no failure 3@abc is open"):
        ledger.close("3@abc", "again")


def test_two_runs_that_were_not_the_same_are_open_until_the_failure_is_closed(tmp_path: Path) -> None:
    ledger = Explorations(tmp_path / "explored.jsonl")
    ledger.add(replace(line(0, 99, failed=(3,)), unequal=(3,)))
    assert ledger.totals().unequal == 1
    ledger.close("3@abc", "tests/…::test_that_finds_it")
    assert ledger.totals().unequal == 0


def test_what_is_no_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "explored.jsonl"
    path.write_text(json.dumps(line(0, 9).packed()) + "\n{}\n")
    with pytest.raises(BadLedger, match="line 2"):
        Explorations(path).lines()


def test_the_first_thousand_and_every_twentieth_afterwards_are_run_twice() -> None:
    assert [number for number in range(960, 1_050) if is_twice(number)] == [*range(960, 1_000), 1_000, 1_020, 1_040]


def test_what_was_run_twice_too_seldom_is_no_new_line(tmp_path: Path) -> None:
    ledger = Explorations(tmp_path / "explored.jsonl")
    for histories, twice in ((10, 0), (10, 9), (2_000, 1_049)):
        with pytest.raises(BadLedger, match=f"{twice} of {histories} histories were run twice"):
            ledger.add(replace(line(0, histories - 1), twice=twice))
    assert not ledger.lines()
    ledger.add(replace(line(0, 1_999), twice=1_050))


def test_an_old_line_of_histories_that_were_run_once_is_added_up_as_such(tmp_path: Path) -> None:
    path = tmp_path / "explored.jsonl"
    path.write_text(json.dumps(replace(line(0, 9), twice=0).packed()) + "\n")
    found = Explorations(path).totals()
    assert (found.histories, found.twice) == (10, 0)


def test_what_was_run_again_later_stands_for_the_exploration_that_it_is_of(tmp_path: Path) -> None:
    path = tmp_path / "explored.jsonl"
    once = [replace(line(first, first + 9), twice=0).packed() for first in (0, 100, 200)]
    later = [
        {"again": [102, 104], "commit": "abc", "unequal": [103]},
        {"again": [0, 4], "commit": "another", "unequal": []},
        {"again": [208, 211], "commit": "abc", "unequal": []},
    ]
    path.write_text("".join(json.dumps(packed) + "\n" for packed in once + later))
    found = Explorations(path).totals()
    assert (found.explorations, found.compared, found.again, found.unequal) == (3, 1, 3, 1)


def test_an_exploration_that_was_cut_short_accounts_for_what_it_did() -> None:
    account = Account(range(100, 1_100), histories=200, twice=200, failed=[120])
    assert account.line("abc").seeds == range(100, 300)


def test_what_a_killed_process_left_is_swept_and_nothing_else() -> None:
    code = "import os, simulations.scratch as s; o = s.open_scratch(); print(o.__enter__(), flush=True); os._exit(9)"
    left = Path(
        subprocess.run(
            [sys.executable, "-P", "-c", code], stdout=subprocess.PIPE, text=True, check=False
        ).stdout.strip()
    )
    assert left.is_dir()
    with open_scratch() as ours:
        assert sweep_scratch() >= 1
        assert not left.exists()
        assert ours.is_dir()
        assert str(os.getpid()) in ours.name
    assert not ours.exists()
