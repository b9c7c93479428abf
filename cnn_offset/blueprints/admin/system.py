"""How the platform stands, and what operators switch while it runs (H5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext
from flask_security import current_user
from sqlalchemy.orm import Session

from cnn_offset import jobs, system_state
from cnn_offset.blueprints.admin.audit_words import subject_text
from cnn_offset.blueprints.admin.desk import bp
from cnn_offset.blueprints.admin.proposed import Change, Described, describes
from cnn_offset.domain.calendar import RegistryDates, RegistryPhase
from cnn_offset.domain.staff import DeskDuty
from cnn_offset.domain.text import N_
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.guards import operator_may
from cnn_offset.i18n import LANGUAGES, language, moment_text, number
from cnn_offset.models import Proposal, ProposalKind
from cnn_offset.reports import registry_title
from cnn_offset.services import ServiceError, proposing, redating, switching, watching
from cnn_offset.typed import Typed

LONGEST_REASON: Final = 500
LONGEST_NOTICE: Final = 400
DATES: Final = {
    "opens": N_("Opens"),
    "last_order": N_("Last order"),
    "last_cancellation": N_("Last cancellation"),
    "closed": N_("Closed"),
}
PHASES: Final = {
    RegistryPhase.NOT_OPEN: N_("Not open yet"),
    RegistryPhase.OPEN: N_("Open"),
    RegistryPhase.DRAINING: N_("No new orders; running ones are finished"),
    RegistryPhase.ENDED: N_("Cancels nothing any more"),
    RegistryPhase.CLOSED: N_("Closed"),
}


CHORES: Final[Mapping[str, str]] = {
    "check": N_("Adding everything up"),
    "closing": N_("What registries’ dates bring about"),
    "desk_digest": N_("The day’s mail to operators"),
    "fee_days": N_("Schedules of fees that begin"),
    "fee_statements": N_("Monthly statements of fees"),
    "figures": N_("Counting figures"),
    "forget_senders": N_("Forgetting who answered surveys"),
    "mailbox": N_("Fetching mails"),
    "reconcile": N_("Comparing our books with the registries’"),
    "retention": N_("Forgetting old personal data"),
}
"""Work that comes round, in words."""


@bp.get("/operator/system")
def system() -> ResponseReturnValue:
    """Show plug-ins, registries, work, mail, storage and versions as they are now."""
    here = platform()
    now = here.clock()
    kinds = {name: kind for name, (kind, _work) in jobs.WORK.items()}
    conditions = here.conditions()
    return render_template(
        "admin/system.html",
        state=system_state.look(),
        conditions=conditions,
        retired={"payment": here.methods_retired, "registry": here.registries_retired},
        dates=here.registry_dates,
        date_names=DATES,
        phases={
            name: gettext(PHASES[dates.phase(now)]) for name, dates in here.dates_for_new.items()
        },
        in_flight={name: redating.in_flight(db.session(), name) for name in here.registries},
        counted=redating.MOST,
        closed=[
            name
            for name, dates in here.registry_dates.items()
            if dates.phase(now) is RegistryPhase.CLOSED
        ],
        silent={name: conditions.silent_since(name, now) for name in here.registries},
        until=lambda moment: _until(moment, now),
        work=watching.waiting(db.session(), kinds, now),
        most=watching.MOST,
        chores=watching.chores(db.session()),
        chore_words=CHORES,
        subject_text=subject_text,
        size=_size,
    )


def _until(moment: datetime, now: datetime) -> str:
    """Say how far away a moment is, in days or hours."""
    seconds = int((moment - now).total_seconds())
    hours, days = abs(seconds) // 3600, abs(seconds) // 86400
    if seconds < 0:
        return str(
            ngettext("%(n)s day ago", "%(n)s days ago", days, n=number(days, language()))
            if days
            else gettext("less than a day ago")
        )
    if days:
        return str(ngettext("in %(n)s day", "in %(n)s days", days, n=number(days, language())))
    return str(ngettext("in %(n)s hour", "in %(n)s hours", hours, n=hours))


def _size(count: int | None) -> str:
    """Write a number of bytes in megabytes or gigabytes."""
    if count is None:
        return str(gettext("Not known"))
    if count >= 10**9:
        return str(gettext("%(n)s GB", n=number(count // 10**9, language())))
    return str(gettext("%(n)s MB", n=number(-(-count // 10**6), language())))


@bp.get("/operator/system/switches")
def switches() -> ResponseReturnValue:
    """Show what can be switched, and how it stands."""
    return _switches()


def _switches(typed: Typed | None = None, form: str = "") -> ResponseReturnValue:
    """Render the switches; ``form`` names the one that came back with ``typed``."""
    here = platform()
    page = render_template(
        "admin/switches.html",
        conditions=here.conditions(),
        notice_row=switching.read(db.session(), switching.NOTICE),
        methods=here.payments,
        registries=here.registries,
        form=form,
        values=typed.values if typed else {},
        errors=typed.errors if typed else {},
    )
    return page, 422 if typed and typed.errors else 200


def _reason(typed: Typed) -> str:
    return typed.line("reason", longest=LONGEST_REASON, missing=gettext("Please write the reason."))


def _switched(
    typed: Typed, form: str, service: Callable[[Session], None], said: str
) -> ResponseReturnValue:
    """Do ``service`` unless a field is wrong; what it minds stands at the form."""
    if not typed.errors:
        try:
            with unit_of_work() as session:
                service(session)
        except ServiceError as error:
            typed.errors[""] = gettext(error.message, **error.values)
    if typed.errors:
        return _switches(typed, form)
    flash(said, "success")
    return redirect(url_for("admin.switches"))


@bp.post("/operator/system/methods/<method_id>")
@operator_may(DeskDuty.SYSTEM, fresh=True)
def switch_method(method_id: str) -> ResponseReturnValue:
    """Take a payment method out of new checkouts, or back in."""
    if method_id not in platform().payments:
        abort(404)
    return _turn(switching.METHODS, method_id)


@bp.post("/operator/system/registries/<registry_id>")
@operator_may(DeskDuty.SYSTEM, fresh=True)
def switch_registry(registry_id: str) -> ResponseReturnValue:
    """Take a registry's offers out of the catalogue and new checkouts, or back in."""
    if registry_id not in platform().registries:
        abort(404)
    return _turn(switching.REGISTRIES, registry_id)


