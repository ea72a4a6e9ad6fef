"""`shoal-sim` as it is typed."""

import json
import re
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from simulations.cli import main
from simulations.tree_tables import LEGEND, TableDocument
from tests.common.processes import give, run_program


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
    said = CliRunner().invoke(main, ["run", "no-such-story"])
    assert said.exit_code == 1
    assert "shoal-sim list" in said.stderr


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
    said = CliRunner().invoke(main, ["run", "two-people-one-document", "--report", str(workplace / "no" / "page.html")])
    assert said.exit_code == 1
    assert "cannot be written" in said.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("scenario = Scenario('unknown')\n", "line 1: name 'Scenario' is not defined"),
        ("a = 1\nb = = 2\n", "line 2: invalid syntax"),
        (
            "from simulations import Scenario\ns = Scenario('x')\ns.device('a/b', at=s.site('home'))\n",
            "line 3: the device name 'a/b'",
        ),
        ("import simulations\n", "has no `scenario`"),
    ],
)
def test_a_file_that_is_no_story_is_told_by_its_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "story.py"
    file.write_text(text)
    ended = CliRunner().invoke(main, ["run", str(file)])
    assert ended.exit_code == 1
    assert said in ended.output
    assert "Traceback" not in ended.output


@pytest.mark.command("shoal-sim explore")
def test_explore_runs_histories_twice_and_adds_up(workplace: Path) -> None:
    ledger = str(workplace / "explored.jsonl")
    status, out, err = run_program(
        ["shoal-sim", "explore", "--seeds", "31-31", "--jobs", "1", "--json", "--ledger", ledger]
    )
    assert status == 0, out + err
    account = json.loads(out)
    assert (account["histories"], account["twice"], account["failed"], account["unequal"]) == (1, 1, [], [])
    said = CliRunner().invoke(main, ["ledger", ledger])
    assert said.exit_code == 0
    assert "failed; open: none" in said.output


@pytest.mark.command("shoal-sim ledger")
def test_ledger_adds_up_and_says_what_is_open(workplace: Path) -> None:
    ledger = workplace / "explored.jsonl"
    line = {"seeds": [0, 9], "commit": "abc", "histories": 10, "twice": 10, "failed": [3], "unequal": []}
    ledger.write_text(json.dumps(line | {"virtual_s": 600, "wall_s": 6.0, "jobs": 2}) + "\n")
    give(ledger)
    status, out, _ = run_program(["shoal-sim", "ledger", str(ledger)])
    assert status == 1
    assert "open: 3@abc" in out
    said = CliRunner().invoke(main, ["ledger", str(ledger), "--close", "3@abc", "--by", "a test", "--json"])
    assert said.exit_code == 0
    assert json.loads(said.stdout)["open"] == []


@pytest.mark.command("shoal-sim replay")
def test_replay_tells_what_happened_in_a_history_and_makes_a_page_of_it(workplace: Path) -> None:
    page = workplace / "page.html"
    status, out, _ = run_program(["shoal-sim", "replay", "31", "--find", "person makes", "--report", str(page)])
    assert status == 0
    assert "red's person makes" in out
    assert "trace " in out
    assert "history 31" in page.read_text()


@pytest.mark.command("shoal-sim replay")
def test_replay_shows_three_trees_step_by_step() -> None:
    status, out, err = run_program(["shoal-sim", "replay", "31", "--device", "red", "--until", "9"])
    assert status == 0, err
    lines = out.splitlines()
    assert LEGEND[0] in lines
    headings = [line.split() for line in lines if line.endswith("synced")]
    assert headings
    assert all(words[-3:] == ["remote", "local", "synced"] for words in headings)
    assert all((words[1], words[2].rstrip(",")) == ("red's", "trees") for words in headings)
    assert any(re.match(r"  [0-9a-f]{6} red/file\S+ +- +\* #\d+ \S+ k?B +-$", line) for line in lines)
    assert any("red's trees in the end" in line for line in lines)
    assert not any("blue's trees" in line for line in lines)
    said = CliRunner().invoke(main, ["replay", "31", "--no-trees"])
    assert said.exit_code == 0
    assert "synced" not in said.output


@pytest.mark.command("shoal-sim replay")
def test_replay_gives_the_trees_as_data_too() -> None:
    status, out, err = run_program(["shoal-sim", "replay", "31", "--json"])
    assert status == 0, err
    found = json.loads(out)
    tables = msgspec.convert(found["trees"], list[TableDocument])
    assert found["trees"] == msgspec.to_builtins(tables)  # nothing that the type does not have
    devices = {one.device for one in tables}
    assert devices >= {"red", "blue"}
    steps, ends = tables[: -len(devices)], tables[-len(devices) :]
    assert {one.why for one in steps} == {"step"}
    assert all(one.rows and all(row.changed for row in one.rows) for one in steps)
    assert {one.device for one in ends} == devices
    assert all((one.why, one.rows, one.differing) == ("end", [], 0) for one in ends)
    orders = [one.after for one in tables]
    assert orders == sorted(orders)
    assert orders[-1] == len(found["happened"])


@pytest.mark.command("shoal-sim replay")
def test_replay_says_what_it_cannot_show(workplace: Path) -> None:
    status, out, err = run_program(["shoal-sim", "replay", "31", "--device", "nobody"])
    assert (status, out) == (2, "")
    assert "no device 'nobody' in history 31, which has: red, blue" in err
    said = CliRunner().invoke(main, ["replay", str(workplace / "none.json")])
    assert (said.exit_code, said.stdout) == (1, "")
    assert "no file that `shoal-sim shrink` made" in said.stderr
    assert isinstance(said.exception, SystemExit), "no traceback"


@pytest.mark.command("shoal-sim checkers")
def test_checkers_tells_where_each_promise_is_checked() -> None:
    status, out, _ = run_program(["shoal-sim", "checkers"])
    assert status == 0
    assert "A1   destruction" in out
