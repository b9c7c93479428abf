"""Suspend providers, allow units whose share of proceeds is paid in part, mail a daily digest."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("provider", sa.Column("suspended_at", sa.DateTime(timezone=True)))
    op.add_column(
        "provider", sa.Column("suspended_why", sa.Text(), server_default="", nullable=False)
    )
    op.add_column(
        "account_activity",
        sa.Column("allows_partial", sa.Boolean(), server_default="0", nullable=False),
    )
    chore = sa.table("chore", sa.column("name"), sa.column("due_at", sa.DateTime(timezone=True)))
    op.execute(chore.insert().values(name="desk_digest", due_at=sa.text("CURRENT_TIMESTAMP")))


def downgrade() -> None:
    op.execute("DELETE FROM chore WHERE name = 'desk_digest'")
    op.drop_column("account_activity", "allows_partial")
    op.drop_column("provider", "suspended_why")
    op.drop_column("provider", "suspended_at")
