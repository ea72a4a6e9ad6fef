"""Disks that forget what was not synced, when the power is cut: the short form of the show `forgetful`."""

import pytest

from tests.acceptance.forgetful import play
from tests.faults.library import has_compiler


@pytest.mark.skipif(not has_compiler(), reason="no C compiler (on Debian: apt-get install gcc libc6-dev)")
def test_what_was_acknowledged_survives_power_cuts() -> None:
    figures = play(cycles=2, seed=1)
    assert figures.cuts.total() >= 4
    assert figures.looks > figures.saved / 2
