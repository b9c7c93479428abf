"""A provider's own questions to the operators about one of its orders."""

from __future__ import annotations

from typing import Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user

from cnn_offset.blueprints.provider.workspace import bp
from cnn_offset.domain.casework import CaseKind, CaseSide
from cnn_offset.domain.staff import Duty
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.guards import staff_may
from cnn_offset.i18n import language
from cnn_offset.models import Order
from cnn_offset.services import cases, selling
from cnn_offset.services.cases import TEXT_LENGTH, Asked
from cnn_offset.typed import Typed

KINDS: Final = (CaseKind.ORDER, CaseKind.PAYMENT)


@bp.route("/provider/orders/<code>/ask", methods=["GET", "POST"])
@staff_may(Duty.ORDERS)
def ask(code: str) -> ResponseReturnValue:
    """Open a case about one of the provider's orders."""
    order = selling.provider_order(db.session(), current_user.provider_id, code)
    typed = Typed(request.form)
    if request.method == "POST":
        kind = typed.choice(
            "kind", {each.value for each in KINDS}, gettext("Please say what it is about.")
        )
        text = typed.lines(
            "text", longest=TEXT_LENGTH, missing=gettext("Please write what it is about.")
        )
        if not typed.errors:
            return _open(order.id, CaseKind(kind), text, code)
    page = render_template(
        "provider/ask.html", order=order, kinds=KINDS, values=typed.values, errors=typed.errors
    )
    return page, 422 if typed.errors else 200


def _open(order_id: int, kind: CaseKind, text: str, code: str) -> ResponseReturnValue:
    with unit_of_work() as session:
        case = cases.open_case(
            session,
            Asked(
                kind=kind,
                side=CaseSide.PROVIDER,
                email=current_user.email,
                locale=language(),
                text=text,
                order=session.get_one(Order, order_id),
                provider_id=current_user.provider_id,
            ),
            now=platform().clock(),
        )
        number = case.code
    flash(
        gettext(
            "Your case has the number %(code)s. A person answers by mail within two working days.",
            code=number,
        ),
        "success",
    )
    return redirect(url_for("provider.order", code=code))
