"""Buys newer editions of collected reports: on purpose, report by report, window by window.

The old file stays current until the new one is verified and stands; what is asked for and cannot
be finished is followed to its end by the next run, like every other open report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import anyio

from orchestrator.core.durations import DurationModel
from orchestrator.core.events import ReportChanged, RunEvent
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Job, JobSeries, Report
from orchestrator.core.policy import RunOutcome
from orchestrator.engine.collecting import withdraw_superseded
from orchestrator.engine.context import RunContext
from orchestrator.engine.create import ChunkOrder
from orchestrator.engine.follow import Follower
from orchestrator.engine.run import tell_of_drain


@dataclass(frozen=True, slots=True)
class Renewal:
    """A collected report of which a newer edition is to be bought, and who asks."""

    job: Job
    entry: JobSeries
    current: Report


@dataclass(frozen=True, slots=True)
class RenewalsEnd:
    """How it went."""

    collected: tuple[Report, ...]  # the editions that have taken their place
    open: tuple[Report, ...]  # those that the next run goes on with
    # those that came to nothing, or wait for a person; the old files stay
    failed: tuple[Report, ...]
    not_asked: tuple[Renewal, ...]  # those that were not asked for any more
    refused: tuple[Renewal, ...] = ()  # those that the API has refused
    interrupted: int | None = None  # the signal that drained the run; None if none did

    @property
    def remains(self) -> RunOutcome:
        """For the exit code."""
        return RunOutcome(
            unfinished=bool(self.open or self.not_asked),
            needs_person=bool(self.failed or self.refused),
            interrupted=self.interrupted,
        )


async def renew(context: RunContext, renewals: Sequence[Renewal]) -> RenewalsEnd:
    """Buys the editions, every key side by side; each is tried once.

    Raises:
        LedgerError: the ledger cannot be written.
        OutputError: the disk cannot be written.
        BaseExceptionGroup: one of these, or a bug, in one of the tasks.
    """
    editions = _Editions()
    with context.events.subscribed(editions.notify):
        await _buy(context, renewals, editions)
    latest = editions.latest.values()
    refused: list[Renewal] = []
    not_asked: list[Renewal] = []
    for each in renewals:
        if each.current.id not in editions.latest:
            (refused if _is_refused(each, context, editions) else not_asked).append(each)
    return RenewalsEnd(
        collected=tuple(report for report in latest if report.state is State.COLLECTED),
        open=tuple(report for report in latest if report.state.is_open),
        failed=tuple(
            report
            for report in latest
            if not report.state.is_open and report.state is not State.COLLECTED
        ),
        not_asked=tuple(not_asked),
        refused=tuple(refused),
        interrupted=context.drain.signal if context.drain.begun else None,
    )


async def _buy(context: RunContext, renewals: Sequence[Renewal], editions: _Editions) -> None:
    tell_of_drain(context)
    await withdraw_superseded(context)
    pace = DurationModel(await context.ledger.recent_durations())
    with context.drain.scope:
        async with anyio.create_task_group() as watching, anyio.create_task_group() as tasks:
            follower = Follower(context, watching, pace)
            for renewals_of_key in _by_key(context, renewals).values():
                tasks.start_soon(_buy_under_key, context, follower, renewals_of_key, editions)


def _is_refused(renewal: Renewal, context: RunContext, editions: _Editions) -> bool:
    """Whether the API will have none of it: its dates, its series, its account or its key."""
    session = context.sessions[renewal.entry.credentials]
    return (
        renewal.current.id in editions.refused
        or session.refusal(renewal.current.series) is not None
    )


def _by_key(context: RunContext, renewals: Sequence[Renewal]) -> dict[str, list[Renewal]]:
    by_key: dict[str, list[Renewal]] = {}
    for renewal in renewals:
        key = context.sessions[renewal.entry.credentials].api_key
        by_key.setdefault(key, []).append(renewal)
    return by_key


async def _buy_under_key(
    context: RunContext, follower: Follower, renewals: Sequence[Renewal], editions: _Editions
) -> None:
    """Buys the editions of one key, at most `limits.in_flight` of them open at a time."""
    slots = anyio.Semaphore(context.config.limits.in_flight)

    async def buy(renewal: Renewal) -> None:
        order = ChunkOrder(
            series=renewal.current.series,
            window=renewal.current.window,
            job=renewal.job.name,
            callback_url=renewal.job.callback_url,
            replaces=renewal.current,
            settle=renewal.job.settle,
            refused=lambda _report: editions.refused.add(renewal.current.id),
        )
        try:
            await follower.buy(order, context.sessions[renewal.entry.credentials])
        finally:
            slots.release()

    async with anyio.create_task_group() as tasks:
        for renewal in renewals:
            await slots.acquire()
            tasks.start_soon(buy, renewal)


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
