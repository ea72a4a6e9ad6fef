"""Names in `.shoal/swap` that say what lies there.

A crash may leave a file in the swap directory at any step. Its name carries what the step knew:
the state of the bytes that were to go in, the state of those that were to come out, and the name
under which the latter were to be held. So the next start can tell our own bytes, and bytes that
are known elsewhere, from somebody's edit. Pure.

    TOKEN . n INODE SIZE MTIME . o INODE SIZE MTIME . HOLD
"""

import re
from typing import Literal

from peer.fingerprint import DiskKind, Fingerprint, Status

_STATE = r"(?:(-?[0-9a-f]+)_(-?[0-9a-f]+)_(-?[0-9a-f]+))?"
_NAME = re.compile(rf"[0-9a-f]+\.n{_STATE}\.o{_STATE}\.([0-9a-z]*)", re.ASCII)

HOLD_NAME = re.compile(r"[0-9a-z]{1,64}", re.ASCII)
"""What a name in `held` may look like."""

Verdict = Literal["new", "old", "unknown"]


def _write_state(state: Fingerprint | None) -> str:
    if state is None:
        return ""
    return f"{state.inode:x}_{state.size:x}_{state.mtime_ns:x}"


def make_swap_name(token: str, new: Fingerprint | None, old: Fingerprint | None, hold: str | None) -> str:
    """Return the name for a swap of `new` against `old`."""
    if hold is not None and not HOLD_NAME.fullmatch(hold):
        raise ValueError(f"not a name to hold a file under: {hold!r}")
    return f"{token}.n{_write_state(new)}.o{_write_state(old)}.{hold or ''}"


def read_swap_name(name: str, found: Status) -> tuple[Verdict, str | None]:
    """Say which of the two states of the swap `found` is, and the name to hold the old one under.

    Directories and whatever is neither are `unknown`.
    """
    match = _NAME.fullmatch(name)
    if match is None or found.kind not in (DiskKind.FILE, DiskKind.SYMLINK):
        return "unknown", None
    state = found.fingerprint
    text = (f"{state.inode:x}", f"{state.size:x}", f"{state.mtime_ns:x}")
    if text == match.group(1, 2, 3):
        return "new", None
    if text == match.group(4, 5, 6):
        return "old", match.group(7) or None
    return "unknown", None
