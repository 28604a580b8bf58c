"""A run: goes on with what is open, works off the debt of its jobs, and says what remains."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import anyio

from orchestrator.core import attempts, intervals, plan, sizing
from orchestrator.core.policy import Remains
from orchestrator.engine.budget import Budget
from orchestrator.engine.collecting import withdraw_superseded
from orchestrator.engine.follow import Follower, Left, Order
from orchestrator.engine.reconcile import Reconciler
from orchestrator.engine.watch import Watcher

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from anyio.abc import TaskGroup

    from orchestrator.core.intervals import Window
    from orchestrator.core.model import Config, GivenUp, Job, JobSeries, Report, Resolution, Series
    from orchestrator.core.ports import Clock, Collector, Ledger, Observer
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
    """

    ledger: Ledger
    collector: Collector
    desks: Mapping[str, Desk]
    observer: Observer
    clock: Clock
    config: Config
    drain: Drain
    jitter: Callable[[], float]


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


def follower_of(world: World, watching: TaskGroup) -> Follower:
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
        ),
        reconciler=Reconciler(world.ledger, world.config.poll, world.clock),
        observer=world.observer,
        drain=world.drain,
        config=world.config,
    )


_Entry = tuple["Job", "JobSeries", tuple["Job", ...]]
"""A series of a job, and the earlier jobs of the command that hold it too."""


@dataclass(slots=True, eq=False)
class _Lane:
    """The work of one API key.

    Attributes:
        todo: the series whose debt is to be looked at, and whether only for what is urgent.
        changed: set when there may be something to do again.
    """

    desk: Desk
    slots: anyio.CapacityLimiter
    entries: list[_Entry] = field(default_factory=list)
    todo: deque[tuple[_Entry, bool]] = field(default_factory=deque)
    changed: anyio.Event = field(default_factory=anyio.Event)


@dataclass(slots=True, eq=False)
class _Busy:
    """What a run is doing about one series.

    Attributes:
        claims: the windows that were handed out and whose coroutines have not ended.
        failed: the windows of the reports that failed in this run.
        postponed: something waits for a claim to end.
        later: a report was left for the next run.
    """

    claims: dict[object, Window] = field(default_factory=dict)
    failed: list[Window] = field(default_factory=list)
    postponed: bool = False
    later: bool = False


