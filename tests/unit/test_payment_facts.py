"""What is concluded from facts does not depend on their order or repetition, and moves legally."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import Fact, FactKind, FactStatus, Verdict, derive, judge, latest
from cnn_offset.domain.status import PAYMENT_MOVES, PaymentStatus, is_move

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DUE = Money(1000, "EUR")
PAYEE = "provider"
K, S, P = FactKind, FactStatus, PaymentStatus

SAID_OF = {
    K.PAYMENT: [S.OPEN, S.PENDING, S.ABANDONED, S.FAILED, S.DONE, S.UNKNOWN],
    K.REFUND: [S.PENDING, S.ABANDONED, S.FAILED, S.DONE, S.UNKNOWN],
    K.DISPUTE: [S.OPEN, S.PENDING, S.WON, S.LOST, S.UNKNOWN],
}


def fact(
    kind: FactKind,
    status: FactStatus,
    ref: str = "1",
    amount: Money | None = DUE,
    payee: str | None = PAYEE,
    minutes: int = 0,
) -> Fact:
    return Fact(kind, ref, status, amount, payee, NOW + timedelta(minutes=minutes))


def paid(amount: Money = DUE, ref: str = "1", payee: str | None = PAYEE) -> Fact:
    return fact(K.PAYMENT, S.DONE, ref, amount, payee)


def refunded(amount: Money = DUE, ref: str = "r") -> Fact:
    return fact(K.REFUND, S.DONE, ref, amount)


ATOMS = [
    *(fact(K.PAYMENT, status, ref) for ref in "ab" for status in SAID_OF[K.PAYMENT]),
    *(
        fact(K.REFUND, status, f"r{minor}", Money(minor, "EUR"))
        for minor in (300, 1000)
        for status in SAID_OF[K.REFUND]
    ),
    *(fact(K.DISPUTE, status, "d") for status in SAID_OF[K.DISPUTE]),
]
facts = st.builds(
    lambda kind_status, ref, minor, currency, payee, minutes: fact(
        *kind_status, ref, None if minor is None else Money(minor, currency), payee, minutes
    ),
    st.sampled_from([(kind, each) for kind, all_of in SAID_OF.items() for each in all_of]),
    st.sampled_from("ab"),
    st.sampled_from([None, 300, 1000]),
    st.sampled_from(["EUR", "USD"]),
    st.sampled_from([PAYEE, "other", None]),
    st.integers(0, 3),
)


@given(st.lists(facts, max_size=8), st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(heard: list[Fact], dice: object) -> None:
    again = heard + heard[: len(heard) // 2]
    dice.shuffle(again)  # type: ignore[attr-defined]
    assert derive(again) is derive(heard)
    assert judge(due=DUE, payee=PAYEE, facts=again) is judge(due=DUE, payee=PAYEE, facts=heard)
    assert set(latest(again)) == set(latest(heard))


@given(st.lists(facts, max_size=8), facts)
def test_old_news_is_no_news(heard: list[Fact], last: Fact) -> None:
    """Hearing again what is already superseded changes nothing."""
    known = latest([*heard, last])
    assert derive([*known, *heard]) is derive(known)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_growing_sets_of_facts_move_legally(count: int) -> None:
    """Whatever comes next to any few facts is a repeat or a move of the table."""
    for some in itertools.combinations(ATOMS, count):
        old = derive(some)
        for more in ATOMS:
            new = derive([*some, more])
            if new is not None:
                for start in [old] if old else [P.CREATED, P.AWAITING_PAYER]:
                    is_move(PAYMENT_MOVES, start, new)


@settings(max_examples=1000)
@given(st.lists(st.lists(st.sampled_from(ATOMS) | facts, max_size=3), max_size=6))
def test_histories_move_legally(calls: list[list[Fact]]) -> None:
    """News that decides nothing leaves the status where it was, and the next is legal from there."""
    status = P.AWAITING_PAYER
    heard: list[Fact] = []
    for said in calls:
        heard += said
        new = derive(heard)
        if new is not None:
            is_move(PAYMENT_MOVES, status, new)
            status = new


@given(st.lists(facts, max_size=8))
def test_only_exact_money_to_the_payee_is_exact(heard: list[Fact]) -> None:
    verdict = judge(due=DUE, payee=PAYEE, facts=heard)
    now = latest(heard)
    done = [each for each in now if each.kind is K.PAYMENT and each.status is S.DONE]
    back = [each for each in now if each.kind is K.REFUND and each.status is S.DONE]
    if verdict is Verdict.EXACT:
        assert derive(heard) is P.SUCCEEDED
        assert done
        assert {each.payee for each in done} == {PAYEE}
        assert all(each.amount is None or each.amount.currency == "EUR" for each in done + back)
        total = sum(each.amount.minor for each in done if each.amount)
        assert total - sum(each.amount.minor for each in back if each.amount) == DUE.minor
        assert not any(each.status is S.UNKNOWN for each in now)


@pytest.mark.parametrize(
    ("heard", "status", "verdict"),
    [
        ([], None, Verdict.NOTHING_YET),
        ([fact(K.PAYMENT, S.OPEN)], None, Verdict.NOTHING_YET),
        ([fact(K.PAYMENT, S.PENDING)], P.PROCESSING, Verdict.NOTHING_YET),
        ([fact(K.PAYMENT, S.FAILED)], P.FAILED, Verdict.FAILED),
        ([fact(K.PAYMENT, S.ABANDONED)], P.ABANDONED, Verdict.FAILED),
        ([fact(K.PAYMENT, S.UNKNOWN)], P.IN_REVIEW, Verdict.UNCLEAR),
        ([paid()], P.SUCCEEDED, Verdict.EXACT),
        ([paid(Money(999, "EUR"))], P.SUCCEEDED, Verdict.SHORT),
        ([paid(Money(1001, "EUR"))], P.SUCCEEDED, Verdict.OVER),
        ([paid(Money(1000, "USD"))], P.SUCCEEDED, Verdict.WRONG_CURRENCY),
        ([paid(payee="other")], P.SUCCEEDED, Verdict.WRONG_PAYEE),
        ([paid(payee=None)], P.SUCCEEDED, Verdict.WRONG_PAYEE),
        ([paid(Money(600, "EUR")), paid(Money(400, "EUR"), "2")], P.SUCCEEDED, Verdict.EXACT),
        ([paid(), paid(ref="2")], P.SUCCEEDED, Verdict.OVER),
        ([paid(), paid(Money(5, "USD"), "2")], P.SUCCEEDED, Verdict.WRONG_CURRENCY),
        ([paid(), refunded(Money(1, "EUR"))], P.SUCCEEDED, Verdict.SHORT),
        ([paid(), paid(ref="2"), refunded()], P.SUCCEEDED, Verdict.EXACT),
        ([paid(), refunded()], P.REFUNDED, Verdict.UNCLEAR),
        ([paid(), refunded(Money(1000, "USD"))], P.SUCCEEDED, Verdict.WRONG_CURRENCY),
        ([refunded()], P.IN_REVIEW, Verdict.UNCLEAR),
        ([paid(), fact(K.REFUND, S.FAILED, "r")], P.SUCCEEDED, Verdict.EXACT),
        ([paid(), fact(K.DISPUTE, S.OPEN, "d")], P.DISPUTED, Verdict.UNCLEAR),
        ([paid(), fact(K.DISPUTE, S.UNKNOWN, "d")], P.DISPUTED, Verdict.UNCLEAR),
        ([paid(), fact(K.DISPUTE, S.WON, "d")], P.SUCCEEDED, Verdict.EXACT),
        ([paid(), fact(K.DISPUTE, S.LOST, "d")], P.REFUNDED, Verdict.UNCLEAR),
        (
            [paid(), fact(K.DISPUTE, S.LOST, "d"), fact(K.DISPUTE, S.WON, "d", minutes=1)],
            P.REFUNDED,
            Verdict.UNCLEAR,
        ),
        ([paid(), fact(K.REFUND, S.UNKNOWN, "r")], P.IN_REVIEW, Verdict.UNCLEAR),
        (
            [paid(Money(600, "EUR")), paid(Money(400, "EUR"), "2", payee="other")],
            P.SUCCEEDED,
            Verdict.WRONG_PAYEE,
        ),
        ([fact(K.PAYMENT, S.PENDING), fact(K.PAYMENT, S.FAILED)], P.FAILED, Verdict.FAILED),
        ([fact(K.PAYMENT, S.FAILED), fact(K.PAYMENT, S.DONE)], P.SUCCEEDED, Verdict.EXACT),
        ([fact(K.PAYMENT, S.ABANDONED, "order"), paid()], P.SUCCEEDED, Verdict.EXACT),
        (
            [fact(K.PAYMENT, S.FAILED, "card"), fact(K.PAYMENT, S.OPEN, "page")],
            None,
            Verdict.NOTHING_YET,
        ),
    ],
)
def test_examples(heard: list[Fact], status: PaymentStatus | None, verdict: Verdict) -> None:
    assert derive(heard) is status
    assert judge(due=DUE, payee=PAYEE, facts=heard) is verdict