def _turn(kind: str, name: str) -> ResponseReturnValue:
    typed = Typed(request.form)
    reason = _reason(typed)
    on = typed.choice("to", {"on", "off"}, gettext("Please choose on or off.")) == "on"
    return _switched(
        typed,
        f"{kind}-{name}",
        lambda session: switching.turn(
            session,
            kind,
            name,
            on=on,
            reason=reason,
            actor=current_user.email,
            now=platform().clock(),
        ),
        gettext("It is back in, on all pages within seconds.")
        if on
        else gettext("It is taken out, on all pages within seconds."),
    )


@bp.post("/operator/system/orders")
@operator_may(DeskDuty.SYSTEM, fresh=True)
def switch_orders() -> ResponseReturnValue:
    """Stop new orders altogether, or take them again."""
    typed = Typed(request.form)
    reason = _reason(typed)
    stop = typed.choice("to", {"on", "off"}, gettext("Please choose on or off.")) == "off"
    return _switched(
        typed,
        "orders",
        lambda session: switching.stop_orders(
            session,
            stopped=stop,
            reason=reason,
            actor=current_user.email,
            now=platform().clock(),
        ),
        gettext("No new orders are taken now. Placed ones go on.")
        if stop
        else gettext("New orders are taken again."),
    )


@bp.post("/operator/system/notice")
@operator_may(DeskDuty.SYSTEM, fresh=True)
def set_notice() -> ResponseReturnValue:
    """Show everybody a notice from one moment until another."""
    typed = Typed(request.form)
    texts = {
        lang: typed.line(
            f"text_{lang}",
            longest=LONGEST_NOTICE,
            missing=gettext("Please write the notice in all three languages."),
        )
        for lang in LANGUAGES
    }
    starts_at, ends_at = (
        read_moment(typed, name, missing=gettext("Please enter a day and a time."))
        for name in ("starts_at", "ends_at")
    )
    reason = _reason(typed)

    def announce(session: Session) -> None:
        assert starts_at is not None
        assert ends_at is not None
        switching.announce(
            session,
            texts,
            starts_at=starts_at,
            ends_at=ends_at,
            reason=reason,
            actor=current_user.email,
            now=platform().clock(),
        )

    return _switched(typed, "notice", announce, gettext("The notice is set."))


@bp.post("/operator/system/notice/end")
@operator_may(DeskDuty.SYSTEM, fresh=True)
def end_notice() -> ResponseReturnValue:
    """Show the notice no more."""
    typed = Typed(request.form)
    reason = _reason(typed)
    return _switched(
        typed,
        "notice-end",
        lambda session: switching.withdraw_notice(
            session, reason=reason, actor=current_user.email, now=platform().clock()
        ),
        gettext("The notice is shown no more."),
    )


