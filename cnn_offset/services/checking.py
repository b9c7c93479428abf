"""Adding everything up: what must always hold between units, money and papers.

Reads only. Runs in the tests' teardown, nightly, and by ``cnn-offset check``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from fsspec import AbstractFileSystem
from sqlalchemy import Select, Subquery, case, func, literal, or_, select
from sqlalchemy.orm import Session, selectinload

from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import Verdict, derive, judge
from cnn_offset.domain.status import (
    ApplicationStatus,
    AttestationStatus,
    CancellationStatus,
    CheckoutStatus,
    OrderStatus,
    PaymentStatus,
    ReplacementStatus,
)
from cnn_offset.models import (
    Application,
    Attestation,
    Block,
    Cancellation,
    CancelledRange,
    Checkout,
    CheckoutLine,
    Counter,
    DealtWith,
    Event,
    Offer,
    OfferTerms,
    Order,
    OrderLine,
    Paper,
    Payment,
    Replacement,
    User,
)
from cnn_offset.services import (
    accepting,
    checking_history,
    checking_sequels,
    fee_checks,
    noticing,
    stock,
    tallying,
)

_PAID = (OrderStatus.PAID, OrderStatus.FULFILLED)
_OF_LINE = (Cancellation.order_line_id == OrderLine.id) & (
    Cancellation.status != CancellationStatus.GIVEN_UP
)
"""The cancellation of a line, but for those that were given up."""


def check_all(session: Session, files: AbstractFileSystem) -> list[str]:
    """Return everything that does not add up, in words for operators; empty is good.

    Call it while nothing is being written, or believe only what a second run repeats.
    """
    return [
        *_offers(session),
        *_blocks(session),
        *_terms(session),
        *_orders(session),
        *_ranges(session),
        *_payments(session),
        *_attestations(session, files),
        *checking_history.imported(session),
        *checking_sequels.corrections(session),
        *checking_sequels.refunds(session),
        *checking_sequels.parts(session),
        *_papers(session),
        *_providers(session),
        *fee_checks.check_fees(session),
        *_history(session),
        *_figures(session),
    ]


def _offers(session: Session) -> Iterator[str]:
    """Offered = available + held + cancelled, and each of these has its reason."""
    confirmed = Cancellation.status == CancellationStatus.CONFIRMED
    in_checkouts = _sums(
        select(CheckoutLine.offer_id, CheckoutLine.quantity)
        .join(Checkout)
        .where(Checkout.status == CheckoutStatus.OPEN)
    )
    # A mismatched cancellation has happened somehow; until a person decides its units stay held.
    in_orders = _sums(
        select(OrderLine.offer_id, OrderLine.quantity)
        .join(Order)
        .outerjoin(Cancellation, _OF_LINE)
        .where(
            Order.holds_units,
            OrderLine.given_back_at.is_(None),
            or_(Cancellation.id.is_(None), ~confirmed),
        )
    )
    # Held beside those of the line that they may take the place of.
    in_questions = _sums(
        select(Replacement.offer_id, OrderLine.quantity)
        .join(OrderLine, OrderLine.id == Replacement.order_line_id)
        .where(Replacement.status == ReplacementStatus.ASKED)
    )
    gone = _sums(
        select(OrderLine.offer_id, OrderLine.quantity)
        .join(Cancellation, Cancellation.order_line_id == OrderLine.id)
        .where(confirmed)
    )
    rows = session.execute(
        select(
            Offer.id,
            Offer.quantity,
            Offer.held,
            Offer.cancelled,
            func.coalesce(in_checkouts.c.n, 0)
            + func.coalesce(in_orders.c.n, 0)
            + func.coalesce(in_questions.c.n, 0),
            func.coalesce(gone.c.n, 0),
        )
        .outerjoin(in_checkouts, in_checkouts.c.offer_id == Offer.id)
        .outerjoin(in_orders, in_orders.c.offer_id == Offer.id)
        .outerjoin(in_questions, in_questions.c.offer_id == Offer.id)
        .outerjoin(gone, gone.c.offer_id == Offer.id)
    )
    for offer_id, quantity, held, cancelled, should_hold, should_be_gone in rows:
        if held != should_hold:
            yield f"offer {offer_id}: {held} units held, orders and checkouts say {should_hold}"
        if cancelled != should_be_gone:
            yield f"offer {offer_id}: {cancelled} units cancelled, cancellations say {should_be_gone}"
        if held + cancelled > quantity or held < 0 or cancelled < 0:
            yield f"offer {offer_id}: oversold"


def _blocks(session: Session) -> Iterator[str]:
    """Offers promise no more than their block holds, but for what shrinking leaves alone:
    units that orders hold, and those whose cancellation is in flight.
    """
    rows = session.execute(
        select(Block, func.sum(stock.PROMISE), func.sum(Offer.held))
        .join(Offer, Offer.block_id == Block.id)
        .group_by(Block.id)
        .having(func.sum(stock.PROMISE) > Block.reported)
    ).all()
    for block, promised, held in rows:
        most = max(block.reported + stock.in_flight(session, block), int(held))
        if promised > most:
            yield f"block {block.block_ref}: {promised} units promised, there are {most}"
    for (ref,) in session.execute(select(Block.block_ref).where(Block.held > Block.reported)):
        yield f"block {ref}: more held than was reported"


def _terms(session: Session) -> Iterator[str]:
    """The newest terms written down are those in force."""
    newest = (
        select(OfferTerms.offer_id, func.max(OfferTerms.version).label("version"))
        .group_by(OfferTerms.offer_id)
        .subquery()
    )
    for (offer_id,) in session.execute(
        select(Offer.id)
        .join(newest, newest.c.offer_id == Offer.id)
        .join(
            OfferTerms,
            (OfferTerms.offer_id == Offer.id) & (OfferTerms.version == newest.c.version),
        )
        .where(
            or_(
                OfferTerms.version != Offer.version,
                OfferTerms.status != Offer.status,
                OfferTerms.price_minor != Offer.price_minor,
                OfferTerms.currency != Offer.currency,
                OfferTerms.quantity != Offer.quantity,
                OfferTerms.min_quantity != Offer.min_quantity,
                OfferTerms.ends_at.is_distinct_from(Offer.ends_at),
            )
        )
    ):
        yield f"offer {offer_id}: its terms are not those last written down"


def _sums(statement: Select[int, int]) -> Subquery:
    inner = statement.subquery()
    return (
        select(inner.c.offer_id, func.sum(inner.c.quantity).label("n"))
        .group_by(inner.c.offer_id)
        .subquery()
    )


def _orders(session: Session) -> Iterator[str]:
    """Paid means exactly paid; fulfilled means cancelled to the last unit, and attested."""
    paying = (
        select(Payment.order_id, func.count().label("n"))
        .where(Payment.paid_order)
        .group_by(Payment.order_id)
        .subquery()
    )
    for code, n in session.execute(
        select(Order.code, func.coalesce(paying.c.n, 0))
        .outerjoin(paying, paying.c.order_id == Order.id)
        .where(Order.status.in_(_PAID), func.coalesce(paying.c.n, 0) != 1)
    ):
        yield f"order {code}: paid by {n} payments"
    units = (
        select(
            CancelledRange.cancellation_id,
            func.sum(CancelledRange.last - CancelledRange.first + 1).label("n"),
        )
        .group_by(CancelledRange.cancellation_id)
        .subquery()
    )
    done = case((Cancellation.status == CancellationStatus.CONFIRMED, units.c.n), else_=0)
    wanted = case((OrderLine.given_back_at.is_(None), OrderLine.quantity), else_=0)
    for code, line_id, quantity, n in session.execute(
        select(Order.code, OrderLine.id, wanted, func.coalesce(done, 0))
        .join(OrderLine, OrderLine.order_id == Order.id)
        .outerjoin(Cancellation, _OF_LINE)
        .outerjoin(units, units.c.cancellation_id == Cancellation.id)
        .where(Order.status == OrderStatus.FULFILLED, func.coalesce(done, 0) != wanted)
    ):
        yield f"order {code}: line {line_id} of {quantity} units, {n} cancelled"
    for (code,) in session.execute(
        select(Order.code)
        .outerjoin(Attestation, Attestation.order_id == Order.id)
        .where(Order.status == OrderStatus.FULFILLED, Attestation.id.is_(None))
    ):
        yield f"order {code}: fulfilled without an attestation"
    for (code,) in session.execute(
        select(Order.code)
        .join(Attestation, Attestation.order_id == Order.id)
        .where(Order.status != OrderStatus.FULFILLED)
    ):
        yield f"order {code}: attested, yet not fulfilled"
    paid_unqueued = (
        select(Order.code)
        .join(OrderLine, OrderLine.order_id == Order.id)
        .outerjoin(Cancellation, _OF_LINE)
        .where(
            Order.status.in_(_PAID),
            OrderLine.given_back_at.is_(None),
            Cancellation.id.is_(None),
        )
    )
    for (code,) in session.execute(paid_unqueued):
        yield f"order {code}: paid and forgotten, no cancellation is queued"


def _ranges(session: Session) -> Iterator[str]:
    """Every cancelled range lies in its block and overlaps nothing."""
    before = func.max(CancelledRange.last).over(
        partition_by=(CancelledRange.registry_id, CancelledRange.series),
        order_by=(CancelledRange.first, CancelledRange.id),
        rows=(None, -1),
    )
    ordered = select(
        CancelledRange.first_text, CancelledRange.first, before.label("before")
    ).subquery()
    for text, _, _ in session.execute(select(ordered).where(ordered.c.before >= ordered.c.first)):
        yield f"range from {text}: overlaps an earlier one"
    outside = (
        select(CancelledRange.first_text)
        .join(Cancellation, Cancellation.id == CancelledRange.cancellation_id)
        .join(OrderLine, OrderLine.id == Cancellation.order_line_id)
        .join(Block, Block.id == OrderLine.block_id)
        .where(
            or_(
                Block.series != CancelledRange.series,
                Block.registry_id != CancelledRange.registry_id,
                CancelledRange.first < Block.first,
                CancelledRange.last > Block.last,
            )
        )
    )
    for (text,) in session.execute(outside):
        yield f"range from {text}: outside its block"


def _payments(session: Session) -> Iterator[str]:
    """Status and verdict follow from the facts; exact money has moved its order, and other
    money only a named person has.
    """
    released = set(
        session.scalars(select(DealtWith.subject_id).where(DealtWith.kind == accepting.RELEASED))
    )
    for payment in session.scalars(
        select(Payment)
        .options(selectinload(Payment.facts), selectinload(Payment.order))
        .execution_options(yield_per=500)
    ):
        facts = [each.value for each in payment.facts]
        status = derive(facts)
        if status is not None and status is not payment.status:
            yield f"payment {payment.key}: {payment.status}, its facts say {status}"
        if not facts:
            continue
        verdict = judge(due=payment.due, payee=payment.payee_account, facts=facts)
        if verdict is not payment.verdict:
            yield f"payment {payment.key}: judged {payment.verdict}, its facts say {verdict}"
        if (
            payment.paid_order
            and payment.order.status in _PAID
            and payment.status
            not in (
                PaymentStatus.SUCCEEDED,
                PaymentStatus.DISPUTED,
                PaymentStatus.REFUNDED,
            )
        ):
            yield f"payment {payment.key}: paid order {payment.order.code} but is {payment.status}"
        if (
            verdict is not Verdict.EXACT
            and payment.paid_order
            and payment.order.status is OrderStatus.PAID
            and payment.id not in released
            and not accepting.is_returning(payment)
        ):
            yield f"payment {payment.key}: {verdict}, order {payment.order.code} goes on, and nobody said so"
        if verdict is Verdict.EXACT and payment.order.status in (
            OrderStatus.PLACED,
            OrderStatus.LAPSED,
            OrderStatus.WITHDRAWN,
        ):
            yield f"payment {payment.key}: exact money, order {payment.order.code} is {payment.order.status}"
        asked = Money(payment.amount_minor, payment.currency)
        if asked != payment.order.total:
            yield f"payment {payment.key}: for {asked}, order {payment.order.code} is {payment.order.total}"


def _attestations(session: Session, files: AbstractFileSystem) -> Iterator[str]:
    """Numbers have no gaps; every stored PDF is the one that was issued."""
    count, highest = session.execute(
        select(func.count(), func.coalesce(func.max(Attestation.sequence), 0))
    ).one()
    given = session.scalar(select(Counter.value).where(Counter.name == literal("attestation")))
    if not count == highest == given:
        yield f"attestations: {count} rows, highest number {highest}, counter {given}"
    issued = session.execute(
        select(Attestation.sequence, Attestation.path, Attestation.sha256)
        .join(Order, Order.id == Attestation.order_id)
        .where(
            Attestation.status == AttestationStatus.ISSUED,
            # The file of an erased one is gone; its hash stays.
            or_(Attestation.path != "", Order.erased_at.is_(None)),
        )
        .execution_options(yield_per=500)
    )
    for sequence, path, sha256 in issued:
        try:
            content = files.cat_file(path)
        except OSError:
            yield f"attestation {sequence}: {path} cannot be read"
            continue
        if hashlib.sha256(content).hexdigest() != sha256:
            yield f"attestation {sequence}: {path} is not what was issued"


def _papers(session: Session) -> Iterator[str]:
    """The numbers of a provider's receipts, and of its pro-forma invoices, have no gaps."""
    given = dict(session.execute(select(Counter.name, Counter.value)).all())
    rows = session.execute(
        select(Paper.kind, Paper.provider_id, func.count(), func.max(Paper.sequence)).group_by(
            Paper.kind, Paper.provider_id
        )
    )
    for kind, provider_id, count, highest in rows:
        name = f"{kind}:{provider_id}"
        if not count == highest == given.get(name):
            yield f"{name}: {count} rows, highest number {highest}, counter {given.get(name)}"


