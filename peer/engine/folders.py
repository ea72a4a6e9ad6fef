"""Which folders may be synced. Owns the rule against overlaps; looks, never changes anything but making the folder."""

from collections.abc import Sequence
from pathlib import Path

PRIVATE = ".shoal"


class CannotDo(Exception):
    """What was asked for cannot be done; the text says why and what to do."""


def check_folder(folder: Path, home: Path, taken: Sequence[Path], *, make: bool = False) -> Path:
    """The folder as an absolute path, if it may become a synced one. Raises `CannotDo`."""
    if make:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CannotDo(f"{folder} cannot be made ({error.strerror}): choose another folder") from None
    try:
        path = folder.resolve(strict=True)
    except OSError as error:
        raise CannotDo(f"{folder} cannot be used ({error.strerror}): make it first") from None
    if not path.is_dir():
        raise CannotDo(f"{path} is not a folder: name one")
    for other in taken:
        if path == other:
            raise CannotDo(f"{path} is synced already, as {other}: `shoal unmount` it first")
        if path in other.parents or other in path.parents:
            raise CannotDo(f"{path} overlaps the synced folder {other}: choose another")
    if path == home or path in home.parents or home in path.parents:
        raise CannotDo(f"{path} overlaps the home {home}, which is private: choose another folder")
    for above in path.parents:
        if (above / PRIVATE / "marker").exists():
            raise CannotDo(f"{path} is inside {above}, which is synced (perhaps by another home): choose another")
    return path
