"""Refuse overlapping serials and changes of history, and begin the counters.

No portable constraint says that ranges of one registry and series must not overlap, so a
trigger does. On PostgreSQL it first locks the series: two transactions could otherwise each
not see the other's row.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

APPEND_ONLY = ("event", "payment_fact", "cancelled_range")


def upgrade() -> None:
    counter = sa.table("counter", sa.column("name"), sa.column("value"))
    op.bulk_insert(counter, [{"name": "attestation", "value": 0}])
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            """
            CREATE TRIGGER no_unit_twice BEFORE INSERT ON cancelled_range
            WHEN EXISTS (
                SELECT 1 FROM cancelled_range AS known
                WHERE known.registry_id = NEW.registry_id AND known.series = NEW.series
                  AND known.last >= NEW.first AND known.first <= NEW.last
            )
            BEGIN SELECT RAISE(ABORT, 'no unit is cancelled twice'); END
            """
        )
        for table in APPEND_ONLY:
            for verb in ("UPDATE", "DELETE"):
                op.execute(
                    f"""
                    CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table}
                    BEGIN SELECT RAISE(ABORT, '{table} is only ever added to'); END
                    """
                )
        return
    op.execute(
        """
        CREATE FUNCTION no_unit_twice() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock(
                hashtextextended(NEW.registry_id || '/' || NEW.series, 0)
            );
            IF EXISTS (
                SELECT 1 FROM cancelled_range AS known
                WHERE known.registry_id = NEW.registry_id AND known.series = NEW.series
                  AND known.last >= NEW.first AND known.first <= NEW.last
            ) THEN
                RAISE EXCEPTION 'no unit is cancelled twice' USING ERRCODE = '23P01';
            END IF;
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER no_unit_twice BEFORE INSERT ON cancelled_range "
        "FOR EACH ROW EXECUTE FUNCTION no_unit_twice()"
    )
    op.execute(
        """
        CREATE FUNCTION only_added_to() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is only ever added to', TG_TABLE_NAME USING ERRCODE = '23000';
        END $$
        """
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_only_added_to BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION only_added_to()"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER no_unit_twice")
        for table in APPEND_ONLY:
            for verb in ("update", "delete"):
                op.execute(f"DROP TRIGGER {table}_no_{verb}")
    else:
        op.execute("DROP TRIGGER no_unit_twice ON cancelled_range")
        op.execute("DROP FUNCTION no_unit_twice")
        for table in APPEND_ONLY:
            op.execute(f"DROP TRIGGER {table}_only_added_to ON {table}")
        op.execute("DROP FUNCTION only_added_to")
    op.execute("DELETE FROM counter")
