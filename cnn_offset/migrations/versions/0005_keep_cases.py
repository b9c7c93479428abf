"""Keep cases and what is written about them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "incoming_mail",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("message_id", sa.String(length=250), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "stored",
                "handled",
                "unmatched",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_error", sa.Text(), server_default="", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incoming_mail")),
        sa.UniqueConstraint("key", name=op.f("uq_incoming_mail_key")),
    )
    op.create_index(
        "ix_incoming_mail_due",
        "incoming_mail",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index("ix_incoming_mail_status", "incoming_mail", ["status", "id"], unique=False)
    op.create_table(
        "support_case",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("code", sa.String(length=9), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "order",
                "certificate",
                "listing",
                "payment",
                "other",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "status",
            sa.Enum(
                "open",
                "waiting",
                "escalated",
                "closed",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "side",
            sa.Enum(
                "purchaser",
                "provider",
                "visitor",
                name="side",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("locale", sa.String(length=2), nullable=False),
        sa.Column("summary", sa.String(length=120), nullable=False),
        sa.Column("order_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("order_typed", sa.String(length=40), nullable=False),
        sa.Column(
            "provider_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("escalated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("solve_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["order_id"], ["order.id"], name=op.f("fk_support_case_order_id_order")
        ),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["provider.id"], name=op.f("fk_support_case_provider_id_provider")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_support_case")),
        sa.UniqueConstraint("code", name=op.f("uq_support_case_code")),
    )
    op.create_index(
        "ix_support_case_answer_by",
        "support_case",
        ["answer_by", "id"],
        unique=False,
        sqlite_where=sa.text("answer_by IS NOT NULL"),
        postgresql_where=sa.text("answer_by IS NOT NULL"),
    )
    op.create_index(
        "ix_support_case_kind_answer_by",
        "support_case",
        ["kind", "answer_by", "id"],
        unique=False,
        sqlite_where=sa.text("answer_by IS NOT NULL"),
        postgresql_where=sa.text("answer_by IS NOT NULL"),
    )
    op.create_index("ix_support_case_email", "support_case", ["email", "id"], unique=False)
    op.create_index("ix_support_case_kind", "support_case", ["kind", "id"], unique=False)
    op.create_index(
        "ix_support_case_kind_status", "support_case", ["kind", "status", "id"], unique=False
    )
    op.create_index("ix_support_case_order", "support_case", ["order_id"], unique=False)
    op.create_index("ix_support_case_status", "support_case", ["status", "id"], unique=False)
    op.create_table(
        "case_message",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("case_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "voice",
            sa.Enum(
                "asker",
                "other_side",
                "operator",
                "note",
                "platform",
                name="voice",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("sender", sa.String(length=254), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_automatic", sa.Boolean(), nullable=False),
        sa.Column("to_other_side", sa.Boolean(), nullable=False),
        sa.Column("left_out", sa.JSON(), nullable=False),
        sa.Column("due_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("mail_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(
            ["case_id"], ["support_case.id"], name=op.f("fk_case_message_case_id_support_case")
        ),
        sa.ForeignKeyConstraint(
            ["mail_id"], ["incoming_mail.id"], name=op.f("fk_case_message_mail_id_incoming_mail")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_message")),
        sa.UniqueConstraint("mail_id", name=op.f("uq_case_message_mail_id")),
    )
    op.create_index("ix_case_message_case", "case_message", ["case_id", "id"], unique=False)
    op.create_table(
        "case_file",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("filename", sa.String(length=200), nullable=False),
        sa.Column("content_type", sa.String(length=40), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"], ["case_message.id"], name=op.f("fk_case_file_message_id_case_message")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_file")),
    )
    op.create_index("ix_case_file_message", "case_file", ["message_id"], unique=False)
    op.add_column("message", sa.Column("failure", sa.Text(), server_default="", nullable=False))
    # Fetches the mails of the reply addresses, if there is a mailbox to fetch them from.
    op.execute(
        "INSERT INTO chore (name, due_at, attempts, last_error, fence) "
        "VALUES ('mailbox', CURRENT_TIMESTAMP, 0, '', 0)"
    )
    # Mails to addresses that nobody was ever given.
    op.execute("INSERT INTO counter (name, value) VALUES ('mails_dropped', 0)")


def downgrade() -> None:
    op.execute("DELETE FROM counter WHERE name = 'mails_dropped'")
    op.execute("DELETE FROM chore WHERE name = 'mailbox'")
    op.drop_column("message", "failure")
    op.drop_index("ix_case_file_message", table_name="case_file")
    op.drop_table("case_file")
    op.drop_index("ix_case_message_case", table_name="case_message")
    op.drop_table("case_message")
    op.drop_index("ix_support_case_status", table_name="support_case")
    op.drop_index("ix_support_case_order", table_name="support_case")
    op.drop_index("ix_support_case_kind_status", table_name="support_case")
    op.drop_index("ix_support_case_kind", table_name="support_case")
    op.drop_index(
        "ix_support_case_kind_answer_by",
        table_name="support_case",
        sqlite_where=sa.text("answer_by IS NOT NULL"),
        postgresql_where=sa.text("answer_by IS NOT NULL"),
    )
    op.drop_index("ix_support_case_email", table_name="support_case")
    op.drop_index(
        "ix_support_case_answer_by",
        table_name="support_case",
        sqlite_where=sa.text("answer_by IS NOT NULL"),
        postgresql_where=sa.text("answer_by IS NOT NULL"),
    )
    op.drop_table("support_case")
    op.drop_index("ix_incoming_mail_status", table_name="incoming_mail")
    op.drop_index(
        "ix_incoming_mail_due",
        table_name="incoming_mail",
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.drop_table("incoming_mail")
