"""What processors and people report about a payment, and what follows from it.

A payment's history is a set of *facts*. Its status and the verdict on it are pure
functions of that set, so the order and the repetition of news cannot matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from cnn_offset.domain.money import Money
from cnn_offset.domain.status import PaymentStatus


class FactKind(StrEnum):
    """What a fact is about; all amounts of refunds and disputes are positive."""

    PAYMENT = "payment"
    REFUND = "refund"
    DISPUTE = "dispute"


class FactStatus(StrEnum):
    """How far the thing a fact is about has got.

    ``abandoned``: the processor promises that this can no longer be paid. ``won`` and
    ``lost`` are said of disputes, from the provider's side. ``unknown``: the processor
    used a word we do not know; a person must look.
    """

    OPEN = "open"
    PENDING = "pending"
    ABANDONED = "abandoned"
    FAILED = "failed"
    DONE = "done"
    WON = "won"
    LOST = "lost"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing a processor or a person said.

    ``ref`` names the object at the processor (a capture, a refund, a bank entry).
    ``payee`` is the account the money went to, in the form of the plug-in's
    ``payee_account``; None where the source cannot know it. ``fee`` is what the processor
    kept of the amount, for reports; ``platform`` is what went to the platform with a payment,
    or back to the provider with a refund. No verdict looks at either.
    """

    kind: FactKind
    ref: str
    status: FactStatus
    amount: Money | None
    payee: str | None
    at: datetime
    reason: str = ""
    fee: Money | None = None
    platform: Money | None = None


class Verdict(StrEnum):
    """What came, compared with what was due. Only ``exact`` pays an order."""

    NOTHING_YET = "nothing_yet"
    FAILED = "failed"
    EXACT = "exact"
    SHORT = "short"
    OVER = "over"
    WRONG_CURRENCY = "wrong_currency"
    WRONG_PAYEE = "wrong_payee"
    UNCLEAR = "unclear"


# Of one object's statuses the one heard that is furthest along counts, whenever heard.
_RANK: Final[Mapping[FactStatus, int]] = {
    FactStatus.OPEN: 0,
    FactStatus.PENDING: 1,
    FactStatus.UNKNOWN: 2,
    FactStatus.ABANDONED: 3,
    FactStatus.FAILED: 4,
    FactStatus.DONE: 5,
    FactStatus.WON: 5,
    FactStatus.LOST: 6,
}


def latest(facts: Iterable[Fact]) -> list[Fact]:
    """Reduce to one fact an object: the one furthest along, then largest, then newest."""
    best: dict[tuple[FactKind, str], Fact] = {}
    for fact in facts:
        old = best.get((fact.kind, fact.ref))
        if old is None or _weight(fact) > _weight(old):
            best[fact.kind, fact.ref] = fact
    return list(best.values())


def _weight(fact: Fact) -> tuple[int, int, str, str, str, str]:
    money = fact.amount
    return (
        _RANK[fact.status],
        money.minor if money else -1,
        money.currency if money else "",
        fact.at.isoformat(),
        fact.payee or "",
        fact.reason,
    )


def derive(facts: Iterable[Fact]) -> PaymentStatus | None:
    """Conclude a payment's status; None while nothing was heard that decides it."""
    now = latest(facts)
    payments = [each for each in now if each.kind is FactKind.PAYMENT]
    paid = [each for each in payments if each.status is FactStatus.DONE]
    disputes = [each for each in now if each.kind is FactKind.DISPUTE]
    if any(_RANK[each.status] < _RANK[FactStatus.ABANDONED] for each in disputes):
        return PaymentStatus.DISPUTED
    if any(each.status is FactStatus.UNKNOWN for each in now):
        return PaymentStatus.IN_REVIEW
    if paid:
        if any(each.status is FactStatus.LOST for each in disputes):
            return PaymentStatus.REFUNDED
        back = _sum(each for each in now if _is_refund(each))
        return (
            PaymentStatus.REFUNDED
            if back and _covers(back, _sum(paid))
            else PaymentStatus.SUCCEEDED
        )
    if disputes or any(_is_refund(each) for each in now):
        # Money went back that we never saw come.
        return PaymentStatus.IN_REVIEW
    heard = {each.status for each in payments}
    if FactStatus.PENDING in heard:
        return PaymentStatus.PROCESSING
    if FactStatus.OPEN in heard:
        return None
    if FactStatus.FAILED in heard:
        return PaymentStatus.FAILED
    if FactStatus.ABANDONED in heard:
        return PaymentStatus.ABANDONED
    return None


