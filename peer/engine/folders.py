"""Which folders may be synced, and by which home one is. Owns the rule against overlaps.

A synced folder names its home in `.shoal/home`, for as long as it is mounted there: other homes on the machine see by
that file that it is taken. A home that is gone takes nothing. Never changes anything else but making the folder.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from peer.disk.root import PRIVATE_NAME
from peer.home import Home

_CLAIM = "home"


class CannotDo(Exception):
    """What was asked for cannot be done; the text says why and what to do."""


def check_folder(folder: Path, home: Home, taken: Sequence[Path], *, make: bool = False) -> Path:
    """The folder as an absolute path, if it may become a synced one; `taken` are this home's. Raises `CannotDo`.

    Looks at every directory below the folder: blocks, for long where there are many.
    """
    above = _nearest(folder)
    _check_overlap(above, above == folder, home, taken)
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
    _check_overlap(path, True, home, taken)
    for directory, names, _ in os.walk(path):
        below = Path(directory)
        if PRIVATE_NAME in names:
            names.remove(PRIVATE_NAME)
            other = claimed_by(below)
            if other not in (None, home.path) and below != path:
                raise CannotDo(f"{path} contains {below}, which the home {other} keeps in step: choose another folder")
        if _is_home(below):
            raise CannotDo(f"{path} contains the home {below}, which is private: choose another folder")
    return path


def _nearest(folder: Path) -> Path:
    """The folder, or what there is above it, as it is really called."""
    path = Path(os.path.abspath(folder))
    while not path.exists() and path != path.parent:
        path = path.parent
    return path.resolve()


def _check_overlap(path: Path, whole: bool, home: Home, taken: Sequence[Path]) -> None:
    """Refuses a path that is, or is below, something taken; and, if it is `whole`, what contains something taken."""
    for other in taken:
        if path == other and whole:
            raise CannotDo(f"{path} is synced already, as {other}: `shoal unmount` it first")
        if path == other or other in path.parents or (whole and path in other.parents):
            raise CannotDo(f"{path} overlaps the synced folder {other}: choose another")
    if path == home.path or home.path in path.parents or (whole and path in home.path.parents):
        raise CannotDo(f"{path} overlaps the home {home.path}, which is private: choose another folder")
    for above in (path, *path.parents):
        owner = claimed_by(above)
        if owner is not None and owner != home.path:
            what = "is" if above == path and whole else f"is inside {above}, which is"
            raise CannotDo(
                f"{path} {what} kept in step by the home {owner} already: choose another, or unmount it there"
            )
        if above != home.path and _is_home(above):
            raise CannotDo(f"{path} is inside the home {above}, which is private: choose another folder")


def _is_home(directory: Path) -> bool:
    home = Home(directory)
    return home.database.is_file() and home.identity.is_file()


def claimed_by(folder: Path) -> Path | None:
    """The home that keeps this folder in step; None where there is none, or it is gone."""
    try:
        said = os.fsdecode((folder / PRIVATE_NAME / _CLAIM).read_bytes())
    except OSError:
        return None
    home = Home(Path(said)) if said.startswith("/") and "\0" not in said else None
    return home.path if home is not None and home.has_joined() else None


def claim(folder: Path, home: Home) -> None:
    """Say that this home keeps the folder in step. Raises `OSError`."""
    path = folder / PRIVATE_NAME / _CLAIM
    path.write_bytes(os.fsencode(home.path))
    path.chmod(0o600)


def release(folder: Path, home: Home) -> None:
    """Say so no longer, if this home did."""
    with contextlib.suppress(OSError):
        if claimed_by(folder) == home.path:
            (folder / PRIVATE_NAME / _CLAIM).unlink()


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold the folder for this process, until it ends if need be. Raises `BlockingIOError` where another does."""
    handle = os.open(folder / PRIVATE_NAME / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


class SystemFolders:
    """The `Folders` port on this machine."""

    def check(self, folder: Path, home: Home, taken: Sequence[Path], *, make: bool) -> Path:
        """See the port. Raises `CannotDo`."""
        return check_folder(folder, home, taken, make=make)

    def claim(self, folder: Path, home: Home) -> None:
        """See the port."""
        claim(folder, home)

    def release(self, folder: Path, home: Home) -> None:
        """See the port."""
        release(folder, home)

    def lock(self, folder: Path) -> contextlib.AbstractContextManager[None]:
        """See the port."""
        return lock(folder)
