"""What a run has done so far, counted from the events of the engine."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from orchestrator.core import lifecycle
from orchestrator.core.debt import debt
from orchestrator.core.events import BytesReceived, DebtKnown, ReportChanged, RunEvents
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.model import (
    AbsoluteWindow,
    CalendarWord,
    Job,
    JobSeries,
    Report,
    Resolution,
    Series,
    SeriesState,
)
from orchestrator.reporting.run_log import RunLog
from orchestrator.reporting.run_stats import RunStats

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = datetime(2026, 3, 10, 6, 0, 0, 123456, tzinfo=UTC)
JANUARY = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
MARCH = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 10, tzinfo=UTC))
SMS = Series.of("abcd1234", "SMS", "outbound")
DAY = 86400.0


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at


class Notes:
    """A log that remembers."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, Mapping[str, Any]]] = []

    def __call__(self, level: str, text: str, facts: Mapping[str, Any]) -> None:
        self.said.append((level, text, facts))


def job(name: str = "job", window: Window = JANUARY, series: Series = SMS) -> Job:
    return Job(
        name=name,
        path=Path(f"{name}.yaml"),
        zone=ZoneInfo("UTC"),
        series=(JobSeries(series, "default"),),
        windows=(AbsoluteWindow(window.start, window.end),),
    )


def report(state: State = State.SUBMITTING, **changes: Any) -> Report:
    return replace(
        Report(
            id=1, series=SMS, window=JANUARY, state=state, api_key="abcd1234", job="job",
            intended_at=NOW,
        ),
        **changes,
    )  # fmt: skip


def board_of(*jobs: Job, clock: Clock | None = None) -> RunStats:
    stats = RunStats(jobs, clock or Clock())
    for one in jobs:
        stats.notify(DebtKnown(debt(one, one.series[0], NOW, SeriesState())))
    return stats


def test_a_report_goes_from_owed_to_collected() -> None:
    stats = board_of(job())
    (row,) = stats.rows()
    assert (row.wanted_seconds, row.owed_seconds) == (31 * DAY, 31 * DAY)

    stats.notify(ReportChanged(report(), None))
    assert (row.owed_seconds, row.waiting, row.fetching) == (0, 1, 0)
    stats.notify(ReportChanged(report(State.SUBMITTED), lifecycle.Created("r")))
    assert (row.waiting, row.fetching) == (1, 0)
    stats.notify(ReportChanged(report(State.READY), lifecycle.Finished(7, "/f")))
    stats.notify(BytesReceived(report(State.READY), 1000))
    assert (row.waiting, row.fetching, row.received_bytes) == (0, 1, 1000)
    stats.notify(ReportChanged(report(State.VERIFIED), lifecycle.Verified("0" * 64, 7, 99, "t")))
    assert (row.collected, row.fetching, row.rows) == (0, 1, 0)
    stats.notify(
        ReportChanged(report(State.COLLECTED, rows=7, size_bytes=99), lifecycle.Published())
    )
    assert (row.collected, row.fetching, row.rows, row.size_bytes) == (1, 0, 7, 99)
    assert row.collected_seconds == row.wanted_seconds
    assert row.is_complete


def test_a_report_of_an_earlier_run_is_wanted_beside_what_is_owed() -> None:
    stats = board_of(job(window=MARCH))
    stats.notify(ReportChanged(report(State.SUBMITTED, intended_at=NOW - timedelta(hours=1)), None))
    (row,) = stats.rows()
    assert (row.wanted_seconds, row.owed_seconds, row.waiting) == (40 * DAY, 9 * DAY, 1)


def test_an_intent_in_the_very_millisecond_of_the_beginning_is_new() -> None:
    stats = board_of(job())
    # The ledger keeps whole milliseconds.
    stats.notify(ReportChanged(report(intended_at=NOW.replace(microsecond=123000)), None))
    assert stats.sum().wanted_seconds == 31 * DAY


def test_a_create_that_did_not_happen_is_owed_again() -> None:
    stats = board_of(job())
    stats.notify(ReportChanged(report(), None))
    stats.notify(ReportChanged(report(State.ABSENT), lifecycle.NotCreated("429")))
    (row,) = stats.rows()
    assert (row.owed_seconds, row.waiting, row.ended_badly) == (31 * DAY, 0, 0)


def test_what_two_jobs_want_is_owed_once() -> None:
    overlapping = Window(JANUARY.start + timedelta(days=15), JANUARY.end + timedelta(days=5))
    stats = board_of(job("one"), job("two", overlapping))
    assert stats.sum().owed_seconds == 36 * DAY


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (State.FAILED, lifecycle.Failed("the API says FAILED")),
        (State.ABORTED, lifecycle.Aborted("the API says FAILED")),
        (State.TRUNCATED, lifecycle.CutShort(3, "the API says FAILED")),
        (State.EXPIRED, lifecycle.FileGone("the API says FAILED")),
        (State.LOST, lifecycle.Lost("the API says FAILED")),
        (State.DISPUTED, lifecycle.Disputed("the API says FAILED")),
    ],
)
def test_a_report_that_ends_badly_is_counted_and_told(state: State, event: Any) -> None:
    notes = Notes()
    stats = board_of(job())
    events = RunEvents(stats.notify, RunLog(notes).notify)
    events.notify(ReportChanged(report(), None))
    ended = report(state, reason="the API says FAILED", request_id="r-1")
    events.notify(ReportChanged(ended, event))
    (row,) = stats.rows()
    assert (row.waiting, row.fetching, row.ended_badly) == (0, 0, 1)
    assert not row.is_complete
    name = "report 1 (abcd1234 SMS outbound, 2026-01-01 to 2026-02-01)"
    ((level, text, facts),) = notes.said
    assert (level, text) == ("warning", f"{name}: {state.value}: the API says FAILED")
    facts = {name: facts[name] for name in ("report", "request_id", "state", "cause")}
    assert list(facts.values()) == [1, "r-1", state.value, type(event).__name__]


