"""One eye on all open reports: a list call answers for every report of an account.

Single calls serve only a lone report, one that lists lack or whose age makes them doubtful, and
accounts of which no list can be had or trusted. When to look is foreseen from what ended before
(`core.durations`); a callback has its report looked at, and is believed nothing else.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio

from orchestrator.core import policy, vonage
from orchestrator.core.durations import DurationModel
from orchestrator.core.ports import Priority
from orchestrator.engine.polling.groups import PollGroups
from orchestrator.engine.polling.poller import DOUBT, Poller, sample
from orchestrator.engine.polling.state import CallbackReliability, PolledReport, PollGroup
from orchestrator.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from anyio.abc import TaskGroup

    from orchestrator.core.events import RunEvents
    from orchestrator.core.model import RemoteReport, Report
    from orchestrator.core.ports import Callbacks, Clock
    from orchestrator.core.settings import PollPolicy
    from orchestrator.engine.key_session import KeySession
    from orchestrator.engine.polling.missing_reports import Gone, LeftOpen

LOOK_FOR: Final = 3.5
"""A list is asked when probably so many reports have ended: a look for eight other requests."""

_SHARE: Final = 0.2
"""Or such a share of them: where few are open the key has turns to spare, and somebody waits."""

_NEW: Final = 60.0
"""Seconds: a report that is older when the watch begins may have ended long ago."""

_SOON: Final = 0.5
"""Seconds until reports of earlier runs are looked at, so that one list answers for many."""

_BEHIND: Final = 8
"""A report this many times as old as most would make every list long: it is left out of them."""

_AT_ONCE: Final = 3
"""So many callbacks at once are answered by one list."""


@dataclass(slots=True)
class _PendingCallbacks:
    """The reports of one key of which a callback has come that nobody has looked after.

    Attributes:
        changed: set when another one has come.
    """

    rung: list[PolledReport] = field(default_factory=list)
    changed: anyio.Event = field(default_factory=anyio.Event)


class Watcher:
    """Waits for reports to become final.

    Args:
        tasks: where its tasks live; each ends when nothing is left to watch.
        poll: how often to look.
        jitter: a random number in [0, 1).
        events: told of words that nobody knows and of lists that cannot be trusted.
        clock: how old a report is.
        pace: how long reports took so far; learns.
        callbacks: our own receiver; None: reports are only looked at.
    """

    def __init__(
        self,
        tasks: TaskGroup,
        poll: PollPolicy,
        *,
        jitter: Callable[[], float],
        events: RunEvents,
        clock: Clock,
        pace: DurationModel | None = None,
        callbacks: Callbacks | None = None,
    ) -> None:
        self._tasks = tasks
        self._poll = poll
        self._least = poll.interval_initial.total_seconds()
        self._most = max(self._least, poll.interval_max.total_seconds())
        self._jitter = jitter
        self._clock = clock
        self._pace = DurationModel() if pace is None else pace
        self._callbacks = callbacks
        self._faith = CallbackReliability()
        self._groups = PollGroups(jitter=jitter, events=events, begin=self._begin_to_look)
        self._looks = Poller(self._groups, self._pace, self._faith, jitter=jitter, events=events)
        self._bells: dict[str, _PendingCallbacks] = {}

    @property
    def watched(self) -> int:
        """How many reports somebody waits for."""
        return len(self._groups.watched)

    async def final(
        self, report: Report, session: KeySession, rows: int | None = None, *, found: bool = False
    ) -> RemoteReport | Gone | LeftOpen:
        """Waits until the API calls the report final, however long that takes.

        Or until it is proved to be gone; or until its id has met nothing but 404 for an hour, or
        its SUCCESS no link, and it is better left to the next run.

        Args:
            report: one whose id is known.
            session: of its key.
            rows: the records that it is expected to hold; None: nobody can say.
            found: an earlier run left it open: it may have ended since.

        Raises:
            Unauthorized: the key may not look.
        """
        one = self._begin(report, rows, found=found)
        with self._listening(one, session):
            self._groups.put(one, session)
            try:
                await one.ended.wait()
            finally:
                if one.group is not None:
                    one.group.drop(one)
        if isinstance(one.outcome, ApiError):
            raise one.outcome
        assert one.outcome is not None
        return one.outcome

    def _begin(self, report: Report, rows: int | None, *, found: bool) -> PolledReport:
        assert report.request_id is not None
        now = anyio.current_time()
        since = report.submitted_at or report.intended_at
        age = max(0.0, (self._clock.now() - since).total_seconds())
        product = report.series.product
        return PolledReport(
            report=report,
            request_id=report.request_id,
            born=now - age,
            size=self._pace.size(product, rows),
            seen_at=now,
            recheck_at=now + max(DOUBT, 3 * self._pace.expected(product, rows)),
            is_known=age < _NEW and not found,
        )

    # --- callbacks --------------------------------------------------------------------------------

    def _listening(self, one: PolledReport, session: KeySession) -> AbstractContextManager[None]:
        address = one.report.callback_url
        if self._callbacks is None or address is None:
            return nullcontext()

        def ring() -> None:
            if one.rung or one.ended.is_set():
                return
            one.rung = True
            bells = self._bells.get(session.api_key)
            if bells is None:
                bells = self._bells[session.api_key] = _PendingCallbacks()
                self._tasks.start_soon(self._answer, session, bells)
            bells.rung.append(one)
            bells.changed.set()

        return self._callbacks.listen(address, ring)

    async def _answer(self, session: KeySession, bells: _PendingCallbacks) -> None:
        """Looks at reports of a key of which somebody has told us something, until none is left.

        Beside the looks by the clock, which may wait long for their turn.
        """
        try:
            while rung := [one for one in bells.rung if one.group is not None]:
                now = anyio.current_time()
                ready = [one for one in rung if one.callbacks_muted_until <= now]
                bells.rung = [one for one in rung if one.callbacks_muted_until > now]
                if ready:
                    await self._look_at_rung(session, ready)
                    continue
                bells.changed = anyio.Event()
                with anyio.move_on_after(min(one.callbacks_muted_until for one in rung) - now):
                    await bells.changed.wait()
        finally:
            del self._bells[session.api_key]

    async def _look_at_rung(self, session: KeySession, rung: Sequence[PolledReport]) -> None:
        now = anyio.current_time()
        by_group: dict[PollGroup, list[PolledReport]] = {}
        for one in rung:
            one.rung = False
            one.told = True
            one.callbacks_muted_until = now + min(
                self._most, self._least * (1 << min(one.rings, 30))
            )
            one.rings += 1
            if one.group is not None and one.listed:
                by_group.setdefault(one.group, []).append(one)
        for group, ones in by_group.items():
            if group.shown and len(ones) >= _AT_ONCE:
                await self._looks.poll_list(group, Priority.CALLBACK)
        # What the list still shows as open contradicts the callback: one of them is wrong.
        for one in rung:
            if one.group is not None:
                await self._looks.poll_report(session, one, Priority.CALLBACK)
            one.told = False

    # --- when to look -----------------------------------------------------------------------------

    def _begin_to_look(self, group: PollGroup) -> None:
        self._tasks.start_soon(self._keep_looking, group)

    async def _keep_looking(self, group: PollGroup) -> None:
        try:
            while group.watched:
                now = anyio.current_time()
                if group.due is None or now - group.reckoned_at >= self._least:
                    group.due = self._next_poll_at(group)
                    group.reckoned_at = now
                if group.due <= now:
                    await self._look(group)
                    group.due = None
                    continue
                # Reports that join are not worth a reckoning each: they are counted now and then.
                group.changed = anyio.Event()
                with anyio.move_on_after(min(group.due - now, self._least)):
                    await group.changed.wait()
        finally:
            self._groups.close(group)

    def _next_poll_at(self, group: PollGroup) -> float:
        """When something of a group is to be looked at next."""
        listed = group.listed()
        group.list_due = math.inf
        if listed:
            group.list_due = group.looked_at + self._pause_of_list(group, listed)
        return min((group.list_due, *(self._own_due(one) for one in group.alone())))

    def _pause_of_list(self, group: PollGroup, listed: Sequence[PolledReport]) -> float:
        jitter = group.jitter
        wanted = min(LOOK_FOR, _SHARE * len(listed))
        unknown = sum(not one.is_known for one in listed)
        if unknown >= wanted:
            return _SOON
        if not self._pace.is_known:
            return policy.next_look(self._poll, group.quiet, jitter).total_seconds()
        if self._faith.is_firm and all(one.report.callback_url for one in listed):
            pause = self._most
        else:
            seen, each = sample(listed, group.looked_at)
            wanted /= each * group.wrong_by
            pause = self._pace.wait_for(seen, wanted, self._least, self._most)
        return (self._least if unknown else pause) * policy.spread(jitter)

    def _own_due(self, one: PolledReport) -> float:
        last = max(one.seen_at, one.looked_at)
        if one.due <= last:
            one.due = last + self._own_pause(one, last)
        return one.due

    def _own_pause(self, one: PolledReport, last: float) -> float:
        """How long to wait after the last look at a report before the next one by itself."""
        if not (one.is_known or one.looks):
            return _SOON
        jitter = self._jitter()
        if one.in_vain:
            return policy.next_look_in_vain(self._poll, one.in_vain, jitter).total_seconds()
        if not self._pace.is_known:
            return policy.next_look(self._poll, one.looks, jitter).total_seconds()
        if self._faith.is_firm and one.report.callback_url is not None:
            pause = self._most
        else:
            pause = self._pace.wait_for([one.open_at(last)], _SHARE, self._least, self._most)
        return pause * policy.spread(jitter)

    # --- looks by the clock -----------------------------------------------------------------------

    async def _look(self, group: PollGroup) -> None:
        now = anyio.current_time()
        alone = [one for one in group.alone() if self._own_due(one) <= now]
        if group.list_due <= now and (listed := group.listed()):
            self._set_aside(group, listed)
            alone += await self._looks.poll_list(group, Priority.POLL)
        for one in alone:
            await self._looks.poll_report(group.session, one)

    def _set_aside(self, group: PollGroup, listed: Sequence[PolledReport]) -> None:
        """Leaves to themselves: what the API may have forgotten, and what makes lists long."""
        now = anyio.current_time()
        ages = sorted(now - one.born for one in listed)
        behind = max(DOUBT, _BEHIND * ages[len(ages) // 2])
        reach = vonage.LIST_REACH.total_seconds()
        aside = [one for one in listed if now - one.born >= min(behind, reach)]
        for one in aside:
            one.listed = False
        self._groups.sort(aside, group.session)
