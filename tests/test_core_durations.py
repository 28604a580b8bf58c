"""How long reports take: what is learned from those that ended, and what is foreseen by it."""

from __future__ import annotations

import math
import random
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.durations import UNKNOWN_SECONDS, DurationModel, OpenReport, ReportDuration

if TYPE_CHECKING:
    from collections.abc import Callable

SMS = "SMS"

seconds = st.floats(0.0, 100_000.0)
absurd = st.floats(-1e12, 1e12)
sizes = st.floats(1 / 8, 8.0)
spans = st.tuples(seconds, seconds, st.booleans(), sizes)


@st.composite
def taught(draw: st.DrawFn) -> DurationModel:
    """A pace that has seen some reports, by looks of any kind."""
    pace = DurationModel()
    for age, longer, ended, size in draw(st.lists(spans, max_size=30)):
        pace.saw(OpenReport(SMS, age, size), age + longer, ended=ended)
    return pace


def opens(most: int = 20) -> st.SearchStrategy[list[OpenReport]]:
    products = st.sampled_from([SMS, "VERIFY-API"])
    return st.lists(st.builds(OpenReport, products, seconds, sizes), max_size=most)


# --- what is foreseen -----------------------------------------------------------------------------


@given(taught(), opens(), seconds, seconds)
def test_ends_grow_with_time_and_are_never_more_than_the_reports(
    pace: DurationModel, reports: list[OpenReport], soon: float, later: float
) -> None:
    soon, later = sorted((soon, later))
    few, more = pace.ends(reports, soon), pace.ends(reports, later)
    assert 0.0 <= few <= more + 1e-9
    assert more <= len(reports) + 1e-9
    assert pace.ends(reports, 0.0) == pytest.approx(0.0, abs=1e-9)


@given(taught(), seconds, sizes)
def test_a_moment_more_makes_no_leap(pace: DurationModel, age: float, size: float) -> None:
    """The risk is continuous where the cells of a table meet, and anywhere else."""
    reports = [OpenReport(SMS, age, size)]
    before, after = (pace.ends(reports, wait) for wait in (10.0, 10.0 + 1e-7))
    assert after - before < 1e-3


@given(taught(), seconds, st.floats(0.0, 1000.0), st.floats(0.0, 1000.0))
def test_two_waits_are_as_good_as_one(
    pace: DurationModel, age: float, one: float, other: float
) -> None:
    """Who is left after the first, and of these after the second."""
    left = (1 - pace.ends([OpenReport(SMS, age)], one)) * (
        1 - pace.ends([OpenReport(SMS, age + one)], other)
    )
    assert 1 - pace.ends([OpenReport(SMS, age)], one + other) == pytest.approx(left, abs=1e-6)


@given(taught(), opens(), st.floats(0.01, 20.0), st.floats(0.1, 30.0), st.floats(0.0, 600.0))
def test_the_wait_lies_between_its_bounds_and_brings_what_is_wanted(
    pace: DurationModel, reports: list[OpenReport], wanted: float, least: float, more: float
) -> None:
    most = least + more
    wait = pace.wait_for(reports, wanted, least, most)
    assert least <= wait <= most
    if wait < most:
        assert pace.ends(reports, wait) >= wanted - 1e-9
    if wait > least:
        shorter = max(least, wait - max(0.25, wait / 16))
        assert pace.ends(reports, shorter) <= wanted + 1e-9


@given(taught(), st.floats(1.0, 1000.0), st.floats(0.0, 500.0))
def test_a_report_that_is_yet_to_come_ends_as_one_that_has_just_come(
    pace: DurationModel, until: float, longer: float
) -> None:
    to_come = pace.ends([OpenReport(SMS, -until)], until + longer)
    assert to_come == pytest.approx(pace.ends([OpenReport(SMS, 0.0)], longer))


@given(
    st.lists(st.tuples(absurd, absurd, st.booleans()), max_size=20),
    absurd,
    absurd,
    st.floats(0.1, 10.0),
)
def test_clocks_that_jump_do_no_harm(
    looks: list[tuple[float, float, bool]], age: float, wait: float, wanted: float
) -> None:
    """Ages below zero, looks before the last one, thousands of years."""
    pace = DurationModel()
    for start, end, ended in looks:
        pace.saw(OpenReport(SMS, start), end, ended=ended)
    assert math.isfinite(pace.ends([OpenReport(SMS, age)], wait))
    assert 5.0 <= pace.wait_for([OpenReport(SMS, age)], wanted, 5.0, 60.0) <= 60.0


def uniform(draws: random.Random) -> float:
    return draws.uniform(20.0, 200.0)


def fixed(_: random.Random) -> float:
    return 100.0


