"""Placing orders, and what ends them unpaid."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import select
from sqlalchemy.orm import Session

from cnn_offset.domain.calendar import CANCELLING, RegistryDates, add_working_days
from cnn_offset.domain.expiry import narrowed
from cnn_offset.domain.reference import ALPHABET
from cnn_offset.domain.status import LIVE, AttestationStatus, CheckoutStatus, OrderStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import Attestation, Checkout, Message, Order, OrderLine, Payment
from cnn_offset.plugins.loader import PluginSet
from cnn_offset.plugins.payments.base import PaymentPlugin, StatementPlugin
from cnn_offset.services import NotFoundError, ServiceError, charging, deadlines, stock
from cnn_offset.services.checking_out import (
    check_ended,
    check_pause,
    check_purchaser,
    dates_for,
    payment_plan,
)
from cnn_offset.services.inbox import index_order
from cnn_offset.services.mailing import queue_message, resend, tell_provider, tell_purchaser
from cnn_offset.services.moves import lock_order, move, note


@dataclass(frozen=True)
class PurchaserDetails:
    """What the purchaser said, checked by the form."""

    purchaser_kind: str
    """``person`` or ``company``."""
    purchaser_name: str
    company: str
    email: str
    street: str
    city: str
    postcode: str
    country: str
    beneficiary: str
    reason: str
    publish_name: bool
    publish_reason: bool
    attestation_locale: str
    terms_version: str
    tax_id: str = ""
    """Of a company; empty if it gave none."""
    purchase_order: str = ""
    """A company's own number for this purchase; empty if it gave none."""


