"""What is in a folder, for comparing: every path with its kind, content, executable bit and modification time.

Owns reading it; never looks into the folder's private directory.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from protocol.names import PRIVATE

_PIECE_BYTES = 4 << 20


@dataclass(frozen=True)
class Fact:
    """One path. `content` is a file's hash or a link's target; times and the bit are those of files."""

    kind: str
    content: str = ""
    executable: bool = False
    mtime_ns: int = 0


def facts_of(folder: Path) -> dict[str, Fact]:
    """Every path below a folder."""
    facts: dict[str, Fact] = {}
    waiting = [(folder, "")]
    while waiting:
        directory, prefix = waiting.pop()
        with os.scandir(directory) as listing:
            for entry in listing:
                path = prefix + entry.name
                if path == PRIVATE:
                    continue
                if entry.is_symlink():
                    facts[path] = Fact("symlink", os.readlink(entry.path))
                elif entry.is_dir(follow_symlinks=False):
                    facts[path] = Fact("directory")
                    waiting.append((Path(entry.path), path + "/"))
                else:
                    status = entry.stat(follow_symlinks=False)
                    executable = bool(status.st_mode & 0o100)
                    facts[path] = Fact("file", _hash(entry.path), executable, status.st_mtime_ns)
    return facts


def differences(one: dict[str, Fact], other: dict[str, Fact]) -> list[str]:
    """What the two do not agree about, a line each."""
    return [
        f"{path}: {one.get(path)} / {other.get(path)}"
        for path in sorted(one.keys() | other.keys())
        if one.get(path) != other.get(path)
    ]


def _hash(path: str) -> str:
    hasher = blake3()
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(_PIECE_BYTES):
            hasher.update(piece)
    return hasher.hexdigest()
