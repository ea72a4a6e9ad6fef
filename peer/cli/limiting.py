"""`limit`: how fast this device may go, and when. Owns how rates and periods are written by people."""

import re
import sys
from collections.abc import Sequence
from typing import Final

import click

from peer.cli.asking import ask
from peer.cli.command import Session, example, with_session
from peer.cli.printing import is_terminal, print_document, print_rows, size_shown
from peer.control.upkeep import Limit, Limits, Period

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NONE: Final = ("none", "off", "unlimited", "0")
_RATE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(k|m|g|)(ib|b|bit|)(?:/s|ps)?", re.IGNORECASE)
_DECIMAL: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_BINARY: Final = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}
_PERIOD: Final = re.compile(r"(\d{1,2}:\d\d)-(\d{1,2}:\d\d)")
_LARGEST: Final = 2**53


def parse_rate(text: str) -> int:
    """Bytes a second, 0 for no limit. Raises ValueError with a line for people."""
    if text.strip().lower() in _NONE:
        return 0
    found = _RATE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no rate: write 500KiB, 2MB, 10Mbit, or none")
    number, unit, kind = float(found[1]), found[2].lower(), found[3].lower()
    rate = number * (_BINARY[unit] if kind == "ib" else _DECIMAL[unit]) / (8 if kind == "bit" else 1)
    if not 1 <= rate <= _LARGEST:
        raise ValueError(f"{text!r} is no rate that a device can keep")
    return round(rate)


def parse_period(text: str) -> Period:
    """A period as it is written on a command line. Raises ValueError with a line for people."""
    days, times, rates = list(_DAYS), None, {}
    for word in text.lower().split():
        name, is_rate, value = word.partition("=")
        if is_rate and name in ("up", "down") and name not in rates:
            rates[name] = parse_rate(value)
        elif (found := _PERIOD.fullmatch(word)) and times is None:
            times = (_clock(found[1]), _clock(found[2]))
        elif not is_rate and times is None:
            days = _days(word)
        else:
            raise ValueError(f"{word!r} does not belong in a period: write `mon-fri 09:00-17:00 up=500KiB down=none`")
    if times is None or not rates:
        raise ValueError("a period has a time and a rate: write `mon-fri 09:00-17:00 up=500KiB`")
    return Period(days=days, start=times[0], end=times[1], up=rates.get("up"), down=rates.get("down"))


def _clock(text: str) -> str:
    hour, minute = (int(part) for part in text.split(":"))
    if (hour, minute) == (24, 0):
        hour = 0
    if hour > 23 or minute > 59:
        raise ValueError(f"{text!r} is no time of day")
    return f"{hour:02}:{minute:02}"


def _days(text: str) -> list[str]:
    """The days of `mon-fri`, `sat,sun`, `daily`, in the week's order."""
    if text == "daily":
        return list(_DAYS)
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            raise ValueError(f"{part!r} is no day: write mon, tue, wed, thu, fri, sat, sun, mon-fri or daily")
        at, end = _DAYS.index(first), _DAYS.index(last or first)
        found |= {(at + step) % 7 for step in range((end - at) % 7 + 1)}
    return [_DAYS[number] for number in sorted(found)]


def days_shown(days: Sequence[str]) -> str:
    """Days in few words, such as mon-fri."""
    numbers = [_DAYS.index(day) for day in days if day in _DAYS]
    if len(numbers) == 7:
        return "daily"
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{_DAYS[numbers[0]]}-{_DAYS[numbers[-1]]}"
    return ",".join(_DAYS[number] for number in numbers)


def rate_shown(rate: int | None, usual: str = "no limit") -> str:
    """A rate for people."""
    return usual if rate is None else f"{size_shown(rate)}/s" if rate else "no limit"


def _rate_option(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else parse_rate(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _periods_option(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> list[Period] | None:
    if not values:
        return None
    if len(values) == 1 and values[0].strip().lower() in _NONE:
        return []
    try:
        return [parse_period(value) for value in values]
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(epilog=example("shoal limit --up 500KiB --schedule 'mon-fri 09:00-17:00 down=1MiB'"))
@click.option("--up", metavar="RATE", callback=_rate_option, help="How fast blocks may be sent; `none`: no limit.")
@click.option("--down", metavar="RATE", callback=_rate_option, help="How fast blocks may be fetched.")
@click.option(
    "--schedule",
    metavar="PERIOD",
    multiple=True,
    callback=_periods_option,
    help="Other rates at set times, as `[DAYS] HH:MM-HH:MM [up=RATE] [down=RATE]` in local time; may repeat, and "
    "replaces the schedule that was. `none`: no schedule.",
)
@with_session
def limit(session: Session, up: int | None, down: int | None, schedule: list[Period] | None) -> None:
    """Limit how fast this device sends and fetches; without options, show the limits.

    RATE is bytes a second: 500KiB (1024), 2MB (1000), 10Mbit, or none. The limits stay until they are changed. Of
    two periods at the same time the first counts, for each direction that it says something about; a period may end
    on the next day.
    """
    limits = ask(session, Limit(up=up, down=down, schedule=schedule), Limits)
    if session.as_json:
        print_document(limits)
        return
    rows = [("usually", rate_shown(limits.up), rate_shown(limits.down))]
    rows += [
        (
            f"{days_shown(one.days)} {one.start}-{one.end}",
            rate_shown(one.up, "as usual"),
            rate_shown(one.down, "as usual"),
        )
        for one in limits.schedule
    ]
    if limits.schedule or not is_terminal(sys.stdout):
        rows.append(("now", rate_shown(limits.now.up), rate_shown(limits.now.down)))
    print_rows(("when", "up", "down"), rows, right=frozenset({1, 2}))
