"""The merge table as edits: what two devices do to one directory without knowing of each other, and what comes of it.

Each row of the table has a name and its cases. `early` reaches the journal first. All that `late` writes was last
changed on `DAY_S`, so that the names of its conflicted copies are known; those of directories bear the day of the test.
"""

from tests.common.fleet import copy_name
from tests.e2e.sync.cases import TODAY, Case, both, directories, just
from tests.e2e.sync.edits import (
    BASE_S,
    DAY_S,
    directory,
    link,
    mode,
    move,
    nothing,
    put,
    remove,
    save,
    several,
    touch,
)

X = frozenset({"f.txt"})
F = put("f.txt", b"base")
D = several(put("d/x", b"x"), put("d/y", b"y"))
E = several(put("d/e/x", b"x"), put("d/e/y", b"y"), put("d/z", b"z0"))
SWAP = several(move("a", "t"), move("b", "a"), move("t", "b"))
ROTATE = several(move("a", "t"), move("c", "a"), move("b", "c"), move("t", "b"))
AB = several(put("a", b"a"), put("b", b"b"))
ABC = several(AB, put("c", b"c"))
DIRECTORIES = several(put("a/x", b"x"), put("b/y", b"y"))
NEW = just({"f.txt": b"new"})

TABLE: dict[str, list[Case]] = {
    "unchanged and unchanged": [Case("nothing", F, nothing, nothing, just({"f.txt": b"base"}))],
    "changed there, unchanged here": [
        Case("an edit", F, put("f.txt", b"new"), nothing, NEW),
        Case("swapped", AB, SWAP, nothing, just({"a": b"b", "b": b"a"})),
        Case("rotated", ABC, ROTATE, nothing, just({"a": b"c", "b": b"a", "c": b"b"})),
        Case("link retargeted", link("l", "here"), link("l", "there"), nothing, just({"l": b"-> there"})),
        Case("empty directory deleted", directory("e"), remove("e"), nothing, just({})),
    ],
    "unchanged there, changed here": [
        Case("a late edit", F, nothing, put("f.txt", b"new"), NEW),
        Case("rotated late", ABC, nothing, ROTATE, just({"a": b"c", "b": b"a", "c": b"b"})),
        Case("executable late", F, nothing, mode("f.txt", 0o755), just({"f.txt": b"base"}), executable=X),
        Case("tree deleted late", E, nothing, remove("d"), just({})),
    ],
    "the same value on both sides": [
        Case("equal edits", F, put("f.txt", b"new"), put("f.txt", b"new"), NEW),
        Case("equal edits, saved otherwise", F, put("f.txt", b"new"), save("f.txt", b"new"), NEW),
        Case("equal moves", F, move("f.txt", "n.txt"), move("f.txt", "n.txt"), just({"n.txt": b"base"})),
        Case("deleted twice", F, remove("f.txt"), remove("f.txt"), just({})),
        Case("trees deleted twice", E, remove("d"), remove("d"), just({})),
        Case("swapped twice", AB, SWAP, SWAP, just({"a": b"b", "b": b"a"})),
    ],
    "content and content": [
        Case(
            "two edits",
            F,
            put("f.txt", b"early"),
            put("f.txt", b"late"),
            both("f.txt", b"early", b"late"),
            both("f.txt", b"late", b"early"),
        ),
        Case(
            "two saves",
            F,
            save("f.txt", b"early"),
            save("f.txt", b"late"),
            both("f.txt", b"early", b"late"),
            both("f.txt", b"late", b"early"),
        ),
        Case(
            "two edits, one empty",
            F,
            put("f.txt", b""),
            put("f.txt", b"late"),
            both("f.txt", b"", b"late"),
            both("f.txt", b"late", b""),
        ),
        Case(
            "two edits of a name without extension",
            put("Makefile", b"base"),
            put("Makefile", b"early"),
            put("Makefile", b"late"),
            both("Makefile", b"early", b"late"),
            both("Makefile", b"late", b"early"),
        ),
        Case(
            "a move with an edit, an edit",
            F,
            several(move("f.txt", "n.txt"), put("n.txt", b"early")),
            put("f.txt", b"late"),
            both("n.txt", b"early", b"late"),
            both("n.txt", b"late", b"early"),
            unseen=just({"f.txt": b"late", "n.txt": b"early"}),
        ),
    ],
    "place and place": [
        Case(
            "two moves",
            F,
            move("f.txt", "e.txt"),
            move("f.txt", "l.txt"),
            just({"e.txt": b"base"}),
            just({"l.txt": b"base"}),
        ),
        Case(
            "tree moved twice",
            D,
            move("d", "e"),
            move("d", "l"),
            just({"e": None, "e/x": b"x", "e/y": b"y"}),
            just({"l": None, "l/x": b"x", "l/y": b"y"}),
        ),
    ],
    "place and content": [
        Case("a move, an edit", F, move("f.txt", "n.txt"), put("f.txt", b"late"), just({"n.txt": b"late"})),
        Case("an edit, a move", F, put("f.txt", b"early"), move("f.txt", "n.txt"), just({"n.txt": b"early"})),
        Case(
            "tree moved, file edited",
            D,
            move("d", "n"),
            put("d/x", b"late"),
            just({"n": None, "n/x": b"late", "n/y": b"y"}),
        ),
        Case(
            "file edited, tree moved",
            D,
            put("d/x", b"early"),
            move("d", "n"),
            just({"n": None, "n/x": b"early", "n/y": b"y"}),
        ),
        Case(
            "tree moved, file made",
            D,
            move("d", "n"),
            put("d/z", b"z"),
            just({"n": None, "n/x": b"x", "n/y": b"y", "n/z": b"z"}),
        ),
        Case(
            "file made, tree moved",
            D,
            put("d/z", b"z"),
            move("d", "n"),
            just({"n": None, "n/x": b"x", "n/y": b"y", "n/z": b"z"}),
        ),
        Case("tree moved, file deleted", D, move("d", "n"), remove("d/x"), just({"n": None, "n/y": b"y"})),
        Case(
            "directories swapped",
            DIRECTORIES,
            SWAP,
            put("a/z", b"z"),
            just({"a": None, "a/y": b"y", "b": None, "b/x": b"x", "b/z": b"z"}),
        ),
        Case("swapped, edited", AB, SWAP, put("a", b"new"), just({"a": b"b", "b": b"new"})),
        Case("edited, swapped", AB, put("a", b"new"), SWAP, just({"a": b"b", "b": b"new"})),
        Case("rotated, edited", ABC, ROTATE, put("c", b"new"), just({"a": b"new", "b": b"a", "c": b"b"})),
    ],
    "attributes and anything but deletion": [
        Case("executable, edited", F, mode("f.txt", 0o755), put("f.txt", b"new"), NEW, executable=X),
        Case("edited, executable", F, put("f.txt", b"new"), mode("f.txt", 0o755), NEW, executable=X),
        Case(
            "executable, touched",
            F,
            mode("f.txt", 0o755),
            touch("f.txt", 1_000_000_000),
            just({"f.txt": b"base"}),
            executable=X,
        ),
        Case(
            "touched twice", F, touch("f.txt", 1_000_000_000), touch("f.txt", 1_100_000_000), just({"f.txt": b"base"})
        ),
        Case("touched, moved", F, touch("f.txt", 1_000_000_000), move("f.txt", "n.txt"), just({"n.txt": b"base"})),
        Case("touched, edited", F, touch("f.txt", 1_000_000_000), put("f.txt", b"new"), NEW),
    ],
    "attributes and deletion": [
        Case("deleted, executable", F, remove("f.txt"), mode("f.txt", 0o755), just({})),
        Case("executable, deleted", F, mode("f.txt", 0o755), remove("f.txt"), just({})),
        Case("deleted, touched", F, remove("f.txt"), touch("f.txt", 1_000_000_000), just({})),
        Case("touched, deleted", F, touch("f.txt", 1_000_000_000), remove("f.txt"), just({})),
    ],
    "deletion and edit": [
        Case("deleted, edited", F, remove("f.txt"), put("f.txt", b"new"), NEW),
        Case("edited, deleted", F, put("f.txt", b"new"), remove("f.txt"), NEW),
    ],
    "deletion and move": [
        Case("deleted, moved", F, remove("f.txt"), move("f.txt", "n.txt"), just({})),
        Case("moved, deleted", F, move("f.txt", "n.txt"), remove("f.txt"), just({})),
        Case("tree deleted, moved", D, remove("d"), move("d", "n"), just({})),
        Case("tree moved, deleted", D, move("d", "n"), remove("d"), just({})),
    ],
    "directory deleted, something moved out of it": [
        Case("tree deleted, file moved out", D, remove("d"), move("d/x", "x"), just({"x": b"x"})),
        Case("file moved out, tree deleted", D, move("d/x", "x"), remove("d"), just({"x": b"x"})),
        Case(
            "tree deleted, directory moved out",
            E,
            remove("d"),
            move("d/e", "e"),
            just({"e": None, "e/x": b"x", "e/y": b"y"}),
        ),
        Case(
            "directory moved out, tree deleted",
            E,
            move("d/e", "e"),
            remove("d"),
            just({"e": None, "e/x": b"x", "e/y": b"y"}),
        ),
        Case(
            "file moved up, directory deleted",
            E,
            move("d/e/x", "d/x"),
            remove("d/e"),
            just({"d": None, "d/x": b"x", "d/z": b"z0"}),
        ),
    ],
    "directory deleted, something below it changed": [
        Case("tree deleted, file edited", D, remove("d"), put("d/x", b"new"), just({"d": None, "d/x": b"new"})),
        Case("file edited, tree deleted", D, put("d/x", b"new"), remove("d"), just({"d": None, "d/x": b"new"})),
        Case("tree deleted, file made", D, remove("d"), put("d/z", b"z"), just({"d": None, "d/z": b"z"})),
        Case("file made, tree deleted", D, put("d/z", b"z"), remove("d"), just({"d": None, "d/z": b"z"})),
        Case(
            "tree deleted, file moved in",
            several(D, put("o", b"o")),
            remove("d"),
            move("o", "d/o"),
            just({"d": None, "d/o": b"o"}),
        ),
        Case(
            "file moved in, tree deleted",
            several(D, put("o", b"o")),
            move("o", "d/o"),
            remove("d"),
            just({"d": None, "d/o": b"o"}),
        ),
        Case("tree deleted, file moved within", D, remove("d"), move("d/x", "d/n"), just({"d": None, "d/n": b"x"})),
        Case("file moved within, tree deleted", D, move("d/x", "d/n"), remove("d"), just({"d": None, "d/n": b"x"})),
        Case(
            "tree deleted, directory made",
            D,
            remove("d"),
            directory("d/sub/deep"),
            just({"d": None, "d/sub": None, "d/sub/deep": None}),
        ),
        Case(
            "tree deleted, file edited deep in it",
            E,
            remove("d"),
            put("d/e/x", b"new"),
            just({"d": None, "d/e": None, "d/e/x": b"new"}),
        ),
        Case(
            "file edited deep in a tree, tree deleted",
            E,
            put("d/e/x", b"new"),
            remove("d"),
            just({"d": None, "d/e": None, "d/e/x": b"new"}),
        ),
        Case(
            "empty directory filled, deleted",
            directory("e"),
            put("e/x", b"x"),
            remove("e"),
            just({"e": None, "e/x": b"x"}),
        ),
    ],
    "made on both sides, equal": [
        Case("made equal", nothing, put("n.txt", b"same"), put("n.txt", b"same"), just({"n.txt": b"same"})),
        Case("made empty", nothing, put("n.txt", b""), put("n.txt", b""), just({"n.txt": b""})),
        Case("links equal", nothing, link("l", "there"), link("l", "there"), just({"l": b"-> there"})),
    ],
    "made on both sides, different": [
        Case(
            "made different",
            nothing,
            put("n.txt", b"early"),
            put("n.txt", b"late"),
            both("n.txt", b"early", b"late"),
            both("n.txt", b"late", b"early"),
        ),
        Case("empty directory made twice", nothing, directory("e"), directory("e"), just({"e": None})),
        Case(
            "trees of one name made",
            nothing,
            several(put("d/e", b"e"), put("d/both", b"early"), put("d/same", b"same")),
            several(put("d/l", b"l"), put("d/both", b"late"), put("d/same", b"same")),
            lambda late: {
                "d": None,
                "d/e": b"e",
                "d/l": b"l",
                "d/same": b"same",
                "d/both": b"early",
                copy_name("d/both", late, DAY_S): b"late",
            },
            lambda early: {
                "d": None,
                "d/e": b"e",
                "d/l": b"l",
                "d/same": b"same",
                "d/both": b"late",
                copy_name("d/both", early, DAY_S): b"early",
            },
        ),
    ],
    "two entries at one name": [
        Case(
            "moved to a name, made there",
            F,
            move("f.txt", "n.txt"),
            put("n.txt", b"late"),
            both("n.txt", b"base", b"late"),
            both("n.txt", b"late", b"base", BASE_S),
        ),
        Case(
            "made at a name, moved there",
            F,
            put("n.txt", b"early"),
            move("f.txt", "n.txt"),
            both("n.txt", b"early", b"base", BASE_S),
            both("n.txt", b"base", b"early"),
        ),
        Case(
            "two moved to a name",
            AB,
            move("a", "n"),
            move("b", "n"),
            both("n", b"a", b"b", BASE_S),
            both("n", b"b", b"a", BASE_S),
        ),
        Case(
            "directory made at a name, another moved there",
            D,
            put("n/e", b"e"),
            move("d", "n"),
            directories("n", {"e": b"e"}, {"x": b"x", "y": b"y"}),
            directories("n", {"x": b"x", "y": b"y"}, {"e": b"e"}),
        ),
        Case(
            "directory moved to a name, another made there",
            D,
            move("d", "n"),
            put("n/l", b"l"),
            directories("n", {"x": b"x", "y": b"y"}, {"l": b"l"}),
            directories("n", {"l": b"l"}, {"x": b"x", "y": b"y"}),
        ),
    ],
    "each moved into the other": [
        Case(
            "one into the other, and the reverse",
            DIRECTORIES,
            move("a", "b/a"),
            move("b", "a/b"),
            just({"b": None, "b/y": b"y", "b/a": None, "b/a/x": b"x"}),
            just({"a": None, "a/x": b"x", "a/b": None, "a/b/y": b"y"}),
        ),
    ],
    "a file in the place of a directory, or the reverse": [
        Case(
            "file becomes directory",
            F,
            several(remove("f.txt"), put("f.txt/in", b"in")),
            nothing,
            just({"f.txt": None, "f.txt/in": b"in"}),
        ),
        Case("directory becomes file", D, several(remove("d"), put("d", b"file")), nothing, just({"d": b"file"})),
        Case("directory becomes file late", D, nothing, several(remove("d"), put("d", b"file")), just({"d": b"file"})),
        Case(
            "file becomes directory, edited",
            F,
            several(remove("f.txt"), put("f.txt/in", b"in")),
            put("f.txt", b"late"),
            lambda late: {"f.txt": None, "f.txt/in": b"in", copy_name("f.txt", late, DAY_S): b"late"},
            lambda early: {
                "f.txt": b"late",
                f"f.txt ({early}'s conflicted copy {TODAY})": None,
                f"f.txt ({early}'s conflicted copy {TODAY})/in": b"in",
            },
        ),
        Case(
            "link becomes file",
            link("l", "here"),
            several(remove("l"), put("l", b"file")),
            nothing,
            just({"l": b"file"}),
        ),
    ],
    "names that are odd": [
        Case(
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
    ],
}

CASES = [case for cases in TABLE.values() for case in cases]
