"""The feeding of lanes: hands out the debt of every series, under each API key side by side."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

from orchestrator.core import attempts, intervals, volume
from orchestrator.core import debt as debts
from orchestrator.core.events import ReportChanged
from orchestrator.core.local_dates import window_text, zone_of
from orchestrator.core.next_steps import Buy, Defer, GiveUp, WaitForOpen
from orchestrator.core.refused_dates import IN_VAIN, RefusedDates
from orchestrator.core.windows import retention_edge
from orchestrator.engine.create import ChunkOrder
from orchestrator.engine.follow import FollowResult

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from anyio.abc import TaskGroup

    from orchestrator.core.events import RunEvents
    from orchestrator.core.intervals import Window
    from orchestrator.core.model import Failure, Job, JobSeries, Report, Series
    from orchestrator.core.ports import Ledger
    from orchestrator.core.settings import Config
    from orchestrator.engine.budget import Budget
    from orchestrator.engine.follow import Follower
    from orchestrator.engine.forecast import Entry, Forecast
    from orchestrator.engine.key_session import KeySession


_WOKEN: Final = 8
"""So many series that wait for room in the budget are looked at again when a report has ended."""

FOUND_AT_A_TIME: Final = 1000
"""Reports of earlier runs that are followed at a time under each API key.

