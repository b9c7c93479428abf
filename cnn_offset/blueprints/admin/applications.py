"""Applications to become a provider: read, asked about, approved or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user
from sqlalchemy.orm import Session

from cnn_offset.blueprints.admin.desk import bp
from cnn_offset.blueprints.catalogue.words import registry
from cnn_offset.domain.staff import DeskDuty
from cnn_offset.domain.status import ApplicationStatus
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.guards import operator_may
from cnn_offset.models import Application
from cnn_offset.services import NotFoundError, ServiceError, applying
from cnn_offset.typed import Typed
from cnn_offset.web import as_download, last_shown, row_id

PAGE: Final = 50
EVERY: Final = "all"


def _id(number: str) -> int:
    try:
        return row_id(number)
    except ValueError as error:
        raise NotFoundError(number) from error


@bp.get("/operator/applications")
def applications() -> ResponseReturnValue:
    """List applications, those that wait for an operator first to be seen."""
    status = request.args.get("status", ApplicationStatus.SUBMITTED)
    chosen = ApplicationStatus(status) if status in set(ApplicationStatus) else None
    found = applying.listed(
        db.session(), chosen, before=request.args.get("before", type=row_id), limit=PAGE + 1
    )
    return render_template(
        "admin/applications.html",
        applications=found[:PAGE],
        older=last_shown(found, PAGE),
        status=chosen or EVERY,
        statuses=list(ApplicationStatus),
    )


@bp.get("/operator/applications/<number>")
def application(number: str) -> ResponseReturnValue:
    """Show an application with everything that belongs to it, and what can be done."""
    return _page(applying.find(db.session(), _id(number)))


def _page(application: Application, typed: Typed | None = None) -> ResponseReturnValue:
    here = platform()
    known = applying.asked_for(db.session(), application)
    page = render_template(
        "admin/application.html",
        application=application,
        registries={name: registry(name) for name in here.registries},
        known=known,
        missing=[ref for ref in application.activities if ref not in known],
        values=typed.values if typed else {},
        errors=typed.errors if typed else {},
    )
    return page, 422 if typed and typed.errors else 200


@bp.post("/operator/applications/<number>/ask")
@operator_may(DeskDuty.PROVIDERS)
def ask_applicant(number: str) -> ResponseReturnValue:
    """Ask the applicant something."""
    return _say(number, "question", gettext("Please write what you want to know."), applying.ask)


@bp.post("/operator/applications/<number>/refuse")
@operator_may(DeskDuty.PROVIDERS)
def refuse_application(number: str) -> ResponseReturnValue:
    """Refuse an application, saying why."""
    return _say(number, "reason", gettext("Please write the reason."), applying.refuse)


def _say(number: str, name: str, missing: str, verb: Callable[..., None]) -> ResponseReturnValue:
    application_id = applying.find(db.session(), _id(number)).id
    typed = Typed(request.form)
    text = typed.lines(name, longest=5000, missing=missing)
    if not typed.errors:
        try:
            with unit_of_work() as session:
                verb(
                    session,
                    applying.find(session, application_id),
                    text,
                    actor=current_user.email,
                    now=platform().clock(),
                )
        except ServiceError as error:
            typed.errors[""] = gettext(error.message, **error.values)
    if typed.errors:
        return _page(applying.find(db.session(), application_id), typed)
    flash(gettext("Done. The applicant is told by mail."), "success")
    return redirect(url_for("admin.application", number=application_id))


@bp.post("/operator/applications/<number>/approve")
@operator_may(DeskDuty.PROVIDERS)
def approve_application(number: str) -> ResponseReturnValue:
    """Make the applicant a provider, with the activities chosen."""
    application_id = applying.find(db.session(), _id(number)).id
    chosen = request.form.getlist("activity", type=row_id)
    try:
        with unit_of_work() as session:
            slug = _approve(session, application_id, chosen)
    except ServiceError as error:
        typed = Typed(request.form)
        typed.errors[""] = gettext(error.message, **error.values)
        return _page(applying.find(db.session(), application_id), typed)
    flash(gettext("Approved. The provider’s account is being read from the registry."), "success")
    return redirect(url_for("admin.provider", slug=slug))


def _approve(session: Session, application_id: int, chosen: list[int]) -> str:
    return applying.approve(
        session,
        applying.find(session, application_id),
        chosen,
        actor=current_user.email,
        now=platform().clock(),
    ).slug


@bp.get("/operator/proofs/<number>")
def proof(number: str) -> ResponseReturnValue:
    """Hand out an applicant's document, as a download."""
    found = applying.find_proof(db.session(), _id(number))
    return as_download(platform().files.cat_file(found.path), found.filename, found.content_type)
