"""A run: goes on with what is open, works off the debt of its jobs, and says what remains."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio

from orchestrator.core import intervals, plan, spending
from orchestrator.core.pace import Pace
from orchestrator.core.policy import Remains
from orchestrator.engine.budget import Budget
from orchestrator.engine.collecting import withdraw_superseded
from orchestrator.engine.expected import Expected
from orchestrator.engine.follow import Follower
from orchestrator.engine.lanes import Lanes
from orchestrator.engine.reconcile import Reconciler
from orchestrator.engine.watch import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from anyio.abc import TaskGroup

    from orchestrator.core.intervals import Window
    from orchestrator.core.model import GivenUp, Job, JobSeries, Report, Resolution, Series
    from orchestrator.core.ports import Callbacks, Clock, Collector, Ledger, Observer
    from orchestrator.core.settings import Config
    from orchestrator.engine.desk import Desk
    from orchestrator.engine.drain import Drain

_TOGETHER = 500
"""So many series' resolutions are written in one transaction."""


@dataclass(frozen=True, slots=True)
class SeriesEnd:
    """How one series of one job stands when the run ends.

    Attributes:
        owed: what is still debt.
        refused: why the API refuses it; None if it does not.
        open: reports that the next run goes on with.
        given_up: what this job wants and no run asks for by itself.
        disputed: reports over what this job wants that wait for a person.
    """

    job: Job
    series: Series
    owed: tuple[Window, ...]
    refused: str | None
    open: int
    given_up: tuple[GivenUp, ...]
    disputed: tuple[Report, ...]

    @property
    def is_done(self) -> bool:
        """Whether everything that is wanted of it is collected."""
        return not (self.owed or self.open or self.given_up or self.disputed)


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended.

    Attributes:
        now: the moment that the run took as its own.
        remains: for the exit code.
        unsettled: the series that are not done; the done ones are not kept.
        series: how many there were in all.
        stopped: why the run asked for nothing more, in words; empty where it did not stop so.
    """

    now: datetime
    remains: Remains
    unsettled: tuple[SeriesEnd, ...]
    series: int
    stopped: str = ""


@dataclass(frozen=True, slots=True)
class World:
    """Everything a run works with.

    Attributes:
        ledger: open, under the run's lock.
        collector: makes files.
        desks: by name of credentials; two names of one API key share a desk.
        observer: is told of everything.
        clock: the wall clock.
        config: policies and limits.
        drain: how the run is stopped.
        jitter: a random number in [0, 1).
        callbacks: our own receiver; None: reports are only looked at.
    """

    ledger: Ledger
    collector: Collector
    desks: Mapping[str, Desk]
    observer: Observer
    clock: Clock
    config: Config
    drain: Drain
    jitter: Callable[[], float]
    callbacks: Callbacks | None = None


async def run(
    world: World, jobs: Sequence[Job], now: datetime, *, retry_failed: bool = False
) -> RunEnd:
    """Works off the debt of the jobs, until nothing is left to do or the drain begins.

    Args:
        world: what it works with.
        jobs: in the order in which they are served; their names differ.
        now: read once, when the lock was taken.
        retry_failed: what was given up is debt again.

    Raises:
        LedgerError: the ledger cannot be written.
        OutputError: the disk cannot be written.
        BaseExceptionGroup: one of these, or a bug, in one of the run's tasks.
    """
    begun = _Run(world, tuple(jobs), now)
    await withdraw_superseded(world.ledger, world.collector)
    if retry_failed:
        await begun.retry_failed()
    await begun.remember()
    with world.drain.scope:
        await begun.work()
    # The drain has cancelled the scope, not what follows: the words at the end must be true.
    return await begun.end()


def follower_of(world: World, watching: TaskGroup, pace: Pace) -> Follower:
    """What follows the reports of a run; looks at them in tasks of `watching`."""
    return Follower(
        ledger=world.ledger,
        collector=world.collector,
        watcher=Watcher(
            watching,
            world.config.poll,
            jitter=world.jitter,
            observer=world.observer,
            clock=world.clock,
            pace=pace,
            callbacks=world.callbacks,
        ),
        reconciler=Reconciler(world.ledger, world.config.poll, world.clock),
        observer=world.observer,
        drain=world.drain,
        config=world.config,
        callbacks=world.callbacks,
    )


class _Run:
    def __init__(self, world: World, jobs: tuple[Job, ...], now: datetime) -> None:
        self._budget = Budget(
            spending.bounds(world.config.limits, world.config.prices), world.observer
        )
        self._world = replace(world, observer=self._budget)
        self._jobs = jobs
        self._now = now

    # --- before the work ----------------------------------------------------------------------

    async def retry_failed(self) -> None:
        """Forgets what was given up for the jobs' series."""
        for series in _distinct(self._jobs):
            await self._world.ledger.retry(series)

    async def remember(self) -> None:
        """Writes what the jobs' relative windows become today, and tells what is owed."""
        for job in self._jobs:
            resolutions: dict[Series, Resolution] = {}
            for entry in job.series:
                standing = await self._world.ledger.standing(job.name, entry.series)
                debt = plan.debt(job, entry, self._now, standing)
                self._world.observer.wanted(debt)
                if debt.resolution != standing.resolution:
                    resolutions[entry.series] = debt.resolution
                if len(resolutions) >= _TOGETHER:
                    await self._world.ledger.remember(job.name, resolutions)
                    resolutions = {}
            if resolutions:
                await self._world.ledger.remember(job.name, resolutions)

    # --- the work -----------------------------------------------------------------------------

    async def work(self) -> None:
        """Every key side by side, until there is nothing left to do."""
        world = self._world
        pace = Pace(await world.ledger.paces())
        lanes = Lanes(
            self._jobs,
            self._now,
            ledger=world.ledger,
            desks=world.desks,
            budget=self._budget,
            config=world.config,
            expected=Expected(await world.ledger.densities(_distinct(self._jobs)), pace),
        )
        async with anyio.create_task_group() as watching, anyio.create_task_group() as tasks:
            await lanes.work(tasks, follower_of(world, watching, pace))

    # --- after the work -----------------------------------------------------------------------

    async def end(self) -> RunEnd:
        """What the ledger says now of all that the jobs want."""
        unsettled = []
        unfinished = settled_badly = False
        number = 0
        for job in self._jobs:
            for entry in job.series:
                number += 1
                end = await self._series_end(job, entry)
                if end.is_done:
                    continue
                unsettled.append(end)
                unfinished |= bool(end.open) or bool(end.owed and not end.refused)
                settled_badly |= bool(end.given_up or end.disputed or end.refused)
        drain = self._world.drain
        return RunEnd(
            now=self._now,
            remains=Remains(
                unfinished=unfinished,
                settled_badly=settled_badly,
                interrupted=drain.signal if drain.begun else None,
            ),
            unsettled=tuple(unsettled),
            series=number,
            stopped=self._budget.stopped,
        )

    async def _series_end(self, job: Job, entry: JobSeries) -> SeriesEnd:
        standing = await self._world.ledger.standing(job.name, entry.series)
        debt = plan.debt(job, entry, self._now, standing)
        wants = plan.wants(job, self._now, standing)
        return SeriesEnd(
            job=job,
            series=entry.series,
            owed=debt.owed,
            refused=self._world.desks[entry.credentials].refusal(entry.series),
            open=standing.open,
            given_up=tuple(
                one
                for one in standing.given_up
                if not one.acknowledged and intervals.intersect((one.window,), wants)
            ),
            disputed=tuple(
                report
                for report in standing.disputed
                if intervals.intersect((report.window,), wants)
            ),
        )


def _distinct(jobs: Iterable[Job]) -> list[Series]:
    """The series of the jobs, each once, in the jobs' order."""
    return list({entry.series.key: entry.series for job in jobs for entry in job.series}.values())
