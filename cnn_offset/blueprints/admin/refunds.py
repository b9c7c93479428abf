"""Giving money back through its processor: proposed on a page of the order."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user
from sqlalchemy.orm import Session

from cnn_offset.blueprints.admin.desk import bp
from cnn_offset.blueprints.admin.proposed import Change, Described, describes
from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import left
from cnn_offset.domain.staff import DeskDuty
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.guards import operator_may
from cnn_offset.i18n import language, money_text
from cnn_offset.models import Order, Payment, Proposal, ProposalKind
from cnn_offset.services import ServiceError, refunding
from cnn_offset.services.ordering import order_by_code
from cnn_offset.services.refunding import GivingBack
from cnn_offset.typed import Typed


@bp.context_processor
def _refunds() -> dict[str, Any]:
    """Give templates/admin/order_refund.html what it needs, wherever it is included."""

    def refunds_of(order: Order) -> list[GivingBack]:
        return refunding.giving_back(db.session(), order, plugins=platform().payments)

    return {"refunds_of": refunds_of}


@bp.route(
    f"/operator/orders/<code>/refund/<int(max={2**63 - 1}):payment_id>", methods=["GET", "POST"]
)
@operator_may(DeskDuty.ORDERS, fresh=True)
def propose_refund(code: str, payment_id: int) -> ResponseReturnValue:
    """Propose to a second operator to give back what is due back of a payment."""
    payment = refunding.payment_of(db.session(), order_by_code(db.session(), code), payment_id)
    typed = Typed(request.form)
    if request.method == "GET":
        return _page(payment, typed)
    reason = typed.lines("reason", longest=1000, missing=gettext("Please write the reason."))
    here = platform()
    if not typed.errors:
        try:
            with unit_of_work() as session:
                proposal_id = refunding.propose(
                    session,
                    session.get_one(Payment, payment_id),
                    plugins=here.payments,
                    reason=reason,
                    actor=current_user.email,
                    now=here.clock(),
                ).id
        except ServiceError as error:
            typed.errors[""] = gettext(error.message, **error.values)
    if typed.errors:
        return _page(
            refunding.payment_of(db.session(), order_by_code(db.session(), code), payment_id), typed
        )
    flash(gettext("Proposed. Another operator must approve it."), "success")
    return redirect(url_for("admin.proposal", proposal_id=proposal_id))


def _page(payment: Payment, typed: Typed) -> ResponseReturnValue:
    here = platform()
    standing = refunding.giving_back(db.session(), payment.order, plugins=here.payments)
    plugin = here.payments.get(payment.method_id)
    page = render_template(
        "admin/refund.html",
        payment=payment,
        order=payment.order,
        standing=next((each for each in standing if each.payment.id == payment.id), None),
        method=plugin.title if plugin else payment.method_id,
        values=typed.values,
        errors=typed.errors,
    )
    return page, 422 if typed.errors else 200


@describes(ProposalKind.REFUND)
def _refund(session: Session, proposal: Proposal) -> Described:
    payment = session.get_one(Payment, proposal.subject_id)
    lang = language()
    amount = Money(proposal.payload["amount_minor"], proposal.payload["currency"])
    rest = left(each.value for each in payment.facts)
    before = money_text(rest.minor, rest.currency, lang) if rest else "–"
    after = money_text(max(rest.minor - amount.minor, 0), rest.currency, lang) if rest else "–"
    plugin = platform().payments.get(payment.method_id)
    changes = [Change(gettext("With the provider, of this payment"), before, after)]
    words = {"amount": money_text(amount.minor, amount.currency, lang), "code": payment.order.code}
    if not proposal.payload["by_processor"]:
        return Described(
            gettext(
                "Note that the provider has sent %(amount)s back to the payer of order %(code)s.",
                **words,
            ),
            changes,
            [
                gettext("The order follows: its purchaser is told that the money went back."),
                gettext("This cannot be taken back."),
            ],
        )
    return Described(
        gettext("Give %(amount)s back to the payer of order %(code)s.", **words),
        changes,
        [
            gettext(
                "%(processor)s is told to give the money back from the provider’s account, the "
                "way it came.",
                processor=gettext(plugin.title) if plugin else payment.method_id,
            ),
            gettext("This cannot be taken back."),
        ],
    )
