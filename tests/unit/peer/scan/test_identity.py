import itertools
import os
import pathlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peer.disk.root import Root
from peer.fingerprint import DiskKind, Fingerprint, Path
from peer.scan.findings import Absent, Finding, Found, Special, Unreadable, WasRead
from peer.scan.identity import Identified, Known, Twin, identify
from peer.scan.ignore import IgnoreRules
from peer.scan.stock import take_stock
from protocol.ids import ROOT, EntryId
from tests.common.disks import hooked, new_root


class Tree:
    """The last local tree, in memory."""

    def __init__(self) -> None:
        self.rows: dict[EntryId, Known] = {}
        self.count = 0

    def fresh(self) -> EntryId:
        self.count += 1
        return EntryId(self.count.to_bytes(16, "big"))

    def entry(self, entry: EntryId) -> Known | None:
        return self.rows.get(entry)

    def named(self, parent: EntryId, name: str) -> Known | None:
        return next((one for one in self.rows.values() if (one.parent, one.name) == (parent, name)), None)

    def children(self, parent: EntryId) -> Iterable[Known]:
        return [one for one in self.rows.values() if one.parent == parent]

    def by_inode(self, device: int, inode: int) -> Sequence[Known]:
        return [one for one in self.rows.values() if (one.fingerprint.device, one.fingerprint.inode) == (device, inode)]

    def apply(self, result: Identified) -> None:
        assert not result.look_at
        for gone in result.vanished:
            del self.rows[gone.entry]
        for one in result.assigned:
            disk_name = one.found.path[-1]
            self.rows[one.entry] = Known(
                one.entry, one.parent, one.name, disk_name, one.found.kind, one.found.fingerprint
            )
        places = [(one.parent, one.name) for one in self.rows.values()]
        assert len(places) == len(set(places))

    def paths(self) -> dict[Path, EntryId]:
        return {self.path(one): one.entry for one in self.rows.values()}

    def path(self, one: Known) -> Path:
        above = self.rows.get(one.parent)
        assert above is not None or one.parent == ROOT
        return (*(self.path(above) if above else ()), one.disk_name)


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "folder"


@pytest.fixture
def root(folder: pathlib.Path) -> Iterator[Root]:
    with new_root(folder) as (root, _):
        yield root


@pytest.fixture
def tree() -> Tree:
    return Tree()


def scan(root: Root, tree: Tree, *paths: str, moved_to: Iterable[str] = ()) -> Identified:
    """Scan everything, or look at single paths."""
    stock = take_stock(
        root,
        tree,
        IgnoreRules(),
        tree.fresh,
        paths=[tuple(path.split("/")) for path in paths],
        subtrees=[] if paths else [()],
        moved_to=frozenset(tuple(path.split("/")) for path in moved_to),
    )
    return stock.identified


def ids_after(root: Root, tree: Tree, *paths: str, moved_to: Iterable[str] = ()) -> dict[Path, EntryId]:
    tree.apply(scan(root, tree, *paths, moved_to=moved_to))
    return tree.paths()


def test_a_saved_file_keeps_its_entry_however_it_was_saved(root: Root, folder: pathlib.Path, tree: Tree) -> None:
    (folder / "a").write_text("1")
    before = ids_after(root, tree)
    (folder / "a").write_text("22")
    assert ids_after(root, tree, "a") == before
    (folder / "a").rename(folder / "a~")
    (folder / "a").write_text("333")
    (folder / "a~").unlink()
    assert ids_after(root, tree, "a", "a~") == before


def test_a_renamed_file_keeps_its_entry_even_if_only_its_new_name_was_looked_at(
    root: Root, folder: pathlib.Path, tree: Tree
) -> None:
    (folder / "d").mkdir()
    (folder / "a").write_text("1")
    entry = ids_after(root, tree)[("a",)]
    (folder / "a").rename(folder / "d/b")
    after = ids_after(root, tree, "d/b")
    assert after[("d", "b")] == entry
    assert ("a",) not in after


def test_a_file_renamed_and_edited_is_the_same_if_the_kernel_said_renamed(
    root: Root, folder: pathlib.Path, tree: Tree
) -> None:
    (folder / "a").write_text("1")
    entry = ids_after(root, tree)[("a",)]
    (folder / "a").rename(folder / "b")
    (folder / "b").write_text("longer")
    assert scan(root, tree).assigned[0].how == "new"
    assert ids_after(root, tree, moved_to=["b"])[("b",)] == entry


