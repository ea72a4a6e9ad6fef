"""Single versions of the verified journal, as this device opened them."""

from peer.store.database import Database
from protocol import limits
from protocol.codec import decode
from protocol.ids import ChangeId, EntryId
from protocol.model import Body


def version_body(database: Database, w: int, change: ChangeId) -> Body | None:
    """The opened sealed part of a version, or None where it is bad, purged or unknown."""
    row = database.one("SELECT body FROM versions WHERE w = ? AND change = ?", (w, change))
    return None if row is None or row[0] is None else decode(Body, row[0], limits.SEALED_BYTES)


def version_with(database: Database, w: int, change: ChangeId, digest: bytes) -> tuple[ChangeId, Body] | None:
    """The newest version from `change` back that has this content; None where none has, as far as can be read.

    A head that was given up counts with the content of one before it, which its own manifest does not have.
    """
    step: ChangeId | None = change
    while step is not None:
        body = version_body(database, w, step)
        if body is not None and body.digest == digest:
            return step, body
        row = database.one("SELECT base FROM versions WHERE w = ? AND change = ?", (w, step))
        step = None if row is None or row[0] is None else ChangeId(row[0])
    return None


def is_kept(database: Database, w: int, entry: EntryId, digest: bytes) -> bool:
    """Whether some version of the entry that was not purged has this content."""
    rows = database.all("SELECT body FROM versions WHERE w = ? AND entry = ? AND body IS NOT NULL", (w, entry))
    return any(decode(Body, body, limits.SEALED_BYTES).digest == digest for (body,) in rows)