def read_moment(typed: Typed, name: str, *, missing: str = "") -> datetime | None:
    """Read a day and a time in UTC; without ``missing`` it may be left out."""
    text = typed.line(name, longest=40, missing=missing)
    if not text or name in typed.errors:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        typed.errors[name] = gettext("Please write day and time as in 2026-12-31T23:59.")
        return None


@bp.get("/operator/system/registries/<registry_id>/dates")
def registry_dates(registry_id: str) -> ResponseReturnValue:
    """Show a registry's dates, to ask for others."""
    if registry_id not in platform().registries:
        abort(404)
    return _dates_page(registry_id)


@bp.post("/operator/system/registries/<registry_id>/dates")
@operator_may(DeskDuty.SYSTEM, fresh=True)
def ask_registry_dates(registry_id: str) -> ResponseReturnValue:
    """Ask a second operator to change a registry's dates."""
    if registry_id not in platform().registries:
        abort(404)
    typed = Typed(request.form)
    opens, last_order, last_cancellation, closed = (read_moment(typed, name) for name in DATES)
    reason = _reason(typed)
    here = platform()
    if not typed.errors:
        try:
            dates = RegistryDates(opens, last_order, last_cancellation, closed)
            with unit_of_work() as session:
                asked = redating.ask_for_dates(
                    session,
                    registry_id,
                    dates,
                    before=here.registry_dates[registry_id],
                    reason=reason,
                    actor=current_user.email,
                    now=here.clock(),
                ).id
        except ServiceError as error:
            typed.errors[""] = gettext(error.message, **error.values)
        except ValueError:
            typed.errors["opens"] = gettext(
                "The dates must follow one another: opens, last order, last cancellation, closed."
            )
    if typed.errors:
        return _dates_page(registry_id, typed)
    flash(gettext("Asked for. Another operator must approve it."), "success")
    return redirect(url_for("admin.proposal", proposal_id=asked))


def _dates_page(registry_id: str, typed: Typed | None = None) -> ResponseReturnValue:
    here = platform()
    row = switching.dates_of(db.session(), registry_id)
    known = here.registry_dates[registry_id]
    page = render_template(
        "admin/registry_dates.html",
        registry_id=registry_id,
        title=registry_title(registry_id),
        names=DATES,
        dates=known,
        configured=here.settings.REGISTRIES[registry_id].dates,
        changed=row if row and row.value else None,
        waiting=proposing.waiting_for(db.session(), ProposalKind.DATES, row) if row else None,
        values=typed.values
        if typed
        else {
            name: f"{moment:%Y-%m-%dT%H:%M}"
            for name in DATES
            if (moment := getattr(known, name)) is not None
        },
        errors=typed.errors if typed else {},
    )
    return page, 422 if typed and typed.errors else 200


def _effects(session: Session, registry_id: str, dates: RegistryDates) -> list[str]:
    """Say what new dates would bring about."""
    sooner = redating.unpaid_beyond(session, registry_id, dates)
    effects = [
        ngettext(
            "%(n)s unpaid order is to be paid sooner; its purchaser is told by mail.",
            "%(n)s unpaid orders are to be paid sooner; their purchasers are told by mail.",
            sooner,
            n=number(sooner, language()),
        )
        if sooner
        else gettext("Orders already placed keep the day until which they can be paid.")
    ]
    now = platform().clock()
    if dates.orders_until is not None and dates.orders_until <= now:
        effects.append(gettext("All offers of this registry close, and their providers are told."))
    if dates.closed is not None and dates.closed <= now:
        effects.append(gettext("Nothing is asked of the registry any more: our record answers."))
    return effects


@describes(ProposalKind.DATES)
def _dates(session: Session, proposal: Proposal) -> Described:
    payload = proposal.payload
    before = switching.read_dates(payload["before"])
    after = switching.read_dates(payload["dates"])
    title = registry_title(payload["registry"])

    def shown(moment: datetime | None) -> str:
        return moment_text(moment, language()) if moment else str(gettext("None"))

    return Described(
        what=gettext("Change the dates of %(registry)s.", registry=title),
        changes=[
            Change(gettext(text), shown(getattr(before, name)), shown(getattr(after, name)))
            for name, text in DATES.items()
            if getattr(before, name) != getattr(after, name)
        ],
        effects=[
            gettext("New checkouts go by the new dates within seconds."),
            *_effects(session, payload["registry"], after),
        ],
        about=(title, url_for("admin.registry_dates", registry_id=payload["registry"])),
    )
