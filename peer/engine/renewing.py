"""Offered versions whose blocks this device cannot make as they are listed, though it has the bytes. Owns making the
same content durable as another version.

Which blocks come of a chunk depends on its epoch's keys, which are kept, and on how it was compressed, which another
release of the compressor may do otherwise. What this device made is stored then, and a version that lists it is
proposed in the place of the one that lacks its own: only while that one is the newest of its entry, and shown here, so
that of several who do this one succeeds, and the others have nothing left to do. Never proposes another content than
the journal has already.
"""

from collections.abc import Collection, Container

from peer.engine.browse import journal_path
from peer.engine.context import Context
from peer.planner.operations import Agreed, ProposeChange
from peer.store.contents import Sealed
from peer.store.offers import Offered, OfferStore
from peer.store.versions import version_body
from protocol.ids import ChangeId, EntryId
from protocol.model import FlatManifest
from protocol.offered import Standing


class Renewing:
    """Of one workspace. Belongs in the database's thread."""

    def __init__(self, context: Context, store: OfferStore) -> None:
        self._context = context
        self._store = store
        self._other: dict[ChangeId, EntryId] = {}
        """Versions of which other blocks come here than they list."""

    def note(self, version: Offered, manifest: FlatManifest) -> None:
        """The content of a version is stored by these blocks, and cannot be by its own."""
        with self._context.machine.database.transaction():
            self._context.contents.put_manifest(version.digest, manifest)
        self._other[version.change] = version.entry

    def forget(self, offered: Collection[ChangeId]) -> None:
        """Only these are offered still."""
        self._other = {change: entry for change, entry in self._other.items() if change in offered}

    def is_elsewhere(self, version: Offered) -> bool:
        """Whether this device can do nothing for a version, nor need anybody: another one has its content, durably."""
        return version.change in self._other and self._store.is_stored(version.entry, version.digest)

    def proposals(self, taken: Container[EntryId]) -> list[ProposeChange]:
        """The versions to be proposed, of entries that are not `taken`."""
        if not self._context.online:
            return []
        made = [self._proposal(change, entry) for change, entry in self._other.items() if entry not in taken]
        return [one for one in made if one is not None]

    def _proposal(self, change: ChangeId, entry: EntryId) -> ProposeChange | None:
        trees, database, w = self._context.trees, self._context.machine.database, self._context.record.w
        remote, synced = trees.remote(entry), trees.synced(entry)
        if remote is None or remote.head != change or not remote.usable or remote.node.content is None:
            return None
        if synced is None or synced.content_base != change or journal_path(database, w, entry) is None:
            return None
        if self._store.standing(change) is not Standing.OFFERED:
            return None
        if self._context.contents.sealed(remote.node.content.digest) is not Sealed.STORED:
            return None
        body = version_body(database, w, change)
        its = None if body is None else body.copy_of
        copy_of = None if its is None else (its.entry, its.base)
        agreed = Agreed(None, remote.node.content, None, None)
        return ProposeChange(entry, change, remote.node, None, copy_of, None, agreed)
