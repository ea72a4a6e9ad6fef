"""A step that the disk refused holds up what builds on it, and nothing else."""

from peer.engine.holding import Holding
from peer.fingerprint import Fingerprint
from peer.planner.operations import (
    ForkEntry,
    MakeDirectory,
    MoveEntry,
    Operation,
    ProposeChange,
    RemoveEntry,
    WriteContent,
)
from peer.planner.trees import Content, LocalNode, Node
from protocol.ids import ROOT, ChangeId, EntryId
from protocol.model import Kind

PRINT = Fingerprint(1, 2, 3, 4, 5, False)


def entry(number: int) -> EntryId:
    return EntryId(bytes([number]) * 16)


def on_disk(*rows: tuple[EntryId, EntryId, str, Kind]) -> dict[EntryId, LocalNode]:
    return {
        one: LocalNode(Node(one, kind, parent, name, None, None), name, PRINT, None, None)
        for one, parent, name, kind in rows
    }


def make(one: EntryId, parent: EntryId, name: str) -> MakeDirectory:
    return MakeDirectory(one, parent, name, None)


def write(one: EntryId, parent: EntryId, name: str) -> WriteContent:
    content = Content(bytes(32), 3)
    return WriteContent(one, parent, name, Kind.FILE, ChangeId(bytes(32)), content, None, None, None)


def move(one: EntryId, parent: EntryId, name: str) -> MoveEntry:
    return MoveEntry(one, parent, name, PRINT, None, None, None)


def propose(one: EntryId, parent: EntryId, name: str) -> ProposeChange:
    node = Node(one, Kind.FILE, parent, name, Content(bytes(32), 3), None)
    return ProposeChange(one, None, node, None, None, None, None)


def held(holding: Holding, *operations: Operation) -> list[Operation]:
    """Those that are held up, each holding up in its turn."""
    found = []
    for one in operations:
        if holding.holds(one):
            holding.hold(one)
            found.append(one)
    return found


def test_nothing_refused_holds_nothing() -> None:
    holding = Holding(dict[EntryId, LocalNode]().get)
    assert holding.is_empty
    assert held(holding, make(entry(1), ROOT, "a"), propose(entry(2), entry(1), "b")) == []


def test_what_goes_into_a_directory_that_could_not_be_made_waits_at_any_depth() -> None:
    holding = Holding(dict[EntryId, LocalNode]().get)
    holding.hold(make(entry(1), ROOT, "a"))
    below, deep = make(entry(2), entry(1), "b"), write(entry(3), entry(2), "c")
    beside = write(entry(4), ROOT, "d")
    assert held(holding, below, beside, deep) == [below, deep]


def test_who_takes_the_name_of_what_could_not_move_waits_too() -> None:
    holding = Holding(on_disk((entry(1), ROOT, "a", Kind.FILE), (entry(2), ROOT, "b", Kind.FILE)).get)
    holding.hold(move(entry(1), ROOT, "x"))
    takes_its_old_name, takes_its_new_name = move(entry(2), ROOT, "a"), write(entry(3), ROOT, "x")
    assert held(holding, takes_its_old_name, takes_its_new_name) == [takes_its_old_name, takes_its_new_name]


def test_a_directory_is_not_removed_from_under_what_could_not_be_removed() -> None:
    rows = on_disk(
        (entry(1), ROOT, "a", Kind.DIRECTORY),
        (entry(2), entry(1), "b", Kind.DIRECTORY),
        (entry(3), entry(2), "c", Kind.FILE),
        (entry(4), ROOT, "d", Kind.DIRECTORY),
    )
    holding = Holding(rows.get)
    holding.hold(RemoveEntry(entry(3), Kind.FILE, PRINT))
    inner, outer = RemoveEntry(entry(2), Kind.DIRECTORY, None), RemoveEntry(entry(1), Kind.DIRECTORY, None)
    other = RemoveEntry(entry(4), Kind.DIRECTORY, None)
    assert held(holding, other, inner, outer) == [inner, outer]


def test_a_copy_is_not_proposed_before_it_is_one() -> None:
    rows = on_disk((entry(1), ROOT, "a", Kind.FILE))
    holding = Holding(rows.get)
    holding.hold(ForkEntry(entry(1), entry(9), ROOT, "a (copy)", (entry(1), None), PRINT, None))
    of_the_copy, of_another = propose(entry(9), ROOT, "a (copy)"), propose(entry(5), ROOT, "e")
    put_there = write(entry(1), ROOT, "a")
    assert held(holding, of_another, of_the_copy, put_there) == [of_the_copy, put_there]


def test_another_plan_begins_with_nothing_held() -> None:
    holding = Holding(dict[EntryId, LocalNode]().get)
    holding.hold(make(entry(1), ROOT, "a"))
    assert held(holding, write(entry(2), entry(1), "b"))
    holding.begin()
    assert not held(holding, write(entry(2), entry(1), "b"))