def test_a_renamed_directory_is_one_change_whatever_it_holds(root: Root, folder: pathlib.Path, tree: Tree) -> None:
    (folder / "d/e").mkdir(parents=True)
    for number in range(20):
        (folder / f"d/e/{number}").write_text(str(number))
    before = ids_after(root, tree)
    (folder / "d").rename(folder / "n")
    result = scan(root, tree)
    assert [(one.found.path, one.how) for one in result.assigned] == [(("n",), "inode")]
    assert len(result.unchanged) == 21
    assert result.vanished == ()
    tree.apply(result)
    assert tree.paths() == {("n", *path[1:]): entry for path, entry in before.items()}


def test_a_directory_moved_into_a_new_one_is_found_there(root: Root, folder: pathlib.Path, tree: Tree) -> None:
    (folder / "d").mkdir()
    (folder / "d/x").write_text("x")
    before = ids_after(root, tree)
    (folder / "new/deep").mkdir(parents=True)
    (folder / "d").rename(folder / "new/deep/d")
    after = ids_after(root, tree, "new", "d")
    assert after[("new", "deep", "d")] == before[("d",)]
    assert after[("new", "deep", "d", "x")] == before[("d", "x")]


def test_a_new_directory_with_a_used_inode_is_not_the_old_one(tree: Tree) -> None:
    old = Fingerprint(1, 7, 4096, 1000, 1000, False)
    new = Fingerprint(1, 7, 4096, 2000, 2000, False)
    tree.apply(identify(tree, [WasRead(()), Found(("d",), DiskKind.DIRECTORY, old), WasRead(("d",))], tree.fresh))
    result = identify(tree, [WasRead(()), Found(("n",), DiskKind.DIRECTORY, new), WasRead(("n",))], tree.fresh)
    assert [one.how for one in result.assigned] == ["new"]
    assert len(result.vanished) == 1


def test_a_file_that_a_walk_saw_at_two_names_is_looked_for_again_at_the_old_one(tree: Tree) -> None:
    state = Fingerprint(1, 7, 3, 5, 5, False)
    old, new = Found(("a",), DiskKind.FILE, state), Found(("b",), DiskKind.FILE, state)
    tree.apply(identify(tree, [old, WasRead(())], tree.fresh))
    before = tree.paths()[("a",)]
    both: list[Finding] = [old, new, WasRead(())]
    assert identify(tree, both, tree.fresh).look_at == frozenset({("a",)})
    moved = identify(tree, [*both, Absent(("a",))], tree.fresh)
    assert [(one.entry, one.how) for one in moved.assigned] == [(before, "inode")]
    linked = identify(tree, [*both, old], tree.fresh)
    assert [one.how for one in linked.assigned] == ["new"]
    assert not linked.look_at
    assert not linked.vanished


def test_a_directory_is_told_by_its_birth_whatever_became_of_what_was_in_it(tree: Tree) -> None:
    old, renamed = Fingerprint(1, 7, 0, 5, 5, False, 3), Fingerprint(1, 7, 0, 9, 9, False, 3)
    same_inode_and_times = Fingerprint(1, 7, 0, 5, 5, False, 4)

    def look(name: str, state: Fingerprint) -> list[str]:
        findings: list[Finding] = [Found((name,), DiskKind.DIRECTORY, state), WasRead(()), WasRead((name,))]
        result = identify(tree, findings, tree.fresh)
        tree.apply(result)
        return [one.how for one in result.assigned]

    assert look("d", old) == ["new"]
    assert look("renamed", renamed) == ["inode"]
    assert look("another", same_inode_and_times) == ["new"]


