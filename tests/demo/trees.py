"""What is in a folder, to be compared and shown. Reads; never follows a link."""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

PRIVATE = ".shoal"


@dataclass(frozen=True)
class Sight:
    """A file as one look shows it: enough to notice that it changed."""

    kind: str
    size: int
    mtime_ns: int
    inode: int


def look(folder: Path) -> dict[str, Sight]:
    """All there is below a folder, by path; what vanishes meanwhile is left out."""
    found: dict[str, Sight] = {}
    pending = [""]
    while pending:
        below = pending.pop()
        try:
            entries = list(os.scandir(folder / below))
        except FileNotFoundError:
            continue
        for entry in entries:
            path = f"{below}/{entry.name}" if below else entry.name
            if path == PRIVATE:
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            kind = "directory" if stat.S_ISDIR(status.st_mode) else "link" if stat.S_ISLNK(status.st_mode) else "file"
            found[path] = Sight(kind, status.st_size, status.st_mtime_ns, status.st_ino)
            if kind == "directory":
                pending.append(path)
    return found


def contents(folder: Path) -> dict[str, tuple[str, ...]]:
    """All that two devices must agree on: kinds, contents by SHA-256, executable bits, files' times, links' targets."""
    found: dict[str, tuple[str, ...]] = {}
    for path, sight in look(folder).items():
        full = folder / path
        match sight.kind:
            case "directory":
                found[path] = ("directory",)
            case "link":
                found[path] = ("link", os.readlink(full))
            case _:
                with full.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                status = full.stat()
                found[path] = ("file", digest, str(status.st_mode & 0o100), str(status.st_mtime_ns))
    return found


def differences(one: Path, other: Path) -> list[str]:
    """Paths that are not the same in both; none where the trees are equal."""
    left, right = contents(one), contents(other)
    return sorted(path for path in left.keys() | right.keys() if left.get(path) != right.get(path))
