"""Every failure of the account is kept, with a test that would find it now; `make show NAME=kept-seeds` runs the seeds.

The seeds themselves are not run here: they are other histories than those that failed, and take as long as any.
"""

from tests.simulations.kept_seeds import KEPT, failures_and_closings
from tests.table.collected import is_there


def test_every_failure_that_was_closed_is_kept() -> None:
    failures, closings = failures_and_closings()
    names = [kept.name for kept in KEPT]
    assert len(set(names)) == len(names)
    assert set(names) == set(closings), "a failure is closed by a cure, a test and a row of `kept_seeds`"
    assert set(closings) <= set(failures)


def test_the_test_of_every_kept_failure_is_there_and_its_closing_names_it() -> None:
    _, closings = failures_and_closings()
    absent = [kept.test for kept in KEPT if not is_there(kept.test)]
    assert not absent, "\n".join(absent)
    unnamed = [kept.name for kept in KEPT if kept.test.partition("::")[0] not in closings[kept.name]]
    assert not unnamed, f"these closings do not say in which file their test is: {unnamed}"
