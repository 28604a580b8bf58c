"""Follows one report, bought now or open already, to its end, in one coroutine.

Waits for the API to finish it, collects its file, and says what follows for its window. What is
unexpected stays with the one report; what the ledger or the disk refuse ends the run.
"""

import traceback
from collections.abc import Awaitable
from datetime import timedelta
from enum import Enum
from typing import Final, assert_never

import anyio
from anyio.abc import TaskGroup

from orchestrator.core import lifecycle, policy
from orchestrator.core.durations import DurationModel
from orchestrator.core.lifecycle import State
from orchestrator.core.local_dates import chunk_text
from orchestrator.core.model import RemoteReport, Report
from orchestrator.core.policy import Scope
from orchestrator.core.proofs import Proof
from orchestrator.core.settings import OnTimeout, OnUnknown
from orchestrator.core.slots import Slot
from orchestrator.core.vonage import Status
from orchestrator.engine import outcomes
from orchestrator.engine.cancel import cancelled
from orchestrator.engine.collecting import Collecting
from orchestrator.engine.context import RunContext
from orchestrator.engine.create import (
    ChunkOrder,
    CreateOutcome,
    DatesRefused,
    GivenUp,
    ReportCreator,
    Submitted,
    Unknown,
)
from orchestrator.engine.key_session import KeySession
from orchestrator.engine.polling.missing_reports import Gone, LeftOpen
from orchestrator.engine.polling.watcher import Watcher
from orchestrator.engine.reconcile import UNKNOWN_MAYBE_PAID, Reconciler
from orchestrator.errors import (
    ApiError,
    InputError,
    InvalidTransition,
    LedgerError,
    OutputError,
    RequestIdConflict,
    Unauthorized,
)

_AT_THE_API: Final = frozenset({State.SUBMITTING, State.HELD, State.SUBMITTED})
"""States of a report that the API is not done with, as far as is known."""

_MAX_BUGS: Final = 3  # Unexpected errors that are kept to be shown in full


class FollowResult(Enum):
    """What follows for the debt of a series when the coroutine of one of its reports ends."""

    SETTLED = "settled"
    """Nothing: no machine can do more about the report."""
    OWED_AGAIN = "owed again"
    """Its debt has to be looked at again, at once."""
    FAILED = "failed"
    """The window is debt again, and may be bought after a pause: a failed attempt."""
    TRUNCATED = "truncated"
    """The file was truncated: the window is debt again in smaller chunks, or disputed."""
    NEXT_RUN = "next run"
    """Nothing in this run: the next one goes on with it."""


def ends_the_run(error: BaseException) -> bool:
    """Whether an error is not one report's: ledger or disk cannot be written, or bad input."""
    return any(
        not isinstance(each, Exception)
        or (
            isinstance(each, LedgerError | OutputError | InputError)
            # A bug of ours: the ledger is as it was.
            and not isinstance(each, InvalidTransition)
        )
        for each in policy.errors_in(error)
    )


