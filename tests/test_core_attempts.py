"""What is bought after reports that came to nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.attempts import (
    AT_MOST,
    BEFORE_SPLIT,
    Buy,
    Failure,
    GiveUp,
    Leave,
    Step,
    cut,
    pause,
    steps,
)
from orchestrator.core.intervals import Window
from orchestrator.core.model import AbsoluteWindow, Job, JobSeries, Series, Span, Standing, Unit
from orchestrator.core.plan import debt
from orchestrator.core.settings import PollPolicy

DAY_ONE = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def days(first: float, last: float) -> Window:
    return Window(DAY_ONE + timedelta(days=first), DAY_ONE + timedelta(days=last))


MONTH = days(0, 31)


def after(failures: list[Failure], failed_now: list[Window] | None = None) -> list[Step]:
    """What is done about January."""
    job = Job(
        name="job",
        path=Path("job.yaml"),
        zone=ZoneInfo("UTC"),
        series=(JobSeries(Series.of("abcd1234", "VERIFY-API"), "default"),),
        windows=(AbsoluteWindow(MONTH.start, MONTH.end),),
        chunk=Span(1, Unit.MONTHS),
    )
    owed = debt(job, job.series[0], NOW, replace(Standing(), failures=tuple(failures)))
    return list(steps(owed, owed.failures, failed_now or []))


def failed(window: Window = MONTH) -> Failure:
    return Failure(window, truncated=False, reason="the API says FAILED")


def truncated(window: Window = MONTH, *, proved: bool = False) -> Failure:
    return Failure(window, truncated=True, reason="too large", proved=proved)


def test_without_failures_the_month_is_one_chunk() -> None:
    assert after([]) == [Buy(MONTH)]


def test_a_few_failures_change_nothing() -> None:
    assert after([failed()] * (BEFORE_SPLIT - 1)) == [Buy(MONTH)]


def test_three_in_this_run_are_enough_for_it() -> None:
    assert after([failed()] * 3, [MONTH] * 3) == [Leave(MONTH)]


def test_after_eight_the_chunk_is_halved() -> None:
    assert after([failed()] * BEFORE_SPLIT) == [Buy(days(0, 15.5)), Buy(days(15.5, 31))]


def test_after_nine_it_is_given_up() -> None:
    assert after([failed()] * AT_MOST) == [
        GiveUp(MONTH, "9 reports came to nothing, the last: the API says FAILED")
    ]


def test_failures_count_where_they_overlap_whatever_their_borders_were() -> None:
    first = [failed(days(0, 20))] * 5
    second = [failed(days(10, 31))] * 4
    assert after(first + second) == [
        Buy(days(0, 10)),
        GiveUp(days(10, 20), "9 reports came to nothing, the last: the API says FAILED"),
        Buy(days(20, 31)),
    ]


def test_a_truncated_window_is_quartered_and_probed() -> None:
    found = after([truncated()])
    lengths = [step.window.length for step in found if isinstance(step, Buy)]
    assert lengths == [timedelta(days=31) / 4] * 4
    assert {step.probe for step in found if isinstance(step, Buy)} == {MONTH}


def test_once_a_smaller_one_came_back_nothing_is_probed() -> None:
    assert {step.probe for step in after([truncated(proved=True)]) if isinstance(step, Buy)} == {
        None
    }


def test_what_a_part_taught_holds_for_the_rest() -> None:
    """The first quarter was truncated too: the others are not even tried at that length."""
    quarter = days(0, 7.75)
    found = after([truncated(), truncated(quarter)])
    lengths = {step.window.length for step in found if isinstance(step, Buy)}
    assert lengths == {quarter.length / 4}


def test_a_burst_does_not_cut_the_rest_of_the_month_to_pieces() -> None:
    """Truncated down to its first minute, where a campaign was sent; the rest is quiet."""
    month = MONTH.length // timedelta(seconds=1)
    spoiled = [
        truncated(Window(DAY_ONE, DAY_ONE + timedelta(seconds=month // 4**level)))
        for level in range(8)
    ]
    assert len(after(spoiled)) < 8 * 16


def test_a_second_that_is_truncated_is_given_up() -> None:
    second = Window(DAY_ONE, DAY_ONE + timedelta(seconds=1))
    found = after([truncated(second)])
    assert found[0] == GiveUp(
        second, "even one second of it is truncated (too large): it cannot be had"
    )
    assert isinstance(found[1], Buy)


def test_pauses_double() -> None:
    poll = PollPolicy(interval_max=timedelta(seconds=60))
    assert [pause(poll, number).total_seconds() for number in (1, 2, 3)] == [60, 120, 240]


failures = st.lists(
    st.builds(
        lambda first, length, cut_short: Failure(
            Window(
                DAY_ONE + timedelta(seconds=first),
                DAY_ONE + timedelta(seconds=first + length),
            ),
            truncated=cut_short,
            reason="x",
        ),
        st.integers(0, 40 * 86_400),
        st.integers(3600, 20 * 86_400),
        st.booleans(),
    ),
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(failures)
def test_whatever_failed_the_pieces_cover_the_debt_exactly(some: list[Failure]) -> None:
    pieces = list(cut([MONTH], Span(1, Unit.MONTHS), ZoneInfo("UTC"), some))
    assert pieces[0].start == MONTH.start
    assert pieces[-1].end == MONTH.end
    assert all(one.end == other.start for one, other in pairwise(pieces))
    for piece in pieces:
        for failure in some:
            if failure.truncated and failure.window.overlaps(piece):
                assert piece.length <= max(failure.window.length / 4, timedelta(seconds=1))
