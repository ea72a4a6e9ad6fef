"""How fast this device may send and fetch blocks, and when. Owns the settings, their file, and applying them in time.

The times of a schedule are local ones. What rates hold is a pure function of the settings and the moment.
"""

import datetime
import logging
import re
from typing import Annotated, Final

import msgspec
import trio
from msgspec import Meta

from peer.control.upkeep import Limit, Limits, Period, Rates
from peer.engine.folders import CannotDo
from peer.home import Home, HomeError
from peer.ports import Clock
from peer.transfer.limits import LEAST_BYTES_S, RateLimiter

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
PERIODS: Final = 100
_FILE: Final = "limits"
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d")

_log = logging.getLogger("shoal.limits")


class Settings(msgspec.Struct, frozen=True):
    """The limits as they are kept: bytes a second, None for none."""

    up: Annotated[int, Meta(ge=1)] | None = None
    down: Annotated[int, Meta(ge=1)] | None = None
    schedule: tuple[Period, ...] = ()


def rates_at(settings: Settings, weekday: int, minute: int) -> Rates:
    """The rates at a minute of a local day (0 is Monday, and midnight).

    For each direction the first period counts that covers the moment and says something about that direction; else
    what is usual.
    """
    covering = [one for one in settings.schedule if _covers(one, weekday, minute)]
    up = next((one.up for one in covering if one.up is not None), settings.up)
    down = next((one.down for one in covering if one.down is not None), settings.down)
    return Rates(up or None, down or None)


def _covers(period: Period, weekday: int, minute: int) -> bool:
    start, end = _minute(period.start), _minute(period.end)
    today, yesterday = DAYS[weekday] in period.days, DAYS[weekday - 1] in period.days
    if start < end:
        return today and start <= minute < end
    return (today and minute >= start) or (yesterday and minute < end)


def _minute(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def problem_with(settings: Settings) -> str | None:
    """Why these settings cannot be used, for a person; None where they can."""
    rates = [settings.up, settings.down, *(rate for one in settings.schedule for rate in (one.up, one.down))]
    if any(rate is not None and 0 < rate < LEAST_BYTES_S for rate in rates):
        return f"a limit is at least {LEAST_BYTES_S} bytes a second: use `shoal pause` to transfer nothing"
    if len(settings.schedule) > PERIODS:
        return f"a schedule has at most {PERIODS} periods"
    for one in settings.schedule:
        if not one.days or not set(one.days) <= set(DAYS):
            return "a period names days among mon, tue, wed, thu, fri, sat, sun"
        if not _CLOCK.fullmatch(one.start) or not _CLOCK.fullmatch(one.end):
            return "a period begins and ends at a time such as 08:30"
    return None


class Limiting:
    """The limits of one device. `up` and `down` are what transfers ask; `run` keeps them as the schedule says."""

    def __init__(self, home: Home, clock: Clock) -> None:
        self._home = home
        self._clock = clock
        self._changed = trio.Event()
        self.up = RateLimiter(clock)
        self.down = RateLimiter(clock)
        self._settings = self._read()
        self._apply()

    async def run(self) -> None:
        """Apply the schedule minute by minute, until cancelled."""
        while True:
            self._apply()
            changed = self._changed
            if not self._settings.schedule:
                await changed.wait()
                continue
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._end_with_minute, nursery.cancel_scope)
                await changed.wait()
                nursery.cancel_scope.cancel()

    async def _end_with_minute(self, scope: trio.CancelScope) -> None:
        await self._clock.sleep(60.0 - self._clock.wall_ns() // 1_000_000 % 60_000 / 1000)
        scope.cancel()

    def show(self) -> Limits:
        """How it is now."""
        its = self._settings
        return Limits(up=its.up, down=its.down, schedule=list(its.schedule), now=self._now())

    def change(self, request: Limit) -> Limits:
        """Keep other limits, and use them from now on; durable when it returns. Raises `CannotDo`."""
        its = self._settings
        wanted = Settings(
            up=its.up if request.up is None else request.up or None,
            down=its.down if request.down is None else request.down or None,
            schedule=its.schedule if request.schedule is None else tuple(request.schedule),
        )
        problem = problem_with(wanted)
        if problem is not None:
            raise CannotDo(problem)
        if wanted != its:
            try:
                self._home.write_note(_FILE, msgspec.json.encode(wanted))
            except HomeError as error:
                raise CannotDo(f"{error}: the limits stay as they were") from None
            self._settings = wanted
            self._apply()
            self._changed.set()
            self._changed = trio.Event()
        return self.show()

    def _apply(self) -> None:
        now = self._now()
        self.up.set_rate(now.up)
        self.down.set_rate(now.down)

    def _now(self) -> Rates:
        local = datetime.datetime.fromtimestamp(self._clock.wall_ns() / 1e9, datetime.UTC).astimezone()
        return rates_at(self._settings, local.weekday(), local.hour * 60 + local.minute)

    def _read(self) -> Settings:
        """What was kept; no limits where that cannot be made sense of."""
        data = None
        try:
            data = self._home.read_note(_FILE)
            settings = Settings() if data is None else msgspec.json.decode(data, type=Settings)
        except (HomeError, msgspec.DecodeError, UnicodeDecodeError) as error:
            _log.warning("the limits kept in the home cannot be read (%s): there are none", error)
            return Settings()
        return settings if problem_with(settings) is None else Settings()
