"""The statuses of orders, payments and cancellations, and the moves between them.

To *cancel* is said of units only. An order that stops is *withdrawn* or has *lapsed*; a
payment that stops is *abandoned*.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeVar


class CheckoutStatus(StrEnum):
    """Where a basket on its way to becoming orders stands."""

    OPEN = "open"
    PLACED = "placed"
    LAPSED = "lapsed"


class OrderStatus(StrEnum):
    """Where an order stands, as the purchaser is told."""

    PLACED = "placed"
    PAID = "paid"
    FULFILLED = "fulfilled"
    LAPSED = "lapsed"
    WITHDRAWN = "withdrawn"
    IN_REVIEW = "in_review"
    REFUND_DUE = "refund_due"
    REFUNDED = "refunded"


class PaymentStatus(StrEnum):
    """Where one attempt to pay stands; an order may have several attempts."""

    CREATED = "created"
    AWAITING_PAYER = "awaiting_payer"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABANDONED = "abandoned"
    IN_REVIEW = "in_review"
    REFUNDED = "refunded"
    DISPUTED = "disputed"


class CancellationStatus(StrEnum):
    """Where the cancellation of units of one block at its registry stands.

    ``mismatched``: the registry acted, but not as ordered (fewer, other or overlapping
    serial numbers). A person must look; nothing is sent again.
    ``given_up``: it was rejected, and its line replaced or given back.
    """

    QUEUED = "queued"
    SUBMITTED = "submitted"
    UNKNOWN = "unknown"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    MISMATCHED = "mismatched"
    GIVEN_UP = "given_up"


class ReplacementStatus(StrEnum):
    """A question to a purchaser: may other units take the place of refused ones.

    ``withdrawn``: operators have taken the question back.
    """

    ASKED = "asked"
    AGREED = "agreed"
    DECLINED = "declined"
    LAPSED = "lapsed"
    WITHDRAWN = "withdrawn"


class AttestationStatus(StrEnum):
    """A numbered attestation is queued with the fulfilled order, then issued as a PDF."""

    QUEUED = "queued"
    ISSUED = "issued"


class MessageStatus(StrEnum):
    """A mail in the outbox."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"


class DeliveryStatus(StrEnum):
    """A webhook delivery: stored at once, acted on later."""

    STORED = "stored"
    HANDLED = "handled"
    UNMATCHED = "unmatched"


class OfferStatus(StrEnum):
    """An offer takes orders until it is closed; it has ended when no order runs any more."""

    OPEN = "open"
    CLOSED = "closed"


class ApplicationStatus(StrEnum):
    """Where somebody's application to become a provider stands.

    ``questioned``: it waits for the applicant's answer.
    """

    SUBMITTED = "submitted"
    QUESTIONED = "questioned"
    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class ListingStatus(StrEnum):
    """A version of a project's texts and pictures. The public sees the last approved one.

    ``replaced``: approved once, another version has been since.
    """

    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    REFUSED = "refused"
    REPLACED = "replaced"


class PageStatus(StrEnum):
    """Where a version of a page stands that operators write."""

    DRAFT = "draft"
    PUBLISHED = "published"
    REPLACED = "replaced"
    DISCARDED = "discarded"


class PayoutStatus(StrEnum):
    """Whether a provider can be paid by a method. No row at all: it was never begun.

    ``started``: waits for the provider, the processor or (bank transfer) an operator.
    ``limited``: there is an account, but it cannot take money now.
    ``revoked``: the provider or the processor has ended it.
    """

    STARTED = "started"
    LIMITED = "limited"
    READY = "ready"
    REVOKED = "revoked"


class BankEntryStatus(StrEnum):
    """Money seen at a provider's bank, and what has been decided about it.

    ``waiting``: a person of the provider must decide. ``seconded`` is what a large amount
    becomes when one person has said that it pays an order: another must agree.
    ``recorded``: a fact of a payment. ``split``: its parts are entries of their own.
    ``dismissed``: a person said that it has nothing to do with any order.
    """

    WAITING = "waiting"
    SECONDED = "seconded"
    RECORDED = "recorded"
    SPLIT = "split"
    DISMISSED = "dismissed"


class ProposalStatus(StrEnum):
    """A step that two operators take: one proposes it, another approves or refuses it."""

    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class DifferenceStatus(StrEnum):
    """How it stands with a difference between our books and a registry's."""

    OPEN = "open"
    SETTLED = "settled"
    """A person has said what it was."""
    GONE = "gone"
    """It was no longer there when looked at again."""


class SurveyStatus(StrEnum):
    """Where a questionnaire stands."""

    DRAFT = "draft"
    OPEN = "open"
    CLOSED = "closed"