They have places of their own: what is stuck at the API does not keep this run from asking for
what is owed. The number bounds memory; one list call answers for all of them.
"""

LAST_LOOK: Final = timedelta(minutes=5)
"""What a report of an earlier run gets at the least, if its place comes late in this run."""


@dataclass(slots=True, eq=False)
class _KeyQueue:
    """The work of one API key.

    Attributes:
        slots: of the reports that this run asks for.
        found: the places of those that earlier runs have left open.
        todo: the series whose debt is to be looked at, and whether only for what is urgent.
        feeding: the debt of a series is being handed out.
        changed: set when there may be something to do again.
        may_buy: set when what is open is known, or fills all its places.
    """

    session: KeySession
    slots: anyio.CapacityLimiter
    found: anyio.CapacityLimiter
    feeding: bool = False
    may_buy: anyio.Event = field(default_factory=anyio.Event)
    entries: list[Entry] = field(default_factory=list)
    todo: deque[tuple[Entry, bool]] = field(default_factory=deque)
    changed: anyio.Event = field(default_factory=anyio.Event)


@dataclass(slots=True, eq=False)
class _SeriesProgress:
    """What a run is doing about one series.

    Attributes:
        claims: the windows that were handed out and whose coroutines have not ended.
        failed: the windows of the reports that failed in this run.
        cut: the windows of the reports that were truncated in this run.
        dates: what the API refused in this run for its dates.
        room: the records that could still be asked for when the debt was looked at last.
        postponed: something waits for a claim to end.
        later: a report was left for the next run.
    """

    claims: dict[object, Window] = field(default_factory=dict)
    failed: list[Window] = field(default_factory=list)
    cut: list[Window] = field(default_factory=list)
    dates: RefusedDates = field(default_factory=RefusedDates)
    room: int | None = None
    postponed: bool = False
    later: bool = False


class Scheduler:
    """The lanes of one run, and what is under way in them.

    Args:
        jobs: in the order in which they are served.
        now_of: the present moment for what a desk asks for; the same throughout the run.
        ledger: says what is owed.
        sessions: by name of credentials; one lane for each of their API keys.
        budget: says what may still be asked for.
        events: takes what is found open, and what people should know.
        config: policies and limits.
        expected: puts series in order.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        now_of: Callable[[KeySession], datetime],
        *,
        ledger: Ledger,
        sessions: Mapping[str, KeySession],
        budget: Budget,
        events: RunEvents,
        config: Config,
        expected: Forecast,
    ) -> None:
        self._now_of = now_of
        self._ledger = ledger
        self._desks = sessions
        self._budget = budget
        self._events = events
        self._config = config
        self._lanes: dict[str, _KeyQueue] = {}
        self._busy: dict[str, _SeriesProgress] = defaultdict(_SeriesProgress)
        self._running = 0
        self._short: dict[str, Series] = {}  # those that wait for room in the budget
        self._again: set[object] = set()
        """Claims inside truncated windows: those that are open, and those truncated again."""
        self._expected = expected
        self._credentials: dict[tuple[str, str], str] = {}
        self._keys_of: dict[str, set[str]] = defaultdict(set)
        self._passed_on: set[tuple[str, str]] = set()
        self._until = 0.0
        self._make_lanes(jobs)

    def _make_lanes(self, jobs: Sequence[Job]) -> None:
        for entry in debts.by_series(jobs):
            job, asked, _ = entry
            session = self._desks[asked.credentials]
            self._credentials[job.name, asked.series.key] = asked.credentials
            self._keys_of[asked.series.key].add(session.api_key)
            self._lane_of(session).entries.append(entry)
        for lane in self._lanes.values():
            lane.entries = list(self._expected.longest_first(lane.entries))
        for session in self._desks.values():  # of a key that only has reports to follow
            self._lane_of(session)

    def _lane_of(self, session: KeySession) -> _KeyQueue:
        if session.api_key not in self._lanes:
            self._lanes[session.api_key] = _KeyQueue(
                session,
                slots=anyio.CapacityLimiter(self._config.limits.in_flight),
                found=anyio.CapacityLimiter(FOUND_AT_A_TIME),
            )
        return self._lanes[session.api_key]

    async def work(self, tasks: TaskGroup, follower: Follower) -> None:
        """Starts every lane in `tasks`; they end when there is nothing left to do."""
        self._until = anyio.current_time() + self._config.poll.timeout.total_seconds()
        fallback_key = {
            entry.series.key: key
            for key, lane in reversed(self._lanes.items())
            for _, entry, _ in lane.entries
        }
        self._running += len(self._lanes)  # until each has found what is open
        for lane in self._lanes.values():
            tasks.start_soon(self._serve, lane, follower, fallback_key)

    async def _found_open(
        self, lane: _KeyQueue, fallback_key: Mapping[str, str]
    ) -> AsyncIterator[Report]:
        """The open reports of earlier runs that a lane follows, whichever job asked for them.

        Its key bought them; or the key that did is not at hand, and now asks for their series.
        """
        asked = [entry.series for one in self._lanes.values() for _, entry, _ in one.entries]
        async for report in self._ledger.open_reports(asked, self._lanes):
            at_hand = report.api_key in self._lanes
            key = report.api_key if at_hand else fallback_key[report.series.key]
            if key == lane.session.api_key:
                yield report

    async def _serve(
        self, lane: _KeyQueue, follower: Follower, fallback_key: Mapping[str, str]
    ) -> None:
        """One key's work: open reports first, then the debt, until nobody finds anything new.

        The debt of every series is looked at twice: first for what will soon be deleted, then
        for the rest. It is looked at again whenever a report of the series leaves some behind.
        """
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._follow_found, tasks, lane, follower, fallback_key)
            await lane.may_buy.wait()
            lane.todo.extend((entry, urgent) for urgent in (True, False) for entry in lane.entries)
            while True:
                if lane.todo:
                    entry, urgent = lane.todo.popleft()
                    lane.feeding = True
                    await self._feed(tasks, lane, follower, entry, only_urgent=urgent)
                    lane.feeding = False
                elif self._is_busy():
                    lane.changed = anyio.Event()
                    await lane.changed.wait()
                else:
                    break
            self._notify_all()

    def _is_busy(self) -> bool:
        """Whether anything is under way that may leave something to do to any lane."""
        return bool(self._running) or any(one.feeding or one.todo for one in self._lanes.values())

    async def _follow_found(
        self, tasks: TaskGroup, lane: _KeyQueue, follower: Follower, fallback_key: Mapping[str, str]
    ) -> None:
        """Follows what is open. One run waits for all of it together, from its beginning on.

        What is open and not reached yet is had by the ledger, so that no lane buys it meanwhile.
        """
        try:
            async for report in self._found_open(lane, fallback_key):
                self._events.notify(ReportChanged(report, None))
                rows = self._expected.rows(report.series, report.window)
                self._claim(report.series, report.id, report.window)
                if not lane.found.available_tokens:
                    lane.may_buy.set()
                follow = partial(self._follow_one, follower, report, lane.session, rows)
                await self._start(
                    tasks, lane, report.series, report.id, slots=lane.found, follow=follow
                )
        finally:
            self._running -= 1
            lane.may_buy.set()
            self._notify_all()

    async def _follow_one(
        self, follower: Follower, report: Report, session: KeySession, rows: int | None
    ) -> FollowResult:
        left = timedelta(seconds=max(0.0, self._until - anyio.current_time()))
        patience = max(left, min(LAST_LOOK, self._config.poll.timeout))
        return await follower.follow(report, session, rows, patience)

    async def _feed(
        self,
        tasks: TaskGroup,
        lane: _KeyQueue,
        follower: Follower,
        entry: Entry,
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
        debt = await self._debt(lane, job, asked, earlier)
        unclaimed = replace(debt, owed=intervals.subtract(debt.owed, claimed))
        if debt.goes_by_steps and busy.later:
            return  # what is open would have to come back first, and does not in this run
        refused = busy.dates.number
        for step in attempts.steps(unclaimed, debt.failures, busy.failed, busy.cut, busy.dates):
            match step:
                case WaitForOpen():
                    self._await_lives(busy, series)
                    break
                case _ if only_urgent and not debts.urgent(
                    step.window, debt, self._now_of(lane.session)
                ):
                    continue
                case Defer():
                    continue
                case GiveUp(window, reason, report_id):
                    await self._ledger.give_up(series, window, reason, report_id)
                    self._events.message(
                        "error",
                        f"given up: {series}, {window_text(window, zone_of(series))}: {reason}",
                    )
                case Buy():
                    has_room = await self._buy(tasks, lane, follower, debt, step)
                    # Once refused, its coroutine has the series looked at again.
                    if not has_room or busy.dates.number != refused or self._is_over(lane, series):
                        break

    async def _buy(
        self,
        tasks: TaskGroup,
        lane: _KeyQueue,
        follower: Follower,
        debt: debts.Debt,
        step: Buy,
    ) -> bool:
        """Starts the life of a chunk, unless it has to wait for others, or would be too much.

        Returns:
            False where the budget has no room for it now.
        """
        series, window, probe = debt.entry.series, step.window, step.probe
        busy = self._busy[series.key]
        if probe and any(probe.overlaps(claim) for claim in busy.claims.values()):
            busy.postponed = True
            return True
        if not self._may_be_cut(busy, debt.failures, window):
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
            refused=partial(self._refused, lane),
            settle=debt.job.settle,
        )
        claim = object()
        if attempts.cut_again(debt.failures, (window,)):
            self._again.add(claim)
        self._claim(series, claim, window)
        follow = partial(follower.buy, order, lane.session)
        await self._start(tasks, lane, series, claim, slots=lane.slots, follow=follow)
        return True

    def _no_room(self, series: Series, window: Window, upper: float | None) -> None:
        """The budget has no room for a chunk: there may be some once what is open is counted."""
        if self._budget.is_uncertain:
            self._short[series.key] = series
        elif self._budget.room(series) != self._busy[series.key].room:
            self._look_again(series)
        else:
            self._budget.stop(series, window, upper)

    def _wake_short(self) -> None:
        """Looks at some of the series again that wait for room in the budget."""
        most = _WOKEN if self._budget.is_uncertain else len(self._short)
        for key in list(self._short)[:most]:
            self._look_again(self._short.pop(key))

    def _may_be_cut(
        self, busy: _SeriesProgress, failures: Sequence[Failure], window: Window
    ) -> bool:
        """Whether a chunk may be bought that lies inside a truncated window, if it is one.

        All that are open may be truncated again: their number is bounded with those that were.
        """
        if not attempts.cut_again(failures, (window,)):
            return True
        under_way = attempts.cut_again(failures, tuple(busy.claims.values()))
        if (
            len(self._again) < attempts.CUTS_A_RUN
            and attempts.cut_again(failures, busy.cut) + under_way < attempts.CUTS
        ):
            return True
        busy.postponed = bool(under_way)
        return False

    def _created(self, series: Series, window: Window) -> None:
        """The API has taken a window."""
        dates = self._busy[series.key].dates
        dates.passed(window)
        if dates:
            self._look_again(series)
            self._notify_all()

    def _refused(self, lane: _KeyQueue, report: Report) -> None:
        """The API has refused a window, for its dates: it is asked for in smaller ones."""
        series = report.series
        now = lane.session.api.server_now() or self._now_of(lane.session)
        dates = self._busy[series.key].dates
        dates.refuse(report.window, report.reason, report.id, retention_edge(series, now))
        if dates.in_vain:
            lane.session.leave_series(series, report.reason)
            self._events.message(
                "error",
                f"{series}: the API has refused {IN_VAIN} windows and taken none; nothing more of "
                f"it in this run: {report.reason}",
            )

    def _is_over(self, lane: _KeyQueue, series: Series) -> bool:
        """Whether a lane asks for nothing more of a series in this run; others are told so."""
        if self._leaves_to_others(lane, series):
            self._pass_on(lane, series)
        refused = lane.session.refusal(series) or lane.session.unreachable
        return bool(refused) or self._budget.is_over(series)

    def _is_out(self, session: KeySession, series: Series) -> bool:
        """Whether nothing more of a series can be had with this key in this run."""
        return bool(session.lasting_refusal(series) or session.unreachable)

    def _pass_on(self, lane: _KeyQueue, series: Series) -> None:
        """Has the other keys look at a series again that this one cannot go on with.

        A later job of the command may want the same time, and left it to this key so far.
        """
        once = (lane.session.api_key, series.key)
        if once not in self._passed_on:
            self._passed_on.add(once)
            self._look_again(series)
            self._notify_all()

    def _leaves_to_others(self, lane: _KeyQueue, series: Series) -> bool:
        """Whether other keys may ask for a series that this one cannot go on with."""
        is_shared = len(self._keys_of.get(series.key, ())) > 1
        return is_shared and self._is_out(lane.session, series)

    def _await_lives(self, busy: _SeriesProgress, series: Series) -> None:
        """Looks at a series again once something of it has come back."""
        if busy.claims:
            busy.postponed = True
        else:
            self._look_again(series)

    def _claim(self, series: Series, claim: object, window: Window) -> None:
        """From now on a coroutine is to come that works on this window."""
        self._busy[series.key].claims[claim] = window
        self._running += 1

    async def _start(
        self,
        tasks: TaskGroup,
        lane: _KeyQueue,
        series: Series,
        claim: object,
        *,
        slots: anyio.CapacityLimiter,
        follow: Callable[[], Awaitable[FollowResult]],
    ) -> None:
        """Starts a report's coroutine once a slot is free; `claim` is taken back at its end."""
        busy = self._busy[series.key]
        window = busy.claims[claim]
        borrower = object()
        await slots.acquire_on_behalf_of(borrower)

        async def follow_and_release() -> None:
            try:
                result = await follow()
                match result:
                    case FollowResult.FAILED if series.key in self._keys_of:
                        busy.failed.append(window)
                        await self._pause(busy, window)
                    case FollowResult.TRUNCATED:
                        busy.cut.append(window)
                    case FollowResult.NEXT_RUN:
                        busy.later = True
                    case FollowResult.FAILED | FollowResult.SETTLED | FollowResult.OWED_AGAIN:
                        pass
                if result is not FollowResult.TRUNCATED:
                    self._again.discard(claim)
            finally:
                self._budget.settle(series, window)
                slots.release_on_behalf_of(borrower)
                del busy.claims[claim]
                self._running -= 1
            if busy.postponed or _is_owed(result) or self._leaves_to_others(lane, series):
                busy.postponed = False
                self._look_again(series)
            self._wake_short()
            self._notify_all()

        tasks.start_soon(follow_and_release)

    def _notify_all(self) -> None:
        for lane in self._lanes.values():
            lane.changed.set()

    async def _pause(self, busy: _SeriesProgress, window: Window) -> None:
        """The wait before a failed window is asked for again, if it is in this run."""
        failed = sum(other.overlaps(window) for other in busy.failed)
        if failed < attempts.PER_RUN:
            await anyio.sleep(attempts.pause(self._config.poll, failed).total_seconds())

    def _look_again(self, series: Series) -> None:
        for lane in self._lanes.values():
            lane.todo.extend(
                (entry, False) for entry in lane.entries if entry[1].series.key == series.key
            )

    async def _debt(
        self, lane: _KeyQueue, job: Job, entry: JobSeries, earlier: Sequence[Job]
    ) -> debts.Debt:
        """The debt of a series as it is now, less what earlier jobs of the command buy."""
        now = self._now_of(lane.session)
        if self._budget.goes_by_days:
            await self._budget.refresh(self._ledger, lane.session.api.server_now() or now)
        ledger, series = self._ledger, entry.series
        self._busy[series.key].room = self._budget.room(series)
        room = self._budget.target(series)
        before = []
        for other in earlier:
            session = self._desks[self._credentials[other.name, series.key]]
            if not self._is_out(session, series):
                resolution = (await ledger.series_state(other.name, series)).resolution
                before.append(debts.EarlierJob(other, self._now_of(session), resolution))
        series_state = await ledger.series_state(job.name, series)
        history = await ledger.history(series) if volume.is_sized(job, room) else volume.History()
        return debts.debt(job, entry, now, series_state, before, history=history, room=room)


def _is_owed(result: FollowResult) -> bool:
    """Whether the debt of a report's series has to be looked at again in this run."""
    match result:
        case FollowResult.OWED_AGAIN | FollowResult.FAILED | FollowResult.TRUNCATED:
            return True
        case FollowResult.SETTLED | FollowResult.NEXT_RUN:
            return False
