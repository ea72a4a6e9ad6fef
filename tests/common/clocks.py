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


class Jumping:
    """A clock that is put forward and back while programs run; waiting takes as long as ever."""

    def __init__(self, place: Path) -> None:
        self._file = place / "clock"
        self.put("+0")
        self.env = {
            "LD_PRELOAD": str(find_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            **_KEPT,
        }

    def put(self, by: str) -> None:
        """From now on it is wrong by this, by `-10y` say."""
        new = self._file.with_name("clock to be")
        new.write_text(by + "\n")
        new.replace(self._file)
