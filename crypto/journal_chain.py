"""The digests that chain changes, commits and the journal together.

Owns which label and which parts go into each. Never encodes a change or a commit: it is given
the bytes, whose encoding is fixed elsewhere. All results are 32 bytes of BLAKE2b unless said.
"""

from typing import Final

from crypto.digest import digest
from crypto.labels import Label

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


def user_entry_digest(entry: bytes) -> bytes:
    """Of one entry of a user's chain, which the next one names and its signers sign."""
    return digest(Label.USER_ENTRY, entry)


def user_id(genesis_entry: bytes) -> bytes:
    """16 bytes: a user is named by the first entry of their chain."""
    return digest(Label.ID_USER, genesis_entry, size=16)