@pytest.mark.parametrize("kind", [DiskKind.FILE, DiskKind.DIRECTORY])
def test_a_new_directory_with_used_inodes_and_a_name_in_it_that_there_was_is_not_the_old_one(
    tree: Tree, kind: DiskKind
) -> None:
    def found(name: str, inode: int, mtime_ns: int, kind: DiskKind = DiskKind.DIRECTORY) -> Found:
        return Found(tuple(name.split("/")), kind, Fingerprint(1, inode, 0, mtime_ns, 0, False))

    read: list[Finding] = [WasRead(()), WasRead(("d",)), WasRead(("d", "e"))]
    tree.apply(identify(tree, [found("d", 7, 1), found("d/e", 8, 1), *read], tree.fresh))
    again: list[Finding] = [
        found("n", 7, 2),
        found("n/e", 8, 2, kind),
        WasRead(()),
        WasRead(("n",)),
        WasRead(("n", "e")),
    ]
    result = identify(tree, again, tree.fresh)
    assert [one.how for one in result.assigned] == ["new", "new"]
    assert len(result.vanished) == 2


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c"), ("a", "d/b"), ("d/b", "d/e/c", "a")])
@pytest.mark.parametrize("one_by_one", [False, True])
def test_what_exchanged_names_is_moved(
    root: Root, folder: pathlib.Path, tree: Tree, names: tuple[str, ...], one_by_one: bool
) -> None:
    (folder / "d/e").mkdir(parents=True)
    for name in names:
        (folder / name).write_text(name)
    before = ids_after(root, tree)
    (folder / names[0]).rename(folder / "aside")
    for free, name in itertools.pairwise(names):
        (folder / name).rename(folder / free)
    (folder / "aside").rename(folder / names[-1])
    after = ids_after(root, tree, *((names[0],) if one_by_one else names))
    split = [tuple(name.split("/")) for name in names]
    assert [after[path] for path in split] == [before[path] for path in (*split[1:], split[0])]


def test_directories_that_exchanged_names_are_moved_with_all_that_is_in_them(
    root: Root, folder: pathlib.Path, tree: Tree
) -> None:
    for name in ("a", "b"):
        (folder / name / "deep").mkdir(parents=True)
        (folder / name / "deep/file").write_text(name)
    before = ids_after(root, tree)
    (folder / "a").rename(folder / "aside")
    (folder / "b").rename(folder / "a")
    (folder / "aside").rename(folder / "b")
    result = scan(root, tree, "a", "b")
    assert {(one.entry, one.found.path, one.how) for one in result.assigned} == {
        (before[("a",)], ("b",), "inode"),
        (before[("b",)], ("a",), "inode"),
    }
    tree.apply(result)
    assert tree.paths()[("b", "deep", "file")] == before[("a", "deep", "file")]


def test_what_was_renamed_from_where_nothing_can_be_seen_is_not_new(tree: Tree) -> None:
    state = Fingerprint(1, 7, 3, 5, 5, False)

    def look(*findings: Finding) -> Identified:
        return identify(tree, findings, tree.fresh, frozenset({("b",)}), IgnoreRules().ignores)

    tree.apply(look(Found(("a",), DiskKind.FILE, state), WasRead(())))
    before = tree.paths()
    unsure = look(Unreadable(("a",), "io_error"), Found(("b",), DiskKind.FILE, state))
    assert not unsure.assigned
    assert unsure.unclear == frozenset({("b",)})
    tree.apply(look(Found(("b",), DiskKind.FILE, state), WasRead(())))
    assert tree.paths() == {("b",): before[("a",)]}


def test_of_two_that_exchanged_names_nothing_is_concluded_while_one_cannot_be_looked_at(tree: Tree) -> None:
    def found(name: str, inode: int) -> Found:
        return Found((name,), DiskKind.DIRECTORY, Fingerprint(1, inode, 0, 5, 5, False))

    def look(*findings: Finding) -> Identified:
        return identify(tree, findings, tree.fresh, frozenset({("a",)}), IgnoreRules().ignores)

    tree.apply(look(found("a", 1), found("b", 2), WasRead(())))
    before = tree.paths()
    unsure = look(Unreadable(("a",), "io_error"), found("b", 1))
    assert not unsure.assigned
    assert not unsure.vanished
    assert unsure.unclear == frozenset({("b",)})
    tree.apply(unsure)
    tree.apply(look(found("a", 2), found("b", 1)))
    assert tree.paths() == {("a",): before[("b",)], ("b",): before[("a",)]}


def test_a_file_renamed_over_another_is_that_one_edited(root: Root, folder: pathlib.Path, tree: Tree) -> None:
    (folder / "a").write_text("1")
    (folder / "b").write_text("22")
    before = ids_after(root, tree)
    (folder / "a").rename(folder / "b")
    assert ids_after(root, tree, "a", "b") == {("b",): before[("b",)]}


def test_hard_links_are_entries_of_their_own(root: Root, folder: pathlib.Path, tree: Tree) -> None:
    (folder / "a").write_text("1")
    entry = ids_after(root, tree)[("a",)]
    os.link(folder / "a", folder / "b")
    after = ids_after(root, tree, "b")
    assert after[("a",)] == entry != after[("b",)]
    (folder / "a").unlink()
    (folder / "b").unlink()
    (folder / "c").write_text("1")
    assert set(ids_after(root, tree)) == {("c",)}


