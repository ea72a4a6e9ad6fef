"""`limit`."""

import secrets
import time
from pathlib import Path

import pytest

from tests.common import documents
from tests.common.devices import Device, write
from tests.e2e.commands.conftest import Pair

RATE = 512 * 1024
SIZE = 3 * RATE
LEAST_S = 2.0
"""What so many bytes take at that rate, less the burst that is let through at once, and some."""


def limits(device: Device, *args: str) -> documents.Limits:
    said = device.must("limit", "--json", *args)
    assert said.err == ""
    return documents.read_document(said.out, documents.Limits)


def time_a_file(pair: Pair, name: str) -> float:
    """How long it takes from being saved on one device until it is on the other."""
    content = secrets.token_bytes(SIZE)
    since = time.monotonic()
    write(pair.folder / name, content)
    pair.first.must("wait", "--timeout", "60")
    pair.second.must("wait", "--timeout", "60")
    took = time.monotonic() - since
    assert (pair.copy / name).read_bytes() == content
    return took


@pytest.mark.command("shoal limit")
def test_a_limit_holds_in_either_direction_until_it_is_lifted(pair: Pair) -> None:
    assert limits(pair.first, "--up", "512KiB").now == documents.Rates(RATE, None)
    assert time_a_file(pair, "slow-up.bin") > LEAST_S
    assert limits(pair.first, "--up", "none").now == documents.Rates(None, None)
    assert limits(pair.second, "--down", "512KiB").now == documents.Rates(None, RATE)
    assert time_a_file(pair, "slow-down.bin") > LEAST_S
    assert limits(pair.second, "--down", "none").now == documents.Rates(None, None)


@pytest.mark.command("shoal limit")
def test_a_schedule_is_kept_over_a_restart_and_shown(pair: Pair) -> None:
    set_up = limits(
        pair.second, "--up", "2MB", "--schedule", "00:00-24:00 up=1MiB", "--schedule", "sat,sun 22:00-06:00 down=none"
    )
    assert (set_up.up, set_up.now) == (2_000_000, documents.Rates(2**20, None))
    assert [each.days for each in set_up.schedule] == [
        ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        ["sat", "sun"],
    ]
    pair.second.must("stop")
    pair.second.must("start")
    try:
        assert limits(pair.second) == set_up
        assert pair.second.must("limit").out.splitlines() == [
            "usually\t1.91 MiB/s\tno limit",
            "daily 00:00-00:00\t1.00 MiB/s\tas usual",
            "sat,sun 22:00-06:00\tas usual\tno limit",
            "now\t1.00 MiB/s\tno limit",
        ]
        assert limits(pair.second, "--schedule", "none", "--up", "none").schedule == []
    finally:
        pair.second.must("stop")


@pytest.mark.command("shoal limit")
def test_a_limit_that_makes_no_sense_is_refused(pair: Pair, place: Path) -> None:
    assert pair.first.run("limit", "--up", "fast").status == 2
    assert pair.first.run("limit", "--schedule", "tomorrow").status == 2
    said = pair.first.run("limit", "--up", "5KiB")
    assert (said.status, said.out, said.err.count("\n")) == (1, "", 0)
    assert "shoal pause" in said.err
    assert Device(place, "limitless").run("limit").status == 3
