"""Invite operators, close and erase accounts."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ROLES = "operator_role IN ('head', 'support', 'listing', 'finance', 'editor', 'auditor')"
EITHER = (
    "(provider_id IS NOT NULL AND role IS NOT NULL AND operator_role IS NULL) OR "
    "(provider_id IS NULL AND role IS NULL AND operator_role IS NOT NULL)"
)
NEVER_ERASED = sa.text("erased_at IS NULL")
SENT_TO = sa.text("recipient != ''")
WITH_BODY = sa.text("body != ''")
PARTIAL = (
    ("ix_checkout_kept", "checkout", ["created_at", "id"], NEVER_ERASED),
    ("ix_order_kept", "order", ["status", "placed_at", "id"], NEVER_ERASED),
    ("ix_paper_kept", "paper", ["issued_at", "id"], NEVER_ERASED),
    ("ix_message_kept", "message", ["created_at", "id"], SENT_TO),
    ("ix_webhook_delivery_kept", "webhook_delivery", ["received_at", "id"], WITH_BODY),
)
PLAIN = (
    ("ix_invitation_email", "invitation", ["email"]),
    ("ix_invitation_expires", "invitation", ["expires_at"]),
    ("ix_message_recipient", "message", ["recipient", "id"]),
    ("ix_event_at", "event", ["at", "id"]),
    ("ix_event_actor", "event", ["actor", "at", "id"]),
    ("ix_event_new", "event", ["new", "at", "id"]),
    ("ix_event_table", "event", ["subject", "at", "id"]),
)
MOMENTS = (
    ("user", "closed_at"),
    ("order", "erased_at"),
    ("checkout", "erased_at"),
    ("paper", "erased_at"),
)


def upgrade() -> None:
    for table, name in MOMENTS:
        op.add_column(table, sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("invitation") as batch:
        batch.add_column(sa.Column("operator_role", sa.String(length=32), nullable=True))
        batch.alter_column("provider_id", existing_type=sa.BigInteger(), nullable=True)
        batch.alter_column("role", existing_type=sa.String(length=32), nullable=True)
        batch.create_check_constraint(op.f("ck_invitation_operator_role"), ROLES)
        batch.create_check_constraint(op.f("ck_invitation_either"), EITHER)
    op.create_table(
        "doomed_file",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_doomed_file")),
    )
    for name, table, columns, where in PARTIAL:
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
    for name, table, columns in PLAIN:
        op.create_index(name, table, columns)
    op.execute(
        "INSERT INTO chore (name, due_at, attempts, last_error, fence) "
        "VALUES ('retention', CURRENT_TIMESTAMP, 0, '', 0)"
    )


def downgrade() -> None:
    op.execute("DELETE FROM chore WHERE name = 'retention'")
    for name, table, *_ in (*reversed(PLAIN), *reversed(PARTIAL)):
        op.drop_index(name, table_name=table)
    op.drop_table("doomed_file")
    # The desk's own: the older application knows only providers' staff.
    op.execute("DELETE FROM invitation WHERE provider_id IS NULL")
    with op.batch_alter_table("invitation") as batch:
        batch.drop_constraint(op.f("ck_invitation_either"), type_="check")
        batch.drop_constraint(op.f("ck_invitation_operator_role"), type_="check")
        batch.alter_column("role", existing_type=sa.String(length=32), nullable=False)
        batch.alter_column("provider_id", existing_type=sa.BigInteger(), nullable=False)
        batch.drop_column("operator_role")
    for table, name in reversed(MOMENTS):
        op.drop_column(table, name)