def test_the_slowest_is_the_oldest_that_waits_at_the_api() -> None:
    clock = Clock()
    stats = board_of(job(), clock=clock)
    stats.notify(ReportChanged(report(State.SUBMITTED, submitted_at=NOW), None))
    stats.notify(
        ReportChanged(report(State.SUBMITTED, id=2, submitted_at=NOW + timedelta(seconds=30)), None)
    )
    # What is finished at the API is not slow any more, however old it is.
    stats.notify(
        ReportChanged(report(State.READY, id=3, submitted_at=NOW - timedelta(days=1)), None)
    )
    clock.at = NOW + timedelta(seconds=90)
    assert stats.slowest() == {("abcd1234", "SMS"): timedelta(seconds=90)}


def test_made_up_days_and_time_beyond_retention_are_remarked() -> None:
    nightly = replace(job("nightly"), windows=(CalendarWord.YESTERDAY,))
    mark = datetime(2026, 3, 7, tzinfo=UTC)
    stats = RunStats([nightly], Clock())
    series_state = SeriesState(resolution=Resolution((), mark))
    stats.notify(DebtKnown(debt(nightly, nightly.series[0], NOW, series_state)))
    old = Window(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC))
    stats.notify(DebtKnown(debt(job("old", old), job().series[0], NOW, SeriesState())))
    assert stats.plan_notes.backfilled == {"nightly": (Window(mark, mark + timedelta(days=2)),)}
    kept_since = datetime(2025, 2, 10, 6, tzinfo=UTC)
    assert stats.plan_notes.past_retention == Window(old.start, kept_since)
    assert stats.plan_notes.past_retention_series == 1


def test_a_report_that_was_held_before_is_no_news() -> None:
    notes = Notes()
    log = RunLog(notes)
    log.notify(ReportChanged(report(State.HELD, reason="unknown"), None))
    assert notes.said == []
    log.notify(ReportChanged(report(State.HELD, reason="unknown"), lifecycle.Held("unknown")))
    ((_, text, facts),) = notes.said
    assert facts["reason"] == "unknown"
    for way in ("--adopt REQUEST_ID", "--waive", "--resubmit"):
        assert f"`orchestrator resolve 1 {way}`" in text


def test_a_log_that_fails_does_not_end_the_run() -> None:
    def broken(_level: str, _text: str, _facts: Mapping[str, Any]) -> None:
        raise OSError("the terminal is gone")

    stats = board_of(job())
    events = RunEvents(RunLog(broken).notify, stats.notify)
    events.message("warning", "anything")
    events.notify(ReportChanged(report(), None))
    events.notify(ReportChanged(report(State.FAILED), lifecycle.Failed("")))
    assert repr(events.failure) == "OSError('the terminal is gone')"
    assert stats.sum().ended_badly == 1


def test_no_guess_is_made_from_the_first_few_reports() -> None:
    stats = board_of(job(window=Window(JANUARY.start, MARCH.end)))
    length = timedelta(days=1)
    for number in range(5):
        window = Window(JANUARY.start + number * length, JANUARY.start + (number + 1) * length)
        stats.notify(ReportChanged(report(id=number, window=window), None))
        stats.notify(
            ReportChanged(report(State.COLLECTED, id=number, window=window), lifecycle.Published())
        )
    assert stats.remaining() is None


def test_the_guess_follows_the_pace_since_the_first_report() -> None:
    stats = board_of(job(window=Window(JANUARY.start, MARCH.end)))
    length = timedelta(days=1)
    for number in range(34):
        window = Window(JANUARY.start + number * length, JANUARY.start + (number + 1) * length)
        stats.notify(ReportChanged(report(id=number, window=window), None))
        stats.notify(
            ReportChanged(report(State.COLLECTED, id=number, window=window), lifecycle.Published())
        )
    left = stats.remaining()
    # 34 of 68 days are there: what is left takes about as long as what was.
    assert left is not None
    assert timedelta() < left < timedelta(seconds=5)


def test_an_event_costs_less_than_50_microseconds() -> None:
    stats = board_of(job())
    ready = report(State.READY)
    stats.notify(ReportChanged(ready, None))
    rounds = 2000
    begun = time.perf_counter()
    for _ in range(rounds):
        stats.notify(ReportChanged(ready, lifecycle.Finished(7, "/f")))
        stats.notify(BytesReceived(ready, 65536))
    assert (time.perf_counter() - begun) / (2 * rounds) < 50e-6
