"""Searches the API for the report of a create that may have happened or not."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import anyio

from orchestrator.core import coverage, lifecycle, matching, policy, vonage
from orchestrator.core.commands import adopt_or_decide
from orchestrator.core.coverage import UnknownCreate
from orchestrator.core.lifecycle import State
from orchestrator.core.local_dates import chunk_text
from orchestrator.core.model import RemoteReport, Report
from orchestrator.core.ports import Clock, Priority
from orchestrator.core.settings import PollPolicy
from orchestrator.engine.context import RunContext
from orchestrator.engine.key_session import KeySession
from orchestrator.engine.list_probes import PRODUCT, Probes
from orchestrator.engine.report_search import ReportLists, Shown
from orchestrator.errors import ApiError

UNKNOWN_MAYBE_PAID = "unknown, maybe paid"

_STILL_KNOWN: Final = vonage.REPORT_LIFE - timedelta(hours=1)
"""Of an older create no list proves anything: the API forgets its reports."""

_ASKED_ALONE_AT_MOST: Final = 10
"""Maximum number of listed reports that are asked for by their ids in one search."""

_FASTEST: Final = 10_000.0  # Maximum number of seconds of a simulator's clock for one of ours


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be believed of a create, after the searches of one run."""

    event: lifecycle.Event
    # it was looked for as often and as long as it takes to believe that it is absent, and nothing
    # was seen that may be it
    in_vain: bool = False


