"""Creates reports: the key's turn, the intent in the ledger, one POST, the id in the ledger.

A create is never repeated unless it surely made nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import anyio

from orchestrator.core import clocks, echo, lifecycle, policy
from orchestrator.core.events import ReportChanged
from orchestrator.core.intervals import Window
from orchestrator.core.local_dates import chunk_text
from orchestrator.core.model import RemoteReport, Report, Series
from orchestrator.core.policy import CreateFailure, Scope
from orchestrator.core.ports import Priority
from orchestrator.core.slots import Slot
from orchestrator.engine.context import RunContext
from orchestrator.engine.key_session import KeySession
from orchestrator.errors import ApiError, RequestIdConflict, Throttled, TransportError

_LEDGER_TIME: Final = timedelta(seconds=5)
"""How long a create may take beyond `api.timeout`, for the ledger to learn how it ended."""

_ALMOST_ZERO: Final = timedelta(milliseconds=1)
"""What the ledger keeps for clocks that agree: zero means that the API's was not known."""


@dataclass(frozen=True, slots=True)
class ChunkOrder:
    """A chunk that is to become a report."""

    series: Series
    window: Window
    job: str
    callback_url: str | None  # the job's own; None: ours, where we have a receiver
    replaces: Report | None = None
    rows: int | None = None  # the records that it is expected to hold; None: unknown
    created: Callable[[], None] = lambda: None
    # called when the API has refused its dates, with the report that was not made
    refused: Callable[[Report], None] = lambda _report: None
    # how long after its end records may still arrive: it is not asked for earlier
    settle: timedelta = timedelta()


# --- outcomes -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Submitted:
    """The API has the report, under an id."""

    report: Report


@dataclass(frozen=True, slots=True)
class Unknown:
    """The API may have the report or not: it has to be looked for there."""

    report: Report
    conflict: str = ""  # that the API answered with the id of another report of ours; else empty


@dataclass(frozen=True, slots=True)
class DatesRefused:
    """The API has refused the dates, and made nothing: smaller chunks may be taken."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Nothing was made, and nothing is asked for the chunk any more in this run."""


CreateOutcome = Submitted | Unknown | DatesRefused | GivenUp
"""How the creation of a chunk's report ends."""


@dataclass(frozen=True, slots=True)
class _NotCreated:
    """One POST, or the wait for its turn, has surely made nothing."""

    why: CreateFailure | Scope
    report: Report | None = None  # that was not made; None: not even its intent was written


