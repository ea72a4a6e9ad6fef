"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """From nothing."""
    op.create_table(
        "block_refs",
        sa.Column("workspace", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("block", sa.LargeBinary(), nullable=False),
        sa.Column("versions", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("workspace", "block"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "blocks",
        sa.Column("block", sa.LargeBinary(), nullable=False),
        sa.Column("segment", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("length", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("block"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "changes",
        sa.Column("workspace", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("change_id", sa.LargeBinary(), nullable=False),
        sa.Column("clear", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_hash", sa.LargeBinary(), nullable=False),
        sa.Column("lists_hash", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("added", sa.LargeBinary(), nullable=True),
        sa.Column("removed", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("workspace", "seq", "position"),
        sqlite_with_rowid=True,
    )
    op.create_table(
        "commits",
        sa.Column("workspace", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("log_hash", sa.LargeBinary(), nullable=False),
        sa.Column("received", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("header", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("control", sa.LargeBinary(), nullable=True),
        sa.Column("changes", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("workspace", "seq"),
        sqlite_with_rowid=True,
    )
    op.create_index("commits_by_digest", "commits", ["workspace", "digest"], unique=True)
    op.create_table(
        "devices",
        sa.Column("device_id", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("keys", sa.LargeBinary(), nullable=False),
        sa.Column("pairing", sa.LargeBinary(), nullable=True),
        sa.Column("active", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("created", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_seen", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("device_id"),
        sa.UniqueConstraint("user_id", "name", name="devices_by_user"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "entry_heads",
        sa.Column("workspace", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("parent", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name_key", sa.LargeBinary(), nullable=False),
        sa.Column("deleted", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("device", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "entry"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "entry_heads_by_name",
        "entry_heads",
        ["workspace", "name_key", "parent", "deleted"],
        unique=True,
        sqlite_where=sa.text("deleted = 0"),
        postgresql_where=sa.text("deleted = 0"),
    )
    op.create_index("entry_heads_by_seq", "entry_heads", ["workspace", "seq"], unique=False)
    op.create_table(
        "facts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "invitations",
        sa.Column("public", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("admin", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("created", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("expires", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("used_by", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("public"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "links",
        sa.Column("user_id", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("link", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "position"),
        sqlite_with_rowid=True,
    )
    op.create_table(
        "members",
        sa.Column("workspace", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.LargeBinary(), nullable=False),
        sa.Column("role", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("workspace", "user_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("members_by_user", "members", ["user_id", "workspace"], unique=False)
    op.create_table(
        "pairings",
        sa.Column("lookup", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.LargeBinary(), nullable=False),
        sa.Column("sign", sa.LargeBinary(), nullable=False),
        sa.Column("recipient", sa.LargeBinary(), nullable=False),
        sa.Column("expires", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("bundle", sa.LargeBinary(), nullable=False),
        sa.Column("used_by", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("lookup"),
        sqlite_with_rowid=True,
    )
    op.create_index("pairings_by_user", "pairings", ["user_id"], unique=False)
    op.create_table(
        "sealed_keys",
        sa.Column("workspace", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("recipient", sa.LargeBinary(), nullable=False),
        sa.Column("box", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "recipient"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "segments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
        sqlite_with_rowid=True,
    )
    op.create_table(
        "uploads",
        sa.Column("device_id", sa.LargeBinary(), nullable=False),
        sa.Column("block", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("device_id", "block"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "users",
        sa.Column("user_id", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("admin", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("active", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("created", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("chain_length", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("chain_last", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("user_id"),
        sa.UniqueConstraint("name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "workspace_chains",
        sa.Column("workspace", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.LargeBinary(), nullable=False),
        sa.Column("length", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "user_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "workspace_devices",
        sa.Column("workspace", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("device_id", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.LargeBinary(), nullable=False),
        sa.Column("keys", sa.LargeBinary(), nullable=False),
        sa.Column("active", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("workspace", "device_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "workspaces",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.LargeBinary(), nullable=False),
        sa.Column("owner", sa.LargeBinary(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("head_seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("head_hash", sa.LargeBinary(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_control", sa.LargeBinary(), nullable=False),
        sa.Column("received", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entries", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("stored_bytes", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("workspace_id"),
        sqlite_with_rowid=True,
    )
