"""Let operators edit pages and mails."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def only(condition: str) -> dict[str, sa.TextClause]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    op.create_table(
        "page_version",
        sa.Column("id", ID, nullable=False),
        sa.Column("page", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=20), server_default="", nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "draft",
                "published",
                "replaced",
                "discarded",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("edition", sa.Integer(), server_default="1", nullable=False),
        sa.Column("texts", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.String(length=254), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.String(length=254), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_by", sa.String(length=254), server_default="", nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_page_version")),
    )
    op.create_index("uq_page_version_number", "page_version", ["page", "number"], unique=True)
    op.create_index(
        "uq_page_version_name", "page_version", ["page", "name"], unique=True, **only("name != ''")
    )
    for status in ("draft", "published"):
        op.create_index(
            f"uq_page_version_{status}",
            "page_version",
            ["page"],
            unique=True,
            **only(f"status = '{status}'"),
        )
    op.create_table(
        "saying",
        sa.Column("id", ID, nullable=False),
        sa.Column("place", sa.String(length=16), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("msgid", sa.Text(), nullable=False),
        sa.Column("lang", sa.String(length=2), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("plural", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=254), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("lang IN ('en', 'fr', 'es')", name=op.f("ck_saying_lang")),
        sa.CheckConstraint("number > 0", name=op.f("ck_saying_number")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saying")),
    )
    op.create_index("uq_saying_number", "saying", ["place", "key", "lang", "number"], unique=True)


def downgrade() -> None:
    op.drop_index("uq_saying_number", table_name="saying")
    op.drop_table("saying")
    for status in ("published", "draft"):
        op.drop_index(f"uq_page_version_{status}", table_name="page_version")
    op.drop_index("uq_page_version_name", table_name="page_version")
    op.drop_index("uq_page_version_number", table_name="page_version")
    op.drop_table("page_version")