class ReportCreator:
    """Creates reports; shared by all of them, and holding no state of any one."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._timeout = context.config.api.timeout + _LEDGER_TIME

    async def create(self, order: ChunkOrder, session: KeySession, slot: Slot) -> CreateOutcome:
        """Creates the report of a chunk, as soon as its key, its slot and the API's clock let it.

        Args:
            slot: among the open reports of the key; kept where the API may have the report.
        """
        if not await self._has_settled(order, session):
            return GivenUp()
        await self._context.ledger.sound()
        out_of_reach = 0
        while session.refusal(order.series) is None and not session.unreachable:
            outcome = await self._attempt(order, session, slot)
            if not isinstance(outcome, _NotCreated):
                return outcome
            match outcome.why:
                case CreateFailure.THROTTLED:
                    await session.tell_limit_from_rate()
                case CreateFailure.NO_ROOM:
                    await session.open_report_limit.pause()
                case CreateFailure.OUT_OF_REACH:
                    out_of_reach += 1
                    pause = policy.backoff(session.retry, out_of_reach, session.jitter())
                    await anyio.sleep(pause.total_seconds())
                case CreateFailure.DATES_REFUSED:
                    assert outcome.report is not None
                    order.refused(outcome.report)
                    return DatesRefused()
                case Scope() as scope:
                    assert outcome.report is not None
                    session.refuse(order.series, scope, outcome.report.reason)
        return GivenUp()

    async def _attempt(
        self, order: ChunkOrder, session: KeySession, slot: Slot
    ) -> CreateOutcome | _NotCreated:
        """One POST at the key's turn. From the intent on nothing cuts it."""
        try:
            async with session.admitted(Priority.SUBMIT, slot=slot):
                # A turn may come in the very moment in which the drain begins.
                if self._comes_too_late(order, session):
                    return GivenUp()
                with self._context.drain.shield(self._timeout) as shield:
                    report = await self._intend(order, session)
                    outcome = await self._post(report, order, session)
                if shield.cancelled_caught or isinstance(outcome, Submitted | Unknown):
                    slot.keep()  # the API has it, or may have it
        except Throttled:
            return _NotCreated(CreateFailure.THROTTLED)
        except TransportError:
            return GivenUp()  # nothing was sent: the API is down for longer than the run waits
        if shield.cancelled_caught:  # its time passed, or a second signal came
            return await self._unknown(report, "no answer within the time a create may take")
        return outcome

    async def _intend(self, order: ChunkOrder, session: KeySession) -> Report:
        callback_url = order.callback_url
        if callback_url is None and self._context.callbacks is not None:
            callback_url = self._context.callbacks.new_address()
        report = await self._context.ledger.record_intent(
            order.series,
            order.window,
            job=order.job,
            api_key=session.api_key,
            server_ahead=_server_ahead(session),
            callback_url=callback_url,
            replaces=order.replaces,
        )
        self._context.events.notify(ReportChanged(report, None))
        return report

    async def _post(
        self, report: Report, order: ChunkOrder, session: KeySession
    ) -> CreateOutcome | _NotCreated:
        """Sends the create of an intent, and writes down how it ended.

        Raises:
            Throttled: surely not created, as is written down; the key asks too often.
        """
        try:
            remote = await session.api.create(order.series, order.window, report.callback_url)
        except Throttled as error:
            await self._context.apply(report, lifecycle.NotCreated(str(error)))
            if session.open_report_limit.is_reached(error):
                return _NotCreated(CreateFailure.NO_ROOM)
            raise
        except ApiError as error:
            session.breaker.record(error)
            failure = policy.after_create(error)
            if failure is None:
                return await self._unknown(report, str(error))
            event = lifecycle.NotCreated(str(error))
            return _NotCreated(failure, await self._context.apply(report, event))
        session.breaker.record(None)
        session.open_report_limit.created()
        try:
            report = await self._context.apply(report, lifecycle.Created(remote.request_id))
        except RequestIdConflict as error:
            return await self._unknown(report, str(error), conflict=str(error))
        self._doubt(report, remote, session)
        order.created()
        return Submitted(report)

    async def _unknown(self, report: Report, reason: str, *, conflict: str = "") -> Unknown:
        self._context.warn(
            f"report {report.id} ({chunk_text(report)}): whether the API has it is "
            f"not known ({reason}); looking for it there",
        )
        event = lifecycle.CreateUnknown(reason)
        return Unknown(await self._context.apply(report, event), conflict)

    def _comes_too_late(self, order: ChunkOrder, session: KeySession) -> bool:
        """Whether by now nothing may be asked for any more."""
        return bool(
            session.refusal(order.series) is not None
            or session.unreachable
            or self._context.drain.begun
            or self._context.collector.lacks_room
        )

    async def _has_settled(self, order: ChunkOrder, session: KeySession) -> bool:
        """Whether no records of the window may still be arriving, by the API's clock.

        The debt was computed by both clocks as they stood when the run began. The API's may have
        become known since; and where ours was set meanwhile, it is asked anew.
        """
        await _learn_time(session)
        latest = order.window.end + order.settle - clocks.DATE_GRAIN
        if await session.has_reached(latest):
            return True
        self._context.events.message(
            "info",
            f"{chunk_text(order)}: left for later: by the API's clock it is not over, "
            "or records may still be arriving",
        )
        return False

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
        self._context.warn(
            f"{report.series}: {reason}: {wrong[0]}; nothing more of it is asked for until the "
            "file of that report has come",
        )


async def _learn_time(session: KeySession) -> None:
    """Returns once the API's time is known, or cannot be in this run."""
    tries = 0
    while not (session.unreachable or await session.time_is_known()):
        tries += 1
        pause = policy.backoff(session.retry, tries, session.jitter())
        await anyio.sleep(pause.total_seconds())


def _server_ahead(session: KeySession) -> timedelta:
    """The API's clock less ours, for the ledger, where zero means that it was not known."""
    is_known = session.api.server_now() is not None
    return session.api.server_ahead or (_ALMOST_ZERO if is_known else timedelta())
