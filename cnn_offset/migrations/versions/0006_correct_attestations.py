"""Correct attestations and refund by the processor."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ANOTHER = "ck_attestation_supersedes_another"
FIRST = sa.text("supersedes_id IS NULL")
SECOND = sa.text("supersedes_id IS NOT NULL")
DUE = sa.text("due_at IS NOT NULL")
ASKED = sa.text("status = 'asked'")
QUEUED = sa.text("status = 'queued'")


def upgrade() -> None:
    with op.batch_alter_table("attestation") as attestation:
        attestation.add_column(sa.Column("supersedes_id", BIG_ID, nullable=True))
        attestation.add_column(
            sa.Column("correction", sa.Text(), server_default="", nullable=False)
        )
        attestation.drop_constraint("uq_attestation_order_id", type_="unique")
        attestation.create_foreign_key(
            "fk_attestation_supersedes_id_attestation", "attestation", ["supersedes_id"], ["id"]
        )
        attestation.create_check_constraint(op.f(ANOTHER), "supersedes_id != id")
    op.create_index("ix_attestation_order", "attestation", ["order_id", "id"])
    op.create_index(
        "uq_attestation_supersedes_id",
        "attestation",
        ["supersedes_id"],
        unique=True,
        sqlite_where=SECOND,
        postgresql_where=SECOND,
    )
    op.create_index(
        "uq_attestation_first",
        "attestation",
        ["order_id"],
        unique=True,
        sqlite_where=FIRST,
        postgresql_where=FIRST,
    )
    op.create_table(
        "correction",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("order_id", BIG_ID, nullable=False),
        sa.Column("attestation_id", BIG_ID, nullable=False),
        sa.Column("beneficiary", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("remark", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "asked",
                "corrected",
                "refused",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("asked_by", sa.String(length=254), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(length=254), server_default="", nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["attestation_id"],
            ["attestation.id"],
            name=op.f("fk_correction_attestation_id_attestation"),
        ),
        sa.ForeignKeyConstraint(
            ["order_id"], ["order.id"], name=op.f("fk_correction_order_id_order")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_correction")),
    )
    op.create_index("ix_correction_order", "correction", ["order_id"])
    op.create_index("ix_correction_status", "correction", ["status", "id"])
    op.create_index(
        "uq_correction_asked",
        "correction",
        ["order_id"],
        unique=True,
        sqlite_where=ASKED,
        postgresql_where=ASKED,
    )
    op.create_table(
        "refund",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("order_id", BIG_ID, nullable=False),
        sa.Column("payment_id", BIG_ID, nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("fee_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "queued",
                "done",
                "refused",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("asked_by", sa.String(length=254), nullable=False),
        sa.Column("approved_by", sa.String(length=254), nullable=False),
        sa.Column("said", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_error", sa.Text(), server_default="", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_refund_amount")),
        sa.CheckConstraint("fee_minor >= 0", name=op.f("ck_refund_fee")),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_refund_order_id_order")),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payment.id"], name=op.f("fk_refund_payment_id_payment")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund")),
        sa.UniqueConstraint("key", name=op.f("uq_refund_key")),
    )
    op.create_index("ix_refund_due", "refund", ["due_at"], sqlite_where=DUE, postgresql_where=DUE)
    op.create_index("ix_refund_order", "refund", ["order_id"])
    op.create_index("ix_refund_payment", "refund", ["payment_id"])
    op.create_index("ix_refund_status", "refund", ["status", "id"])
    op.create_index(
        "uq_refund_open",
        "refund",
        ["payment_id"],
        unique=True,
        sqlite_where=QUEUED,
        postgresql_where=QUEUED,
    )


def downgrade() -> None:
    corrected = "SELECT 1 FROM attestation WHERE supersedes_id IS NOT NULL LIMIT 1"
    if op.get_bind().exec_driver_sql(corrected).first():
        raise RuntimeError("there are corrected attestations, which 0005 has no place for")
    op.drop_index(
        "uq_refund_open", table_name="refund", sqlite_where=QUEUED, postgresql_where=QUEUED
    )
    op.drop_index("ix_refund_status", table_name="refund")
    op.drop_index("ix_refund_payment", table_name="refund")
    op.drop_index("ix_refund_order", table_name="refund")
    op.drop_index("ix_refund_due", table_name="refund", sqlite_where=DUE, postgresql_where=DUE)
    op.drop_table("refund")
    op.drop_index(
        "uq_correction_asked", table_name="correction", sqlite_where=ASKED, postgresql_where=ASKED
    )
    op.drop_index("ix_correction_status", table_name="correction")
    op.drop_index("ix_correction_order", table_name="correction")
    op.drop_table("correction")
    op.drop_index(
        "uq_attestation_first", table_name="attestation", sqlite_where=FIRST, postgresql_where=FIRST
    )
    op.drop_index("uq_attestation_supersedes_id", table_name="attestation")
    op.drop_index("ix_attestation_order", table_name="attestation")
    with op.batch_alter_table("attestation") as attestation:
        attestation.drop_constraint(op.f(ANOTHER), type_="check")
        attestation.drop_constraint("fk_attestation_supersedes_id_attestation", type_="foreignkey")
        attestation.create_unique_constraint("uq_attestation_order_id", ["order_id"])
        attestation.drop_column("correction")
        attestation.drop_column("supersedes_id")
