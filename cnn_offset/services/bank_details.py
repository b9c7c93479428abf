"""Bank details of providers: asked for, enabled by an operator, changed with a delay.

Changing bank details is the classic fraud. So the old contact and all owners are told at
once, the new details hold only after a day, and until then anybody warned can stop it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from cnn_offset.domain.status import OrderStatus, PayoutStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import Event, Order, Payment, PayoutMethod
from cnn_offset.plugins.loader import PluginSet
from cnn_offset.plugins.payments.base import PaymentPlugin, StatementPlugin
from cnn_offset.services import Begin, NotFoundError, ServiceError, paying
from cnn_offset.services.mailing import queue_message
from cnn_offset.services.moves import move, note
from cnn_offset.services.paying_out import (
    check_typed,
    disconnect,
    own_method,
    own_or_new,
    read_currencies,
    read_minimum,
    tell_people,
)

WAIT: Final = timedelta(hours=24)
"""From the change of bank details until they hold (the platform's FAQ asks for care; the
day is ours)."""
WAITS_FOR_US: Final = N_("We look at your request and write to you. You need do nothing.")
Plugins = PluginSet[PaymentPlugin]


def request_bank(
    session: Session,
    provider_id: int,
    method_id: str,
    account: Mapping[str, str],
    *,
    plugins: Plugins,
    currencies: Iterable[str],
    minimum_minor: int,
    operators: str,
    actor: str,
    now: datetime,
) -> None:
    """Ask for bank transfer with these details, or correct a request that waits.

    Args:
        session: a writing transaction.
        provider_id: whose.
        method_id: a method whose money shows on bank statements.
        account: the details, by name of the field.
        plugins: those that run.
        currencies: what the account takes.
        minimum_minor: smallest total of an order, in minor units of its currency.
        operators: where the operators are told.
        actor: who asks.
        now: the moment.

    Raises:
        NotFoundError: no such method runs.
        WrongAccountError: the details are not complete or not right.
        ServiceError: it is enabled already, or currencies or minimum are not right.

    """
    plugin = _plugin(plugins, method_id)
    account = check_typed(plugin, account)
    wanted, minimum = read_currencies(currencies, plugin), read_minimum(minimum_minor)
    row = own_or_new(session, provider_id, method_id, plugin)
    if row.status in (PayoutStatus.READY, PayoutStatus.LIMITED):
        raise ServiceError(N_("Bank transfer is enabled already. Please change the details."))
    row.account, row.currencies, row.minimum_minor = account, wanted, minimum
    row.todo, row.tested_at = [WAITS_FOR_US], None
    if not move(session, row, PayoutStatus.STARTED, actor=actor, why="asked for", now=now):
        note(session, row, old="", new="asked for", actor=actor, why="details given", now=now)
    queue_message(
        session,
        "bank_asked",
        recipient=operators,
        locale="en",
        now=now,
        dedup=f"bank_asked:{row.id}:{fingerprint(account)[:16]}",
        params={"payout_id": row.id},
    )


def waiting(session: Session, methods: Iterable[str], *, limit: int = 100) -> list[PayoutMethod]:
    """Return the requests that wait for an operator, oldest first."""
    rows = session.scalars(
        select(PayoutMethod)
        .where(
            PayoutMethod.method_id.in_(list(methods)), PayoutMethod.status == PayoutStatus.STARTED
        )
        .options(joinedload(PayoutMethod.provider))
        .order_by(PayoutMethod.id)
        .limit(limit)
    )
    return [each for each in rows if each.account]


def fingerprint(account: Mapping[str, str]) -> str:
    """Return what tells two sets of details apart, without showing either."""
    return hashlib.sha256(json.dumps(dict(account), sort_keys=True).encode()).hexdigest()


def approve_bank(
    session: Session, payout_id: int, seen: str, *, plugins: Plugins, actor: str, now: datetime
) -> None:
    """Enable bank transfer with the details that the operator has seen. Safe to repeat.

    Raises:
        NotFoundError: there is no such request.
        ServiceError: the provider has changed it since (``seen`` is another fingerprint), or
            the details are no longer right.

    """
    row = _request(session, payout_id, plugins)
    if row.status is PayoutStatus.READY:
        return
    _still(row, seen)
    if _plugin(plugins, row.method_id).check_account(row.account):
        raise ServiceError(N_("These details are not complete or not right any more."))
    row.todo, row.tested_at, row.due_at = [], now, now + timedelta(days=1)
    if move(session, row, PayoutStatus.READY, actor=actor, why="enabled", now=now):
        tell_people(session, "payout_ready", row, now=now)


def refuse_bank(
    session: Session,
    payout_id: int,
    seen: str,
    *,
    reason: str,
    plugins: Plugins,
    actor: str,
    now: datetime,
) -> None:
    """Refuse a request with a reason; the provider may ask again. Safe to repeat.

    Raises:
        NotFoundError: there is no such request.
        ServiceError: no reason, or the provider has changed the request since.

    """
    if not 0 < len(reason) <= 1000:
        raise ServiceError(N_("Please give the provider a reason, in at most 1,000 signs."))
    row = _request(session, payout_id, plugins)
    if row.status is PayoutStatus.REVOKED:
        return
    _still(row, seen)
    row.todo = []
    if move(session, row, PayoutStatus.REVOKED, actor=actor, why=reason, now=now):
        tell_people(session, "bank_refused", row, now=now, reason=reason)


def refusal(session: Session, row: PayoutMethod) -> str:
    """Return why an operator refused a request, if that is where it stands."""
    if row.status is not PayoutStatus.REVOKED or not row.account:
        return ""
    last = session.scalar(
        select(Event)
        .where(Event.subject == "payout_method", Event.subject_id == row.id, Event.new == "revoked")
        .order_by(Event.id.desc())
        .limit(1)
    )
    return last.why if last else ""


def change_details(
    session: Session,
    provider_id: int,
    method_id: str,
    account: Mapping[str, str],
    *,
    plugins: Plugins,
    actor: str,
    now: datetime,
) -> datetime:
    """Have other bank details hold from a day on; return from when.

    The present ones go on until then; another change starts the day anew, the same one
    again does not. Everybody who could know better is told at once.

    Raises:
        NotFoundError: the provider has no such method.
        WrongAccountError: the details are not complete or not right.
        ServiceError: bank transfer is not enabled, or these are the details it has.

    """
    account = check_typed(_plugin(plugins, method_id), account)
    row = own_method(session, provider_id, method_id)
    if row.status not in (PayoutStatus.READY, PayoutStatus.LIMITED):
        raise ServiceError(N_("Bank transfer is not enabled yet."))
    if account == row.next_account and row.next_from is not None:
        return row.next_from
    if account == row.account:
        raise ServiceError(N_("These are the details that hold already."))
    row.next_account, row.next_from = account, now + WAIT
    row.due_at = min(filter(None, (row.due_at, row.next_from)))
    note(session, row, old="", new="change asked for", actor=actor, why="bank details", now=now)
    tell_people(
        session,
        "bank_changing",
        row,
        now=now,
        by=actor,
        next_from=row.next_from.isoformat(),
        old=hint_of(row.account),
        new=hint_of(account),
    )
    return row.next_from


def stop_change(
    session: Session, payout_id: int, next_from: datetime, *, actor: str, now: datetime
) -> bool:
    """Call off the change of bank details that was to hold from ``next_from`` on.

    Returns whether this call did; False if that change holds, was called off or replaced
    already. Safe to repeat.
    """
    row = session.get(PayoutMethod, payout_id, with_for_update=True, populate_existing=True)
    if row is None or row.next_account is None or row.next_from != next_from:
        return False
    row.next_account = row.next_from = None
    note(session, row, old="", new="change stopped", actor=actor, why="bank details", now=now)
    tell_people(session, "bank_change_stopped", row, now=now, by=actor)
    return True


def change_over(begin: Begin, payout_id: int, *, plugins: Plugins, now: datetime) -> None:
    """Let changed bank details hold if their time has come. Safe to repeat.

    Orders placed until now keep the old ones, also those whose payment nobody has opened.
    """
    with begin() as session:
        row = session.get_one(PayoutMethod, payout_id, with_for_update=True, populate_existing=True)
        if row.next_account is None or row.next_from is None or now < row.next_from:
            return
        freeze_placed(session, row, plugins=plugins, now=now)
        row.account, row.next_account, row.next_from = row.next_account, None, None
        row.tested_at = now
        note(session, row, old="", new="changed", actor="clock", why="bank details", now=now)
        tell_people(session, "bank_changed", row, now=now, new=hint_of(row.account))


def freeze_placed(session: Session, row: PayoutMethod, *, plugins: Plugins, now: datetime) -> None:
    """Prepare the payments of placed orders that have none, with the account as it is now."""
    if not isinstance(plugins.get(row.method_id), StatementPlugin):
        return
    orders = session.scalars(
        select(Order).where(
            Order.provider_id == row.provider_id,
            Order.method_id == row.method_id,
            Order.status == OrderStatus.PLACED,
            ~select(Payment.id).where(Payment.order_id == Order.id).exists(),
        )
    ).all()
    for order in orders:
        # One below a minimum that has risen since cannot be paid so anyway.
        with suppress(ServiceError):
            paying.prepare_payment(session, order, row.method_id, now=now)


def end_bank(
    session: Session,
    provider_id: int,
    method_id: str,
    *,
    plugins: Plugins,
    actor: str,
    now: datetime,
) -> None:
    """End bank transfer; orders placed until now keep the details they were placed with.

    Safe to repeat.

    Raises:
        NotFoundError: the provider has never asked for it.

    """
    freeze_placed(session, own_method(session, provider_id, method_id), plugins=plugins, now=now)
    disconnect(session, provider_id, method_id, actor=actor, now=now)


def let_confirm(
    session: Session,
    provider_id: int,
    method_id: str,
    *,
    alone: bool,
    plugins: Plugins,
    actor: str,
    now: datetime,
) -> None:
    """Say whether exact matches on a statement pay orders with nobody's help.

    Raises:
        NotFoundError: the provider has no such method, or no statements tell of it.

    """
    _plugin(plugins, method_id)
    row = own_method(session, provider_id, method_id)
    if row.confirms_alone is not alone:
        row.confirms_alone = alone
        word = "confirms alone" if alone else "confirmed by people"
        note(session, row, old="", new=word, actor=actor, why="statements", now=now)


def hint_of(account: Mapping[str, str]) -> str:
    """Name bank details in a mail: enough to tell whether one knows them, no more.

    Empty for a provider who sends them itself.
    """
    if account.get("sends_own_details") == "yes":
        return ""
    number = "".join(account.get("account", "").split())
    return f"{account.get('holder', '')}, …{number[-4:]}"


def _plugin(plugins: Plugins, method_id: str) -> PaymentPlugin:
    plugin = plugins.get(method_id)
    if not isinstance(plugin, StatementPlugin):
        raise NotFoundError(method_id)
    return plugin


def _request(session: Session, payout_id: int, plugins: Plugins) -> PayoutMethod:
    row = session.get(PayoutMethod, payout_id, with_for_update=True, populate_existing=True)
    if row is None or not isinstance(plugins.get(row.method_id), StatementPlugin):
        raise NotFoundError(str(payout_id))
    return row


def _still(row: PayoutMethod, seen: str) -> None:
    if row.status is not PayoutStatus.STARTED or fingerprint(row.account) != seen:
        raise ServiceError(
            N_("The provider has changed its request meanwhile. Please read it again.")
        )
