"""Find imported cancellations in the public record."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KINDS = {
    "term": sa.String(length=80),
    "completed_at": sa.DateTime(timezone=True),
    "historic_id": BIG,
}


def make_terms(*key: str, **options: bool) -> None:
    """Make the index of words anew, with the terms that there are."""
    op.rename_table("history_term", "old_term")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE old_term RENAME CONSTRAINT pk_history_term TO pk_old_term")
    op.create_table(
        "history_term",
        *(sa.Column(name, KINDS[name], autoincrement=False, nullable=False) for name in key),
        sa.ForeignKeyConstraint(
            ["historic_id"],
            ["historic_cancellation.id"],
            name=op.f("fk_history_term_historic_id_historic_cancellation"),
        ),
        sa.PrimaryKeyConstraint(*key, name=op.f("pk_history_term")),
        **options,
    )
    names = ", ".join(key)
    wanted = names.replace("historic_id", "each.id").replace("completed_at", "each.completed_at")
    op.execute(
        f"INSERT INTO history_term ({names}) SELECT {wanted} FROM old_term AS known "
        "JOIN historic_cancellation AS each ON each.id = known.historic_id"
    )
    op.drop_table("old_term")


def upgrade() -> None:
    """Bring the tables."""
    make_terms("term", "completed_at", "historic_id", sqlite_with_rowid=False)
    op.create_table(
        "history_facet",
        sa.Column("name", sa.String(length=10), nullable=False),
        sa.Column("value", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("name", "value", name=op.f("pk_history_facet")),
    )
    for name in ("host", "registry", "year"):
        op.execute(
            "INSERT INTO history_facet (name, value) "
            f"SELECT DISTINCT '{name}', substr(term, {len(name) + 2}) FROM history_term "
            f"WHERE term LIKE '{name}:%'"
        )
    op.create_index(
        "ix_historic_cancellation_unlinked",
        "historic_cancellation",
        ["registry_id", "activity_ref"],
        unique=False,
        sqlite_where=sa.text("activity_id IS NULL"),
        postgresql_where=sa.text("activity_id IS NULL"),
    )
    # A registry's report brings thousands of projects; the record asks for their hosts.
    op.create_index(op.f("ix_activity_host_party"), "activity", ["host_party"], unique=False)


def downgrade() -> None:
    """Take them away; the words stay."""
    op.drop_index(op.f("ix_activity_host_party"), table_name="activity")
    op.drop_index("ix_historic_cancellation_unlinked", table_name="historic_cancellation")
    op.drop_table("history_facet")
    make_terms("term", "historic_id")
