"""What a restart finds of refused commits is what is still here of them."""

from collections.abc import Iterator

import pytest

from peer.planner.operations import Agreed, ProposeChange
from peer.planner.trees import Content, LocalNode, Node, SyncedNode
from peer.store.database import open_database
from peer.store.trees import TreeStore
from peer.store.untold import Left, UntoldStore
from protocol.ids import ROOT, ChangeId, DeviceId
from protocol.model import Kind
from tests.common.journals import entry_id
from tests.unit.peer.store.test_taking_rows import Store

OWN, AUTHOR = DeviceId(b"o" * 16), DeviceId(b"a" * 16)


def left(label: str, target: bytes) -> Left:
    """A link that came with a refused commit."""
    node = Node(entry_id(label), Kind.SYMLINK, ROOT, label, Content(target * 32, 1), None)
    proposal = ProposeChange(node.entry, None, node, None, None, None, Agreed((ROOT, label), node.content, None, None))
    return Left(AUTHOR, 7, proposal, ChangeId(target * 32), is_sole=True)


def show(trees: TreeStore, one: Left, *, synced: bool = False) -> None:
    """Have it on the disk, and in the journal maybe."""
    trees.put_local((LocalNode(one.proposal.node, one.proposal.node.name, None),))
    if synced:
        trees.put_synced((SyncedNode(one.proposal.node, one.change, None),))


@pytest.fixture
def store() -> Iterator[Store]:
    with open_database(None) as database:
        yield Store(database)


def test_what_was_left_is_found_again_where_it_is_as_it_came_and_in_no_journal(store: Store) -> None:
    here, gone, edited, settled = (left(label, label.encode()) for label in "abcd")
    untold = UntoldStore(store.database, store.trees.w)
    with store.database.transaction():
        untold.write([(entry_id("e"), OWN)], [here, gone, edited, settled], OWN, owes_word=True)
        show(store.trees, here)
        show(store.trees, left("c", b"x"))
        show(store.trees, settled, synced=True)
    (found,) = UntoldStore(store.database, store.trees.w).left(store.trees)
    assert (found.entry, found.author, found.number, found.change) == (here.entry, AUTHOR, 7, here.change)
    assert found.is_sole
    assert found.proposal.agreed == here.proposal.agreed
    assert untold.made_by()[entry_id("e")] == OWN
    assert untold.owes_word()
    with store.database.transaction():
        untold.write([], [], OWN, owes_word=False)
    assert (untold.left(store.trees), untold.made_by(), untold.owes_word()) == ([], {}, False)
