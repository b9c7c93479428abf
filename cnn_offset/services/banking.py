"""What is decided of entries at a provider's bank, one by one and by people who answer for it.

Recording an entry makes a fact of it; the verdict on all facts then decides, as ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cnn_offset.domain.money import Money, exponent
from cnn_offset.domain.payment import Fact, Verdict
from cnn_offset.domain.statement import entry_key
from cnn_offset.domain.status import BankEntryStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import (
    BankEntry,
    Order,
    Payment,
    Provider,
)
from cnn_offset.services import NotFoundError, ServiceError, matching, settling
from cnn_offset.services.bank_entries import money_staff
from cnn_offset.services.mailing import queue_message
from cnn_offset.services.moves import lock_order, move, note
from cnn_offset.services.settling import Outcome

S = BankEntryStatus
OPEN: Final = (S.WAITING, S.SECONDED)
DECIDED: Final = N_("Somebody has decided this already.")
MOST_PARTS: Final = 20


class KnownEntryError(ServiceError):
    """The bank's reference has come before; ``entry_id`` says as which entry."""

    def __init__(self, entry_id: int) -> None:
        super().__init__(
            N_(
                "An entry with this reference is known already. The same money counts once; "
                "this is what is known of it."
            )
        )
        self.entry_id = entry_id


class ChangedError(ServiceError):
    """What would follow is no longer what the person was shown."""

    def __init__(self) -> None:
        super().__init__(
            N_("Something has changed meanwhile. Please look at what would follow now.")
        )


@dataclass(frozen=True, slots=True)
class Prospect:
    """What would follow if an entry were recorded now."""

    payment: Payment
    outcome: Outcome
    verdict: Verdict
    needs_second: bool
    """Whether one person is not enough."""


def prospect(
    session: Session, entry: BankEntry, *, second_from: int, now: datetime
) -> Prospect | None:
    """Tell what recording ``entry`` would lead to; None while it names no order."""
    if entry.order_id is None:
        return None
    payment = matching.payment_of(session, entry.provider_id, entry.order_id)
    if payment is None:
        return None
    return _foresee(session, payment, _fact(entry, payment), second_from, now)


def prospect_of(
    session: Session, order: Order, amount: Money, *, second_from: int, now: datetime
) -> Prospect | None:
    """Tell the same of money that nobody has typed in yet."""
    payment = matching.payment_of(session, order.provider_id, order.id)
    if payment is None:
        return None
    fact = matching.fact_for(payment, amount, "\0", order.placed_at.date())
    return _foresee(session, payment, fact, second_from, now)


def _foresee(
    session: Session, payment: Payment, fact: Fact, second_from: int, now: datetime
) -> Prospect:
    is_over = settling.is_too_late(session, payment.order, now)
    outcome, verdict = settling.foresee(payment, fact, is_over=is_over)
    large = 0 < second_from * 10 ** exponent(payment.currency) <= payment.amount_minor
    pays = outcome in (Outcome.PAYS, Outcome.PAYS_LATE)
    return Prospect(payment, outcome, verdict, large and pays)


def _fact(entry: BankEntry, payment: Payment) -> Fact:
    return matching.fact_for(payment, entry.amount, entry.bank_ref, entry.received_on)


def type_entry(
    session: Session,
    order: Order,
    *,
    amount: Money,
    bank_ref: str,
    received_on: date,
    actor: str,
    second_from: int,
    now: datetime,
    expects: Outcome | None = None,
) -> BankEntry:
    """Record what a person read off a bank statement, as an entry typed by hand.

    Args:
        session: a writing transaction.
        order: to be paid by bank transfer.
        amount: what arrived, in the currency it arrived in.
        bank_ref: the bank's own reference, so that the same money counts once.
        received_on: the value date.
        actor: who says so.
        second_from: from which total a second person must agree; 0 for never.
        now: the moment.
        expects: what the person was shown would follow.

    Raises:
        KnownEntryError: the reference has come before.
        ChangedError: something else would follow now.
        ServiceError: the amount is not positive or the date lies ahead.
        NotFoundError: the order has no bank transfer to record money for.

    """
    if amount.minor <= 0:
        raise ServiceError(N_("Please enter the amount that arrived."))
    if received_on > now.date() + timedelta(days=1):
        raise ServiceError(N_("The value date lies in the future."))
    lock_entries(session, order.provider_id)
    order = lock_order(session, order.id)
    payment = matching.payment_of(session, order.provider_id, order.id)
    if payment is None:
        raise NotFoundError(order.code)
    key = entry_key(bank_ref)
    known = session.scalar(
        select(BankEntry.id).where(BankEntry.provider_id == order.provider_id, BankEntry.key == key)
    )
    if known is not None:
        raise KnownEntryError(known)
    entry = BankEntry(
        provider_id=order.provider_id,
        key=key,
        finding=matching.finding_for(payment, amount),
        order_id=order.id,
        amount_minor=amount.minor,
        currency=amount.currency,
        received_on=received_on,
        bank_ref=bank_ref,
        created_at=now,
    )
    session.add(entry)
    session.flush()
    note(session, entry, old="", new=str(S.WAITING), actor=actor, why="typed by hand", now=now)
    record(session, entry, actor=actor, second_from=second_from, expects=expects, now=now)
    return entry


