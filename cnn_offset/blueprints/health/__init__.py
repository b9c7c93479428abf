"""Whether the process lives, and whether it can do its work."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Blueprint, current_app, jsonify
from flask.typing import ResponseReturnValue

from cnn_offset.extensions import db, limiter, platform
from cnn_offset.guards import guarded, private, public

bp = guarded(Blueprint("health", __name__), public)
bp.after_request(private)
limiter.exempt(bp)
log = logging.getLogger(__name__)


@bp.get("/health/live")
def live() -> ResponseReturnValue:
    """Say that the process answers."""
    return jsonify(live=True)


@bp.get("/health/ready")
def ready() -> ResponseReturnValue:
    """Say whether database, schema and file store are there; 503 if one is not.

    Without details: the page is for everybody, the log is for operators.
    """
    folder = current_app.extensions["migrate"].directory
    checks: dict[str, Callable[[], bool]] = {
        "database": lambda: db.session.connection().exec_driver_sql("SELECT 1").scalar() == 1,
        "schema": lambda: _schema() == _newest(folder),
        "files": lambda: bool(platform().files.exists("")),
    }
    found = {name: _holds(name, check) for name, check in checks.items()}
    return jsonify(ready=all(found.values()), **found), 200 if all(found.values()) else 503


def _holds(name: str, check: Callable[[], bool]) -> bool:
    try:
        return check()
    except Exception:
        log.exception("not ready: %s", name)
        db.session.rollback()
        return False


def _schema() -> str | None:
    return MigrationContext.configure(db.session.connection()).get_current_revision()


@cache
def _newest(folder: str) -> str | None:
    return ScriptDirectory(folder).get_current_head()
