"""One eye on all open reports: a list call answers for every report of an account.

Single calls serve only a lone report, one that lists lack or whose age makes them doubtful, and
accounts of which no list can be had or trusted. When to look is foreseen from what ended before
(`core.pace`); a callback has its report looked at, and is believed nothing else.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

from orchestrator.core import matching, policy
from orchestrator.core.model import ALL_STATUSES, Status
from orchestrator.core.pace import Pace, Taken
from orchestrator.core.ports import Priority
from orchestrator.engine.watched import LATE, Group, Lists, Watched
from orchestrator.errors import ApiError, NotFound, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from anyio.abc import TaskGroup

    from orchestrator.core.model import RemoteReport, Report
    from orchestrator.core.pace import Open
    from orchestrator.core.ports import Callbacks, Clock, Observer
    from orchestrator.core.settings import PollPolicy
    from orchestrator.engine.desk import Desk

LOOK_FOR: Final = 3.5
"""A list is asked when probably so many reports have ended: a look for eight other requests."""

_SHARE: Final = 0.2
"""Or such a share of them: where few are open the key has turns to spare, and somebody waits."""

_SAMPLE: Final = 200
"""So many reports of a group are enough to foresee when the next ones end."""

_DISTRUST_AFTER: Final = 3
"""So many lists in a row that cannot be had, or reports that they lack, and they are left."""

_LIES: Final = 2
"""So many reports that had ended while the list showed them open, and it is left."""

_DOUBT: Final = 600.0
"""Seconds a list is believed that a report is open; then it is looked at, ever more rarely."""

_BEHIND: Final = 8
"""A report this many times as old as most would make every list long: it is left out of them."""

_KEYS_OWN: Final = 3
"""With so many accounts under a key, the list of the key's own account may show them all."""

_AT_ONCE: Final = 3
"""So many callbacks at once are answered by one list."""

_FIRST: Final = -1.0
"""The order of looks after a callback: before all submits, a file is probably there."""


@dataclass(slots=True)
class _Faith:
    """Whether callbacks come: how many of the latest ends they have told, about."""

    told: float = 0.0

    def ended(self, *, rung: bool) -> None:
        self.told = 0.9 * self.told + 0.1 * rung

    @property
    def is_firm(self) -> bool:
        return self.told > 0.5


