"""After a create of which nobody knows whether it happened: look for the report at the API."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import anyio

from orchestrator.core import lifecycle, matching, policy
from orchestrator.core.lifecycle import State
from orchestrator.core.model import ALL_STATUSES
from orchestrator.core.ports import Priority
from orchestrator.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.core.model import RemoteReport, Report
    from orchestrator.core.ports import Clock, Ledger
    from orchestrator.core.settings import PollPolicy
    from orchestrator.engine.desk import Desk

UNKNOWN_MAYBE_PAID = "unknown, maybe paid"


class Reconciler:
    """Finds out what became of unknown creates.

    Args:
        ledger: to know which reports are whose.
        poll: the pace of the looks.
        clock: the age of an intent.
    """

    def __init__(self, ledger: Ledger, poll: PollPolicy, clock: Clock) -> None:
        self._ledger = ledger
        self._poll = poll
        self._clock = clock

    async def settle(self, report: Report, desk: Desk) -> lifecycle.Event:
        """What is to be believed of a report that is `SUBMITTING` or `HELD`.

        Returns:
            `Adopted` where the API lists it, `FoundAbsent` where working lists lack it for long
            enough, `Held` where nobody can say.
        """
        working = 0
        answered = 0
        trouble = ""
        age = self._aging(report, desk)
        for look in range(policy.RECONCILE_LOOKS_AT_MOST):
            pause = policy.reconcile_pause(self._poll, look, age())
            await anyio.sleep(max(0.0, pause.total_seconds()))
            try:
                listed = await self._list(report, desk)
            except ApiError as error:
                trouble = str(error)
                continue
            answered += 1
            trouble = ""
            owned = await self._ledger.owned(remote.request_id for remote in listed)
            likely = matching.candidates(report, listed, owned, desk.api.server_ahead)
            likely = await self._in_full(report, likely, desk)
            rivals = await self._ledger.rivals(report)
            for found in likely:
                if not matching.is_another_s(found, rivals):
                    return lifecycle.Adopted(
                        found.request_id, f"found in the API's list as {found.status_word}"
                    )
            if likely:
                trouble = f"{likely[0].request_id} there may be this one, or another of ours"
                continue
            ahead = desk.api.server_ahead
            if other := matching.but_for_its_address(report, listed, owned, ahead):
                trouble = f"{other.request_id} there is like it, but for its callback_url"
                continue
            working += matching.shows_another(report, listed, owned)
            enough_time = age() >= policy.reconcile_until(self._poll)
            if working >= policy.RECONCILE_LOOKS and enough_time:
                return lifecycle.FoundAbsent(
                    f"{working} lists that show other reports of the account do not show this one"
                )
        return lifecycle.Held(self._why_held(report, answered, trouble))

    async def _in_full(
        self, report: Report, likely: Sequence[RemoteReport], desk: Desk
    ) -> tuple[RemoteReport, ...]:
        """Those that still may be it once the API has told of each by itself.

        A list may leave fields out; the single call tells more.
        """
        still: list[RemoteReport] = []
        for remote in likely:
            told = remote
            if matching.omits(report, remote):
                with contextlib.suppress(ApiError):
                    told = await desk.ask(
                        partial(desk.api.status, remote.request_id), Priority.SUBMIT
                    )
            still += matching.candidates(report, (told,), {}, desk.api.server_ahead)
        return tuple(still)

    def _why_held(self, report: Report, answered: int, trouble: str) -> str:
        if not answered:
            found = f"the API's list cannot be had: {trouble}"
        elif trouble:
            found = f"what the API lists does not tell: {trouble}"
        else:
            found = (
                "the API lists neither this report nor any other of the account that is known "
                "here, so its list proves nothing"
            )
        return f"the create of {report.intended_at:%Y-%m-%d %H:%M:%S}Z may have happened; {found}"

    def _aging(self, report: Report, desk: Desk) -> Callable[[], timedelta]:
        """How long ago the intent was: the least that our clock and the server's make of it.

        Either may be set at any time. What passes from here on is measured, and only what lies
        before is read from the clocks; at each call, for the server's may be known better by then.
        """
        began = anyio.current_time()
        before = timedelta.max

        def age() -> timedelta:
            nonlocal before
            passed = timedelta(seconds=anyio.current_time() - began)
            ours = self._clock.now() - report.intended_at
            theirs = ours + desk.api.server_ahead - report.server_ahead
            before = max(timedelta(), min(before, ours - passed, theirs - passed))
            return before + passed

        return age

    async def _list(self, report: Report, desk: Desk) -> list[RemoteReport]:
        """Reports of the account and of the key's own account, where either may show it.

        Raises:
            ApiError: neither list can be had.
        """
        ahead = min(report.server_ahead, desk.api.server_ahead)
        since = report.intended_at + ahead - matching.LIST_REACH
        found: dict[str, RemoteReport] = {}
        error: ApiError | None = None
        had_one = False
        for account_id in dict.fromkeys((report.series.account_id, report.api_key)):
            try:
                listed = await desk.ask(
                    partial(desk.api.list, account_id, ALL_STATUSES, since), Priority.SUBMIT
                )
            except ApiError as refused:
                error = error or refused
                continue
            had_one = True
            found |= {remote.request_id: remote for remote in listed}
        if error is not None and not had_one:
            raise error
        return list(found.values())

    def is_too_old(self, report: Report) -> bool:
        """Whether a held report has been looked for as long as it can be found at all."""
        age = self._clock.now() - report.intended_at
        return report.state is State.HELD and age >= policy.HOLD_FOR
