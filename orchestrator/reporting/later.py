"""What a job wants and may not ask for yet, in words and as JSON."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from orchestrator.core.calendar import first_instant, local_date
from orchestrator.core.windows import later
from orchestrator.reporting.figures import utc_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from orchestrator.core.intervals import Window
    from orchestrator.core.model import Job


def later_lines(job: Job, now: datetime) -> Iterator[str]:
    """One line a window of the job: ``yesterday 2026-03-01: later, from 01:00``."""
    for rest in later(job, now):
        available = rest.available_at.astimezone(job.zone)
        when = available.strftime("%H:%M")
        if available.date() != local_date(now, job.zone):
            when = f"{available.date()} {when}"
        yield f"{rest.label} {dates(rest.window, job.zone)}: later, from {when}"


def later_objects(job: Job, now: datetime) -> Iterator[dict[str, Any]]:
    """The same for `--json`; moments in UTC."""
    for rest in later(job, now):
        yield {
            "job": job.name,
            "window": rest.label,
            "start": utc_text(rest.window.start),
            "end": utc_text(rest.window.end),
            "available_at": utc_text(rest.available_at),
        }


def dates(window: Window, zone: ZoneInfo) -> str:
    """A window for people: its one day, its first and last day, or its ends by the local clock."""
    start, end = window.start.astimezone(zone), window.end.astimezone(zone)
    whole_days = (
        first_instant(start.date(), zone) == window.start
        and first_instant(end.date(), zone) == window.end
    )
    if not whole_days:
        return f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"
    last = end.date() - timedelta(days=1)
    return str(last) if last == start.date() else f"{start.date()} to {last}"
