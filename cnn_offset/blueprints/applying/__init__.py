"""The application of somebody who wants to offer units: handed in, talked about, withdrawn."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user

from cnn_offset.blueprints.applying.forms import NOT_HERE, read_wish, registries
from cnn_offset.domain.text import N_
from cnn_offset.extensions import db, limiter, platform, unit_of_work
from cnn_offset.guards import guarded, signed_in
from cnn_offset.i18n import countries, language
from cnn_offset.models import Application, User
from cnn_offset.proofs import LARGEST, MOST, Document, read_document
from cnn_offset.services import NotFoundError, ServiceError, applying
from cnn_offset.services.applying import Stored
from cnn_offset.typed import Typed
from cnn_offset.web import as_download, row_id, takes_upload
from cnn_offset.wording import terms_version

bp = guarded(Blueprint("applying", __name__), signed_in)
UPLOAD: Final = 52
"""Megabytes of a form with all its documents."""
SENT: Final = N_("Your application is with us. We write to you as soon as we have read it.")


@bp.route("/apply/form", methods=["GET", "POST"])
@limiter.limit("20 per hour", methods=["POST"])
@takes_upload(UPLOAD)
def form() -> ResponseReturnValue:
    """Take an application, once for each person."""
    if current_user.provider_id:
        flash(gettext("You are a provider’s staff already. This is its workspace."), "info")
        return redirect(url_for("provider.home"))
    if current_user.roles:
        flash(gettext("Staff of this platform cannot apply."), "error")
        return redirect(url_for("providers.how_to_apply"))
    if applying.open_application(db.session(), current_user):
        return redirect(url_for("applying.show"))
    if request.method == "GET":
        return _form(Typed(request.form))
    typed, wish = read_wish(request.form)
    if request.form.get("terms_version", terms_version()) != terms_version():
        typed.errors["terms"] = gettext(
            "The terms of use have changed since you opened this page. Please read them and "
            "tick this box once more."
        )
        typed.values["terms"] = ""
    documents = _documents(typed.errors, needed=typed.values["role"] not in NOT_HERE)
    if typed.errors or wish is None:
        return _form(typed)
    stored = _store(documents)
    here = platform()
    try:
        with unit_of_work() as session:
            applying.submit(
                session,
                session.get_one(User, current_user.id),
                wish,
                stored,
                terms_version=terms_version(),
                locale=language(),
                operators=here.settings.CONTACT_EMAIL,
                now=here.clock(),
            )
    except ServiceError as error:
        typed.errors[""] = gettext(error.message, **error.values)
        return _form(typed)
    flash(gettext(SENT), "success")
    return redirect(url_for("applying.show"))


def _form(typed: Typed) -> ResponseReturnValue:
    page = render_template(
        "applying/form.html",
        values=typed.values,
        errors=typed.errors,
        countries=countries(language()),
        registries=registries(),
        terms_version=terms_version(),
        most=MOST,
    )
    return page, 422 if typed.errors else 200


@bp.get("/apply/application")
def show() -> ResponseReturnValue:
    """Show how the newest application of the reader stands, and what was said."""
    return _page(_mine())


def _mine() -> Application:
    found = applying.last_application(db.session(), current_user)
    if found is None:
        raise NotFoundError("no application")
    return found


def _page(
    application: Application, errors: dict[str, str] | None = None, text: str = ""
) -> ResponseReturnValue:
    page = render_template(
        "applying/application.html",
        application=application,
        registries=registries(),
        errors=errors or {},
        text=text,
        most=MOST,
    )
    return page, 422 if errors else 200


@bp.post("/apply/application/answer")
@limiter.limit("30 per hour")
@takes_upload(UPLOAD)
def answer() -> ResponseReturnValue:
    """Keep an answer, documents or both."""
    application = _mine()
    typed = Typed(request.form)
    text = typed.lines("text", longest=5000)
    documents = _documents(typed.errors, needed=False)
    if not (text or documents or typed.errors):
        typed.errors["text"] = gettext("Please write something, or choose a document.")
    if typed.errors:
        return _page(application, typed.errors, typed.values["text"])
    stored, application_id, here = _store(documents), application.id, platform()
    try:
        with unit_of_work() as session:
            found = applying.find(session, application_id)
            if text:
                applying.answer(
                    session,
                    found,
                    text,
                    stored,
                    operators=here.settings.CONTACT_EMAIL,
                    now=here.clock(),
                )
            else:
                applying.add_proofs(session, found, stored, now=here.clock())
    except ServiceError as error:
        return _page(_mine(), {"": gettext(error.message, **error.values)}, text)
    flash(gettext("Thank you. It is with your application."), "success")
    return redirect(url_for("applying.show"))


@bp.post("/apply/application/withdraw")
def withdraw() -> ResponseReturnValue:
    """End the reader's application."""
    application_id = _mine().id
    try:
        with unit_of_work() as session:
            applying.withdraw(
                session, applying.find(session, application_id), now=platform().clock()
            )
    except ServiceError as error:
        return _page(_mine(), {"": gettext(error.message, **error.values)})
    flash(gettext("Your application is withdrawn."), "success")
    return redirect(url_for("applying.show"))


@bp.get("/apply/proofs/<number>")
def proof(number: str) -> ResponseReturnValue:
    """Hand an applicant's own document back, as a download."""
    try:
        found = applying.find_proof(db.session(), row_id(number), user_id=current_user.id)
    except ValueError as error:
        raise NotFoundError(number) from error
    return as_download(platform().files.cat_file(found.path), found.filename, found.content_type)


def _documents(errors: dict[str, str], *, needed: bool) -> list[Document]:
    """Read the documents sent; what is wrong with them goes into ``errors``."""
    sent = [each for each in request.files.getlist("proofs") if each.filename]
    if needed and not sent:
        errors["proofs"] = gettext("Please choose at least one document.")
    if len(sent) > MOST:
        errors["proofs"] = gettext("Please choose at most %(n)s documents.", n=MOST)
        return []
    documents, faults = [], []
    for each in sent:
        try:
            documents.append(read_document(each.stream.read(LARGEST + 1), each.filename or ""))
        except ServiceError as error:
            fault = gettext(error.message, **error.values)
            faults.append(
                gettext("%(file)s: %(fault)s", file=(each.filename or "")[:100], fault=fault)
            )
    if faults:
        errors["proofs"] = " ".join(faults)
    return documents


def _store(documents: list[Document]) -> list[Stored]:
    """Put documents into the file store before anything is said of them in the database."""
    files = platform().files
    files.makedirs("proofs", exist_ok=True)
    for each in documents:
        files.pipe_file(each.path, each.data)
    return [
        Stored(each.path, each.filename, each.content_type, len(each.data), each.sha256)
        for each in documents
    ]
