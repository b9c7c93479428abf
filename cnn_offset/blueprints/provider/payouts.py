"""How the provider is paid: connected, tested, changed, ended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user

from cnn_offset.blueprints.provider.workspace import bp
from cnn_offset.domain.money import Money
from cnn_offset.domain.staff import Duty
from cnn_offset.domain.status import PayoutStatus
from cnn_offset.domain.text import N_, UnreadableTextError, clean_line
from cnn_offset.extensions import db, limiter, platform, public_url, unit_of_work
from cnn_offset.guards import staff_may
from cnn_offset.i18n import language
from cnn_offset.models import PayoutMethod
from cnn_offset.plugins.errors import PluginError, RefusedError
from cnn_offset.plugins.payments.base import PaymentPlugin, StatementPlugin
from cnn_offset.services import NotFoundError, ServiceError, bank_details, paying_out
from cnn_offset.services.selling import read_amount

FOUND: Final[Mapping[PayoutStatus, tuple[str, str]]] = {
    PayoutStatus.READY: ("success", N_("%(method)s is ready: purchasers can pay you by it.")),
    PayoutStatus.STARTED: ("warning", N_("%(method)s is not ready yet. See below what is left.")),
    PayoutStatus.LIMITED: ("warning", N_("%(method)s is not ready yet. See below what is left.")),
    PayoutStatus.REVOKED: ("warning", N_("%(method)s is not connected.")),
}
LONGEST: Final = 200
"""Signs in one part of an account."""


@dataclass(frozen=True)
class Way:
    """One way to be paid, as its panel shows it."""

    method_id: str
    plugin: PaymentPlugin | None
    """None if the configuration does not run it any more."""
    row: PayoutMethod | None
    refusal: str = ""
    retired: bool = False
    """Whether it takes no new orders and nobody may begin with it (E12)."""

    @property
    def may_begin(self) -> bool:
        """Whether the provider may newly be paid so, or go on where it has begun."""
        return not self.retired or (self.row is not None and self.row.status in _ENABLED)

    @property
    def by_bank(self) -> bool:
        """Whether its money shows on bank statements."""
        return isinstance(self.plugin, StatementPlugin)

    @property
    def minimum(self) -> Money | None:
        """The smallest total of an order, in the first of its currencies."""
        row = self.row
        if row is None or not row.minimum_minor or not row.currencies:
            return None
        return Money(row.minimum_minor, row.currencies[0])

    def lines(self, account: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return labels and values of an account that the processor or we are to be told."""
        fields = self.plugin.account_fields if self.plugin else ()
        if account.get("sends_own_details") == "yes":
            return []
        return [
            (gettext(each.label), account[each.name]) for each in fields if account.get(each.name)
        ]


def _ways() -> list[Way]:
    here, session = platform(), db.session()
    plugins = here.payments
    rows = paying_out.methods_of(session, current_user.provider_id)
    names = [*plugins, *(each for each in rows if each not in plugins)]
    return [
        Way(
            name,
            plugins.get(name),
            rows.get(name),
            bank_details.refusal(session, rows[name])
            if isinstance(plugins.get(name), StatementPlugin) and name in rows
            else "",
            name in here.methods_retired,
        )
        for name in names
        # To whom it is nothing yet it need not be told that it ends.
        if name in rows or name not in here.methods_retired
    ]


def _way(method_id: str) -> Way:
    for each in _ways():
        if each.method_id == method_id:
            return each
    raise NotFoundError(method_id)


def _title(way: Way) -> str:
    return gettext(platform().method_titles.get(way.method_id, way.method_id))


def _back(method_id: str = "") -> ResponseReturnValue:
    return redirect(url_for("provider.payouts", _anchor=method_id or None))


def _say(error: ServiceError) -> None:
    flash(gettext(error.message, **error.values), "error")