def lock_entries(session: Session, provider_id: int) -> None:
    """Let nobody else add or decide entries of a provider until the commit.

    Always before the lock of an order, since entries refer to orders. Orders may still come.
    """
    session.flush()
    session.get_one(
        Provider, provider_id, with_for_update={"key_share": True}, populate_existing=True
    )


def _decide_on(session: Session, entry: BankEntry) -> None:
    """Read an entry as it is now, and let nobody else decide on it until the commit."""
    lock_entries(session, entry.provider_id)
    session.refresh(entry)


def record(
    session: Session,
    entry: BankEntry,
    *,
    actor: str,
    second_from: int,
    now: datetime,
    expects: Outcome | None = None,
    expects_order: int | None = None,
) -> BankEntryStatus:
    """Say that an entry is for the order it names, or agree with whoever said so first.

    Args:
        session: a writing transaction.
        entry: waiting, or seconded and proposed by somebody else.
        actor: who decides.
        second_from: from which total a second person must agree; 0 for never.
        now: the moment.
        expects: what the person was shown would follow.
        expects_order: for which order, by its id.

    Returns where the entry stands then: recorded, or waiting for a second person.

    Raises:
        ChangedError: something else would follow now.
        ServiceError: it names no order, was decided already, or needs another person.

    """
    _decide_on(session, entry)
    if entry.status not in OPEN:
        raise ServiceError(DECIDED)
    if entry.order_id is None:
        raise ServiceError(N_("Please choose the order first that this money is for."))
    if expects_order not in (None, entry.order_id):
        raise ChangedError
    lock_order(session, entry.order_id)
    follows = prospect(session, entry, second_from=second_from, now=now)
    if follows is None:
        raise ServiceError(N_("This order waits for no bank transfer. Please choose another."))
    if expects is not None and follows.outcome is not expects:
        raise ChangedError
    if entry.status is S.SECONDED and entry.proposed_by == actor:
        raise ServiceError(N_("You proposed this yourself; another member of staff must agree."))
    if entry.status is S.WAITING and follows.needs_second:
        entry.proposed_by = actor
        if not move(session, entry, S.SECONDED, actor=actor, why="proposed", now=now):
            raise ServiceError(DECIDED)
        for each in money_staff(session, entry.provider_id):
            if each.email != actor:
                queue_message(
                    session,
                    "entry_to_second",
                    recipient=each.email,
                    locale=each.locale,
                    now=now,
                    dedup=f"entry_to_second:{entry.id}:{each.id}:{now:%Y%m%d%H%M%S}",
                    params={"entry_id": entry.id},
                )
        return S.SECONDED
    if not move(session, entry, S.RECORDED, actor=actor, why=str(follows.outcome), now=now):
        raise ServiceError(DECIDED)
    entry.proposed_by = entry.proposed_by or actor
    entry.decided_by, entry.decided_at = actor, now
    payment = follows.payment
    settling.add_facts(session, payment, [_fact(entry, payment)], actor=actor[:120], now=now)
    settling.conclude(session, payment, now=now)
    _look_anew(session, payment)
    return S.RECORDED


def _look_anew(session: Session, payment: Payment) -> None:
    """See what other entries for the order are now that one has been recorded."""
    session.flush()
    for other in session.scalars(
        select(BankEntry).where(
            BankEntry.order_id == payment.order_id, BankEntry.status == S.WAITING
        )
    ):
        other.finding = matching.finding_for(payment, other.amount)


def send_back(session: Session, entry: BankEntry, *, actor: str, now: datetime) -> None:
    """Not agree with a proposal: the entry waits again. The proposer may take it back too.

    Raises:
        ServiceError: it no longer waits for a second person.

    """
    _decide_on(session, entry)
    if entry.status is not S.SECONDED:
        raise ServiceError(DECIDED)
    if move(session, entry, S.WAITING, actor=actor, why="sent back", now=now):
        entry.proposed_by = ""


