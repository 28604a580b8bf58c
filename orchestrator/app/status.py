"""Where every report stands, and why. Reads the ledger; changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from orchestrator.app.files import quarantined_file
from orchestrator.app.ledger_reading import LedgerView, column_drift, series_of
from orchestrator.app.plan import SeriesPlan, series_plans
from orchestrator.app.setup import clock_of
from orchestrator.config import Inputs
from orchestrator.core import windows
from orchestrator.core.column_drift import ColumnDrift
from orchestrator.core.intervals import Overlaps
from orchestrator.core.lifecycle import HAD, OPEN, State
from orchestrator.core.model import GivenUp, Job, Report, Series
from orchestrator.core.ports import LedgerReader
from orchestrator.reporting.phrases import Explanation, Fate, explain


class Filter(Enum):
    """Which reports `Status.reports` lists."""

    FAILED = "failed"
    """What failed, was refused or given up, or is disputed."""
    OPEN = "open"
    """What a run goes on with."""
    HELD = "held"
    """What may or may not exist at the API."""


LISTED: Final = frozenset(State) - {State.COLLECTED}
"""States whose reports are listed one by one."""

_NOTHING: Final = LISTED - HAD - {State.SUPERSEDED}
"""States in which a report brought nothing, so that its window has a fate of its own."""

_STATES: Final = {
    Filter.FAILED: (_NOTHING | {State.DISPUTED}) - {State.CANCELLED, State.DISCARDED},
    Filter.OPEN: OPEN - {State.HELD},
    Filter.HELD: frozenset({State.HELD}),
}


@dataclass(frozen=True, slots=True)
class StateCount:
    """The reports of a series that are in one state, with their records and bytes."""

    reports: int
    rows: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SeriesStatus:
    """A series and its reports, by state.

    Attributes:
        states: in the order of a report's life; only the states that there are.
    """

    series: Series
    states: Mapping[State, StateCount]

    @property
    def collected(self) -> StateCount:
        """What is collected of it."""
        return self.states.get(State.COLLECTED, StateCount(0, 0, 0))


@dataclass(frozen=True, slots=True)
class ReportStatus:
    """One report that is not collected.

    Attributes:
        fate: of its window, where the report came to nothing; else None.
        explanation: what happened, and what follows or can be done.
    """

    report: Report
    fate: Fate | None
    explanation: Explanation

    @property
    def is_current(self) -> bool:
        """Whether it is more than history: nothing later has taken its place."""
        if self.report.state is State.ERASED:
            return self.report.target is not None  # its file is still there
        return self.fate is not Fate.AGAIN and self.report.state is not State.SUPERSEDED


@dataclass(frozen=True, slots=True)
class JobStatus:
    """How far a job has got.

    Attributes:
        until: up to when its records can be collected now: what is later is still settling.
        series: how many it has.
        missing: how many of them lack time that the next run asks for.
        since: the first moment of that time; None where no series lacks any.
        open: reports that a run goes on with, held ones apart.
        held: reports that may exist or not.
        disputed: reports over what it wants that wait for a person.
        given_up: windows, of those it wants, that no run asks for by itself.
        waived: windows, of those it wants, that a person has decided to skip.
        erased: windows, of those it wants, whose files are erased.
    """

    job: Job
    until: datetime
    series: int = 0
    missing: int = 0
    since: datetime | None = None
    open: int = 0
    held: int = 0
    disputed: int = 0
    given_up: int = 0
    waived: int = 0
    erased: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether everything that it wants up to `until` is collected, or skipped on purpose."""
        return not (self.missing or self.open or self.held or self.disputed or self.given_up)

    @classmethod
    def of(cls, job: Job, until: datetime, lines: Iterable[SeriesPlan]) -> JobStatus:
        """What the series of a job add up to."""
        numbers: Counter[str] = Counter()
        since: datetime | None = None
        for line in lines:
            numbers["series"] += 1
            for name in ("open", "held", "disputed", "given_up", "waived", "erased"):
                numbers[name] += getattr(line, name)
            if line.debt.owed:
                numbers["missing"] += 1
                start = line.debt.owed[0].start
                since = start if since is None else min(since, start)
        return cls(job, until, since=since, **numbers)


