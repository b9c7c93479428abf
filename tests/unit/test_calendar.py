"""Working days, and what a registry still does on a day."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_offset.domain.calendar import RegistryDates, RegistryPhase, add_working_days

moments = st.datetimes(
    datetime(2020, 1, 1),
    datetime(2030, 1, 1),
    timezones=st.just(UTC),
)
FIRST = datetime(2026, 12, 1, tzinfo=UTC)
DATES = RegistryDates(
    opens=FIRST,
    last_order=FIRST + timedelta(days=10),
    last_cancellation=FIRST + timedelta(days=20),
    closed=FIRST + timedelta(days=30),
)
JUST_BEFORE = timedelta(microseconds=1)


# Working days


def test_a_friday_order_is_due_on_tuesday() -> None:
    friday = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
    assert add_working_days(friday, 2) == datetime(2026, 11, 24, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize("day", [21, 22])
def test_a_weekend_counts_for_nothing(day: int) -> None:
    weekend = datetime(2026, 11, day, 9, tzinfo=UTC)
    assert add_working_days(weekend, 1) == datetime(2026, 11, 23, 9, tzinfo=UTC)


@given(moments)
def test_no_days_changes_nothing(start: datetime) -> None:
    assert add_working_days(start, 0) == start


@given(moments, st.integers(1, 30))
def test_as_many_working_days_lie_between(start: datetime, days: int) -> None:
    end = add_working_days(start, days)
    passed = [start + timedelta(days=n) for n in range(1, (end - start).days + 1)]
    assert end.weekday() < 5
    assert sum(each.weekday() < 5 for each in passed) == days
    assert end.timetz() == start.timetz()


# Phases


@pytest.mark.parametrize(
    ("date", "before", "after"),
    [
        ("opens", RegistryPhase.NOT_OPEN, RegistryPhase.OPEN),
        ("last_order", RegistryPhase.OPEN, RegistryPhase.DRAINING),
        ("last_cancellation", RegistryPhase.DRAINING, RegistryPhase.ENDED),
        ("closed", RegistryPhase.ENDED, RegistryPhase.CLOSED),
    ],
)
def test_each_date_is_the_first_moment_of_what_follows(
    date: str, before: RegistryPhase, after: RegistryPhase
) -> None:
    moment = getattr(DATES, date)
    assert DATES.phase(moment - JUST_BEFORE) is before
    assert DATES.phase(moment) is after


@given(moments)
def test_a_registry_without_dates_is_open(now: datetime) -> None:
    assert RegistryDates().phase(now) is RegistryPhase.OPEN
    assert RegistryDates().allows_method(now, timedelta(days=365))
    assert RegistryDates().latest_due(now) == now


@given(
    st.lists(moments, min_size=4, max_size=4).map(sorted),
    st.lists(st.booleans(), min_size=4, max_size=4),
    moments,
    moments,
)
def test_a_phase_never_goes_back(
    dates: list[datetime], known: list[bool], one: datetime, two: datetime
) -> None:
    order = list(RegistryPhase)
    given_dates = RegistryDates(
        *(date if is_known else None for date, is_known in zip(dates, known, strict=True))
    )
    earlier, later = sorted([one, two])
    assert order.index(given_dates.phase(earlier)) <= order.index(given_dates.phase(later))


@pytest.mark.parametrize("pair", list(itertools.combinations(range(4), 2)))
def test_dates_out_of_order_are_refused(pair: tuple[int, int]) -> None:
    dates: list[datetime | None] = [None] * 4
    dates[pair[0]], dates[pair[1]] = FIRST + timedelta(days=1), FIRST
    with pytest.raises(ValueError, match="follow one another"):
        RegistryDates(*dates)
    dates[pair[0]] = FIRST
    RegistryDates(*dates)


@pytest.mark.parametrize("position", range(4))
def test_dates_need_a_time_zone(position: int) -> None:
    dates: list[datetime | None] = [None] * 4
    dates[position] = datetime(2026, 12, 31)
    with pytest.raises(ValueError, match="time zone"):
        RegistryDates(*dates)


# Ways to pay, and due times


@pytest.mark.parametrize(
    ("days_before", "slowest_days", "allowed"),
    [(14, 14, True), (14, 15, False), (14, 1, True), (9, 1, False), (25, 1, False)],
)
def test_money_must_be_able_to_come_in_time(
    days_before: int, slowest_days: int, allowed: bool
) -> None:
    last = FIRST + timedelta(days=20)
    now = last - timedelta(days=days_before)
    assert DATES.allows_method(now, timedelta(days=slowest_days)) is allowed


def test_nothing_is_allowed_after_the_end() -> None:
    for days in (20, 25, 30, 40):
        assert not DATES.allows_method(FIRST + timedelta(days=days), timedelta(0))


def test_what_is_due_leaves_a_day_to_cancel() -> None:
    last = FIRST + timedelta(days=20)
    assert DATES.latest_due(last + timedelta(days=1)) == last - timedelta(days=1)
    assert DATES.latest_due(last) == last - timedelta(days=1)
    assert DATES.latest_due(last - timedelta(days=2)) == last - timedelta(days=2)


# Near the end


@pytest.mark.parametrize(
    ("before", "days", "hours"),
    [
        (timedelta(days=30), 30, 720),
        (timedelta(days=1, hours=1), 1, 25),
        (timedelta(hours=23, minutes=59), 0, 24),
        (timedelta(minutes=1), 0, 1),
    ],
)
def test_near_the_last_order_what_is_left_is_counted(
    before: timedelta, days: int, hours: int
) -> None:
    dates = replace(DATES, opens=None)
    assert dates.last_order is not None
    left = dates.countdown(dates.last_order - before)
    assert left is not None
    assert (left.until, left.days, left.hours) == (dates.last_order, days, hours)


@pytest.mark.parametrize("after", [timedelta(days=-31), timedelta(0), timedelta(days=1)])
def test_else_nothing_is_counted(after: timedelta) -> None:
    dates = replace(DATES, opens=None)
    assert dates.last_order is not None
    assert dates.countdown(dates.last_order + after) is None
    assert RegistryDates().countdown(FIRST) is None


def test_without_a_last_order_orders_end_with_the_cancellations() -> None:
    assert RegistryDates(last_cancellation=FIRST).orders_until == FIRST
    assert RegistryDates(closed=FIRST).end == FIRST
    assert RegistryDates().end is None


@given(st.timedeltas(timedelta(0), timedelta(days=15)))
def test_a_method_is_possible_just_until_it_is_said_to_be(slowest: timedelta) -> None:
    dates = replace(DATES, opens=None)
    until = dates.method_until(slowest)
    assert until is not None
    assert dates.allows_method(until - JUST_BEFORE, slowest)
    assert not dates.allows_method(until + JUST_BEFORE, slowest)


def test_a_placed_order_may_be_paid_after_the_last_order() -> None:
    now = DATES.last_order
    assert now is not None
    assert not DATES.allows_method(now, timedelta(days=1))
    assert DATES.allows_method(now, timedelta(days=1), placed=True)
    assert not DATES.allows_method(now, timedelta(days=11), placed=True)
