"""Programs killed at any moment: what was at rest is never lost or doubled, and all come together again.

The moments are drawn from a seed, which is the test's parameter. `make show NAME=kills` is the long form.
"""

import os

import pytest

from tests.common.fleet import Fleet
from tests.common.killing import kill_at_random

KILLS = int(os.environ.get("SHOAL_TEST_CRASHES", "8"))


@pytest.mark.parametrize("seed", range(int(os.environ.get("SHOAL_TEST_SEEDS", "1"))))
def test_killed_at_random_moments_nothing_is_lost(fleet: Fleet, seed: int) -> None:
    kill_at_random(fleet, seed, peers=KILLS - KILLS // 4, hosts=KILLS // 4, per_phase=4)