class CaseStatus(StrEnum):
    """Where a case stands. Whether we owe an answer is another matter (``answer_by``).

    ``escalated``: a claim under the terms, in which both sides are heard.
    """

    OPEN = "open"
    WAITING = "waiting"
    ESCALATED = "escalated"
    CLOSED = "closed"


class CorrectionStatus(StrEnum):
    """What a purchaser asked to have corrected on an attestation.

    ``corrected``: another attestation has been numbered in place of the old one.
    """

    ASKED = "asked"
    CORRECTED = "corrected"
    REFUSED = "refused"


class RefundStatus(StrEnum):
    """Money that a processor is to give back. ``done``: it took the order to do so."""

    QUEUED = "queued"
    DONE = "done"
    REFUSED = "refused"


class FeeStatementStatus(StrEnum):
    """A monthly statement of fees: open until an operator has seen it settled."""

    OPEN = "open"
    SETTLED = "settled"


class CutoverStatus(StrEnum):
    """How far the move from one registry to its successor has come: the last step done.

    ``given_up``: ended before anything was moved.
    """

    FROZEN = "frozen"
    DRAINED = "drained"
    MATCHED = "matched"
    MOVED = "moved"
    VERIFIED = "verified"
    THAWED = "thawed"
    GIVEN_UP = "given_up"


class IllegalMoveError(Exception):
    """A move that the tables below do not allow."""


S = TypeVar("S", bound=StrEnum)
Moves = Mapping[S, frozenset[S]]
O, P, C = OrderStatus, PaymentStatus, CancellationStatus  # noqa: E741

CHECKOUT_MOVES: Final[Moves[CheckoutStatus]] = {
    CheckoutStatus.OPEN: frozenset({CheckoutStatus.PLACED, CheckoutStatus.LAPSED}),
    CheckoutStatus.PLACED: frozenset(),
    CheckoutStatus.LAPSED: frozenset(),
}
ORDER_MOVES: Final[Moves[OrderStatus]] = {
    # Paid when its registry cancels nothing any more: the money goes back at once.
    O.PLACED: frozenset({O.PAID, O.LAPSED, O.WITHDRAWN, O.IN_REVIEW, O.REFUND_DUE}),
    O.PAID: frozenset({O.FULFILLED, O.IN_REVIEW, O.REFUND_DUE}),
    O.FULFILLED: frozenset(),
    # Money can still arrive: a bank transfer is slow, and its payer does not ask us.
    O.LAPSED: frozenset({O.PAID, O.IN_REVIEW, O.REFUND_DUE}),
    O.WITHDRAWN: frozenset({O.PAID, O.IN_REVIEW, O.REFUND_DUE}),
    O.IN_REVIEW: frozenset({O.PAID, O.FULFILLED, O.WITHDRAWN, O.REFUND_DUE}),
    O.REFUND_DUE: frozenset({O.REFUNDED}),
    O.REFUNDED: frozenset(),
}
# What facts can still bring about (domain/payment.py, derive): news may come in any
# order, so every status can be reached from every other that has heard less.
_NEWS = frozenset({P.PROCESSING, P.SUCCEEDED, P.FAILED, P.IN_REVIEW, P.REFUNDED, P.DISPUTED})
PAYMENT_MOVES: Final[Moves[PaymentStatus]] = {
    P.CREATED: _NEWS | {P.AWAITING_PAYER, P.ABANDONED},
    P.AWAITING_PAYER: _NEWS | {P.ABANDONED},
    # Money that was on its way can be called off, and what was strange turn out so.
    P.PROCESSING: (_NEWS - {P.PROCESSING}) | {P.ABANDONED},
    P.SUCCEEDED: frozenset({P.IN_REVIEW, P.REFUNDED, P.DISPUTED}),
    # A processor may yet report success for what we had given up.
    P.FAILED: _NEWS - {P.FAILED},
    P.ABANDONED: _NEWS,
    P.IN_REVIEW: (_NEWS - {P.IN_REVIEW}) | {P.ABANDONED},
    # Paid once more after it was given back.
    P.REFUNDED: frozenset({P.SUCCEEDED, P.IN_REVIEW, P.DISPUTED}),
    P.DISPUTED: frozenset({P.SUCCEEDED, P.IN_REVIEW, P.REFUNDED}),
}
LIVE: Final = (P.CREATED, P.AWAITING_PAYER, P.PROCESSING)
"""A payment that may still bring money by itself."""
CANCELLATION_MOVES: Final[Moves[CancellationStatus]] = {
    # Rejected without being sent: the registry cancels nothing any more.
    C.QUEUED: frozenset({C.SUBMITTED, C.CONFIRMED, C.MISMATCHED, C.REJECTED}),
    C.SUBMITTED: frozenset({C.CONFIRMED, C.REJECTED, C.UNKNOWN, C.MISMATCHED}),
    # Never back to queued: sending it again could cancel twice.
    C.UNKNOWN: frozenset({C.CONFIRMED, C.REJECTED, C.SUBMITTED, C.MISMATCHED}),
    C.CONFIRMED: frozenset(),
    C.REJECTED: frozenset({C.QUEUED, C.GIVEN_UP}),
    C.MISMATCHED: frozenset({C.CONFIRMED, C.REJECTED}),
    C.GIVEN_UP: frozenset(),
}
REPLACEMENT_MOVES: Final[Moves[ReplacementStatus]] = {
    ReplacementStatus.ASKED: frozenset(set(ReplacementStatus) - {ReplacementStatus.ASKED}),
    **{
        status: frozenset() for status in ReplacementStatus if status is not ReplacementStatus.ASKED
    },
}
ATTESTATION_MOVES: Final[Moves[AttestationStatus]] = {
    AttestationStatus.QUEUED: frozenset({AttestationStatus.ISSUED}),
    AttestationStatus.ISSUED: frozenset(),
}
MESSAGE_MOVES: Final[Moves[MessageStatus]] = {
    MessageStatus.QUEUED: frozenset({MessageStatus.SENT, MessageStatus.FAILED}),
    # What was handed over can still come back undelivered.
    MessageStatus.SENT: frozenset({MessageStatus.QUEUED, MessageStatus.FAILED}),
    MessageStatus.FAILED: frozenset({MessageStatus.QUEUED, MessageStatus.SENT}),
}
DELIVERY_MOVES: Final[Moves[DeliveryStatus]] = {
    DeliveryStatus.STORED: frozenset({DeliveryStatus.HANDLED, DeliveryStatus.UNMATCHED}),
    DeliveryStatus.HANDLED: frozenset(),
    DeliveryStatus.UNMATCHED: frozenset({DeliveryStatus.HANDLED}),
}

