"""Other clocks for programs under test, by libfaketime (Debian: `faketime`). Owns how it is asked for."""

from pathlib import Path

_PLACES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib64/faketime/libfaketimeMT.so.1")
_KEPT = {"NO_FAKE_STAT": "1"}
"""Times of files are the disk's."""


def find_library() -> Path | None:
    """Where it is, if it is there."""
    for place in _PLACES:
        for path in Path("/").glob(place.removeprefix("/")):
            return path
    return None


def hurried(times: int) -> dict[str, str]:
    """An environment in which all time, waiting too, passes so much faster; where that cannot be had, an ordinary one.

    What takes 20 s then takes a fraction of it, and no program has to know.
    """
    library = find_library()
    return {} if library is None else {"LD_PRELOAD": str(library), "FAKETIME": f"+0 x{times}", **_KEPT}


def shifted(by: str) -> dict[str, str]:
    """An environment in which the clock is wrong, by `-10y` say; waiting takes as long as ever."""
    return {"LD_PRELOAD": str(find_library()), "FAKETIME": by, **_KEPT}
