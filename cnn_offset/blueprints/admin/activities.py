"""Projects: listed, and registered one by one."""

from __future__ import annotations

from typing import Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user

from cnn_offset.blueprints.admin.desk import bp
from cnn_offset.blueprints.catalogue.words import SCOPES, TECHNOLOGIES, registry, scope, technology
from cnn_offset.domain.staff import DeskDuty
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.guards import operator_may
from cnn_offset.i18n import LANGUAGES, countries, language
from cnn_offset.models import ActivityKind
from cnn_offset.services import ServiceError, registering
from cnn_offset.services.applying import read_activities
from cnn_offset.services.registering import Registration
from cnn_offset.typed import Typed
from cnn_offset.web import last_shown, row_id

PAGE: Final = 50


@bp.get("/operator/activities")
def activities() -> ResponseReturnValue:
    """List projects, newest first, by registry and by number or name."""
    words = request.args.get("q", "").replace("\0", "").strip()[:200]
    registry_id = request.args.get("registry", "").replace("\0", "")
    found = registering.registered(
        db.session(),
        words=words,
        registry_id=registry_id,
        before=request.args.get("before", type=row_id),
        limit=PAGE + 1,
    )
    return render_template(
        "admin/activities.html",
        activities=found[:PAGE],
        older=last_shown(found, PAGE),
        words=words,
        registry_id=registry_id,
        registries=_registries(),
    )


def _registries() -> dict[str, str]:
    return {name: registry(name) for name in platform().registries}


@bp.route("/operator/activities/new", methods=["GET", "POST"])
@operator_may(DeskDuty.PROVIDERS)
def new_activity() -> ResponseReturnValue:
    """Register a project; its provider writes the description."""
    if request.method == "GET":
        typed = Typed(request.form)
        typed.values.update({name: request.args.get(name, "") for name in ("registry", "ref")})
        return _form(typed)
    typed, wanted = _read()
    if wanted is None:
        return _form(typed)
    try:
        with unit_of_work() as session:
            registering.register_activity(
                session, wanted, actor=current_user.email, now=platform().clock()
            )
    except ServiceError as error:
        typed.errors["ref"] = gettext(error.message, **error.values)
        return _form(typed)
    flash(gettext("Project %(ref)s is registered.", ref=wanted.ref), "success")
    came_from = request.form.get("application", type=row_id)
    if came_from:
        return redirect(url_for("admin.application", number=came_from))
    return redirect(url_for("admin.activities"))


def _form(typed: Typed) -> ResponseReturnValue:
    page = render_template(
        "admin/activity.html",
        values=typed.values,
        errors=typed.errors,
        registries=_registries(),
        countries=countries(language()),
        scopes=[(code, scope(code)) for code in SCOPES],
        technologies=[(code, technology(code)) for code in TECHNOLOGIES],
        application=request.values.get("application", type=row_id),
    )
    return page, 422 if typed.errors else 200


def _read() -> tuple[Typed, Registration | None]:
    typed = Typed(request.form)
    registry_id = typed.choice("registry", _registries(), gettext("Please choose a registry."))
    ref = typed.line("ref", longest=40, missing=gettext("Please enter a reference number."))
    if "ref" not in typed.errors:
        try:
            refs = read_activities(ref)
            ref = refs[0]
            if len(refs) > 1:
                typed.errors["ref"] = gettext("Please enter one reference number.")
        except ServiceError as error:
            typed.errors["ref"] = gettext(error.message, **error.values)
    kind = typed.choice(
        "kind", set(ActivityKind), gettext("Please say whether it is a project or a programme.")
    )
    title = {
        lang: typed.line(
            f"title_{lang}",
            longest=120,
            missing=gettext("Please enter the title in each language."),
        )
        for lang in LANGUAGES
    }
    host = typed.choice("host", dict(countries(language())), gettext("Please choose a country."))
    chosen_scope = typed.choice(
        "scope", {str(code) for code in SCOPES}, gettext("Please choose a sectoral scope.")
    )
    chosen = typed.choice("technology", TECHNOLOGIES, gettext("Please choose a technology."))
    methodology = typed.line(
        "methodology", longest=40, missing=gettext("Please enter the methodology.")
    )
    start, end = typed.day("start"), typed.day("end")
    if start and end and end < start:
        typed.errors["end"] = gettext("The crediting period ends before it begins.")
    page = typed.web_address("page")
    if typed.errors or start is None or end is None:
        return typed, None
    return typed, Registration(
        registry_id=registry_id,
        ref=ref,
        kind=ActivityKind(kind),
        title=title,
        host_party=host,
        scope=int(chosen_scope),
        technology=chosen,
        methodology=methodology,
        crediting_start=start,
        crediting_end=end,
        registry_url=page,
    )
