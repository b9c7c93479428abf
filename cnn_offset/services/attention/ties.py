"""Of every status: whether a person of the platform must look, and where it then shows.

A status that is added to ``domain/status.py`` must be said something about here.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from cnn_offset.domain.status import (
    ApplicationStatus,
    AttestationStatus,
    BankEntryStatus,
    CancellationStatus,
    CaseStatus,
    CheckoutStatus,
    CorrectionStatus,
    CutoverStatus,
    DeliveryStatus,
    DifferenceStatus,
    FeeStatementStatus,
    ListingStatus,
    MessageStatus,
    OfferStatus,
    OrderStatus,
    PageStatus,
    PaymentStatus,
    PayoutStatus,
    ProposalStatus,
    RefundStatus,
    ReplacementStatus,
    SurveyStatus,
)
from cnn_offset.services.attention.kinds import Kind

LOOK: Final[Mapping[type[StrEnum], Mapping[StrEnum, Kind]]] = {
    OrderStatus: {
        OrderStatus.PLACED: Kind.UNPAID,
        OrderStatus.PAID: Kind.SLOW,
        OrderStatus.IN_REVIEW: Kind.IN_REVIEW,
        OrderStatus.REFUND_DUE: Kind.REFUND_DUE,
    },
    PaymentStatus: {
        # With the order, which is in review then; after it was paid as what is too much.
        PaymentStatus.IN_REVIEW: Kind.IN_REVIEW,
        PaymentStatus.SUCCEEDED: Kind.SURPLUS,
        PaymentStatus.REFUNDED: Kind.MONEY_BACK,
        PaymentStatus.DISPUTED: Kind.DISPUTED,
    },
    CancellationStatus: {
        CancellationStatus.UNKNOWN: Kind.UNKNOWN,
        CancellationStatus.MISMATCHED: Kind.MISMATCHED,
        CancellationStatus.REJECTED: Kind.REJECTED,
    },
    MessageStatus: {MessageStatus.FAILED: Kind.MAIL},
    DeliveryStatus: {DeliveryStatus.UNMATCHED: Kind.UNMATCHED},
    ApplicationStatus: {ApplicationStatus.SUBMITTED: Kind.APPLICATION},
    ListingStatus: {ListingStatus.SUBMITTED: Kind.LISTING},
    PayoutStatus: {PayoutStatus.STARTED: Kind.PAYOUT},
    ProposalStatus: {ProposalStatus.WAITING: Kind.PROPOSAL},
    CaseStatus: {CaseStatus.OPEN: Kind.CASE, CaseStatus.ESCALATED: Kind.CASE},
    CorrectionStatus: {CorrectionStatus.ASKED: Kind.CORRECTION},
    RefundStatus: {RefundStatus.REFUSED: Kind.REFUND_REFUSED},
    # Of holdings as Kind.HOLDINGS.
    DifferenceStatus: {DifferenceStatus.OPEN: Kind.BOOKS},
    CutoverStatus: {
        status: Kind.CUTOVER
        for status in CutoverStatus
        if status not in (CutoverStatus.THAWED, CutoverStatus.GIVEN_UP)
    },
}
"""A person of the platform must look: always, or when it lasts too long."""
REST: Final[Mapping[type[StrEnum], frozenset[StrEnum]]] = {
    CheckoutStatus: frozenset(CheckoutStatus),
    OrderStatus: frozenset(
        {OrderStatus.FULFILLED, OrderStatus.LAPSED, OrderStatus.WITHDRAWN, OrderStatus.REFUNDED}
    ),
    PaymentStatus: frozenset(
        {
            PaymentStatus.CREATED,
            PaymentStatus.AWAITING_PAYER,
            PaymentStatus.PROCESSING,
            PaymentStatus.FAILED,
            PaymentStatus.ABANDONED,
        }
    ),
    CancellationStatus: frozenset(
        {
            CancellationStatus.QUEUED,
            CancellationStatus.SUBMITTED,
            CancellationStatus.CONFIRMED,
            CancellationStatus.GIVEN_UP,
        }
    ),
    AttestationStatus: frozenset(AttestationStatus),
    MessageStatus: frozenset({MessageStatus.QUEUED, MessageStatus.SENT}),
    DeliveryStatus: frozenset({DeliveryStatus.STORED, DeliveryStatus.HANDLED}),
    OfferStatus: frozenset(OfferStatus),
    ApplicationStatus: frozenset(set(ApplicationStatus) - {ApplicationStatus.SUBMITTED}),
    ListingStatus: frozenset(set(ListingStatus) - {ListingStatus.SUBMITTED}),
    PageStatus: frozenset(PageStatus),
    PayoutStatus: frozenset(set(PayoutStatus) - {PayoutStatus.STARTED}),
    # The provider's people decide on money at their bank.
    BankEntryStatus: frozenset(BankEntryStatus),
    ProposalStatus: frozenset(set(ProposalStatus) - {ProposalStatus.WAITING}),
    SurveyStatus: frozenset(SurveyStatus),
    CaseStatus: frozenset({CaseStatus.WAITING, CaseStatus.CLOSED}),
    CorrectionStatus: frozenset({CorrectionStatus.CORRECTED, CorrectionStatus.REFUSED}),
    RefundStatus: frozenset({RefundStatus.QUEUED, RefundStatus.DONE}),
    CutoverStatus: frozenset({CutoverStatus.THAWED, CutoverStatus.GIVEN_UP}),
    DifferenceStatus: frozenset({DifferenceStatus.SETTLED, DifferenceStatus.GONE}),
    # The purchaser answers; the order is in review meanwhile, and after it.
    ReplacementStatus: frozenset(ReplacementStatus),
    # Open until the provider has paid; the page of fees lists them.
    FeeStatementStatus: frozenset(FeeStatementStatus),
}
"""It goes on by itself, waits for somebody else, or is over. Work that fails on the way, of
any kind, is another matter (``Kind.FAILING``).
"""
