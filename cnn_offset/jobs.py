"""Finding due work in the data and doing it.

The data is the queue: rows with ``due_at`` wait. A worker claims one by compare-and-set,
does it, and says when it is due again; a crash leaves it to be claimed when the lease is
over. RQ only rings: it starts a row's work at once and may lose it or do it twice.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from flask_babel import force_locale, ngettext
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer
from sqlalchemy import ColumnElement, case, or_, select, update

from cnn_offset.chores import do_chore
from cnn_offset.domain.calendar import RegistryPhase
from cnn_offset.domain.status import LIVE, OrderStatus, PaymentStatus
from cnn_offset.extensions import Platform, db, platform, public_url, unit_of_work
from cnn_offset.models import (
    Attestation,
    BankStatement,
    Cancellation,
    Checkout,
    Chore,
    IncomingMail,
    Message,
    Night,
    Offer,
    Order,
    Payment,
    PayoutMethod,
    Provider,
    Refund,
    RegistryAccount,
    Replacement,
    Tally,
    WebhookDelivery,
)
from cnn_offset.plugins.errors import PluginError
from cnn_offset.plugins.payments.base import StatementPlugin
from cnn_offset.services import (
    LEFT_ALONE,
    ServiceError,
    attesting,
    bank_details,
    bank_entries,
    cancelling,
    checking_out,
    deliveries,
    holdings,
    mailing,
    offering,
    ordering,
    pause_for,
    paying,
    paying_out,
    reconciling,
    refunding,
    replacing,
    reporting,
    statements,
    tallying,
)
from cnn_offset.watching import write_calls

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=90)
"""Longer than the calls to the outside that one piece of work makes (20 s each)."""
BATCH = 50
MISSES = 3
"""After so many failures in a row a sweep goes on to another kind of work, so that a silent
registry does not keep payments and mails waiting."""
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=15)
FARTHEST: Mapping[type[Any], timedelta] = {
    Payment: timedelta(hours=7),
    Cancellation: LEFT_ALONE + LONGEST_PAUSE,
    Attestation: 2 * LONGEST_PAUSE,
    WebhookDelivery: 2 * LONGEST_PAUSE,
    Message: 2 * LONGEST_PAUSE,
    IncomingMail: 2 * LONGEST_PAUSE,
    Tally: 2 * LONGEST_PAUSE,
    PayoutMethod: timedelta(hours=25),
    Refund: 2 * LONGEST_PAUSE,
    RegistryAccount: 2 * holdings.READ_AGAIN,
    Night: LEFT_ALONE + LONGEST_PAUSE,
}
"""What is due later than this was made so by a clock that has stepped back since, and counts
as due now (trust-facts.md 1.12). Orders and checkouts may wait for months."""

Work = Callable[[Platform, int], datetime | None]
"""Does what a row waits for and returns when it is due again, None for never."""


def _lapse_checkout(here: Platform, row_id: int) -> datetime | None:
    with unit_of_work() as session:
        return checking_out.lapse_checkout(session, row_id, now=here.clock())


def _tend_order(here: Platform, row_id: int) -> datetime | None:
    order = db.session.get_one(Order, row_id, populate_existing=True)
    if order.status is not OrderStatus.PLACED:
        return None
    now = here.clock()
    if now >= order.pay_by:
        return _end(here, row_id, OrderStatus.LAPSED, actor="clock", why="not paid in time")
    opened = db.session.scalar(select(Payment.id).where(Payment.order_id == row_id).limit(1))
    method_id = order.method_id
    by_bank = isinstance(here.payments.get(method_id), StatementPlugin)
    if opened is None and by_bank:
        # The process that placed the order died before it could tell how to pay.
        payment_id = _prepare(row_id, method_id, now=now)
        if payment_id is not None:
            start_payment(here, payment_id)
    with unit_of_work() as session:
        return ordering.remind(session, row_id, by_bank=by_bank, now=now)


def _prepare(order_id: int, method_id: str, *, now: datetime) -> int | None:
    """Record the intent to pay; None if the provider has ended the method since.

    The purchaser then finds the other ways to pay on the order's page.
    """
    try:
        with unit_of_work() as session:
            order = session.get_one(Order, order_id)
            return paying.prepare_payment(session, order, method_id, now=now).id
    except ServiceError as error:
        log.warning("order %s: %s", order_id, error)
        return None


def _end(
    here: Platform,
    order_id: int,
    new: OrderStatus,
    *,
    actor: str,
    why: str,
    reason: str = "",
    by: str = "",
) -> datetime | None:
    """End an unpaid order after closing the doors of all its payments."""
    if bank_entries.money_seen(db.session(), order_id, now=here.clock()):
        return here.clock() + timedelta(hours=1)
    if not close_doors(order_id):
        return here.clock() + timedelta(minutes=10)
    with unit_of_work() as session:
        order = session.get_one(Order, order_id)
        ordering.end_unpaid(
            session, order, new, actor=actor, why=why, now=here.clock(), reason=reason, by=by
        )
        waits = order.status is OrderStatus.PLACED
    return here.clock() + timedelta(minutes=10) if waits else None


def close_doors(order_id: int) -> bool:
    """Shut the doors of all payments of an order; False if one could not be shut now."""
    payments = db.session.scalars(
        select(Payment.id).where(
            Payment.order_id == order_id,
            Payment.status.in_([*LIVE, PaymentStatus.FAILED]),
        )
    ).all()
    return all(do("payment", payment_id, close=True) for payment_id in payments)


def _reconcile(here: Platform, row_id: int) -> datetime | None:
    payment = db.session.get_one(Payment, row_id, populate_existing=True)
    waits = payment.order.status is OrderStatus.PLACED
    if not payment.processor_ref and waits:
        start_payment(here, row_id)
    elif payment.status in (PaymentStatus.CREATED, PaymentStatus.AWAITING_PAYER) and not waits:
        return _close(here, row_id)[1]
    return paying.reconcile(unit_of_work, row_id, plugins=here.payments, now=here.clock())


def _close(here: Platform, row_id: int) -> tuple[bool, datetime | None]:
    """Shut a payment's door; say whether it is shut, and when to look again."""
    now = here.clock()
    shut = paying.close_payment(unit_of_work, row_id, plugins=here.payments, now=now)
    payment = db.session.get_one(Payment, row_id, populate_existing=True)
    return shut, paying.next_look(payment, now=now)