def test_a_file_that_became_a_directory_is_another_entry(root: Root, folder: pathlib.Path, tree: Tree) -> None:
    (folder / "a").write_text("1")
    before = ids_after(root, tree)
    (folder / "a").unlink()
    (folder / "a").mkdir()
    (folder / "a/b").write_text("2")
    result = scan(root, tree, "a")
    assert [gone.entry for gone in result.vanished] == [before[("a",)]]
    tree.apply(result)
    assert before[("a",)] not in tree.paths().values()
    assert set(tree.paths()) == {("a",), ("a", "b")}


def test_nothing_vanishes_where_nobody_looked(root: Root, folder: pathlib.Path, tree: Tree) -> None:
    (folder / "d").mkdir()
    (folder / "d/x").touch()
    (folder / "y").touch()
    tree.apply(scan(root, tree))
    shutil.rmtree(folder / "d")
    (folder / "y").unlink()
    assert {gone.name for gone in scan(root, tree, "y").vanished} == {"y"}
    assert {gone.name for gone in scan(root, tree, "d/x").vanished} == {"d", "x"}


@pytest.mark.parametrize(
    "blind",
    [
        [Unreadable(("d",), "denied")],
        [Unreadable(("d",), "other_device")],
        [Special(("d",))],
        [Found(("d",), DiskKind.DIRECTORY, Fingerprint(1, 7, 0, 0, 9, False)), Unreadable(("d",), "io_error")],
    ],
)
def test_what_cannot_be_read_is_unknown(blind: list[Finding], tree: Tree) -> None:
    d = Found(("d",), DiskKind.DIRECTORY, Fingerprint(1, 7, 0, 0, 0, False))
    x = Found(("d", "x"), DiskKind.FILE, Fingerprint(1, 8, 0, 0, 0, False))
    tree.apply(identify(tree, [d, WasRead(()), x, WasRead(("d",))], tree.fresh))
    assert identify(tree, [*blind, WasRead(())], tree.fresh).vanished == ()
    assert len(identify(tree, [Absent(("d",))], tree.fresh).vanished) == 2


def test_a_directory_that_was_moved_and_cannot_be_read_takes_its_content_along(tree: Tree) -> None:
    inode = Fingerprint(1, 7, 0, 5, 0, False)
    x = Found(("d", "x"), DiskKind.FILE, Fingerprint(1, 8, 0, 0, 0, False))
    tree.apply(identify(tree, [Found(("d",), DiskKind.DIRECTORY, inode), WasRead(()), x, WasRead(("d",))], tree.fresh))
    moved: list[Finding] = [Found(("n",), DiskKind.DIRECTORY, inode), WasRead(()), Unreadable(("n",), "denied")]
    result = identify(tree, moved, tree.fresh)
    assert [one.how for one in result.assigned] == ["inode"]
    assert result.vanished == ()


def test_an_entry_that_is_now_ignored_has_not_vanished(root: Root, folder: pathlib.Path, tree: Tree) -> None:
    (folder / "a.log").touch()
    tree.apply(scan(root, tree))
    rules = IgnoreRules()
    rules.put((), "*.log")
    (folder / ".shoalignore").write_text("*.log")
    assert take_stock(root, tree, rules, tree.fresh, subtrees=[()]).identified.vanished == ()
    (folder / "a.log").unlink()
    assert take_stock(root, tree, rules, tree.fresh, subtrees=[()]).identified.vanished == ()


def test_what_is_renamed_while_the_folder_is_walked_keeps_its_entry(tmp_path: pathlib.Path) -> None:
    folder, tree = tmp_path / "folder", Tree()
    renames: Iterator[tuple[str, str]] = iter([])

    def before_call(number: int, name: str, arguments: tuple[Any, ...]) -> None:
        if name == "open_dir" and arguments[1] == "from":
            for old, new in itertools.islice(renames, 1):
                (folder / old).rename(folder / new)

    with new_root(folder, hooked(before_call)) as (root, _):
        for path in ("ahead", "from/d", "from/gone"):
            (folder / path).mkdir(parents=True)
        for path in ("from/f", "from/d/g"):
            (folder / path).write_text(path)
        tree.apply(scan(root, tree))
        before = tree.paths()
        (folder / "from/gone").rmdir()
        renames = iter([("from/d", "ahead/d"), ("from/f", "ahead/f")])
        result = scan(root, tree)
        assert [one.entry for one in result.vanished] == [before[("from", "gone")]]
        tree.apply(result)
    after = {("ahead", *path[1:]) if path[1:2] in {("d",), ("f",)} else path: entry for path, entry in before.items()}
    del after[("from", "gone")]
    assert tree.paths() == after


