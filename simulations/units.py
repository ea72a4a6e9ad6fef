"""Units in which stories are told: times in seconds, rates in bytes a second, sizes in bytes."""

from typing import Final

KB: Final = 1_000
MB: Final = 1_000_000
GB: Final = 1_000_000_000


def seconds(count: float) -> float:
    """So many seconds."""
    return float(count)


def minutes(count: float) -> float:
    """In seconds."""
    return count * 60.0


def hours(count: float) -> float:
    """In seconds."""
    return count * 3600.0


def days(count: float) -> float:
    """In seconds."""
    return count * 86_400.0


def kbit(count: float) -> float:
    """Kilobits a second, in bytes a second."""
    return count * 125.0


def mbit(count: float) -> float:
    """Megabits a second, in bytes a second."""
    return count * 125_000.0
