"""When the next poll comes, by the ages of reports and by what ended before."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core import vonage
from orchestrator.core.durations import DurationModel, OpenReport, ReportDuration
from orchestrator.core.settings import PollPolicy
from orchestrator.engine.polling import parameters
from orchestrator.engine.polling.schedule import (
    ListedReports,
    ListHistory,
    PollSchedule,
    SingleReport,
)

POLICY = PollPolicy(timedelta(seconds=5), timedelta(seconds=60))
MIDDLE = 0.5
"""The jitter that changes no pause."""

YOUNG = SingleReport(
    OpenReport("SMS", 1.0), is_unseen=False, has_callback=False, polls=0, polls_without_news=0
)

ages = st.floats(0.0, 1e6)
jitters = st.floats(0.0, 1.0, exclude_max=True)
histories = st.builds(ListHistory, st.integers(0, 200), st.floats(0, 100), st.floats(0, 100))
lists = st.builds(
    lambda sample, unseen, have_callbacks, times: ListedReports(
        len(sample) * times, min(unseen, len(sample)), have_callbacks, sample
    ),
    st.lists(st.builds(OpenReport, st.just("SMS"), ages, st.floats(1 / 8, 8)), min_size=1),
    st.integers(0, 3),
    st.booleans(),
    st.integers(1, 10),
)
singles = st.builds(
    SingleReport,
    st.builds(OpenReport, st.just("SMS"), ages, st.floats(1 / 8, 8)),
    st.booleans(),
    st.booleans(),
    st.integers(0, 200),
    st.integers(0, 200),
)


def new() -> PollSchedule:
    """Nothing is known of any report yet."""
    return PollSchedule(POLICY, DurationModel())


def taught(seconds: float = 100.0) -> PollSchedule:
    """Fifty reports took about so long."""
    schedule = new()
    for _ in range(50):
        schedule.durations.saw(OpenReport("SMS", seconds * 0.9), seconds * 1.1, ended=True)
        schedule.durations.saw(OpenReport("SMS", 0.0), seconds * 0.9, ended=False)
    return schedule


def reliable() -> PollSchedule:
    """Callbacks have told of the latest ends."""
    schedule = taught()
    for _ in range(20):
        schedule.ended(told_by_callback=True)
    return schedule


def listed(number: int, age: float = 1.0, *, unseen: int = 0) -> ListedReports:
    sample = [OpenReport("SMS", age)] * number
    return ListedReports(number, unseen, have_callbacks=False, sample=sample)


# --- pauses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", [new(), taught(), reliable()], ids=["new", "taught", "called"])
@given(lists, histories, jitters)
def test_pauses_of_lists_keep_to_the_config(
    schedule: PollSchedule, reports: ListedReports, history: ListHistory, jitter: float
) -> None:
    pause = schedule.list_pause(reports, history, jitter)
    if pause != parameters.EARLIER_RUN_DELAY:
        assert 5 * 0.875 <= pause <= 60 * 1.125


@pytest.mark.parametrize("schedule", [new(), taught(), reliable()], ids=["new", "taught", "called"])
@given(singles, jitters)
def test_pauses_of_reports_keep_to_the_config_while_polls_tell_something(
    schedule: PollSchedule, report: SingleReport, jitter: float
) -> None:
    pause = schedule.report_pause(report, jitter)
    if report.is_unseen:
        assert pause == parameters.EARLIER_RUN_DELAY
    elif report.polls_without_news <= parameters.FRUITLESS_POLLS:
        assert 5 * 0.875 <= pause <= 60 * 1.125
    else:
        assert 60 * 0.875 <= pause <= 600 * 1.125


@given(st.integers(0, 200), jitters)
def test_pauses_double_while_nothing_is_known(polls: int, jitter: float) -> None:
    schedule = new()
    report = replace(YOUNG, polls=polls)
    history = ListHistory(polls_without_end=polls)
    wanted = min(60.0, 5.0 * 2**polls)
    for pause in (
        schedule.report_pause(report, MIDDLE),
        schedule.list_pause(listed(10), history, MIDDLE),
        schedule.callback_pause(polls),
    ):
        assert pause == pytest.approx(wanted)
    assert schedule.report_pause(report, jitter) == pytest.approx(wanted * (0.875 + 0.25 * jitter))


def test_polls_that_tell_nothing_become_ever_rarer_up_to_ten_times_the_longest_pause() -> None:
    pauses = [
        taught().report_pause(replace(YOUNG, polls_without_news=polls), MIDDLE)
        for polls in range(1, 20)
    ]
    assert pauses[:5] == [5, 10, 20, 40, 60]
    assert pauses[9:] == [60, 120, 240, 480, *[600] * 6]


def test_the_more_reports_are_open_the_sooner_their_list_is_asked_for() -> None:
    schedule = taught()
    pauses = [
        schedule.list_pause(listed(number, 90.0), ListHistory(), MIDDLE) for number in (2, 10, 400)
    ]
    assert pauses == sorted(pauses, reverse=True)
    assert pauses[-1] == 5


def test_a_list_is_asked_for_later_while_reports_are_far_from_their_end() -> None:
    schedule = taught()
    young, due = (
        schedule.list_pause(listed(20, age), ListHistory(), MIDDLE) for age in (1.0, 90.0)
    )
    assert young == 60
    assert due < 15


def test_a_list_of_reports_of_earlier_runs_is_asked_for_at_once() -> None:
    assert taught().list_pause(listed(10, unseen=10), ListHistory(), MIDDLE) == 0.5
    assert taught().list_pause(listed(100, unseen=1), ListHistory(), MIDDLE) == 5


def test_with_reliable_callbacks_polls_by_the_clock_are_rare() -> None:
    called = replace(listed(100, 90.0), have_callbacks=True)
    assert taught().list_pause(called, ListHistory(), MIDDLE) == 5
    assert reliable().list_pause(called, ListHistory(), MIDDLE) == 60
    assert reliable().list_pause(listed(100, 90.0), ListHistory(), MIDDLE) == 5
    assert reliable().report_pause(replace(YOUNG, has_callback=True), MIDDLE) == 60


def test_callbacks_are_reliable_while_most_of_the_latest_ends_were_told() -> None:
    schedule = reliable()
    assert schedule.callbacks_are_reliable
    for _ in range(7):
        schedule.ended(told_by_callback=False)
    assert not schedule.callbacks_are_reliable


# --- history --------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(0, 50), st.integers(0, 50))))
def test_a_correction_is_never_more_than_eightfold(polls: list[tuple[float, int]]) -> None:
    history = ListHistory()
    for expected, observed in polls:
        history.polled(expected, observed)
    assert 1 / 8 <= history.correction <= 8


def test_a_list_is_asked_for_sooner_where_more_ends_came_than_expected() -> None:
    more, fewer = ListHistory(), ListHistory()
    for _ in range(10):
        more.polled(1.0, 3)
        fewer.polled(3.0, 1)
    schedule, reports = taught(), listed(20, 60.0)
    soon, usual, late = (
        schedule.list_pause(reports, history, MIDDLE) for history in (more, ListHistory(), fewer)
    )
    assert soon < usual < late


def test_polls_without_an_end_are_counted_until_one_comes() -> None:
    history = ListHistory()
    history.polled(0.0, 0)
    history.polled(1.0, 0)
    assert history.polls_without_end == 2
    history.polled(0.0, 3)
    assert history.polls_without_end == 0


# --- ages -----------------------------------------------------------------------------------------


@given(st.lists(ages, min_size=1))
def test_no_list_reaches_back_to_what_the_api_may_have_forgotten(some: list[float]) -> None:
    limit = new().list_age_limit(some)
    assert parameters.RECHECK_AFTER <= limit <= vonage.LIST_REACH.total_seconds()


def test_a_report_that_is_far_older_than_most_leaves_the_list() -> None:
    assert new().list_age_limit([200.0] * 9 + [2000.0]) == 1600
    assert new().list_age_limit([2000.0]) == 16000


def test_a_report_is_rechecked_after_three_times_what_is_expected() -> None:
    slow = PollSchedule(POLICY, DurationModel({"SMS": [ReportDuration(0, 1000.0)] * 9}))
    assert slow.recheck_after("SMS", None) == 3000
    assert new().recheck_after("SMS", None) == 600


@given(lists, st.floats(0, 1e5))
def test_expected_ends_are_as_many_as_the_reports_at_most(
    reports: ListedReports, seconds: float
) -> None:
    assert 0 <= taught().expected_ends(reports, seconds) <= reports.number * (1 + 1e-9)
    assert new().expected_ends(reports, seconds) == 0