class Watcher:
    """Waits for reports to become final.

    Args:
        tasks: where its tasks live; each ends when nothing is left to watch.
        poll: how often to look.
        jitter: a random number in [0, 1).
        observer: told of words that nobody knows and of lists that cannot be trusted.
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
        observer: Observer,
        clock: Clock,
        pace: Pace | None = None,
        callbacks: Callbacks | None = None,
    ) -> None:
        self._tasks = tasks
        self._poll = poll
        self._least = poll.interval_initial.total_seconds()
        self._most = max(self._least, poll.interval_max.total_seconds())
        self._jitter = jitter
        self._observer = observer
        self._clock = clock
        self._pace = Pace() if pace is None else pace
        self._callbacks = callbacks
        self._faith = _Faith()
        self._lists: dict[tuple[str, str], Lists] = {}
        self._groups: dict[tuple[str, str | None], Group] = {}
        self._unknown_words: set[str] = set()

    async def final(self, report: Report, desk: Desk, rows: int | None = None) -> RemoteReport:
        """Waits until the API calls the report final, however long that takes.

        Args:
            report: one whose id is known.
            desk: of its key.
            rows: the records that it is expected to hold; None: nobody can say.

        Raises:
            NotFound: the API does not know the id, time and again.
            Unauthorized: the key may not look.
        """
        one = self._begin(report, rows)
        with self._listening(one):
            self._group_of(one, desk).add(one)
            try:
                await one.ended.wait()
            finally:
                self._forget(one)
        if isinstance(one.outcome, ApiError):
            raise one.outcome
        assert one.outcome is not None
        return one.outcome

    # --- who is watched, and where ----------------------------------------------------------------

    def _begin(self, report: Report, rows: int | None) -> Watched:
        assert report.request_id is not None
        now = anyio.current_time()
        since = report.submitted_at or report.intended_at
        age = max(0.0, (self._clock.now() - since).total_seconds())
        product = report.series.product
        return Watched(
            report=report,
            request_id=report.request_id,
            since=since,
            born=now - age,
            size=self._pace.size(product, rows),
            seen_at=now,
            doubt_at=now + max(_DOUBT, 3 * self._pace.expected(product, rows)),
        )

    def _group_of(self, one: Watched, desk: Desk) -> Group:
        asked = self._lists_of(one, desk).asked if one.listed else None
        key = (desk.api_key, asked)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(desk, asked, anyio.current_time(), self._jitter())
            self._tasks.start_soon(self._keep_looking, key, group)
        return group

    def _lists_of(self, one: Watched, desk: Desk) -> Lists:
        account, key = one.report.series.account_id, desk.api_key
        lists = self._lists.get((key, account))
        if lists is None:
            siblings = sum(other == key for other, _ in self._lists)
            candidates = [account] if account == key else [account, key]
            if siblings >= _KEYS_OWN - 1:
                candidates.reverse()
            lists = self._lists[key, account] = Lists(candidates)
        return lists

    @staticmethod
    def _forget(one: Watched) -> None:
        if one.group is not None:
            one.group.drop(one)

    def _sort(self, ones: Iterable[Watched], desk: Desk) -> None:
        """Has reports watched where they belong by now."""
        for one in ones:
            if one.group is not None:
                self._group_of(one, desk).add(one)

    def _listening(self, one: Watched) -> AbstractContextManager[None]:
        address = one.report.callback_url
        if self._callbacks is None or address is None:
            return nullcontext()

        def ring() -> None:
            one.rung = True
            if one.group is not None:
                one.group.changed.set()

        return self._callbacks.listen(address, ring)

    # --- when to look -----------------------------------------------------------------------------

    async def _keep_looking(self, key: tuple[str, str | None], group: Group) -> None:
        try:
            while group.watched:
                now = anyio.current_time()
                rung = [
                    one for one in group.watched.values() if one.rung and one.quiet_until <= now
                ]
                if rung:
                    await self._look_at_rung(group, rung)
                    continue
                pause = self._due(group) - now
                if pause <= 0:
                    await self._look(group)
                    continue
                # Reports that join are not worth a reckoning each: they are counted now and then.
                group.changed = anyio.Event()
                with anyio.move_on_after(min(pause, self._least)):
                    await group.changed.wait()
        finally:
            if self._groups.get(key) is group:
                del self._groups[key]

    def _due(self, group: Group) -> float:
        """When something of a group is to be looked at next."""
        due = [self._own_due(one) for one in group.alone()]
        due += [one.quiet_until for one in group.watched.values() if one.rung]
        listed = group.listed()
        if listed:
            due.append(group.looked_at + self._pause_of_list(group, listed))
        return min(due)

    def _pause_of_list(self, group: Group, listed: Sequence[Watched]) -> float:
        jitter = group.jitter
        if not self._pace.is_known:
            return policy.next_look(self._poll, group.quiet, jitter).total_seconds()
        if self._faith.is_firm and all(one.report.callback_url for one in listed):
            pause = self._most
        else:
            seen, each = _sample(listed, group.looked_at)
            wanted = min(LOOK_FOR, _SHARE * len(listed)) / (each * group.wrong_by)
            pause = self._pace.wait_for(seen, wanted, self._least, self._most)
        return pause * (0.875 + 0.25 * jitter)

    def _own_due(self, one: Watched) -> float:
        if one.due <= one.seen_at:
            one.due = one.seen_at + self._own_pause(one)
        return one.due

    def _own_pause(self, one: Watched) -> float:
        """How long to wait before the next look at a report by itself."""
        jitter = self._jitter()
        if not self._pace.is_known:
            return policy.next_look(self._poll, one.looks, jitter).total_seconds()
        pause = self._pace.wait_for([one.open], _SHARE, self._least, self._most)
        return pause * (0.875 + 0.25 * jitter)

    # --- looks ------------------------------------------------------------------------------------

    async def _look(self, group: Group) -> None:
        now = anyio.current_time()
        listed = group.listed()
        alone = [one for one in group.alone() if self._own_due(one) <= now]
        if listed and group.looked_at + self._pause_of_list(group, listed) <= now:
            self._set_aside(group, listed)
            alone += await self._look_at_list(group, Priority.POLL)
        for one in alone:
            await self._look_at_one(group, one)

    async def _look_at_rung(self, group: Group, rung: Sequence[Watched]) -> None:
        """Asks the API about reports of which somebody has told us something."""
        now = anyio.current_time()
        for one in rung:
            one.rung = False
            one.quiet_until = now + min(self._most, self._least * (1 << min(one.rings, 30)))
            one.rings += 1
        if len(rung) >= _AT_ONCE and group.shown and all(one.listed for one in rung):
            await self._look_at_list(group, Priority.SUBMIT, _FIRST)
        else:
            for one in rung:
                await self._look_at_one(group, one, Priority.SUBMIT, _FIRST)

    def _set_aside(self, group: Group, listed: Sequence[Watched]) -> None:
        """Leaves to themselves: what the API may have forgotten, and what makes lists long."""
        now = anyio.current_time()
        ages = sorted(now - one.born for one in listed)
        behind = max(_DOUBT, _BEHIND * ages[len(ages) // 2])
        reach = matching.LIST_REACH.total_seconds()
        aside = [one for one in listed if now - one.born >= min(behind, reach)]
        for one in aside:
            one.listed = False
        self._sort(aside, group.desk)

    async def _look_at_list(
        self, group: Group, priority: Priority, order: float = 0.0
    ) -> list[Watched]:
        """Asks the list; returns the reports that are to be looked at by themselves now."""
        watched = group.listed()
        if not watched:
            return []
        assert group.asked is not None
        api = group.desk.api
        ahead = min(api.server_ahead, *(one.report.server_ahead for one in watched))
        since = min(one.since for one in watched) + ahead - matching.CLOCK_SLACK
        ids = frozenset(one.request_id for one in watched)
        request = partial(api.list, group.asked, ALL_STATUSES, since, only=ids)
        try:
            listed = await group.desk.turn(request, priority, order)
        except ApiError as error:
            self._has_looked(group)
            await self._list_failed(group, error)
            return []
        if self._pace.is_known:
            seen, each = _sample(watched, group.looked_at)
            foreseen = each * self._pace.ends(seen, anyio.current_time() - group.looked_at)
        else:
            foreseen = 0.0
        self._has_looked(group)
        group.failed = 0
        by_id = {remote.request_id: remote for remote in listed}
        ended = 0
        doubtful: list[Watched] = []
        lacking: list[Watched] = []
        for one in watched:
            remote = by_id.get(one.request_id)
            if one.group is not group:
                continue  # it ended while the list was asked
            if remote is None:
                lacking.append(one)
                continue
            group.shown += 1
            self._lists_of(one, group.desk).shown(group.asked)
            if self._take(one, remote):
                ended += 1
            elif group.looked_at >= one.doubt_at:
                doubtful.append(one)
        group.quiet = 0 if ended else group.quiet + 1
        if foreseen:
            group.learn(foreseen, ended)
        return doubtful + self._look_for(group, lacking)

    def _has_looked(self, group: Group) -> None:
        group.looked_at = anyio.current_time()
        group.jitter = self._jitter()

    def _look_for(self, group: Group, lacking: Sequence[Watched]) -> list[Watched]:
        """What follows from reports that the list lacks; those to be looked at by themselves."""
        assert group.asked is not None
        by_account: dict[str, list[Watched]] = {}
        for one in lacking:
            by_account.setdefault(one.report.series.account_id, []).append(one)
        alone: list[Watched] = []
        for ones in by_account.values():
            lists = self._lists_of(ones[0], group.desk)
            in_time = [one for one in ones if group.looked_at - one.born >= LATE]
            if lists.proven:
                # It should be there, and is not: whatever the reason, it must not be lost.
                group.lacked += len(in_time)
                for one in in_time:
                    one.listed = False
                alone += in_time
            else:
                lists.showed_nothing(group.asked, in_time=bool(in_time))
                alone += in_time or ones[:1]
                if lists.asked is None:
                    self._tell_of_lists(ones[0], "they show none of its reports")
        if group.lacked >= _DISTRUST_AFTER and group.lacked > group.shown / 10:
            self._leave_list(group, "they lack reports that the API knows")
        self._sort(list(group.watched.values()), group.desk)
        return alone

    async def _list_failed(self, group: Group, error: ApiError) -> None:
        """A list could not be had: if a report can be looked at, it is the list's own fault."""
        if not policy.is_retryable(error):
            self._leave_list(group, f"they cannot be had ({error})")
            return
        oldest = min(group.watched.values(), key=lambda one: one.born, default=None)
        if oldest is not None and await self._look_at_one(group, oldest):
            group.failed += 1
            if group.failed >= _DISTRUST_AFTER:
                self._leave_list(group, f"they cannot be had ({error})")

    def _leave_list(self, group: Group, why: str) -> None:
        """No more of this list: another one that may show the reports, or none."""
        assert group.asked is not None
        ones = list(group.watched.values())
        for one in {one.report.series.account_id: one for one in ones}.values():
            lists = self._lists_of(one, group.desk)
            lists.leave(group.asked)
            if lists.asked is None:
                self._tell_of_lists(one, why)
        self._sort(ones, group.desk)

    def _tell_of_lists(self, one: Watched, why: str) -> None:
        self._observer.note(
            "info",
            f"account {one.report.series.account_id}: not asking for lists any more: {why}; each "
            "report is looked at by itself",
        )

    async def _look_at_one(
        self,
        group: Group,
        one: Watched,
        priority: Priority = Priority.POLL,
        order: float = 0.0,
    ) -> bool:
        """Asks about one report; whether the API answered."""
        if one.ended.is_set():
            return False
        answered = False
        try:
            remote = await group.desk.ask(
                partial(group.desk.api.status, one.request_id), priority, order
            )
        except NotFound as error:
            # An id that we were just given may take a moment to be known everywhere.
            answered = True
            one.not_found += 1
            if one.not_found >= policy.LOST_AFTER:
                self._end(one, error)
        except Unauthorized as error:
            self._end(one, error)
        except ApiError as error:
            self._observer.note(
                "warning", f"report {one.request_id}: cannot be looked at now: {error}"
            )
        else:
            answered = True
            one.not_found = 0
            doubted = one.listed and anyio.current_time() >= one.doubt_at
            if self._take(one, remote) and doubted:
                group.lies += 1
                if group.lies >= _LIES and group.asked is not None:
                    self._leave_list(group, "they show reports as open that have ended")
        now = anyio.current_time()
        one.looks += 1
        one.due = now + self._own_pause(one)
        one.doubt_at = max(one.doubt_at, now + max(_DOUBT, now - one.born))
        return answered

    def _take(self, one: Watched, remote: RemoteReport) -> bool:
        """Takes what the API says of a report; whether it has ended."""
        now = anyio.current_time()
        if remote.status is None and remote.status_word not in self._unknown_words:
            self._unknown_words.add(remote.status_word)
            self._observer.note(
                "warning",
                f"the API calls report {one.request_id} {remote.status_word!r}, a status that "
                "is not known here; it counts as running",
            )
        ended = remote.status is not None and remote.status.is_final
        self._pace.saw(one.open, now - one.born, ended=ended)
        one.seen_at = now
        if ended:
            if remote.status is Status.SUCCESS:
                taken = Taken(remote.items_count or 0, now - one.born)
                self._pace.took(one.report.series.product, taken)
            if one.report.callback_url is not None:
                self._faith.ended(rung=one.rings > 0)
            self._end(one, remote)
        return ended

    def _end(self, one: Watched, outcome: RemoteReport | ApiError) -> None:
        """Wakes whoever waits for the report; it is not looked at any more."""
        one.outcome = outcome
        one.ended.set()
        self._forget(one)


def _sample(listed: Sequence[Watched], moment: float) -> tuple[list[Open], float]:
    """Enough of these, as of a moment, to foresee the next ends; and for how many each stands."""
    sample = listed[:: 1 + len(listed) // _SAMPLE]
    return [one.open_at(moment) for one in sample], len(listed) / len(sample)
