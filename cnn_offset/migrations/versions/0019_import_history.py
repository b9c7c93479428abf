"""Keep imported cancellations, issuances and the runs that imported them."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# No two ranges overlap, so of all that end at or after a new one's first unit only the one
# that ends first can touch it: one step in the index, however many there are.
TOUCHED = """(
    SELECT known.first FROM cancelled_range AS known
    WHERE known.registry_id = NEW.registry_id AND known.series = NEW.series
      AND known.last >= NEW.first
    ORDER BY known.last LIMIT 1
) <= NEW.last"""
BEFORE = """EXISTS (
    SELECT 1 FROM cancelled_range AS known
    WHERE known.registry_id = NEW.registry_id AND known.series = NEW.series
      AND known.last >= NEW.first AND known.first <= NEW.last
)"""
OWNER = "(cancellation_id IS NULL) <> (historic_id IS NULL)"


def guard(overlaps: str) -> None:
    """Make the triggers of the table; SQLite drops them with the table that it copies."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER IF EXISTS no_unit_twice")
        op.execute(
            f"CREATE TRIGGER no_unit_twice BEFORE INSERT ON cancelled_range WHEN {overlaps} "
            "BEGIN SELECT RAISE(ABORT, 'no unit is cancelled twice'); END"
        )
        for verb in ("UPDATE", "DELETE"):
            name = f"cancelled_range_no_{verb.lower()}"
            op.execute(f"DROP TRIGGER IF EXISTS {name}")
            op.execute(
                f"CREATE TRIGGER {name} BEFORE {verb} ON cancelled_range "
                "BEGIN SELECT RAISE(ABORT, 'cancelled_range is only ever added to'); END"
            )
        return
    op.execute(
        f"""
        CREATE OR REPLACE FUNCTION no_unit_twice() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock(
                hashtextextended(NEW.registry_id || '/' || NEW.series, 0)
            );
            IF {overlaps} THEN
                RAISE EXCEPTION 'no unit is cancelled twice' USING ERRCODE = '23P01';
            END IF;
            RETURN NEW;
        END $$
        """
    )


