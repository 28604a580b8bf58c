"""The simulator's own clock, calendar and order of work."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.simulator import WorldClock
from orchestrator.simulator.dates import months_later, parse_moment, write_moment
from orchestrator.simulator.faults.reports import Stuck
from orchestrator.simulator.reports import Phase, Report
from orchestrator.simulator.requests import read_request
from orchestrator.simulator.server import TokenBucket
from orchestrator.simulator.work_queue import WorkQueue
from tests.kit.asking import NOW, SMS

if TYPE_CHECKING:
    from orchestrator.simulator.faults.model import FaultOfReport


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-02-01T10:20:30Z", datetime(2026, 2, 1, 10, 20, 30, tzinfo=UTC)),
        ("2026-02-01T10:20:30+0000", datetime(2026, 2, 1, 10, 20, 30, tzinfo=UTC)),
        ("2026-02-01T10:20:30-05:30", datetime(2026, 2, 1, 15, 50, 30, tzinfo=UTC)),
        ("2026-02-01T00:20:30.5+0100", datetime(2026, 1, 31, 23, 20, 30, 500000, tzinfo=UTC)),
    ],
)
def test_dates_are_read_with_every_offset(text: str, moment: datetime) -> None:
    assert parse_moment(text) == moment


@pytest.mark.parametrize(
    "text",
    ["2026-02-01", "2026-02-01T10:20:30", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+10:00",
     "2026-02-01 10:20:30Z", "2026-02-01T24:00:00Z", "2026-02-01T10:20:30+99:99"],
)  # fmt: skip
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"2026|0001"):
        parse_moment(text)


def test_milliseconds_are_written_only_where_there_are_any() -> None:
    assert write_moment(NOW) == "2026-03-02T09:00:00+0000"
    assert write_moment(NOW.replace(microsecond=70_000), "Z") == "2026-03-02T09:00:00.070Z"


@pytest.mark.parametrize(
    ("start", "latest"),
    [
        ("2024-02-29", "2025-03-29"),
        ("2023-01-31", "2024-02-29"),
        ("2024-01-31", "2025-02-28"),
        ("2025-02-28", "2026-03-28"),
        ("2025-01-15", "2026-02-15"),
    ],
)
def test_a_window_of_13_calendar_months_passes_and_a_second_more_does_not(
    start: str, latest: str
) -> None:
    """In UTC, the day clamped to the month's end."""
    body = {**SMS, "date_start": f"{start}T00:00:00Z", "date_end": f"{latest}T00:00:00Z"}
    assert read_request(body, NOW, frozenset()).end == parse_moment(f"{latest}T00:00:00Z")

    with pytest.raises(Exception, match="422") as refused:
        read_request({**body, "date_end": f"{latest}T00:00:01Z"}, NOW, frozenset())
    assert refused.value.problem["invalid_parameters"] == [  # type: ignore[attr-defined]
        {"name": "date_end", "reason": "The date range must not be longer than 13 months"}
    ]


@given(
    moment=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - made aware below
    months=st.integers(-40, 40),
)
def test_months_later_moves_by_whole_months(moment: datetime, months: int) -> None:
    moment = moment.replace(tzinfo=UTC)
    moved = months_later(moment, months)
    assert (moved.year * 12 + moved.month) - (moment.year * 12 + moment.month) == months
    assert moved.day == moment.day or (moved + timedelta(days=1)).day == 1
    assert moved.timetz() == moment.timetz()


