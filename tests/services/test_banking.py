"""Money at the bank: statements matched, entries decided, one by one and by two people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
from sqlalchemy import func, select

from cnn_offset import jobs
from cnn_offset.accounts import add_user
from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import FactKind
from cnn_offset.domain.reference import creditor_reference
from cnn_offset.domain.staff import StaffRole
from cnn_offset.domain.statement import Statement
from cnn_offset.domain.status import BankEntryStatus, OrderStatus
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.models import (
    BankEntry,
    BankStatement,
    Cancellation,
    Finding,
    Message,
    Order,
    PaymentFact,
    PayoutMethod,
    Provider,
    User,
)
from cnn_offset.plugins.payments.bank_transfer import BankTransfer
from cnn_offset.services import NotFoundError, ServiceError, bank_entries, banking, statements
from cnn_offset.services.settling import Outcome
from tests.factories import make_shop
from tests.services.conftest import Shop
from tests.statements import Line, camt053, mt940, table

S, F = BankEntryStatus, Finding
ANN, BEN = "ann@example.org", "ben@example.org"


def payout(shop: Shop) -> PayoutMethod:
    provider_id = shop.offer.provider_id
    return statements.bank_account(db.session(), provider_id, ["bank_transfer"])


def alone(shop: Shop, allowed: bool = True) -> None:
    payout(shop).confirms_alone = allowed
    db.session.commit()


def read(data: bytes, mapping: Any = None) -> Sequence[Statement]:
    plugin = platform().payments["bank_transfer"]
    assert isinstance(plugin, BankTransfer)
    return plugin.read_statement(data, mapping)


def take(shop: Shop, data: bytes, *, actor: str = ANN) -> BankStatement:
    """Import a file as the page does, and record what may be recorded alone."""
    plugin = platform().payments["bank_transfer"]
    assert isinstance(plugin, BankTransfer)
    found = read(data)
    way = payout(shop)
    statements.check_account(db.session(), way, plugin, found)
    way_id = way.id
    with unit_of_work() as session:
        made = statements.import_statement(
            session,
            session.get_one(PayoutMethod, way_id),
            found,
            sha256=statements.file_hash(data, None),
            filename="bank.xml",
            actor=actor,
            now=shop.clock(),
        )
        statement_id = made.id
    while jobs.do("bank_statement", statement_id, due_only=True):
        pass
    db.session.expire_all()
    return db.session.get_one(BankStatement, statement_id)


def line(order_id: int, amount: str = "25.00", ref: str = "T-1", **changes: Any) -> Line:
    return Line(amount, f"Carbon {creditor_reference(order_id)}", ref, **changes)


def entries() -> list[BankEntry]:
    db.session.expire_all()
    return list(db.session.scalars(select(BankEntry).order_by(BankEntry.id)))


def one() -> BankEntry:
    (entry,) = entries()
    return entry


def decide(shop: Shop, verb: Any, entry_id: int, *args: Any, **more: Any) -> Any:
    with unit_of_work() as session:
        entry = bank_entries.find_entry(session, shop.offer.provider_id, entry_id)
        return verb(session, entry, *args, actor=more.pop("actor", ANN), now=shop.clock(), **more)


def record(
    shop: Shop, entry_id: int, *, actor: str = ANN, second_from: int = 0, **more: Any
) -> Any:
    return decide(shop, banking.record, entry_id, actor=actor, second_from=second_from, **more)


def bank_order(shop: Shop, quantity: int = 10) -> int:
    order_id = shop.order(quantity, "bank_transfer")
    shop.open(order_id, "bank_transfer")
    return order_id


def code(order_id: int) -> str:
    return db.session.get_one(Order, order_id).code


def staff(shop: Shop, email: str, role: StaffRole = StaffRole.OWNER) -> None:
    slug = db.session.get_one(Provider, shop.offer.provider_id).slug
    with unit_of_work() as session:
        add_user(
            session,
            email=email,
            password="a sentence nobody else uses",
            role="provider",
            provider_slug=slug,
            now=shop.clock(),
        )
    with unit_of_work() as session:
        session.scalars(select(User).where(User.email == email)).one().staff_role = role


def mails(kind: str) -> list[str]:
    return list(db.session.scalars(select(Message.recipient).where(Message.kind == kind)))


def test_an_exact_entry_pays_alone_if_the_provider_lets_it(shop: Shop) -> None:
    order_id = bank_order(shop)
    alone(shop)
    made = take(shop, camt053([line(order_id)]))
    assert (made.entries, made.added, made.due_at) == (1, 1, None)
    entry = one()
    assert (entry.status, entry.finding, entry.order_id) == (S.RECORDED, F.EXACT, order_id)
    assert entry.decided_by == "bank statement"
    assert shop.status(order_id) is OrderStatus.PAID
    assert mails("entries_wait") == []
    shop.work()
    assert shop.status(order_id) is OrderStatus.FULFILLED


def test_else_a_person_records_it(shop: Shop) -> None:
    staff(shop, ANN)
    staff(shop, BEN, StaffRole.SALES)
    order_id = bank_order(shop)
    take(shop, camt053([line(order_id)]))
    entry = one()
    assert (entry.status, entry.finding) == (S.WAITING, F.EXACT)
    assert shop.status(order_id) is OrderStatus.PLACED
    assert mails("entries_wait") == [ANN]
    assert record(shop, entry.id, expects=Outcome.PAYS) is S.RECORDED
    assert shop.status(order_id) is OrderStatus.PAID
    (fact,) = db.session.scalars(select(PaymentFact).where(PaymentFact.amount_minor > 0))
    assert (fact.ref, fact.actor) == ("T-1", ANN)
    with pytest.raises(ServiceError, match="decided"):
        record(shop, entry.id)


@pytest.mark.parametrize(
    "text", ["{rf}", "{spaced}", "pay {lower} thanks", "rf {digits}", "x{rf}", "INV 7 {dashes}, ok"]
)
def test_a_reference_as_people_type_it(shop: Shop, text: str) -> None:
    order_id = bank_order(shop)
    alone(shop)
    rf = creditor_reference(order_id)
    groups = [rf[at : at + 4] for at in range(0, len(rf), 4)]
    said = text.format(
        rf=rf, spaced=" ".join(groups), lower=rf.lower(), digits=rf[2:], dashes="-".join(groups)
    )
    take(shop, camt053([Line("25.00", said, "T-1")]))
    assert shop.status(order_id) is OrderStatus.PAID


def test_a_wrong_reference_names_nothing(shop: Shop) -> None:
    order_id = bank_order(shop)
    alone(shop)
    rf = creditor_reference(order_id)
    swapped = rf[:-2] + rf[-1] + rf[-2] if rf[-1] != rf[-2] else rf[:-1] + "7"
    take(shop, camt053([Line("25.00", swapped, "T-1")]))
    assert (one().finding, one().order_id) == (F.UNKNOWN, None)


def test_a_code_in_the_text_is_a_proposal_only(shop: Shop) -> None:
    order_id = bank_order(shop)
    alone(shop)
    take(shop, camt053([Line("25.00", f"order {code(order_id).lower()}", "T-1")]))
    entry = one()
    assert (entry.status, entry.finding, entry.order_id) == (S.WAITING, F.EXACT, order_id)


def test_never_across_providers(shop: Shop) -> None:
    order_id = bank_order(shop)
    other = make_shop("bank_transfer")
    way = statements.bank_account(db.session(), other.provider_id, ["bank_transfer"])
    way.confirms_alone, way_id, other_id = True, way.id, other.provider_id
    db.session.commit()
    data = camt053([line(order_id), Line("25.00", code(order_id), "T-2")])
    with unit_of_work() as session:
        made = statements.import_statement(
            session, session.get_one(PayoutMethod, way_id), read(data), sha256="1" * 64,
            filename="x", actor=ANN, now=shop.clock(),
        )  # fmt: skip
        statement_id = made.id
    jobs.do("bank_statement", statement_id)
    assert [each.finding for each in entries()] == [F.UNKNOWN, F.UNKNOWN]
    assert shop.status(order_id) is OrderStatus.PLACED
    entry = entries()[0]
    with pytest.raises(NotFoundError):
        bank_entries.find_entry(db.session(), shop.offer.provider_id, entry.id)
    with pytest.raises(NotFoundError):
        statements.find_statement(db.session(), shop.offer.provider_id, statement_id)
    with unit_of_work() as session, pytest.raises(ServiceError, match="no order"):
        banking.choose_order(
            session,
            bank_entries.find_entry(session, other_id, entry.id),
            code(order_id),
            actor=ANN,
            now=shop.clock(),
        )


def test_the_same_file_twice(shop: Shop) -> None:
    order_id = bank_order(shop)
    data = camt053([line(order_id)])
    first = take(shop, data)
    with pytest.raises(statements.KnownStatementError) as raised:
        take(shop, data)
    assert raised.value.statement_id == first.id
    assert len(entries()) == 1


def test_files_that_overlap(shop: Shop) -> None:
    order_id = bank_order(shop)
    alone(shop)
    one_, two, three = line(order_id), Line("3", "x", "T-2"), Line("4", "y", "T-3")
    take(shop, camt053([one_, two]))
    again = take(shop, camt053([two, one_, three], opening="7.00"))
    assert (again.entries, again.added) == (3, 1)
    assert [each.bank_ref for each in entries()] == ["T-1", "T-2", "T-3"]


def test_a_bank_that_gives_no_references(shop: Shop) -> None:
    """Lines that are alike are told apart by their number in the file."""
    same = Line("5.00", "rent")
    first = take(shop, camt053([same, same, Line("6.00", "x")]))
    assert first.added == 3
    again = take(shop, camt053([Line("6.00", "x"), same, same, same], opening="1.00"))
    assert (again.entries, again.added) == (4, 1)


def test_a_bank_that_repeats_its_references(shop: Shop) -> None:
    """The same name for other money is other money, also a year later."""
    take(shop, camt053([Line("5.00", "a", "7"), Line("6.00", "b", "7")]))
    assert len(entries()) == 2
    again = take(shop, camt053([Line("6.00", "b", "7"), Line("5.00", "a", "7")], opening="2.00"))
    assert again.added == 0
    later = take(shop, camt053([Line("5.00", "a", "7", day="2025-11-02")]))
    assert later.added == 1


def test_the_same_bank_in_two_formats(shop: Shop) -> None:
    order_id = bank_order(shop)
    alone(shop)
    take(shop, camt053([line(order_id)]))
    assert take(shop, mt940([line(order_id)], currency="USD")).added == 0


@pytest.mark.parametrize(
    ("account", "mine"),
    [
        ("DE89370400440532013000", True), ("DE89 3704 0044 0532 0130 00", True),
        ("37040044/0532013000USD", True), ("0532013000", True), ("532013000", True),
        ("GB33BUKB20201555555555", False), ("0532013001", False), ("3000", False), ("0", False),
    ],
)  # fmt: skip
def test_another_account(shop: Shop, account: str, mine: bool) -> None:
    data = mt940([Line("1.00")], account=account)
    if mine:
        assert take(shop, data).added == 1
        return
    with pytest.raises(ServiceError, match="not yours"):
        take(shop, data)
    assert entries() == []


def test_accounts_in_change(shop: Shop) -> None:
    """Old orders keep the old account; the new one may have its first statement early."""
    bank_order(shop)
    old, new = "DE89370400440532013000", "GB33BUKB20201555555555"
    way = payout(shop)
    way.next_account = dict(way.account) | {"account": new}
    db.session.commit()
    take(shop, camt053([Line("1.00", ref="N")], account=new))
    way = payout(shop)
    way.account, way.next_account = dict(way.next_account or {}), None
    db.session.commit()
    take(shop, camt053([Line("2.00", ref="O")], account=old))
    assert len(entries()) == 2


@pytest.mark.parametrize(
    ("amount", "finding", "outcome"),
    [("24.99", F.SHORT, Outcome.REVIEW), ("25.01", F.OVER, Outcome.REVIEW)],
)
def test_too_little_and_too_much(
    shop: Shop, amount: str, finding: Finding, outcome: Outcome
) -> None:
    order_id = bank_order(shop)
    alone(shop)
    take(shop, camt053([line(order_id, amount)]))
    entry = one()
    assert (entry.status, entry.finding) == (S.WAITING, finding)
    record(shop, entry.id, expects=outcome)
    assert shop.status(order_id) is OrderStatus.IN_REVIEW
    assert list(db.session.scalars(select(Cancellation))) == []


def test_two_parts_of_one_order(shop: Shop) -> None:
    order_id = bank_order(shop)
    alone(shop)
    take(shop, camt053([line(order_id, "20.00", "A"), line(order_id, "5.00", "B")]))
    first, second = entries()
    assert (first.finding, second.finding) == (F.SHORT, F.SHORT)
    record(shop, first.id)
    assert entries()[1].finding is F.EXACT
    record(shop, second.id, expects=Outcome.PAYS)
    assert shop.status(order_id) is OrderStatus.PAID


def test_paid_twice_in_one_file(shop: Shop) -> None:
    order_id = bank_order(shop)
    alone(shop)
    take(shop, camt053([line(order_id, ref="A"), line(order_id, ref="B")]))
    first, second = entries()
    assert (first.status, second.status) == (S.RECORDED, S.WAITING)
    assert second.finding is F.PAID_ALREADY
    assert [each.id for each in bank_entries.same_order(db.session(), second)] == [first.id]
    with pytest.raises(banking.ChangedError):
        # Until the registry has cancelled, too much stops it and a person looks.
        record(shop, second.id, expects=Outcome.SURPLUS)
    shop.work()
    assert shop.status(order_id) is OrderStatus.FULFILLED
    record(shop, second.id, expects=Outcome.SURPLUS)
    assert shop.status(order_id) is OrderStatus.FULFILLED
    assert db.session.scalar(select(func.count()).select_from(Cancellation)) == 1
    # The provider sends it back, which the next statement shows.
    take(shop, camt053([line(order_id, "-25.00", "C")]))
    back = entries()[2]
    assert (back.status, back.finding) == (S.WAITING, F.RETURNED)
    record(shop, back.id, expects=Outcome.BACK)
    assert shop.status(order_id) is OrderStatus.FULFILLED
    kinds = list(db.session.scalars(select(PaymentFact.kind).order_by(PaymentFact.id)))
    assert kinds == [FactKind.PAYMENT, FactKind.PAYMENT, FactKind.REFUND]


def test_money_that_went_back_before_the_registry_was_told(shop: Shop) -> None:
    order_id = bank_order(shop)
    alone(shop)
    take(shop, camt053([line(order_id), line(order_id, "-25.00", "T-2")]))
    came, went = entries()
    assert (came.status, went.status) == (S.RECORDED, S.WAITING)
    record(shop, went.id, expects=Outcome.BACK)
    assert shop.status(order_id) is OrderStatus.IN_REVIEW


def test_money_in_another_currency(shop: Shop) -> None:
    order_id = bank_order(shop)
    alone(shop)
    take(shop, camt053([line(order_id)], currency="EUR"))
    entry = one()
    assert (entry.status, entry.finding) == (S.WAITING, F.OTHER_CURRENCY)
    record(shop, entry.id, expects=Outcome.REVIEW)
    assert shop.status(order_id) is OrderStatus.IN_REVIEW


def test_late_money_takes_the_units_again(shop: Shop) -> None:
    order_id = bank_order(shop)
    alone(shop)
    shop.clock.tick(days=91)
    jobs.do("order", order_id)
    assert shop.status(order_id) is OrderStatus.LAPSED
    take(shop, camt053([line(order_id)]))
    entry = one()
    assert (entry.status, entry.finding) == (S.WAITING, F.LATE)
    record(shop, entry.id, expects=Outcome.PAYS_LATE)
    assert shop.status(order_id) is OrderStatus.PAID


def test_late_money_when_the_units_are_gone(shop: Shop) -> None:
    order_id = bank_order(shop, 1000)
    shop.clock.tick(days=91)
    jobs.do("order", order_id)
    bank_order(shop, 1000)
    take(shop, camt053([line(order_id, "2500.00")]))
    record(shop, one().id, expects=Outcome.PAYS_LATE)
    assert shop.status(order_id) is OrderStatus.IN_REVIEW


def test_one_payment_for_several_orders(shop: Shop) -> None:
    first, second = bank_order(shop), bank_order(shop, 20)
    alone(shop)
    both = f"{creditor_reference(first)} and {creditor_reference(second)}"
    take(shop, camt053([Line("75.00", both, "T-1")]))
    entry = one()
    assert (entry.status, entry.finding, entry.order_id) == (S.WAITING, F.SEVERAL, None)
    shares = [(code(first), Money(2500, "USD")), (code(second), Money(5000, "USD"))]
    for wrong in (
        shares[:1],
        [shares[0], (code(second), Money(4999, "USD"))],
        [shares[0], (code(second), Money(0, "USD"))],
        [(code(first), Money(2500, "USD")), (code(first), Money(5000, "USD"))],
        [shares[0], ("NOSUCHORD", Money(5000, "USD"))],
    ):
        with pytest.raises(ServiceError):
            decide(shop, banking.split, entry.id, wrong)
    decide(shop, banking.split, entry.id, shares)
    whole, *parts = entries()
    assert whole.status is S.SPLIT
    assert [(each.key, each.finding) for each in parts] == [("T-1:1", F.EXACT), ("T-1:2", F.EXACT)]
    with pytest.raises(ServiceError, match="decided"):
        decide(shop, banking.split, entry.id, shares)
    for each in parts:
        record(shop, each.id, expects=Outcome.PAYS)
    assert shop.status(first) is shop.status(second) is OrderStatus.PAID
    # The same file again knows the whole.
    assert take(shop, camt053([Line("75.00", both, "T-1")], opening="2.00")).added == 0


def test_choosing_the_order(shop: Shop) -> None:
    order_id = bank_order(shop)
    take(shop, camt053([Line("25.00", "for the climate", "T-1")]))
    entry = one()
    with pytest.raises(ServiceError, match="choose the order"):
        record(shop, entry.id)
    for wrong in ("", "NOSUCHORD", "'; --", "\0"):
        with pytest.raises(ServiceError, match="no order"):
            decide(shop, banking.choose_order, entry.id, wrong.replace("\0", ""))
    decide(shop, banking.choose_order, entry.id, f" {code(order_id).lower()} ")
    assert (one().finding, one().order_id) == (F.EXACT, order_id)
    record(shop, entry.id)
    assert shop.status(order_id) is OrderStatus.PAID


def test_setting_aside_and_back(shop: Shop) -> None:
    take(shop, camt053([Line("25.00", "rent", "T-1"), Line("-9.00", "fee", "T-2")]))
    rent, fee = entries()
    # Money that goes out for other things asks nobody anything.
    assert (fee.finding, fee.status) == (F.OUTGOING, S.DISMISSED)
    with pytest.raises(ServiceError, match="why"):
        decide(shop, banking.dismiss, rent.id, "")
    decide(shop, banking.dismiss, rent.id, "rent of the roof")
    assert entries()[0].status is S.DISMISSED
    assert bank_entries.history(db.session(), rent)[-1].why == "rent of the roof"
    for _ in range(2):
        decide(shop, banking.undo_dismissal, rent.id)
    assert entries()[0].status is S.WAITING


def test_two_people_for_a_large_order(shop: Shop) -> None:
    staff(shop, ANN)
    staff(shop, BEN, StaffRole.ACCOUNTS)
    order_id = bank_order(shop)
    alone(shop)
    provider_id = shop.offer.provider_id
    data = camt053([line(order_id)])
    with unit_of_work() as session:
        made = statements.import_statement(
            session, payout(shop), read(data), sha256="2" * 64, filename="x", actor=ANN,
            now=shop.clock(),
        )  # fmt: skip
        statement_id = made.id
    # What confirms alone never does without the second person.
    while statements.record_matches(unit_of_work, statement_id, second_from=25, now=shop.clock()):
        pass
    entry = one()
    assert entry.status is S.WAITING
    assert record(shop, entry.id, actor=ANN, second_from=25) is S.SECONDED
    assert shop.status(order_id) is OrderStatus.PLACED
    assert mails("entry_to_second") == [BEN]
    with pytest.raises(ServiceError, match="another member"):
        record(shop, entry.id, actor=ANN, second_from=25)
    # Nor does a change of the setting meanwhile let one person through.
    with pytest.raises(ServiceError, match="another member"):
        record(shop, entry.id, actor=ANN, second_from=0)
    decide(shop, banking.send_back, entry.id, actor=BEN)
    assert one().status is S.WAITING
    with pytest.raises(ServiceError, match="decided"):
        decide(shop, banking.send_back, entry.id, actor=BEN)
    assert record(shop, entry.id, actor=BEN, second_from=25) is S.SECONDED
    assert record(shop, entry.id, actor=ANN, second_from=25) is S.RECORDED
    assert (one().proposed_by, one().decided_by) == (BEN, ANN)
    assert shop.status(order_id) is OrderStatus.PAID
    assert provider_id == one().provider_id


@pytest.mark.parametrize(
    ("second_from", "status"), [(26, S.RECORDED), (25, S.SECONDED), (0, S.RECORDED)]
)
def test_from_which_total(shop: Shop, second_from: int, status: BankEntryStatus) -> None:
    order_id = bank_order(shop)
    take(shop, camt053([line(order_id)]))
    assert record(shop, one().id, second_from=second_from) is status


def test_a_large_order_paid_in_small_parts_needs_two(shop: Shop) -> None:
    order_id = bank_order(shop)
    take(shop, camt053([line(order_id, "24.00", "A"), line(order_id, "1.00", "B")]))
    first, second = entries()
    assert record(shop, first.id, second_from=25) is S.RECORDED
    assert record(shop, second.id, second_from=25) is S.SECONDED


def typed(shop: Shop, order_id: int, amount: str = "25.00", ref: str = "T-1", **more: Any) -> Any:
    with unit_of_work() as session:
        return banking.type_entry(
            session,
            session.get_one(Order, order_id),
            amount=Money.parse(amount, "USD"),
            bank_ref=ref,
            received_on=date(2026, 11, 2),
            actor=ANN,
            now=shop.clock(),
            **{"second_from": 0, **more},
        ).id


def test_typed_by_hand_then_on_the_statement(shop: Shop) -> None:
    order_id = bank_order(shop)
    alone(shop)
    typed(shop, order_id, ref="t 1-x")
    assert take(shop, camt053([line(order_id, ref="T1-X")])).added == 0
    assert shop.status(order_id) is OrderStatus.PAID


def test_typed_with_another_reference_than_the_bank_has(shop: Shop) -> None:
    order_id = bank_order(shop)
    alone(shop)
    typed(shop, order_id, ref="page 3")
    take(shop, camt053([line(order_id)]))
    assert entries()[1].finding is F.PAID_ALREADY
    assert entries()[1].status is S.WAITING


def test_on_the_statement_then_typed_by_hand(shop: Shop) -> None:
    order_id, other = bank_order(shop), bank_order(shop)
    take(shop, camt053([line(order_id)]))
    for each in (order_id, other):
        with pytest.raises(banking.KnownEntryError) as raised:
            typed(shop, each, ref=" t-1")
        assert raised.value.entry_id == one().id
    assert shop.status(other) is OrderStatus.PLACED


def test_one_reference_does_not_pay_two_orders(shop: Shop) -> None:
    first, second = bank_order(shop), bank_order(shop)
    typed(shop, first)
    with pytest.raises(banking.KnownEntryError):
        typed(shop, second)
    assert shop.status(second) is OrderStatus.PLACED


def test_typed_for_a_large_order(shop: Shop) -> None:
    staff(shop, BEN)
    order_id = bank_order(shop)
    entry_id = typed(shop, order_id, second_from=25)
    assert (one().status, one().proposed_by) == (S.SECONDED, ANN)
    assert mails("entry_to_second") == [BEN]
    # The second one has left; the first cannot agree with herself, but may take it back.
    with pytest.raises(ServiceError):
        record(shop, entry_id, second_from=25)
    decide(shop, banking.dismiss, entry_id, "typed in error")
    assert shop.status(order_id) is OrderStatus.PLACED


def test_what_was_shown_no_longer_holds(shop: Shop) -> None:
    order_id = bank_order(shop)
    take(shop, camt053([line(order_id)]))
    typed(shop, order_id, ref="other")
    with pytest.raises(banking.ChangedError):
        record(shop, entries()[0].id, expects=Outcome.PAYS)
    with pytest.raises(banking.ChangedError):
        typed(shop, order_id, ref="third", expects=Outcome.PAYS)
    assert len(entries()) == 2


def test_another_order_was_chosen_meanwhile(shop: Shop) -> None:
    """Both orders would be paid; but the person was shown the other one."""
    shown, chosen = bank_order(shop), bank_order(shop)
    take(shop, camt053([line(shown)]))
    decide(shop, banking.choose_order, one().id, code(chosen))
    with pytest.raises(banking.ChangedError):
        record(shop, one().id, expects=Outcome.PAYS, expects_order=shown)
    record(shop, one().id, expects=Outcome.PAYS, expects_order=chosen)
    assert shop.status(chosen) is OrderStatus.PAID


def test_searching(shop: Shop) -> None:
    order_id = bank_order(shop)
    take(
        shop,
        camt053([line(order_id, ref="ABC-1"), Line("7.00", "50% off_x", "Q-2", payer="Zoë Zwart")]),
    )
    provider_id = shop.offer.provider_id

    def found(search: str, **more: Any) -> list[str]:
        rows = bank_entries.entries(db.session(), provider_id, S.WAITING, search=search, **more)
        return [each.bank_ref for each in rows]

    assert found("") == ["Q-2", "ABC-1"]
    assert found("abc") == ["ABC-1"]
    assert found("25.00") == found("25") == found(code(order_id)) == ["ABC-1"]
    assert found("zwart") == found("50%") == ["Q-2"]
    assert found("%") == ["Q-2"]
    assert found("zzz") == []
    assert found("", finding=F.EXACT) == ["ABC-1"]
    assert found("", before=entries()[1].id) == ["ABC-1"]


def test_a_table_read_in_another_way_is_another_file() -> None:
    data = table([("02.11.2026", "x", "1.00")])
    assert statements.file_hash(data, {"a": 1}) != statements.file_hash(data, {"a": 2})
    assert statements.file_hash(data, {"a": 1}) == statements.file_hash(data, {"a": 1})


def test_many_lines(shop: Shop) -> None:
    order_id = bank_order(shop)
    alone(shop)
    lines = [Line("1.00", f"gift {n}", f"G-{n}") for n in range(1500)]
    made = take(shop, camt053([*lines, line(order_id)]))
    assert (made.entries, made.added) == (1501, 1501)
    assert shop.status(order_id) is OrderStatus.PAID
    waits = statements.counts(db.session(), made)
    assert waits[S.WAITING, F.UNKNOWN] == 1500


def test_an_order_is_kept_while_people_decide_on_its_money(shop: Shop) -> None:
    order_id = bank_order(shop)
    shop.clock.tick(days=89)
    take(shop, camt053([line(order_id)]))
    assert not jobs.withdraw_order(jobs.platform(), order_id, actor="purchaser")
    shop.clock.tick(days=3)
    shop.work(rounds=3)
    assert shop.status(order_id) is OrderStatus.PLACED
    assert shop.offer.held > 0
    shop.clock.tick(days=14)
    shop.work(rounds=3)
    assert shop.status(order_id) is OrderStatus.LAPSED, "nobody has decided for two weeks"
    assert shop.offer.held == 0
