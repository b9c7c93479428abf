"""Pro-forma invoice and receipt on the purchaser's side: asked for once, then kept."""

from __future__ import annotations

from flask import Response, current_app, flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from cnn_offset.blueprints.orders.private import bp
from cnn_offset.domain.paper import PaperData
from cnn_offset.extensions import db, limiter, platform, unit_of_work
from cnn_offset.models import PaperKind
from cnn_offset.services import NotFoundError, ServiceError, ordering, papers


@bp.post("/orders/<token>/papers/<kind>")
@limiter.limit("20 per minute")
def issue_paper(token: str, kind: str) -> ResponseReturnValue:
    """Have a paper numbered, if it is not yet, and lead to it."""
    wanted = _kind(kind)
    try:
        with unit_of_work() as session:
            papers.issue_paper(
                session,
                ordering.find_order(session, token),
                wanted,
                method_titles=platform().method_titles,
                actor="purchaser",
                now=platform().clock(),
            )
    except ServiceError as error:
        flash(gettext(error.message), "error")
        return redirect(url_for("orders.show", token=token), 303)
    return redirect(url_for("orders.paper", token=token, kind=kind), 303)


@bp.get("/orders/<token>/papers/<kind>.pdf")
@limiter.limit("30 per minute")
def paper(token: str, kind: str) -> ResponseReturnValue:
    """Hand out a paper that was issued."""
    order = ordering.find_order(db.session(), token)
    found = papers.find_paper(db.session(), order, _kind(kind))
    return download(PaperData.from_json(found.data))


def _kind(text: str) -> PaperKind:
    if text not in set(PaperKind):
        raise NotFoundError(text)
    return PaperKind(text)


def download(data: PaperData) -> Response:
    """Answer with the paper as a file to keep."""
    # Heavy to import: the PDF libraries.
    from cnn_offset.papers import draw_paper

    response = current_app.response_class(draw_paper(data), mimetype="application/pdf")
    name = f"{data.kind.replace('_', '-')}-{data.number}.pdf"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
