"""Charge providers a fee."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

CHORES = ("fee_days", "fee_statements")


def upgrade() -> None:
    op.create_table(
        "fee_schedule",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("holds_from", sa.Date(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("published_by", sa.String(length=254), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fee_schedule")),
        sa.UniqueConstraint("holds_from", name=op.f("uq_fee_schedule_holds_from")),
    )
    op.create_table(
        "fee_consent",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "provider_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "schedule_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("given_by", sa.String(length=254), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["provider.id"], name=op.f("fk_fee_consent_provider_id_provider")
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"],
            ["fee_schedule.id"],
            name=op.f("fk_fee_consent_schedule_id_fee_schedule"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fee_consent")),
        sa.UniqueConstraint(
            "provider_id", "schedule_id", name=op.f("uq_fee_consent_provider_id_schedule_id")
        ),
    )
    op.create_table(
        "fee_statement",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column(
            "provider_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "open",
                "settled",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["provider.id"], name=op.f("fk_fee_statement_provider_id_provider")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fee_statement")),
        sa.UniqueConstraint(
            "provider_id",
            "currency",
            "month",
            name=op.f("uq_fee_statement_provider_id_currency_month"),
        ),
        sa.UniqueConstraint("sequence", name=op.f("uq_fee_statement_sequence")),
    )
    op.create_index("ix_fee_statement_status", "fee_statement", ["status", "id"], unique=False)
    op.create_table(
        "fee_tier",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "schedule_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "unit_type",
            sa.Enum(
                "cer",
                "tcer",
                "lcer",
                "a64er_authorised",
                "a64er_contribution",
                name="unit_type",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("after_units", sa.BigInteger(), nullable=False),
        sa.Column("basis_points", sa.Integer(), nullable=False),
        sa.CheckConstraint("after_units >= 0", name=op.f("ck_fee_tier_after_units")),
        sa.CheckConstraint(
            "basis_points BETWEEN 0 AND 2000", name=op.f("ck_fee_tier_basis_points")
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["fee_schedule.id"], name=op.f("fk_fee_tier_schedule_id_fee_schedule")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fee_tier")),
        sa.UniqueConstraint(
            "schedule_id",
            "unit_type",
            "after_units",
            name=op.f("uq_fee_tier_schedule_id_unit_type_after_units"),
        ),
    )
    op.create_table(
        "fee_volume",
        sa.Column(
            "provider_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "unit_type",
            sa.Enum(
                "cer",
                "tcer",
                "lcer",
                "a64er_authorised",
                "a64er_contribution",
                name="unit_type",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("units >= 0", name=op.f("ck_fee_volume_units")),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["provider.id"], name=op.f("fk_fee_volume_provider_id_provider")
        ),
        sa.PrimaryKeyConstraint("provider_id", "unit_type", "year", name=op.f("pk_fee_volume")),
    )
    op.create_table(
        "fee_statement_line",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "statement_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("order_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_minor != 0", name=op.f("ck_fee_statement_line_amount")),
        sa.ForeignKeyConstraint(
            ["order_id"], ["order.id"], name=op.f("fk_fee_statement_line_order_id_order")
        ),
        sa.ForeignKeyConstraint(
            ["statement_id"],
            ["fee_statement.id"],
            name=op.f("fk_fee_statement_line_statement_id_fee_statement"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fee_statement_line")),
        sa.UniqueConstraint(
            "statement_id", "order_id", name=op.f("uq_fee_statement_line_statement_id_order_id")
        ),
    )
    op.create_index("ix_fee_statement_line_order", "fee_statement_line", ["order_id"], unique=False)
    op.create_table(
        "order_fee",
        sa.Column(
            "order_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column(
            "provider_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "schedule_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.Column("unsettled", sa.Boolean(), nullable=False),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_order_fee_amount")),
        sa.ForeignKeyConstraint(
            ["order_id"], ["order.id"], name=op.f("fk_order_fee_order_id_order")
        ),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["provider.id"], name=op.f("fk_order_fee_provider_id_provider")
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["fee_schedule.id"], name=op.f("fk_order_fee_schedule_id_fee_schedule")
        ),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_order_fee")),
    )
    op.create_index(
        "ix_order_fee_open",
        "order_fee",
        ["provider_id", "order_id"],
        unique=False,
        sqlite_where=sa.text("unsettled"),
        postgresql_where=sa.text("unsettled"),
    )
    op.add_column("payment", sa.Column("fee_minor", sa.BigInteger(), nullable=True))
    op.add_column("payment_fact", sa.Column("platform_minor", sa.BigInteger(), nullable=True))
    op.add_column(
        "provider", sa.Column("fees_unaccepted", sa.Boolean(), server_default="0", nullable=False)
    )
    for name in CHORES:
        op.execute(
            "INSERT INTO chore (name, due_at, attempts, last_error, fence) "
            f"VALUES ('{name}', '2026-01-01 00:00:00', 0, '', 0)"
        )


def downgrade() -> None:
    op.execute("DELETE FROM chore WHERE name IN ('fee_days', 'fee_statements')")
    op.execute("DELETE FROM counter WHERE name = 'fee_statement'")
    op.drop_column("provider", "fees_unaccepted")
    op.drop_column("payment_fact", "platform_minor")
    op.drop_column("payment", "fee_minor")
    op.drop_index(
        "ix_order_fee_open",
        table_name="order_fee",
        sqlite_where=sa.text("unsettled"),
        postgresql_where=sa.text("unsettled"),
    )
    op.drop_table("order_fee")
    op.drop_index("ix_fee_statement_line_order", table_name="fee_statement_line")
    op.drop_table("fee_statement_line")
    op.drop_table("fee_volume")
    op.drop_table("fee_tier")
    op.drop_index("ix_fee_statement_status", table_name="fee_statement")
    op.drop_table("fee_statement")
    op.drop_table("fee_consent")
    op.drop_table("fee_schedule")
