"""One eye on all open reports: a list call answers for every report of an account.

Single calls serve only a lone report, one that the list lacks, and accounts where the list is
refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

from orchestrator.core import matching, policy
from orchestrator.core.model import ALL_STATUSES
from orchestrator.core.ports import Priority
from orchestrator.errors import ApiError, NotFound, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from anyio.abc import TaskGroup

    from orchestrator.core.model import RemoteReport, Report
    from orchestrator.core.ports import Clock, Observer
    from orchestrator.core.settings import PollPolicy
    from orchestrator.engine.desk import Desk

_DISTRUST_AFTER: Final = 3
"""So many lists in a row that fail, or lack a report the API knows, and no more are asked for."""


@dataclass(slots=True, eq=False)
class _Watched:
    """A report that somebody waits for."""

    report: Report
    request_id: str
    since: datetime
    due: float
    looks: int = 0
    not_found: int = 0
    outcome: RemoteReport | ApiError | None = None
    ended: anyio.Event = field(default_factory=anyio.Event)


@dataclass(slots=True, eq=False)
class _Eye:
    """What is watched of one account under one key."""

    desk: Desk
    account_id: str
    watched: dict[str, _Watched] = field(default_factory=dict)
    changed: anyio.Event = field(default_factory=anyio.Event)
    lists: bool = True
    lacking: int = 0


class Watcher:
    """Waits for reports to become final.

    Args:
        tasks: where its tasks live; each ends when nothing is left to watch.
        poll: how often to look.
        jitter: a random number in [0, 1).
        observer: told of words that nobody knows and of lists that cannot be trusted.
        clock: how old a report is.
    """

    def __init__(
        self,
        tasks: TaskGroup,
        poll: PollPolicy,
        *,
        jitter: Callable[[], float],
        observer: Observer,
        clock: Clock,
    ) -> None:
        self._tasks = tasks
        self._poll = poll
        self._jitter = jitter
        self._observer = observer
        self._clock = clock
        self._eyes: dict[tuple[str, str], _Eye] = {}
        self._unknown_words: set[str] = set()

    async def final(self, report: Report, desk: Desk) -> RemoteReport:
        """Waits until the API calls the report final, however long that takes.

        Raises:
            NotFound: the API does not know the id, time and again.
            Unauthorized: the key may not look.
        """
        assert report.request_id is not None
        watched = _Watched(
            report=report,
            request_id=report.request_id,
            since=report.submitted_at or report.intended_at,
            due=anyio.current_time() + self._pause(looks=0),
        )
        key = (desk.api_key, report.series.account_id)
        eye = self._eyes.get(key)
        if eye is None:
            eye = self._eyes[key] = _Eye(desk, report.series.account_id)
            self._tasks.start_soon(self._keep_looking, key, eye)
        eye.watched[watched.request_id] = watched
        eye.changed.set()
        try:
            await watched.ended.wait()
        finally:
            eye.watched.pop(watched.request_id, None)
            eye.changed.set()
        if isinstance(watched.outcome, ApiError):
            raise watched.outcome
        assert watched.outcome is not None
        return watched.outcome

    def _pause(self, looks: int) -> float:
        return policy.next_look(self._poll, looks, self._jitter()).total_seconds()

    async def _keep_looking(self, key: tuple[str, str], eye: _Eye) -> None:
        try:
            while eye.watched:
                pause = min(one.due for one in eye.watched.values()) - anyio.current_time()
                if pause > 0:
                    eye.changed = anyio.Event()
                    with anyio.move_on_after(pause):
                        await eye.changed.wait()
                    continue
                await self._look(eye)
        finally:
            if self._eyes.get(key) is eye:
                del self._eyes[key]

    async def _look(self, eye: _Eye) -> None:
        now = anyio.current_time()
        due = [one for one in eye.watched.values() if one.due <= now]
        if eye.lists and len(eye.watched) > 1:
            old = [one for one in due if self._is_old(one)]
            young = [one for one in due if one not in old]
            due = old + (await self._look_at_list(eye, young) if young else [])
        for one in due:
            await self._look_at_one(eye, one)

    def _is_old(self, one: _Watched) -> bool:
        """Whether the API may have forgotten the id, whatever a list still shows."""
        return self._clock.now() - one.since >= matching.LIST_REACH

    async def _look_at_list(self, eye: _Eye, due: Sequence[_Watched]) -> list[_Watched]:
        """Asks the list; returns those of `due` that it leaves open."""
        watched = list(eye.watched.values())
        ahead = min(eye.desk.api.server_ahead, *(one.report.server_ahead for one in watched))
        since = min(one.since for one in watched) + ahead - matching.CLOCK_SLACK
        try:
            listed = await eye.desk.ask(
                partial(eye.desk.api.list, eye.account_id, ALL_STATUSES, since), Priority.POLL
            )
        except ApiError as error:
            eye.lacking += 1
            if not policy.is_retryable(error) or eye.lacking >= _DISTRUST_AFTER:
                self._distrust(eye, f"they cannot be had ({error})")
            return list(due)
        by_id = {remote.request_id: remote for remote in listed}
        lacking = [one for one in due if one.request_id not in by_id]
        for one in watched:
            remote = by_id.get(one.request_id)
            if remote is not None:
                self._take(eye, one, remote)
        self._postpone(eye, [one for one in watched if one.request_id in by_id])
        eye.lacking = eye.lacking + 1 if lacking else 0
        if eye.lacking >= _DISTRUST_AFTER:
            self._distrust(eye, "they lack reports that the API knows")
        return lacking

    def _distrust(self, eye: _Eye, why: str) -> None:
        eye.lists = False
        self._observer.note(
            "info",
            f"account {eye.account_id}: not asking for lists any more: {why}; each report is "
            "looked at by itself",
        )

    def _postpone(self, eye: _Eye, watched: Sequence[_Watched]) -> None:
        """The next look, at one moment for all of them: one list call will answer."""
        still = [one for one in watched if one.request_id in eye.watched]
        if not still:
            return
        due = anyio.current_time() + self._pause(min(one.looks for one in still))
        for one in still:
            one.looks += 1
            one.due = due

    async def _look_at_one(self, eye: _Eye, one: _Watched) -> None:
        if one.request_id not in eye.watched:
            return
        try:
            remote = await eye.desk.ask(partial(eye.desk.api.status, one.request_id), Priority.POLL)
        except NotFound as error:
            # An id that we were just given may take a moment to be known everywhere.
            one.not_found += 1
            if one.not_found >= policy.LOST_AFTER:
                self._end(eye, one, error)
        except Unauthorized as error:
            self._end(eye, one, error)
        except ApiError as error:
            self._observer.note(
                "warning", f"report {one.request_id}: cannot be looked at now: {error}"
            )
        else:
            one.not_found = 0
            self._take(eye, one, remote)
        self._postpone(eye, [one])

    def _take(self, eye: _Eye, one: _Watched, remote: RemoteReport) -> None:
        if remote.status is None:
            if remote.status_word not in self._unknown_words:
                self._unknown_words.add(remote.status_word)
                self._observer.note(
                    "warning",
                    f"the API calls report {one.request_id} {remote.status_word!r}, a status that "
                    "is not known here; it counts as running",
                )
        elif remote.status.is_final:
            self._end(eye, one, remote)

    def _end(self, eye: _Eye, one: _Watched, outcome: RemoteReport | ApiError) -> None:
        """Wakes whoever waits for the report; it is not looked at any more."""
        one.outcome = outcome
        eye.watched.pop(one.request_id, None)
        one.ended.set()
