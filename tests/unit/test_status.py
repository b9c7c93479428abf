"""The tables of moves, read whole: total, reachable, every pair."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pytest

from cnn_offset.domain import status
from cnn_offset.domain.status import (
    APPLICATION_MOVES,
    ATTESTATION_MOVES,
    BANK_ENTRY_MOVES,
    CANCELLATION_MOVES,
    CASE_MOVES,
    CHECKOUT_MOVES,
    CORRECTION_MOVES,
    CUTOVER_MOVES,
    DELIVERY_MOVES,
    DIFFERENCE_MOVES,
    FEE_STATEMENT_MOVES,
    LISTING_MOVES,
    MESSAGE_MOVES,
    OFFER_MOVES,
    ORDER_MOVES,
    PAGE_MOVES,
    PAYMENT_MOVES,
    PAYOUT_MOVES,
    PROPOSAL_MOVES,
    REFUND_MOVES,
    REPLACEMENT_MOVES,
    SURVEY_MOVES,
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
    IllegalMoveError,
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
    is_move,
)

TABLES: list[tuple[Any, type[StrEnum], StrEnum]] = [
    (CHECKOUT_MOVES, CheckoutStatus, CheckoutStatus.OPEN),
    (ORDER_MOVES, OrderStatus, OrderStatus.PLACED),
    (PAYMENT_MOVES, PaymentStatus, PaymentStatus.CREATED),
    (CANCELLATION_MOVES, CancellationStatus, CancellationStatus.QUEUED),
    (REPLACEMENT_MOVES, ReplacementStatus, ReplacementStatus.ASKED),
    (ATTESTATION_MOVES, AttestationStatus, AttestationStatus.QUEUED),
    (MESSAGE_MOVES, MessageStatus, MessageStatus.QUEUED),
    (DELIVERY_MOVES, DeliveryStatus, DeliveryStatus.STORED),
    (OFFER_MOVES, OfferStatus, OfferStatus.OPEN),
    (APPLICATION_MOVES, ApplicationStatus, ApplicationStatus.SUBMITTED),
    (LISTING_MOVES, ListingStatus, ListingStatus.DRAFT),
    (PAGE_MOVES, PageStatus, PageStatus.DRAFT),
    (PAYOUT_MOVES, PayoutStatus, PayoutStatus.STARTED),
    (BANK_ENTRY_MOVES, BankEntryStatus, BankEntryStatus.WAITING),
    (PROPOSAL_MOVES, ProposalStatus, ProposalStatus.WAITING),
    (DIFFERENCE_MOVES, DifferenceStatus, DifferenceStatus.OPEN),
    (SURVEY_MOVES, SurveyStatus, SurveyStatus.DRAFT),
    (CASE_MOVES, CaseStatus, CaseStatus.OPEN),
    (CORRECTION_MOVES, CorrectionStatus, CorrectionStatus.ASKED),
    (REFUND_MOVES, RefundStatus, RefundStatus.QUEUED),
    (FEE_STATEMENT_MOVES, FeeStatementStatus, FeeStatementStatus.OPEN),
    (CUTOVER_MOVES, CutoverStatus, CutoverStatus.FROZEN),
]
PAIRS = [(moves, old, new) for moves, kind, _ in TABLES for old in kind for new in kind]


def test_every_table_is_tested() -> None:
    named = [value for name, value in vars(status).items() if name.endswith("_MOVES")]
    assert [id(each) for each in named] == [id(moves) for moves, _, _ in TABLES]


@pytest.mark.parametrize(
    ("moves", "kind", "first"), TABLES, ids=lambda each: getattr(each, "__name__", "")
)
def test_tables_are_total_and_lead_everywhere(
    moves: Any, kind: type[StrEnum], first: StrEnum
) -> None:
    assert set(moves) == set(kind)
    assert all(new in kind for news in moves.values() for new in news)
    seen: set[StrEnum] = set()
    ahead = {first}
    while ahead:
        seen |= ahead
        ahead = {new for old in ahead for new in moves[old]} - seen
    assert seen == set(kind)


@pytest.mark.parametrize(
    ("moves", "old", "new"), PAIRS, ids=lambda each: str(each) if isinstance(each, str) else ""
)
def test_every_pair_is_a_move_a_repeat_or_refused(moves: Any, old: StrEnum, new: StrEnum) -> None:
    assert old not in moves[old], "a repeat is not a move"
    if old == new:
        assert is_move(moves, old, new) is False
    elif new in moves[old]:
        assert is_move(moves, old, new) is True
    else:
        with pytest.raises(IllegalMoveError, match=f"{old} to {new}"):
            is_move(moves, old, new)


def test_an_unknown_cancellation_is_never_queued_again() -> None:
    queue = CancellationStatus.QUEUED
    later: set[CancellationStatus] = set()
    ahead = {CancellationStatus.UNKNOWN}
    while ahead:
        later |= ahead
        # Only a rejection, which says that nothing was cancelled, leads back.
        ahead = {
            new
            for old in ahead
            for new in CANCELLATION_MOVES[old]
            if (old, new) != (CancellationStatus.REJECTED, queue)
        } - later
    assert queue not in later


@pytest.mark.parametrize(
    ("moves", "old"),
    [
        (ORDER_MOVES, OrderStatus.FULFILLED),
        (ORDER_MOVES, OrderStatus.REFUNDED),
        (CANCELLATION_MOVES, CancellationStatus.CONFIRMED),
        (CANCELLATION_MOVES, CancellationStatus.GIVEN_UP),
        (ATTESTATION_MOVES, AttestationStatus.ISSUED),
    ],
)
def test_what_cannot_be_undone_does_not_move(moves: Any, old: StrEnum) -> None:
    assert moves[old] == frozenset()


@pytest.mark.parametrize("closed", [OrderStatus.LAPSED, OrderStatus.WITHDRAWN])
def test_late_money_finds_a_way(closed: OrderStatus) -> None:
    assert {OrderStatus.PAID, OrderStatus.IN_REVIEW} <= ORDER_MOVES[closed]


def test_nothing_is_fulfilled_without_being_paid() -> None:
    before = {old for old, news in ORDER_MOVES.items() if OrderStatus.FULFILLED in news}
    # From review a named person decides.
    assert before == {OrderStatus.PAID, OrderStatus.IN_REVIEW}
