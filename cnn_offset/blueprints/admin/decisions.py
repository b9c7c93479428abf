"""What can be decided on an order, in words, and carrying it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext
from flask_security import current_user

from cnn_offset import jobs
from cnn_offset.domain.status import CancellationStatus, OrderStatus
from cnn_offset.domain.text import N_
from cnn_offset.extensions import Platform, db, platform, unit_of_work
from cnn_offset.i18n import day_text, language, moment_text, money_text
from cnn_offset.models import Cancellation, Order, Payment, Replacement
from cnn_offset.plugins.errors import PluginError
from cnn_offset.services import ServiceError, deciding, ordering, parting, replacing, selling
from cnn_offset.services.moves import note

C, O = CancellationStatus, OrderStatus  # noqa: E741
_SILENT = N_("The registry does not answer just now. Nothing was changed; please try again later.")
_MONEY_COMES = N_(
    "Money may be on its way, or its payment cannot be shut just now. Nothing was changed."
)


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that can be done now, in the reader's language."""

    value: str
    label: str
    does: str


def choices(
    order: Order, payments: Sequence[Payment], rows: Sequence[Cancellation]
) -> tuple[list[Choice], list[tuple[str, str]]]:
    """Return what the state of an order allows, and what it does not, with the reason."""
    if order.status is O.PLACED:
        return _unpaid(order), []
    if order.status not in (O.IN_REVIEW, O.PAID):
        return [], []
    found, refused = [], []
    asked = replacing.asked_of(db.session(), order) if order.status is O.IN_REVIEW else []
    for row in rows:
        found += _of_cancellation(order, row)
        if order.status is O.IN_REVIEW and row.status is C.REJECTED:
            waits = any(each.order_line_id == row.order_line_id for each in asked)
            found += [] if waits else _replace(row)
            part = _give_back(order, row)
            if not (why := parting.why_not_give_back(db.session(), order, row)):
                found.append(part)
            elif why != deciding.DECIDED:
                refused.append((part.label, gettext(why)))
    found += [_take_back(asked)] if asked else []
    for choice, why in (
        (_release(order, payments), deciding.why_not_release(order, payments, rows)),
        (_refund(), deciding.why_not_refund(order, payments, rows)),
        (_withdraw(), deciding.why_not_withdraw(order, payments, rows, doors_open=True)),
    ):
        if not why:
            found.append(choice)
        elif why != deciding.DECIDED:
            refused.append((choice.label, gettext(why)))
    return found, refused


def _release(order: Order, payments: Sequence[Payment]) -> Choice:
    payment = deciding.paying(order, payments)
    return Choice(
        "release",
        gettext("Release the order"),
        gettext(
            "You say that the money is right (payment %(key)s). The units are cancelled for ever; "
            "this cannot be taken back.",
            key=payment.key if payment else "–",
        ),
    )


def _refund() -> Choice:
    return Choice(
        "refund",
        gettext("Give the money back"),
        gettext(
            "Units that are not cancelled become free again. Purchaser and provider are told by "
            "mail. The money itself is given back by the provider, or below by two operators."
        ),
    )


def _withdraw() -> Choice:
    return Choice(
        "withdraw",
        gettext("Withdraw the order"),
        gettext(
            "Its units become free again. The purchaser is mailed your reason as you write it."
        ),
    )


def _replace(row: Cancellation) -> list[Choice]:
    """Return the offers whose units could take the place of those that were refused."""
    here, lang = platform(), language()
    return [
        Choice(
            f"replace-{row.id}-{offer.id}",
            gettext("Offer the purchaser block %(block)s instead", block=offer.block.block_ref),
            gettext(
                "In place of cancellation %(key)s: %(registry)s, units of %(start)s to %(end)s, at "
                "%(price)s each. They are held at once and the purchaser is asked by mail. "
                "Nothing more is paid.",
                key=row.key,
                registry=gettext(here.registries[offer.block.registry_id].title),
                start=day_text(offer.block.monitoring_start, lang),
                end=day_text(offer.block.monitoring_end, lang),
                price=money_text(offer.price_minor, offer.currency, lang),
            ),
        )
        for offer in replacing.candidates(
            db.session(), row.line, registry_dates=here.dates_for_new, now=here.clock()
        )
        if offer.block.registry_id in here.registries
    ]


def _give_back(order: Order, row: Cancellation) -> Choice:
    return Choice(
        f"part-{row.id}",
        gettext("Give the part of cancellation %(key)s back", key=row.key),
        gettext(
            "Its units become free again, and %(amount)s go back: below, by two operators, or by "
            "the provider itself. The rest of the order goes on and is attested.",
            amount=money_text(row.line.total.minor, order.currency, language()),
        ),
    )


def _take_back(asked: Sequence[Replacement]) -> Choice:
    until = max(each.answer_by for each in asked)
    return Choice(
        "unask",
        gettext("Take back the question to the purchaser"),
        gettext(
            "The purchaser is being asked about other units until %(moment)s. Those are released; "
            "the purchaser is told.",
            moment=moment_text(until, language()),
        ),
    )


