"""Counts what a run has done so far, per account and product: what every display shows."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final

from orchestrator.core.debt import Debt
from orchestrator.core.events import (
    BytesReceived,
    DebtKnown,
    Message,
    ReportChanged,
    RequestMade,
    RunEvent,
)
from orchestrator.core.intervals import Window, subtract, total, union
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Job
from orchestrator.core.ports import Clock
from orchestrator.core.windows import retention_edge

AT_THE_API: Final = frozenset({State.SUBMITTING, State.SUBMITTED, State.HELD})
"""States in which a report waits for the API."""

ENDED_BADLY: Final = frozenset(
    {State.TRUNCATED, State.FAILED, State.ABORTED, State.EXPIRED, State.LOST, State.DISPUTED}
)
"""States of reports that came to nothing, or wait for a person."""

_MIN_REPORTS: Final = 5
"""Reports that must have been collected before the time left can be estimated."""


@dataclass(slots=True)
class RowStats:
    """One account and product."""

    account_id: str  # the account
    product: str  # the product, all directions and filters together
    # the time that this run has to collect: missing when it began, or open
    wanted_seconds: float = 0.0
    owed_seconds: float = 0.0  # the part of it that is not asked for yet
    collected_seconds: float = 0.0  # the part of it that is collected
    waiting: int = 0  # number of reports that the API works on
    fetching: int = 0  # number of reports that are finished there, and not downloaded yet
    collected: int = 0  # number of reports collected in this run
    rows: int = 0  # records of these
    size_bytes: int = 0  # of their files
    received_bytes: int = 0  # of archives, by this run
    ended_badly: int = 0  # number of reports that brought no file in this run, or are disputed

    @property
    def is_busy(self) -> bool:
        """Whether reports of it are open."""
        return bool(self.waiting or self.fetching)

    @property
    def is_complete(self) -> bool:
        """Whether nothing of it is left to do or to say."""
        return not (self.is_busy or self.owed_seconds or self.ended_badly)


_numbers = attrgetter(*(number.name for number in fields(RowStats)[2:]))
"""What can be added up of a row."""


@dataclass(slots=True)
class PlanNotes:
    """What must be said of the debt when a run begins, over all series.

    Its memory does not grow with their number.
    """

    # by job, the time that earlier runs of it missed. This is normal
    backfilled: dict[str, tuple[Window, ...]] = field(default_factory=dict)
    # from the oldest moment asked for that the API no longer keeps, to where it still has
    # records; None if there is no such time
    past_retention: Window | None = None
    past_retention_series: int = 0  # how many series reach back there

    def add(self, debt: Debt, now: datetime) -> None:
        """Adds the debt of one more series, as it stands now."""
        if debt.backfilled:
            earlier = self.backfilled.get(debt.job.name, ())
            self.backfilled[debt.job.name] = union(earlier, debt.backfilled)
        if debt.forgotten:
            self.past_retention_series += 1
            start, end = debt.forgotten[0].start, retention_edge(debt.entry.series, now)
            if self.past_retention is not None:
                start = min(start, self.past_retention.start)
                end = max(end, self.past_retention.end)
            self.past_retention = Window(start, end)


class RunStats:
    """Subscribes to the run's events; counts by account and product, and keeps the open reports.

    Memory does not grow with the number of reports, only with those that are open at a time.

    Args:
        clock: the run's wall clock; what is intended from now on counts as new.
        requests: how many requests the run has made so far.
    """

    def __init__(
        self, jobs: Iterable[Job], clock: Clock, requests: Callable[[], int] = lambda: 0
    ) -> None:
        begun = clock.now()
        # The ledger's moments are whole milliseconds.
        self._begun = begun.replace(microsecond=begun.microsecond // 1000 * 1000)
        self._clock = clock
        self.requests = requests
        self.plan_notes = PlanNotes()  # on the debt, complete once the run works
        self._rows: dict[tuple[str, str], RowStats] = {}
        self._open: dict[int, tuple[RowStats, State, datetime]] = {}
        seen = Counter(entry.series.key for job in jobs for entry in job.series)
        # A report of another job's series is followed as well; its window is not asked for here.
        self._wanted_keys = frozenset(seen)
        # Two jobs may want the same time: it is owed once.
        self._shared: dict[str, tuple[Window, ...]] = {
            key: () for key, number in seen.items() if number > 1
        }
        self._started = time.monotonic()
        self._first: tuple[float, float, int] | None = None

    # --- what it subscribes to ----------------------------------------------------------------

    def notify(self, event: RunEvent) -> None:
        """Counts an event."""
        match event:
            case DebtKnown():
                self._count_debt(event.debt)
            case ReportChanged():
                self._count_report(event)
            case BytesReceived():
                followed = self._open.get(event.report.id)
                if followed is not None:
                    followed[0].received_bytes += event.size_bytes
            case RequestMade() | Message():
                pass

    def _count_debt(self, debt: Debt) -> None:
        self.plan_notes.add(debt, self._clock.now())
        series = debt.entry.series
        owed = debt.owed
        if series.key in self._shared:
            earlier = self._shared[series.key]
            owed = subtract(owed, earlier)
            self._shared[series.key] = union(earlier, owed)
        if owed:
            seconds = total(owed).total_seconds()
            row = self._row(series.account_id, series.product)
            row.wanted_seconds += seconds
            row.owed_seconds += seconds

    def _count_report(self, changed: ReportChanged) -> None:
        report, event = changed.report, changed.event
        seconds = report.window.length.total_seconds()
        row = self._row(report.series.account_id, report.series.product)
        before = self._open.pop(report.id, None)
        if before is not None:
            self._count(row, before[1], -1)
        elif event is None and report.intended_at >= self._begun:
            row.owed_seconds = max(0.0, row.owed_seconds - seconds)
        else:
            row.wanted_seconds += seconds
        state = report.state
        if state.is_open:
            self._open[report.id] = (row, state, report.submitted_at or report.intended_at)
            self._count(row, state, +1)
        elif state is State.COLLECTED:
            row.collected += 1
            row.collected_seconds += seconds
            row.rows += report.rows or 0
            row.size_bytes += report.size_bytes or 0
            if self._first is None:
                self._first = self._progress()
        elif state is State.ABSENT and report.series.key in self._wanted_keys:
            row.owed_seconds += seconds
        elif state in ENDED_BADLY:
            row.ended_badly += 1

    @staticmethod
    def _count(row: RowStats, state: State, step: int) -> None:
        if state in AT_THE_API:
            row.waiting += step
        else:
            row.fetching += step

    def _row(self, account_id: str, product: str) -> RowStats:
        key = (account_id, product)
        return self._rows.setdefault(key, RowStats(account_id, product))

    # --- what displays ask --------------------------------------------------------------------

    def rows(self) -> Iterator[RowStats]:
        """Every row, in the order in which they came up."""
        return iter(self._rows.values())

    def sum(self) -> RowStats:
        """All rows together."""
        columns = zip(*map(_numbers, self._rows.values()), strict=True)
        return RowStats("", "", *map(sum, columns))

    def slowest(self) -> dict[tuple[str, str], timedelta]:
        """By account and product: how long the oldest report has been waiting at the API."""
        now = self._clock.now()
        ages: dict[tuple[str, str], timedelta] = {}
        for row, state, since in self._open.values():
            if state in AT_THE_API:
                key = (row.account_id, row.product)
                ages[key] = max(ages.get(key, timedelta()), now - since)
        return ages

    @property
    def elapsed(self) -> timedelta:
        """Since the run began."""
        return timedelta(seconds=time.monotonic() - self._started)

    def remaining(self) -> timedelta | None:
        """An estimate of the time left, by the speed since the first report; None: too early.

        The speed of a few reports, or of the wait for the first one, says nothing.
        """
        if self._first is None:
            return None
        at, seconds, reports = self._progress()
        first_at, first_seconds, first_reports = self._first
        if reports - first_reports < _MIN_REPORTS or at <= first_at or seconds <= first_seconds:
            return None
        remaining_seconds = max(0.0, self.sum().wanted_seconds - seconds)
        return timedelta(seconds=remaining_seconds * (at - first_at) / (seconds - first_seconds))

    def _progress(self) -> tuple[float, float, int]:
        whole = self.sum()
        return time.monotonic(), whole.collected_seconds, whole.collected
