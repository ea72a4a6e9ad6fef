"""Versions that are committed before their blocks are stored."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """From 0001: every version so far is durable."""
    op.add_column("workspaces", sa.Column("durability", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "offers",
        sa.Column("workspace", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("change_id", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("standing", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("author", sa.LargeBinary(), nullable=False),
        sa.Column("counted", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("workspace", "change_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("offers_by_number", "offers", ["workspace", "number"], unique=True)
    op.create_index(
        "offers_open",
        "offers",
        ["workspace"],
        sqlite_where=sa.text("standing = 1"),
        postgresql_where=sa.text("standing = 1"),
    )
    op.create_table(
        "missing_blocks",
        sa.Column("workspace", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("lot", sa.LargeBinary(), nullable=False),
        sa.Column("block", sa.LargeBinary(), nullable=False),
        sa.Column("own", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("workspace", "lot", "block"),
        sqlite_with_rowid=False,
    )
    op.create_index("missing_by_block", "missing_blocks", ["workspace", "block"])
    op.create_table(
        "lacks",
        sa.Column("workspace", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("change_id", sa.LargeBinary(), nullable=False),
        sa.Column("lot", sa.LargeBinary(), nullable=False),
        sa.Column("blocks", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("workspace", "change_id", "lot"),
        sqlite_with_rowid=False,
    )
    op.create_index("lacks_by_lot", "lacks", ["workspace", "lot"])
    op.create_table(
        "spared",
        sa.Column("workspace", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("change_id", sa.LargeBinary(), nullable=False),
        sa.Column("lot", sa.LargeBinary(), nullable=False),
        sa.Column("block", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "change_id", "lot", "block"),
        sqlite_with_rowid=False,
    )
    op.create_index("spared_by_block", "spared", ["workspace", "block"])
    op.create_table(
        "holders",
        sa.Column("workspace", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("change_id", sa.LargeBinary(), nullable=False),
        sa.Column("device_id", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "change_id", "device_id"),
        sqlite_with_rowid=False,
    )
