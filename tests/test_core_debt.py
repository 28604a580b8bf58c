"""The debt over whole lives of a job: what is wanted, what is had, what is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core import windows
from orchestrator.core.debt import EarlierJob, by_series, debt, urgent
from orchestrator.core.intervals import Window, intersect, subtract, union
from orchestrator.core.model import (
    AbsoluteWindow,
    CalendarWord,
    Job,
    JobSeries,
    LastWindow,
    Resolution,
    Series,
    SeriesState,
    Span,
    Unit,
    WindowSpec,
)

UTC_ZONE = ZoneInfo("UTC")
SERIES = Series.of("abcd1234", "SMS", "outbound")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def job(*specs: WindowSpec, zone: str = "UTC", settle: timedelta = timedelta(hours=1)) -> Job:
    return Job(
        name="nightly",
        path=Path("nightly.yaml"),
        zone=ZoneInfo(zone),
        series=(JobSeries(SERIES, "default"),),
        windows=specs,
        chunk=Span(1, Unit.DAYS),
        settle=settle,
    )


def window(start: str, end: str) -> Window:
    return Window(utc(start), utc(end))


@dataclass
class Life:
    """A ledger in a few lines: what one job has bought of one series."""

    job: Job
    series_state: SeriesState = field(default_factory=SeriesState)
    bought: list[Window] = field(default_factory=list)

    def run(self, now: datetime, job: Job | None = None) -> list[Window]:
        """One night: buys every chunk of the debt; returns them."""
        self.job = job or self.job
        owed = debt(self.job, self.job.series[0], now, self.series_state)
        chunks = list(owed.chunks())
        for chunk in chunks:
            assert not any(chunk.overlaps(old) for old in self.series_state.had), "bought twice"
        self.bought += chunks
        self.series_state = replace(
            self.series_state,
            resolution=owed.resolution,
            had=union(self.series_state.had, chunks),
        )
        return chunks


def test_yesterday_buys_one_day_a_night() -> None:
    life = Life(job(CalendarWord.YESTERDAY))
    assert life.run(utc("2026-03-02T03:00")) == [window("2026-03-01", "2026-03-02")]
    assert life.run(utc("2026-03-03T03:00")) == [window("2026-03-02", "2026-03-03")]
    assert life.run(utc("2026-03-03T04:00")) == []


def test_nights_without_a_run_are_made_up_and_named() -> None:
    life = Life(job(CalendarWord.YESTERDAY))
    life.run(utc("2026-03-02T03:00"))
    owed = debt(life.job, life.job.series[0], utc("2026-03-05T03:00"), life.series_state)
    assert owed.backfilled == (window("2026-03-02", "2026-03-04"),)
    assert [str(chunk) for chunk in life.run(utc("2026-03-05T03:00"))] == [
        "2026-03-02 to 2026-03-03",
        "2026-03-03 to 2026-03-04",
        "2026-03-04 to 2026-03-05",
    ]


def test_what_is_still_settling_is_later_and_stays_owed() -> None:
    """At half past midnight yesterday is not settled; the next night buys it with its own day."""
    life = Life(job(CalendarWord.YESTERDAY))
    now = utc("2026-03-02T00:30")
    assert life.run(now) == []
    (late,) = windows.later(life.job, now)
    assert (late.label, late.window, late.available_at) == (
        "yesterday",
        window("2026-03-01", "2026-03-02"),
        utc("2026-03-02T01:00"),
    )
    assert life.run(utc("2026-03-03T03:00")) == [
        window("2026-03-01", "2026-03-02"),
        window("2026-03-02", "2026-03-03"),
    ]


def test_an_open_window_ends_at_the_clip_and_is_never_late() -> None:
    life = Life(job(AbsoluteWindow(utc("2026-02-27"))))
    now = utc("2026-03-01T12:00")
    assert life.run(now) == [
        window("2026-02-27", "2026-02-28"),
        window("2026-02-28", "2026-03-01"),
    ]
    assert windows.later(life.job, now) == ()


def test_an_edited_window_buys_only_what_is_new() -> None:
    life = Life(job(AbsoluteWindow(utc("2026-01-10"), utc("2026-01-12"))))
    life.run(utc("2026-03-01T12:00"))
    wider = job(AbsoluteWindow(utc("2026-01-09"), utc("2026-01-13")))
    assert life.run(utc("2026-03-01T12:00"), wider) == [
        window("2026-01-09", "2026-01-10"),
        window("2026-01-12", "2026-01-13"),
    ]


def test_other_chunk_borders_buy_nothing_again() -> None:
    life = Life(job(AbsoluteWindow(utc("2026-01-01"), utc("2026-02-01"))))
    assert len(life.run(utc("2026-03-01T12:00"))) == 31
    assert life.run(utc("2026-03-01T12:00"), replace(life.job, chunk=Span(1, Unit.MONTHS))) == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (CalendarWord.YESTERDAY, ("2026-03-10T23", "2026-03-11T23")),
        (CalendarWord.TODAY, ("2026-03-11T23", "2026-03-12T23")),
        (CalendarWord.LAST_WEEK, ("2026-03-01T23", "2026-03-08T23")),
        (CalendarWord.THIS_WEEK, ("2026-03-08T23", "2026-03-12T23")),
        (CalendarWord.LAST_MONTH, ("2026-01-31T23", "2026-02-28T23")),
        (CalendarWord.THIS_MONTH, ("2026-02-28T23", "2026-03-12T23")),
        (LastWindow(Span(7, Unit.DAYS)), ("2026-03-04T23", "2026-03-11T23")),
        (LastWindow(Span(2, Unit.WEEKS)), ("2026-02-25T23", "2026-03-11T23")),
        (LastWindow(Span(1, Unit.MONTHS)), ("2026-02-11T23", "2026-03-11T23")),
    ],
)
def test_words_mean_local_days(spec: CalendarWord | LastWindow, expected: tuple[str, str]) -> None:
    """Thursday 2026-03-12 noon, seen from Berlin (an hour ahead)."""
    named = windows.relative(spec, utc("2026-03-12T12:00"), ZoneInfo("Europe/Berlin"))
    assert named == Window(*(utc(f"{moment}:00") for moment in expected))


def test_last_month_of_the_31st_is_clamped() -> None:
    named = windows.relative(
        LastWindow(Span(1, Unit.MONTHS)), utc("2026-03-31T12:00"), ZoneInfo("UTC")
    )
    assert named == window("2026-02-28", "2026-03-31")


def test_a_changed_zone_leaves_no_gap() -> None:
    """From Los Angeles to Tokyo the day ends 17 hours earlier; the mark reaches back for them."""
    life = Life(job(CalendarWord.YESTERDAY, zone="America/Los_Angeles"))
    life.run(utc("2026-03-02T12:00"))
    tokyo = job(CalendarWord.YESTERDAY, zone="Asia/Tokyo")
    life.run(utc("2026-03-04T12:00"), tokyo)
    (covered,) = union(life.bought)
    assert covered.end == utc("2026-03-03T15:00")


def test_two_jobs_of_one_command_share_a_series_and_the_first_buys() -> None:
    month = job(AbsoluteWindow(utc("2026-01-01"), utc("2026-02-01")))
    longer = replace(
        month, name="longer", windows=(AbsoluteWindow(utc("2026-01-20"), utc("2026-02-10")),)
    )
    now = utc("2026-03-01T12:00")
    owed = []
    for one, entry, earlier in by_series([month, longer]):
        before = [EarlierJob(other, now, Resolution()) for other in earlier]
        owed.append(debt(one, entry, now, SeriesState(), before).owed)
    assert owed == [
        (window("2026-01-01", "2026-02-01"),),
        (window("2026-02-01", "2026-02-10"),),
    ]


def test_records_about_to_be_deleted_go_first_and_deleted_ones_are_named() -> None:
    now = utc("2026-03-15T12:00")
    owed = debt(
        job(AbsoluteWindow(utc("2025-02-01"), utc("2025-03-01"))),
        JobSeries(SERIES, "default"),
        now,
        SeriesState(),
    )
    assert owed.forgotten == (Window(utc("2025-02-01"), utc("2025-02-15T12:00")),)
    rushed = [str(chunk) for chunk in owed.chunks() if urgent(chunk, owed, now)]
    assert rushed == [
        "2025-02-15 to 2025-02-16",
        "2025-02-16 to 2025-02-17",
        "2025-02-17 to 2025-02-18",
    ]


def test_video_is_kept_for_ninety_days() -> None:
    series = Series.of("abcd1234", "VIDEO-API")
    assert windows.retention_edge(series, utc("2026-04-01T00:00")) == utc("2026-01-01T00:00")


relative_specs = st.one_of(
    st.sampled_from(CalendarWord),
    st.builds(
        LastWindow,
        st.builds(Span, st.integers(1, 10), st.sampled_from([Unit.DAYS, Unit.WEEKS])),
    ),
)
zones = st.sampled_from(
    ["UTC", "Europe/London", "America/Los_Angeles", "Asia/Tokyo", "America/Sao_Paulo"]
)


@settings(max_examples=120)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 5 * 86_400),  # seconds until the next run
            st.one_of(st.none(), zones),  # the zone is changed
            st.one_of(st.none(), st.lists(relative_specs, min_size=1, max_size=2)),  # edited
        ),
        min_size=50,
        max_size=250,
    ),
    st.sampled_from([timedelta(), timedelta(hours=1), timedelta(days=3)]),
)
def test_hundreds_of_nights_leave_no_gap_and_buy_nothing_twice(
    nights: list[tuple[int, str | None, list[WindowSpec] | None]], settle: timedelta
) -> None:
    """Missed runs, changed zones and edited files, from 2024 on, over clock changes."""
    life = Life(job(CalendarWord.YESTERDAY, zone="Europe/London", settle=settle))
    now = utc("2024-01-01T02:00")
    life.run(now)
    first = windows.resolve(life.job, now, Resolution()).windows[0].start
    current = life.job
    for pause, zone, specs in nights:
        now += timedelta(seconds=pause)
        if zone is not None:
            current = replace(current, zone=ZoneInfo(zone))
        if specs is not None:
            current = replace(current, windows=tuple(specs))
        life.run(now, current)
    covered = union(life.bought)
    # Days later everything that was ever resolved has settled.
    last = now + timedelta(days=5)
    life.run(last)
    covered = union(life.bought)
    mark = life.series_state.resolution.mark
    assert mark is not None
    end = min(mark, windows.clip(life.job, last))
    assert subtract([Window(first, end)], covered) == ()


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(1, 90), st.integers(0, 40)),
        min_size=1,
        max_size=25,
    )
)
def test_absolute_windows_edited_at_will_buy_each_moment_once(
    edits: list[tuple[int, int, int]],
) -> None:
    """Each edit: another window, another chunk size, another day."""
    life = Life(job())
    start = utc("2024-01-01")
    now = utc("2024-06-01T12:00")
    wanted: tuple[Window, ...] = ()
    for first, length, size in edits:
        begin = start + timedelta(days=first)
        spec = AbsoluteWindow(begin, begin + timedelta(days=length))
        now += timedelta(days=3)
        life.run(now, replace(job(spec), chunk=Span(size + 1, Unit.DAYS)))
        edge = windows.clip(life.job, now)
        wanted = union(wanted, intersect([Window(begin, spec.end or edge)], [Window(start, edge)]))
    assert union(life.bought) == wanted
