"""Cases: what people write to us, answered here and sent by mail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flask import current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user
from sqlalchemy.orm import Session

from cnn_offset.blueprints.admin.desk import bp
from cnn_offset.domain.casework import CaseKind, CaseSide
from cnn_offset.domain.staff import DeskDuty
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.guards import operator_may
from cnn_offset.i18n import LANGUAGES
from cnn_offset.models import Case
from cnn_offset.services import NotFoundError, ServiceError, case_desk, cases, evidence
from cnn_offset.services.case_desk import Query, Tray
from cnn_offset.services.cases import MOVED_ON, TEXT_LENGTH, Asked
from cnn_offset.typed import Typed
from cnn_offset.web import as_download, last_shown, row_id

PAGE: Final = 50
REASON_LENGTH: Final = 2000
Verb = Callable[[Session, Case, str], object]
"""Does something with a locked case and the words that were typed."""


@bp.get("/operator/cases", endpoint="cases")
def list_cases() -> ResponseReturnValue:
    """List cases: those that wait for us, what is due first on top; or those looked for."""
    kind, tray = request.args.get("kind", ""), request.args.get("show", "")
    asked = Query(
        tray=Tray(tray) if tray in set(Tray) else Tray.OURS,
        kind=CaseKind(kind) if kind in set(CaseKind) else None,
        words=request.args.get("q", "").replace("\0", "").strip()[:254],
    )
    last = request.args.get("before", type=row_id)
    found = case_desk.listed(db.session(), asked, last=last, limit=PAGE + 1)
    return render_template(
        "admin/cases.html",
        cases=found[:PAGE],
        more=last_shown(found, PAGE),
        asked=asked,
        trays=list(Tray),
        kinds=list(CaseKind),
        now=platform().clock(),
    )


@bp.get("/operator/cases/<code>")
def case(code: str) -> ResponseReturnValue:
    """Show a case: what was said, the order beside it, and what can be done."""
    return _page(cases.find_case(db.session(), code))


def _page(case: Case, typed: Typed | None = None) -> ResponseReturnValue:
    here = platform()
    page = render_template(
        "admin/case.html",
        case=case,
        talk=case_desk.conversation(db.session(), case),
        other=cases.other_side(case),
        others=cases.cases_of(db.session(), case.order) if case.order else [],
        methods=here.method_titles,
        now=here.clock(),
        values=typed.values if typed else {},
        errors=typed.errors if typed else {},
    )
    return page, 422 if typed and typed.errors else 200


def _act(code: str, typed: Typed, field: str, verb: Verb, done: str) -> ResponseReturnValue:
    """Do something with a case, or show its page again with what was typed and why not."""
    found = cases.find_case(db.session(), code)
    if not typed.errors:
        try:
            with unit_of_work() as session:
                verb(session, cases.find_case(session, code, lock=True), typed.values[field])
        except ServiceError as error:
            typed.errors[field if error.message != MOVED_ON else ""] = gettext(
                error.message, **error.values
            )
    if typed.errors:
        return _page(cases.find_case(db.session(), found.code), typed)
    flash(done, "success")
    return redirect(url_for("admin.case", code=found.code))


def _typed(field: str, missing: str, longest: int = TEXT_LENGTH) -> Typed:
    typed = Typed(request.form)
    typed.lines(field, longest=longest, missing=missing)
    return typed


@bp.post("/operator/cases/<code>/answer")
@operator_may(DeskDuty.ORDERS)
def answer_case(code: str) -> ResponseReturnValue:
    """Mail an answer to whose case it is."""
    seen = request.form.get("seen", type=row_id) or 0
    return _act(
        code,
        _typed("answer", gettext("Please write the answer.")),
        "answer",
        lambda session, case, text: cases.answer(
            session, case, text, seen=seen, actor=current_user.email, now=platform().clock()
        ),
        gettext("The answer is on its way."),
    )


@bp.post("/operator/cases/<code>/other-side")
@operator_may(DeskDuty.ORDERS)
def write_other_side(code: str) -> ResponseReturnValue:
    """Mail the other side of a claim."""
    return _act(
        code,
        _typed("other", gettext("Please write what the other side should know or answer.")),
        "other",
        lambda session, case, text: cases.write_to_other_side(
            session, case, text, actor=current_user.email, now=platform().clock()
        ),
        gettext("The mail is on its way."),
    )


@bp.post("/operator/cases/<code>/note")
@operator_may(DeskDuty.ORDERS)
def note_case(code: str) -> ResponseReturnValue:
    """Keep something for operators alone."""
    return _act(
        code,
        _typed("note", gettext("Please write the note.")),
        "note",
        lambda session, case, text: cases.add_note(
            session, case, text, actor=current_user.email, now=platform().clock()
        ),
        gettext("The note is kept. Nobody but operators reads it."),
    )


@bp.post("/operator/cases/<code>/close")
@operator_may(DeskDuty.ORDERS)
def close_case(code: str) -> ResponseReturnValue:
    """Close a case for a reason."""
    tell = "tell" in request.form
    return _act(
        code,
        _typed("reason", gettext("Please write the reason."), REASON_LENGTH),
        "reason",
        lambda session, case, text: cases.close(
            session, case, text, tell=tell, actor=current_user.email, now=platform().clock()
        ),
        gettext("The case is closed."),
    )


@bp.post("/operator/cases/<code>/reopen")
@operator_may(DeskDuty.ORDERS)
def reopen_case(code: str) -> ResponseReturnValue:
    """Open a closed case again."""
    return _act(
        code,
        _typed("again", gettext("Please write the reason."), REASON_LENGTH),
        "again",
        lambda session, case, text: cases.reopen(
            session, case, text, actor=current_user.email, now=platform().clock()
        ),
        gettext("The case is open again."),
    )


@bp.post("/operator/cases/<code>/escalate")
@operator_may(DeskDuty.ORDERS)
def escalate_case(code: str) -> ResponseReturnValue:
    """Make a case a claim under the terms."""
    return _act(
        code,
        _typed("claim", gettext("Please write what is in dispute; both sides read it.")),
        "claim",
        lambda session, case, text: cases.escalate(
            session, case, text, actor=current_user.email, now=platform().clock()
        ),
        gettext("The case is a claim now. Both sides are told by mail."),
    )


@bp.post("/operator/cases/<code>/order")
@operator_may(DeskDuty.ORDERS)
def tie_case(code: str) -> ResponseReturnValue:
    """Say which order a case is about."""
    typed = Typed(request.form)
    typed.line("order", longest=40, missing=gettext("Please enter an order number."))
    return _act(
        code,
        typed,
        "order",
        lambda session, case, text: cases.tie_order(
            session, case, text, actor=current_user.email, now=platform().clock()
        ),
        gettext("The case is about this order now."),
    )


@bp.post("/operator/cases/<code>/evidence")
@operator_may(DeskDuty.ORDERS)
def evidence_pack(code: str) -> ResponseReturnValue:
    """Hand out all that is known of a case as a PDF; who took it is kept."""
    # Heavy to import: the PDF libraries.
    from cnn_offset.evidence import draw_evidence

    here = platform()
    with unit_of_work() as session:
        found = cases.find_case(session, code)
        evidence.note_taken(session, found, actor=current_user.email, now=here.clock())
    found = cases.find_case(db.session(), code)
    pack = evidence.collect(db.session(), found)
    pdf = draw_evidence(pack, now=here.clock())
    response = current_app.response_class(pdf, mimetype="application/pdf")
    response.headers["Content-Disposition"] = f'attachment; filename="case-{found.code}.pdf"'
    return response


@bp.get("/operator/case-files/<number>")
@operator_may(DeskDuty.ORDERS)
def case_file(number: str) -> ResponseReturnValue:
    """Hand out a file that came with a mail, as a download."""
    try:
        found = case_desk.find_file(db.session(), row_id(number))
    except ValueError as error:
        raise NotFoundError(number) from error
    return as_download(platform().files.cat_file(found.path), found.filename, found.content_type)


@bp.route("/operator/cases/new", methods=["GET", "POST"])
@operator_may(DeskDuty.ORDERS)
def new_case() -> ResponseReturnValue:
    """Open a case for somebody who has called, say."""
    typed = Typed(request.form)
    if request.method == "GET":
        order = cases.find_order_by_code(db.session(), request.args.get("order", ""))
        if order is not None:
            typed.values.update(
                order=order.code,
                email=order.email,
                name=order.purchaser_name,
                locale=order.locale,
                kind=CaseKind.ORDER.value,
            )
        return _new(typed)
    kind = typed.choice("kind", set(CaseKind), gettext("Please say what it is about."))
    order_code = typed.line("order", longest=40)
    order = cases.find_order_by_code(db.session(), order_code) if order_code else None
    if order_code and order is None:
        typed.errors.setdefault("order", gettext("There is no order with this number."))
    email, name = typed.email("email"), typed.line("name")
    locale = typed.choice("locale", LANGUAGES, gettext("Please choose a language."))
    text = typed.lines(
        "text", longest=TEXT_LENGTH, missing=gettext("Please write what it is about.")
    )
    answer = typed.lines("answer", longest=TEXT_LENGTH)
    if typed.errors:
        return _new(typed)
    with unit_of_work() as session:
        found = cases.find_order_by_code(session, order_code)
        made = cases.open_for(
            session,
            Asked(
                kind=CaseKind(kind),
                side=_side(
                    email, found.email if found else "", found.provider.email if found else ""
                ),
                email=email,
                locale=locale,
                text=text,
                name=name,
                order=found,
            ),
            answer,
            actor=current_user.email,
            now=platform().clock(),
        )
        code = made.code
    flash(gettext("Case %(code)s is open.", code=code), "success")
    return redirect(url_for("admin.case", code=code))


def _side(email: str, purchaser: str, provider: str) -> CaseSide:
    if email == purchaser:
        return CaseSide.PURCHASER
    return CaseSide.PROVIDER if email == provider else CaseSide.VISITOR


def _new(typed: Typed) -> ResponseReturnValue:
    page = render_template(
        "admin/case_new.html",
        kinds=list(CaseKind),
        values=typed.values,
        errors=typed.errors,
    )
    return page, 422 if typed.errors else 200
