"""Know what still needs a plug-in, and what it called itself."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

OPEN = "status IN ('created', 'awaiting_payer', 'processing', 'in_review', 'disputed')"


def upgrade() -> None:
    """Bring the table of titles and the index of open payments."""
    op.create_table(
        "plugin_title",
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name=op.f("pk_plugin_title")),
    )
    op.create_index(
        "ix_payment_open",
        "payment",
        ["method_id", "id"],
        unique=False,
        sqlite_where=sa.text(OPEN),
        postgresql_where=sa.text(OPEN),
    )


def downgrade() -> None:
    """Take them away."""
    op.drop_index("ix_payment_open", table_name="payment")
    op.drop_table("plugin_title")
