"""Replace units of an order, or give part of it back, where one registry refuses."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
STATUSES = ("queued", "submitted", "unknown", "confirmed", "rejected", "mismatched")
STANDING = sa.text("status <> 'given_up'")
DUE = sa.text("due_at IS NOT NULL")
ASKED = sa.text("status = 'asked'")


def cancellation(statuses: tuple[str, ...], *, one_of_a_line: bool) -> None:
    """Let cancellations have these statuses, and a line one of them, or several."""
    known = ", ".join(f"'{each}'" for each in statuses)
    name = op.f("uq_cancellation_order_line_id")
    with op.batch_alter_table("cancellation") as table:
        table.drop_constraint(op.f("ck_cancellation_status"), type_="check")
        table.create_check_constraint(op.f("ck_cancellation_status"), f"status IN ({known})")
        if one_of_a_line:
            table.create_unique_constraint(name, ["order_line_id"])
        else:
            table.drop_constraint(name, type_="unique")


def upgrade() -> None:
    op.add_column(
        "order_line", sa.Column("given_back_at", sa.DateTime(timezone=True), nullable=True)
    )
    # No table is copied for a column: others refer to this one.
    op.execute(
        "ALTER TABLE payment ADD COLUMN waived_minor BIGINT DEFAULT '0' NOT NULL "
        "CONSTRAINT ck_payment_waived CHECK (waived_minor >= 0)"
    )
    cancellation((*STATUSES, "given_up"), one_of_a_line=False)
    op.create_index(
        "uq_cancellation_line",
        "cancellation",
        ["order_line_id"],
        unique=True,
        sqlite_where=STANDING,
        postgresql_where=STANDING,
    )
    op.create_table(
        "replacement",
        sa.Column("id", BIG_ID, nullable=False),
        *(
            sa.Column(f"{name}_id", BIG_ID, nullable=False)
            for name in (
                "order",
                "order_line",
                "cancellation",
                "old_offer",
                "old_block",
                "offer",
                "block",
            )
        ),
        sa.Column(
            "status",
            sa.Enum(
                "asked",
                "agreed",
                "declined",
                "lapsed",
                "withdrawn",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("asked_by", sa.String(length=254), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_error", sa.Text(), server_default="", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.Integer(), server_default="0", nullable=False),
        *(
            sa.ForeignKeyConstraint(
                [f"{name}_id"],
                [f"{table}.id"],
                name=op.f(f"fk_replacement_{name}_id_{table}"),
            )
            for name, table in (
                ("order", "order"),
                ("order_line", "order_line"),
                ("cancellation", "cancellation"),
                ("old_offer", "offer"),
                ("old_block", "block"),
                ("offer", "offer"),
                ("block", "block"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replacement")),
    )
    op.create_index("ix_replacement_order", "replacement", ["order_id"])
    op.create_index(
        "uq_replacement_asked",
        "replacement",
        ["order_line_id"],
        unique=True,
        sqlite_where=ASKED,
        postgresql_where=ASKED,
    )
    op.create_index(
        "ix_replacement_due",
        "replacement",
        ["due_at"],
        sqlite_where=DUE,
        postgresql_where=DUE,
    )
    failing = sa.text("attempts >= 5")
    op.create_index(
        "ix_replacement_failing",
        "replacement",
        ["due_at"],
        sqlite_where=failing,
        postgresql_where=failing,
    )


def downgrade() -> None:
    """Take them away; refuses while a line has a cancellation that was given up."""
    op.drop_table("replacement")
    op.drop_index("uq_cancellation_line", table_name="cancellation")
    cancellation(STATUSES, one_of_a_line=True)
    op.execute("ALTER TABLE payment DROP COLUMN waived_minor")
    op.execute("ALTER TABLE order_line DROP COLUMN given_back_at")
