"""Runs jobs: goes on with what is open, works off the debt, and says what remains."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import anyio

from orchestrator.core import clocks, spending
from orchestrator.core import debt as debts
from orchestrator.core.durations import DurationModel
from orchestrator.core.events import DebtKnown
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.model import GivenUp, Job, JobSeries, Report, Resolution, Series
from orchestrator.core.policy import RunOutcome
from orchestrator.engine.budget import Budget
from orchestrator.engine.collecting import withdraw_superseded
from orchestrator.engine.context import RunContext
from orchestrator.engine.follow import Follower
from orchestrator.engine.forecast import Forecast
from orchestrator.engine.key_session import KeySession
from orchestrator.engine.scheduler import Scheduler

CLOCK_PATIENCE: Final = timedelta(seconds=15)
"""How long a run waits at its beginning for the API's time; each create waits for it again."""

_TOGETHER: Final = 500
"""Maximum number of series that are written in one transaction: bounds memory."""


@dataclass(frozen=True, slots=True)
class SeriesEnd:
    """How one series of one job stands when the run ends."""

    job: Job
    series: Series
    owed: tuple[Window, ...]
    refused: str | None  # why the API refuses it; None if it does not
    open: int  # reports that the next run goes on with
    given_up: tuple[GivenUp, ...]  # what this job wants and no run asks for by itself
    disputed: tuple[Report, ...]  # reports over what this job wants that wait for a person

    @property
    def is_done(self) -> bool:
        """Whether everything that is wanted of it is collected."""
        return not (self.owed or self.open or self.given_up or self.disputed)


