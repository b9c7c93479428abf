"""The workspace's first page: the checklist to the first sale, and what is due."""

from __future__ import annotations

from flask import render_template
from flask.typing import ResponseReturnValue
from flask_security import current_user

from cnn_offset import second_factor
from cnn_offset.blueprints.provider.workspace import bp
from cnn_offset.extensions import db, platform
from cnn_offset.services import checklist, inbox


@bp.get("/provider")
def home() -> ResponseReturnValue:
    """Show what stands between the provider and its first sale, then what is due."""
    here, session, provider_id = platform(), db.session(), current_user.provider_id
    points = checklist.checklist(
        session, provider_id, second_factor=second_factor.is_enrolled(current_user)
    )
    orders = inbox.count_orders(
        session,
        provider_id,
        bank_methods=here.bank_methods,
    )
    return render_template(
        "provider/home.html",
        points=points,
        ready=all(each.done for each in points),
        due=checklist.due(session, provider_id, now=here.clock()),
        undealt=orders[inbox.Tray.UNDEALT],
        counted=checklist.COUNTED,
    )
