"""The merge table as edits: what two devices do to one directory without knowing of each other, and what comes of it.

`early` reaches the journal first. All that `late` writes was last changed on `DAY`, so that the names of its
conflicted copies are known.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.common.fleet import copy_name

DAY_S = 1_614_816_000
"""2021-03-04."""
BASE_S = DAY_S - 1_000_000
"""When all that both devices know was last changed: 2021-02-20."""

Contents = dict[str, bytes | None]


@dataclass(frozen=True)
class Row:
    """One story. `expected` gives what is there at last, given what the late device is called."""

    name: str
    base: Callable[[Path], None]
    early: Callable[[Path], None]
    late: Callable[[Path], None]
    expected: Callable[[str], Contents]


def nothing(_: Path) -> None:
    """No edit."""


def put(name: str, data: bytes, *, executable: bool | None = None) -> Callable[[Path], None]:
    """Write a file in place; missing directories are made."""

    def edit(at: Path) -> None:
        path = at / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        if executable is not None:
            path.chmod(0o755 if executable else 0o644)
        os.utime(path, (DAY_S, DAY_S))

    return edit


def save(name: str, data: bytes) -> Callable[[Path], None]:
    """Write a file as editors do: a new one, renamed over the old one."""

    def edit(at: Path) -> None:
        path = at / name
        fresh = path.with_name(".saving")
        fresh.write_bytes(data)
        os.utime(fresh, (DAY_S, DAY_S))
        fresh.rename(path)

    return edit


def directory(name: str) -> Callable[[Path], None]:
    """Make a directory."""
    return lambda at: (at / name).mkdir(parents=True)


def move(old: str, new: str) -> Callable[[Path], None]:
    """Rename; missing directories are made."""

    def edit(at: Path) -> None:
        (at / new).parent.mkdir(parents=True, exist_ok=True)
        (at / old).rename(at / new)

    return edit


def remove(name: str) -> Callable[[Path], None]:
    """Delete a file, or a directory with all in it."""

    def edit(at: Path) -> None:
        path = at / name
        if path.is_dir() and not path.is_symlink():
            for below in sorted(path.rglob("*"), reverse=True):
                below.rmdir() if below.is_dir() and not below.is_symlink() else below.unlink()
            path.rmdir()
        else:
            path.unlink()

    return edit


def link(name: str, target: str) -> Callable[[Path], None]:
    """Make a symbolic link, in the place of one."""

    def edit(at: Path) -> None:
        (at / name).unlink(missing_ok=True)
        (at / name).symlink_to(target)

    return edit


def mode(name: str, bits: int) -> Callable[[Path], None]:
    """Change permissions."""
    return lambda at: (at / name).chmod(bits)


def touch(name: str, time_s: int) -> Callable[[Path], None]:
    """Change the modification time."""
    return lambda at: os.utime(at / name, (time_s, time_s))


def several(*edits: Callable[[Path], None]) -> Callable[[Path], None]:
    """One after the other."""

    def edit(at: Path) -> None:
        for one in edits:
            one(at)

    return edit


def just(contents: Contents) -> Callable[[str], Contents]:
    """The same whoever is late."""
    return lambda late: contents


def both(name: str, early: bytes, late: bytes, time_s: int = DAY_S, **others: bytes) -> Callable[[str], Contents]:
    """Both kept: the early one at the name, the late one as a conflicted copy."""
    return lambda device: {name: early, copy_name(name, device, time_s): late, **others}


F = put("f.txt", b"base")
D = several(put("d/x", b"x"), put("d/y", b"y"))
# What has another file's name is that file, edited: an exchange of names is two edits.
SWAP = several(move("a", "t"), move("b", "a"), move("t", "b"))
ROTATE = several(move("a", "t"), move("c", "a"), move("b", "c"), move("t", "b"))
AB = several(put("a", b"a"), put("b", b"b"))
ABC = several(AB, put("c", b"c"))

ROWS = [
    Row("nothing", F, nothing, nothing, just({"f.txt": b"base"})),
    Row("an edit", F, put("f.txt", b"new"), nothing, just({"f.txt": b"new"})),
    Row("a late edit", F, nothing, put("f.txt", b"new"), just({"f.txt": b"new"})),
    Row("equal edits", F, put("f.txt", b"new"), put("f.txt", b"new"), just({"f.txt": b"new"})),
    Row("equal edits, saved otherwise", F, put("f.txt", b"new"), save("f.txt", b"new"), just({"f.txt": b"new"})),
    Row("two edits", F, put("f.txt", b"early"), put("f.txt", b"late"), both("f.txt", b"early", b"late")),
    Row("two saves", F, save("f.txt", b"early"), save("f.txt", b"late"), both("f.txt", b"early", b"late")),
    Row("two edits, one empty", F, put("f.txt", b""), put("f.txt", b"late"), both("f.txt", b"", b"late")),
    Row(
        "two edits of a name without extension",
        put("Makefile", b"base"),
        put("Makefile", b"early"),
        put("Makefile", b"late"),
        both("Makefile", b"early", b"late"),
    ),
    Row("two moves", F, move("f.txt", "e.txt"), move("f.txt", "l.txt"), just({"e.txt": b"base"})),
    Row("equal moves", F, move("f.txt", "n.txt"), move("f.txt", "n.txt"), just({"n.txt": b"base"})),
    Row("a move, an edit", F, move("f.txt", "n.txt"), put("f.txt", b"late"), just({"n.txt": b"late"})),
    Row("an edit, a move", F, put("f.txt", b"early"), move("f.txt", "n.txt"), just({"n.txt": b"early"})),
    Row(
        "a move with an edit, an edit",
        F,
        several(move("f.txt", "n.txt"), put("n.txt", b"early")),
        put("f.txt", b"late"),
        both("n.txt", b"early", b"late"),
    ),
    Row("executable, edited", F, mode("f.txt", 0o755), put("f.txt", b"late"), just({"f.txt": b"late"})),
    Row("edited, executable", F, put("f.txt", b"early"), mode("f.txt", 0o755), just({"f.txt": b"early"})),
    Row("executable, touched", F, mode("f.txt", 0o755), touch("f.txt", 1_000_000_000), just({"f.txt": b"base"})),
    Row("touched twice", F, touch("f.txt", 1_000_000_000), touch("f.txt", 1_100_000_000), just({"f.txt": b"base"})),
    Row("touched, moved", F, touch("f.txt", 1_000_000_000), move("f.txt", "n.txt"), just({"n.txt": b"base"})),
    Row("deleted, edited", F, remove("f.txt"), put("f.txt", b"late"), just({"f.txt": b"late"})),
    Row("edited, deleted", F, put("f.txt", b"early"), remove("f.txt"), just({"f.txt": b"early"})),
    Row("deleted, executable", F, remove("f.txt"), mode("f.txt", 0o755), just({})),
    Row("executable, deleted", F, mode("f.txt", 0o755), remove("f.txt"), just({})),
    Row("deleted, touched", F, remove("f.txt"), touch("f.txt", 1_000_000_000), just({})),
    Row("deleted twice", F, remove("f.txt"), remove("f.txt"), just({})),
    Row("deleted, moved", F, remove("f.txt"), move("f.txt", "n.txt"), just({})),
    Row("moved, deleted", F, move("f.txt", "n.txt"), remove("f.txt"), just({})),
    Row("tree deleted, file moved out", D, remove("d"), move("d/x", "x"), just({"x": b"x"})),
    Row("file moved out, tree deleted", D, move("d/x", "x"), remove("d"), just({"x": b"x"})),
    Row("tree deleted, file edited", D, remove("d"), put("d/x", b"late"), just({"d": None, "d/x": b"late"})),
    Row("file edited, tree deleted", D, put("d/x", b"early"), remove("d"), just({"d": None, "d/x": b"early"})),
    Row("tree deleted, file made", D, remove("d"), put("d/z", b"z"), just({"d": None, "d/z": b"z"})),
    Row("file made, tree deleted", D, put("d/z", b"z"), remove("d"), just({"d": None, "d/z": b"z"})),
    Row(
        "tree deleted, file moved in",
        several(D, put("o", b"o")),
        remove("d"),
        move("o", "d/o"),
        just({"d": None, "d/o": b"o"}),
    ),
    Row(
        "file moved in, tree deleted",
        several(D, put("o", b"o")),
        move("o", "d/o"),
        remove("d"),
        just({"d": None, "d/o": b"o"}),
    ),
    Row(
        "tree deleted, directory made",
        D,
        remove("d"),
        directory("d/sub/deep"),
        just({"d": None, "d/sub": None, "d/sub/deep": None}),
    ),
    Row("tree deleted, moved", D, remove("d"), move("d", "n"), just({})),
    Row("tree moved, deleted", D, move("d", "n"), remove("d"), just({})),
    Row(
        "tree moved, file edited",
        D,
        move("d", "n"),
        put("d/x", b"late"),
        just({"n": None, "n/x": b"late", "n/y": b"y"}),
    ),
    Row(
        "file edited, tree moved",
        D,
        put("d/x", b"early"),
        move("d", "n"),
        just({"n": None, "n/x": b"early", "n/y": b"y"}),
    ),
    Row(
        "tree moved, file made",
        D,
        move("d", "n"),
        put("d/z", b"z"),
        just({"n": None, "n/x": b"x", "n/y": b"y", "n/z": b"z"}),
    ),
    Row(
        "file made, tree moved",
        D,
        put("d/z", b"z"),
        move("d", "n"),
        just({"n": None, "n/x": b"x", "n/y": b"y", "n/z": b"z"}),
    ),
    Row("tree moved, file deleted", D, move("d", "n"), remove("d/x"), just({"n": None, "n/y": b"y"})),
    Row("tree moved twice", D, move("d", "e"), move("d", "l"), just({"e": None, "e/x": b"x", "e/y": b"y"})),
    Row("made equal", nothing, put("n.txt", b"same"), put("n.txt", b"same"), just({"n.txt": b"same"})),
    Row("made empty", nothing, put("n.txt", b""), put("n.txt", b""), just({"n.txt": b""})),
    Row("made different", nothing, put("n.txt", b"early"), put("n.txt", b"late"), both("n.txt", b"early", b"late")),
    Row(
        "trees of one name made",
        nothing,
        several(put("d/e", b"e"), put("d/both", b"early"), put("d/same", b"same")),
        several(put("d/l", b"l"), put("d/both", b"late"), put("d/same", b"same")),
        lambda late: {
            "d": None,
            "d/e": b"e",
            "d/l": b"l",
            "d/both": b"early",
            copy_name("d/both", late, DAY_S): b"late",
            "d/same": b"same",
        },
    ),
    Row(
        "moved to a name, made there", F, move("f.txt", "n.txt"), put("n.txt", b"late"), both("n.txt", b"base", b"late")
    ),
    Row(
        "made at a name, moved there",
        F,
        put("n.txt", b"early"),
        move("f.txt", "n.txt"),
        both("n.txt", b"early", b"base", BASE_S),
    ),
    Row("two moved to a name", AB, move("a", "n"), move("b", "n"), both("n", b"a", b"b", BASE_S)),
    Row(
        "one into the other, and the reverse",
        several(put("a/x", b"x"), put("b/y", b"y")),
        move("a", "b/a"),
        move("b", "a/b"),
        just({"b": None, "b/y": b"y", "b/a": None, "b/a/x": b"x"}),
    ),
    Row("swapped", AB, SWAP, nothing, just({"a": b"b", "b": b"a"})),
    Row("swapped, edited", AB, SWAP, put("a", b"late"), both("a", b"b", b"late", b=b"a")),
    Row("edited, swapped", AB, put("a", b"early"), SWAP, both("a", b"early", b"b", BASE_S, b=b"a")),
    Row("swapped twice", AB, SWAP, SWAP, just({"a": b"b", "b": b"a"})),
    Row("rotated", ABC, ROTATE, nothing, just({"a": b"c", "b": b"a", "c": b"b"})),
    Row("rotated late", ABC, nothing, ROTATE, just({"a": b"c", "b": b"a", "c": b"b"})),
    Row("rotated, edited", ABC, ROTATE, put("c", b"late"), both("c", b"b", b"late", a=b"c", b=b"a")),
    Row(
        "directories swapped",
        several(put("a/x", b"x"), put("b/y", b"y")),
        SWAP,
        put("a/z", b"z"),
        just({"a": None, "a/y": b"y", "a/z": b"z", "b": None, "b/x": b"x"}),
    ),
    Row(
        "file becomes directory",
        F,
        several(remove("f.txt"), put("f.txt/in", b"in")),
        nothing,
        just({"f.txt": None, "f.txt/in": b"in"}),
    ),
    Row("directory becomes file", D, several(remove("d"), put("d", b"file")), nothing, just({"d": b"file"})),
    Row("directory becomes file late", D, nothing, several(remove("d"), put("d", b"file")), just({"d": b"file"})),
    Row("link retargeted", link("l", "here"), link("l", "there"), nothing, just({"l": b"-> there"})),
    Row("links equal", nothing, link("l", "there"), link("l", "there"), just({"l": b"-> there"})),
    Row("link becomes file", link("l", "here"), several(remove("l"), put("l", b"file")), nothing, just({"l": b"file"})),
    Row("empty directory made twice", nothing, directory("e"), directory("e"), just({"e": None})),
    Row("empty directory deleted, made again", directory("e"), remove("e"), nothing, just({})),
    Row(
        "empty directory filled, deleted", directory("e"), put("e/x", b"x"), remove("e"), just({"e": None, "e/x": b"x"})
    ),
    Row(
        "odd names",
        put("-rf", b"dash"),
        several(put(" lead and trail ", b"1"), put("a  b\u00a0c", b"2"), put("e\u0301", b"3")),
        several(move("-rf", "--help"), put("'quo\"te", b"4"), put("\u65e5\u672c", b"5")),
        just(
            {
                "--help": b"dash",
                " lead and trail ": b"1",
                "a  b\u00a0c": b"2",
                "\u00e9": b"3",
                "'quo\"te": b"4",
                "\u65e5\u672c": b"5",
            }
        ),
    ),
]