def _ends(way: Way) -> ResponseReturnValue:
    flash(
        gettext(
            "%(method)s takes no new orders here. Please choose another way.", method=_title(way)
        ),
        "error",
    )
    return _back()


def _say_silence(way: Way, error: PluginError) -> None:
    if isinstance(error, RefusedError):
        text = gettext(
            "%(method)s has refused this. Nothing has changed. Please write to us.",
            method=_title(way),
        )
    else:
        text = gettext(
            "%(method)s does not answer. Nothing has changed. Please try again in a few minutes.",
            method=_title(way),
        )
    flash(text, "error")


@bp.get("/provider/payouts")
def payouts() -> ResponseReturnValue:
    """Show every way to be paid, its state, and what to do next."""
    return render_template(
        "provider/payouts.html",
        ways=_ways(),
        titles=platform().method_titles,
        # The processor sends here whose link was used or too old.
        expired=request.args.get("expired", ""),
        may=current_user.may(Duty.PAYOUTS),
    )


@bp.post("/provider/payouts/<method_id>/connect")
@staff_may(Duty.PAYOUTS, fresh=True)
def payout_connect(method_id: str) -> ResponseReturnValue:
    """Begin or go on with connecting an account, on the processor's page."""
    way, here = _way(method_id), platform()
    if way.plugin is None or not way.plugin.connects:
        flash(gettext("This account is typed in, not connected."), "error")
        return _back(method_id)
    if not way.may_begin:
        return _ends(way)
    back = public_url("provider.payout_returned", lang=language(), method_id=method_id)
    again = public_url("provider.payouts", lang=language(), expired=method_id)
    try:
        url = paying_out.begin_connect(
            unit_of_work,
            current_user.provider_id,
            method_id,
            plugins=here.payments,
            locale=language(),
            return_url=back,
            refresh_url=again,
            actor=current_user.email,
            now=here.clock(),
        )
    except ServiceError as error:
        _say(error)
        return _back(method_id)
    except PluginError as error:
        _say_silence(way, error)
        return _back(method_id)
    return redirect(url, 303)


@bp.get("/provider/payouts/<method_id>/returned")
@limiter.limit("60 per minute")
@staff_may(Duty.PAYOUTS)
def payout_returned(method_id: str) -> ResponseReturnValue:
    """Come back from the processor: look how the account stands, whatever the address says."""
    return _look(method_id)


@bp.post("/provider/payouts/<method_id>/test")
@limiter.limit("10 per hour", key_func=lambda: f"payout test of {current_user.provider_id}")
@staff_may(Duty.PAYOUTS)
def payout_test(method_id: str) -> ResponseReturnValue:
    """Test an account now."""
    return _look(method_id)


def _look(method_id: str) -> ResponseReturnValue:
    way, here = _way(method_id), platform()
    try:
        status = paying_out.look_now(
            unit_of_work,
            current_user.provider_id,
            method_id,
            plugins=here.payments,
            now=here.clock(),
        )
    except NotFoundError:
        status = PayoutStatus.REVOKED
    except PluginError as error:
        _say_silence(way, error)
        return _back(method_id)
    category, message = FOUND[status]
    flash(gettext(message, method=_title(way)), category)
    return _back(method_id)


@bp.get("/provider/payouts/<method_id>/account")
@staff_may(Duty.PAYOUTS, fresh=True)
def payout_account(method_id: str) -> ResponseReturnValue:
    """Show the form for an account: bank details, or what a processor knows it by."""
    way = _way(method_id)
    return _account_page(way)


def _account_page(
    way: Way, errors: Mapping[str, str] | None = None, **more: Any
) -> ResponseReturnValue:
    if way.plugin is None or way.plugin.connects:
        flash(gettext("This account is connected on a page of its own."), "error")
        return _back(way.method_id)
    if not way.may_begin:
        return _ends(way)
    row = way.row
    present = (row.next_account or row.account) if row else {}
    page = render_template(
        "provider/payout_account.html",
        way=way,
        values=request.form if request.method == "POST" else present,
        currencies=request.form.get("currencies", _default_currencies(way)),
        changes=way.by_bank and row is not None and row.status in _ENABLED,
        errors=errors or {},
        **more,
    )
    return (page, 422) if errors else page