def _of_cancellation(order: Order, row: Cancellation) -> list[Choice]:
    if order.status is not O.IN_REVIEW:
        return []
    if row.status is C.REJECTED:
        return [
            Choice(
                f"retry-{row.id}",
                gettext("Try cancellation %(key)s again", key=row.key),
                gettext(
                    "The registry is asked first. Only if it did nothing the same request is sent "
                    "under the same key, so nothing is cancelled twice."
                ),
            )
        ]
    if row.status is C.MISMATCHED:
        return [
            Choice(
                f"confirm-{row.id}",
                gettext("Confirm cancellation %(key)s", key=row.key),
                gettext(
                    "The registry is asked again. Its serial numbers are taken if they are as "
                    "ordered by now, else nothing happens."
                ),
            ),
            Choice(
                f"reject-{row.id}",
                gettext("Count cancellation %(key)s as not done", key=row.key),
                gettext(
                    "You have compared the registry’s book: what it did is not for this order. "
                    "Nothing is sent; then try again or give the money back."
                ),
            ),
        ]
    return []


def _unpaid(order: Order) -> list[Choice]:
    here = platform()
    found = []
    if order.method_id in here.bank_methods:
        if order.in_progress_at is None:
            found.append(
                Choice(
                    "progress",
                    gettext("Mark as in progress"),
                    gettext("If you know that the provider deals with it. The purchaser is told."),
                )
            )
        found.append(
            Choice(
                "remind",
                gettext("Remind the provider"),
                gettext("By mail, once a day at most."),
            )
        )
    for days, until in ordering.possible_holds(
        order, registry_dates=here.registry_dates, now=here.clock()
    ):
        found.append(
            Choice(
                f"keep-{days}",
                gettext("Keep it open until %(day)s", day=day_text(until.date(), language())),
                gettext(
                    "The units stay held, and %(amount)s can be paid until then.",
                    amount=money_text(order.total_minor, order.currency, language()),
                ),
            )
        )
    return [*found, _withdraw()]


def carry_out(act: str, order_id: int, *, state: str, reason: str) -> None:
    """Carry out one of the choices for the operator who is signed in.

    Raises:
        ServiceError: it cannot be done, or somebody decided before.

    """
    verb, _, number = act.partition("-")
    here, actor = platform(), current_user.email
    if verb in ("replace", "part"):
        _part_now(here, verb, number, state=state, reason=reason, actor=actor)
        return
    if verb in ("retry", "confirm", "reject"):
        try:
            getattr(deciding, verb)(
                unit_of_work,
                int(number),
                connectors=here.connectors,
                state=state,
                reason=reason,
                actor=actor,
                now=here.clock(),
            )
        except PluginError as error:
            raise ServiceError(_SILENT) from error
        return
    if verb == "withdraw":
        _withdraw_now(here, order_id, state=state, reason=reason, actor=actor)
        return
    with unit_of_work() as session:
        if verb in ("release", "refund"):
            getattr(deciding, verb)(
                session, order_id, state=state, reason=reason, actor=actor, now=here.clock()
            )
        elif verb == "unask":
            parting.take_back(
                session, order_id, state=state, reason=reason, actor=actor, now=here.clock()
            )
        elif verb == "remind":
            deciding.remind_provider(
                session, order_id, reason=reason, actor=actor, now=here.clock()
            )
        elif verb == "progress":
            order = deciding.locked(session, order_id, state, reason)
            selling.mark_in_progress(session, order, actor=actor, why=reason, now=here.clock())
        elif verb == "keep":
            order = deciding.locked(session, order_id, state, reason)
            ordering.keep_open(
                session,
                order,
                days=int(number),
                registry_dates=here.registry_dates,
                actor=actor,
                now=here.clock(),
            )
            note(session, order, old="", new="noted", actor=actor, why=reason, now=here.clock())


def _part_now(
    here: Platform, verb: str, numbers: str, *, state: str, reason: str, actor: str
) -> None:
    """Decide on one line that its registry refused; the registry is asked first."""
    cancellation, _, offer = numbers.partition("-")
    told: dict[str, Any] = {
        "connectors": here.connectors,
        "state": state,
        "reason": reason,
        "actor": actor,
        "now": here.clock(),
    }
    try:
        if verb == "part":
            parting.give_back(unit_of_work, int(cancellation), **told)
        else:
            told["registry_dates"] = here.dates_for_new
            parting.replace(unit_of_work, int(cancellation), int(offer), **told)
    except PluginError as error:
        raise ServiceError(_SILENT) from error


def _withdraw_now(here: Platform, order_id: int, *, state: str, reason: str, actor: str) -> None:
    """Shut the doors of its payments first; one that was opened keeps the order."""
    with unit_of_work() as session:
        waits = deciding.locked(session, order_id, state, reason).status is O.PLACED
    if waits:
        if not jobs.withdraw_order(here, order_id, actor=actor, reason=reason, by="platform"):
            raise ServiceError(_MONEY_COMES)
        return
    if not jobs.close_doors(order_id):
        raise ServiceError(_MONEY_COMES)
    state = deciding.state_of(db.session(), order_id)
    with unit_of_work() as session:
        deciding.withdraw(
            session, order_id, state=state, reason=reason, actor=actor, now=here.clock()
        )