def upgrade() -> None:
    """Bring the tables."""
    op.create_table(
        "historic_cancellation",
        sa.Column("id", BIG, nullable=False),
        sa.Column("registry_id", sa.String(length=40), nullable=False),
        sa.Column("order_ref", sa.String(length=40), nullable=True),
        sa.Column("reference", sa.String(length=80), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("unit_type", sa.String(length=32), nullable=False),
        sa.Column("commitment_period", sa.Integer(), nullable=True),
        sa.Column("host_party", sa.String(length=2), nullable=False),
        sa.Column("activity_ref", sa.String(length=40), nullable=False),
        sa.Column("activity_title", sa.Text(), nullable=False),
        sa.Column("activity_id", BIG, nullable=True),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("beneficiary", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint("quantity >= 1", name=op.f("ck_historic_cancellation_quantity")),
        sa.CheckConstraint(
            "unit_type IN ('cer', 'tcer', 'lcer', 'a64er_authorised', 'a64er_contribution')",
            name=op.f("ck_historic_cancellation_unit_type"),
        ),
        sa.ForeignKeyConstraint(
            ["activity_id"],
            ["activity.id"],
            name=op.f("fk_historic_cancellation_activity_id_activity"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_historic_cancellation")),
    )
    op.create_index(
        "ix_historic_cancellation_order_ref", "historic_cancellation", ["order_ref"], unique=False
    )
    op.create_index(
        "ix_historic_cancellation_completed",
        "historic_cancellation",
        ["completed_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_historic_cancellation_activity_id"),
        "historic_cancellation",
        ["activity_id"],
        unique=False,
    )
    op.create_table(
        "history_term",
        sa.Column("term", sa.String(length=80), nullable=False),
        sa.Column("historic_id", BIG, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["historic_id"],
            ["historic_cancellation.id"],
            name=op.f("fk_history_term_historic_id_historic_cancellation"),
        ),
        sa.PrimaryKeyConstraint("term", "historic_id", name=op.f("pk_history_term")),
    )
    with op.batch_alter_table("cancelled_range") as table:
        table.alter_column("cancellation_id", existing_type=BIG, nullable=True)
        table.add_column(sa.Column("historic_id", BIG, nullable=True))
        table.create_foreign_key(
            op.f("fk_cancelled_range_historic_id_historic_cancellation"),
            "historic_cancellation",
            ["historic_id"],
            ["id"],
        )
        table.create_unique_constraint(op.f("uq_cancelled_range_historic_id"), ["historic_id"])
        table.create_check_constraint(op.f("ck_cancelled_range_owner"), OWNER)
    guard(TOUCHED)
    op.create_table(
        "import_run",
        sa.Column("id", BIG, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("registry_id", sa.String(length=40), nullable=False),
        sa.Column("file_name", sa.String(length=255), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("plan_sha256", sa.String(length=64), nullable=False),
        *(
            sa.Column(name, sa.Integer(), nullable=False)
            for name in (
                "place",
                "read",
                "accepted",
                "known",
                "refused",
                "skipped",
                "warned",
                "unchecked",
            )
        ),
        sa.Column("actor", sa.String(length=120), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind IN ('history', 'activities', 'blocks')", name=op.f("ck_import_run_kind")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_run")),
    )
    op.create_index(
        "ix_import_run_sha256", "import_run", ["sha256", "kind", "registry_id"], unique=False
    )
    op.create_table(
        "import_remark",
        sa.Column("run_id", BIG, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("refused", sa.Boolean(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["import_run.id"], name=op.f("fk_import_remark_run_id_import_run")
        ),
        sa.PrimaryKeyConstraint("run_id", "number", name=op.f("pk_import_remark")),
    )
    op.create_table(
        "issuance",
        sa.Column("id", BIG, nullable=False),
        sa.Column("registry_id", sa.String(length=40), nullable=False),
        sa.Column("activity_ref", sa.String(length=40), nullable=False),
        sa.Column("party", sa.String(length=2), nullable=False),
        sa.Column("unit_type", sa.String(length=32), nullable=False),
        sa.Column("commitment_period", sa.Integer(), nullable=True),
        sa.Column("series", sa.String(length=80), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("monitoring_start", sa.Date(), nullable=True),
        sa.Column("monitoring_end", sa.Date(), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("process_ref", sa.String(length=80), nullable=False),
        sa.CheckConstraint("first >= 1 AND last >= first", name=op.f("ck_issuance_range")),
        sa.CheckConstraint(
            "monitoring_end >= monitoring_start", name=op.f("ck_issuance_monitoring")
        ),
        sa.CheckConstraint(
            "unit_type IN ('cer', 'tcer', 'lcer', 'a64er_authorised', 'a64er_contribution')",
            name=op.f("ck_issuance_unit_type"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_issuance")),
        sa.UniqueConstraint(
            "registry_id", "series", "last", name=op.f("uq_issuance_registry_id_series_last")
        ),
    )
    op.create_index(
        "ix_issuance_activity", "issuance", ["registry_id", "activity_ref"], unique=False
    )


def downgrade() -> None:
    """Take them away, and the imported cancellations with them."""
    for table in ("issuance", "import_remark", "import_run"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER cancelled_range_no_delete")
    else:
        op.execute("ALTER TABLE cancelled_range DISABLE TRIGGER cancelled_range_only_added_to")
    op.execute("DELETE FROM cancelled_range WHERE cancellation_id IS NULL")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE cancelled_range ENABLE TRIGGER cancelled_range_only_added_to")
    with op.batch_alter_table("cancelled_range") as table:
        table.drop_constraint(op.f("ck_cancelled_range_owner"), type_="check")
        table.drop_constraint(op.f("uq_cancelled_range_historic_id"), type_="unique")
        table.drop_constraint(
            op.f("fk_cancelled_range_historic_id_historic_cancellation"), type_="foreignkey"
        )
        table.drop_column("historic_id")
        table.alter_column("cancellation_id", existing_type=BIG, nullable=False)
    guard(BEFORE)
    op.drop_table("history_term")
    op.drop_table("historic_cancellation")
