"""Keep what the rules of unit types need: until when units are valid, and national accounts."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

CHECK = "ck_registry_account_kind"
BEFORE = "kind IN ('pending', 'permanent', 'temporary')"
AFTER = "kind IN ('pending', 'permanent', 'temporary', 'annex_i')"


def _kinds(check: str) -> None:
    with op.batch_alter_table("registry_account") as table:
        table.drop_constraint(op.f(CHECK), type_="check")
        table.create_check_constraint(op.f(CHECK), check)


def upgrade() -> None:
    """Bring the columns, which no block or line has a value for yet, and the kind."""
    op.add_column("block", sa.Column("expires_on", sa.Date(), nullable=True))
    op.add_column("order_line", sa.Column("expires_on", sa.Date(), nullable=True))
    _kinds(AFTER)


def downgrade() -> None:
    """Take them away; nothing can be offered from a temporary account either."""
    op.execute("UPDATE registry_account SET kind = 'temporary' WHERE kind = 'annex_i'")
    _kinds(BEFORE)
    op.execute("ALTER TABLE order_line DROP COLUMN expires_on")
    op.execute("ALTER TABLE block DROP COLUMN expires_on")
