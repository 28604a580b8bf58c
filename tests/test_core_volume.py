"""How many records to expect, and chunks that hold no more than they should."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core import attempts, volume
from orchestrator.core import debt as debts
from orchestrator.core.chunks import ceiling, split
from orchestrator.core.intervals import Window, union
from orchestrator.core.model import (
    AbsoluteWindow,
    Failure,
    Job,
    JobSeries,
    Series,
    SeriesState,
    Span,
    Unit,
)
from orchestrator.core.next_steps import ALWAYS, Buy, Defer, GiveUp, Step, WaitForOpen
from orchestrator.core.volume import MARGIN, SCARCE_FACTOR, History, ObservedSpan, Sizing
from tests.kit.ledgers import day, span

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")
MONTH = Span(1, Unit.MONTHS)


def days(start: str, *rows: int) -> tuple[ObservedSpan, ...]:
    """Days that were collected, one after the other."""
    first = day(start)
    return tuple(
        ObservedSpan(Window(first + number * DAY, first + (number + 1) * DAY), DAY, count)
        for number, count in enumerate(rows)
    )


def test_of_nothing_nothing_is_expected() -> None:
    assert History().expected((span("2026-01-01", "2026-02-01"),)) is None


def test_the_mean_is_what_a_window_will_cost() -> None:
    seen = days("2026-01-01", *([100] * 9), 1100)
    assert History(seen).expected((span("2026-02-01", "2026-02-11"),)) == 2000


def test_what_was_seen_near_the_window_counts() -> None:
    old, new = days("2024-06-01", *([10] * 30)), days("2026-01-01", *([1000] * 30))
    history = History((*old, *new))
    assert history.expected((span("2024-07-01", "2024-07-02"),)) == 10
    assert history.expected((span("2026-02-01", "2026-02-02"),)) == 1000


def test_far_from_everything_the_nearest_week_counts() -> None:
    seen = (*days("2026-01-01", *([5] * 10)), *days("2026-02-10", *([50] * 10)))
    assert History(seen).expected((span("2024-01-01", "2024-01-02"),)) == 5


def test_the_densest_day_decides_what_fits() -> None:
    seen = days("2026-01-01", *([100] * 9), 1100)
    window = span("2026-02-01", "2026-02-11")
    assert History(seen).at_most(window) == pytest.approx(11_000)
    assert Sizing(int(11_000 * MARGIN) + 1, History(seen)).fits(window)
    assert not Sizing(int(11_000 * MARGIN) - 1, History(seen)).fits(window)


def test_a_single_day_and_other_accounts_prove_less() -> None:
    window = span("2026-02-01", "2026-02-02")
    one_day = History(days("2026-01-01", 100))
    others = History(days("2026-01-01", *([100] * 30)), own=False)
    assert one_day.at_most(window) == pytest.approx(100 * SCARCE_FACTOR)
    assert others.at_most(window) == pytest.approx(100 * SCARCE_FACTOR)


def test_a_long_stretch_that_began_long_before_is_seen() -> None:
    year = Window(day("2025-01-01"), day("2026-01-01"))
    history = History((ObservedSpan(year, year.length, 365), *days("2026-01-10", 5)))
    assert history.at_most(span("2025-12-01", "2025-12-02")) == pytest.approx(5)


@pytest.mark.parametrize(
    ("a_day", "lengths"),
    [
        (100, [31]),  # 3,100 records; with the margin, 4,650
        (110, [4, 27]),  # the month is too much; up to a fortnight's grid line, then the rest
        (10_000, [0.25] * 124),
        (10**9, [1 / 24] * 744),
    ],
    ids=["a month", "weeks", "hours", "never below an hour"],
)
def test_the_largest_chunk_that_fits_is_taken(a_day: int, lengths: list[float]) -> None:
    sized = Sizing(5_000, History(days("2026-01-01", *([a_day] * 30))))
    january = span("2026-01-01", "2026-02-01")
    chunks = split((january,), MONTH, UTC_ZONE, fits=sized.fits)
    assert [chunk.length / DAY for chunk in chunks] == pytest.approx(lengths)


moments = st.integers(0, 700 * 24).map(lambda hours: day("2024-03-01") + hours * HOUR)
windows = st.builds(
    lambda start, hours: Window(start, start + hours * HOUR), moments, st.integers(1, 2500)
)
histories = st.lists(
    st.builds(
        lambda start, hours, rows: ObservedSpan(
            Window(start, start + hours * HOUR), hours * HOUR, rows
        ),
        moments,
        st.integers(1, 800),
        st.integers(0, 10**6),
    ),
    min_size=1,
    max_size=12,
).map(lambda seen: History(tuple(sorted(seen, key=lambda one: one.window))))
sizes = st.sampled_from(
    [Span(1, Unit.MONTHS), Span(13, Unit.MONTHS), Span(2, Unit.WEEKS), Span(12, Unit.HOURS)]
)
zones = st.sampled_from(["UTC", "Europe/London", "America/St_Johns", "Pacific/Apia"]).map(ZoneInfo)


@given(st.lists(windows, min_size=1, max_size=3), histories, sizes, zones, st.integers(100, 10**7))
@settings(max_examples=25)
def test_sized_chunks_cover_the_debt_exactly(
    owed: list[Window], history: History, size: Span, zone: ZoneInfo, target: int
) -> None:
    sized = Sizing(target, history)
    chunks = list(split(owed, size, zone, fits=sized.fits))
    assert union(chunks) == union(owed)
    assert all(one.end <= other.start for one, other in pairwise(chunks))
    assert all(chunk.end <= ceiling(chunk.start) for chunk in chunks)
    assert all(sized.fits(chunk) or chunk.length <= HOUR for chunk in chunks)


@given(windows, histories, sizes, st.integers(100, 10**7))
@settings(max_examples=10)
def test_the_same_history_cuts_in_the_same_places(
    owed: Window, history: History, size: Span, target: int
) -> None:
    again = History(history.seen, own=history.own)
    first = list(split((owed,), size, UTC_ZONE, fits=Sizing(target, history).fits))
    assert list(split((owed,), size, UTC_ZONE, fits=Sizing(target, again).fits)) == first


# --- probes ---------------------------------------------------------------------------------------


def job(target_rows: int | None = 1000, chunk: Span = MONTH) -> Job:
    entry = JobSeries(Series.of("abcd1234", "VERIFY-API"), "default")
    return Job(
        name="job",
        path=Path("job.yaml"),
        zone=UTC_ZONE,
        series=(entry,),
        windows=(AbsoluteWindow(day("2025-12-01"), day("2026-02-15")),),
        chunk=chunk,
        target_rows=target_rows,
    )


def debt_of(one: Job, history: History, failures: tuple[Failure, ...] = ()) -> debts.Debt:
    return debts.debt(one, one.series[0], NOW, SeriesState(failures=failures), history=history)


def test_of_an_unknown_series_the_newest_day_comes_first_and_alone() -> None:
    assert list(attempts.steps(debt_of(job(), History()), ())) == [
        Buy(span("2026-02-14", "2026-02-15"), ALWAYS),
        WaitForOpen(),
    ]


def test_a_probe_is_no_longer_than_a_chunk() -> None:
    (buy, _) = attempts.steps(debt_of(job(chunk=Span(6, Unit.HOURS)), History()), ())
    assert buy == Buy(span("2026-02-14T18:00:00", "2026-02-15"), ALWAYS)


def test_a_truncated_probe_is_tried_in_smaller_pieces() -> None:
    newest = span("2026-02-14", "2026-02-15")
    cut_short = (Failure(newest, truncated=True, reason="too large"),)
    (buy, _) = attempts.steps(debt_of(job(), History(), cut_short), cut_short)
    assert buy == Buy(span("2026-02-14T18:00:00", "2026-02-15"), ALWAYS)


def test_a_probe_that_keeps_failing_leaves_the_series_for_this_run() -> None:
    newest = span("2026-02-14", "2026-02-15")
    failed = (Failure(newest, truncated=False, reason="no"),) * attempts.MAX_FAILED_A_RUN
    steps = list(attempts.steps(debt_of(job(), History(), failed), failed, [newest] * 3))
    assert steps == [Defer(newest)]


def test_a_probe_that_is_given_up_makes_room_for_the_next() -> None:
    newest = span("2026-02-14T12:00:00", "2026-02-15")
    failed = (Failure(newest, truncated=False, reason="no"),) * attempts.MAX_FAILED
    steps = list(attempts.steps(debt_of(job(), History(), failed), failed))
    assert steps == [GiveUp(newest, "9 reports came to nothing, the last: no"), WaitForOpen()]


def test_with_a_history_everything_is_cut_at_once() -> None:
    history = History(days("2026-01-01", *([20] * 30)))
    steps = list(attempts.steps(debt_of(job(), history), ()))
    assert [step.window for step in steps if isinstance(step, Buy)] == [
        span("2025-12-01", "2026-01-01"),
        span("2026-01-01", "2026-02-01"),
        span("2026-02-01", "2026-02-15"),
    ]


def test_the_smaller_of_both_limits_sizes_the_chunks() -> None:
    history = History(days("2026-01-01", *([20] * 30)))
    assert volume.sizing(job(1000), history, None) == Sizing(1000, history)
    assert volume.sizing(job(1000), history, 300) == Sizing(300, history, careful=True)
    assert volume.sizing(job(None), history, 300) == Sizing(300, history, careful=True)
    assert volume.sizing(job(None), history, None) is None


def careful(history: History, room: int = 10**9) -> list[Step]:
    one = job(None)
    owed = debts.debt(one, one.series[0], NOW, SeriesState(), history=history, room=room)
    return list(attempts.steps(owed, ()))


def test_with_a_budget_the_newest_hour_comes_first() -> None:
    likes = History(days("2026-01-01", *([20] * 30)), own=False)
    first = [Buy(span("2026-02-14T23:00:00", "2026-02-15"), ALWAYS), WaitForOpen()]
    assert careful(History()) == first
    assert careful(likes) == first, "what others hold says too little"


def test_then_four_times_as_much_as_was_seen_until_a_week_was() -> None:
    hour = ObservedSpan(span("2026-02-15", "2026-02-15T01:00:00"), HOUR, 3)
    assert careful(History((hour,))) == [
        Buy(span("2026-02-14T20:00:00", "2026-02-15"), ALWAYS),
        WaitForOpen(),
    ]
    assert len(careful(History(days("2026-02-15", *([3] * 7))))) > 2


def test_a_step_is_no_larger_than_there_is_room_for() -> None:
    hour = ObservedSpan(span("2026-02-15", "2026-02-15T01:00:00"), HOUR, 3)
    (buy, _) = careful(History((hour,)), room=30)
    assert buy == Buy(span("2026-02-14T23:00:00", "2026-02-15"), ALWAYS)
