"""Compare our books with the registries' each night."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables."""
    op.create_table(
        "night",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("registry_id", sa.String(length=40), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "step",
            sa.Enum(
                "list",
                "holdings",
                "done",
                name="step",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "hindrance",
            sa.Enum(
                "closed",
                "silent",
                "refused",
                "too_many",
                "no_time",
                name="hindrance",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=True,
        ),
        sa.Column("words", sa.Text(), server_default="", nullable=False),
        sa.Column("cursor", sa.Text(), server_default="", nullable=False),
        sa.Column("skip", sa.Integer(), server_default="0", nullable=False),
        sa.Column("listed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("matched", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("matched_units", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("elsewhere", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("elsewhere_units", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("blocks", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("units", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("found", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_error", sa.Text(), server_default="", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_night")),
        sa.UniqueConstraint("registry_id", "day", name=op.f("uq_night_registry_id_day")),
    )
    op.create_index(
        "ix_night_due",
        "night",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index(
        "ix_night_failing",
        "night",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("attempts >= 5"),
        postgresql_where=sa.text("attempts >= 5"),
    )
    op.create_table(
        "reading",
        sa.Column(
            "account_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("registry_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("found", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["registry_account.id"],
            name=op.f("fk_reading_account_id_registry_account"),
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_reading")),
    )
    op.create_table(
        "difference",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("registry_id", sa.String(length=40), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "ours_only",
                "theirs_only",
                "differing",
                "taken_twice",
                "holding",
                "report",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("name", sa.String(length=240), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "open",
                "settled",
                "gone",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("night_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "cancellation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("order_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("block_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("ours", sa.JSON(), nullable=False),
        sa.Column("theirs", sa.JSON(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("remark", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["registry_account.id"],
            name=op.f("fk_difference_account_id_registry_account"),
        ),
        sa.ForeignKeyConstraint(
            ["block_id"], ["block.id"], name=op.f("fk_difference_block_id_block")
        ),
        sa.ForeignKeyConstraint(
            ["cancellation_id"],
            ["cancellation.id"],
            name=op.f("fk_difference_cancellation_id_cancellation"),
        ),
        sa.ForeignKeyConstraint(
            ["night_id"], ["night.id"], name=op.f("fk_difference_night_id_night")
        ),
        sa.ForeignKeyConstraint(
            ["order_id"], ["order.id"], name=op.f("fk_difference_order_id_order")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_difference")),
    )
    op.create_index(
        "ix_difference_name", "difference", ["registry_id", "kind", "name", "id"], unique=False
    )
    op.create_index("ix_difference_night", "difference", ["night_id"], unique=False)
    op.create_index(
        "ix_difference_waits",
        "difference",
        ["found_at"],
        unique=False,
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_index(
        "uq_difference_open",
        "difference",
        ["registry_id", "kind", "name"],
        unique=True,
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_index("ix_block_place", "block", ["registry_id", "series", "last"], unique=False)
    op.add_column("cancellation", sa.Column("listed_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_cancellation_unlisted",
        "cancellation",
        ["registry_id", "completed_at"],
        unique=False,
        sqlite_where=sa.text("status = 'confirmed' AND listed_at IS NULL"),
        postgresql_where=sa.text("status = 'confirmed' AND listed_at IS NULL"),
    )
    op.add_column(
        "registry_account", sa.Column("whole_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column(
        "registry_account", sa.Column("changes_from", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column(
        "registry_account",
        sa.Column("listed_blocks", sa.BigInteger(), server_default="0", nullable=False),
    )
    op.add_column(
        "registry_account",
        sa.Column("listed_units", sa.BigInteger(), server_default="0", nullable=False),
    )
    op.execute("INSERT INTO chore (name, due_at) VALUES ('reconcile', CURRENT_TIMESTAMP)")


def downgrade() -> None:
    """Take them away."""
    op.execute("DELETE FROM chore WHERE name = 'reconcile'")
    for column in ("listed_units", "listed_blocks", "changes_from", "whole_at"):
        op.drop_column("registry_account", column)
    op.drop_index("ix_cancellation_unlisted", table_name="cancellation")
    op.drop_column("cancellation", "listed_at")
    op.drop_index("ix_block_place", table_name="block")
    for table in ("difference", "reading", "night"):
        op.drop_table(table)