def exponential(draws: random.Random) -> float:
    return draws.expovariate(1 / 60)


def teach(
    pace: DurationModel, life: Callable[[random.Random], float], number: int, *, size: float = 1.0
) -> None:
    """Reports that live so long are looked at every nine seconds until they have ended."""
    draws = random.Random(7)
    for _ in range(number):
        lasts, seen, look = life(draws) * size, 0.0, draws.uniform(0.0, 9.0)
        while look < lasts:
            pace.saw(OpenReport(SMS, seen, size), look, ended=False)
            seen, look = look, look + 9.0
        pace.saw(OpenReport(SMS, seen, size), look, ended=True)


def population(
    life: Callable[[random.Random], float], oldest: float
) -> tuple[list[OpenReport], list[float]]:
    """Reports that are open at some moment, and for how long they still will be."""
    draws = random.Random(11)
    reports, left = [], []
    for _ in range(2000):
        age, lasts = draws.uniform(0.0, oldest), life(draws)
        if lasts > age:
            reports.append(OpenReport(SMS, age))
            left.append(lasts - age)
    return reports, left


@pytest.mark.parametrize("wait", [20.0, 60.0])
@pytest.mark.parametrize("oldest", [60.0, 300.0], ids=["young", "all ages"])
@pytest.mark.parametrize("life", [uniform, fixed, exponential])
def test_what_was_seen_often_is_foreseen(
    life: Callable[[random.Random], float], oldest: float, wait: float
) -> None:
    """The ends of the next seconds, within a quarter, or a few in a hundred of the reports."""
    pace = DurationModel()
    teach(pace, life, 300)
    reports, left = population(life, oldest)
    came = sum(one <= wait for one in left)
    assert pace.ends(reports, wait) == pytest.approx(came, rel=0.25, abs=0.04 * len(reports))


def test_a_look_is_worth_it_when_fixed_times_are_nearly_over() -> None:
    pace = DurationModel()
    teach(pace, fixed, 100)
    young, due = (pace.wait_for([OpenReport(SMS, age)], 0.2, 1.0, 600.0) for age in (5.0, 90.0))
    assert 70.0 <= young <= 100.0
    assert due <= 12.0


def test_looks_alone_do_not_make_it_known_but_ends_do() -> None:
    pace = DurationModel()
    for _ in range(20):
        pace.saw(OpenReport(SMS, 0.0), 10.0, ended=False)
    assert not pace.is_known
    for _ in range(5):
        pace.saw(OpenReport(SMS, 10.0), 20.0, ended=True)
    assert pace.is_known


def test_a_product_that_nothing_is_known_of_is_foreseen_by_the_others() -> None:
    pace = DurationModel()
    teach(pace, fixed, 100)
    assert pace.ends([OpenReport("ASR", 95.0)], 10.0) == pytest.approx(
        pace.ends([OpenReport(SMS, 95.0)], 10.0)
    )


def test_each_product_has_a_table_of_its_own() -> None:
    pace = DurationModel()
    teach(pace, fixed, 50)
    for _ in range(50):
        pace.saw(OpenReport("ASR", 0.0), 4.0, ended=True)
    assert pace.ends([OpenReport("ASR", 0.0)], 10.0) > 0.9
    assert pace.ends([OpenReport(SMS, 0.0)], 10.0) < 0.2


@pytest.mark.parametrize("size", [1 / 4, 3.0])
def test_large_reports_teach_what_to_expect_of_small_ones(size: float) -> None:
    pace = DurationModel()
    teach(pace, fixed, 100, size=size)
    assert pace.ends([OpenReport(SMS, 0.0)], 80.0) < 0.35
    assert pace.ends([OpenReport(SMS, 60.0)], 60.0) > 0.75


@pytest.mark.parametrize(("before", "after"), [(100.0, 20.0), (20.0, 100.0)])
def test_another_speed_of_the_server_is_learned(before: float, after: float) -> None:
    pace = DurationModel()
    teach(pace, lambda _: before, 500)
    teach(pace, lambda _: after, 300)
    reports = [OpenReport(SMS, 0.0)]
    assert pace.ends(reports, after * 0.6) < 0.4
    assert pace.ends(reports, after * 1.4) > 0.6


# --- how long a report takes ----------------------------------------------------------------------


taken = st.lists(
    st.builds(ReportDuration, st.integers(0, 10_000_000), st.floats(-1e9, 1e9)),
    min_size=1,
    max_size=60,
)