_ENABLED: Final = (PayoutStatus.READY, PayoutStatus.LIMITED)


def _default_currencies(way: Way) -> str:
    return ", ".join(way.row.currencies if way.row else paying_out.USUAL)


@bp.post("/provider/payouts/<method_id>/account")
@staff_may(Duty.PAYOUTS, fresh=True)
def payout_account_given(method_id: str) -> ResponseReturnValue:
    """Take an account: bank details are asked for or, after a second look, changed."""
    way, here = _way(method_id), platform()
    if way.plugin is None or way.plugin.connects or not way.may_begin:
        return _account_page(way)
    try:
        account = _read_account(way.plugin)
        if not way.by_bank:
            paying_out.check_typed(way.plugin, account)
            with unit_of_work() as session:
                paying_out.type_account(
                    session,
                    current_user.provider_id,
                    method_id,
                    account,
                    plugins=here.payments,
                    actor=current_user.email,
                    now=here.clock(),
                )
            return _look(method_id)
        if way.row is not None and way.row.status in _ENABLED:
            return _change(way, account)
        currencies = _codes()
        minimum = _minimum(currencies)
        with unit_of_work() as session:
            bank_details.request_bank(
                session,
                current_user.provider_id,
                method_id,
                account,
                plugins=here.payments,
                currencies=currencies,
                minimum_minor=minimum,
                operators=here.settings.CONTACT_EMAIL,
                actor=current_user.email,
                now=here.clock(),
            )
    except paying_out.WrongAccountError as error:
        return _account_page(way, {"": " ".join(gettext(each) for each in error.complaints)})
    except ServiceError as error:
        return _account_page(_way(method_id), {"": gettext(error.message, **error.values)})
    flash(gettext("Thank you. We look at your request and write to you."), "success")
    return _back(method_id)


def _change(way: Way, account: Mapping[str, str]) -> ResponseReturnValue:
    """Show old and new beside each other, then have the new ones wait for their day."""
    here, plugin = platform(), way.plugin
    assert plugin is not None
    paying_out.check_typed(plugin, account)
    if request.form.get("seen") != "yes":
        return _account_page(way, review=account)
    with unit_of_work() as session:
        bank_details.change_details(
            session,
            current_user.provider_id,
            way.method_id,
            account,
            plugins=here.payments,
            actor=current_user.email,
            now=here.clock(),
        )
    flash(
        gettext("Noted. The new details hold in 24 hours; all owners have been told by mail."),
        "success",
    )
    return _back(way.method_id)


@bp.get("/provider/payouts/<method_id>/terms")
@staff_may(Duty.PAYOUTS)
def payout_terms(method_id: str) -> ResponseReturnValue:
    """Show the form for currencies and minimum."""
    return _terms_page(_way(method_id))


def _terms_page(way: Way, errors: Mapping[str, str] | None = None) -> ResponseReturnValue:
    if way.row is None or way.plugin is None:
        raise NotFoundError(way.method_id)
    page = render_template(
        "provider/payout_terms.html",
        way=way,
        currencies=request.form.get("currencies", _default_currencies(way)),
        minimum=request.form.get("minimum", _typed(way.minimum)),
        errors=errors or {},
    )
    return (page, 422) if errors else page


def _typed(amount: Money | None) -> str:
    """Write an amount as it would be typed in the reader's language."""
    text = f"{amount.amount:f}" if amount else ""
    return text if language() == "en" else text.replace(".", ",")