def choose_order(
    session: Session, entry: BankEntry, code: str, *, actor: str, now: datetime
) -> None:
    """Say which order an entry is about; nothing is recorded by that.

    Raises:
        ServiceError: the provider has no such order by bank transfer, or it is decided.

    """
    _decide_on(session, entry)
    if entry.status is not S.WAITING:
        raise ServiceError(DECIDED)
    payment = _payment(session, entry, code)
    if entry.order_id == payment.order_id:
        return
    entry.order_id = payment.order_id
    entry.finding = matching.finding_for(payment, entry.amount)
    session.flush()
    why = f"order {payment.order.code} chosen"
    note(session, entry, old="", new="order chosen", actor=actor, why=why, now=now)


def split(
    session: Session,
    entry: BankEntry,
    parts: Sequence[tuple[str, Money]],
    *,
    actor: str,
    now: datetime,
) -> Sequence[BankEntry]:
    """Divide one payment over several orders; each part then waits as an entry of its own.

    Args:
        session: a writing transaction.
        entry: money that came and waits.
        parts: code of an order and its share, at least two.
        actor: who decides.
        now: the moment.

    Raises:
        ServiceError: the parts do not make up the whole, an order is named twice or is
            none of the provider's, or the entry is decided.

    """
    _decide_on(session, entry)
    if entry.status is not S.WAITING or entry.amount_minor < 0:
        raise ServiceError(DECIDED)
    if not 2 <= len(parts) <= MOST_PARTS:
        raise ServiceError(N_("Please name at least two orders."))
    total = Money(0, entry.currency)
    for _, share in parts:
        if share.minor <= 0:
            raise ServiceError(N_("Each order needs a share of the money."))
        total += share
    if total != entry.amount:
        raise ServiceError(
            N_("The shares make %(total)s, but %(amount)s came."), total=total, amount=entry.amount
        )
    payments = [_payment(session, entry, code) for code, _ in parts]
    if len({each.order_id for each in payments}) < len(payments):
        raise ServiceError(N_("The same order is named twice."))
    if not move(session, entry, S.SPLIT, actor=actor, why=f"{len(parts)} orders", now=now):
        raise ServiceError(DECIDED)
    entry.order_id = None
    entry.decided_by, entry.decided_at = actor, now
    made = []
    for n, (payment, (_, share)) in enumerate(zip(payments, parts, strict=True), 1):
        part = BankEntry(
            provider_id=entry.provider_id,
            statement_id=None,
            parent_id=entry.id,
            key=f"{entry.key[:140]}:{n}",
            finding=matching.finding_for(payment, share),
            order_id=payment.order_id,
            amount_minor=share.minor,
            currency=share.currency,
            received_on=entry.received_on,
            bank_ref=f"{entry.bank_ref[:120]}:{n}",
            payer=entry.payer,
            text=entry.text,
            created_at=now,
        )
        session.add(part)
        made.append(part)
    try:
        with session.begin_nested():
            session.flush()
    except IntegrityError as error:
        raise ServiceError(DECIDED) from error
    for part in made:
        note(session, part, old="", new=str(S.WAITING), actor=actor, why="a part", now=now)
    return made


def _payment(session: Session, entry: BankEntry, code: str) -> Payment:
    payment = matching.payment_for_code(session, entry.provider_id, code)
    if payment is None:
        raise ServiceError(
            N_("You have no order %(code)s by bank transfer."), code=" ".join(code.split())[:20]
        )
    return payment


def dismiss(session: Session, entry: BankEntry, reason: str, *, actor: str, now: datetime) -> None:
    """Say that an entry has nothing to do with any order, and why; it can be undone.

    Raises:
        ServiceError: no reason is given, or it is decided already.

    """
    if not reason:
        raise ServiceError(N_("Please say why, for whoever reads this later."))
    _decide_on(session, entry)
    if entry.status not in OPEN or not move(
        session, entry, S.DISMISSED, actor=actor, why=reason, now=now
    ):
        raise ServiceError(DECIDED)
    entry.decided_by, entry.decided_at = actor, now


def undo_dismissal(session: Session, entry: BankEntry, *, actor: str, now: datetime) -> None:
    """Have an entry wait again that was dismissed. Safe to repeat."""
    _decide_on(session, entry)
    if entry.status is not S.DISMISSED:
        return
    if move(session, entry, S.WAITING, actor=actor, why="looked at again", now=now):
        entry.decided_by, entry.decided_at, entry.proposed_by = "", None, ""
        if entry.order_id is not None:
            payment = matching.payment_of(session, entry.provider_id, entry.order_id)
            if payment is not None:
                entry.finding = matching.finding_for(payment, entry.amount)