@given(taken, st.integers(0, 10_000_000), st.integers(0, 10_000_000))
def test_more_records_never_take_less(reports: list[ReportDuration], few: int, more: int) -> None:
    """Whatever was seen: no records at all, all alike, clocks set back, years."""
    pace = DurationModel()
    for one in reports:
        pace.took(SMS, one)
    few, more = sorted((few, more))
    assert 1.0 <= pace.expected(SMS, few) <= pace.expected(SMS, more) < math.inf
    assert 1 / 8 <= pace.size(SMS, few) <= pace.size(SMS, more) <= 8
    assert pace.expected(SMS, None) >= 1.0


@given(taken, st.lists(st.integers(0, 10_000_000), min_size=1, max_size=5))
def test_the_past_does_no_harm_whatever_the_ledger_says(
    reports: list[ReportDuration], rows: list[int]
) -> None:
    pace = DurationModel({SMS: reports})
    waits = [
        pace.wait_for([OpenReport(SMS, 0.0, pace.size(SMS, one))], 0.2, 5.0, 60.0) for one in rows
    ]
    assert all(5.0 <= wait <= 60.0 for wait in waits)


def test_nothing_known_is_half_a_minute_and_the_usual_size() -> None:
    pace = DurationModel()
    assert (pace.expected(SMS, 1000), pace.size(SMS, 1000)) == (UNKNOWN_SECONDS, 1.0)
    pace.took(SMS, ReportDuration(1000, 90.0))
    assert pace.size(SMS, None) == 1.0
    assert pace.expected("ASR", 10) == UNKNOWN_SECONDS


@pytest.mark.parametrize("number", [1, 2, 3, 10, 20, 21, 200, 1000])
def test_after_any_number_of_reports_the_usual_time_is_about_theirs(number: int) -> None:
    """The first was quick; those that followed count as soon as there are a few."""
    pace = DurationModel()
    pace.took(SMS, ReportDuration(10, 5.0))
    for _ in range(number):
        pace.took(SMS, ReportDuration(10, 80.0))
    assert pace.expected(SMS, None) >= 40.0


def test_a_line_through_records_and_seconds_is_found() -> None:
    pace = DurationModel()
    for rows in range(1000, 100_000, 1000):
        pace.took(SMS, ReportDuration(rows, 20.0 + rows / 1000))
    assert pace.expected(SMS, 500_000) == pytest.approx(520.0, rel=0.05)
    assert pace.size(SMS, 0) == pytest.approx(20 / 70, rel=0.1)


def test_a_few_that_nobody_looked_at_for_hours_hardly_bend_it() -> None:
    pace = DurationModel()
    for number in range(200):
        pace.took(SMS, ReportDuration(1000, 30_000.0 if number % 20 == 0 else 60.0))
    assert pace.expected(SMS, 1000) == pytest.approx(60.0, rel=0.5)
    assert pace.size(SMS, 1000) == pytest.approx(1.0, rel=0.5)


# --- the past -------------------------------------------------------------------------------------


def test_earlier_runs_tell_when_reports_end() -> None:
    """They took fifty seconds: not many end at half of that."""
    pace = DurationModel({SMS: [ReportDuration(100, 50.0)] * 50})
    assert pace.is_known
    chances = [pace.ends([OpenReport(SMS, 0.0)], wait) for wait in (30.0, 70.0)]
    assert chances[0] < 0.2
    assert chances[1] > 0.7


def test_of_the_past_the_latest_weighs_most() -> None:
    """It comes the latest first: the server was slow once, and is quick now."""
    pace = DurationModel(
        {SMS: [ReportDuration(100, 20.0)] * 120 + [ReportDuration(100, 500.0)] * 300}
    )
    assert pace.ends([OpenReport(SMS, 0.0)], 40.0) > 0.6
    for _ in range(90):
        pace.took(SMS, ReportDuration(100, 20.0))
    assert pace.expected(SMS, 100) == pytest.approx(20.0), "the oldest are forgotten first"


def test_a_longer_past_is_not_read_further_than_its_latest() -> None:
    short = DurationModel({SMS: [ReportDuration(100, 20.0)] * 200})
    long = DurationModel(
        {SMS: [ReportDuration(100, 20.0)] * 200 + [ReportDuration(100, 500.0)] * 300}
    )
    waits = [10.0, 20.0, 40.0, 80.0]
    assert [short.ends([OpenReport(SMS, 0.0)], wait) for wait in waits] == [
        long.ends([OpenReport(SMS, 0.0)], wait) for wait in waits
    ]


def test_ever_older_reports_are_waited_for_ever_longer() -> None:
    """Nobody has seen any of such ages: a quarter of its age is the guess."""
    pace = DurationModel()
    teach(pace, fixed, 50)
    waits = [
        pace.wait_for([OpenReport(SMS, age)], 0.2, 1.0, 10_000.0)
        for age in (400.0, 4000.0, 40_000.0)
    ]
    assert all(2 * one < other for one, other in pairwise(waits))
