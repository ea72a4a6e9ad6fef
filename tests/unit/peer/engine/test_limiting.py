"""Limits: what holds when, what is kept, and that a schedule is followed as time goes on."""

from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.control.upkeep import Limit, Period, Rates
from peer.engine.folders import CannotDo
from peer.engine.limiting import DAYS, Limiting, Settings, rates_at
from peer.home import Home
from tests.unit.peer.engine.clocks import SetClock

WEEK = list(DAYS)
KIB = 1024
MONDAY, SATURDAY, SUNDAY = 0, 5, 6


def period(days: list[str], start: str, end: str, up: int | None = None, down: int | None = None) -> Period:
    return Period(days=days, start=start, end=end, up=up, down=down)


def at(text: str) -> int:
    hour, minute = text.split(":")
    return int(hour) * 60 + int(minute)


def test_a_period_counts_from_its_start_until_its_end() -> None:
    office = Settings(up=10**6, schedule=(period(WEEK[:5], "09:00", "17:00", up=10**5),))
    shown = [rates_at(office, MONDAY, at(time)).up for time in ("08:59", "09:00", "16:59", "17:00")]
    assert shown == [10**6, 10**5, 10**5, 10**6]
    assert rates_at(office, SATURDAY, at("12:00")) == Rates(10**6, None)


def test_a_period_over_midnight_belongs_to_the_day_on_which_it_starts() -> None:
    night = Settings(up=10**5, schedule=(period(["sun"], "22:00", "06:00", up=0),))
    assert [rates_at(night, SUNDAY, at(time)).up for time in ("05:00", "21:59", "22:00")] == [10**5, 10**5, None]
    assert [rates_at(night, MONDAY, at(time)).up for time in ("00:00", "05:59", "06:00")] == [None, None, 10**5]


def test_each_direction_takes_the_first_period_that_speaks_of_it() -> None:
    both = Settings(
        down=7 * 10**6,
        schedule=(period(WEEK, "00:00", "00:00", up=10**5), period(WEEK, "12:00", "13:00", up=1, down=0)),
    )
    assert rates_at(both, MONDAY, at("11:00")) == Rates(10**5, 7 * 10**6)
    assert rates_at(both, MONDAY, at("12:30")) == Rates(10**5, None)


@settings(deadline=None)
@given(st.integers(0, 1439), st.integers(0, 1439), st.sets(st.sampled_from(DAYS), min_size=1))
def test_a_period_covers_as_many_minutes_of_the_week_as_it_says(start: int, end: int, days: set[str]) -> None:
    one = period(sorted(days), f"{start // 60:02}:{start % 60:02}", f"{end // 60:02}:{end % 60:02}", up=5)
    kept = Settings(schedule=(one,))
    minutes = sum(rates_at(kept, day, minute).up == 5 for day in range(7) for minute in range(1440))
    assert minutes == len(days) * ((end - start) % 1440 or 1440)


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def made_home(path: Path) -> Home:
    home = Home.at(path / "home")
    home.prepare()
    return home


async def test_what_was_set_is_there_after_a_restart(tmp_path: Path, utc: None) -> None:
    home, clock = made_home(tmp_path), SetClock(0)
    first = Limiting(home, clock)
    assert not first.up.is_limited
    first.change(Limit(up=100 * KIB, schedule=[period(WEEK, "01:00", "02:00", down=50 * KIB)]))
    first.change(Limit(down=200 * KIB))
    second = Limiting(home, clock)
    assert (second.up.rate_bytes_s, second.down.rate_bytes_s) == (100 * KIB, 200 * KIB)
    assert second.show() == first.show()
    second.change(Limit(up=0, down=0, schedule=[]))
    assert Limiting(home, clock).show().now == Rates()


async def test_what_cannot_be_kept_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    limiting = Limiting(made_home(tmp_path), SetClock(0))
    for wrong in (
        Limit(up=100),
        Limit(schedule=[period([], "01:00", "02:00", up=0)]),
        Limit(schedule=[period(["mon"], "1:00", "02:00", up=0)]),
        Limit(schedule=[period(["mon"], "01:00", "24:00", up=0)]),
        Limit(schedule=[period(["mon"], "01:00", "02:00", up=0)] * 101),
    ):
        with pytest.raises(CannotDo):
            limiting.change(wrong)
    assert limiting.show().schedule == []


async def test_a_damaged_file_means_no_limits(tmp_path: Path) -> None:
    home = made_home(tmp_path)
    for data in (b"{", b'{"up": -5}', b'{"up": 3}', b"\xff"):
        home.write_note("limits", data)
        assert Limiting(home, SetClock(0)).show().now == Rates()


async def test_the_schedule_is_followed_as_time_goes_on(tmp_path: Path, utc: None) -> None:
    clock = SetClock(59 * 60)  # a Thursday in 1970, at 00:59
    limiting = Limiting(made_home(tmp_path), clock)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(limiting.run)
        limiting.change(Limit(schedule=[period(["thu"], "01:00", "02:00", up=32 * KIB)]))
        await trio.testing.wait_all_tasks_blocked()
        assert not limiting.up.is_limited
        for _ in range(2):
            clock.advance(30.5)
            await trio.testing.wait_all_tasks_blocked()
        assert limiting.up.rate_bytes_s == 32 * KIB
        for _ in range(60):
            clock.advance(60)
            await trio.testing.wait_all_tasks_blocked()
        assert not limiting.up.is_limited
        nursery.cancel_scope.cancel()
