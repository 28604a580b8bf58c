"""Hands out the work of a run under all API keys at once: open reports, then each series' debt.

Decides the order and how much is under way; what to buy the core says, and how much the budget.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Final

import anyio
from anyio.abc import TaskGroup

from orchestrator.core import attempts, intervals, volume
from orchestrator.core import debt as debts
from orchestrator.core.events import ReportChanged
from orchestrator.core.intervals import Window
from orchestrator.core.local_dates import window_text, zone_of
from orchestrator.core.model import Failure, Job, JobSeries, Report, Series
from orchestrator.core.next_steps import Buy, Defer, GiveUp, WaitForOpen
from orchestrator.core.refused_dates import IN_VAIN
from orchestrator.core.windows import retention_edge
from orchestrator.engine.budget import Budget
from orchestrator.engine.context import RunContext
from orchestrator.engine.create import ChunkOrder
from orchestrator.engine.follow import Follower, FollowResult
from orchestrator.engine.forecast import Entry, Forecast
from orchestrator.engine.key_session import KeySession
from orchestrator.engine.progress import KeyQueue, RunProgress, SeriesProgress
from orchestrator.texts import utc_text

_WOKEN_AT_A_TIME: Final = 8
"""Series waiting for room in the budget that are looked at again when a report has ended."""

LEAST_PATIENCE: Final = timedelta(minutes=5)
"""How long a report of an earlier run is waited for, however late its slot comes in this run."""


class Scheduler:
    """Hands out the work of one run: what is open first, then the debt of every series.

    Args:
        now_of: the present moment for what a key asks for; the same throughout the run.
    """

    def __init__(
        self,
        context: RunContext,
        jobs: Sequence[Job],
        now_of: Callable[[KeySession], datetime],
        budget: Budget,
        expected: Forecast,
    ) -> None:
        self._now_of = now_of
        self._ledger = context.ledger
        self._sessions = context.sessions
        self._budget = budget
        self._events = context.events
        self._poll = context.config.poll
        self._progress = RunProgress(context.config.limits.in_flight)
        self._without_room: dict[str, Series] = {}  # those that wait for room in the budget
        # Claims inside truncated windows: those that are open, and those truncated again.
        self._cut_again: set[object] = set()
        self._expected = expected
        self._credentials: dict[tuple[str, str], str] = {}
        self._passed_on: set[tuple[str, str]] = set()
        self._follower: Follower
        self._until = 0.0
        self._make_queues(jobs)

    def _make_queues(self, jobs: Sequence[Job]) -> None:
        for entry in debts.by_series(jobs):
            job, asked, _ = entry
            session = self._sessions[asked.credentials]
            self._credentials[job.name, asked.series.key] = asked.credentials
            self._progress.queue_of(session).entries.append(entry)
        for queue in self._progress.queues.values():
            queue.entries = list(self._expected.longest_first(queue.entries))
            for entry in queue.entries:
                self._progress.entries_of[entry[1].series.key].append((queue, entry))
        for session in self._sessions.values():  # of a key that only has reports to follow
            self._progress.queue_of(session)

    async def start(self, tasks: TaskGroup, follower: Follower) -> None:
        """Starts to serve every key in `tasks`; that ends when there is nothing left to do.

        Called once.
        """
        self._follower = follower
        self._until = anyio.current_time() + self._poll.timeout.total_seconds()
        for queue in self._progress.queues.values():
            queue.is_searching = True
            tasks.start_soon(self._serve, queue)

    async def _open_reports(self, queue: KeyQueue) -> AsyncIterator[Report]:
        """The open reports of earlier runs that a queue follows, whichever job asked for them.

        Its key bought them; or the key that did is not at hand, and now asks for their series.
        """
        queues, mine = self._progress.queues, queue.session.api_key
        asked = [
            entry.series
            for _, entry, _ in queue.entries
            if self._progress.entries_of[entry.series.key][0][0] is queue
        ]
        async for report in self._ledger.open_reports(asked, (mine,)):
            if report.api_key == mine or report.api_key not in queues:
                yield report

    async def _serve(self, queue: KeyQueue) -> None:
        """One key's work: open reports first, then the debt, until nobody finds anything new.

        The debt of every series is looked at twice: first for what will soon be deleted, then
        for the rest. It is looked at again whenever a report of the series leaves some behind.
        """
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._follow_open, tasks, queue)
            await queue.may_buy.wait()
            queue.todo.extend(
                (entry, urgent) for urgent in (True, False) for entry in queue.entries
            )
            while True:
                if queue.todo:
                    entry, urgent = queue.todo.popleft()
                    queue.is_feeding = True
                    await self._feed(tasks, queue, entry, only_urgent=urgent)
                    queue.is_feeding = False
                elif self._progress.is_busy:
                    queue.changed = anyio.Event()
                    await queue.changed.wait()
                else:
                    break
            self._progress.wake_all()

    async def _follow_open(self, tasks: TaskGroup, queue: KeyQueue) -> None:
        """Follows what is open. One run waits for all of it together, from its beginning on.

        What is open and not reached yet is had by the ledger, so that no queue buys it meanwhile.
        """
        try:
            async for report in self._open_reports(queue):
                self._events.notify(ReportChanged(report, None))
                rows = self._expected.rows(report.series, report.window)
                self._progress.claim(report.series, report.id, report.window)
                if not queue.found_slots.value:
                    queue.may_buy.set()
                follow = partial(self._follow_one, report, queue.session, rows)
                await self._start(
                    tasks, queue, report.series, report.id, slots=queue.found_slots, follow=follow
                )
        finally:
            queue.is_searching = False
            queue.may_buy.set()
            self._progress.wake_all()

    async def _follow_one(
        self, report: Report, session: KeySession, rows: int | None
    ) -> FollowResult:
        remaining = timedelta(seconds=max(0.0, self._until - anyio.current_time()))
        patience = max(remaining, min(LEAST_PATIENCE, self._poll.timeout))
        return await self._follower.follow(report, session, rows, patience)

    async def _feed(
        self, tasks: TaskGroup, queue: KeyQueue, entry: Entry, *, only_urgent: bool
    ) -> None:
        """Hands out the debt of a series chunk by chunk.

        Chunks are cut when a slot is free for them, so that a plan of a million costs no memory.
        """
        job, asked, earlier = entry
        series = asked.series
        if self._is_over(queue, series):
            return
        progress = self._progress.of(series)
        # Taken before the ledger is read: a report that ends meanwhile has the series looked at
        # again, where one that were left out here could be bought beside itself.
        claimed = tuple(progress.claims.values())
        debt = await self._debt(queue, job, asked, earlier)
        unclaimed = replace(debt, owed=intervals.subtract(debt.owed, claimed))
        if debt.goes_by_steps and progress.has_left_open:
            return  # what is open would have to come back first, and does not in this run
        refused = progress.dates.number
        for step in attempts.steps(
            unclaimed, debt.failures, progress.failed, progress.truncated, progress.dates
        ):
            if isinstance(step, WaitForOpen):
                self._wait_for_claims(progress, series)
                break
            if only_urgent and not debts.urgent(step.window, debt, self._now_of(queue.session)):
                continue
            match step:
                case Defer():
                    continue
                case GiveUp(window, reason, report_id):
                    await self._ledger.give_up(series, window, reason, report_id)
                    self._events.message(
                        "error",
                        f"given up: {series}, {window_text(window, zone_of(series))}: {reason}",
                        type="given_up",
                        account_id=series.account_id,
                        product=series.product,
                        start=utc_text(window.start),
                        end=utc_text(window.end),
                        reason=reason,
                    )
                case Buy():
                    has_room = await self._buy(tasks, queue, debt, step)
                    # Once refused, its coroutine has the series looked at again.
                    if (
                        not has_room
                        or progress.dates.number != refused
                        or self._is_over(queue, series)
                    ):
                        break

    async def _buy(self, tasks: TaskGroup, queue: KeyQueue, debt: debts.Debt, step: Buy) -> bool:
        """Starts to buy a chunk, unless it has to wait for others, or would be too much.

        Returns:
            False where the budget has no room for it now.
        """
        series, window, probe = debt.entry.series, step.window, step.probe
        progress = self._progress.of(series)
        if probe and any(probe.overlaps(claim) for claim in progress.claims.values()):
            progress.is_postponed = True
            return True
        if not self._may_be_cut(progress, debt.failures, window):
            return True
        upper = debt.upper(window)
        if not self._budget.take(series, window, upper):
            self._no_room(series, window, upper)
            return False
        rows = debt.expected((window,))
        if rows is None:
            rows = self._expected.rows(series, window)
        order = ChunkOrder(
            series,
            window,
            debt.job.name,
            debt.job.callback_url,
            rows=rows,
            created=partial(self._created, series, window),
            refused=partial(self._refused, queue),
            settle=debt.job.settle,
        )
        claim = object()
        if attempts.cut_again(debt.failures, (window,)):
            self._cut_again.add(claim)
        self._progress.claim(series, claim, window)
        follow = partial(self._follower.buy, order, queue.session)
        await self._start(tasks, queue, series, claim, slots=queue.slots, follow=follow)
        return True

    def _no_room(self, series: Series, window: Window, upper: float | None) -> None:
        """The budget has no room for a chunk: there may be some once what is open is counted."""
        if self._budget.is_uncertain:
            self._without_room[series.key] = series
        elif self._budget.room(series) != self._progress.of(series).room:
            self._progress.look_again(series)
        else:
            self._budget.stop(series, window, upper)

    def _wake_without_room(self) -> None:
        """Looks at some of the series again that wait for room in the budget."""
        most = _WOKEN_AT_A_TIME if self._budget.is_uncertain else len(self._without_room)
        for key in list(islice(self._without_room, most)):
            self._progress.look_again(self._without_room.pop(key))

    def _may_be_cut(
        self, progress: SeriesProgress, failures: Sequence[Failure], window: Window
    ) -> bool:
        """Whether a chunk may be bought that lies inside a truncated window, if it is one.

        All that are open may be truncated again: their number is bounded with those that were.
        """
        if not attempts.cut_again(failures, (window,)):
            return True
        under_way = attempts.cut_again(failures, tuple(progress.claims.values()))
        if (
            len(self._cut_again) < attempts.MAX_TRUNCATED_A_RUN
            and attempts.cut_again(failures, progress.truncated) + under_way
            < attempts.MAX_TRUNCATED
        ):
            return True
        progress.is_postponed = bool(under_way)
        return False

    def _created(self, series: Series, window: Window) -> None:
        """The API has taken a window."""
        dates = self._progress.of(series).dates
        dates.passed(window)
        if dates:
            self._progress.look_again(series)
            self._progress.wake_all()

    def _refused(self, queue: KeyQueue, report: Report) -> None:
        """The API has refused a window, for its dates: it is asked for in smaller ones."""
        series = report.series
        now = queue.session.api.server_now() or self._now_of(queue.session)
        dates = self._progress.of(series).dates
        dates.refuse(report.window, report.reason, report.id, retention_edge(series, now))
        if dates.in_vain:
            queue.session.leave_series(series, report.reason)
            self._events.message(
                "error",
                f"{series}: the API has refused {IN_VAIN} windows and taken none; nothing more of "
                f"it in this run: {report.reason}",
            )

    def _is_over(self, queue: KeyQueue, series: Series) -> bool:
        """Whether a queue asks for nothing more of a series in this run; others are told so."""
        if self._leaves_to_others(queue, series):
            self._pass_on(queue, series)
        refused = queue.session.refusal(series) or queue.session.unreachable
        return bool(refused) or self._budget.is_over(series)

    def _is_out(self, session: KeySession, series: Series) -> bool:
        """Whether nothing more of a series can be had with this key in this run."""
        return bool(session.lasting_refusal(series) or session.unreachable)

    def _pass_on(self, queue: KeyQueue, series: Series) -> None:
        """Has the other keys look at a series again that this one cannot go on with.

        A later job of the command may want the same time, and left it to this key so far.
        """
        once = (queue.session.api_key, series.key)
        if once not in self._passed_on:
            self._passed_on.add(once)
            self._progress.look_again(series)
            self._progress.wake_all()

    def _leaves_to_others(self, queue: KeyQueue, series: Series) -> bool:
        """Whether other keys may ask for a series that this one cannot go on with."""
        entries = self._progress.entries_of.get(series.key, [])
        is_shared = any(other is not entries[0][0] for other, _ in entries)
        return is_shared and self._is_out(queue.session, series)

    def _wait_for_claims(self, progress: SeriesProgress, series: Series) -> None:
        """Looks at a series again once something of it has come back."""
        if progress.claims:
            progress.is_postponed = True
        else:
            self._progress.look_again(series)

    async def _start(
        self,
        tasks: TaskGroup,
        queue: KeyQueue,
        series: Series,
        claim: object,
        *,
        slots: anyio.Semaphore,
        follow: Callable[[], Awaitable[FollowResult]],
    ) -> None:
        """Starts a report's coroutine once a slot is free; `claim` is taken back at its end."""
        progress = self._progress.of(series)
        window = progress.claims[claim]
        await slots.acquire()

        async def follow_and_release() -> None:
            try:
                result = await follow()
                match result:
                    case FollowResult.FAILED if series.key in self._progress.entries_of:
                        progress.failed.append(window)
                        await self._pause(progress, window)
                    case FollowResult.TRUNCATED:
                        progress.truncated.append(window)
                    case FollowResult.NEXT_RUN:
                        progress.has_left_open = True
                    case FollowResult.FAILED | FollowResult.SETTLED | FollowResult.OWED_AGAIN:
                        pass
                if result is not FollowResult.TRUNCATED:
                    self._cut_again.discard(claim)
            finally:
                self._budget.settle(series, window)
                slots.release()
                self._progress.release(series, claim)
            if progress.is_postponed or _is_owed(result) or self._leaves_to_others(queue, series):
                progress.is_postponed = False
                self._progress.look_again(series)
            self._wake_without_room()
            self._progress.wake_all()

        tasks.start_soon(follow_and_release)

    async def _pause(self, progress: SeriesProgress, window: Window) -> None:
        """The wait before a failed window is asked for again, if it is in this run."""
        failed = sum(other.overlaps(window) for other in progress.failed)
        if failed < attempts.MAX_FAILED_A_RUN:
            await anyio.sleep(attempts.pause(self._poll, failed).total_seconds())

    async def _debt(
        self, queue: KeyQueue, job: Job, entry: JobSeries, earlier: Sequence[Job]
    ) -> debts.Debt:
        """The debt of a series as it is now, less what earlier jobs of the command buy."""
        now = self._now_of(queue.session)
        if self._budget.goes_by_days:
            await self._budget.refresh(self._ledger, queue.session.api.server_now() or now)
        ledger, series = self._ledger, entry.series
        self._progress.of(series).room = self._budget.room(series)
        room = self._budget.target(series)
        before = []
        for other in earlier:
            session = self._sessions[self._credentials[other.name, series.key]]
            if not self._is_out(session, series):
                resolution = (await ledger.series_state(other.name, series)).resolution
                before.append(debts.EarlierJob(other, self._now_of(session), resolution))
        series_state = await ledger.series_state(job.name, series)
        history = volume.History()
        if volume.is_sized(job, room):
            history = await ledger.read(lambda reader: reader.histories().of(series))
        return debts.debt(job, entry, now, series_state, before, history=history, room=room)


def _is_owed(result: FollowResult) -> bool:
    """Whether the debt of a report's series has to be looked at again in this run."""
    match result:
        case FollowResult.OWED_AGAIN | FollowResult.FAILED | FollowResult.TRUNCATED:
            return True
        case FollowResult.SETTLED | FollowResult.NEXT_RUN:
            return False
