"""`shoal-sim` as it is typed."""

import json
from pathlib import Path

import pytest

from tests.common.processes import run_program


@pytest.mark.command("shoal-sim list")
def test_list_names_stories_and_what_they_expect() -> None:
    status, out, _ = run_program(["shoal-sim", "list", "--json"])
    assert status == 0
    assert json.loads(out)["full-disk"]["title"] == "a full disk"


@pytest.mark.command("shoal-sim run")
def test_run_tells_the_story_and_what_came_of_it() -> None:
    status, out, _ = run_program(["shoal-sim", "run", "two-people-one-document"])
    assert status == 0
    assert "one's person writes Novel/chapter.txt" in out
    assert "virtual seconds" in out
    status, out, err = run_program(["shoal-sim", "run", "no-such-story"])
    assert status == 1
    assert "shoal-sim list" in err


@pytest.mark.command("shoal-sim run")
def test_run_makes_a_page_and_one_document_with_the_same_figures(workplace: Path) -> None:
    page = workplace / "page.html"
    status, out, err = run_program(
        ["shoal-sim", "run", "two-people-one-document", "--seed", "7", "--json", "--report", str(page)]
    )
    assert status == 0, err
    found = json.loads(out)
    assert (found["seed"], found["ok"], found["conflicts"], found["failures"]) == ("7", True, 1, [])
    assert found["bytes"]["server"] > 0
    text = page.read_text()
    assert found["trace_hash"] in text
    assert "shoal-sim run two-people-one-document --seed 7" in text
    status, _, err = run_program(
        ["shoal-sim", "run", "two-people-one-document", "--report", str(workplace / "no" / "page.html")]
    )
    assert status == 1
    assert "cannot be written" in err


@pytest.mark.command("shoal-sim explore")
def test_explore_runs_histories_twice_and_adds_up(workplace: Path) -> None:
    ledger = str(workplace / "explored.jsonl")
    status, out, err = run_program(
        ["shoal-sim", "explore", "--seeds", "2-2", "--jobs", "1", "--json", "--ledger", ledger]
    )
    assert status == 0, out + err
    account = json.loads(out)
    assert (account["histories"], account["twice"], account["failed"], account["unequal"]) == (1, 1, [], [])


@pytest.mark.command("shoal-sim replay")
def test_replay_tells_what_happened_in_a_history_and_makes_a_page_of_it(workplace: Path) -> None:
    page = workplace / "page.html"
    status, out, _ = run_program(["shoal-sim", "replay", "2", "--find", "person makes", "--report", str(page)])
    assert status == 0
    assert "red's person makes" in out
    assert "trace " in out
    assert "history 2" in page.read_text()


@pytest.mark.command("shoal-sim checkers")
def test_checkers_tells_where_each_promise_is_checked() -> None:
    status, out, _ = run_program(["shoal-sim", "checkers"])
    assert status == 0
    assert "A1   destruction" in out
