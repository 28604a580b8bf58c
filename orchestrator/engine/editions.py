"""Buys newer editions of collected reports: on purpose, report by report, window by window.

The old file stays current until the new one is verified and stands; what is asked for and cannot
be finished is followed to its end by the next run, like every other open report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from orchestrator.core.durations import DurationModel
from orchestrator.core.events import ReportChanged
from orchestrator.core.lifecycle import State
from orchestrator.core.policy import RunOutcome
from orchestrator.engine.collecting import withdraw_superseded
from orchestrator.engine.create import ChunkOrder
from orchestrator.engine.run import follower_of, tell_of_drain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyio.abc import TaskGroup

    from orchestrator.core.events import RunEvent
    from orchestrator.core.model import Job, JobSeries, Report
    from orchestrator.engine.follow import Follower
    from orchestrator.engine.key_session import KeySession
    from orchestrator.engine.run import RunContext


@dataclass(frozen=True, slots=True)
class Renewal:
    """A collected report of which a newer edition is to be bought, and who asks."""

    job: Job
    entry: JobSeries
    current: Report


@dataclass(frozen=True, slots=True)
class RenewalsEnd:
    """How it went.

    Attributes:
        collected: the editions that have taken their place.
        open: those that the next run goes on with.
        failed: those that came to nothing, or wait for a person; the old files stay.
        not_asked: those that were not asked for any more.
        refused: those that the API has refused.
        interrupted: the signal that drained the run; None if none did.
    """

    collected: tuple[Report, ...]
    open: tuple[Report, ...]
    failed: tuple[Report, ...]
    not_asked: tuple[Renewal, ...]
    refused: tuple[Renewal, ...] = ()
    interrupted: int | None = None

    @property
    def remains(self) -> RunOutcome:
        """For the exit code."""
        return RunOutcome(
            unfinished=bool(self.open or self.not_asked),
            needs_person=bool(self.failed or self.refused),
            interrupted=self.interrupted,
        )


async def renew(world: RunContext, renewals: Sequence[Renewal]) -> RenewalsEnd:
    """Buys the editions, every key side by side; each is tried once.

    Raises:
        LedgerError: the ledger cannot be written.
        OutputError: the disk cannot be written.
        BaseExceptionGroup: one of these, or a bug, in one of the tasks.
    """
    editions = _Editions()
    with world.events.subscribed(editions.notify):
        await _buy(world, renewals, editions)
    latest = editions.latest.values()
    left = [one for one in renewals if one.current.id not in editions.latest]
    refused = [one for one in left if _is_refused(one, world, editions)]
    return RenewalsEnd(
        collected=tuple(one for one in latest if one.state is State.COLLECTED),
        open=tuple(one for one in latest if one.state.is_open),
        failed=tuple(
            one for one in latest if not one.state.is_open and one.state is not State.COLLECTED
        ),
        not_asked=tuple(one for one in left if one not in refused),
        refused=tuple(refused),
        interrupted=world.drain.signal if world.drain.begun else None,
    )


async def _buy(world: RunContext, renewals: Sequence[Renewal], editions: _Editions) -> None:
    tell_of_drain(world)
    await withdraw_superseded(world.ledger, world.collector)
    pace = DurationModel(await world.ledger.recent_durations())
    with world.drain.scope:
        async with anyio.create_task_group() as watching, anyio.create_task_group() as tasks:
            follower = follower_of(world, watching, pace)
            for of_key in _by_key(world, renewals).values():
                tasks.start_soon(_work_off, world, follower, of_key, editions)


def _is_refused(one: Renewal, world: RunContext, editions: _Editions) -> bool:
    """Whether the API will have none of it: its dates, its series, its account or its key."""
    session = world.sessions[one.entry.credentials]
    return one.current.id in editions.refused or session.refusal(one.current.series) is not None


def _by_key(world: RunContext, renewals: Sequence[Renewal]) -> dict[str, list[Renewal]]:
    found: dict[str, list[Renewal]] = {}
    for one in renewals:
        found.setdefault(world.sessions[one.entry.credentials].api_key, []).append(one)
    return found


async def _work_off(
    world: RunContext, follower: Follower, renewals: Sequence[Renewal], editions: _Editions
) -> None:
    """One key's renewals, so many open at a time."""
    slots = anyio.Semaphore(world.config.limits.in_flight)
    async with anyio.create_task_group() as tasks:
        for one in renewals:
            session = world.sessions[one.entry.credentials]
            await slots.acquire()
            _start(tasks, follower, one, session, slots=slots, editions=editions)


def _start(
    tasks: TaskGroup,
    follower: Follower,
    one: Renewal,
    session: KeySession,
    *,
    slots: anyio.Semaphore,
    editions: _Editions,
) -> None:
    order = ChunkOrder(
        series=one.current.series,
        window=one.current.window,
        job=one.job.name,
        callback_url=one.job.callback_url,
        replaces=one.current,
        settle=one.job.settle,
        refused=lambda _report: editions.refused.add(one.current.id),
    )

    async def buy_and_release() -> None:
        try:
            await follower.buy(order, session)
        finally:
            slots.release()

    tasks.start_soon(buy_and_release)


class _Editions:
    """Subscribes to the run's events, and keeps where each edition stands.

    Attributes:
        latest: by our number of the report that is replaced.
        refused: the replaced reports of whose editions the API has refused the dates.
    """

    def __init__(self) -> None:
        self.latest: dict[int, Report] = {}
        self.refused: set[int] = set()

    def notify(self, event: RunEvent) -> None:
        """Takes the change of an edition."""
        if not isinstance(event, ReportChanged) or event.report.replaces is None:
            return
        report, replaced = event.report, event.report.replaces
        self.latest[replaced] = report
        if report.state is State.ABSENT:  # surely not created: it may be sent again
            del self.latest[replaced]
