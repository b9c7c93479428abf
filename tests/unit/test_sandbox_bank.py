"""The sandbox's bank writes statements that our readers believe."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from cnn_offset.domain.money import Money
from cnn_offset.plugins.payments.statements import TableMapping, read
from cnn_offset.sandbox import create_sandbox

FORM = {
    "account": "DE89 3704 0044 0532 0130 00",
    "currency": "usd",
    "amount-1": "25.00",
    "text-1": "RF74 0000 0000 0001 <b>",
    "payer-1": "Ada & Co",
    "amount-3": "-1200.50",
}
COLUMNS = TableMapping.model_validate(
    {
        "date_column": 0, "date_order": "ymd", "text_column": 1, "payer_column": 2,
        "amount_column": 3, "currency_column": 4, "ref_column": 5, "balance_column": 6,
    }
)  # fmt: skip


@pytest.fixture
def bank() -> FlaskClient:
    return create_sandbox().test_client()


@pytest.mark.parametrize("kind", ["camt053", "mt940", "csv"])
def test_statements_that_are_believed(bank: FlaskClient, kind: str) -> None:
    answer = bank.post("/bank", data={**FORM, "format": kind})
    assert answer.status_code == 200
    assert "attachment" in answer.headers["Content-Disposition"]
    (found,) = read(answer.data, COLUMNS)
    assert found.is_proven
    came, went = found.lines
    assert (came.amount, went.amount) == (Money(2500, "USD"), Money(-120050, "USD"))
    assert came.payer == "Ada & Co"
    assert "RF74 0000 0000 0001 <b>" in came.text
    assert came.ref.startswith("SB")
    again = read(bank.post("/bank", data={**FORM, "format": kind}).data, COLUMNS)
    assert [each.ref for each in again[0].lines] == [came.ref, went.ref]


@pytest.mark.parametrize(
    "change",
    [{"account": ""}, {"currency": "12"}, {"amount-1": "", "amount-3": ""}, {"amount-1": "NaN"},
     {"amount-1": "1.005"}, {"amount-1": "many"}, {"format": "pdf"}],
)  # fmt: skip
def test_what_cannot_be_booked(bank: FlaskClient, change: dict[str, str]) -> None:
    answer = bank.post("/bank", data={**FORM, **change})
    assert answer.status_code == 422
    assert "Ada &amp; Co" in answer.text


def test_the_form(bank: FlaskClient) -> None:
    assert bank.get("/bank?account=X").status_code == 200