OFFER_MOVES: Final[Moves[OfferStatus]] = {
    OfferStatus.OPEN: frozenset({OfferStatus.CLOSED}),
    # A new offer may take its place; the closed one keeps its running orders.
    OfferStatus.CLOSED: frozenset(),
}
APPLICATION_MOVES: Final[Moves[ApplicationStatus]] = {
    ApplicationStatus.SUBMITTED: frozenset(
        {
            ApplicationStatus.QUESTIONED,
            ApplicationStatus.APPROVED,
            ApplicationStatus.REFUSED,
            ApplicationStatus.WITHDRAWN,
        }
    ),
    ApplicationStatus.QUESTIONED: frozenset(
        {
            ApplicationStatus.SUBMITTED,
            ApplicationStatus.APPROVED,
            ApplicationStatus.REFUSED,
            ApplicationStatus.WITHDRAWN,
        }
    ),
    ApplicationStatus.APPROVED: frozenset(),
    # Whoever was refused applies again, with a new application.
    ApplicationStatus.REFUSED: frozenset(),
    ApplicationStatus.WITHDRAWN: frozenset(),
}
LISTING_MOVES: Final[Moves[ListingStatus]] = {
    ListingStatus.DRAFT: frozenset({ListingStatus.SUBMITTED}),
    ListingStatus.SUBMITTED: frozenset(
        {ListingStatus.DRAFT, ListingStatus.APPROVED, ListingStatus.REFUSED}
    ),
    ListingStatus.APPROVED: frozenset({ListingStatus.REPLACED}),
    ListingStatus.REFUSED: frozenset({ListingStatus.DRAFT}),
    ListingStatus.REPLACED: frozenset(),
}
PAGE_MOVES: Final[Moves[PageStatus]] = {
    PageStatus.DRAFT: frozenset({PageStatus.PUBLISHED, PageStatus.DISCARDED}),
    PageStatus.PUBLISHED: frozenset({PageStatus.REPLACED}),
    PageStatus.REPLACED: frozenset(),
    PageStatus.DISCARDED: frozenset(),
}
PAYOUT_MOVES: Final[Moves[PayoutStatus]] = {
    status: frozenset(PayoutStatus) - {status} for status in PayoutStatus
}
"""The processor tells how things stand; any of them may follow any other."""
BANK_ENTRY_MOVES: Final[Moves[BankEntryStatus]] = {
    BankEntryStatus.WAITING: frozenset(
        {
            BankEntryStatus.SECONDED,
            BankEntryStatus.RECORDED,
            BankEntryStatus.SPLIT,
            BankEntryStatus.DISMISSED,
        }
    ),
    BankEntryStatus.SECONDED: frozenset(
        {BankEntryStatus.WAITING, BankEntryStatus.RECORDED, BankEntryStatus.DISMISSED}
    ),
    BankEntryStatus.RECORDED: frozenset(),
    BankEntryStatus.SPLIT: frozenset(),
    # Said in error: it can be looked at again.
    BankEntryStatus.DISMISSED: frozenset({BankEntryStatus.WAITING}),
}
PROPOSAL_MOVES: Final[Moves[ProposalStatus]] = {
    ProposalStatus.WAITING: frozenset(
        {ProposalStatus.APPROVED, ProposalStatus.REFUSED, ProposalStatus.WITHDRAWN}
    ),
    ProposalStatus.APPROVED: frozenset(),
    ProposalStatus.REFUSED: frozenset(),
    ProposalStatus.WITHDRAWN: frozenset(),
}

