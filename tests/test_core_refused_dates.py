"""What is asked for after 422s for dates: everything that can be had, and little in vain."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.attempts import steps
from orchestrator.core.debt import debt
from orchestrator.core.intervals import Window, subtract, union
from orchestrator.core.model import AbsoluteWindow, Job, JobSeries, Series, SeriesState, Span, Unit
from orchestrator.core.next_steps import Buy, GiveUp
from orchestrator.core.refused_dates import IN_VAIN, RefusedDates

NOW = datetime(2026, 3, 1, tzinfo=UTC)
START = datetime(2025, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WANTED = Window(START, datetime(2026, 2, 1, tzinfo=UTC))


def job(chunk: Span) -> Job:
    return Job(
        name="job",
        path=Path("job.yaml"),
        zone=ZoneInfo("UTC"),
        series=(JobSeries(Series.of("abcd1234", "VERIFY-API"), "default"),),
        windows=(AbsoluteWindow(WANTED.start, WANTED.end),),
        chunk=chunk,
    )


chunks = st.sampled_from(
    [Span(1, Unit.DAYS), Span(1, Unit.WEEKS), Span(1, Unit.MONTHS), Span(13, Unit.MONTHS)]
)


@settings(max_examples=60)
@given(chunks, st.integers(0, 100), st.integers(0, 100), st.sampled_from([1, 3, 7, 31, 500]))
def test_what_can_be_had_is_had_and_only_what_is_older_is_given_up(
    chunk: Span, border: int, believed: int, longest: int
) -> None:
    """An API with a border and a longest range, whatever we believe of its border."""
    oldest, edge = START + border * DAY, START + believed * DAY
    dates = RefusedDates()
    whole = debt(job(chunk), job(chunk).series[0], NOW, SeriesState())
    had: list[Window] = []
    given_up: list[Window] = []
    number = 0
    while owed := subtract([WANTED], (*had, *given_up)):
        step = next(steps(replace(whole, owed=owed), (), dates=dates))
        match step:
            case GiveUp(window):
                given_up.append(window)
            case Buy(window) if window.start >= oldest and window.length <= longest * DAY:
                had.append(window)
                dates.passed(window)
            case Buy(window):
                number += 1
                dates.refuse(window, "refused", number, edge)
            case _:
                raise AssertionError(step)
    assert all(one.end <= oldest + DAY for one in given_up)
    assert not subtract([Window(oldest + DAY, WANTED.end)], had)
    assert union(given_up, had) == (WANTED,)
    days = border if chunk.unit is Unit.DAYS else 2 * max(0, border - believed)
    assert number <= 60 + days


def test_where_nothing_passes_the_series_is_left() -> None:
    dates = RefusedDates()
    for number in range(IN_VAIN):
        assert not dates.in_vain
        start = START + number * DAY
        dates.refuse(Window(start, start + DAY), "no", number, START)
    assert dates.in_vain
