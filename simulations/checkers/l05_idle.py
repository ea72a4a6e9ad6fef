"""L5, idle is idle: while nobody does anything nothing is committed or written, and next to nothing is sent."""

from dataclasses import dataclass
from typing import Final

BYTES_PER_DEVICE_S: Final = 200.0
"""Keep-alives and questions after news, in both directions, with all that HTTP adds."""


@dataclass(frozen=True)
class Activity:
    """What has been done in a world so far."""

    rows: int
    """Of all journals."""
    changes: dict[str, int]
    """Calls that changed something at places of people's, by device."""
    carried: int
    """Bytes over all lines."""


def busy(before: Activity, after: Activity, seconds: float) -> list[str]:
    """What was done in so many seconds in which nobody did anything."""
    wrong: list[str] = []
    if after.rows != before.rows:
        wrong.append(f"L5 not idle: {after.rows - before.rows} commits while nobody does anything")
    for device, count in after.changes.items():
        done = count - before.changes.get(device, 0)
        if done:
            wrong.append(f"L5 not idle: {device} changes {done} things of people's while nobody does anything")
    carried = after.carried - before.carried
    if carried > BYTES_PER_DEVICE_S * seconds * max(1, len(after.changes)):
        wrong.append(f"L5 not idle: {carried} bytes are sent in {seconds:.0f} s while nobody does anything")
    return wrong