def _history(session: Session) -> Iterator[str]:
    """An order's status is what its last event says."""
    last = (
        select(Event.subject_id, func.max(Event.id).label("id"))
        .where(Event.subject == "order", Event.new.in_([each.value for each in OrderStatus]))
        .group_by(Event.subject_id)
        .subquery()
    )
    for code, status, new in session.execute(
        select(Order.code, Order.status, Event.new)
        .outerjoin(last, last.c.subject_id == Order.id)
        .outerjoin(Event, Event.id == last.c.id)
    ):
        if status != new:
            yield f"order {code}: {status}, its last event says {new}"


def _providers(session: Session) -> Iterator[str]:
    """What was approved became a provider; only such people are its staff."""
    for number in session.scalars(
        select(Application.id).where(
            (Application.status == ApplicationStatus.APPROVED)
            != Application.provider_id.is_not(None)
        )
    ):
        yield f"application {number}: approved without a provider, or the other way round"
    for number in session.scalars(
        select(User.id).where(User.staff_role.is_not(None), User.provider_id.is_(None))
    ):
        yield f"user {number}: staff of no provider"


def _figures(session: Session) -> Iterator[str]:
    """What reports show is what the orders say, as far as it has been counted."""
    unread = noticing.unread_days(session)
    if unread is not None:
        yield from tallying.check(session, unread=unread)
