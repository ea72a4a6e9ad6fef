"""The digests that chain changes, commits and the journal together.

Owns which label and which parts go into each. Never encodes a change or a commit: it is given
the bytes, whose encoding is fixed elsewhere. All results are 32 bytes of BLAKE2b unless said.
"""

from functools import lru_cache
from typing import Final

from crypto.digest import digest
from crypto.identity import DevicePublic, verify
from crypto.labels import Label

_LINKS: Final = 4_096
"""So many signatures of links are remembered to hold, or not to."""
BEFORE_GENESIS: Final = bytes(32)
"""The log hash before the first commit."""


def sealed_hash(sealed: bytes) -> bytes:
    """Of a change's sealed part."""
    return digest(Label.CHANGE_SEALED, sealed)


def lists_hash(lists: bytes) -> bytes:
    """Of a change's encoded block lists."""
    return digest(Label.CHANGE_LISTS, lists)


def change_id(workspace_id: bytes, clear: bytes, sealed_hash: bytes, lists_hash: bytes) -> bytes:
    """A version's name: its skeleton in its workspace, whatever commit carries it."""
    return digest(Label.CHANGE_ID, workspace_id, clear, sealed_hash, lists_hash)


def commit_digest(skeleton: bytes) -> bytes:
    """Of a commit's skeleton: this is what its author signs, and what the journal chains.

    The digest of a genesis commit is the workspace's id.
    """
    return digest(Label.COMMIT, skeleton)


def log_hash(previous: bytes, commit_digest: bytes) -> bytes:
    """The journal's hash after one more commit; `BEFORE_GENESIS` comes before the first."""
    return digest(Label.LOG, previous, commit_digest)


def state_hash(state: bytes) -> bytes:
    """Of the judge's encoded state at a position, as checkpoints name it."""
    return digest(Label.STATE, state)


def statement_digest(statement: bytes) -> bytes:
    """Of an encoded statement (a checkpoint, a head): this is what a device signs."""
    return digest(Label.STATEMENT, statement)


def link_hash(link: bytes) -> bytes:
    """Of one link of a user's chain, which the next one names and its signers sign.

    The first 16 bytes of the first link's are the user's id.
    """
    return digest(Label.USER_LINK, link)


@lru_cache(maxsize=_LINKS)
def _verify_link(public: bytes, link_hash: bytes, signature: bytes) -> bool:
    return verify(Label.SIGN_LINK, public, link_hash, signature)


class JournalHashes:
    """All that judging a commit takes of this package, as one stateless object to hand in."""

    def sealed_hash(self, sealed: bytes) -> bytes:
        """As the function of that name."""
        return sealed_hash(sealed)

    def lists_hash(self, lists: bytes) -> bytes:
        """As the function of that name."""
        return lists_hash(lists)

    def change_id(self, workspace: bytes, clear: bytes, sealed_hash: bytes, lists_hash: bytes) -> bytes:
        """As the function of that name."""
        return change_id(workspace, clear, sealed_hash, lists_hash)

    def commit_digest(self, skeleton: bytes) -> bytes:
        """As the function of that name."""
        return commit_digest(skeleton)

    def log_hash(self, previous: bytes, digest: bytes) -> bytes:
        """As the function of that name."""
        return log_hash(previous, digest)

    def link_hash(self, link: bytes) -> bytes:
        """As the function of that name."""
        return link_hash(link)

    def device_id(self, sign: bytes, box: bytes, tls: bytes) -> bytes:
        """The 16 bytes that name a device with these public keys."""
        return DevicePublic(sign, box, tls).device_id

    def verify_commit(self, public: bytes, digest: bytes, signature: bytes) -> bool:
        """Whether this device's signature over a commit digest holds."""
        return verify(Label.SIGN_COMMIT, public, digest, signature)

    def verify_link(self, public: bytes, link_hash: bytes, signature: bytes) -> bool:
        """Whether this key's signature over a chain link's hash holds.

        One label serves all who may sign a link (devices, recovery keys, pairing keys): the
        link itself says which of them has to. What was found is remembered for a while: each
        device that is added to a workspace brings its user's whole chain.
        """
        return _verify_link(bytes(public), bytes(link_hash), bytes(signature))
