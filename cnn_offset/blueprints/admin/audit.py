"""The audit trail: searching what everybody did, and taking a part of it along."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from flask import Response, render_template, request, stream_with_context
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user
from sqlalchemy.orm import Session

from cnn_offset import reports as files
from cnn_offset.blueprints.admin.audit_words import (
    reason_text,
    subject_choices,
    subject_text,
    what_choices,
    what_text,
)
from cnn_offset.blueprints.admin.desk import bp
from cnn_offset.blueprints.admin.order_words import actor_text
from cnn_offset.domain.period import LONGEST_DAYS, Period, PeriodError
from cnn_offset.domain.staff import DeskDuty
from cnn_offset.extensions import db, limiter, platform, unit_of_work
from cnn_offset.guards import operator_may
from cnn_offset.models import Event, User
from cnn_offset.services import auditing
from cnn_offset.services.auditing import AuditQuery
from cnn_offset.web import row_id

PAGE: Final = 50


@bp.get("/operator/audit")
@operator_may(DeskDuty.AUDIT)
def audit() -> ResponseReturnValue:
    """List events, newest first, by whoever did what, when and about what."""
    values = {
        name: request.args.get(name, "").replace("\0", "").strip()[:254]
        for name in ("actor", "code", "subject", "number", "what", "from", "to")
    }
    return _page(values, before=request.args.get("before", type=row_id))


def _page(
    values: dict[str, str], *, before: int | None = None, errors: dict[str, str] | None = None
) -> ResponseReturnValue:
    query, wrong = _query(values)
    wrong = {**wrong, **(errors or {})}
    found = (
        auditing.AuditPage([], {}, None)
        if wrong and not errors
        else auditing.find_events(db.session(), query, before=before, limit=PAGE)
    )
    page = render_template(
        "admin/audit.html",
        found=found,
        values=values,
        asked={name: value for name, value in values.items() if value},
        errors=wrong,
        subjects=subject_choices(),
        whats=what_choices(values["what"]),
        subject_text=subject_text,
        what_text=what_text,
        actor_text=actor_text,
        reason_text=reason_text,
        longest=LONGEST_DAYS,
    )
    return page, 422 if wrong else 200


def _query(values: dict[str, str]) -> tuple[AuditQuery, dict[str, str]]:
    errors: dict[str, str] = {}
    days: dict[str, date] = {}
    for name in ("from", "to"):
        try:
            if values[name]:
                days[name] = date.fromisoformat(values[name])
        except ValueError:
            errors[name] = gettext("Please enter a day, such as 2026-11-05.")
    number = None
    if values["number"]:
        try:
            number = row_id(values["number"])
        except ValueError:
            errors["number"] = gettext("Please enter a whole number.")
        if not values["subject"]:
            errors["subject"] = gettext("Please choose of what the number is.")
    if number is not None and number >= 2**31:
        errors["number"] = gettext("There is no such number.")
    first, last = days.get("from"), days.get("to")
    query = AuditQuery(
        actor=values["actor"].lower() if "@" in values["actor"] else values["actor"],
        code=values["code"].upper(),
        subject=values["subject"][:40],
        subject_id=number,
        what=values["what"],
        since=datetime.combine(first, time(), UTC) if first else None,
        until=datetime.combine(last, time(), UTC) + timedelta(days=1)
        if last and last < date.max
        else None,
    )
    return query, errors


@bp.post("/operator/audit/export")
@operator_may(DeskDuty.AUDIT, fresh=True)
@limiter.limit("20 per hour", key_func=lambda: f"operator {current_user.id}")
def audit_export() -> ResponseReturnValue:
    """Hand out all events of a period as CSV, while they are being read; that is kept too."""
    blank = dict.fromkeys(("actor", "code", "subject", "number", "what"), "")
    values = {**blank, "from": request.form.get("from", ""), "to": request.form.get("to", "")}
    try:
        period = Period.of_days(*(date.fromisoformat(values[each]) for each in ("from", "to")))
    except (ValueError, PeriodError):
        fault = gettext(
            "Please enter the first and the last day, and at most %(days)s days in all.",
            days=LONGEST_DAYS,
        )
        return _page({**blank, "from": "", "to": ""}, errors={"export-from": fault})
    operator_id = current_user.id
    with unit_of_work() as session:
        auditing.note_export(
            session,
            session.get_one(User, operator_id),
            f"{period.first} – {period.last}",
            now=platform().clock(),
        )
    return Response(
        stream_with_context(_csv(period)),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="audit-{period.code}.csv"'},
    )


def _csv(period: Period) -> Iterator[str]:
    """Yield the events of a period, part by part, each read in a short session of its own."""
    text = io.StringIO()
    writer = csv.writer(text)
    text.write(files.BOM)
    writer.writerow(
        [
            gettext("Time (UTC)"),
            gettext("By whom"),
            gettext("Of what"),
            gettext("Number"),
            gettext("Order"),
            gettext("Before"),
            gettext("What"),
            gettext("Why"),
        ]
    )
    after: tuple[datetime, int] | None = None
    while True:
        with Session(db.engine) as session:
            part = auditing.period_events(
                session, period.since, period.until, after=after, limit=files.BATCH
            )
            codes = auditing.codes_of(session, part)
            for event in part:
                writer.writerow([files.plain_cell(each) for each in _cells(event, codes)])
            after = (part[-1].at, part[-1].id) if part else None
        yield text.getvalue()
        text.seek(0)
        text.truncate()
        if len(part) < files.BATCH:
            return


def _cells(event: Event, codes: dict[int, str]) -> list[files.Cell]:
    return [
        event.at,
        event.actor,
        subject_text(event.subject),
        event.subject_id,
        codes.get(event.order_id or 0, ""),
        what_text(event.subject, event.old),
        what_text(event.subject, event.new),
        reason_text(event.why),
    ]
