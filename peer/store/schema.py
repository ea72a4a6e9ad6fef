"""The tables of the local database. Owns their columns and indexes; never runs a query.

`w` is a workspace's number in this database. Ids and hashes are raw bytes, times are integers as in the protocol.
"""

from typing import Final

import sqlalchemy as sa

VERSION: Final = 8
"""Kept in SQLite's `user_version`; a database of another version is refused."""

metadata = sa.MetaData()


def _key(*names: str) -> list[sa.Column[bytes]]:
    return [sa.Column(name, sa.LargeBinary, primary_key=True) for name in names]


def _w() -> sa.Column[int]:
    return sa.Column("w", sa.Integer, primary_key=True, autoincrement=False)


workspaces = sa.Table(
    "workspaces",
    metadata,
    sa.Column("w", sa.Integer, primary_key=True),
    sa.Column("id", sa.LargeBinary, unique=True, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("keyring", sa.LargeBinary, nullable=False),
    sa.Column("genesis", sa.LargeBinary, nullable=False),
    sa.Column("folder", sa.Text),
    sa.Column("marker", sa.LargeBinary),
    sa.Column("paused", sa.Boolean, nullable=False, default=False),
    sa.Column("stopped", sa.Text),  # a problem code that stops the workspace: history_forked, …
    sa.Column("known_seq", sa.Integer, nullable=False, default=0),  # a head vouched for by another device
    sa.Column("known_hash", sa.LargeBinary, nullable=False),
    # the judge's small state
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("log_hash", sa.LargeBinary, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("last_control", sa.LargeBinary, nullable=False),
    # this device's commit numbers: the last one signed, and the last one known to be accepted
    sa.Column("last_signed", sa.Integer, nullable=False, default=0),
    # the folder was synced before, and what is in it is still to be recognized
    sa.Column("synced_before", sa.Boolean, nullable=False, default=False),
    # how often home and folder have noted that they belong together, and what is about to be noted; 0 for not yet
    sa.Column("age", sa.Integer, nullable=False, default=0),
    sa.Column("next_age", sa.Integer, nullable=False, default=0),
    sa.Column("began_anew", sa.Integer, nullable=False, default=0),  # ms: when it last turned out to be an old copy
    # up to which change of the coordinator's set of versions that are not durable `offers` goes
    sa.Column("offers_generation", sa.Integer, nullable=False, default=0),
    sa.Column("offers_number", sa.Integer, nullable=False, default=0),
)

commits = sa.Table(
    "commits",
    metadata,
    _w(),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("log_hash", sa.LargeBinary, nullable=False),
    sa.Column("row", sa.LargeBinary, nullable=False),
    sa.Index("commits_digest", "w", "digest", unique=True),
    sqlite_with_rowid=True,
)

devices = sa.Table(
    "devices",
    metadata,
    _w(),
    *_key("device"),
    sa.Column("user", sa.LargeBinary, nullable=False),
    sa.Column("keys", sa.LargeBinary, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("last_number", sa.Integer, nullable=False),
)

members = sa.Table("members", metadata, _w(), *_key("user"), sa.Column("role", sa.Integer, nullable=False))

chains = sa.Table(
    "chains",
    metadata,
    _w(),
    *_key("user"),
    sa.Column("length", sa.Integer, nullable=False),
    sa.Column("last", sa.LargeBinary, nullable=False),
)

remote = sa.Table(
    "remote",
    metadata,
    _w(),
    *_key("entry"),
    # the judge's state of the entry
    sa.Column("parent", sa.LargeBinary, nullable=False),
    sa.Column("kind", sa.Integer, nullable=False),
    sa.Column("name_key", sa.LargeBinary, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False),
    sa.Column("head", sa.LargeBinary, nullable=False),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("device", sa.LargeBinary, nullable=False),
    # what the sealed part says (of the last good version, where the head's is bad)
    sa.Column("usable", sa.Boolean, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("digest", sa.LargeBinary),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("mtime_ns", sa.Integer, nullable=False),
    sa.Column("executable", sa.Boolean, nullable=False),
    sa.Column("copy_of", sa.LargeBinary),
    sa.Column("place", sa.LargeBinary, nullable=False),  # the parent that goes with `name`
    # The indexes hold all that is asked of them: else SQLite prefers to walk the table, which is in order of its key.
    sa.Index("remote_key", "w", "parent", "name_key", "deleted"),
    sa.Index("remote_name", "w", "place", "name", "deleted"),
    sa.Index("remote_seq", "w", "seq"),
    sqlite_with_rowid=False,
)

versions = sa.Table(
    "versions",
    metadata,
    _w(),
    *_key("change"),
    sa.Column("entry", sa.LargeBinary, nullable=False),
    sa.Column("base", sa.LargeBinary),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False),
    sa.Column("parent", sa.LargeBinary, nullable=False),
    sa.Column("body", sa.LargeBinary),  # None where the sealed part was bad or purged
    sa.Column("device", sa.LargeBinary, nullable=False),
    sa.Column("received", sa.Integer, nullable=False),
    sa.Index("versions_entry", "w", "entry", "seq"),
    sqlite_with_rowid=True,
)

_tree_columns = (
    ("parent", sa.LargeBinary, False),
    ("name", sa.Text, False),
    ("kind", sa.Integer, False),
    ("digest", sa.LargeBinary, True),
    ("size", sa.Integer, False),
    ("mtime_ns", sa.Integer, False),
    ("executable", sa.Boolean, False),
)
_fingerprint_columns = ("f_device", "f_inode", "f_size", "f_mtime_ns", "f_ctime_ns", "f_executable", "f_born_ns")

synced = sa.Table(
    "synced",
    metadata,
    _w(),
    *_key("entry"),
    *(sa.Column(name, kind, nullable=nullable) for name, kind, nullable in _tree_columns),
    sa.Column("deleted", sa.Boolean, nullable=False),
    sa.Column("content_base", sa.LargeBinary),
    sa.Column("absent", sa.Text),  # the problem code for which the entry is absent by design
    *(sa.Column(name, sa.Integer) for name in _fingerprint_columns),
    sa.Index("synced_parent", "w", "parent", "deleted"),
    sqlite_with_rowid=False,
)

local = sa.Table(
    "local",
    metadata,
    _w(),
    *_key("entry"),
    *(sa.Column(name, kind, nullable=nullable) for name, kind, nullable in _tree_columns),
    sa.Column("disk_name", sa.Text, nullable=False),
    sa.Column("intended_parent", sa.LargeBinary),
    sa.Column("intended_name", sa.Text),
    sa.Column("copy_of", sa.LargeBinary),
    sa.Column("copy_base", sa.LargeBinary),
    *(sa.Column(name, sa.Integer) for name in _fingerprint_columns),
    sa.Index("local_name", "w", "parent", "name"),
    sa.Index("local_inode", "w", "f_inode", "f_device"),
    sa.Index("local_intended", "w", "intended_parent"),
    sqlite_with_rowid=False,
)

differing = sa.Table("differing", metadata, _w(), *_key("entry"), sqlite_with_rowid=False)

chunks = sa.Table(
    "chunks",
    metadata,
    _w(),
    *_key("chunk"),
    sa.Column("block", sa.LargeBinary, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("length", sa.Integer, nullable=False),
    sa.Column("stored", sa.Boolean, nullable=False),  # whether the coordinator is known to have the block
    sa.Column("entry", sa.LargeBinary),  # a file on this disk that had the chunk at `offset`
    sa.Column("offset", sa.Integer),
    sqlite_with_rowid=False,
)

outbox = sa.Table(
    "outbox",
    metadata,
    _w(),
    *_key("device"),  # its author
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("commit", sa.LargeBinary, nullable=False),
    sa.Column("place", sa.Integer, nullable=False),  # in which order they came to be here
    sa.Column("standing", sa.Integer, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Index("outbox_digest", "w", "digest"),
)

# Entries whose content came with commits that were refused, and are left to their authors for a while (see `untold`).
untold = sa.Table(
    "untold",
    metadata,
    _w(),
    *_key("entry"),
    sa.Column("device", sa.LargeBinary, nullable=False),  # the author
    sa.Column("number", sa.Integer, nullable=False),  # of the commit
    sa.Column("agreed", sa.LargeBinary),  # what its acceptance would have meant; None where nothing was refused yet
    sa.Column("sole", sa.Boolean, nullable=False),  # whether nobody else has changed it since
    sa.Column("taken_back", sa.Boolean, nullable=False),  # whether the author has said that it is not to be
    sqlite_with_rowid=False,
)

# Rows of the remote and the synced tree as they were before commits of the outbox changed them; None: there was none.
before = sa.Table(
    "before",
    metadata,
    _w(),
    sa.Column("tree", sa.Text, primary_key=True),
    *_key("entry"),
    sa.Column("row", sa.LargeBinary),
    sqlite_with_rowid=False,
)

contents = sa.Table(
    "contents",
    metadata,
    _w(),
    *_key("digest"),
    sa.Column("target", sa.LargeBinary),  # a symlink's
    sa.Column("manifest", sa.LargeBinary),  # a file's that was read here and sealed
    sa.Column("stored", sa.Boolean, nullable=False),  # whether the manifest's blocks are
    sqlite_with_rowid=True,
)

offers = sa.Table(
    "offers",
    metadata,
    _w(),
    *_key("change"),
    sa.Column("standing", sa.Integer, nullable=False),  # without a row: durable
    sa.Column("said", sa.Integer, nullable=False),  # whether by the coordinator, or only by the journal's row
    sa.Column("digest", sa.LargeBinary),  # of its content, once the journal has it
    sa.Index("offers_standing", "w", "standing", "digest"),
    sqlite_with_rowid=False,
)

placing = sa.Table(
    "placing",
    metadata,
    _w(),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("operation", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

notes = sa.Table(
    "notes",
    metadata,
    _w(),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("time", sa.Integer, nullable=False),  # milliseconds, of this device's clock
    sa.Column("seq", sa.Integer, nullable=False),  # where the journal was then
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

chain_links = sa.Table(
    "chain_links",
    metadata,
    sa.Column("user", sa.LargeBinary, primary_key=True),
    sa.Column("index", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("link", sa.LargeBinary, nullable=False),
)
