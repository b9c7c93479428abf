"""What the sandbox's registries do to blocks, and how they list it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cnn_offset.sandbox.faults import Faults
from cnn_offset.sandbox.registries_books import Book, RefusalError, held
from cnn_offset.sandbox.state import State

BLOCK: dict[str, Any] = {
    "block_ref": "B1",
    "account": "A1",
    "activity": "8",
    "unit_type": "cer",
    "party": "BR",
    "first": 1001,
    "quantity": 100,
    "monitoring_start": "2011-06-01",
    "monitoring_end": "2012-05-31",
    "taken": [[10, 5], [58, 4]],
}


@pytest.fixture
def book() -> Book:
    state = State()
    made = Book("cdm", state, Faults(state))
    made.seed([BLOCK])
    return made


def test_a_block_is_split_and_merged_again(book: Book) -> None:
    book.change_block("B1", {"split": 60})
    one, two = book.blocks("A1")
    assert [(each["first"], each["last"], held(each)) for each in (one, two)] == [
        (1001, 1060, 53),
        (1061, 1100, 38),
    ]
    book.change_block("B1", {"merge": two["block_ref"]})
    [whole] = book.blocks("A1")
    assert (whole["first"], whole["last"], held(whole)) == (1001, 1100, 91)
    for units in (0, 100):
        with pytest.raises(ValueError, match="split"):
            book.change_block("B1", {"split": units})
    book.seed([BLOCK | {"block_ref": "B9", "first": 2001}])
    with pytest.raises(ValueError, match="merge"):
        book.change_block("B1", {"merge": "B9"})
    with pytest.raises(RefusalError):
        book.change_block("B1", {"merge": "none"})


def test_what_changed_and_what_left_is_told(book: Book) -> None:
    before = book.now() + timedelta(microseconds=1)
    assert book.changes("A1", before) == ([], [])
    book.change_block("B1", {"account": "A2"})
    blocks, gone = book.changes("A1", before)
    assert (blocks, gone) == ([], ["B1"])
    assert [each["block_ref"] for each in book.changes("A2", before)[0]] == ["B1"]
    book.change_block("B1", {"account": "A1"})
    blocks, gone = book.changes("A1", before)
    assert ([each["block_ref"] for each in blocks], gone) == (["B1"], []), "it is back"
    assert book.knows_account("A2")
    book.change_block("B1", {"vanish": True})
    assert book.changes("A1", before) == ([], ["B1"])


def test_a_block_becomes_another_kind_of_unit(book: Book) -> None:
    assert book.change_block("B1", {"unit_type": "lcer"})["unit_type"] == "lcer"
    with pytest.raises(ValueError, match="no unit type"):
        book.change_block("B1", {"unit_type": "a64er_authorised"})


def test_other_channels_are_listed_between_ours(book: Book) -> None:
    ours = {
        "key": "key-1",
        "account": "A1",
        "block_ref": "B1",
        "quantity": 3,
        "beneficiary": "b",
        "reason": "r",
    }
    book.change_block("B1", {"take": 2})
    with book.state.transaction():
        book.cancel(ours)
    book.change_block("B1", {"take": 1, "key": "another"})
    first, cursor, more = book.page_cancellations("", 2)
    assert [(each["key"], each["cancelled"]) for each in first] == [("", 2), ("key-1", 3)]
    assert more
    rest, end, more = book.page_cancellations(cursor, 2)
    assert ([each["key"] for each in rest], more) == (["another"], False)
    assert book.page_cancellations(end, 2) == ([], end, False)
    assert book.audit() == {"key-1": 3, "another": 1}
    with pytest.raises(ValueError, match="invalid literal"):
        book.page_cancellations("x", 2)
