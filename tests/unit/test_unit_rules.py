"""The rules of unit types are whole, and no word of them promises too much."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask
from flask_babel import force_locale, gettext
from hypothesis import given
from hypothesis import strategies as st

from cnn_offset.domain.annex_i import ANNEX_I, in_annex_i, origin_obstacle
from cnn_offset.domain.calendar import RegistryDates, RegistryPhase
from cnn_offset.domain.expiry import SALE_ENDS_BEFORE, end_of, has_expired, narrowed
from cnn_offset.domain.unit_rules import UNIT_RULES, Mechanism, UnitRules, period_fits
from cnn_offset.domain.units import Obstacle, SerialRange, UnitType
from tests.claims import faults

DAY = date(2014, 1, 1)
LANGUAGES = ("en", "fr", "es")


def block(first: str, last: str = "", series: str = "KE") -> SerialRange:
    return SerialRange(series, 1, 9, first, last or first)


def said(rules: UnitRules) -> list[str]:
    """Return what is said of a unit type as such; not what must not be said."""
    return [
        rules.label, rules.name, rules.note, rules.meaning, *rules.may_say, rules.warning,
        rules.counted, rules.lasting, rules.account, *(each.what for each in rules.levies),
    ]  # fmt: skip


def test_every_type_has_rules_and_what_it_needs() -> None:
    assert set(UNIT_RULES) == set(UnitType)
    for kind, rules in UNIT_RULES.items():
        assert all((rules.label, rules.name, rules.note, rules.meaning, rules.account)), kind
        assert rules.may_say, kind
        assert rules.never_say, kind
        # Who buys what does not last is warned; under the CDM alone are there such units.
        assert rules.lasts or rules.warning, kind
        assert rules.lasts or rules.mechanism is Mechanism.CDM, kind
        assert (rules.mechanism is Mechanism.CDM) == bool(rules.periods) == (rules.code is not None)
        assert (rules.mechanism is Mechanism.CDM) == (rules.is_authorised is None)
        assert sum(each.percent for each in rules.levies) == (2 if rules.code else 7)
    assert [kind for kind, each in UNIT_RULES.items() if not each.lasts] == ["tcer", "lcer"]
    codes = {kind.value: rules.code for kind, rules in UNIT_RULES.items() if rules.code}
    assert codes == {"cer": 5, "tcer": 6, "lcer": 7}


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("kind", UnitType)
def test_no_rule_promises_too_much(app: Flask, kind: UnitType, lang: str) -> None:
    with app.test_request_context(), force_locale(lang):
        for text in said(UNIT_RULES[kind]):
            assert faults(gettext(text) if text else "", kind) == []


@pytest.mark.parametrize(
    "text",
    [
        "Offset your flight.", "You are carbon neutral.", "Compensez vos émissions.",
        "Neutralité carbone garantie.", "Compense sus emisiones.", "Carbono neutral.",
        "It counts towards another country’s target.", "With a corresponding adjustment.",
        "Avec ajustement correspondant.", "Con ajuste correspondiente.",
    ],
)  # fmt: skip
def test_the_list_of_words_finds_what_it_is_for(text: str) -> None:
    assert faults(text, UnitType.A64ER_CONTRIBUTION)


# Annex I


def test_annex_i_has_43_parties_and_dates_for_those_who_joined() -> None:
    assert len(ANNEX_I) == 43
    assert all(re.fullmatch("[A-Z]{2}", each) for each in ANNEX_I)
    assert {"EU", "US", "CH", "JP", "UA"} <= ANNEX_I
    assert not {"IN", "BR", "CN", "CL", "KE", "KZ", "KR", "MX"} & ANNEX_I
    assert not in_annex_i("CY", date(2012, 12, 31))
    assert in_annex_i("CY", date(2013, 1, 9))


@pytest.mark.parametrize(
    ("kind", "party", "serial", "found"),
    [
        (UnitType.CER, "KE", "KE-5-1-2-2-0-8", None),
        (UnitType.TCER, "IN", "IN-6-1-2-2-1-5016", None),
        (UnitType.LCER, "IN", "IN-7-1-2-2-1-5016", None),
        # Host country or originating Party.
        (UnitType.CER, "DE", "DE-5-1-2-2-0-8", Obstacle.ANNEX_I),
        (UnitType.CER, "KE", "DE-5-1-2-2-0-8", Obstacle.ANNEX_I),
        (UnitType.CER, "EU", "nothing we can read", Obstacle.ANNEX_I),
        # AAU, RMU, ERU.
        *((UnitType.CER, "KE", f"KE-{n}-1-2-2-0-8", Obstacle.ANNEX_I) for n in (1, 2, 3, 4)),
        (UnitType.CER, "RO", "RO-4-1-2-2-0-8", Obstacle.ANNEX_I),
        # A kind or a country that the numbers deny.
        (UnitType.CER, "IN", "IN-6-1-2-2-1-5016", Obstacle.UNCLEAR),
        (UnitType.TCER, "IN", "IN-5-1-2-2-1-5016", Obstacle.UNCLEAR),
        (UnitType.CER, "KE", "UG-5-1-2-2-0-8", Obstacle.UNCLEAR),
        # Under Article 6.4 any Party may be host, and numbers tell nothing.
        (UnitType.A64ER_AUTHORISED, "DE", "DE-1-1-2-2-0-8", None),
        (UnitType.A64ER_CONTRIBUTION, "CH", "MR.CH2023.4.000A", None),
    ],
)
def test_serial_numbers_tell_units_of_annex_i(
    kind: UnitType, party: str, serial: str, found: Obstacle | None
) -> None:
    assert origin_obstacle(kind, party, block(serial, series=party), DAY) is found


def test_a_party_that_joined_later_was_host_before() -> None:
    units = block("CY-5-1-1-1-0-8", series="CY")
    assert origin_obstacle(UnitType.CER, "CY", units, date(2012, 1, 1)) is None
    assert origin_obstacle(UnitType.CER, "CY", units, DAY) is Obstacle.ANNEX_I


# Commitment periods


@pytest.mark.parametrize(
    ("kind", "number", "start", "end", "fits"),
    [
        (UnitType.CER, 1, date(2008, 1, 1), date(2012, 12, 31), True),
        (UnitType.CER, 1, date(2003, 1, 1), date(2007, 12, 31), True),
        (UnitType.CER, 1, date(2012, 6, 1), date(2013, 1, 1), False),
        (UnitType.CER, 2, date(2013, 1, 1), date(2020, 12, 31), True),
        (UnitType.CER, 2, date(2012, 12, 31), date(2014, 1, 1), False),
        (UnitType.LCER, 2, date(2015, 1, 1), date(2021, 1, 1), False),
        (UnitType.CER, 3, date(2021, 1, 1), date(2021, 12, 31), False),
        (UnitType.CER, None, date(2014, 1, 1), date(2014, 12, 31), False),
        (UnitType.A64ER_AUTHORISED, None, date(2022, 1, 1), date(2022, 12, 31), True),
        (UnitType.A64ER_CONTRIBUTION, 2, date(2022, 1, 1), date(2022, 12, 31), False),
    ],
)
def test_commitment_and_monitoring_period_go_together(
    kind: UnitType, number: int | None, start: date, end: date, fits: bool
) -> None:
    assert period_fits(kind, number, start, end) is fits


# Expiry

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)).map(
    lambda each: each.replace(tzinfo=UTC)
)


def test_the_last_day_is_valid_whole() -> None:
    day = date(2028, 12, 31)
    assert not has_expired(day, datetime(2028, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert has_expired(day, datetime(2029, 1, 1, tzinfo=UTC))
    assert not has_expired(None, datetime(2999, 1, 1, tzinfo=UTC))


@given(
    dates=st.lists(MOMENTS, min_size=4, max_size=4).map(sorted),
    known=st.tuples(*[st.booleans()] * 4),
    day=st.dates(date(2020, 1, 1), date(2035, 1, 1)),
    now=MOMENTS,
)
def test_units_that_expire_only_narrow_a_registrys_dates(
    dates: list[datetime], known: tuple[bool, ...], day: date, now: datetime
) -> None:
    opens, last_order, last_cancellation, closed = (
        each if yes else None for each, yes in zip(dates, known, strict=True)
    )
    whole = RegistryDates(opens, last_order, last_cancellation, closed)
    narrow = narrowed(whole, day)
    if narrow.phase(now) is RegistryPhase.OPEN:
        assert whole.phase(now) is RegistryPhase.OPEN
        assert now < end_of(day) - SALE_ENDS_BEFORE
    if now >= end_of(day):
        assert narrow.phase(now) in (RegistryPhase.ENDED, RegistryPhase.CLOSED)
    wanted = now + timedelta(days=90)
    assert narrow.latest_due(wanted) <= min(whole.latest_due(wanted), end_of(day))
    assert narrowed(whole, None) is whole