class Follower:
    """Follows reports; shared by all of them.

    Args:
        watching: where reports are polled, in tasks that end when none is left.
        pace: how long reports took so far; learns.

    Attributes:
        bugs: the first unexpected errors, each of which ended the work on a report.
    """

    def __init__(self, context: RunContext, watching: TaskGroup, pace: DurationModel) -> None:
        self.bugs: list[Exception] = []
        self._context = context
        self._truncated: set[int] = set()  # reports, until their coroutine ends
        self._conflicts: dict[int, str] = {}  # whose create was answered with an id of ours
        self._watcher = Watcher(context, watching, pace)
        self._reconciler = Reconciler(context)
        self._creator = ReportCreator(context)
        self._collecting = Collecting(context, self._ended)

    async def buy(self, order: ChunkOrder, session: KeySession) -> FollowResult:
        """Creates the report of a chunk, and follows it."""
        with session.open_report_limit.slot() as slot:
            match await self._create(order, session, slot):
                case GivenUp():
                    return FollowResult.NEXT_RUN
                case DatesRefused():
                    return FollowResult.OWED_AGAIN
                case Submitted(report):
                    pass
                case Unknown(report, conflict):
                    if conflict:
                        self._conflicts[report.id] = conflict
            waited = await self._guarded(
                report, self._wait_for_api(report, session, slot, order.rows)
            )
        return await self._finish(waited, session)

    async def follow(
        self,
        report: Report,
        session: KeySession,
        rows: int | None = None,
        patience: timedelta | None = None,
    ) -> FollowResult:
        """Follows a report that was found open, to where no machine can take it further now.

        Args:
            rows: the records that it is expected to hold; None: unknown.
            patience: how long it is waited for; None: for `poll.timeout`.
        """
        with session.open_report_limit.slot() as slot:
            waited = await self._guarded(
                report,
                self._wait_for_api(report, session, slot, rows, patience, was_open=True),
            )
        return await self._finish(waited, session)

    async def _create(self, order: ChunkOrder, session: KeySession, slot: Slot) -> CreateOutcome:
        try:
            return await self._creator.create(order, session, slot)
        except Exception as error:
            if ends_the_run(error):
                raise
            self._note_bug(f"{chunk_text(order)}: it is left for this run", error)
            reason = f"an unexpected error ({type(error).__name__})"
            session.leave_series(order.series, reason)
            return GivenUp()

    async def _wait_for_api(
        self,
        report: Report,
        session: KeySession,
        slot: Slot,
        rows: int | None,
        patience: timedelta | None = None,
        *,
        was_open: bool = False,
    ) -> Report:
        """Takes a report as far as the API is done with it, or this run is."""
        while report.state in _AT_THE_API:
            before = report.state
            if report.state is State.SUBMITTED:
                slot.take()
                report = await self._watch(report, session, rows, patience, was_open=was_open)
                if report.state is not State.SUBMITTED:
                    session.open_report_limit.ended()
            else:
                report = await self._reconcile(report, session)
            if report.state in (before, State.HELD):
                break
        return report

    async def _finish(self, waited: Report | FollowResult, session: KeySession) -> FollowResult:
        """Collects what is finished at the API, and says what follows."""
        if isinstance(waited, FollowResult):
            return waited
        collected = await self._guarded(waited, self._collect(waited, session))
        if isinstance(collected, FollowResult):
            return collected
        return self._result_of(collected, session)

    async def _collect(self, report: Report, session: KeySession) -> Report:
        while report.state in (State.READY, State.VERIFIED):
            before = report.state
            if report.state is State.READY:
                report = await self._collecting.collect(report, session)
            else:
                report = await self._collecting.publish(report)
            if report.state is before:
                break
        return report

    def _result_of(self, report: Report, session: KeySession) -> FollowResult:
        if report.id in self._truncated:
            self._truncated.remove(report.id)
            return FollowResult.TRUNCATED
        match report.state:
            case State.SUBMITTING | State.HELD | State.SUBMITTED | State.READY | State.VERIFIED:
                return FollowResult.NEXT_RUN
            # Of a create that nobody knew the end of: what surely was not made never gets so far.
            case State.ABSENT | State.DISCARDED:
                return FollowResult.FAILED
            case State.FAILED | State.ABORTED | State.EXPIRED | State.LOST:
                return FollowResult.FAILED
            case (
                State.COLLECTED
                | State.SUPERSEDED
                | State.ERASED
                | State.DISPUTED
                | State.WAIVED
                | State.TRUNCATED
                | State.CANCELLED
            ):
                may_go_on = session.has_come_back(report.series)
                return FollowResult.OWED_AGAIN if may_go_on else FollowResult.SETTLED
        assert_never(report.state)

    # --- what is unexpected -------------------------------------------------------------------

    async def _guarded(self, report: Report, step: Awaitable[Report]) -> Report | FollowResult:
        """A step; an unexpected error in it stays with this report, and the others go on."""
        try:
            return await step
        except Exception as error:
            if ends_the_run(error):
                raise
            now = await self._context.ledger.read(lambda reader: reader.report(report.id))
            return await self._set_aside(now, error)

    async def _set_aside(self, report: Report, error: Exception) -> FollowResult:
        name = f"report {report.id} ({chunk_text(report)})"
        reason = f"an unexpected error of this program ({type(error).__name__})"
        if report.state in (State.SUBMITTED, State.READY, State.VERIFIED):
            self._note_bug(f"{name}: it is disputed", error)
            await self._context.apply(report, lifecycle.Disputed(reason))
        elif report.state is State.SUBMITTING:
            self._note_bug(f"{name}: it is held", error)
            await self._context.apply(report, lifecycle.Held(reason))
        else:
            self._note_bug(f"{name}: it stays {report.state.value}", error)
        return FollowResult.NEXT_RUN if report.state.is_open else FollowResult.SETTLED

    def _note_bug(self, what_follows: str, error: Exception) -> None:
        if len(self.bugs) < _MAX_BUGS:
            self.bugs.append(error)
        frame = traceback.extract_tb(error.__traceback__)[-1]
        self._context.events.message(
            "error",
            f"{what_follows}, the others go on. This is a bug of ours ({error!r} in "
            f"{frame.filename}:{frame.lineno}): please report it",
        )

    # --- unknown creates ----------------------------------------------------------------------

    async def _reconcile(self, report: Report, session: KeySession) -> Report:
        is_too_old = self._reconciler.is_too_old(report, session)
        judgement = await self._reconciler.settle(report, session)
        event = judgement.event
        conflict = self._conflicts.pop(report.id, "")
        blind = session.may_not_see(report)
        if isinstance(event, lifecycle.FoundAbsent):
            if blind:
                event = lifecycle.Held(blind)
            elif conflict:
                # Asked for at once, it would be answered so again.
                event = lifecycle.Held(
                    f"{conflict}; its lists show no other report that may be this one, so that "
                    "nothing was made; the next run asks for it again"
                )
        if isinstance(event, lifecycle.Held) and is_too_old:
            reason = (
                f"{UNKNOWN_MAYBE_PAID}: looked for in vain for "
                f"{policy.HOLD_FOR.total_seconds() / 3600:.0f} hours; {event.reason}"
            )
            ended = lifecycle.FoundAbsent(reason, Proof.PERSON)  # none but a person buys it again
            return await self._context.apply_and_give_up(report, ended, reason)
        is_new = report.state is not State.HELD or getattr(event, "reason", "") != report.reason
        if not isinstance(event, lifecycle.Held) or is_new:
            try:
                report = await self._context.apply(report, event)
            except RequestIdConflict as error:
                report = await self._context.apply(report, lifecycle.Held(str(error)))
        # A key that may not see what another one bought has looked for nothing.
        was_sought = judgement.in_vain and not (conflict or blind)
        buys_anew = self._context.config.on_unknown is OnUnknown.RESUBMIT
        if report.state is State.HELD and buys_anew and was_sought:
            reason = f"bought anew, as on_unknown says; it may have been paid: {report.reason}"
            report = await self._context.apply(
                report, lifecycle.Resubmitted(reason, Proof.CONFIGURED)
            )
        return report

    # --- waiting ------------------------------------------------------------------------------

    async def _watch(
        self,
        report: Report,
        session: KeySession,
        rows: int | None,
        patience: timedelta | None,
        *,
        was_open: bool,
    ) -> Report:
        outcome: RemoteReport | Gone | LeftOpen | None = None
        patience = self._context.config.poll.timeout if patience is None else patience
        try:
            with anyio.move_on_after(patience.total_seconds()):
                outcome = await self._watcher.final(report, session, rows, found=was_open)
        except Unauthorized as error:
            session.refuse(report.series, Scope.ACCOUNT, str(error))
            return report
        match outcome:
            case Gone(reason, proof):
                return await self._context.apply(report, lifecycle.Lost(reason, proof))
            case LeftOpen(warning):
                if warning:
                    self._context.warn(warning)
                return report
            case None:
                return await self._late(report, session)
            case remote:
                return await self._ended(report, remote, session)

    async def _ended(self, report: Report, remote: RemoteReport, session: KeySession) -> Report:
        """After the API has called the report final."""
        wrong = outcomes.to_examine(report, remote)
        if wrong:
            return await self._collecting.examine(report, remote, wrong, session)
        event = outcomes.event_for(report, remote)
        if remote.status is Status.TRUNCATED and isinstance(event, lifecycle.Disputed):
            await self._collecting.keep_truncated(report, remote, event.reason, session)
        if isinstance(event, lifecycle.CutShort):
            rows = await self._collecting.keep_truncated(report, remote, event.reason, session)
            event = outcomes.event_for_truncated(event, rows, self._context.config.api.file_records)
            self._truncated.add(report.id)
        return await self._context.apply(report, event)

    async def _late(self, report: Report, session: KeySession) -> Report:
        late = f"not finished after {self._context.config.poll.timeout}"
        if self._context.config.poll.on_timeout is OnTimeout.REPLACE:
            return await self._replace(report, session, late)
        self._context.warn(
            f"report {report.request_id} ({chunk_text(report)}) is {late}; it keeps "
            "its place, the next run goes on waiting",
        )
        return report

    async def _replace(self, report: Report, session: KeySession, late: str) -> Report:
        """Cancels a report that takes too long; once it has ended its window may be bought anew."""
        assert report.request_id is not None
        try:
            remote = await cancelled(report.request_id, session)
        except ApiError as error:
            self._context.warn(
                f"report {report.request_id} is {late}, and cannot be cancelled now: {error}; the "
                "next run looks at it again",
            )
            return report
        if remote is not None and remote.status is Status.ABORTED:
            reason = f"{late}; cancelled, to be bought anew"
            return await self._context.apply(report, lifecycle.Aborted(reason))
        if remote is not None and outcomes.is_final(remote) and outcomes.is_whole(remote):
            return await self._ended(report, remote, session)
        said = "nothing" if remote is None else remote.status_word
        self._context.warn(
            f"report {report.request_id} is {late}; the API took the cancel, and says {said} of "
            "it; the next run looks at it again",
        )
        return report
