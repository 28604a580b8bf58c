"""Waits until reports are final, and has them polled when the schedule or a callback says so.

A list answers for every report of an account. Single polls serve only a lone report, one that lists
lack or whose age makes them doubtful, and accounts of which no list can be had or trusted. A
callback only has its report polled: nothing that it says is believed.
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup

from orchestrator.core.durations import DurationModel
from orchestrator.core.model import RemoteReport, Report
from orchestrator.core.ports import Priority
from orchestrator.engine.context import RunContext
from orchestrator.engine.key_session import KeySession
from orchestrator.engine.polling import parameters
from orchestrator.engine.polling.groups import PollGroups
from orchestrator.engine.polling.missing_reports import Gone, LeftOpen
from orchestrator.engine.polling.poller import Poller
from orchestrator.engine.polling.reports import PolledReport, PollGroup
from orchestrator.engine.polling.schedule import PollSchedule
from orchestrator.errors import ApiError


@dataclass(slots=True)
class _PendingCallbacks:
    """The reports of one key for which a callback has come, and which were not polled yet."""

    reports: list[PolledReport] = field(default_factory=list)
    changed: anyio.Event = field(default_factory=anyio.Event)  # set when another one has come

    def add(self, report: PolledReport) -> None:
        self.reports.append(report)
        self.changed.set()

    def take(self, now: float) -> list[PolledReport]:
        """Takes those that may be polled now; forgets those that are no longer waited for."""
        waiting = [report for report in self.reports if report.group is not None]
        self.reports = [report for report in waiting if report.callbacks_muted_until > now]
        return [report for report in waiting if report.callbacks_muted_until <= now]

    async def wait(self, now: float) -> None:
        """Waits until the first of them may be polled, or another callback comes."""
        self.changed = anyio.Event()
        first = min(report.callbacks_muted_until for report in self.reports)
        with anyio.move_on_after(first - now):
            await self.changed.wait()


class Watcher:
    """Waits for reports to become final.

    Args:
        tasks: where its tasks live; each ends when nothing is left to poll.
        pace: how long reports took so far; learns.
    """

    def __init__(self, context: RunContext, tasks: TaskGroup, pace: DurationModel) -> None:
        self._tasks = tasks
        self._jitter = context.jitter
        self._clock = context.clock
        self._schedule = PollSchedule(context.config.poll, pace)
        self._callbacks = context.callbacks
        self._groups = PollGroups(context, self._begin_to_poll)
        self._poller = Poller(context, self._groups, self._schedule)
        self._pending: dict[str, _PendingCallbacks] = {}

    @property
    def watched(self) -> int:
        """How many reports somebody waits for."""
        return len(self._groups)

    async def final(
        self, report: Report, session: KeySession, rows: int | None = None, *, found: bool = False
    ) -> RemoteReport | Gone | LeftOpen:
        """Waits until the API calls the report final, however long that takes.

        Or until it is proved to be gone; or until its id has met nothing but 404 for an hour, or
        its SUCCESS no link, and it is better left to the next run.

        Args:
            rows: the records that it is expected to hold; None: unknown.
            found: an earlier run left it open: it may have ended since.

        Raises:
            Unauthorized: the key may not ask for it.
        """
        polled = self._begin(report, rows, found=found)
        with self._listening(polled, session):
            self._groups.put(polled, session)
            try:
                await polled.ended.wait()
            finally:
                polled.stop()
        if isinstance(polled.outcome, ApiError):
            raise polled.outcome
        assert polled.outcome is not None
        return polled.outcome

    def _begin(self, report: Report, rows: int | None, *, found: bool) -> PolledReport:
        assert report.request_id is not None
        now = anyio.current_time()
        since = report.submitted_at or report.intended_at
        age = max(0.0, (self._clock.now() - since).total_seconds())
        product = report.series.product
        return PolledReport(
            stored=report,
            request_id=report.request_id,
            submitted_at=now - age,
            size=self._schedule.durations.size(product, rows),
            seen_open_at=now,
            recheck_at=now + self._schedule.recheck_after(product, rows),
            is_unseen=found or age >= parameters.NEW_REPORT_AGE,
        )

    # --- callbacks --------------------------------------------------------------------------------

    def _listening(self, report: PolledReport, session: KeySession) -> AbstractContextManager[None]:
        address = report.stored.callback_url
        if self._callbacks is None or address is None:
            return nullcontext()

        def take_callback() -> None:
            if not report.take_callback():
                return
            pending = self._pending.get(session.api_key)
            if pending is None:
                pending = self._pending[session.api_key] = _PendingCallbacks()
                self._tasks.start_soon(self._poll_pending, session, pending)
            pending.add(report)

        return self._callbacks.listen(address, take_callback)

    async def _poll_pending(self, session: KeySession, pending: _PendingCallbacks) -> None:
        """Polls the reports of a key for which a callback has come, until none is left.

        Beside the polls by the clock, which may wait long for their turn.
        """
        try:
            while True:
                now = anyio.current_time()
                if ready := pending.take(now):
                    await self._poll_called(session, ready)
                elif pending.reports:
                    await pending.wait(now)
                else:
                    break
        finally:
            del self._pending[session.api_key]

    async def _poll_called(self, session: KeySession, called: Sequence[PolledReport]) -> None:
        now = anyio.current_time()
        by_group: dict[PollGroup, list[PolledReport]] = {}
        for report in called:
            pause = self._schedule.callback_pause(report.callback_polls)
            report.begin_callback_poll(now + pause)
            if report.group is not None and report.is_in_list:
                by_group.setdefault(report.group, []).append(report)
        for group, reports in by_group.items():
            is_worth_a_list = len(reports) >= parameters.CALLBACKS_PER_LIST
            if group.trust.has_shown_reports and is_worth_a_list:
                await self._poller.poll_list(group, Priority.CALLBACK)
        # What the list still shows as open contradicts the callback: one of them is wrong.
        for report in called:
            if report.group is not None:
                await self._poller.poll_report(session, report, Priority.CALLBACK)
            report.end_callback_poll()

    # --- polls by the clock -----------------------------------------------------------------------

    def _begin_to_poll(self, group: PollGroup) -> None:
        self._tasks.start_soon(self._keep_polling, group)

    async def _keep_polling(self, group: PollGroup) -> None:
        try:
            while group.reports:
                now = anyio.current_time()
                if group.needs_plan(now, self._schedule.shortest):
                    self._plan(group, now)
                wait = group.seconds_left(now)
                if wait <= 0:
                    await self._poll(group)
                    group.forget_plan()
                    continue
                # A new plan for each report that joins would cost too much: it is made in between.
                await group.change_within(min(wait, self._schedule.shortest))
        finally:
            self._groups.close(group)

    def _plan(self, group: PollGroup, now: float) -> None:
        """Plans when the list and the single reports of a group are polled next."""
        list_at = math.inf
        if listed := group.in_list():
            pause = self._schedule.list_pause(group.as_listed(listed), group.history, group.jitter)
            list_at = group.list_polled_at + pause
        group.plan(
            now, list_at, min((list_at, *(self._due_at(report) for report in group.alone())))
        )

    def _due_at(self, report: PolledReport) -> float:
        """When a report is to be polled by itself."""
        latest = report.last_news_at
        if report.next_poll_at <= latest:
            report.plan(latest + self._schedule.report_pause(report.as_single(), self._jitter()))
        return report.next_poll_at

    async def _poll(self, group: PollGroup) -> None:
        now = anyio.current_time()
        to_poll = [report for report in group.alone() if self._due_at(report) <= now]
        if group.is_list_due(now) and (listed := group.in_list()):
            self._leave_list(group, listed, now)
            to_poll += await self._poller.poll_list(group, Priority.POLL)
        for report in to_poll:
            await self._poller.poll_report(group.session, report)

    def _leave_list(self, group: PollGroup, listed: Sequence[PolledReport], now: float) -> None:
        """Polls by themselves what the API may have forgotten, and what makes lists long."""
        limit = self._schedule.list_age_limit([report.age(now) for report in listed])
        old = [report for report in listed if report.age(now) >= limit]
        for report in old:
            report.leave_list()
        self._groups.sort(old, group.session)
