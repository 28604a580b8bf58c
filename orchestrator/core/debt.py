"""Computes the debt of a series: what its job wants, less what the ledger has.

`debt` is the only recipe: `plan` and `run` both use it. Nothing here reads the ledger or a clock.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from orchestrator.core import volume
from orchestrator.core import windows as job_windows
from orchestrator.core.chunks import cut
from orchestrator.core.intervals import Overlaps, Window, intersect, subtract
from orchestrator.core.local_dates import Chunk
from orchestrator.core.model import Failure, Job, JobSeries, Resolution, SeriesState
from orchestrator.core.volume import History, Sizing

C = TypeVar("C", bound=Chunk)

_NO_HISTORY: Final = History()


@dataclass(frozen=True, slots=True)
class Debt:
    """What a job still wants of one series."""

    job: Job
    entry: JobSeries
    owed: tuple[Window, ...]  # what must be asked for: wanted less had. Normal.
    # the part of what the job wants that is had already, or asked for by an earlier job of the same
    # command. Normal.
    had: tuple[Window, ...]
    # the part of `owed` that earlier runs of relative windows missed
    backfilled: tuple[Window, ...]
    forgotten: tuple[Window, ...]  # the part of `owed` that is older than the API keeps records
    failures: tuple[Failure, ...]  # the reports of the series that came to nothing and still count
    resolution: Resolution  # what the job's relative windows have become; `run` stores it
    sizing: Sizing | None = None  # how its chunks are kept small; None where time alone decides

    @property
    def must_probe(self) -> bool:
        """Whether a small chunk has to come back first, before the rest can be sized."""
        return self.sizing is not None and self.sizing.must_probe and bool(self.owed)

    @property
    def goes_by_steps(self) -> bool:
        """Whether one chunk has to come back before the next can be sized."""
        return self.sizing is not None and self.sizing.step is not None and bool(self.owed)

    def upper(self, window: Window) -> float | None:
        """The records that a chunk will hardly exceed; None: unknown."""
        if self.sizing is None or not self.sizing.history:
            return None
        return self.sizing.upper(window)

    def expected(self, windows: Iterable[Window]) -> int | None:
        """The records that windows of the series will probably hold; None: unknown."""
        return None if self.sizing is None else self.sizing.history.expected(windows)

    def chunks(self) -> Iterator[Window]:
        """One window a report, in order of time; lazy."""
        return cut(self.owed, self.job.chunk, self.job.zone, self.failures, self.sizing)


@dataclass(frozen=True, slots=True)
class EarlierJob:
    """A job that the command names before another one, and that buys what both want of a series."""

    job: Job
    now: datetime
    resolution: Resolution  # of the job's relative windows for the series, as the ledger has it


def debt(
    job: Job,
    entry: JobSeries,
    now: datetime,
    series_state: SeriesState,
    earlier: Iterable[EarlierJob] = (),
    *,
    history: History = _NO_HISTORY,
    room: int | None = None,
) -> Debt:
    """The debt of one series of a job.

    Args:
        series_state: what the ledger has of the series, as this job sees it.
        earlier: the earlier jobs of the same command that hold the series; they buy what they
            want of it.
        history: what was collected of the series; used only where `volume.is_sized`.
        room: the records that one chunk may hold by the budget; None: any number.
    """
    resolution = job_windows.resolve(job, now, series_state.resolution)
    wanted = job_windows.wanted(job, now, resolution)
    elsewhere = [
        window for other in earlier for window in wants(other.job, other.now, other.resolution)
    ]
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
        sizing=volume.sizing(job, history, room),
    )


def wants(job: Job, now: datetime, resolution: Resolution) -> tuple[Window, ...]:
    """Every moment that a job may ask for by now, had or not; clipped."""
    return job_windows.wanted(job, now, job_windows.resolve(job, now, resolution))


def touching(chunks: Iterable[C], windows: Sequence[Window]) -> tuple[C, ...]:
    """Those of which a part lies in these windows."""
    overlaps = Overlaps(windows)
    return tuple(chunk for chunk in chunks if overlaps.of(chunk.window))


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