def _pursue(here: Platform, row_id: int) -> datetime | None:
    return cancelling.pursue(
        unit_of_work,
        row_id,
        connectors=here.connectors,
        registry_dates=here.registry_dates,
        clock=here.clock,
    )


def _issue(here: Platform, row_id: int) -> datetime | None:
    from cnn_offset.attestations import issuer  # heavy: PDF and signature libraries

    attesting.issue_attestation(unit_of_work, row_id, issuer=issuer(), now=here.clock())
    return None


def _send(here: Platform, row_id: int) -> datetime | None:
    from cnn_offset.mail import render, transport

    mailing.send_message(
        unit_of_work,
        row_id,
        render=render,
        transport=here.calls.watched(
            ("mail", "mail", "send"), transport(here.settings), here.clock
        ),
        now=here.clock(),
    )
    return None


def _give_back(here: Platform, row_id: int) -> datetime | None:
    return refunding.give_back(unit_of_work, row_id, plugins=here.payments, now=here.clock())


def _lapse_replacement(here: Platform, row_id: int) -> datetime | None:
    with unit_of_work() as session:
        return replacing.lapse(session, row_id, now=here.clock())


def _handle_delivery(here: Platform, row_id: int) -> datetime | None:
    with unit_of_work() as session:
        return deliveries.handle_delivery(session, row_id, now=here.clock())


def _mail_report(here: Platform, row_id: int) -> datetime | None:
    with unit_of_work() as session:
        return reporting.queue_monthly(session, row_id, now=here.clock())


def _tend_payout(here: Platform, row_id: int) -> datetime | None:
    now = here.clock()
    bank_details.change_over(unit_of_work, row_id, plugins=here.payments, now=now)
    return paying_out.look(unit_of_work, row_id, plugins=here.payments, now=now)


def _read_account(here: Platform, row_id: int) -> datetime | None:
    registry_id = db.session.get_one(RegistryAccount, row_id, populate_existing=True).registry_id
    db.session.rollback()
    if registry_id in here.registries_retired and registry_id not in here.registries:
        # Its plug-in is gone and nothing needs it; it may come back.
        return here.clock() + holdings.READ_AGAIN
    dates = here.registry_dates.get(registry_id)
    if dates and dates.phase(here.clock()) is RegistryPhase.CLOSED:
        # What was read last stays; nobody answers any more.
        return None
    return holdings.read_account(unit_of_work, row_id, connectors=here.connectors, clock=here.clock)


def _compare_books(here: Platform, row_id: int) -> datetime | None:
    return reconciling.go_on(unit_of_work, row_id, connectors=here.connectors, clock=here.clock)


def _end_offer(here: Platform, row_id: int) -> datetime | None:
    with unit_of_work() as session:
        return offering.end_offer(session, row_id, now=here.clock())


def _record_matches(here: Platform, row_id: int) -> datetime | None:
    return statements.record_matches(
        unit_of_work,
        row_id,
        second_from=here.settings.SECOND_PERSON_FROM,
        now=here.clock(),
    )


