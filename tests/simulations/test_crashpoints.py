"""Small workloads ended at points of their own: a share of what `shoal-sim crashpoints` tries without a gap."""

import pytest
from click.testing import CliRunner

from simulations.canonical import WORKLOADS, Hands
from simulations.cli import main
from simulations.crashpoints import Ending, cases, run_workload
from simulations.disk import SimDisk
from tests.common.simulated_disks import sim_disk


@pytest.mark.parametrize(
    ("workload", "host", "ending"),
    [
        ("a file moved and edited", "blue", "power"),
        ("two edits of one file", "coordinator", "kill"),
        ("a tree", "red", "EIO"),
    ],
)
def test_a_workload_comes_out_right_wherever_a_program_ends(workload: str, host: str, ending: Ending) -> None:
    [count] = run_workload(workload, cases([host], [ending]), every=1 if host == "coordinator" else 5)
    assert count.failures == []
    assert count.points >= 2


def test_the_command_tells_what_was_tried() -> None:
    asked = ["crashpoints", "--workload", "a directory", "--host", "blue", "--ending", "power", "--every", "7"]
    result = CliRunner().invoke(main, [*asked, "--jobs", "1"])
    assert result.exit_code == 0, result.output
    assert "1 workloads" in result.output
    assert "0 failures" in result.output


def test_there_are_enough_workloads_and_each_changes_something() -> None:
    assert len(WORKLOADS) >= 40
    for name, workload in WORKLOADS.items():
        hands = Hands(sim_disk(), "")
        hands.fill(workload.before)
        assert hands.tree() == workload.before, name
        before = statuses(hands.disk)
        workload.here(hands)
        assert statuses(hands.disk) != before, name


def statuses(disk: SimDisk) -> list[object]:
    top = disk.people.open_root("/folder")
    return list(disk.people.list_dir(top))