def judge(*, due: Money, payee: str, facts: Iterable[Fact]) -> Verdict:
    """Compare what came with what was due.

    Only ``EXACT`` pays an order; all others but ``NOTHING_YET`` and ``FAILED`` are for
    people. Parts of a bank transfer are judged by their sum.
    """
    known = latest(facts)
    status = derive(known)
    if status in {PaymentStatus.FAILED, PaymentStatus.ABANDONED}:
        return Verdict.FAILED
    if status in {PaymentStatus.IN_REVIEW, PaymentStatus.DISPUTED, PaymentStatus.REFUNDED}:
        return Verdict.UNCLEAR
    if status is not PaymentStatus.SUCCEEDED:
        return Verdict.NOTHING_YET
    paid = [
        each for each in known if each.kind is FactKind.PAYMENT and each.status is FactStatus.DONE
    ]
    if any(each.payee != payee for each in paid):
        return Verdict.WRONG_PAYEE
    received, back = _sum(paid), _sum(each for each in known if _is_refund(each))
    if set(received) | set(back) != {due.currency}:
        return Verdict.WRONG_CURRENCY
    net = received[due.currency] - back.get(due.currency, 0)
    if net == due.minor:
        return Verdict.EXACT
    return Verdict.SHORT if net < due.minor else Verdict.OVER


def left(facts: Iterable[Fact]) -> Money | None:
    """Return what came and can still be given back; None if nothing, or that is not certain.

    What is on its way back has gone. While somebody disputes it, or has won that, it is
    the processor that gives back; what came in several currencies is for people.
    """
    now = latest(facts)
    if any(
        each.kind is FactKind.DISPUTE
        and (each.status is FactStatus.LOST or _RANK[each.status] < _RANK[FactStatus.ABANDONED])
        for each in now
    ):
        return None
    came = _sum(
        each for each in now if each.kind is FactKind.PAYMENT and each.status is FactStatus.DONE
    )
    if len(came) != 1:
        return None
    ((currency, minor),) = came.items()
    gone = _sum(
        each
        for each in now
        if each.kind is FactKind.REFUND
        and each.status not in (FactStatus.FAILED, FactStatus.ABANDONED)
    )
    rest = minor - gone.get(currency, 0)
    return Money(rest, currency) if rest > 0 else None


def is_returning(facts: Iterable[Fact]) -> bool:
    """Whether a refund has begun that may yet fail."""
    return any(
        each.kind is FactKind.REFUND and each.status in (FactStatus.OPEN, FactStatus.PENDING)
        for each in latest(facts)
    )


def all_back(facts: Iterable[Fact]) -> bool:
    """Whether money had come and nothing of it is left: given back, or lost in a dispute."""
    return derive(facts) is PaymentStatus.REFUNDED


def _is_refund(fact: Fact) -> bool:
    return fact.kind is FactKind.REFUND and fact.status is FactStatus.DONE


def _sum(facts: Iterable[Fact]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for fact in facts:
        if fact.amount is not None:
            code = fact.amount.currency
            sums[code] = sums.get(code, 0) + fact.amount.minor
    return sums


def _covers(back: Mapping[str, int], received: Mapping[str, int]) -> bool:
    return all(back.get(code, 0) >= minor for code, minor in received.items())
