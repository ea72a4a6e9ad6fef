"""Which fields of the synced base advance, and when. Owns this one question; pure."""

from peer.planner.differences import Item
from peer.planner.operations import Agreed
from peer.planner.trees import Node
from protocol.ids import ChangeId
from protocol.model import Kind


def agreed_on(item: Item, other: Node | None, *, proposed: bool) -> Agreed | None:
    """The fields in which `other` (one side) has what the target has and the base has not; None where there are none.

    Where there is no base yet, all fields must be so, else None: the next plan finds what has become equal.
    """
    if other is None or not item.alive:
        return None
    base = None if item.fork is not None else item.b
    location = (item.parent, item.name)
    moved = (other.parent, other.name) == location
    if base is None:
        if not moved or other.content != item.content or other.attributes != item.attributes:
            return None
        return Agreed(location, item.content, _content_base(item, proposed), item.attributes)
    moved = moved and (base.parent, base.name) != location
    assert item.synced is not None
    known = item.synced.base  # content and attributes of `base` may be those of a later version
    edited = other.content == item.content != known.content
    marked = item.kind is Kind.FILE and other.attributes == item.attributes != known.attributes
    if not (moved or edited or marked):
        return None
    return Agreed(
        location if moved else None,
        item.content if edited else None,
        _content_base(item, proposed) if edited else None,
        item.attributes if marked else None,
    )


def _content_base(item: Item, proposed: bool) -> ChangeId | None:
    return None if proposed else item.version
