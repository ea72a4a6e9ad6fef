"""A bounded run of the sessions' fuzzer, the same every time."""

import pytest

from tests.fuzz import lan


@pytest.mark.parametrize("seed", range(4))
def test_sessions_answer_everything_once_and_drop_who_breaks_the_rules(seed: int) -> None:
    assert lan.run(seed, lambda rounds: rounds < 300) == 300