def test_a_decomposed_name_is_the_same_name(root: Root, folder: pathlib.Path, tree: Tree) -> None:
    (folder / "e\u0301").write_text("1")
    [one] = scan(root, tree).assigned
    assert one.name == "\u00e9"
    before = ids_after(root, tree)
    (folder / "e\u0301").rename(folder / "\u00e9")
    assert ids_after(root, tree) == {("\u00e9",): before[("e\u0301",)]}


@pytest.mark.parametrize("first", ["e\u0301", "\u00e9"])
def test_unicode_twins_are_reported_and_the_composed_one_stays(
    root: Root, folder: pathlib.Path, tree: Tree, first: str
) -> None:
    second = ({"e\u0301", "\u00e9"} - {first}).pop()
    (folder / first).write_text("1")
    tree.apply(scan(root, tree))
    (folder / second).write_text("2")
    twins = (Twin(("\u00e9",), ("e\u0301",)),)
    for result in (scan(root, tree), scan(root, tree, second)):
        assert result.twins == twins
        assert result.vanished == ()
    (folder / "e\u0301").rename(folder / "renamed")
    assert set(ids_after(root, tree)) == {("\u00e9",), ("renamed",)}


NAMES = st.sampled_from(["a", "b", "e\u0301"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["mkdir", "write", "rename", "rename", "link", "remove"]), PATHS, PATHS), max_size=25
)


def operate(folder: pathlib.Path, what: str, one: str, two: str) -> None:
    path = folder / one
    actions: dict[str, Callable[[], object]] = {
        "mkdir": lambda: path.mkdir(parents=True),
        "write": lambda: path.write_text(two),
        "rename": lambda: path.rename(folder / two),
        "link": lambda: os.link(path, folder / two),
        "remove": lambda: shutil.rmtree(path) if path.is_dir() else path.unlink(),
    }
    try:
        actions[what]()
    except OSError:
        return


@given(batches=st.lists(OPERATIONS, min_size=1, max_size=4), partial=st.booleans())
@settings(
    deadline=None,
    max_examples=80,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_after_any_history_the_tree_is_the_disk_and_a_second_scan_finds_nothing(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[str, str, str]]], partial: bool
) -> None:
    folder = tmp_path_factory.mktemp("identity") / "folder"
    tree = Tree()
    with new_root(folder) as (root, _):
        for batch in batches:
            for operation in batch:
                operate(folder, *operation)
            touched = {path for _, one, two in batch for path in (one, two)}
            if partial:
                tree.apply(scan(root, tree, *sorted(touched)))
            else:
                tree.apply(scan(root, tree))
                on_disk = {path.relative_to(folder).parts for path in folder.rglob("*")}
                assert set(tree.paths()) == {path for path in on_disk if path[0] != ".shoal"}
                again = scan(root, tree)
                assert again.assigned == ()
                assert again.vanished == ()
                assert set(again.unchanged) == set(tree.rows)
        tree.apply(scan(root, tree))
        on_disk = {path.relative_to(folder).parts for path in folder.rglob("*")}
        assert set(tree.paths()) == {path for path in on_disk if path[0] != ".shoal"}


@given(OPERATIONS, st.lists(st.tuples(PATHS, PATHS), max_size=6))
@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_renames_alone_to_free_new_names_change_no_entry(
    tmp_path_factory: pytest.TempPathFactory,
    before: list[tuple[str, str, str]],
    renames: list[tuple[str, str]],
) -> None:
    folder = tmp_path_factory.mktemp("identity") / "folder"
    tree = Tree()
    with new_root(folder) as (root, _):
        for operation in before:
            if operation[0] != "link":
                operate(folder, *operation)
        tree.apply(scan(root, tree))
        entries = set(tree.rows)
        inodes = {(folder.joinpath(*path)).stat().st_ino: entry for path, entry in tree.paths().items()}
        targets = []
        for number, (one, two) in enumerate(renames):
            target = f"{two}{number}"
            targets.append(target)
            if not (folder / target).exists():
                operate(folder, "rename", one, target)
        tree.apply(scan(root, tree, moved_to=targets))
        assert set(tree.rows) == entries
        for path, entry in tree.paths().items():
            assert inodes[folder.joinpath(*path).stat().st_ino] == entry
