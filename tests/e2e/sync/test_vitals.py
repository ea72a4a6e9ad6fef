"""What programs use can be asked for, so that a test can see it grow."""

from tests.common.vitals import Vitals, growth
from tests.e2e.sync.conftest import Duo


def test_a_program_says_how_many_tasks_it_has_and_goes_on(duo: Duo) -> None:
    for program in (duo.fleet.host.program, duo.red.program):
        first = Vitals.of(program)
        assert first.tasks > 3
        assert first.threads > 0
        assert first.descriptors > 3
        assert abs(program.tasks() - first.tasks) < 10
    duo.fleet.settle()


def test_growth_beyond_the_bounds_is_found_and_less_is_not() -> None:
    first = Vitals(80 << 20, 25, 3, 23)
    assert growth([first, Vitals(95 << 20, 30, 6, 30)]) == []
    assert len(growth([first, Vitals(130 << 20, 60, 20, 60)])) == 4
    assert growth([first, Vitals(500 << 20, 100, 50, 100), first]) == [], "what was given back did not grow"
