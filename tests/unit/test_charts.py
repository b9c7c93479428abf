"""Charts as geometry, shares in per cent, and periods cut into spans."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_offset.charts import HIGH, WIDTH, ceiling, columns, lying
from cnn_offset.domain.period import LONGEST_DAYS, Period
from cnn_offset.figure_sections import per_cent
from cnn_offset.models import Span
from cnn_offset.services.figures import Count, Figures, spans


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=62))
def test_columns_stay_within_the_drawing(values: list[int]) -> None:
    points = [(str(at), f"Day {at}", value) for at, value in enumerate(values)]
    chart = columns(points, title="t", description="d", write=str)
    assert len(chart.bars) == len(values)
    for bar in chart.bars:
        assert 0 <= bar.height <= HIGH
        assert bar.width >= 1
        assert bar.x >= 0
        assert bar.x + bar.width <= WIDTH
        assert 0 <= bar.y <= bar.y + bar.height <= chart.height
    assert 0 < sum(bool(bar.label) for bar in chart.bars) <= 12


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=40))
def test_lying_bars_are_few_and_as_long_as_the_longest(values: list[int]) -> None:
    values.sort(reverse=True)
    chart = lying([(str(each), each) for each in values], title="t", description="d", write=str)
    assert len(chart.bars) == min(len(values), 10)
    assert chart.bars[0].width == WIDTH
    assert all(1 <= bar.width <= WIDTH for bar in chart.bars)


@given(st.integers(0, 10**15))
def test_two_steps_hold_the_highest(most: int) -> None:
    step = ceiling(most)
    assert 2 * step >= most
    assert str(step).rstrip("0") in {"1", "2", "5"}
    assert step == 1 or 2 * step <= max(most * 3, 2)


@pytest.mark.parametrize(
    ("part", "whole", "share"),
    [
        (1, 3, "33.3"),
        (2, 3, "66.7"),
        (1, 1, "100"),
        (0, 7, "0"),
        (1, 2000, "0.1"),
        (1, 2001, "0"),
        (10**15, 3 * 10**15, "33.3"),
    ],
)
def test_shares_to_one_place_half_rounded_up(part: int, whole: int, share: str) -> None:
    assert per_cent(part, whole) == Decimal(share)


def test_there_is_no_share_of_nothing() -> None:
    assert per_cent(0, 0) is None


@given(
    st.dates(date(2001, 1, 1), date(2100, 1, 1)),
    st.integers(0, LONGEST_DAYS - 1),
    st.sampled_from(list(Span)),
)
def test_spans_make_up_the_period_and_no_more(first: date, length: int, longest: Span) -> None:
    period = Period.of_days(first, first + timedelta(days=length))
    found = spans(period, longest)
    days: list[date] = []
    for span, begin, end in found:
        part = begin
        while part <= end:
            last = part if span is Span.DAY else Period.holding(span.value, part).last
            while part <= last:
                days.append(part)
                part += timedelta(days=1)
    assert days == [first + timedelta(days=each) for each in range(length + 1)]
    assert len(found) <= 5
    assert longest is not Span.DAY or {span for span, _, _ in found} == {Span.DAY}
    assert longest is Span.YEAR or Span.YEAR not in {span for span, _, _ in found}


def test_half_and_nine_of_ten() -> None:
    def of(**times: int) -> Figures:
        counts = {limit.removeprefix("m"): Count(number) for limit, number in times.items()}
        return Figures(Period.parse("2026"), {("attested", "minutes"): counts}, {})

    assert of().minutes(50) is None
    assert of(m5=1).minutes(50) == of(m5=1).minutes(90) == 5
    assert of(m2=5, m60=4, m1440=1).minutes(50) == 2
    assert of(m2=5, m60=4, m1440=1).minutes(90) == 60
    assert of(m2=5, m60=4, m1440=2).minutes(90) == 1440
