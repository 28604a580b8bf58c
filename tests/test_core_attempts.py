"""What is bought after reports that came to nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core import lifecycle as life
from orchestrator.core import vonage
from orchestrator.core.attempts import MAX_FAILED, MAX_PURCHASES, begins_anew, counts, pause, steps
from orchestrator.core.chunks import BEFORE_SPLIT, cut
from orchestrator.core.debt import debt
from orchestrator.core.intervals import Window, subtract
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
from orchestrator.core.next_steps import Buy, Defer, GiveUp, Step
from orchestrator.core.proofs import Proof
from orchestrator.core.settings import PollPolicy

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY_ONE = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def days(first: float, last: float) -> Window:
    return Window(DAY_ONE + timedelta(days=first), DAY_ONE + timedelta(days=last))


MONTH = days(0, 31)


def after(
    failures: list[Failure],
    failed_now: list[Window] | None = None,
    *,
    cut_now: list[Window] | None = None,
    owed: Sequence[Window] = (MONTH,),
) -> list[Step]:
    """What is done about January, or about a part of it that is owed."""
    job = Job(
        name="job",
        path=Path("job.yaml"),
        zone=ZoneInfo("UTC"),
        series=(JobSeries(Series.of("abcd1234", "VERIFY-API"), "default"),),
        windows=(AbsoluteWindow(MONTH.start, MONTH.end),),
        chunk=Span(1, Unit.MONTHS),
    )
    whole = debt(job, job.series[0], NOW, replace(SeriesState(), failures=tuple(failures)))
    asked = replace(whole, owed=tuple(owed))
    return list(steps(asked, asked.failures, failed_now or [], cut_now or []))


def is_buy(step: Step) -> TypeGuard[Buy]:
    return isinstance(step, Buy)


def failed(window: Window = MONTH) -> Failure:
    return Failure(window, truncated=False, reason="the API says FAILED")


def truncated(window: Window = MONTH, *, proved: bool = False) -> Failure:
    return Failure(window, truncated=True, reason="too large", proved=proved)


def test_without_failures_the_month_is_one_chunk() -> None:
    assert after([]) == [Buy(MONTH)]


def test_a_few_failures_change_nothing() -> None:
    assert after([failed()] * (BEFORE_SPLIT - 1)) == [Buy(MONTH)]


def test_three_in_this_run_are_enough_for_it() -> None:
    assert after([failed()] * 3, [MONTH] * 3) == [Defer(MONTH)]


def test_after_eight_the_chunk_is_halved() -> None:
    assert after([failed()] * BEFORE_SPLIT) == [Buy(days(0, 15.5)), Buy(days(15.5, 31))]


def test_after_nine_it_is_given_up() -> None:
    assert after([failed()] * MAX_FAILED) == [
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


@settings(max_examples=200)
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


# --- bounds ---------------------------------------------------------------------------------------


def test_twelve_truncated_reports_without_a_complete_one_are_enough() -> None:
    cut_short = [truncated(days(number, number + 1)) for number in range(11)]
    assert not any(isinstance(step, GiveUp) for step in after([truncated(), *cut_short[:10]]))
    given_up = after([truncated(), *cut_short])
    (step,) = given_up
    assert isinstance(step, GiveUp)
    assert step.window == MONTH
    assert step.reason.startswith("12 reports of it were truncated, and none inside it")


def test_of_a_series_six_and_thirty_in_all_whatever_was_complete_between() -> None:
    cut_short = [truncated(days(number / 2, number / 2 + 0.5), proved=True) for number in range(36)]
    (step,) = after([truncated(proved=True), *cut_short])
    assert isinstance(step, GiveUp)
    assert step.reason.startswith("36 reports of the series were truncated again")


def test_what_a_person_has_decided_on_or_was_collected_only_shapes_chunks() -> None:
    cut_short = [
        replace(truncated(days(number / 2, number / 2 + 0.5)), counts=False) for number in range(36)
    ]
    assert all(isinstance(step, Buy) for step in after([truncated(), *cut_short]))


def test_every_ending_counts_for_the_bound_of_a_window() -> None:
    nested = [truncated(days(0, 32 / 4**level), proved=True) for level in range(7)]
    found = after([*nested, *[failed()] * 5])
    assert isinstance(found[0], GiveUp)
    assert found[0].reason == "12 reports came to nothing, the last: the API says FAILED"


def test_twelve_truncated_again_in_one_run_end_it_for_the_series() -> None:
    small = [days(number, number + 1) for number in range(12)]
    assert after([truncated(proved=True)], cut_now=small) == [Defer(MONTH)]
    assert isinstance(after([truncated(proved=True)], cut_now=small[:11])[0], Buy)


def test_until_one_is_complete_one_is_open_in_all_truncated_windows_together() -> None:
    first, second = days(0, 7), days(14, 21)
    probes = {step.probe for step in after([truncated(first), truncated(second)]) if is_buy(step)}
    assert probes == {None, days(0, 21)}
    proved = after([truncated(first, proved=True), truncated(second)])
    assert {step.probe for step in proved if is_buy(step)} == {None, second}


def test_what_one_window_taught_holds_for_another_by_one_step() -> None:
    found = after([truncated(days(0, 8)), truncated(days(0, 2)), truncated(days(16, 24))])
    bought = [step.window for step in found if is_buy(step)]
    lengths = [window.length for window in bought if window.start >= days(16, 17).start]
    assert set(lengths[:16]) == {timedelta(hours=12)}


def test_the_records_that_a_truncated_report_had_say_how_dense_it_is() -> None:
    ten_times = replace(truncated(), rows=vonage.FILE_RECORDS * 10)
    lengths = {step.window.length for step in after([ten_times]) if is_buy(step)}
    assert max(lengths) == MONTH.length / 20


COUNTED = [
    life.CutShort(1, "x"),
    life.Failed("x"),
    life.Aborted("x"),
    life.Lost("x"),
    life.FileGone("x"),
    life.FoundAbsent("x"),
    life.Disputed("x", cut=True),
    life.Resubmitted("x", Proof.CONFIGURED),
]


@pytest.mark.parametrize("event", COUNTED, ids=lambda event: type(event).__name__)
def test_endings_that_count_as_a_purchase(event: life.Event) -> None:
    assert counts(event)
    assert not begins_anew(event)


@pytest.mark.parametrize(
    "event",
    [life.NotCreated("429"), life.Disputed("x"), life.Waived("x"), life.Resubmitted("x")],
    ids=lambda event: type(event).__name__,
)
def test_endings_that_do_not(event: life.Event) -> None:
    assert not counts(event)


@pytest.mark.parametrize("event", [life.Resubmitted("x"), life.Cancelled()], ids=["again", "end"])
def test_what_a_person_says_begins_the_count_anew(event: life.Event) -> None:
    assert begins_anew(event)


@settings(max_examples=100)
@given(st.lists(st.sampled_from(["failed", "truncated", "complete"]), max_size=400))
def test_no_moment_is_bought_more_often_than_its_bound(ends: list[str]) -> None:
    """Whatever ends come, in whatever order: the first thing to buy is bought, and ends so."""
    some: list[Failure] = []
    bought: list[Window] = []
    complete: list[Window] = []
    for end in ends:
        owed = subtract([MONTH], complete)
        step = next((one for one in after(some, owed=owed) if isinstance(one, Buy)), None)
        if step is None:
            break
        if end == "complete":
            complete.append(step.window)
            some = [
                replace(one, proved=one.proved or one.window.overlaps(step.window)) for one in some
            ]
        else:
            bought.append(step.window)
            some.append(failed(step.window) if end == "failed" else truncated(step.window))
    depth = [
        sum(one.start <= moment < one.end for one in bought)
        for moment in {edge for one in bought for edge in (one.start,)}
    ]
    assert max(depth, default=0) <= MAX_PURCHASES
