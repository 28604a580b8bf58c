"""The debt: wanted less had, per series. What to ask for, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.core import windows as job_windows
from orchestrator.core.chunks import cut
from orchestrator.core.intervals import Window, intersect, subtract, union

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from orchestrator.core.model import Failure, Job, JobSeries, Resolution, SeriesState
    from orchestrator.core.volume import Sizing


@dataclass(frozen=True, slots=True)
class Debt:
    """What a job still wants of one series.

    Attributes:
        job: the job.
        entry: the series, and who asks.
        owed: what must be asked for: wanted less had. Normal.
        had: the part of what the job wants that is had already, or asked for by an earlier job
            of the same command. Normal.
        backfilled: the part of `owed` that earlier runs of relative windows missed.
        forgotten: the part of `owed` that is older than the API keeps records.
        failures: the reports of the series that came to nothing and still count.
        resolution: what the job's relative windows have become; `run` stores it.
        sizing: how its chunks are kept small; None where time alone decides.
    """

    job: Job
    entry: JobSeries
    owed: tuple[Window, ...]
    had: tuple[Window, ...]
    backfilled: tuple[Window, ...]
    forgotten: tuple[Window, ...]
    failures: tuple[Failure, ...]
    resolution: Resolution
    sizing: Sizing | None = None

    @property
    def must_probe(self) -> bool:
        """Whether a small chunk has to come back first, before the rest can be sized."""
        return self.sizing is not None and self.sizing.must_probe and bool(self.owed)

    @property
    def goes_by_steps(self) -> bool:
        """Whether one chunk has to come back before the next can be sized."""
        return self.sizing is not None and self.sizing.step is not None and bool(self.owed)

    def upper(self, window: Window) -> float | None:
        """The records that a chunk will hardly exceed; None: nobody can say."""
        if self.sizing is None or not self.sizing.history:
            return None
        return self.sizing.upper(window)

    def expected(self, windows: Iterable[Window]) -> int | None:
        """The records that windows of the series will probably hold; None: nobody can say."""
        return None if self.sizing is None else self.sizing.history.expected(windows)

    def chunks(self) -> Iterator[Window]:
        """One window a report, in order of time; lazy."""
        return cut(self.owed, self.job.chunk, self.job.zone, self.failures, self.sizing)


def debt(
    job: Job,
    entry: JobSeries,
    now: datetime,
    series_state: SeriesState,
    elsewhere: Iterable[Window] = (),
    *,
    sizing: Sizing | None = None,
) -> Debt:
    """The debt of one series of a job.

    Args:
        job: the job.
        entry: one of its series.
        now: the moment that the run took as its own.
        series_state: what the ledger knows of the series, as this job sees it.
        elsewhere: what earlier jobs of the same command want of this series: they buy it.
        sizing: how its chunks are kept small; None where time alone decides.
    """
    resolution = job_windows.resolve(job, now, series_state.resolution)
    wanted = job_windows.wanted(job, now, resolution)
    owed = subtract(wanted, (*series_state.had, *elsewhere))
    edge = job_windows.retention_edge(entry.series, now)
    return Debt(
        job=job,
        entry=entry,
        owed=owed,
        had=subtract(wanted, owed),
        backfilled=intersect(owed, job_windows.backfilled(job, now, series_state.resolution)),
        forgotten=tuple(
            Window(window.start, min(window.end, edge)) for window in owed if window.start < edge
        ),
        failures=series_state.failures,
        resolution=resolution,
        sizing=sizing,
    )


def wants(job: Job, now: datetime, series_state: SeriesState) -> tuple[Window, ...]:
    """Every moment that a job may ask for by now of a series; clipped."""
    return job_windows.wanted(job, now, job_windows.resolve(job, now, series_state.resolution))


def bought_by(earlier: Iterable[tuple[Job, SeriesState]], now: datetime) -> tuple[Window, ...]:
    """What the earlier jobs of a command want of a series, each with its standing: they buy it."""
    return union(*(wants(job, now, series_state) for job, series_state in earlier))


def by_series(jobs: Sequence[Job]) -> Iterator[tuple[Job, JobSeries, tuple[Job, ...]]]:
    """Every series of every job, with the earlier jobs of the command that hold it too.

    Two jobs of one command may want the same moments: the one named first buys them.
    """
    seen: dict[str, tuple[Job, ...]] = {}
    for job in jobs:
        for entry in job.series:
            earlier = seen.get(entry.series.key, ())
            yield job, entry, earlier
            seen[entry.series.key] = (*earlier, job)


def urgent(chunk: Window, debt: Debt, now: datetime) -> bool:
    """Whether records of the chunk will be deleted within `windows.URGENT`.

    A probe is urgent where any of the debt is: the rest waits for it.
    """
    band = job_windows.urgent_band(debt.entry.series, now)
    waiting = debt.owed if debt.goes_by_steps else ()
    return any(window.overlaps(band) for window in (chunk, *waiting))