DIFFERENCE_MOVES: Final[Moves[DifferenceStatus]] = {
    DifferenceStatus.OPEN: frozenset({DifferenceStatus.SETTLED, DifferenceStatus.GONE}),
    # What differs again, or otherwise, is another difference.
    DifferenceStatus.SETTLED: frozenset(),
    DifferenceStatus.GONE: frozenset(),
}
SURVEY_MOVES: Final[Moves[SurveyStatus]] = {
    SurveyStatus.DRAFT: frozenset({SurveyStatus.OPEN}),
    SurveyStatus.OPEN: frozenset({SurveyStatus.CLOSED}),
    SurveyStatus.CLOSED: frozenset(),
}
CASE_MOVES: Final[Moves[CaseStatus]] = {
    CaseStatus.OPEN: frozenset({CaseStatus.WAITING, CaseStatus.ESCALATED, CaseStatus.CLOSED}),
    CaseStatus.WAITING: frozenset({CaseStatus.OPEN, CaseStatus.ESCALATED, CaseStatus.CLOSED}),
    CaseStatus.ESCALATED: frozenset({CaseStatus.CLOSED}),
    # Whoever writes again opens it again; a claim stays one.
    CaseStatus.CLOSED: frozenset({CaseStatus.OPEN, CaseStatus.ESCALATED}),
}

CORRECTION_MOVES: Final[Moves[CorrectionStatus]] = {
    CorrectionStatus.ASKED: frozenset({CorrectionStatus.CORRECTED, CorrectionStatus.REFUSED}),
    CorrectionStatus.CORRECTED: frozenset(),
    # Whoever was refused asks again, with another wish.
    CorrectionStatus.REFUSED: frozenset(),
}
REFUND_MOVES: Final[Moves[RefundStatus]] = {
    RefundStatus.QUEUED: frozenset({RefundStatus.DONE, RefundStatus.REFUSED}),
    RefundStatus.DONE: frozenset(),
    # Tried again by another refund, under another key.
    RefundStatus.REFUSED: frozenset(),
}

FEE_STATEMENT_MOVES: Final[Moves[FeeStatementStatus]] = {
    FeeStatementStatus.OPEN: frozenset({FeeStatementStatus.SETTLED}),
    # Said in error.
    FeeStatementStatus.SETTLED: frozenset({FeeStatementStatus.OPEN}),
}


CUTOVER_MOVES: Final[Moves[CutoverStatus]] = {
    CutoverStatus.FROZEN: frozenset({CutoverStatus.DRAINED, CutoverStatus.GIVEN_UP}),
    CutoverStatus.DRAINED: frozenset({CutoverStatus.MATCHED, CutoverStatus.GIVEN_UP}),
    # What was matched no longer fits: match again.
    CutoverStatus.MATCHED: frozenset(
        {CutoverStatus.MOVED, CutoverStatus.DRAINED, CutoverStatus.GIVEN_UP}
    ),
    CutoverStatus.MOVED: frozenset({CutoverStatus.VERIFIED}),
    CutoverStatus.VERIFIED: frozenset({CutoverStatus.THAWED}),
    CutoverStatus.THAWED: frozenset(),
    CutoverStatus.GIVEN_UP: frozenset(),
}


def is_move(moves: Moves[S], old: S, new: S) -> bool:
    """Tell a real move from a repeat; a repeat is not an error, only nothing to do.

    Raises:
        IllegalMoveError: the table has no such move.

    """
    if old == new:
        return False
    if new not in moves[old]:
        raise IllegalMoveError(f"{type(old).__name__}: {old} to {new}")
    return True
