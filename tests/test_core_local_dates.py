"""People read windows with the dates of the job's time zone."""

from __future__ import annotations

from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from orchestrator.core.intervals import Window
from orchestrator.core.local_dates import chunk_text, use_zones_of
from orchestrator.core.model import Job, JobSeries, Series

if TYPE_CHECKING:
    from collections.abc import Callable

SMS = Series.of("abcd1234", "SMS", "outbound")
VERIFY = Series.of("abcd1234", "VERIFY-API")
BERLIN_MARCH = Window(datetime(2026, 2, 28, 23, tzinfo=UTC), datetime(2026, 3, 31, 22, tzinfo=UTC))


@dataclass(frozen=True)
class Piece:
    series: Series
    window: Window = BERLIN_MARCH


def job(zone: str, *series: Series) -> Job:
    entries = tuple(JobSeries(one, "default") for one in series)
    return Job(name=zone, path=Path("job.yaml"), zone=ZoneInfo(zone), series=entries, windows=())


def in_a_context(check: Callable[[], None]) -> None:
    copy_context().run(check)


def test_without_jobs_it_is_utc() -> None:
    text = "abcd1234 SMS outbound, 2026-02-28T23:00:00Z to 2026-03-31T22:00:00Z"
    assert chunk_text(Piece(SMS)) == text


def test_the_dates_are_those_of_the_job_also_for_series_that_it_does_not_name() -> None:
    def check() -> None:
        use_zones_of([job("Europe/Berlin", SMS)])
        assert chunk_text(Piece(SMS)) == "abcd1234 SMS outbound, 2026-03-01 to 2026-04-01"
        assert chunk_text(Piece(VERIFY)).endswith(", 2026-03-01 to 2026-04-01")

    in_a_context(check)


def test_each_series_has_the_zone_of_its_first_job() -> None:
    def check() -> None:
        use_zones_of([job("Europe/Berlin", SMS), job("UTC", SMS, VERIFY)])
        assert chunk_text(Piece(SMS)).endswith(", 2026-03-01 to 2026-04-01")
        assert chunk_text(Piece(VERIFY)).endswith("2026-02-28T23:00:00Z to 2026-03-31T22:00:00Z")

    in_a_context(check)