@dataclass(frozen=True, slots=True)
class Others:
    """The open reports of the run's keys whose series no named job holds."""

    open: Mapping[State, int] = field(default_factory=dict)
    series: int = 0
    jobs: tuple[str, ...] = ()  # the names of the jobs that asked for them
    refused: tuple[str, ...] = ()  # why the API refuses some of them, each reason once


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended."""

    now: datetime  # the moment that the run took as its own: the earlier of our clock and the API's
    remains: RunOutcome
    unsettled: tuple[SeriesEnd, ...]  # the series that are not done; the done ones are not kept
    series: int
    # why the run asked for nothing more, in words; empty where it did not stop so
    stopped: str = ""
    # the records that it asked for, by product, as far as a limit is on them
    asked: Mapping[str, int] = field(default_factory=dict)
    others: Others = field(default_factory=Others)
    # unexpected errors, each of which ended the work on one report; a few of them
    bugs: tuple[Exception, ...] = ()


async def run_jobs(
    context: RunContext, jobs: Sequence[Job], now: datetime, *, retry_failed: bool = False
) -> RunEnd:
    """Works off the debt of the jobs, until nothing is left to do or the drain begins.

    What is open of the same keys is followed too, whichever job asked for it.

    Args:
        jobs: in the order in which they are served; their names differ.
        now: by our clock, read once, when the lock was taken.
        retry_failed: what was given up is debt again.

    Raises:
        LedgerError: the ledger cannot be written.
        OutputError: the disk cannot be written.
        BaseExceptionGroup: one of these, or a bug, in one of the run's tasks.
    """
    tell_of_drain(context)
    begun = _Run(context, tuple(jobs), now)
    with context.events.subscribed(begun.budget.notify):
        await withdraw_superseded(context)
        if retry_failed:
            await begun.retry_failed()
        with context.drain.scope:
            try:
                await begun.read_clocks()
            finally:
                with context.drain.shield():
                    await begun.remember()
            await begun.collect_debt()
        # The drain has cancelled the scope, not what follows: what is said at the end must be true.
        return await begun.end()


def tell_of_drain(context: RunContext) -> None:
    """Lets every key know when the run is to end, so that none waits for longer."""
    for session in context.sessions.values():
        session.drain = context.drain


class _Run:
    def __init__(self, context: RunContext, jobs: tuple[Job, ...], now: datetime) -> None:
        self.budget = Budget(
            spending.bounds(context.config.limits, context.config.prices),
            context.events,
            lambda: context.collector.lacks_room,
        )
        self._context = context
        self._jobs = jobs
        self._now = now
        self._nows: dict[str, datetime] = {}
        self._has_warned = False
        self._bugs: list[Exception] = []

    # --- clocks -------------------------------------------------------------------------------

    async def read_clocks(self) -> None:
        """Asks each key's API for its time, where no answer has told it; waits for that briefly.

        What it says is taken once: the debt must not change by the clocks while it is worked off.
        """
        with anyio.move_on_after(CLOCK_PATIENCE.total_seconds()):
            async with anyio.create_task_group() as tasks:
                for session in self._sessions():
                    tasks.start_soon(session.time_is_known)
        for session in self._sessions():
            if session.api.server_now() is not None:
                self._nows[session.api_key] = clocks.earlier_of_both(
                    self._now, session.api.server_ahead
                )
        self._warn_of_clocks()

    def _warn_of_clocks(self) -> None:
        """One warning a run, as soon as the API's time is known."""
        ahead = [
            session.api.server_ahead
            for session in self._sessions()
            if session.api.server_now() is not None
        ]
        if self._has_warned or not ahead:
            return
        self._has_warned = True
        warning = clocks.warning(max(ahead, key=abs), self._context.config.api.base_url)
        if warning:
            self._context.warn(warning)

    def _sessions(self) -> Iterable[KeySession]:
        return {session.api_key: session for session in self._context.sessions.values()}.values()

    def _now_of(self, session: KeySession) -> datetime:
        return self._nows.get(session.api_key, self._now)

    # --- before the work ----------------------------------------------------------------------

    async def retry_failed(self) -> None:
        """Forgets what was given up for the jobs' series."""
        series = _distinct(self._jobs)
        for first in range(0, len(series), _TOGETHER):
            async with anyio.create_task_group() as tasks:  # calls made together share a commit
                for each in series[first : first + _TOGETHER]:
                    tasks.start_soon(self._context.ledger.retry, each)

    async def remember(self) -> None:
        """Writes what the jobs' relative windows become today, and tells what is owed."""
        for job in self._jobs:
            resolutions: dict[Series, Resolution] = {}
            for entry in job.series:
                series_state = await self._context.ledger.series_state(job.name, entry.series)
                now = self._now_of(self._context.sessions[entry.credentials])
                debt = debts.debt(job, entry, now, series_state)
                self._context.events.notify(DebtKnown(debt))
                if debt.resolution != series_state.resolution:
                    resolutions[entry.series] = debt.resolution
                if len(resolutions) >= _TOGETHER:
                    await self._context.ledger.remember(job.name, resolutions)
                    resolutions = {}
            if resolutions:
                await self._context.ledger.remember(job.name, resolutions)

    # --- the work -----------------------------------------------------------------------------

    async def collect_debt(self) -> None:
        """Every key side by side, until there is nothing left to do."""
        context = self._context
        pace = DurationModel(await context.ledger.recent_durations())
        series = _distinct(self._jobs)
        rates = await context.ledger.read(lambda reader: reader.histories().record_rates(series))
        expected = Forecast(rates, pace)
        scheduler = Scheduler(context, self._jobs, self._now_of, self.budget, expected)
        async with anyio.create_task_group() as watching, anyio.create_task_group() as tasks:
            follower = Follower(context, watching, pace)
            self._bugs = follower.bugs
            await scheduler.start(tasks, follower)

    # --- after the work -----------------------------------------------------------------------

    async def end(self) -> RunEnd:
        """What the ledger says now of all that the jobs want."""
        self._warn_of_clocks()
        unsettled = []
        others = await self._others()
        unfinished, needs_person = bool(others.open), bool(others.refused)
        number = 0
        for job in self._jobs:
            for entry in job.series:
                number += 1
                end = await self._series_end(job, entry)
                if end.is_done:
                    continue
                unsettled.append(end)
                unfinished |= bool(end.open) or bool(end.owed and not end.refused)
                needs_person |= bool(end.given_up or end.disputed or end.refused)
        drain = self._context.drain
        return RunEnd(
            now=min(self._nows.values(), default=self._now),
            remains=RunOutcome(
                unfinished=unfinished,
                needs_person=needs_person,
                interrupted=drain.signal if drain.begun else None,
                bug=bool(self._bugs),
            ),
            unsettled=tuple(unsettled),
            series=number,
            stopped=self.budget.stopped,
            asked=self.budget.asked(),
            others=others,
            bugs=tuple(self._bugs),
        )

    async def _others(self) -> Others:
        """What is open of the run's keys beside the series of the jobs."""
        mine = {entry.series.key for job in self._jobs for entry in job.series}
        sessions = {session.api_key: session for session in self._sessions()}
        states: Counter[State] = Counter()
        series: set[str] = set()
        jobs: dict[str, None] = {}
        refused: dict[str, None] = {}
        async for report in self._context.ledger.open_reports((), sessions):
            if report.series.key in mine:
                continue
            states[report.state] += 1
            series.add(report.series.key)
            jobs[report.job] = None
            reason = sessions[report.api_key].refusal(report.series)
            if reason is not None:
                refused[reason] = None
        return Others(states, len(series), tuple(jobs), tuple(refused))

    async def _series_end(self, job: Job, entry: JobSeries) -> SeriesEnd:
        series_state = await self._context.ledger.series_state(job.name, entry.series)
        session = self._context.sessions[entry.credentials]
        now = self._now_of(session)
        debt = debts.debt(job, entry, now, series_state)
        wants = debts.wants(job, now, series_state.resolution)
        return SeriesEnd(
            job=job,
            series=entry.series,
            owed=debt.owed,
            refused=session.refusal(entry.series),
            open=series_state.open,
            given_up=tuple(
                gap for gap in debts.touching(series_state.given_up, wants) if not gap.acknowledged
            ),
            disputed=debts.touching(series_state.disputed, wants),
        )


def _distinct(jobs: Iterable[Job]) -> list[Series]:
    """The series of the jobs, each once, in the jobs' order."""
    return list({entry.series.key: entry.series for job in jobs for entry in job.series}.values())
