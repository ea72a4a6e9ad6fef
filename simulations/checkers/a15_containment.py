"""A15, containment: a program changes nothing outside of its synced folders and their private directories."""

from simulations.checkers.disk_calls import DiskCall, Place


def escaped(call: DiskCall) -> str | None:
    """The broken promise, if the call breaks it."""
    for name in call.names:
        if name.place is Place.OUTSIDE:
            return f"A15 containment: {call.device} does {call.call} at {name.path}"
    return None