@bp.post("/provider/payouts/<method_id>/terms")
@staff_may(Duty.PAYOUTS)
def payout_terms_set(method_id: str) -> ResponseReturnValue:
    """Set currencies and minimum."""
    way, here = _way(method_id), platform()
    try:
        currencies = _codes()
        minimum = _minimum(currencies)
        with unit_of_work() as session:
            paying_out.set_terms(
                session,
                current_user.provider_id,
                method_id,
                plugins=here.payments,
                currencies=currencies,
                minimum_minor=minimum,
                actor=current_user.email,
                now=here.clock(),
            )
    except ServiceError as error:
        return _terms_page(way, {"": gettext(error.message, **error.values)})
    flash(
        gettext("Saved. New orders follow it; those that are placed keep what they have."),
        "success",
    )
    return _back(method_id)


@bp.post("/provider/payouts/<method_id>/disconnect")
@staff_may(Duty.PAYOUTS, fresh=True)
def payout_disconnect(method_id: str) -> ResponseReturnValue:
    """End a method."""
    way, here = _way(method_id), platform()
    arguments: dict[str, Any] = {"actor": current_user.email, "now": here.clock()}
    with unit_of_work() as session:
        if way.by_bank:
            bank_details.end_bank(
                session, current_user.provider_id, method_id, plugins=here.payments, **arguments
            )
        else:
            paying_out.disconnect(session, current_user.provider_id, method_id, **arguments)
    flash(gettext("Ended. New orders cannot be paid by this method any more."), "success")
    return _back(method_id)


@bp.post("/provider/payouts/<method_id>/stop")
@staff_may(Duty.PAYOUTS)
def payout_stop(method_id: str) -> ResponseReturnValue:
    """Stop a change of bank details that waits for its day."""
    way, here = _way(method_id), platform()
    stopped = False
    if way.row is not None and way.row.next_from is not None:
        payout_id, next_from = way.row.id, way.row.next_from
        with unit_of_work() as session:
            stopped = bank_details.stop_change(
                session, payout_id, next_from, actor=current_user.email, now=here.clock()
            )
    if stopped:
        flash(gettext("Stopped. Your bank details stay as they are."), "success")
    else:
        flash(gettext("There is no change to stop."), "info")
    return _back(method_id)


@bp.post("/provider/payouts/<method_id>/confirms")
@staff_may(Duty.PAYOUTS, fresh=True)
def payout_confirms(method_id: str) -> ResponseReturnValue:
    """Say whether exact matches on a bank statement confirm alone."""
    way, here = _way(method_id), platform()
    if not way.by_bank:
        flash(gettext("No bank statements tell of this method."), "error")
        return _back(method_id)
    alone = request.form.get("alone") == "yes"
    with unit_of_work() as session:
        bank_details.let_confirm(
            session,
            current_user.provider_id,
            method_id,
            alone=alone,
            plugins=here.payments,
            actor=current_user.email,
            now=here.clock(),
        )
    flash(
        gettext("Exact matches now confirm alone.")
        if alone
        else gettext("A person now confirms every match."),
        "success",
    )
    return _back(method_id)


def _read_account(plugin: PaymentPlugin) -> dict[str, str]:
    account = {}
    for each in plugin.account_fields:
        text = request.form.get(each.name, "")
        try:
            value = ("yes" if text == "yes" else "") if each.is_switch else clean_line(text)
        except UnreadableTextError:
            raise ServiceError(
                N_("There are signs that cannot be shown. Please type it instead of copying.")
            ) from None
        if len(value) > LONGEST:
            raise ServiceError(N_("That is too long. Please shorten it."))
        if value:
            account[each.name] = value
    return account


def _codes() -> list[str]:
    return re.findall(r"[A-Z]+", request.form.get("currencies", "").upper()[:LONGEST])


def _minimum(currencies: list[str]) -> int:
    text = request.form.get("minimum", "").strip()
    if not text or not currencies:
        return 0
    try:
        return read_amount(text, currencies[0], language()).minor
    except ValueError:
        # The currency is named as the trouble by whoever reads the currencies.
        return 0
