"""Known mistakes are put into the program, found, and taken out again."""

import json

import pytest
from click.testing import CliRunner

from protocol import tree_rules
from simulations.cli import main
from simulations.mutants.finders import Points
from simulations.mutants.mutant import Change, NoSuchPlace, find_function, introduced
from simulations.mutants.register import MUTANTS
from simulations.mutants.trials import BUDGET, try_one


@pytest.mark.parametrize("name", MUTANTS)
def test_the_place_of_each_mistake_is_there_and_gets_other_code_for_a_while(name: str) -> None:
    functions = {find_function(change.target): change for change in MUTANTS[name].changes}
    codes = {function: function.__code__ for function in functions}
    assert any("mutated()" in change.new for change in functions.values())
    with introduced(MUTANTS[name].changes) as reached:
        assert all(function.__code__ is not codes[function] for function in functions)
        assert reached.times == 0
    assert all(function.__code__ is codes[function] for function in functions)
    assert all("mutated" not in function.__globals__ for function in functions)


def test_there_are_enough_mistakes_and_finders_of_one_name_are_one() -> None:
    assert len(MUTANTS) >= 46
    finders = {mutant.finder.name: mutant.finder for mutant in MUTANTS.values()}
    assert all(mutant.finder == finders[mutant.finder.name] for mutant in MUTANTS.values())
    assert len({mutant.disaster for mutant in MUTANTS.values()}) == len(MUTANTS)


@pytest.mark.parametrize(
    "change",
    [
        Change("protocol.tree_rules:_alone", "these words are not there", ""),
        Change("protocol.tree_rules:_alone", "clear", ""),
        Change("protocol.tree_rules:nothing_of_the_kind", "", ""),
        Change("protocol.tree_rules:NAMED_IDS", "", ""),
        Change("protocol.no_such_module:judge", "", ""),
    ],
)
def test_a_mistake_that_cannot_be_put_in_is_not_passed_over(change: Change) -> None:
    before = tree_rules._alone.__code__
    with pytest.raises(NoSuchPlace), introduced([change]):
        pass
    assert tree_rules._alone.__code__ is before


@pytest.mark.parametrize("name", ["no-compare-and-swap", "cursor-before-trees", "twins-ignored"])
def test_a_mistake_is_found_where_the_program_without_it_passes(name: str) -> None:
    finder = MUTANTS[name].finder
    trial = try_one(name, finder, BUDGET)
    assert trial.is_good, trial
    assert try_one("", finder, trial.attempts).failures == ()


def test_a_mistake_that_nothing_reaches_does_not_count_as_found() -> None:
    trial = try_one("executable-bit-dropped", Points("a directory", "blue", "kill"), 2)
    assert not trial.is_good
    assert (trial.reached, trial.failures) == (0, ())


@pytest.mark.command("shoal-sim mutants")
def test_the_command_puts_a_mistake_on_trial_and_the_program_as_it_is() -> None:
    result = CliRunner().invoke(main, ["mutants", "twins-ignored", "--jobs", "1", "--json"])
    assert result.exit_code == 0, result.output
    mutated, plain = json.loads(result.output)
    assert (mutated["mutant"], mutated["is_good"], plain["mutant"], plain["is_good"]) == (
        "twins-ignored",
        True,
        "",
        True,
    )
    assert mutated["reached"] > 0 == plain["reached"]


def test_the_command_lists_mistakes_with_what_they_stand_for() -> None:
    result = CliRunner().invoke(main, ["mutants", "--list"])
    assert result.exit_code == 0
    assert "brake-off" in result.output
    assert MUTANTS["brake-off"].disaster in result.output
