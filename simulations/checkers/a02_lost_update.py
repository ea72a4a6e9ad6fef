"""A2, no lost update: what somebody saved is there until somebody replaces or deletes it, and in the history for ever.

Owns both halves: what lives at rest, and what the journal has of all contents ever.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from crypto.digest import file_digest
from peer.home import Home
from peer.store import workspaces
from peer.store.database import open_database
from protocol.codec import decode_exact
from protocol.limits import SEALED_BYTES
from protocol.model import Body
from simulations.checkers.resting import Resting
from simulations.ledger import Content, Ledger


def lost(rest: Resting) -> list[str]:
    """Contents that nobody replaced or deleted and that are in no file."""
    ledger = rest.ledger
    return [
        f"A2 lost update: is there 0 times: {content}"
        for content in ledger.contents.values()
        if content not in rest.places and ledger.gone_on(content) is None
    ]


@dataclass(frozen=True)
class Kept:
    """What became of all contents ever."""

    versions: int
    lost: list[Content]
    """Not in the journal, though nobody replaced or deleted it on the device where it was written."""
    unseen: int
    """Not in the journal: replaced or deleted on its own device before it was seen."""
    doubled_versions: int
    """Versions that are equal in everything to the one before them."""
    entries_twice: int
    """Contents that are in the history of more than one entry."""


def kept(ledger: Ledger, home: Path, rescued: Collection[bytes] = ()) -> Kept:
    """What the journal, as the stopped device of this home verified it, has of all contents.

    What devices had from each other while the coordinator was away, and somebody replaced or deleted elsewhere, may
    have been refused: then it has to be among what was `rescued`.
    """
    with open_database(Home.at(home).database) as database:
        (record,) = workspaces.records(database)
        rows = database.all("SELECT entry, parent, deleted, body FROM versions WHERE body IS NOT NULL ORDER BY seq")
    entries: dict[bytes, set[bytes]] = {}
    latest: dict[bytes, tuple[object, ...]] = {}
    doubled = 0
    for entry, parent, deleted, packed in rows:
        body = decode_exact(Body, bytes(packed), SEALED_BYTES)
        value = (parent, deleted, body.name, body.digest, body.mtime_ns, body.executable, body.target)
        doubled += latest.get(entry) == value
        latest[entry] = value
        if body.digest is not None:
            entries.setdefault(body.digest, set()).add(entry)
    missing, unseen, twice = [], 0, 0
    for content in ledger.contents.values():
        held = entries.get(file_digest(record.keyring.fixed, content.data()))
        if held is not None:
            twice += len(held) > 1
        elif ledger.gone_on(content) == content.device or _was_handed_on(ledger, content, rescued):
            unseen += 1
        else:
            missing.append(content)
    return Kept(len(rows), missing, unseen, doubled, twice)


def _was_handed_on(ledger: Ledger, content: Content, rescued: Collection[bytes]) -> bool:
    """Whether somebody had it from its author, and both replaced it, or what was replaced is rescued."""
    if ledger.gone_on(content) is None or not ledger.was_handed(content.data()):
        return False
    return ledger.has_touched(content, content.device) or content.data() in rescued
