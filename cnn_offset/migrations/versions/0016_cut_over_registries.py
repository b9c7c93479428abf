"""Move holdings, offers and open orders from one registry to its successor."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
STATUS = "status IN ('frozen', 'drained', 'matched', 'moved', 'verified', 'thawed', 'given_up')"


def upgrade() -> None:
    """Bring the tables."""
    op.create_table(
        "cutover",
        sa.Column("id", BIG, nullable=False),
        sa.Column("old_id", sa.String(length=40), nullable=False),
        sa.Column("new_id", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=True),
        sa.Column("sums", sa.JSON(), nullable=False),
        sa.Column("actor", sa.String(length=120), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stepped_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint("slot = 1", name=op.f("ck_cutover_slot")),
        sa.CheckConstraint(STATUS, name=op.f("ck_cutover_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cutover")),
        sa.UniqueConstraint("slot", name=op.f("uq_cutover_slot")),
    )
    op.create_table(
        "cutover_group",
        sa.Column("id", BIG, nullable=False),
        sa.Column("cutover_id", BIG, nullable=False),
        sa.Column("successors", sa.JSON(), nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["cutover_id"], ["cutover.id"], name=op.f("fk_cutover_group_cutover_id_cutover")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cutover_group")),
    )
    op.create_index("ix_cutover_group_cutover", "cutover_group", ["cutover_id", "id"], unique=False)
    op.create_table(
        "block_origin",
        sa.Column("id", BIG, nullable=False),
        sa.Column("block_id", BIG, nullable=False),
        sa.Column("former_id", BIG, nullable=False),
        sa.Column("series", sa.String(length=80), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("first_text", sa.Text(), nullable=False),
        sa.Column("last_text", sa.Text(), nullable=False),
        sa.CheckConstraint("first >= 1 AND last >= first", name=op.f("ck_block_origin_range")),
        sa.ForeignKeyConstraint(
            ["block_id"], ["block.id"], name=op.f("fk_block_origin_block_id_block")
        ),
        sa.ForeignKeyConstraint(
            ["former_id"], ["block.id"], name=op.f("fk_block_origin_former_id_block")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_block_origin")),
        sa.UniqueConstraint("former_id", "first", name=op.f("uq_block_origin_former_id_first")),
    )
    op.create_index(op.f("ix_block_origin_block_id"), "block_origin", ["block_id"], unique=False)
    op.create_table(
        "former_ref",
        sa.Column("id", BIG, nullable=False),
        sa.Column("activity_id", BIG, nullable=False),
        sa.Column("registry_id", sa.String(length=40), nullable=False),
        sa.Column("ref", sa.String(length=40), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["activity_id"], ["activity.id"], name=op.f("fk_former_ref_activity_id_activity")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_former_ref")),
        sa.UniqueConstraint("registry_id", "ref", name=op.f("uq_former_ref_registry_id_ref")),
    )
    op.create_index(op.f("ix_former_ref_activity_id"), "former_ref", ["activity_id"], unique=False)


def downgrade() -> None:
    """Take them away; what has moved stays where it is."""
    op.drop_table("former_ref")
    op.drop_table("block_origin")
    op.drop_table("cutover_group")
    op.drop_table("cutover")