def _count_day(here: Platform, row_id: int) -> datetime | None:
    with unit_of_work() as session:
        tallying.make_day(session, session.get_one(Tally, row_id).day, now=here.clock())
    return None


def _read_mail(here: Platform, row_id: int) -> datetime | None:
    from cnn_offset.mail.receiving import handle_mail

    return handle_mail(here, row_id)


WORK: Mapping[str, tuple[Any, Work]] = {
    "payment": (Payment, _reconcile),
    "cancellation": (Cancellation, _pursue),
    "attestation": (Attestation, _issue),
    "webhook_delivery": (WebhookDelivery, _handle_delivery),
    "message": (Message, _send),
    "incoming_mail": (IncomingMail, _read_mail),
    "order": (Order, _tend_order),
    "checkout": (Checkout, _lapse_checkout),
    "bank_statement": (BankStatement, _record_matches),
    "payout_method": (PayoutMethod, _tend_payout),
    "provider": (Provider, _mail_report),
    "registry_account": (RegistryAccount, _read_account),
    "offer": (Offer, _end_offer),
    "chore": (Chore, do_chore),
    "night": (Night, _compare_books),
    "refund": (Refund, _give_back),
    "replacement": (Replacement, _lapse_replacement),
    "tally": (Tally, _count_day),
}


def start_payment(here: Platform, payment_id: int) -> None:
    """Open a prepared payment at its processor.

    Raises:
        MethodFailedError: the processor refuses or cannot be reached.

    """

    def return_url(order: Order) -> str:
        return public_url("orders.returned", lang=order.locale, token=order.token)

    def describe(order: Order) -> str:
        with force_locale(order.locale):
            text: str = ngettext(
                "Voluntary cancellation of %(n)s unit, order %(code)s",
                "Voluntary cancellation of %(n)s units, order %(code)s",
                order.quantity,
                n=order.quantity,
                code=order.code,
            )
        return text

    paying.open_payment(
        unit_of_work,
        payment_id,
        plugins=here.payments,
        registry_dates=here.registry_dates,
        return_url=return_url,
        describe=describe,
        now=here.clock(),
    )


def do(table: str, row_id: int, *, close: bool = False, due_only: bool = False) -> bool:
    """Claim one row's work and do it.

    Args:
        table: a key of ``WORK``.
        row_id: which row.
        close: of a payment: shut its door instead of asking how it stands.
        due_only: do nothing unless the work is due.

    Returns whether it was done: False if another worker has it, it is not due, or it
    failed and will be tried again (with ``close``: also if the door could not be shut).
    Safe to repeat and to lose.

    """
    return bool(_attempt(table, row_id, close=close, due_only=due_only))


def _attempt(
    table: str, row_id: int, *, close: bool = False, due_only: bool = False
) -> bool | None:
    """Do as :func:`do` says; None if another worker has the row or it is not due."""
    here = platform()
    kind, work = WORK[table]
    shut = not close
    if close:

        def work(here: Platform, row_id: int) -> datetime | None:
            nonlocal shut
            shut, due_at = _close(here, row_id)
            return due_at

    fence = _claim(kind, row_id, now=here.clock(), due_only=due_only)
    if fence is None:
        return None
    leave_alone = timedelta(0)
    try:
        due_at, error = work(here, row_id), ""
    except (PluginError, OSError, paying.MethodFailedError) as failure:
        log.warning("%s %s: %s", table, row_id, failure)
        due_at, error = None, f"{type(failure).__name__}: {failure}"
        if isinstance(failure, PluginError):
            leave_alone = pause_for(failure, leave_alone)
    except Exception as failure:
        log.exception("%s %s failed", table, row_id)
        due_at, error = None, f"{type(failure).__name__}: {failure}"
    now = here.clock()
    _finish(kind, row_id, fence, due_at=due_at, error=error, now=now, leave_alone=leave_alone)
    write_calls(here.calls, here.clock(), unit_of_work)
    return not error and shut


def _claim(kind: Any, row_id: int, *, now: datetime, due_only: bool) -> int | None:
    """Take the lease; return the fence, None if the row is taken or not due.

    A lease further ahead than a lease can be comes from a clock that has stepped back; it
    counts as over (trust-facts.md 1.12).
    """
    free = or_(kind.lease_until.is_(None), kind.lease_until <= now, kind.lease_until > now + LEASE)
    statement = update(kind).where(kind.id == row_id, free)
    if due_only:
        statement = statement.where(_is_due(kind, now))
    lease = now + LEASE
    with unit_of_work() as session:
        fence: int | None = session.scalar(
            statement.values(
                fence=kind.fence + 1,
                attempts=kind.attempts + 1,
                lease_until=lease,
                # Should this process die, the row is due again when the lease is over.
                due_at=lease,
            )
            .returning(kind.fence)
            .execution_options(synchronize_session=False)
        )
    return fence


