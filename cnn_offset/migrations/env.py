"""Runs migrations on the application's own engine, one migrating process at a time."""

from alembic import context
from flask import current_app
from sqlalchemy import text

from cnn_offset.models import Model
from cnn_offset.models.base import UtcDateTime

engine = current_app.extensions["migrate"].db.engine


def plain_type(kind: str, item: object, _context: object) -> str | bool:
    """Write our types as those of the database, so that migrations need none of our code."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


with engine.connect() as connection:
    sqlite = connection.connection.dbapi_connection if connection.dialect.name == "sqlite" else None
    if sqlite is not None:
        # To change a constraint SQLite copies a table, to which others refer; what they refer
        # to is checked at the end. Has no effect within a transaction, so before it.
        sqlite.execute("PRAGMA foreign_keys = OFF")
    if connection.dialect.name == "postgresql":
        # Any number of processes may start at once; the others wait here.
        connection.execute(text("SELECT pg_advisory_lock(72146)"))
        connection.commit()
    context.configure(
        connection=connection,
        target_metadata=Model.metadata,
        render_as_batch=True,
        compare_type=True,
        render_item=plain_type,
    )
    with context.begin_transaction():
        context.run_migrations()
        if sqlite is not None:
            lost = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
            if lost:
                raise RuntimeError(f"a migration has lost what {lost} refers to")
    connection.commit()
    if sqlite is not None:
        sqlite.execute("PRAGMA foreign_keys = ON")
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_unlock(72146)"))
        connection.commit()
