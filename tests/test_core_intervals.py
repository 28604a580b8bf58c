"""Interval arithmetic, checked against sets of single seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core import intervals
from orchestrator.core.intervals import Window

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)


def at(second: int) -> datetime:
    return EPOCH + timedelta(seconds=second)


def seconds_of(windows: tuple[Window, ...]) -> set[int]:
    return {
        second
        for window in windows
        for second in range(
            int((window.start - EPOCH).total_seconds()), int((window.end - EPOCH).total_seconds())
        )
    }


def is_normal(windows: tuple[Window, ...]) -> bool:
    return all(one.end < other.start for one, other in pairwise(windows))


windows = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 12)).map(
        lambda pair: Window(at(pair[0]), at(pair[0] + pair[1]))
    ),
    max_size=8,
).map(tuple)


@given(windows, windows)
def test_union_holds_every_moment_of_either_and_is_normal(
    one: tuple[Window, ...], other: tuple[Window, ...]
) -> None:
    joined = intervals.union(one, other)
    assert seconds_of(joined) == seconds_of(one) | seconds_of(other)
    assert is_normal(joined)


@given(windows, windows)
def test_subtract_leaves_the_moments_of_the_first_alone(
    one: tuple[Window, ...], other: tuple[Window, ...]
) -> None:
    left = intervals.subtract(one, other)
    assert seconds_of(left) == seconds_of(one) - seconds_of(other)
    assert is_normal(left)


@given(windows, windows)
def test_intersect_keeps_the_moments_in_both(
    one: tuple[Window, ...], other: tuple[Window, ...]
) -> None:
    both = intervals.intersect(one, other)
    assert seconds_of(both) == seconds_of(one) & seconds_of(other)
    assert is_normal(both)


@given(windows, windows)
def test_overlaps_are_counted_as_if_one_by_one(
    some: tuple[Window, ...], others: tuple[Window, ...]
) -> None:
    overlaps = intervals.Overlaps(some)
    for window in others:
        assert overlaps.of(window) == sum(window.overlaps(one) for one in some)


@given(windows, st.integers(0, 80))
def test_before_and_since_share_the_moments_at_a_border(
    some: tuple[Window, ...], border: int
) -> None:
    assert seconds_of(intervals.before(some, at(border))) == {
        second for second in seconds_of(some) if second < border
    }
    assert seconds_of(intervals.since(some, at(border))) == {
        second for second in seconds_of(some) if second >= border
    }


@given(windows)
def test_total_is_the_number_of_moments(some: tuple[Window, ...]) -> None:
    assert intervals.total(some) == timedelta(seconds=len(seconds_of(some)))


@given(windows)
def test_a_window_survives_the_way_through_epoch_seconds(some: tuple[Window, ...]) -> None:
    assert tuple(Window.of_epoch(*window.epoch) for window in some) == some


@pytest.mark.parametrize(
    ("start", "end"),
    [
        pytest.param(at(1), at(1), id="empty"),
        pytest.param(at(2), at(1), id="backwards"),
        pytest.param(at(0).replace(microsecond=1), at(2), id="fraction"),
        pytest.param(at(0).replace(tzinfo=None), at(2), id="naive"),
        pytest.param(at(0).astimezone(timezone(timedelta(hours=1))), at(2), id="other zone"),
    ],
)
def test_a_window_is_never_empty_naive_fractional_or_elsewhere(
    start: datetime, end: datetime
) -> None:
    with pytest.raises((ValueError, TypeError)):
        Window(start, end)


def test_a_window_shows_days_as_days_and_moments_as_moments() -> None:
    assert str(Window(at(0), at(86_400))) == "2024-01-01 to 2024-01-02"
    assert str(Window(at(0), at(1))) == "2024-01-01T00:00:00Z to 2024-01-01T00:00:01Z"
