"""P1 to P16 over generated histories; more of them by `python -P -m tests.properties.planner.bulk`."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties.planner import bulk, one_device, regressions, several_devices
from tests.properties.planner.tape import Tape

CASES = 8_000
SEED = 20261123


@pytest.fixture(scope="module")
def held() -> Counter[str]:
    """How often each property was checked, and held, in one run of generated cases."""
    counts: Counter[str] = Counter()
    assert bulk.run(CASES, SEED, counts), "a case failed; the output says how to run it alone"
    return counts


def test_P1_the_target_is_a_well_formed_tree(held: Counter[str]) -> None:
    assert held["P1"] > CASES / 2


def test_P2_a_plan_depends_on_nothing_but_the_trees_and_the_policy(held: Counter[str]) -> None:
    assert held["P2"] > CASES / 2


def test_P3_where_one_side_did_nothing_the_target_is_the_other_side(held: Counter[str]) -> None:
    assert held["P3"] > CASES / 2


def test_P4_no_content_that_somebody_changed_is_missing_from_the_target(held: Counter[str]) -> None:
    assert held["P4"] > CASES / 2


def test_P5_a_plan_carried_out_leaves_nothing_to_do(held: Counter[str]) -> None:
    assert held["P5"] > CASES / 2


def test_P6_after_any_prefix_of_the_operations_planning_again_reaches_the_same_paths_and_contents(
    held: Counter[str],
) -> None:
    assert held["P6"] > CASES / 2


def test_P7_every_operation_strictly_reduces_the_differences(held: Counter[str]) -> None:
    assert held["P7"] > CASES


def test_P8_every_local_step_leaves_a_valid_tree(held: Counter[str]) -> None:
    assert held["P8"] > CASES / 2


def test_P9_two_to_four_devices_converge_in_a_bounded_number_of_rounds(held: Counter[str]) -> None:
    assert held["P9"] > CASES / 10


def test_P10_the_operations_of_a_wave_commute(held: Counter[str]) -> None:
    assert held["P10"] > CASES / 2


def test_P11_a_plan_with_too_many_deletions_stops_at_the_brake(held: Counter[str]) -> None:
    assert held["P11"] > CASES / 2


def test_P12_a_viewers_device_proposes_nothing_and_destroys_nothing(held: Counter[str]) -> None:
    assert held["P12"] > CASES / 20


def test_P13_planning_the_differing_entries_equals_planning_everything(held: Counter[str]) -> None:
    assert held["P13"] > CASES / 2


def test_P14_what_one_side_moved_out_of_a_directory_that_the_other_deleted_lives(held: Counter[str]) -> None:
    assert held["P14"] > CASES / 40


def test_P15_a_version_that_was_put_here_without_a_row_is_no_edit(held: Counter[str]) -> None:
    assert held["P15"] > CASES / 40


def test_P16_an_earlier_version_that_stands_for_a_head_changes_nothing_of_how_it_ends(held: Counter[str]) -> None:
    assert held["P16"] > CASES / 20


@pytest.mark.parametrize("name", list(regressions.ONE_DEVICE))
def test_cases_that_failed_once_stay_right(name: str) -> None:
    one_device.check(Tape(bytes.fromhex(regressions.ONE_DEVICE[name])), Counter())


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=120))
def test_all_properties_of_one_device_hold_for_any_tape(tape: bytes) -> None:
    one_device.check(Tape(tape), Counter())


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=160))
def test_devices_converge_for_any_tape(tape: bytes) -> None:
    several_devices.check(Tape(tape), Counter())
