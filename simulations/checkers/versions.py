"""Which contents the journals have. Owns telling a file on a disk by the digests that its versions have.

Filled from the coordinator's rows as they are committed (`journal`), so a device cannot know one before; and apart from
them with what devices handed each other while the coordinator was away, which may never be in a journal.
"""

from collections.abc import Collection
from typing import Final

from crypto.digest import FixedKeys, file_digest, link_digest
from protocol.model import Body
from simulations.disk import Content

MOST_BYTES: Final = 4 << 20
"""Larger contents are taken for known: a film that is only described would have to be made to be hashed."""


class Versions:
    """The digests of all versions of all workspaces."""

    def __init__(self) -> None:
        self._digests: dict[bytes, set[bytes]] = {}
        self._handed: set[bytes] = set()
        self._keys: dict[bytes, FixedKeys] = {}

    @property
    def workspaces(self) -> Collection[bytes]:
        """Those that have any."""
        return self._keys

    def note(self, workspace: bytes, keys: FixedKeys, digest: bytes) -> None:
        """A version has this content: a file's, or a link's (see `note_link`)."""
        self._keys[workspace] = keys
        self._digests.setdefault(workspace, set()).add(digest)

    def note_link(self, workspace: bytes, keys: FixedKeys, target: bytes) -> None:
        """A version is a link to there."""
        self.note(workspace, keys, link_digest(keys, target))

    def note_handed(self, workspace: bytes, keys: FixedKeys, body: Body) -> None:
        """A commit that waits for the coordinator has this version."""
        self._keys[workspace] = keys
        self._digests.setdefault(workspace, set())
        if body.digest is not None:
            self._handed.add(body.digest)
        if body.target is not None:
            self._handed.add(link_digest(keys, body.target))

    def is_handed(self, content: Content) -> bool:
        """Whether a commit that waited for the coordinator had it."""
        return self.is_handed_data(bytes(content))

    def is_handed_data(self, data: bytes) -> bool:
        """The same for bytes."""
        return any(file_digest(keys, data) in self._handed for keys in self._keys.values())

    def is_handed_link(self, target: str) -> bool:
        """Whether such a commit had a link to there."""
        data = target.encode(errors="surrogateescape")
        return any(link_digest(keys, data) in self._handed for keys in self._keys.values())

    def has(self, content: Content) -> bool:
        """Whether a version has it."""
        if content.size > MOST_BYTES:
            return True
        data = bytes(content)
        return any(file_digest(keys, data) in self._digests[workspace] for workspace, keys in self._keys.items())

    def has_link(self, target: str) -> bool:
        """Whether a version is a link to there."""
        data = target.encode(errors="surrogateescape")
        return any(link_digest(keys, data) in self._digests[workspace] for workspace, keys in self._keys.items())