def _is_due(kind: Any, now: datetime) -> ColumnElement[bool]:
    due: ColumnElement[bool] = kind.due_at <= now
    return or_(due, kind.due_at > now + FARTHEST[kind]) if kind in FARTHEST else due


def _finish(
    kind: Any,
    row_id: int,
    fence: int,
    *,
    due_at: datetime | None,
    error: str,
    now: datetime,
    leave_alone: timedelta = timedelta(0),
) -> None:
    """Give the lease back, unless somebody has taken it since.

    ``leave_alone``: how long the other side has asked not to be called again.
    """
    with unit_of_work() as session:
        if error:
            attempts = session.scalar(select(kind.attempts).where(kind.id == row_id)) or 1
            due_at = now + max(_pause(attempts), leave_alone)
        values: dict[str, Any] = {
            # Whoever rang meanwhile has set another due_at: that one holds.
            "due_at": case((kind.due_at == kind.lease_until, due_at), else_=kind.due_at),
            "lease_until": None,
            "last_error": error[:500],
        }
        if not error:
            values["attempts"] = 0
        session.execute(
            update(kind)
            .where(kind.id == row_id, kind.fence == fence)
            .values(values)
            .execution_options(synchronize_session=False)
        )


def _pause(attempts: int) -> timedelta:
    """Back off, capped, with equal jitter."""
    longest: timedelta = min(FIRST_PAUSE * 2 ** min(attempts - 1, 12), LONGEST_PAUSE)
    jitter: timedelta = longest / 2 * random.random()  # noqa: S311 - no secret
    return longest / 2 + jitter


def sweep(limit: int = BATCH, *, tables: Collection[str] | None = None) -> int:
    """Do what is due, at most ``limit`` rows of each kind; return how many were tried.

    With ``tables`` only work of these kinds.
    """
    here = platform()
    tried = 0
    for table in WORK if tables is None else tables:
        kind, _ = WORK[table]
        now = here.clock()
        due = db.session.scalars(
            select(kind.id)
            .where(
                _is_due(kind, now),
                or_(
                    kind.lease_until.is_(None),
                    kind.lease_until <= now,
                    kind.lease_until > now + LEASE,
                ),
            )
            .order_by(kind.due_at)
            .limit(limit)
        ).all()
        db.session.rollback()
        misses = 0
        for row_id in due:
            done = _attempt(table, row_id, due_only=True)
            misses = misses + 1 if done is False else 0 if done else misses
            tried += 1
            if misses == MISSES:
                break
    return tried


def withdraw_order(
    here: Platform, order_id: int, *, actor: str, reason: str = "", by: str = ""
) -> bool:
    """Withdraw an unpaid order; False if money may be on its way.

    Without a ``reason`` it is the purchaser's wish; else the provider's, or ``by`` the
    platform, and the purchaser is told the reason.
    """
    why = reason or "asked for"
    end = _end(here, order_id, OrderStatus.WITHDRAWN, actor=actor, why=why, reason=reason, by=by)
    return end is None


def _queue(connection: Redis) -> Queue:
    return Queue("cnn_offset", connection=connection, serializer=JSONSerializer)


@cache
def _bell(redis_url: str) -> Queue:
    """Return the queue to ring at. Nobody waits for a Redis that is down: the sweep comes."""
    return _queue(
        Redis.from_url(
            redis_url, socket_connect_timeout=1, socket_timeout=1, retry=Retry(NoBackoff(), 0)
        )
    )


def doorbell(redis_url: str) -> Callable[[str, int], None]:
    """Return what rings for due work: RQ with Redis, else nothing but the next sweep."""

    def ring(table: str, row_id: int) -> None:
        if not redis_url:
            return
        try:
            _bell(redis_url).enqueue(
                run,
                table,
                row_id,
                # Ends what hangs before somebody else may take the row.
                job_timeout=int(LEASE.total_seconds()) - 10,
                result_ttl=0,
                failure_ttl=3600,
            )
        except RedisError as error:
            log.warning("no doorbell: %s", error)

    return ring


def run(table: str, row_id: int) -> None:
    """Do one row's work if it is due; what RQ calls."""
    do(table, row_id, due_only=True)


def follow_bell(redis_url: str) -> None:
    """Work for RQ until told to stop. The caller has pushed the application context."""
    connection = Redis.from_url(redis_url)
    # One that does not fork: a forked horse would share our connections to the database.
    worker = SimpleWorker(
        [_queue(connection)],
        connection=connection,
        serializer=JSONSerializer,
        log_job_description=False,
    )
    worker.work(logging_level="WARNING")
