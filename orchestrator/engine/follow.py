"""One report's whole life, top to bottom, in one coroutine."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final

import anyio

from orchestrator.core import clocks, echo, lifecycle, policy
from orchestrator.core.events import ReportChanged
from orchestrator.core.lifecycle import State
from orchestrator.core.local_dates import chunk_text
from orchestrator.core.policy import AfterCreate
from orchestrator.core.ports import Priority
from orchestrator.core.proofs import Proof
from orchestrator.core.settings import OnTimeout, OnUnknown
from orchestrator.core.vonage import Status
from orchestrator.engine import outcomes
from orchestrator.engine.cancel import cancelled
from orchestrator.engine.collecting import Collecting
from orchestrator.engine.polling.missing_reports import Gone, LeftOpen
from orchestrator.engine.reconcile import UNKNOWN_MAYBE_PAID
from orchestrator.errors import (
    ApiError,
    InputError,
    InvalidTransition,
    LedgerError,
    OutputError,
    RequestIdConflict,
    Throttled,
    TransportError,
    Unauthorized,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.core.events import Level, RunEvents
    from orchestrator.core.intervals import Window
    from orchestrator.core.lifecycle import Event
    from orchestrator.core.model import RemoteReport, Report, Series
    from orchestrator.core.ports import Callbacks, Collector, Ledger
    from orchestrator.core.settings import Config
    from orchestrator.engine.drain import Drain
    from orchestrator.engine.key_session import KeySession
    from orchestrator.engine.open_report_limit import OpenReportSlot
    from orchestrator.engine.polling.watcher import Watcher
    from orchestrator.engine.reconcile import Reconciler

_ALMOST_NOTHING: Final = timedelta(milliseconds=1)
_AFTER_TIMEOUT: Final = timedelta(seconds=5)
"""What a create may take beyond `api.timeout`, for the ledger to learn its end."""


@dataclass(frozen=True, slots=True)
class ChunkOrder:
    """A chunk that is to become a report.

    Attributes:
        callback_url: the job's own; None: ours, where we have a receiver.
        replaces: what it is a newer edition of.
        rows: the records that it is expected to hold; None: nobody can say.
        created: called when the API has given it an id.
        refused: called when the API has refused its dates, with the report that was not made.
        settle: how long after its end records may still arrive: it is not asked for earlier.
    """

    series: Series
    window: Window
    job: str
    callback_url: str | None
    replaces: Report | None = None
    rows: int | None = None
    created: Callable[[], None] = lambda: None
    refused: Callable[[Report], None] = lambda _report: None
    settle: timedelta = timedelta()


def _ahead(session: KeySession) -> timedelta:
    """The API's clock less ours, for the ledger, where zero means that nobody knew it."""
    is_known = session.api.server_now() is not None
    return session.api.server_ahead or (_ALMOST_NOTHING if is_known else timedelta())


class FollowResult(Enum):
    """How a report's coroutine ends."""

    SETTLED = "settled"
    """Nothing is left to do for it by a machine."""
    AGAIN = "again"
    """Its window is debt again, and may be bought at once."""
    FAILED = "failed"
    """Its window is debt again, and may be bought after a pause: a failed attempt."""
    CUT = "cut"
    """Its file was truncated: its window is debt again in smaller pieces, or disputed."""
    LATER = "later"
    """The next run goes on with it."""


_BUGS: Final = 3
"""So many unexpected errors are kept to be shown in full."""

_LEFT: Final = {
    # Of a create that nobody knew the end of: what surely was not made never gets so far.
    State.ABSENT: FollowResult.FAILED,
    State.DISCARDED: FollowResult.FAILED,
    State.FAILED: FollowResult.FAILED,
    State.ABORTED: FollowResult.FAILED,
    State.EXPIRED: FollowResult.FAILED,
    State.LOST: FollowResult.FAILED,
}


async def _learn_time(session: KeySession) -> None:
    """Returns once the API's time is known, or cannot be in this run."""
    tries = 0
    while not (session.unreachable or await session.time_is_known()):
        tries += 1
        pause = policy.backoff(session.retry, tries, session.jitter())
        await anyio.sleep(pause.total_seconds())


