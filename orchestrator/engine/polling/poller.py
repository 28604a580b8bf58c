"""Looks: what is asked of the API about open reports, and what follows from its answers.

A list is believed that a report is open, until a look at the report by itself says otherwise; and
that one has ended well, if all is there that the ending needs. Whatever would cost money is asked
again. A 404 for a report, and a SUCCESS without a link, are no ends: see
`engine.polling.missing_reports`.
"""

from __future__ import annotations

import math
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

import anyio

from orchestrator.core import coverage, echo, lifespans, policy
from orchestrator.core.durations import ReportDuration
from orchestrator.core.ports import Priority
from orchestrator.core.vonage import ALL_STATUSES, Status
from orchestrator.engine import outcomes
from orchestrator.engine.polling.missing_reports import (
    LeftOpen,
    MissingReports,
    Row,
    left_without_link,
)
from orchestrator.engine.polling.state import DISTRUST_AFTER, LATE
from orchestrator.errors import ApiError, NotFound, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from orchestrator.core.durations import DurationModel, OpenReport
    from orchestrator.core.events import RunEvents
    from orchestrator.core.model import RemoteReport
    from orchestrator.engine.key_session import KeySession
    from orchestrator.engine.polling.groups import PollGroups
    from orchestrator.engine.polling.state import (
        CallbackReliability,
        Outcome,
        PolledReport,
        PollGroup,
    )

DOUBT: Final = 600.0
"""Seconds a list is believed that a report is open; then it is looked at, ever more rarely."""

_DOUBTFUL: Final = 3
"""So many of these after one list: if it is wrong about some, it will be about the next as well."""

_SAMPLE: Final = 100
"""So many reports of a group are enough to foresee when the next ones end."""

_SLACK: Final = timedelta(seconds=60)
"""How far from what lists have shown so far the next report's time may be."""

_EMPTY_SECONDS: Final = lifespans.EMPTY_FOR.total_seconds()

_UNANSWERED: Final = 3
"""So many looks at a report in a row without an answer are worth a word."""


