"""A20, bounds: what programs hold at a time has a limit, and at rest nothing is left of what they did."""

from typing import Final

MOST_HANDLES: Final = 600
"""Open files and directories of one program: twice the directories that one batch keeps open, and some files."""
HANDLES_AT_REST: Final = 40
TASKS_AT_REST: Final = 60
"""For each program of a world, the coordinator among them,"""
TASKS_A_LINK: Final = 14
"""and for each two devices, which may have a link on the LAN."""


def too_many_handles(device: str, handles: int) -> str | None:
    """The broken promise of a program that has so many open."""
    return f"A20 bounds: {device} has {handles} files open" if handles > MOST_HANDLES else None


def left_over(handles: dict[str, int], tasks: int) -> list[str]:
    """What is too much at rest: each device's open files, and the tasks of the whole world."""
    wrong = [
        f"A20 bounds: {name} has {count} files open at rest"
        for name, count in handles.items()
        if count > HANDLES_AT_REST
    ]
    most = TASKS_AT_REST * (len(handles) + 1) + TASKS_A_LINK * (len(handles) * (len(handles) - 1) // 2)
    if tasks > most:
        wrong.append(f"A20 bounds: there are {tasks} tasks at rest, where {most} would be many")
    return wrong