def ends_the_run(error: BaseException) -> bool:
    """Whether an error is not one report's: ledger or disk cannot be written, or bad input."""
    if isinstance(error, BaseExceptionGroup):
        return any(ends_the_run(one) for one in error.exceptions)
    if isinstance(error, InvalidTransition):
        return False  # a bug of ours: the ledger is as it was
    return not isinstance(error, Exception) or isinstance(
        error, LedgerError | OutputError | InputError
    )


class Follower:
    """Follows reports; shared by all of them, and holding no state of any one.

    Args:
        ledger: where every step is written.
        collector: makes files.
        watcher: waits for reports to become final.
        reconciler: finds out about unknown creates.
        events: is told of every step.
        drain: shields what must not be cut.
        config: policies and limits.
        callbacks: our own receiver; None: reports are only looked at.

    Attributes:
        bugs: the first unexpected errors, each of which ended the work on a report.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        collector: Collector,
        watcher: Watcher,
        reconciler: Reconciler,
        events: RunEvents,
        drain: Drain,
        config: Config,
        callbacks: Callbacks | None = None,
    ) -> None:
        self.bugs: list[Exception] = []
        self._ledger = ledger
        self._callbacks = callbacks
        self._cut: set[int] = set()  # reports that were truncated, until their coroutine ends
        self._repeated: dict[int, str] = {}  # whose create was answered with an id of ours
        self._watcher = watcher
        self._reconciler = reconciler
        self._events = events
        self._drain = drain
        self._config = config
        self._collector = collector
        self._collecting = Collecting(
            self._take,
            ended=self._ended,
            ledger=ledger,
            collector=collector,
            events=events,
            drain=drain,
            downloads=config.limits.downloads,
        )

    async def buy(self, order: ChunkOrder, session: KeySession) -> FollowResult:
        """A chunk from its intent on."""
        with session.room.slot() as slot:
            try:
                if not await self._is_over(order, session):
                    return FollowResult.LATER
                report = await self._submit(order, session, slot)
            except Exception as error:
                if ends_the_run(error):
                    raise
                self._bug(f"{chunk_text(order)}: it is left for this run", error)
                session.refuse_series(order.series, f"an unexpected error ({type(error).__name__})")
                return FollowResult.LATER
            if isinstance(report, FollowResult):
                return report
            return await self._follow_safely(report, session, slot, order.rows)

    async def follow(
        self,
        report: Report,
        session: KeySession,
        rows: int | None = None,
        patience: timedelta | None = None,
    ) -> FollowResult:
        """A report from wherever it stands, to where no machine can take it further now.

        Args:
            report: an open one.
            session: of its key.
            rows: the records that it is expected to hold; None: nobody can say.
            patience: how long it is waited for; None: for `poll.timeout`.
        """
        with session.room.slot() as slot:
            return await self._follow_safely(report, session, slot, rows, patience, found=True)

    async def _follow_safely(
        self,
        report: Report,
        session: KeySession,
        slot: OpenReportSlot,
        rows: int | None,
        patience: timedelta | None = None,
        *,
        found: bool = False,
    ) -> FollowResult:
        """`_follow`, and what is unexpected stays with this report: the others go on."""
        try:
            return await self._follow(report, session, slot, rows, patience, found=found)
        except Exception as error:
            if ends_the_run(error):
                raise
            report = await self._ledger.reread(report)
            words = f"report {report.id} ({chunk_text(report)})"
            reason = f"an unexpected error of this program ({type(error).__name__})"
            match report.state:
                case State.SUBMITTED | State.READY | State.VERIFIED:
                    self._bug(f"{words}: it is disputed", error)
                    await self._take(report, lifecycle.Disputed(reason))
                case State.SUBMITTING:
                    self._bug(f"{words}: it is held", error)
                    await self._take(report, lifecycle.Held(reason))
                case _:
                    self._bug(f"{words}: it stays {report.state.value}", error)
            return FollowResult.LATER if report.state.is_open else FollowResult.SETTLED

    def _bug(self, what_follows: str, error: Exception) -> None:
        if len(self.bugs) < _BUGS:
            self.bugs.append(error)
        place = traceback.extract_tb(error.__traceback__)[-1]
        self._events.message(
            "error",
            f"{what_follows}, the others go on. This is a bug of ours ({error!r} in "
            f"{place.filename}:{place.lineno}): please report it",
        )

    async def _follow(
        self,
        report: Report,
        session: KeySession,
        slot: OpenReportSlot,
        rows: int | None,
        patience: timedelta | None,
        *,
        found: bool,
    ) -> FollowResult:
        while report.state.is_open:
            before = report.state
            match report.state:
                case State.SUBMITTING | State.HELD:
                    report = await self._reconcile(report, session)
                    if report.state is State.HELD:
                        return FollowResult.LATER
                case State.SUBMITTED:
                    slot.take()
                    report = await self._watch(report, session, rows, patience, found=found)
                    slot.leave(ended=report.state is not State.SUBMITTED)
                case State.READY:
                    report = await self._collecting.collect(report, session)
                case State.VERIFIED:
                    report = await self._collecting.publish(report)
                case _:
                    raise AssertionError(f"{report.state} is not open")
            if report.state is before:
                return FollowResult.LATER
        if report.id in self._cut:
            self._cut.remove(report.id)
            return FollowResult.CUT
        if report.state in _LEFT:
            return _LEFT[report.state]  # a failure counts, whatever else has become of the series
        return FollowResult.AGAIN if session.has_come_back(report.series) else FollowResult.SETTLED

    async def _take(self, report: Report, event: Event) -> Report:
        """The only way in which a report changes."""
        changed = await self._ledger.apply(report, event)
        self._events.notify(ReportChanged(changed, event))
        return changed

    async def _give_up(self, report: Report, event: Event, reason: str) -> Report:
        if report.replaces is not None:
            return await self._take(report, event)  # the window is had: by what stays current
        changed = await self._ledger.end_and_give_up(report, event, reason)
        self._events.notify(ReportChanged(changed, event))
        return changed

    # --- creating -----------------------------------------------------------------------------

    async def _submit(
        self, order: ChunkOrder, session: KeySession, slot: OpenReportSlot
    ) -> Report | FollowResult:
        """Creates the report; else how it is left: nothing was created."""
        await self._ledger.sound()
        out_of_reach = 0
        while session.refusal(order.series) is None and not session.unreachable:
            try:
                created = await self._create(order, session, slot)
            except Throttled:
                if session.room.is_suspect and await session.is_answered():
                    session.room.probe_passed()
                continue
            except TransportError:
                break  # the API is down, and the run's patience with it at an end
            if created is None:
                break
            report, verdict = created
            match verdict:
                case None | AfterCreate.UNKNOWN:
                    return report
                case AfterCreate.AGAIN:
                    await session.room.rest()
                case AfterCreate.RETRY:
                    slot.leave()
                    out_of_reach += 1
                    pause = policy.backoff(session.retry, out_of_reach, session.jitter())
                    await anyio.sleep(pause.total_seconds())
                case AfterCreate.CUT:
                    order.refused(report)
                    return FollowResult.AGAIN
                case _:
                    self._leave(verdict, order, report.reason, session)
        return FollowResult.LATER

    def _leave(
        self, verdict: AfterCreate, order: ChunkOrder, reason: str, session: KeySession
    ) -> None:
        """What the API refused is left alone for this run; several creates may hear it at once."""
        is_known = session.lasting_refusal(order.series) is not None
        match verdict:
            case AfterCreate.LEAVE_KEY:
                session.refuse_key(reason)
                what = f"key {session.api_key}"
            case AfterCreate.LEAVE_ACCOUNT:
                session.refuse_account(order.series.account_id, reason)
                what = f"account {order.series.account_id}"
            case _:
                session.refuse_series(order.series, reason)
                what = str(order.series)
        self._refused(what, reason, "debug" if is_known else "error")

    def _refused(self, what: str, reason: str, level: Level = "error") -> None:
        self._events.message(
            level, f"{what}: refused by the API, nothing more of it in this run: {reason}"
        )

    async def _create(
        self, order: ChunkOrder, session: KeySession, slot: OpenReportSlot
    ) -> tuple[Report, AfterCreate | None] | None:
        """The key's turn, the intent, one POST, the id. From the intent on nothing cuts it.

        Returns:
            The report, and what follows where it has no id; None if, by the time its turn came,
            nothing may be asked for any more.

        Raises:
            Throttled: surely not created; noted, and to be sent again.
            TransportError: nothing was sent, and nothing will be in this run.
        """
        async with session.admitted(Priority.SUBMIT, slot=slot):
            # A turn may come in the very moment in which the drain begins.
            if self._comes_too_late(order, session):
                return None
            callback_url = order.callback_url
            if callback_url is None and self._callbacks is not None:
                callback_url = self._callbacks.new_address()
            with self._drain.shield(self._config.api.timeout + _AFTER_TIMEOUT):
                report = await self._ledger.record_intent(
                    order.series,
                    order.window,
                    job=order.job,
                    api_key=session.api_key,
                    server_ahead=_ahead(session),
                    callback_url=callback_url,
                    replaces=order.replaces,
                )
                self._events.notify(ReportChanged(report, None))
                try:
                    remote = await session.api.create(order.series, order.window, callback_url)
                except Throttled as error:
                    report = await self._take(report, lifecycle.NotCreated(str(error)))
                    slot.leave()
                    if session.room.is_full(error):
                        return report, AfterCreate.AGAIN
                    raise
                except ApiError as error:
                    session.breaker.record(error)
                    return await self._not_created(report, error)
                session.breaker.record(None)
                session.room.created()
                try:
                    report = await self._take(report, lifecycle.Created(remote.request_id))
                except RequestIdConflict as error:
                    self._repeated[report.id] = str(error)
                    return await self._unknown(report, str(error))
                self._doubt(report, remote, session)
                order.created()
                return report, None
        # The shield's time passed, or a second signal came: nobody knows.
        return await self._unknown(report, "no answer within the time a create may take")

    def _comes_too_late(self, order: ChunkOrder, session: KeySession) -> bool:
        """Whether by now nothing may be asked for any more."""
        return bool(
            session.refusal(order.series) is not None
            or session.unreachable
            or self._drain.begun
            or self._collector.lacks_room
        )

    def _doubt(self, report: Report, remote: RemoteReport, session: KeySession) -> None:
        """Stops a series whose create is answered with something else, until its file tells."""
        wrong = [
            difference
            for difference in echo.differences(report, remote)
            if not session.is_known_slip(report.series, difference)
        ]
        if not wrong:
            return
        reason = f"the answer to the create of report {report.id} is not what was asked for"
        session.doubt_series(report.series, f"{reason}: {wrong[0]}; its file will tell")
        self._events.message(
            "warning",
            f"{report.series}: {reason}: {wrong[0]}; nothing more of it is asked for until the "
            "file of that report has come",
        )

    async def _is_over(self, order: ChunkOrder, session: KeySession) -> bool:
        """Whether no records of its window may still be arriving, by the server's clock.

        The debt was reckoned by both clocks as they stood when the run began. The server's may
        have become known since; and where ours was set meanwhile, it is asked anew.
        """
        await _learn_time(session)
        latest = order.window.end + order.settle - clocks.DATE_GRAIN
        if await session.has_reached(latest):
            return True
        self._events.message(
            "info",
            f"{chunk_text(order)}: left for later: by the API's clock it is not over, "
            "or records may still be arriving",
        )
        return False

    async def _unknown(self, report: Report, reason: str) -> tuple[Report, AfterCreate]:
        self._events.message(
            "warning",
            f"report {report.id} ({chunk_text(report)}): whether the API has it is "
            f"not known ({reason}); looking for it there",
        )
        return await self._take(report, lifecycle.CreateUnknown(reason)), AfterCreate.UNKNOWN

    async def _not_created(self, report: Report, error: ApiError) -> tuple[Report, AfterCreate]:
        verdict = policy.after_create(error)
        if verdict is AfterCreate.UNKNOWN:
            return await self._unknown(report, str(error))
        return await self._take(report, lifecycle.NotCreated(str(error))), verdict

    async def _reconcile(self, report: Report, session: KeySession) -> Report:
        is_too_old = self._reconciler.is_too_old(report, session)
        judgement = await self._reconciler.settle(report, session)
        event = judgement.event
        repeated = self._repeated.pop(report.id, "")
        blind = session.may_not_see(report)
        if isinstance(event, lifecycle.FoundAbsent):
            if blind:
                event = lifecycle.Held(blind)
            elif repeated:
                # Asked for at once, it would be answered so again.
                event = lifecycle.Held(
                    f"{repeated}; its lists show no other report that may be this one, so that "
                    "nothing was made; the next run asks for it again"
                )
        if isinstance(event, lifecycle.Held) and is_too_old:
            reason = (
                f"{UNKNOWN_MAYBE_PAID}: looked for in vain for "
                f"{policy.HOLD_FOR.total_seconds() / 3600:.0f} hours; {event.reason}"
            )
            ended = lifecycle.FoundAbsent(reason, Proof.PERSON)  # none but a person buys it again
            return await self._give_up(report, ended, reason)
        is_new = report.state is not State.HELD or getattr(event, "reason", "") != report.reason
        if not isinstance(event, lifecycle.Held) or is_new:
            try:
                report = await self._take(report, event)
            except RequestIdConflict as error:
                report = await self._take(report, lifecycle.Held(str(error)))
        # A key that may not see what another one bought has looked for nothing.
        was_sought = judgement.in_vain and not (repeated or blind)
        buys_anew = self._config.on_unknown is OnUnknown.RESUBMIT
        if report.state is State.HELD and buys_anew and was_sought:
            reason = f"bought anew, as on_unknown says; it may have been paid: {report.reason}"
            report = await self._take(report, lifecycle.Resubmitted(reason, Proof.CONFIGURED))
        return report

    # --- waiting ------------------------------------------------------------------------------

    async def _watch(
        self,
        report: Report,
        session: KeySession,
        rows: int | None,
        patience: timedelta | None,
        *,
        found: bool,
    ) -> Report:
        outcome: RemoteReport | Gone | LeftOpen | None = None
        patience = self._config.poll.timeout if patience is None else patience
        try:
            with anyio.move_on_after(patience.total_seconds()):
                outcome = await self._watcher.final(report, session, rows, found=found)
        except Unauthorized as error:
            session.refuse_account(report.series.account_id, str(error))
            self._refused(f"account {report.series.account_id}", str(error))
            return report
        match outcome:
            case Gone(reason, proof):
                return await self._take(report, lifecycle.Lost(reason, proof))
            case LeftOpen(words):
                if words:
                    self._events.message("warning", words)
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
            event = outcomes.event_for_truncated(event, rows, self._config.api.file_records)
            self._cut.add(report.id)
        return await self._take(report, event)

    async def _late(self, report: Report, session: KeySession) -> Report:
        late = f"not finished after {self._config.poll.timeout}"
        if self._config.poll.on_timeout is OnTimeout.REPLACE:
            return await self._replace(report, session, late)
        self._events.message(
            "warning",
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
            self._events.message(
                "warning",
                f"report {report.request_id} is {late}, and cannot be cancelled now: {error}; the "
                "next run looks at it again",
            )
            return report
        if remote is not None and remote.status is Status.ABORTED:
            reason = f"{late}; cancelled, to be bought anew"
            return await self._take(report, lifecycle.Aborted(reason))
        if remote is not None and outcomes.is_final(remote) and outcomes.is_whole(remote):
            return await self._ended(report, remote, session)
        said = "nothing" if remote is None else remote.status_word
        self._events.message(
            "warning",
            f"report {report.request_id} is {late}; the API took the cancel, and says {said} of "
            "it; the next run looks at it again",
        )
        return report
