"""What operations, and their acceptance, do to the trees."""

from peer.fingerprint import Fingerprint
from peer.planner import effects
from peer.planner.memory import MemoryTrees
from peer.planner.operations import Agreed, ForkEntry, ProposeChange
from peer.planner.trees import Attributes, Content, LocalNode, Node
from protocol.ids import ROOT, ChangeId, EntryId
from protocol.model import Kind

FILE, COPY = EntryId(b"f" * 16), EntryId(b"c" * 16)
CONTENT = Content(b"d" * 32, 5)
SHOWN = Fingerprint(1, 7, 5, 0, 0, executable=False)


def node(entry: EntryId, name: str) -> Node:
    return Node(entry, Kind.FILE, ROOT, name, CONTENT, Attributes(False, 0))


def test_what_is_accepted_of_an_entry_that_has_become_another_one_here_leaves_nothing_behind() -> None:
    trees = MemoryTrees()
    edit = ProposeChange(FILE, None, node(FILE, "a"), None, None, None, Agreed(None, CONTENT, None, None))
    assert effects.accept_synced(trees, edit, ChangeId(b"v" * 32)) == 0
    assert trees.synced(FILE) is None


def test_a_file_that_has_the_name_of_its_copy_already_becomes_the_copy() -> None:
    trees = MemoryTrees()
    trees.put_local((LocalNode(node(FILE, "copy"), "copy", SHOWN),))
    effects.apply(trees, ForkEntry(FILE, COPY, ROOT, "copy", (FILE, None), SHOWN, None), SHOWN)
    assert trees.local(FILE) is None
    assert trees.local_named(ROOT, "copy") == COPY
