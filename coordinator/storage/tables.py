"""The metadata's tables. Owns their shape as SQLAlchemy sees it; migrations make them (`storage/migrations`).

Only integers, text and bytes, so that SQLite and PostgreSQL keep the same values. Flags are 0 or 1, times are
milliseconds since 1970. Inside, a workspace is an integer; the world knows its 32-byte id. No transaction spans two
workspaces. A commit's skeleton (header, clear parts, hashes) is kept for ever; sealed parts and block lists may go.
"""

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text, UniqueConstraint, text

metadata = MetaData()


def _bytes(name: str, *, nullable: bool = False, primary_key: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=nullable, primary_key=primary_key)


def _number(name: str, *, nullable: bool = False, primary_key: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable, primary_key=primary_key, autoincrement=False)


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable)


def _table(name: str, *parts: Any, clustered: bool = True) -> Table:
    return Table(name, metadata, *parts, sqlite_with_rowid=not clustered)


facts = _table("facts", Column("name", Text, primary_key=True), _bytes("value"))
"""What this database knows of itself: whose it is, and which file it was."""

users = _table(
    "users",
    _bytes("user_id", primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    _number("admin"),
    _number("active"),
    _number("created"),
    _number("chain_length"),
    _bytes("chain_last"),
)

links = _table(
    "links",
    _bytes("user_id", primary_key=True),
    _number("position", primary_key=True),
    _bytes("hash"),
    _bytes("link"),
    clustered=False,
)
"""Users' chains, link by link as signed."""

devices = _table(
    "devices",
    _bytes("device_id", primary_key=True),
    _bytes("user_id"),
    _text("name"),
    _bytes("keys"),
    _bytes("pairing", nullable=True),
    _number("active"),
    _number("created"),
    _number("last_seen"),
    UniqueConstraint("user_id", "name", name="devices_by_user"),
)
"""`pairing` is the recipient id of the pairing that a device came from."""

invitations = _table(
    "invitations",
    _bytes("public", primary_key=True),
    _text("name"),
    _number("admin"),
    _number("created"),
    _number("expires"),
    _bytes("used_by", nullable=True),
)

pairings = _table(
    "pairings",
    _bytes("lookup", primary_key=True),
    _bytes("user_id"),
    _bytes("sign"),
    _bytes("recipient"),
    _number("expires"),
    _bytes("bundle"),
    _bytes("used_by", nullable=True),
    Index("pairings_by_user", "user_id"),
    clustered=False,
)

workspaces = _table(
    "workspaces",
    Column("id", Integer, primary_key=True),
    Column("workspace_id", LargeBinary, nullable=False, unique=True),
    _bytes("owner"),
    _bytes("salt"),
    _number("head_seq"),
    _bytes("head_hash"),
    _number("epoch"),
    _bytes("last_control"),
    _number("received"),
    _number("entries"),
    _number("stored_bytes"),
    _number("durability"),
    clustered=False,
)
"""`durability` is the last number of the set of versions that are not durable; 0 where none ever was."""

members = _table(
    "members",
    _number("workspace", primary_key=True),
    _bytes("user_id", primary_key=True),
    _number("role"),
    Index("members_by_user", "user_id", "workspace"),
)

workspace_devices = _table(
    "workspace_devices",
    _number("workspace", primary_key=True),
    _bytes("device_id", primary_key=True),
    _bytes("user_id"),
    _bytes("keys"),
    _number("active"),
    _number("last_number"),
)
"""The devices that a journal has added: what the judge knows of them."""

workspace_chains = _table(
    "workspace_chains",
    _number("workspace", primary_key=True),
    _bytes("user_id", primary_key=True),
    _number("length"),
    _bytes("last"),
)

sealed_keys = _table(
    "sealed_keys",
    _number("workspace", primary_key=True),
    _bytes("recipient", primary_key=True),
    _bytes("box"),
)

commits = _table(
    "commits",
    _number("workspace", primary_key=True),
    _number("seq", primary_key=True),
    _bytes("digest"),
    _bytes("log_hash"),
    _number("received"),
    _bytes("header"),
    _bytes("signature"),
    _bytes("control", nullable=True),
    _number("changes"),
    _number("size"),
    Index("commits_by_digest", "workspace", "digest", unique=True),
    clustered=False,
)
"""`control` is the body of a control commit; NULL for an ordinary one, whose changes stand in `changes`."""

changes = _table(
    "changes",
    _number("workspace", primary_key=True),
    _number("seq", primary_key=True),
    _number("position", primary_key=True),
    _bytes("entry"),
    _bytes("change_id"),
    _bytes("clear"),
    _bytes("sealed_hash"),
    _bytes("lists_hash"),
    _bytes("sealed", nullable=True),
    _bytes("added", nullable=True),
    _bytes("removed", nullable=True),
    clustered=False,
)
"""The last three columns are what retention removes, all at once."""

entry_heads = _table(
    "entry_heads",
    _number("workspace", primary_key=True),
    _bytes("entry", primary_key=True),
    _bytes("parent"),
    _number("kind"),
    _bytes("name_key"),
    _number("deleted"),
    _bytes("head"),
    _number("seq"),
    _bytes("device"),
    Index(
        "entry_heads_by_name",
        "workspace",
        "name_key",
        "parent",
        "deleted",  # always 0 here; with it the index covers the lookup, and only then does SQLite choose it
        unique=True,
        sqlite_where=text("deleted = 0"),
        postgresql_where=text("deleted = 0"),
    ),
    Index("entry_heads_by_seq", "workspace", "seq"),
)

segments = _table(
    "segments",
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    clustered=False,
)

blocks = _table(
    "blocks",
    _bytes("block", primary_key=True),
    _number("segment"),
    _number("position"),
    _number("length"),
    _number("state"),
)
"""Where a block lies. `state`: 0 stored, 1 damaged."""

block_refs = _table(
    "block_refs",
    _number("workspace", primary_key=True),
    _bytes("block", primary_key=True),
    _number("versions"),
)
"""How many of a workspace's versions added the block and still hold it."""

offers = _table(
    "offers",
    _number("workspace", primary_key=True),
    _bytes("change_id", primary_key=True),
    _number("number"),
    _number("standing"),
    _bytes("author"),
    _number("counted"),
    Index("offers_by_number", "workspace", "number", unique=True),
    Index(
        "offers_open",
        "workspace",
        sqlite_where=text("standing = 1"),
        postgresql_where=text("standing = 1"),
    ),
)
"""Versions not durable at first (`protocol.offered`). `counted`: 1 where their author is taken to have the bytes."""

missing_blocks = _table(
    "missing_blocks",
    _number("workspace", primary_key=True),
    _bytes("lot", primary_key=True),
    _bytes("block", primary_key=True),
    _number("own"),
    Index("missing_by_block", "workspace", "block"),
)
"""What versions lack that are offered or were given up, in lots, each named by the version that it was made for. `own`:
1 where that version added the block, 0 where it took it over. For such a version the workspace refers to none of it."""

lacks = _table(
    "lacks",
    _number("workspace", primary_key=True),
    _bytes("change_id", primary_key=True),
    _bytes("lot", primary_key=True),
    _number("blocks"),
    Index("lacks_by_lot", "workspace", "lot"),
)
"""How many blocks of which lots a version lacks: its own, and those of the versions that it was made out of."""

spared = _table(
    "spared",
    _number("workspace", primary_key=True),
    _bytes("change_id", primary_key=True),
    _bytes("lot", primary_key=True),
    _bytes("block", primary_key=True),
    Index("spared_by_block", "workspace", "block"),
)
"""Blocks of such a lot that the version does not lack, since it or one between has removed them."""

holders = _table(
    "holders",
    _number("workspace", primary_key=True),
    _bytes("change_id", primary_key=True),
    _bytes("device_id", primary_key=True),
)
"""Devices besides the author that say to have the bytes of an offered version."""

uploads = _table(
    "uploads",
    _bytes("device_id", primary_key=True),
    _bytes("block", primary_key=True),
    _number("at"),
)
"""Which device sent which block: it has shown that it holds the bytes."""
