"""What stands when a run has ended: all that is collected, and what is left of every series."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.app.files import quarantined_file
from orchestrator.app.ledger_reading import series_of
from orchestrator.core.intervals import intersect, union
from orchestrator.core.lifecycle import OPEN, State
from orchestrator.reporting.summary import CollectedTotals, Others, UnfinishedSeries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.core.model import Job
    from orchestrator.core.ports import LedgerReader
    from orchestrator.core.settings import Config
    from orchestrator.engine.run import RunEnd, SeriesEnd


def collected_totals(reader: LedgerReader, jobs: Sequence[Job]) -> CollectedTotals:
    """All that is collected of the jobs' series, in this run and before."""
    reports = rows = size_bytes = 0
    for series in series_of(reader, jobs):
        number, its_rows, its_bytes = reader.counts(series).get(State.COLLECTED, (0, 0, 0))
        reports += number
        rows += its_rows
        size_bytes += its_bytes
    return CollectedTotals(reports, rows, size_bytes)


def others(reader: LedgerReader, jobs: Sequence[Job], end: RunEnd) -> Others:
    """What is not of the jobs: open reports of the run's keys, and what waits for a person."""
    keys = frozenset(series.key for series in series_of(reader, jobs))
    disputed, given_up = reader.waiting_for_a_person(keys)
    return Others(
        open=end.others.open,
        series=end.others.series,
        jobs=end.others.jobs,
        refused=end.others.refused,
        disputed=disputed,
        given_up=given_up,
    )


def unfinished_series(reader: LedgerReader, config: Config, end: SeriesEnd) -> UnfinishedSeries:
    """Why a series is not done."""
    counts = reader.counts(end.series) if end.open else {}
    failures = reader.failures(end.series) if end.owed else ()
    tried = intersect(end.owed, union(failure.window for failure in failures))
    relevant = [
        failure for failure in failures if any(failure.window.overlaps(window) for window in tried)
    ]
    attempts = (sum(failure.window.overlaps(window) for failure in relevant) for window in tried)
    return UnfinishedSeries(
        job=end.job,
        series=end.series,
        owed=end.owed,
        refused=end.refused,
        open={state: number for state, (number, _, _) in counts.items() if state in OPEN},
        given_up=end.given_up,
        disputed=end.disputed,
        tried=tried,
        attempts=max(attempts, default=0),
        last_failure=relevant[-1].reason if relevant else "",
        kept={report.id: quarantined_file(config, report) for report in end.disputed},
    )