class Reconciler:
    """Finds out what became of unknown creates."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._config = context.config
        self._clock = context.clock
        self._probes = Probes()
        self._lists = ReportLists(context.ledger, self._probes)

    async def settle(self, report: Report, session: KeySession) -> Judgement:
        """What is to be believed of a report that is `SUBMITTING` or `HELD`.

        Returns:
            `Adopted` where the API lists it, `FoundAbsent` where lists that must show it lack it
            for long enough, `Held` where it is unknown.
        """
        poll = self._config.poll
        age = self._age(report, session)
        searches = _Searches()
        for look in range(policy.RECONCILE_LOOKS_AT_MOST):
            pause = policy.reconcile_pause(poll, look, age.now(), age.rate(poll))
            await anyio.sleep(max(0.0, pause.total_seconds()))
            try:
                mine = await self._look(report, session, age, searches)
            except ApiError as error:
                searches.trouble = str(error)
                continue
            if mine is not None:
                reason = f"found in the API's list as {mine.status_word or 'without a status'}"
                return Judgement(lifecycle.Adopted(mine.request_id, reason))
            is_time = age.now() >= policy.reconcile_until(poll)
            if searches.covering >= policy.RECONCILE_LOOKS and is_time and not age.is_forgotten():
                return Judgement(
                    lifecycle.FoundAbsent(
                        f"{searches.covering} lists that reach across the moment of the create, or "
                        "are whole, do not show this one"
                    ),
                    in_vain=True,
                )
        is_time = age.now() >= policy.reconcile_until(poll)
        return Judgement(
            lifecycle.Held(self._why_held(report, session, searches)),
            in_vain=is_time and not searches.doubt,
        )

    def is_too_old(self, report: Report, session: KeySession) -> bool:
        """Whether a held report has been looked for as long as it can be found at all."""
        return report.state is State.HELD and self._age(report, session).is_over(policy.HOLD_FOR)

    def _age(self, report: Report, session: KeySession) -> _Age:
        is_simulated = self._config.api.is_on_this_machine
        return _Age(report, session, self._clock, is_simulated)

    # --- one search ---------------------------------------------------------------------------

    async def _look(
        self, report: Report, session: KeySession, age: _Age, searches: _Searches
    ) -> RemoteReport | None:
        """Searches the lists once; the report if it is in them, else what they show is noted.

        Raises:
            ApiError: no list can be had.
        """
        ahead = session.api.server_ahead
        if self._config.api.is_on_this_machine:
            ahead = report.server_ahead or ahead  # it runs away from ours, and was not set
        moment = coverage.moment_of(report.intended_at, report.server_ahead, ahead)
        rate = age.rate(self._config.poll)
        create = UnknownCreate(report, moment, age.now(), self._clock.now(), rate)
        shown = await self._lists.look(create, session)
        searches.trouble = searches.doubt = ""
        searches.answered += 1
        likely = await self._in_full(
            report, await self._lists.likely(report, shown), session, searches
        )
        chosen = matching.choose(
            report,
            likely,
            await self._context.ledger.read(lambda reader: reader.unresolved_creates(report)),
            moment,
            has_own_address=self._has_own_address(report),
        )
        if isinstance(chosen, str):
            searches.doubt = chosen
        elif chosen is not None:
            return chosen
        elif other := matching.differs_only_in_callback_url(
            report, tuple(shown.remotes.values()), await self._lists.owners_of(shown)
        ):
            searches.doubt = f"{other.request_id} there is like it, but for its callback_url"
        else:
            searches.covering += shown.covers
            await self._help(create, session, shown)
        return None

    async def _help(self, create: UnknownCreate, session: KeySession, shown: Shown) -> None:
        """Gives the lists something to show, where they show nothing newer of ours."""
        if shown.shows_later or create.age < coverage.CREATE_TAKES:
            return
        report = create.report
        told = self._probes.refusal(report, session)
        with contextlib.suppress(ApiError):
            await self._probes.make(create, session)
        if not told and (refused := self._probes.refusal(report, session)):
            self._context.warn(
                f"report {report.id} ({chunk_text(report)}): whether the API has it "
                f"cannot be proved, for a free {PRODUCT} report is refused: {refused}; "
                f"{adopt_or_decide(report.id)}",
            )

    async def _in_full(
        self,
        report: Report,
        likely: Sequence[RemoteReport],
        session: KeySession,
        searches: _Searches,
    ) -> tuple[RemoteReport, ...]:
        """Those that still may be it once the API has told of each by itself.

        A list may leave fields out; the single call tells more.
        """
        still: list[RemoteReport] = []
        asked = 0
        for remote in likely:
            told = searches.told.get(remote.request_id, remote)
            if (
                matching.lacks_sent_fields(report, told)
                and told is remote
                and asked < _ASKED_ALONE_AT_MOST
            ):
                asked += 1
                with contextlib.suppress(ApiError):
                    told = await session.ask(
                        partial(session.api.status, remote.request_id), Priority.SUBMIT
                    )
                    searches.told[remote.request_id] = told
            still += matching.candidates(report, (told,), {})
        return tuple(still)

    def _has_own_address(self, report: Report) -> bool:
        """Whether its callback URL was made for it alone, by our own receiver."""
        ours = self._config.callback
        return (
            ours is not None
            and report.callback_url is not None
            and report.callback_url.startswith(f"{ours.public_url}/")
        )

    # --- reasons ------------------------------------------------------------------------------

    def _why_held(self, report: Report, session: KeySession, searches: _Searches) -> str:
        if not searches.answered:
            why = f"the API's list cannot be had: {searches.trouble}"
        elif searches.doubt or searches.trouble:
            why = f"what the API lists does not tell: {searches.doubt or searches.trouble}"
        elif refused := self._probes.refusal(report, session):
            why = (
                f"the API lists no later report of ours, and refuses a free {PRODUCT} report "
                f"({refused}), so its list proves nothing"
            )
        else:
            why = (
                "the API's lists do not show it, and do not show that they reach across that "
                "moment, so they prove nothing"
            )
        return f"the create of {report.intended_at:%Y-%m-%d %H:%M:%S}Z may have happened; {why}"


@dataclass(slots=True)
class _Searches:
    """What the searches of one run have shown."""

    answered: int = 0  # searches in which a list was to be had
    covering: int = 0  # searches of lists that must have shown it
    doubt: str = ""  # why something there may be it; of the last search
    trouble: str = ""
    # listed reports as the API tells of them by their ids
    told: dict[str, RemoteReport] = field(default_factory=dict)


@dataclass(slots=True)
class _Age:
    """How long ago an intent was: the least that our clock and the API's make of it.

    Either may be set at any time. What passes from here on is measured, and only what lies before
    is read from the clocks; at each call, for the API's may be known better by then. Where nobody
    knew the API's time when the intent was written, nothing before this run counts. At a simulator
    its own clock counts, which may run faster than ours.
    """

    report: Report
    session: KeySession
    clock: Clock
    is_simulated: bool
    _began: float = field(default_factory=anyio.current_time)
    _before: timedelta = timedelta.max
    _first: tuple[float, datetime] | None = None

    def now(self) -> timedelta:
        """The age by now."""
        passed = self._passed()
        theirs = self._theirs()
        if self.is_simulated:
            return max(passed, self._measured() if theirs is None else theirs)
        before = timedelta() if theirs is None else min(self._ours(), theirs) - passed
        self._before = max(timedelta(), min(self._before, before))
        return self._before + passed

    def rate(self, poll: PollPolicy) -> float:
        """Seconds of the API's clock for one of ours: 1 but at a simulator, where it is measured.

        Before that it is guessed: who lets a simulator run fast has its reports looked at as often.
        """
        if not self.is_simulated:
            return 1.0
        guess = policy.reconcile_until(poll) / (10 * poll.interval_max)
        measured = self._measured()
        passed = 0.0 if self._first is None else anyio.current_time() - self._first[0]
        if passed < 1.0:
            return guess
        return min(max(1.0, measured.total_seconds() / passed), _FASTEST)

    def _measured(self) -> timedelta:
        """How far the API's clock has come since it was first looked at here."""
        now = self.session.api.server_now()
        if now is None:
            return timedelta()
        if self._first is None:
            self._first = (anyio.current_time(), now)
        return now - self._first[1]

    def is_over(self, span: timedelta) -> bool:
        """Whether it is surely older than this; where the API tells no time, by our clock."""
        theirs = self._theirs()
        if self.is_simulated and theirs is not None:
            return theirs >= span
        return self._ours() >= span and (theirs is None or theirs >= span)

    def is_forgotten(self) -> bool:
        """Whether it may be so old that the API has forgotten what was made."""
        theirs = self._theirs()
        if self.is_simulated and theirs is not None:
            return theirs >= _STILL_KNOWN
        return max(self._ours(), theirs or timedelta()) >= _STILL_KNOWN

    def _passed(self) -> timedelta:
        return timedelta(seconds=anyio.current_time() - self._began)

    def _ours(self) -> timedelta:
        return self.clock.now() - self.report.intended_at

    def _theirs(self) -> timedelta | None:
        """By the API's clock; None where it was not known then, or is not now."""
        now = self.session.api.server_now()
        if now is None or not self.report.server_ahead:
            return None
        return now - self.report.intended_at - self.report.server_ahead