class Status(LedgerView):
    """Where the reports of the jobs stand; without jobs, all reports of the ledger.

    All iterators are lazy. They go by series, and within one by time.
    """

    def __init__(self, inputs: Inputs, now: datetime) -> None:
        super().__init__(inputs)
        self.now = now

    def jobs(self) -> Iterator[JobStatus]:
        """How far each job has got, by itself; none where no job is named."""
        with self._reading() as reader:
            for job in self.inputs.jobs:
                lines = series_plans(reader, [job], self.now)
                yield JobStatus.of(job, windows.clip(job, self.now), lines)

    def series(self) -> Iterator[SeriesStatus]:
        """Every series, with the numbers of its reports."""
        with self._reading() as reader:
            for series in series_of(reader, self.inputs.jobs):
                counts = reader.counts(series)
                yield SeriesStatus(
                    series,
                    {state: StateCount(*counts[state]) for state in State if state in counts},
                )

    def column_drift(self) -> Iterator[ColumnDrift]:
        """How the columns of the collected files have changed, by series."""
        with self._reading() as reader:
            yield from column_drift(reader, self.inputs.jobs)

    def reports(self, filters: Collection[Filter] = ()) -> Iterator[ReportStatus]:
        """The reports that are not collected.

        Args:
            filters: only what one of these lists; none: all.
        """
        states = LISTED
        if filters:
            states = frozenset().union(*(_STATES[each] for each in filters))
        with self._reading() as reader:
            for series in series_of(reader, self.inputs.jobs):
                yield from self._reports(reader, series, states)

    def given_up(self) -> Iterator[GivenUp]:
        """The windows that no run asks for by itself, those that a person has waived included."""
        with self._reading() as reader:
            for series in series_of(reader, self.inputs.jobs):
                yield from reader.given_up(series)

    def fates(self, series: Series) -> Counter[Fate]:
        """What became of the windows of those reports of a series that came to nothing."""
        with self._reading() as reader:
            given_up = _given_up(reader, series)
            return Counter(
                _fate(reader, report, given_up.get(report.id))
                for report in reader.reports(series, _NOTHING)
            )

    def _reports(
        self, reader: LedgerReader, series: Series, states: frozenset[State]
    ) -> Iterator[ReportStatus]:
        given_up: Mapping[int | None, GivenUp] | None = None
        failed = Overlaps(())
        for report in reader.reports(series, states):
            fate = None
            if report.state in _NOTHING:
                if given_up is None:
                    given_up = _given_up(reader, series)
                    failures = reader.failures(series)
                    failed = Overlaps(each.window for each in failures if not each.truncated)
                fate = _fate(reader, report, given_up.get(report.id))
            attempts = failed.of(report.window)
            quarantined = ""
            if report.state is State.DISPUTED:
                quarantined = quarantined_file(self.inputs.config, report)
            explanation = explain(report, fate or Fate.OWED, self.now, attempts, quarantined)
            yield ReportStatus(report, fate, explanation)


def status(inputs: Inputs, now: datetime | None = None) -> Status:
    """Where every report of the jobs stands; without jobs, of all of the ledger.

    Args:
        now: the present moment, aware; None: by this machine's clock.
    """
    return Status(inputs, clock_of(now).now())


def _given_up(reader: LedgerReader, series: Series) -> Mapping[int | None, GivenUp]:
    return {gap.report_id: gap for gap in reader.given_up(series)}


def _fate(reader: LedgerReader, report: Report, given_up: GivenUp | None) -> Fate:
    if given_up is not None:
        return Fate.WAIVED if given_up.acknowledged else Fate.GIVEN_UP
    return Fate.AGAIN if reader.is_asked_again(report) else Fate.OWED