def clean_email(typed: str) -> str:
    """Return an address in lower case, so that its orders are found again.

    No mailbox is asked: a wrong one shows by bouncing. Every mail server can take what
    comes back (no SMTPUTF8).

    Raises:
        ServiceError: it is no address; line breaks make it none.

    """
    try:
        found = validate_email(typed, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError:
        raise ServiceError(
            N_("Please enter an e-mail address in the form name@example.org, without spaces.")
        ) from None
    return (found.ascii_email or found.normalized).lower()


def place_orders(
    session: Session,
    checkout: Checkout,
    details: PurchaserDetails,
    methods: Mapping[tuple[int, str], str],
    *,
    plugins: PluginSet[PaymentPlugin],
    registry_dates: Mapping[str, RegistryDates],
    now: datetime,
) -> list[Order]:
    """Turn a checkout into one order for each provider and currency.

    The units pass from the checkout to the orders without being released between.

    Args:
        session: a writing transaction.
        checkout: whose units are held.
        details: of purchaser and beneficiary.
        methods: the chosen method's id by (provider id, currency).
        plugins: the payment methods that run.
        registry_dates: by registry connection.
        now: the moment.

    Raises:
        ServiceError: the checkout has lapsed, or a method is missing or not offered.

    Safe to repeat: a second call returns the orders of the first.

    """
    plan = payment_plan(checkout, plugins, registry_dates, now=now)
    if checkout.status is CheckoutStatus.OPEN:
        check_purchaser(session, checkout.user_id, [part.provider.id for part in plan])
        blocks = [line.offer.block for line in checkout.lines]
        dates = [narrowed(registry_dates[each.registry_id], each.expires_on) for each in blocks]
        check_ended(dates, now=now)
        check_pause(dates)
        for part in plan:
            chosen = methods.get((part.provider.id, part.currency))
            if chosen not in {each.method_id for each in part.methods}:
                raise ServiceError(
                    N_("Please choose how to pay %(provider)s."), provider=part.provider.name
                )
    # The checkout is the idempotency key; whoever moves it makes the orders.
    if checkout.status is CheckoutStatus.LAPSED:
        raise ServiceError(
            N_("Your time to check out is over and the units were released. Please start again.")
        )
    if not move(
        session, checkout, CheckoutStatus.PLACED, actor="purchaser", why="orders placed", now=now
    ):
        return list(session.scalars(select(Order).where(Order.checkout_id == checkout.id)))
    checkout.due_at = None
    orders = []
    for part in plan:
        method_id = methods[part.provider.id, part.currency]
        plugin = plugins[method_id]
        pay_by = now + plugin.due_within
        for line in part.lines:
            pay_by = dates_for(line.offer.block, registry_dates).latest_due(pay_by)
        order = Order(
            code="".join(secrets.choice(ALPHABET) for _ in range(9)),
            token=secrets.token_urlsafe(32),
            checkout_id=checkout.id,
            provider_id=part.provider.id,
            user_id=checkout.user_id,
            total_minor=part.total.minor,
            currency=part.currency,
            locale=checkout.locale,
            method_id=method_id,
            consented_at=now,
            placed_at=now,
            pay_by=pay_by,
            # Instructions are opened even if nobody comes back to do it (jobs.py).
            due_at=now + timedelta(minutes=1) if isinstance(plugin, StatementPlugin) else pay_by,
            lines=[
                OrderLine(
                    offer_id=line.offer_id,
                    block_id=line.offer.block_id,
                    quantity=line.quantity,
                    price_minor=line.price_minor,
                    unit_type=line.offer.block.unit_type,
                    monitoring_start=line.offer.block.monitoring_start,
                    monitoring_end=line.offer.block.monitoring_end,
                    expires_on=line.offer.block.expires_on,
                )
                for line in part.lines
            ],
            **details.__dict__,
        )
        session.add(order)
        session.flush()
        index_order(session, order)
        note(session, order, old="", new="placed", actor="purchaser", why="placed", now=now)
        tell_purchaser(session, "order_placed", order, now=now)
        if isinstance(plugin, StatementPlugin):
            tell_provider(session, "bank_order_placed", order, now=now)
        orders.append(order)
    # Always in the same order, or two checkouts of the same providers wait for each other.
    for order in sorted(orders, key=lambda each: each.provider_id):
        charging.charge(session, order, now=now)
    return orders


def order_by_code(session: Session, code: str) -> Order:
    """Return the order of the number in an address, for staff of the platform.

    Raises:
        NotFoundError: there is none.

    """
    found = session.scalar(select(Order).where(Order.code == code.replace("\0", "")))
    if found is None:
        raise NotFoundError(code)
    return found


def find_order(session: Session, token: str) -> Order:
    """Return the order of a private link.

    Raises:
        NotFoundError: there is none.

    """
    found = session.scalar(select(Order).where(Order.token == token))
    if found is None:
        raise NotFoundError(token)
    return found


REMINDERS = (Fraction(1, 4), Fraction(9, 10))
"""When in its time to be paid a bank order's purchaser is reminded: with 90 days, in the
fourth week and nine days before the end. Shorter waits than a week need none."""
ENDING_REMINDERS = (14, 7, 3, 1)
"""Days before its end on which an order's purchaser is reminded, where that is the end of its
registry, so that nobody can let it wait longer. They take the place of late other reminders."""
PROVIDER_REMINDERS = (2, 5)
"""Working days after which a provider that has not said "in progress" is reminded; within
the first of them it is to send its bank details (the platform's FAQ for providers)."""


def remind(session: Session, order_id: int, *, by_bank: bool, now: datetime) -> datetime:
    """Mail the reminders that are due, if any, and say when to look at the order again.

    Who slept sends only the latest of each. Safe to repeat: each reminder is one mail.

    Args:
        session: a writing transaction.
        order_id: an unpaid order.
        by_bank: whether its money shows only on the provider's bank statement, so that the
            provider has something to do.
        now: the moment.

    """
    order = session.get_one(Order, order_id)
    wait = order.pay_by - order.placed_at
    looks = [order.pay_by]
    last = _ending_moments(session, order)
    urged, following = _due_reminder(last, order.pay_by, now)
    looks.append(following)
    if urged:
        days = round((order.pay_by - last[urged - 1]) / timedelta(days=1))
        dedup = f"ending_reminder:{order.id}:{days}:{order.pay_by:%Y-%m-%d}"
        tell_purchaser(session, "ending_reminder", order, now=now, dedup=dedup)
    elif wait >= timedelta(days=7):
        moments = [order.placed_at + wait * each.numerator / each.denominator for each in REMINDERS]
        if last:
            moments = [each for each in moments if each < last[0] - timedelta(days=1)]
        number, following = _due_reminder(moments, order.pay_by, now)
        looks.append(following)
        if number:
            # An order that was kept open has a new end, and is reminded of that too.
            which = f"{number}:{order.pay_by:%Y-%m-%d}" if number > 1 else "1"
            tell_purchaser(
                session,
                "payment_reminder",
                order,
                now=now,
                dedup=f"payment_reminder:{order.id}:{which}",
            )
    if by_bank and order.in_progress_at is None:
        moments = [add_working_days(order.placed_at, days) for days in PROVIDER_REMINDERS]
        number, following = _due_reminder(moments, order.pay_by, now)
        looks.append(following)
        if number:
            tell_provider(
                session, "order_undealt", order, now=now, dedup=f"order_undealt:{order.id}:{number}"
            )
    return min(looks)


def _ending_moments(session: Session, order: Order) -> list[datetime]:
    """Return when to urge a purchaser because the order's registry ends; none if it does not."""
    end = deadlines.end_of(session, order.id)
    if end is None or order.pay_by < end - CANCELLING:
        return []
    moments = [order.pay_by - timedelta(days=days) for days in ENDING_REMINDERS]
    return [each for each in moments if each > order.placed_at + timedelta(days=1)]


def _due_reminder(
    moments: Sequence[datetime], end: datetime, now: datetime
) -> tuple[int, datetime]:
    """Return the number of the reminder whose time it is (0 for none) and the next moment."""
    number = sum(moment <= now for moment in moments)
    following = moments[number] if number < len(moments) else end
    return (number if now < end else 0), min(following, end)


HOLDS = (14, 30, 60, 90)
"""Days from today that a provider can let an order wait."""


def possible_holds(
    order: Order, *, registry_dates: Mapping[str, RegistryDates], now: datetime
) -> list[tuple[int, datetime]]:
    """Return how many days ``order`` can be kept open from now, and until when.

    Only what is longer than it waits anyway; never beyond its registries' end.
    """
    found: dict[datetime, int] = {}
    for days in HOLDS:
        until = _latest(order, now + timedelta(days=days), registry_dates)
        if order.status is OrderStatus.PLACED and until > order.pay_by:
            found.setdefault(until, days)
    return [(days, until) for until, days in found.items()]


def keep_open(
    session: Session,
    order: Order,
    *,
    days: int,
    registry_dates: Mapping[str, RegistryDates],
    actor: str,
    now: datetime,
) -> None:
    """Let an unpaid order wait ``days`` from now, at somebody's wish (E6).

    Never longer than its registries allow. Does nothing to an order that is over.
    """
    order = lock_order(session, order.id)
    if extend(order, now + timedelta(days=days), registry_dates=registry_dates, now=now):
        note(
            session,
            order,
            old="",
            new="kept open",
            actor=actor,
            why=f"until {order.pay_by:%Y-%m-%d}",
            now=now,
        )


def extend(
    order: Order,
    wanted: datetime,
    *,
    registry_dates: Mapping[str, RegistryDates],
    now: datetime,
) -> bool:
    """Let an unpaid order wait until ``wanted`` or its registries' end; never shorter than before.

    The caller holds the order's lock. Returns whether it waits longer now.
    """
    wanted = _latest(order, wanted, registry_dates)
    if order.status is not OrderStatus.PLACED or wanted <= order.pay_by:
        return False
    order.pay_by = wanted
    order.due_at = now
    return True


def _latest(
    order: Order, wanted: datetime, registry_dates: Mapping[str, RegistryDates]
) -> datetime:
    for line in order.lines:
        wanted = dates_for(line.block, registry_dates).latest_due(wanted)
    return wanted


def end_unpaid(
    session: Session,
    order: Order,
    new: OrderStatus,
    *,
    actor: str,
    why: str,
    now: datetime,
    reason: str = "",
    by: str = "",
) -> bool:
    """Let an unpaid order lapse or be withdrawn, and release its units.

    The caller has closed the doors of its payments (trust-facts.md 1.7); one that was
    opened meanwhile keeps the order. Returns whether this call did it.

    Args:
        session: a writing transaction.
        order: to be ended.
        new: lapsed or withdrawn.
        actor: who ends it.
        why: for the history.
        now: the moment.
        reason: for the purchaser's mail.
        by: whose reason: ``platform``, else the provider's.

    """
    order = lock_order(session, order.id)
    if order.status is not OrderStatus.PLACED:
        return False
    opened = select(Payment.id).where(Payment.order_id == order.id, Payment.status.in_(LIVE))
    if session.scalar(opened.limit(1)) is not None:
        return False
    if not move(session, order, new, actor=actor, why=why, now=now):
        return False
    order.due_at = None
    order.holds_units = False
    stock.release(session, ((line.offer_id, line.quantity) for line in order.lines))
    told = {"reason": reason, **({"by": by} if by else {})} if reason else None
    tell_purchaser(session, f"order_{new.value}", order, now=now, params=told)
    return True


def send_links(session: Session, email: str, *, locale: str, now: datetime) -> None:
    """Mail the private links of all orders of ``email`` to that address, if there are any.

    Says nothing about whether there are. Safe to repeat: one mail every ten minutes.
    """
    known = session.scalar(select(Order.id).where(Order.email == email).limit(1))
    if known is None:
        return
    queue_message(
        session,
        "lost_links",
        recipient=email,
        locale=locale,
        now=now,
        dedup=f"lost_links:{known}:{int(now.timestamp()) // 600}",
    )


def send_papers_again(
    session: Session, order: Order, *, now: datetime, actor: str = "purchaser"
) -> None:
    """Mail the attestation once more, or before there is one the confirmation of the order.

    Safe to repeat: a mail that still waits is not doubled.
    """
    issued = session.scalar(
        select(Attestation.id).where(
            Attestation.order_id == order.id, Attestation.status == AttestationStatus.ISSUED
        )
    )
    kind = "attestation" if issued else "order_placed"
    message = session.scalar(
        select(Message)
        .where(Message.order_id == order.id, Message.kind == kind)
        .order_by(Message.id)
    )
    if message is None:
        tell_purchaser(session, kind, order, now=now)
    else:
        resend(session, message, actor=actor, now=now)