@pytest.mark.anyio
@pytest.mark.virtual
async def test_the_clock_runs_with_the_loop_at_its_speed_and_can_be_set() -> None:
    clock = WorldClock(NOW, speed=60)
    await anyio.sleep(100)
    assert clock.now() == NOW
    clock.begin()
    await anyio.sleep(2)
    assert clock.now() == NOW + timedelta(minutes=2)
    clock.advance(timedelta(days=1))
    assert clock.now() == NOW + timedelta(days=1, minutes=2)
    assert clock.loop_seconds_until(clock.epoch() + 120) == pytest.approx(2)
    clock.set(NOW)
    await anyio.sleep(1)
    assert clock.now() == NOW + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("start", "speed", "words"),
    [(NOW.replace(tzinfo=None), 1.0, "no time zone"), (NOW, -1.0, "backwards")],
)
def test_a_clock_that_makes_no_sense_is_refused(start: datetime, speed: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        WorldClock(start, speed)


def report(
    number: int, created: float, duration: float, faults: tuple[FaultOfReport, ...] = ()
) -> Report:
    request = read_request(SMS, NOW, frozenset())
    return Report(
        number, f"id-{number}", f"file-{number}", "abcd1234", request, None,  # type: ignore[arg-type]
        created, duration, 0, faults=list(faults),
    )  # fmt: skip


def lives(
    concurrency: int | None, made: list[tuple[float, float]], looks: list[float]
) -> list[tuple[float | None, float | None]]:
    """When each report started and ended, if somebody looks at these moments."""
    schedule = WorkQueue(concurrency, pending=2.0)
    reports = [report(number, *one) for number, one in enumerate(sorted(made))]
    moments = sorted([(one.created, one) for one in reports], key=lambda pair: pair[0])
    for look in sorted({*looks, *(moment for moment, _ in moments), 1e6}):
        for _ in schedule.advance(look):
            pass
        for moment, one in moments:
            if moment == look:
                schedule.admit(one)
    return [(one.started, one.ended) for one in reports]


@given(
    concurrency=st.none() | st.integers(1, 3),
    made=st.lists(st.tuples(st.integers(0, 50), st.integers(1, 30)), min_size=1, max_size=8),
    looks=st.lists(st.integers(0, 200), max_size=10),
)
def test_when_reports_start_and_end_does_not_depend_on_who_looks(
    concurrency: int | None, made: list[tuple[float, float]], looks: list[float]
) -> None:
    seen = lives(concurrency, made, looks)
    assert seen == lives(concurrency, made, [])
    for start, end in seen:
        assert start is not None
        assert end is not None
        working = sum(1 for s, e in seen if s is not None and e is not None and s <= start < e)
        assert concurrency is None or working <= concurrency


def test_one_at_a_time_means_that_the_next_starts_when_the_first_ends() -> None:
    assert lives(1, [(0, 10), (1, 10)], []) == [(2, 12), (12, 22)]
    assert lives(None, [(0, 10), (1, 10)], []) == [(2, 12), (3, 13)]


def test_a_cancelled_report_makes_room_for_the_next() -> None:
    schedule = WorkQueue(1, pending=0.0)
    first, second = report(0, 0.0, 100.0), report(1, 0.0, 10.0)
    schedule.admit(first)
    schedule.admit(second)
    assert list(schedule.advance(5.0)) == []
    schedule.drop(first, 5.0)
    assert list(schedule.advance(20.0)) == [second]
    assert (second.started, second.ended) == (5.0, 15.0)


def test_one_that_is_cancelled_while_it_waits_is_passed_over_and_frees_no_place() -> None:
    schedule = WorkQueue(1, pending=0.0)
    first, second, third = (report(number, 0.0, 10.0) for number in range(3))
    for one in (first, second, third):
        schedule.admit(one)
    assert list(schedule.advance(5.0)) == []
    schedule.drop(second, 5.0)
    assert (second.phase, second.started) == (Phase.ENDED, None)
    assert schedule.next_change() == 10.0
    assert list(schedule.advance(15.0)) == [first]
    assert (third.started, schedule.next_change()) == (10.0, 20.0)
    schedule.drop(third, 15.0)
    assert schedule.next_change() == math.inf
    assert list(schedule.advance(1e9)) == []


@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.PROCESSING])
def test_a_stuck_report_stays_in_its_phase(phase: Phase) -> None:
    schedule = WorkQueue(None, pending=1.0)
    stuck = report(0, 0.0, 10.0, (Stuck(at="report", phase=phase.value),))
    schedule.admit(stuck)
    assert list(schedule.advance(1e9)) == []
    assert stuck.phase is phase


def test_a_bucket_gives_a_second_s_worth_and_then_its_rate() -> None:
    bucket = TokenBucket(5.0, 0.0)
    assert [bucket.take(0.0) for _ in range(6)] == [True] * 5 + [False]
    assert [bucket.take(0.2), bucket.take(0.3), bucket.take(0.4)] == [True, False, True]
    assert all(TokenBucket(None, 0.0).take(0.0) for _ in range(100))
