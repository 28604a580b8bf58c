"""Real ledgers on disk, filled through the statements that a run uses."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from orchestrator.collect import layout
from orchestrator.core import lifecycle
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Resolution
from orchestrator.core.settings import Format
from orchestrator.ledger.sqlite import connect
from orchestrator.ledger.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.core.lifecycle import Event
    from orchestrator.core.model import Report, Series


def day(text: str) -> datetime:
    """The first moment of a date, or a moment, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def span(start: str, end: str) -> Window:
    """The window between two dates or moments of UTC."""
    return Window(day(start), day(end))


@dataclass(frozen=True)
class Book:
    """A ledger that is being filled."""

    store: Store
    output: Path
    at: datetime

    def report(self, series: Series, window: Window, *events: Event, job: str = "job") -> Report:
        """A report that took these events, one an hour after the intent."""
        report = self.store.record_intent(
            series,
            window,
            job=job,
            api_key="abcd1234",
            server_ahead=timedelta(),
            callback_url=None,
            at=self.at,
        )
        for hour, event in enumerate(events, 1):
            report = self.store.apply(report, event, self.at + timedelta(hours=hour))
        return report

    def submitted(self, series: Series, window: Window, *events: Event) -> Report:
        """A report that the API knows, and that then took these events."""
        start = window.start.strftime("%Y%m%d")
        created = lifecycle.Created(f"id-{series.key[:6]}-{start}")
        return self.report(series, window, created, *events)

    def collected(self, series: Series, window: Window, content: bytes) -> Report:
        """A collected report whose file, of one line a record below a header, stands there."""
        target = layout.target(series, window, Format.CSV)
        path = self.output / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        rows = content.count(b"\n") - 1
        return self.submitted(
            series,
            window,
            lifecycle.Finished(rows, "https://api.nexmo.com/v3/media/1"),
            lifecycle.Verified(hashlib.sha256(content).hexdigest(), rows, len(content), target),
            lifecycle.Published(),
        )

    def given_up(self, report: Report, event: Event, reason: str) -> Report:
        """The report after an event that gives its window up."""
        at = self.at + timedelta(hours=9)
        ended = self.store.apply(report, event, at)
        self.store.give_up(report.series, report.window, reason, report_id=report.id, at=at)
        return ended

    def resolved(self, job: str, series: Series, *windows: Window) -> None:
        """A job's relative windows as its runs have resolved them; the mark is their end."""
        self.store.remember(job, {series: Resolution(windows, windows[-1].end)})


@contextmanager
def book(path: Path, output: Path, at: datetime) -> Iterator[Book]:
    """A new ledger, whose intents are all of the moment `at`."""
    connection = connect(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield Book(Store(connection), output, at)
        connection.execute("COMMIT")
    finally:
        connection.close()


def every_state(book: Book, series: Series) -> dict[State, Report]:
    """A report in every state, in months of their own from 2020 on."""
    finished = lifecycle.Finished(5, "https://api.nexmo.com/v3/media/1")
    verified = lifecycle.Verified("0" * 64, 5, 100, "report.csv")
    submitted: dict[State, tuple[Event, ...]] = {
        State.SUBMITTED: (),
        State.READY: (finished,),
        State.VERIFIED: (finished, verified),
        State.COLLECTED: (finished, verified, lifecycle.Published()),
        State.SUPERSEDED: (
            finished,
            verified,
            lifecycle.Published(),
            lifecycle.Superseded("by report 99"),
        ),
        State.ERASED: (finished, verified, lifecycle.Published(), lifecycle.Erased("on purpose")),
        State.DISPUTED: (lifecycle.Disputed("not what was asked for"),),
        State.WAIVED: (lifecycle.Disputed("wrong"), lifecycle.Waived("waived by the user")),
        State.DISCARDED: (lifecycle.Disputed("wrong"), lifecycle.Resubmitted("bought again")),
        State.TRUNCATED: (lifecycle.CutShort(7_000_000, "the API says TRUNCATED"),),
        State.FAILED: (lifecycle.Failed("the API says FAILED"),),
        State.ABORTED: (lifecycle.Aborted("the API says ABORTED"),),
        State.CANCELLED: (lifecycle.Cancelled(),),
        State.EXPIRED: (finished, lifecycle.FileGone("404 for the file")),
        State.LOST: (lifecycle.Lost("404 for the id"),),
    }
    unknown: dict[State, tuple[Event, ...]] = {
        State.SUBMITTING: (),
        State.ABSENT: (lifecycle.NotCreated("HTTP 403 Forbidden"),),
        State.HELD: (lifecycle.Held("the list proves nothing"),),
    }
    reports = {}
    for month, state in enumerate(State, 1):
        year, month0 = divmod(month - 1, 12)
        window = span(f"{2020 + year}-{month0 + 1:02}-01", f"{2020 + year}-{month0 + 1:02}-15")
        if state in unknown:
            reports[state] = book.report(series, window, *unknown[state])
        else:
            reports[state] = book.submitted(series, window, *submitted[state])
    return reports