class _Run:
    def __init__(self, world: World, jobs: tuple[Job, ...], now: datetime) -> None:
        self._budget = Budget(world.config.limits.max_records, world.observer)
        self._world = replace(world, observer=self._budget)
        self._jobs = jobs
        self._now = now
        self._lanes: dict[str, _Lane] = {}
        self._busy: dict[str, _Busy] = defaultdict(_Busy)
        self._lives = 0

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
        self._make_lanes()
        async with anyio.create_task_group() as watching, anyio.create_task_group() as tasks:
            follower = follower_of(self._world, watching)
            found = await self._found_open()
            for key, lane in self._lanes.items():
                tasks.start_soon(self._serve, lane, follower, found.get(key, []))

    def _make_lanes(self) -> None:
        for entry in plan.by_series(self._jobs):
            desk = self._world.desks[entry[1].credentials]
            if desk.api_key not in self._lanes:
                slots = anyio.CapacityLimiter(self._world.config.limits.in_flight)
                self._lanes[desk.api_key] = _Lane(desk, slots)
            self._lanes[desk.api_key].entries.append(entry)

    async def _found_open(self) -> dict[str, list[Report]]:
        """The open reports of earlier runs, under the key that bought them where it is at hand."""
        stand_in = {
            entry.series.key: key
            for key, lane in reversed(self._lanes.items())
            for _, entry, _ in lane.entries
        }
        found: dict[str, list[Report]] = defaultdict(list)
        async for report in self._world.ledger.open_reports(_distinct(self._jobs)):
            at_hand = report.api_key in self._lanes
            key = report.api_key if at_hand else stand_in[report.series.key]
            found[key].append(report)
            # Before any debt is looked at, for reports that end while others are still found.
            self._claim(report.series, report.id, report.window)
        return found

    async def _serve(self, lane: _Lane, follower: Follower, found: Iterable[Report]) -> None:
        """One key's work: open reports first, then the debt, until nobody finds anything new.

        The debt of every series is looked at twice: first for what will soon be deleted, then
        for the rest. It is looked at again whenever a report of the series leaves some behind.
        """
        async with anyio.create_task_group() as tasks:
            for report in found:
                self._world.observer.changed(report, None)
                life = partial(follower.follow, report, lane.desk)
                await self._start(tasks, lane, report.series, report.id, life)
            lane.todo.extend((entry, urgent) for urgent in (True, False) for entry in lane.entries)
            while True:
                if lane.todo:
                    entry, urgent = lane.todo.popleft()
                    await self._feed(tasks, lane, follower, entry, only_urgent=urgent)
                elif self._lives:
                    lane.changed = anyio.Event()
                    await lane.changed.wait()
                else:
                    break

    async def _feed(
        self,
        tasks: TaskGroup,
        lane: _Lane,
        follower: Follower,
        entry: _Entry,
        *,
        only_urgent: bool,
    ) -> None:
        """Hands out the debt of a series chunk by chunk.

        Chunks are cut when a slot is free for them, so that a plan of a million costs no memory.
        """
        job, asked, earlier = entry
        series = asked.series
        if self._is_over(lane, series):
            return
        busy = self._busy[series.key]
        # Taken before the ledger is read: a report that ends meanwhile has the series looked at
        # again, where one that were left out here could be bought beside itself.
        claimed = tuple(busy.claims.values())
        debt = await self._debt(job, asked, earlier)
        unclaimed = replace(debt, owed=intervals.subtract(debt.owed, claimed))
        if debt.must_probe and busy.later:
            return  # what is open would have to come back first, and does not in this run
        for step in attempts.steps(unclaimed, debt.failures, busy.failed):
            match step:
                case attempts.Await():
                    self._await_lives(busy, series)
                    break
                case _ if only_urgent and not plan.urgent(step.window, debt, self._now):
                    continue
                case attempts.Leave():
                    continue
                case attempts.GiveUp(window, reason, report_id):
                    await self._world.ledger.give_up(series, window, reason, report_id)
                    self._world.observer.note("error", f"given up: {series}, {window}: {reason}")
                case attempts.Buy():
                    await self._buy(tasks, lane, follower, debt, step)
                    if self._is_over(lane, series):
                        break

    async def _buy(
        self, tasks: TaskGroup, lane: _Lane, follower: Follower, debt: plan.Debt, step: attempts.Buy
    ) -> None:
        """Starts the life of a chunk, unless it has to wait for others, or would be too much."""
        series, window, probe = debt.entry.series, step.window, step.probe
        busy = self._busy[series.key]
        if probe and any(probe.overlaps(claim) for claim in busy.claims.values()):
            busy.postponed = True
            return
        if not self._budget.take(series, window, debt.expected((window,))):
            return
        order = Order(series, window, debt.job.name, debt.job.callback_url)
        claim = object()
        self._claim(series, claim, window)
        await self._start(tasks, lane, series, claim, partial(follower.buy, order, lane.desk))

    def _is_over(self, lane: _Lane, series: Series) -> bool:
        """Whether nothing more of a series is asked for in this run."""
        refused = lane.desk.refusal(series) or lane.desk.unreachable
        return bool(refused or self._budget.stopped)

    def _await_lives(self, busy: _Busy, series: Series) -> None:
        """Looks at a series again once something of it has come back."""
        if busy.claims:
            busy.postponed = True
        else:
            self._look_again(series)

    def _claim(self, series: Series, claim: object, window: Window) -> None:
        """From now on a coroutine is to come that works on this window."""
        self._busy[series.key].claims[claim] = window
        self._lives += 1

    async def _start(
        self,
        tasks: TaskGroup,
        lane: _Lane,
        series: Series,
        claim: object,
        life: Callable[[], Awaitable[Left]],
    ) -> None:
        """Starts a report's coroutine once a slot is free; `claim` is taken back at its end."""
        busy = self._busy[series.key]
        window = busy.claims[claim]
        borrower = object()
        await lane.slots.acquire_on_behalf_of(borrower)

        async def live() -> None:
            try:
                left = await life()
                if left is Left.FAILED:
                    busy.failed.append(window)
                    await self._pause(busy, window)
                busy.later |= left is Left.LATER
            finally:
                self._budget.settle(series, window)
                lane.slots.release_on_behalf_of(borrower)
                del busy.claims[claim]
                self._lives -= 1
            if left in (Left.AGAIN, Left.FAILED) or busy.postponed:
                busy.postponed = False
                self._look_again(series)
            for other in self._lanes.values():
                other.changed.set()

        tasks.start_soon(live)

    async def _pause(self, busy: _Busy, window: Window) -> None:
        """The wait before a failed window is asked for again, if it is in this run."""
        failed = sum(other.overlaps(window) for other in busy.failed)
        if failed < attempts.PER_RUN:
            await anyio.sleep(attempts.pause(self._world.config.poll, failed).total_seconds())

    def _look_again(self, series: Series) -> None:
        for lane in self._lanes.values():
            lane.todo.extend(
                (entry, False) for entry in lane.entries if entry[1].series.key == series.key
            )

    async def _debt(self, job: Job, entry: JobSeries, earlier: Sequence[Job]) -> plan.Debt:
        """The debt of a series as it is now, less what earlier jobs of the command buy."""
        ledger = self._world.ledger
        others = [(other, await ledger.standing(other.name, entry.series)) for other in earlier]
        standing = await ledger.standing(job.name, entry.series)
        target = sizing.target(job, self._world.config.limits)
        sized = None
        if target is not None:
            sized = sizing.Sizing(target, await ledger.history(entry.series))
        bought = plan.bought_by(others, self._now)
        return plan.debt(job, entry, self._now, standing, bought, sizing=sized)

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
