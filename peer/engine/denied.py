"""What came from a device that turns out to have had no right to it. Owns keeping it for people, and letting the
journal's state be put in its place.

It was applied while the coordinator was away. Its bytes are copied to the rescue area; then they count as what this
device had in common with the journal, so that the next plan puts back what the journal has.
"""

import logging
from collections.abc import Sequence
from typing import NamedTuple

from peer.disk.rescuing import rescue_copy
from peer.engine.context import Context
from peer.fingerprint import Fingerprint, Path
from peer.planner import effects
from peer.planner.operations import Agreed, MarkSynced, ProposeChange
from peer.planner.trees import Node
from protocol.model import Kind

_NOBODY = Fingerprint(0, 0, 0, 0, 0, False)
_log = logging.getLogger("shoal.lan")


class _Shown(NamedTuple):
    node: Node
    path: Path
    fingerprint: Fingerprint | None


async def put_aside(context: Context, agreed: Sequence[ProposeChange]) -> None:
    """Keep what a refused commit of another device has brought here, and nobody has edited since. Raises `OSError`,
    and then the rest is as if it had been made here."""
    machine = context.machine
    for one in await machine.database_work.run(_find, context, agreed):
        if one.node.kind is Kind.FILE and one.fingerprint is not None:
            name = await machine.disk_work.run(rescue_copy, context.root, one.path, one.fingerprint)
            if name is None:
                continue  # somebody edits it at this moment
            _log.warning(
                "a device had no right to what it handed over: what is here of it is in .shoal/rescue/%s", name
            )
        await machine.database_work.run(_count_as_synced, context, one.node)


def _find(context: Context, agreed: Sequence[ProposeChange]) -> list[_Shown]:
    found = []
    for proposal in agreed:
        row, path = context.trees.local(proposal.entry), context.trees.path(proposal.entry)
        content = None if proposal.agreed is None else proposal.agreed.content
        if row is not None and path is not None and row.node.content == content:
            found.append(_Shown(row.node, path, row.fingerprint))
    return found


def _count_as_synced(context: Context, node: Node) -> None:
    agreed = Agreed((node.parent, node.name), node.content, None, node.attributes)
    with context.machine.database.transaction():
        effects.apply(context.trees, MarkSynced(node.entry, node.kind, agreed), _NOBODY)
