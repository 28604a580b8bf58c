"""The splitter: what its chunks promise, in any zone, at any size."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.core.calendar import add_months, first_instant, last_midnight, local_date
from orchestrator.core.chunks import ceiling, last_line, next_line, split
from orchestrator.core.intervals import Window
from orchestrator.core.model import Span, Unit

ZONES = [
    ZoneInfo(name)
    for name in (
        "UTC",
        "Europe/London",
        "America/New_York",
        "America/Sao_Paulo",  # until 2019 some midnights did not exist
        "America/Havana",  # some midnights occur twice
        "Asia/Kathmandu",  # +05:45
        "Australia/Lord_Howe",  # daylight saving of half an hour
        "Pacific/Apia",  # skipped 2011-12-30
        "Africa/Cairo",
        "Asia/Tokyo",
    )
]
HOURS = [Span(count, Unit.HOURS) for count in (1, 2, 3, 4, 6, 8, 12, 24)]

sizes = st.one_of(
    st.sampled_from(HOURS),
    st.builds(Span, st.integers(1, 60), st.just(Unit.DAYS)),
    st.builds(Span, st.integers(1, 9), st.just(Unit.WEEKS)),
    st.builds(Span, st.integers(1, 13), st.just(Unit.MONTHS)),
)
moments = st.datetimes(datetime(2007, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - hypothesis wants naive bounds
    lambda moment: moment.replace(microsecond=0)
)


@st.composite
def windows(draw: st.DrawFn, longest: int = 3 * 366) -> Window:
    start = draw(moments)
    seconds = draw(st.integers(1, longest * 86_400))
    return Window(start, start + timedelta(seconds=seconds))


def units(start: datetime, size: Span, zone: ZoneInfo) -> datetime:
    """`start` and one size more on the wall clock, with two hours of grace for clock changes."""
    grace = timedelta(hours=2)
    match size.unit:
        case Unit.HOURS:
            return start + timedelta(hours=size.count)
        case Unit.DAYS:
            return start + timedelta(days=size.count) + grace
        case Unit.WEEKS:
            return start + timedelta(weeks=size.count) + grace
        case Unit.MONTHS:
            first = local_date(start, zone).replace(day=1)
            months = first.year * 12 + first.month - 1 + size.count
            return first_instant(date(months // 12, months % 12 + 1, 1), zone) + timedelta(days=31)


@settings(max_examples=400)
@given(windows(), sizes, st.sampled_from(ZONES), st.data())
def test_chunks_cover_exactly_touch_and_fit(
    window: Window, size: Span, zone: ZoneInfo, draws: st.DataObject
) -> None:
    """Covers exactly, touches, never overlaps, at most 13 months of UTC from its own start."""
    if size.unit is Unit.HOURS:
        window = Window(window.start, min(window.end, window.start + timedelta(days=20)))
    cuts = draws.draw(st.lists(moments, max_size=3))
    chunks = list(split([window], size, zone, cuts))
    assert chunks[0].start == window.start
    assert chunks[-1].end == window.end
    assert all(one.end == other.start for one, other in pairwise(chunks))
    assert all(chunk.end <= add_months(chunk.start, 13) for chunk in chunks)
    assert all(chunk.end <= units(chunk.start, size, zone) for chunk in chunks)
    assert not any(chunk.start < cut < chunk.end for chunk in chunks for cut in cuts)


@settings(max_examples=300)
@given(windows(400), windows(400), sizes, st.sampled_from(ZONES))
def test_what_is_left_of_a_window_is_cut_in_the_same_places(
    window: Window, taken: Window, size: Span, zone: ZoneInfo
) -> None:
    """Borders do not depend on where a window begins: only on the grid."""
    if size.unit is Unit.HOURS or not window.overlaps(taken) or taken.start <= window.start:
        return
    whole = {chunk.end for chunk in split([window], size, zone)}
    head = Window(window.start, min(window.end, taken.start))
    cut = {chunk.end for chunk in split([head], size, zone)}
    assert cut - {head.end} <= whole


@pytest.mark.parametrize("start", ["2023-02-28", "2024-02-29", "2023-01-31", "2024-01-31"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Auckland"])
def test_thirteen_months_from_the_ends_of_months(start: str, zone: str) -> None:
    """Counted from each chunk's own start: 29 March lies beyond 13 months from 28 February."""
    begin = datetime.fromisoformat(start).replace(tzinfo=UTC)
    window = Window(begin, begin + timedelta(days=3000))
    chunks = list(split([window], Span(13, Unit.MONTHS), ZoneInfo(zone)))
    assert all(chunk.end <= ceiling(chunk.start) for chunk in chunks)
    assert sum((chunk.length for chunk in chunks), timedelta()) == window.length


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("2023-02-28T00:00:00", "2024-03-28T00:00:00"),
        ("2024-02-29T12:00:00", "2025-03-29T12:00:00"),
        ("2023-01-31T00:00:00", "2024-02-29T00:00:00"),
        ("2022-01-31T00:00:00", "2023-02-28T00:00:00"),
        ("2023-12-01T00:00:00", "2025-01-01T00:00:00"),
    ],
)
def test_the_ceiling_clamps_the_day_to_the_end_of_the_month(start: str, expected: str) -> None:
    moment = datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert ceiling(moment) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_thirteen_local_months_over_a_clock_change_fall_back_to_a_midnight() -> None:
    """March to April a year later is an hour longer in local months than in months of UTC."""
    zone = ZoneInfo("Europe/London")
    size = Span(13, Unit.MONTHS)
    start = last_line(datetime(2025, 1, 1, tzinfo=UTC), size, zone)
    lines = [start]
    for _ in range(12):
        lines.append(next_line(lines[-1], size, zone))
    window = Window(lines[0], lines[-1])
    ends = [chunk.end for chunk in split([window], size, zone)]
    strays = [end for end in ends if end not in lines]
    assert strays
    assert all(last_midnight(end, zone) == end for end in strays)