class Poller:
    """Asks, and tells whoever waits for a report that it has ended.

    Args:
        groups: where reports are watched.
        pace: learns how long they take.
        faith: learns whether callbacks tell of ends.
        jitter: a random number in [0, 1).
        events: told of words that nobody knows and of reports that cannot be looked at.
    """

    def __init__(
        self,
        groups: PollGroups,
        pace: DurationModel,
        faith: CallbackReliability,
        *,
        jitter: Callable[[], float],
        events: RunEvents,
    ) -> None:
        self._groups = groups
        self._pace = pace
        self._faith = faith
        self._jitter = jitter
        self._events = events
        self._ahead: dict[str, timedelta] = {}
        self._unknown_words: set[str] = set()
        self._unseen = MissingReports()

    # --- lists ------------------------------------------------------------------------------------

    async def poll_list(
        self, group: PollGroup, priority: Priority, order: float = 0.0
    ) -> list[PolledReport]:
        """Asks the list; returns the reports that are to be looked at by themselves now."""
        watched = group.listed()
        if not watched:
            return []
        assert group.asked is not None
        since = self._since(group, watched)
        ids = {one.request_id for one in watched} | group.known_ends.keys()
        asked_at = anyio.current_time()
        request = partial(group.session.api.list, group.asked, ALL_STATUSES, since, only=ids)
        try:
            listed = await group.session.turn(request, priority, order)
        except ApiError as error:
            self._has_looked(group)
            if group.session.silent:
                self._leave_open(watched)
            else:
                await self._list_failed(group, error)
            return []
        foreseen = self._foreseen(group, watched)
        self._has_looked(group)
        shown = {remote.request_id: remote for remote in listed}
        if shown:
            self._unseen.showed(group.session)
        # Those whose waiting ended while the list was asked, or who are watched elsewhere, are out.
        watched = [one for one in watched if one.group is group]
        if _is_suddenly_empty(group, watched, shown):
            self._failed_again(group, "they show none of its reports any more")
            return watched[:1]
        group.failed = 0
        is_suspect = group.compare(shown, asked_at)
        to_look_at, still_open, ended = self._read(group, watched, shown)
        group.quiet = 0 if ended else group.quiet + 1
        if foreseen:
            group.learn(foreseen, ended)
        to_look_at += self._handle_missing(
            group, [one for one in watched if one.request_id not in shown]
        )
        if group.lies_often:
            self._groups.leave_list(group, "they do not show how reports really stand")
            return to_look_at
        check = group.to_check(still_open, is_suspect=is_suspect, quiet=not self._faith.is_firm)
        if check is not None and check not in to_look_at:
            to_look_at.append(check)
        return to_look_at

    def _since(self, group: PollGroup, watched: Sequence[PolledReport]) -> datetime:
        """From when on the list must reach, by the server's clock."""
        learned = self._ahead.get(group.session.api_key)
        now_ahead = group.session.api.server_ahead
        moments = [known.received_at for known in group.known_ends.values() if known.received_at]
        for one in watched:
            if one.received_at is not None:
                moments.append(one.received_at)
                continue
            ahead = min(now_ahead, one.report.server_ahead)
            if learned is not None:
                ahead = min(ahead, learned)
            moments.append(one.report.intended_at + ahead)
        return min(moments) - (coverage.CLOCK_SLACK if learned is None else _SLACK)

    def _foreseen(self, group: PollGroup, watched: Sequence[PolledReport]) -> float:
        """How many should have ended since the list was asked the last time."""
        if not self._pace.is_known:
            return 0.0
        seen, each = sample(watched, group.looked_at)
        return each * self._pace.ends(seen, anyio.current_time() - group.looked_at)

    def _has_looked(self, group: PollGroup) -> None:
        group.looked_at = anyio.current_time()
        group.jitter = self._jitter()
        group.due = None

    def _read(
        self, group: PollGroup, watched: Sequence[PolledReport], shown: dict[str, RemoteReport]
    ) -> tuple[list[PolledReport], list[PolledReport], int]:
        """Takes what a list shows: what to look at by itself, what is open, how many ended."""
        assert group.asked is not None
        to_look_at: list[PolledReport] = []
        still_open: list[PolledReport] = []
        ended = 0
        now = group.looked_at
        for one in watched:
            remote = shown.get(one.request_id)
            if remote is None:
                continue
            group.shown += 1
            one.was_shown = True
            one.was_seen()
            self._groups.lists_of(one, group.session).shown(group.asked)
            if one.received_at is None and remote.received_at is not None:
                self._learn_ahead(group.session, one, remote.received_at)
            if outcomes.is_final(remote):
                ended += 1
                if _is_complete(one, remote):
                    self._take(one, remote, now, ended=True)
                elif not one.in_vain:  # else looks at it tell nothing, and have their own pace
                    group.claims.add(one.request_id)
                    to_look_at.append(one)
            else:
                self._take(one, remote, now, ended=False)
                still_open.append(one)
        doubtful = (one for one in still_open if now >= one.recheck_at)
        to_look_at += islice(doubtful, _DOUBTFUL)
        return to_look_at, still_open, ended

    def _learn_ahead(self, session: KeySession, one: PolledReport, received_at: datetime) -> None:
        one.received_at = received_at
        ahead = received_at - one.report.intended_at
        learned = self._ahead.get(session.api_key)
        self._ahead[session.api_key] = ahead if learned is None else min(learned, ahead)

    def _handle_missing(
        self, group: PollGroup, lacking: Sequence[PolledReport]
    ) -> list[PolledReport]:
        """What follows from reports that the list lacks; those to be looked at by themselves."""
        assert group.asked is not None
        now = group.looked_at
        by_account: dict[str, list[PolledReport]] = {}
        for one in lacking:
            by_account.setdefault(one.report.series.account_id, []).append(one)
        alone: list[PolledReport] = []
        for ones in by_account.values():
            lists = self._groups.lists_of(ones[0], group.session)
            in_time = [one for one in ones if now - one.born >= LATE]
            if lists.proven:
                # It should be there, and is not: whatever the reason, it must not be lost.
                group.lacked += len(in_time)
                for one in in_time:
                    one.listed = False
                alone += in_time
            else:
                lists.showed_nothing(group.asked, len(in_time), now)
                alone += [one for one in in_time if now - one.looked_at >= LATE] or ones[:1]
                if lists.asked is None:
                    self._groups.tell(ones[0], "they show none of its reports")
        if group.lacked >= DISTRUST_AFTER and group.lacked > group.shown / 10:
            self._groups.leave_list(group, "they lack reports that the API knows")
        if lacking:
            self._groups.sort(list(group.watched.values()), group.session)
        return alone

    async def _list_failed(self, group: PollGroup, error: ApiError) -> None:
        """A list could not be had: if a report can be looked at, it is the list's own fault."""
        if not policy.is_retryable(error):
            self._groups.leave_list(group, f"they cannot be had ({error})")
            return
        oldest = min(group.watched.values(), key=lambda one: one.born, default=None)
        if oldest is not None and await self.poll_report(group.session, oldest):
            self._failed_again(group, f"they cannot be had ({error})")

    def _failed_again(self, group: PollGroup, why: str) -> None:
        group.failed += 1
        if group.failed >= DISTRUST_AFTER:
            self._groups.leave_list(group, why)

    # --- a report by itself -----------------------------------------------------------------------

    async def poll_report(
        self,
        session: KeySession,
        one: PolledReport,
        priority: Priority = Priority.POLL,
        order: float = 0.0,
    ) -> bool:
        """Asks about one report; whether the API answered."""
        if one.ended.is_set():
            return False
        answered = True
        try:
            remote = await session.turn(
                partial(session.api.status, one.request_id), priority, order
            )
        except NotFound:
            one.unanswered = 0
            outcome = await self._unseen.judge(one.report, one.not_found, one.received_at, session)
            if outcome is not None:
                self._end(one, outcome)
        except Unauthorized as error:
            self._end(one, error)
        except ApiError as error:
            answered = False
            if session.silent:
                self._leave_open([one])
            else:
                self._not_answered(one, error)
        else:
            self._unseen.showed(session)
            one.was_seen()
            one.unanswered = 0
            if one.group is not None:
                now = anyio.current_time()
                one.group.saw_by_itself(one, now, ended=outcomes.is_final(remote))
                ended = self._has_ended(one, remote, session)
                if one.group is not None:
                    self._take(one, remote, now, ended=ended)
        one.looks += 1
        one.looked_at = now = anyio.current_time()
        one.due = -math.inf
        one.recheck_at = max(one.recheck_at, now + max(DOUBT, now - one.born))
        return answered

    def _leave_open(self, ones: Iterable[PolledReport]) -> None:
        """Nothing more is asked with their key in this run, as has been said aloud."""
        for one in ones:
            self._end(one, LeftOpen(""))

    def _not_answered(self, one: PolledReport, error: ApiError) -> None:
        one.unanswered += 1
        if one.unanswered == _UNANSWERED:
            self._events.message(
                "warning", f"report {one.request_id}: cannot be looked at now: {error}"
            )

    def _look_alone(self, one: PolledReport, session: KeySession) -> None:
        """Looks at it tell nothing: they come ever more rarely, whatever lists are asked for."""
        if one.group is not None and one.listed:
            one.listed = False
            self._groups.sort([one], session)

    def _has_ended(self, one: PolledReport, remote: RemoteReport, session: KeySession) -> bool:
        """Whether a report's own answer is its end, and says all that the end needs.

        Link and count may be filled in a moment after the status: what lacks is asked for again.
        """
        if not outcomes.is_final(remote):
            one.not_whole = Row()
            return False
        if outcomes.is_whole(remote):
            if remote.status in (Status.FAILED, Status.ABORTED) or _says_all(remote):
                return True
            one.not_whole.count(session.api.server_now())
            self._look_alone(one, session)
            return one.not_whole.looks > 1
        row = one.not_whole
        row.count(session.api.server_now())
        if outcomes.says_empty(remote):
            lasted = anyio.current_time() - row.since_loop
            if row.looks >= lifespans.EMPTY_LOOKS and lasted >= _EMPTY_SECONDS:
                return True
        elif row.is_long:
            self._end(one, LeftOpen(left_without_link(one.report, row)))
        self._look_alone(one, session)
        return False

    def _take(self, one: PolledReport, remote: RemoteReport, now: float, *, ended: bool) -> None:
        """Takes what the API says of a report."""
        if remote.status is None and remote.status_word not in self._unknown_words:
            self._unknown_words.add(remote.status_word)
            self._events.message(
                "warning",
                f"the API calls report {one.request_id} {remote.status_word!r}, a status that "
                "is not known here; it counts as running",
            )
        if one.is_known:  # else it may have ended hours before anybody looked
            self._pace.saw(one.open, now - one.born, ended=ended)
        if not ended:
            one.is_known = True
            one.seen_at = now
            return
        if one.is_known and remote.status is Status.SUCCESS:
            taken = ReportDuration(remote.items_count or 0, now - one.born)
            self._pace.took(one.report.series.product, taken)
        if one.report.callback_url is not None:
            self._faith.ended(told=one.told)
        if remote.unreadable:
            words = "; ".join(remote.unreadable.values())
            self._events.message(
                "warning",
                f"report {one.request_id}: the API's answer cannot be read in full: {words}; such "
                "fields count as absent",
            )
        self._end(one, remote)

    def _end(self, one: PolledReport, outcome: Outcome) -> None:
        """Wakes whoever waits for the report; it is not looked at any more."""
        if one.ended.is_set():
            return
        one.outcome = outcome
        one.ended.set()
        if one.group is not None:
            one.group.drop(one)


def sample(listed: Sequence[PolledReport], moment: float) -> tuple[list[OpenReport], float]:
    """Enough of these, as of a moment, to foresee the next ends; and for how many each stands."""
    some = listed[:: 1 + len(listed) // _SAMPLE]
    return [one.open_at(moment) for one in some], len(listed) / len(some)


def _is_suddenly_empty(
    group: PollGroup, watched: Sequence[PolledReport], shown: dict[str, RemoteReport]
) -> bool:
    """Whether a list that has shown reports shows none, not even of those that are old enough."""
    return (
        group.shown > 0
        and any(group.looked_at - one.born >= LATE for one in watched)
        and not any(one.request_id in shown for one in watched)
    )


def _says_all(remote: RemoteReport) -> bool:
    """Whether nothing is missing by which the file can be held against what was asked for."""
    has_all = remote.items_count is not None and remote.download_url is not None
    return has_all and not remote.unreadable


def _is_complete(one: PolledReport, remote: RemoteReport) -> bool:
    """Whether a list says all that the ending needs, and nothing that would cost money."""
    return (
        remote.status is Status.SUCCESS
        and _says_all(remote)
        and echo.wrong_echo(one.report, remote) is None
    )
