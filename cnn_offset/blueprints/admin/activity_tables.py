"""Many projects at once: a table that is looked at, then registered whole."""

from __future__ import annotations

import csv
import io
from typing import Final

from flask import Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import force_locale, gettext, ngettext
from flask_security import current_user

from cnn_offset.blueprints.admin.desk import bp
from cnn_offset.blueprints.catalogue.words import SCOPES, TECHNOLOGIES, registry, technology
from cnn_offset.domain.staff import DeskDuty
from cnn_offset.extensions import db, limiter, platform, unit_of_work
from cnn_offset.guards import operator_may
from cnn_offset.i18n import LANGUAGES, countries, language, number
from cnn_offset.services import ServiceError, activity_table
from cnn_offset.services.activity_table import COLUMNS, MAX_BYTES, Fault, Sorted, Words
from cnn_offset.services.tables import word
from cnn_offset.typed import Typed

_SHOWN: Final = 200
"""Faults listed on one page; more than that is one mistake made many times."""
_ALSO: Final = {
    "Mining/mineral production": 8,
    "Fugitive emissions from production and consumption of halocarbons": 11,
    "Solvents use": 12,
    "Carbon capture and storage of CO2": 16,
}
"""Sectoral scopes as the CDM registry writes them, where it differs from us."""


@bp.get("/operator/activities/table")
@operator_may(DeskDuty.PROVIDERS)
def activity_table_form() -> ResponseReturnValue:
    """Show the form for a table of projects."""
    return _page(Typed(request.form))


@bp.post("/operator/activities/table")
@operator_may(DeskDuty.PROVIDERS)
@limiter.limit("20 per minute")
def read_activity_table() -> ResponseReturnValue:
    """Say what a table would change or, if asked to and nothing is wrong, do all of it."""
    typed = Typed(request.form)
    registry_id = typed.choice(
        "registry", platform().registries, gettext("Please choose a registry.")
    )
    chosen = typed.choice("technology", {"", *TECHNOLOGIES}, gettext("Please choose a technology."))
    upload = request.files.get("file")
    raw = upload.stream.read(MAX_BYTES + 1) if upload else b""
    if not raw:
        typed.errors["file"] = gettext("Please choose a file.")
    if typed.errors:
        return _page(typed)
    try:
        rows, faults = activity_table.read_table(raw, registry_id, words_known(chosen))
    except ServiceError as error:
        typed.errors["file"] = gettext(error.message, **error.values)
        return _page(typed)
    if faults:
        typed.errors["file"] = ngettext(
            "%(n)s row is wrong, so nothing is registered. Please mend it and upload the table "
            "again.",
            "%(n)s rows are wrong, so nothing is registered. Please mend them and upload the "
            "table again.",
            len(faults),
            n=number(len(faults), language()),
        )
        return _page(typed, faults=faults)
    if request.form.get("act") != "register":
        return _page(typed, plan=activity_table.sort(db.session(), rows))
    with unit_of_work() as session:
        done = activity_table.register(
            session, rows, actor=current_user.email, now=platform().clock()
        )
    flash(
        gettext(
            "%(new)s projects are registered, %(changed)s brought up to date, %(same)s were so "
            "already.",
            new=number(len(done.new), language()),
            changed=number(len(done.changed), language()),
            same=number(done.same, language()),
        ),
        "success",
    )
    return redirect(url_for("admin.activities", registry=registry_id))


def _page(
    typed: Typed, *, faults: list[Fault] | None = None, plan: Sorted | None = None
) -> ResponseReturnValue:
    page = render_template(
        "admin/activity_table.html",
        values=typed.values,
        errors=typed.errors,
        registries=[(name, registry(name)) for name in platform().registries],
        technologies=[(code, technology(code)) for code in TECHNOLOGIES],
        headings=_headings(),
        faults=[
            (each.line, gettext(each.what.message, **each.what.values))
            for each in (faults or [])[:_SHOWN]
        ],
        more=max(len(faults or []) - _SHOWN, 0),
        plan=plan,
    )
    return page, 422 if typed.errors else 200


def _headings() -> list[str]:
    return [gettext(words[0]) for words in COLUMNS.values()]


def words_known(chosen: str) -> Words:
    """Return what tables may say; ``chosen`` is the technology of rows that name none."""
    scopes = {word(name): code for name, code in _ALSO.items()}
    technologies = {word(code): code for code in TECHNOLOGIES}
    for lang in LANGUAGES:
        with force_locale(lang):
            scopes |= {word(gettext(name)): code for code, name in SCOPES.items()}
            technologies |= {word(gettext(name)): code for code, name in TECHNOLOGIES.items()}
    codes = frozenset(code for code, _ in countries(language()))
    return Words(codes, scopes, technologies, chosen)


@bp.get("/operator/activities/table.csv")
def activity_table_example() -> ResponseReturnValue:
    """Send an empty table with the right headings."""
    text = io.StringIO()
    text.write("\ufeff")
    csv.writer(text, delimiter="," if language() == "en" else ";").writerow(_headings())
    response = Response(text.getvalue(), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="projects.csv"'
    return response