@pytest.mark.parametrize(
    ("size", "zone", "start", "expected"),
    [
        (Span(1, Unit.MONTHS), "Europe/London", "2024-03-15T10:00", "2024-03-31T23:00"),
        (Span(3, Unit.MONTHS), "UTC", "2024-02-15T00:00", "2024-04-01T00:00"),
        (Span(5, Unit.MONTHS), "UTC", "1970-01-01T00:00", "1970-06-01T00:00"),
        (Span(1, Unit.WEEKS), "UTC", "2024-02-15T00:00", "2024-02-19T00:00"),
        (Span(2, Unit.WEEKS), "UTC", "1970-01-05T00:00", "1970-01-19T00:00"),
        (Span(10, Unit.DAYS), "UTC", "1970-01-11T00:00", "1970-01-21T00:00"),
        (Span(1, Unit.DAYS), "Asia/Tokyo", "2024-02-15T14:59", "2024-02-15T15:00"),
        (Span(12, Unit.HOURS), "Asia/Tokyo", "2024-02-15T15:00", "2024-02-16T03:00"),
        # A day of 25 hours: its last piece is the hour that is left.
        (Span(12, Unit.HOURS), "Europe/London", "2024-10-27T23:00", "2024-10-28T00:00"),
        # A day of 23 hours.
        (Span(12, Unit.HOURS), "Europe/London", "2024-03-31T12:00", "2024-03-31T23:00"),
    ],
)
def test_grid_lines(size: Span, zone: str, start: str, expected: str) -> None:
    moment = datetime.fromisoformat(start).replace(tzinfo=UTC)
    line = next_line(moment, size, ZoneInfo(zone))
    assert line == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@settings(max_examples=400)
@given(moments, sizes, st.sampled_from(ZONES))
@example(datetime(2011, 12, 30, 10, tzinfo=UTC), Span(1, Unit.DAYS), ZoneInfo("Pacific/Apia"))
@example(datetime(2011, 12, 30, 9, tzinfo=UTC), Span(1, Unit.DAYS), ZoneInfo("Pacific/Apia"))
def test_lines_stand_on_both_sides_of_a_moment(
    moment: datetime, size: Span, zone: ZoneInfo
) -> None:
    before, after = last_line(moment, size, zone), next_line(moment, size, zone)
    assert before <= moment < after
    assert last_line(before, size, zone) == before
    assert last_line(after, size, zone) == after
    assert next_line(before, size, zone) == after


@pytest.mark.parametrize(
    ("day", "zone", "expected"),
    [
        pytest.param("2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00", id="no midnight"),
        pytest.param("2024-11-03", "America/Havana", "2024-11-03T04:00", id="midnight twice"),
        pytest.param("2011-12-30", "Pacific/Apia", "2011-12-30T10:00", id="no such date"),
        pytest.param("2011-12-31", "Pacific/Apia", "2011-12-30T10:00", id="after it"),
        pytest.param("2024-06-01", "Asia/Kathmandu", "2024-05-31T18:15", id="odd offset"),
    ],
)
def test_the_first_instant_of_a_date(day: str, zone: str, expected: str) -> None:
    instant = first_instant(date.fromisoformat(day), ZoneInfo(zone))
    assert instant == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@settings(max_examples=300)
@given(st.dates(date(1975, 1, 1), date(2035, 1, 1)), st.sampled_from(ZONES))
def test_no_earlier_moment_shows_the_date(day: date, zone: ZoneInfo) -> None:
    instant = first_instant(day, zone)
    assert local_date(instant, zone) >= day
    assert local_date(instant - timedelta(seconds=1), zone) < day
