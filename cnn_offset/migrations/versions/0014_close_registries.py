"""Let registries close: what is due at their dates."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "registry_end",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("registry_id", sa.String(length=40), nullable=False),
        sa.Column("orders_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancels_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closes_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_end")),
        sa.UniqueConstraint("registry_id", name=op.f("uq_registry_end_registry_id")),
    )
    op.execute("INSERT INTO chore (name, due_at) VALUES ('closing', CURRENT_TIMESTAMP)")


def downgrade() -> None:
    op.execute("DELETE FROM chore WHERE name = 'closing'")
    op.drop_table("registry_end")
