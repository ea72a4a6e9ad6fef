"""Rates and periods as people write them."""

import pytest

from peer.cli.limiting import days_shown, parse_period, parse_rate, rate_shown
from peer.control.upkeep import Period

WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("none", 0),
        ("off", 0),
        ("500000", 500_000),
        ("500KiB", 512_000),
        ("500kib/s", 512_000),
        ("2MB", 2_000_000),
        ("2m", 2_000_000),
        ("1.5 MiB/s", 1_572_864),
        ("10Mbit", 1_250_000),
        ("10mbit/s", 1_250_000),
        ("1GiB", 2**30),
    ],
)
def test_rates_that_are_understood(text: str, rate: int) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "fast", "-1", "1e9", "5 apples", "MiB", "0.1", "99999999999GiB", "1KiBs"])
def test_rates_that_are_not(text: str) -> None:
    with pytest.raises(ValueError, match="no rate"):
        parse_rate(text)


def test_periods_that_are_understood() -> None:
    assert parse_period("mon-fri 9:00-17:00 up=500KiB") == Period(
        days=WEEK[:5], start="09:00", end="17:00", up=512_000, down=None
    )
    assert parse_period("22:00-24:00 DOWN=none up=1MB") == Period(
        days=WEEK, start="22:00", end="00:00", up=10**6, down=0
    )
    assert parse_period("sat-mon,wed 00:00-12:00 up=none").days == ["mon", "wed", "sat", "sun"]


@pytest.mark.parametrize(
    "text",
    ["", "mon", "9-17 up=1MB", "09:00-17:00", "09:00-25:00 up=1MB", "foo 09:00-10:00 up=1MB", "09:00-10:00 left=1MB"],
)
def test_periods_that_are_not(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_period(text)


def test_they_are_shown_in_few_words() -> None:
    assert days_shown(WEEK) == "daily"
    assert days_shown(WEEK[:5]) == "mon-fri"
    assert days_shown(["sat", "sun"]) == "sat,sun"
    assert [rate_shown(each, "as usual") for each in (None, 0, 512_000)] == ["as usual", "no limit", "500 KiB/s"]
