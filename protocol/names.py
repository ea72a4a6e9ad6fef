"""Names of entries, devices and users. Owns which are allowed, and how a second name is made out of one in use.

Every name that came from a network or a disk goes through `name_problem` before anything is done with it. Case is
never touched: names that differ in case are different names. Never looks at a disk.
"""

import datetime
import re
import unicodedata
from typing import Final

from protocol import limits

PRIVATE: Final = ".shoal"
"""The one name of Shoal's own, reserved in a workspace's root and nowhere else."""
IGNORE_FILE: Final = ".shoalignore"
EXTENSION_BYTES: Final = 32
"""A longer ending is no extension: it is shortened like any other part of a name."""

CONFLICT_MARK: Final = "'s conflicted copy "
"""What is in the name of every conflicted copy, between the device's name and the date."""

_NS_PER_DAY: Final = 86_400 * 10**9
_JOINERS: Final = frozenset("\u200d\ufe0e\ufe0f")
_CONFLICTED: Final = re.compile(
    rf"(.+) \(.+{CONFLICT_MARK}[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}\)(?:-[0-9]+)?(\.[^.]+)?", re.DOTALL
)


def nfc(name: str) -> str:
    """The form of a name that is stored, hashed and compared (Unicode normalisation form C)."""
    return unicodedata.normalize("NFC", name)


def name_problem(name: str, *, at_root: bool) -> str | None:
    """Why an entry may not have this name, in a few words that do not repeat it; None where it may.

    `at_root` says that the entry's parent is the workspace's root. This is the only judge of names.
    """
    try:
        raw = name.encode("utf-8")
    except UnicodeEncodeError:
        return "is not valid text"
    if not raw:
        return "is empty"
    if len(raw) > limits.NAME_BYTES:
        return f"is longer than {limits.NAME_BYTES} bytes"
    if name in (".", ".."):
        return "is a relative path"
    if "/" in name:
        return "contains a path separator"
    if any(unicodedata.category(character) == "Cc" for character in name):
        return "contains a control character"
    if not unicodedata.is_normalized("NFC", name):
        return "is not in Unicode normalisation form C"
    if at_root and name == PRIVATE:
        return "is reserved"
    return None


def device_name_problem(name: str) -> str | None:
    """Why a device may not have this name; None where it may. Letters, digits, spaces, `-` and `_`, in NFC."""
    if not 1 <= len(name) <= limits.DEVICE_NAME_CHARS:
        return f"is not 1 to {limits.DEVICE_NAME_CHARS} characters long"
    if any(not (character.isalnum() or character in " -_") for character in name):
        return "has characters other than letters, digits, spaces, - and _"
    return _plain_problem(name)


def user_name_problem(name: str) -> str | None:
    """Why a user may not have this name; None where they may. As for devices, and also `.`, `@`, `+` and `'`."""
    if not 1 <= len(name) <= limits.USER_NAME_CHARS:
        return f"is not 1 to {limits.USER_NAME_CHARS} characters long"
    if any(not (character.isalnum() or character in " -_.@+'") for character in name):
        return "has characters other than letters, digits, spaces and - _ . @ + '"
    return _plain_problem(name)


def _plain_problem(name: str) -> str | None:
    if name != name.strip(" "):
        return "begins or ends with a space"
    if not unicodedata.is_normalized("NFC", name):
        return "is not in Unicode normalisation form C"
    return None


def utc_date(mtime_ns: int) -> str:
    """The UTC date of a time in nanoseconds since 1970, as `YYYY-MM-DD`."""
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=mtime_ns // _NS_PER_DAY)).isoformat()


def conflict_name(name: str, device: str, date: str, n: int = 1, *, directory: bool = False) -> str:
    """The `n`-th name to try for a conflicted copy: `stem (DEVICE's conflicted copy DATE).ext`, then `…DATE)-2.ext`."""
    return _marked(name, f" ({device}{CONFLICT_MARK}{date})", n, directory)


def is_conflict_name(name: str) -> bool:
    """Whether a name is one that `conflict_name` makes. A copy that was given another name is no conflict any more."""
    return conflicted_from(name) is not None


def resolved_name(name: str, n: int = 1, *, directory: bool = False) -> str:
    """The `n`-th name to try for a conflicted copy that is to stay: as it was, but for being called conflicted."""
    plain = name.replace(CONFLICT_MARK, "'s copy ")
    if n == 1:
        return plain
    stem, extension = split_extension(plain, directory=directory)
    return f"{stem}-{n}{extension}"


def conflicted_from(name: str) -> str | None:
    """The name to which one gave way that is called a conflicted copy (shortened if that was); None for others."""
    found = _CONFLICTED.fullmatch(name)
    return None if found is None else found[1] + (found[2] or "")


def twin_name(name: str, n: int = 1, *, directory: bool = False) -> str:
    """The `n`-th name to try for one of two disk names that are one name in NFC."""
    return _marked(name, " (Unicode twin)", n, directory)


def restored_name(name: str, n: int = 1, *, directory: bool = False) -> str:
    """The `n`-th name to try for something restored whose own name is in use."""
    return _marked(name, " (restored)", n, directory)


def numbered_device_name(name: str, n: int) -> str:
    """The `n`-th name to try for a device: the name itself, then `name-2`, `name-3` …, within the bound."""
    suffix = f"-{n}" if n > 1 else ""
    return name[: limits.DEVICE_NAME_CHARS - len(suffix)].rstrip(" ") + suffix


def split_extension(name: str, *, directory: bool = False) -> tuple[str, str]:
    """Stem and extension with its dot. A directory has no extension, nor has a name that begins with its only dot."""
    stem, dot, ending = name.rpartition(".")
    extension = dot + ending
    if directory or not stem.strip(".") or not ending or len(extension.encode()) > EXTENSION_BYTES:
        return name, ""
    return stem, extension


def _marked(name: str, mark: str, n: int, directory: bool) -> str:
    """The name with `mark` and number before its extension; the stem is shortened so that the whole stays in bounds."""
    assert n >= 1
    stem, extension = split_extension(nfc(name), directory=directory)
    mark = nfc(mark) + (f"-{n}" if n > 1 else "")
    room = limits.NAME_BYTES - len(mark.encode()) - len(extension.encode())
    return nfc(_shortened(stem, room) + mark + extension)


def _shortened(stem: str, room_bytes: int) -> str:
    """The longest beginning of at most `room_bytes` that does not end inside a character and its combining marks."""
    if len(stem.encode()) <= room_bytes:
        return stem
    kept = stem.encode()[:room_bytes].decode(errors="ignore")
    whole = kept
    while whole and _continues(stem[len(whole)], whole[-1]):
        whole = whole[:-1]
    return (whole or kept).rstrip(" ") or kept


def _continues(following: str, before: str) -> bool:
    return unicodedata.combining(following) != 0 or following in _JOINERS or before == "\u200d"
