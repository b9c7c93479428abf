"""Index the public record, and attestations by the hash of their PDF."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "record_term",
        sa.Column("term", sa.String(length=80), nullable=False),
        sa.Column(
            "attestation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["attestation_id"], ["attestation.id"], name="fk_record_term_attestation_id_attestation"
        ),
        sa.PrimaryKeyConstraint("term", "attestation_id", name="pk_record_term"),
    )
    op.create_index("ix_attestation_sha256", "attestation", ["sha256"])


def downgrade() -> None:
    op.drop_index("ix_attestation_sha256", "attestation")
    op.drop_table("record_term")
