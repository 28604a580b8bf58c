"""Cancels what is open at the API, and forgets what earlier runs still owe."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

import anyio

from orchestrator.core import lifecycle, policy
from orchestrator.core.calendar import first_instant, local_date
from orchestrator.core.lifecycle import State
from orchestrator.core.model import AbsoluteWindow, Job, RemoteReport, Report, Resolution
from orchestrator.core.ports import Ledger, Priority
from orchestrator.core.vonage import CANCEL_TOO_LATE, Status
from orchestrator.engine import outcomes
from orchestrator.engine.key_session import KeySession
from orchestrator.errors import ApiError, NotFound, Rejected

_LOOKS: Final = 4  # How often the status is asked after a cancel whose answer does not tell it

_PAID: Final = "it is finished and paid; `run` collects its file"
_FINISHED: Final = "finished at the API already, and paid; `run` collects its file"


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What became of one open report."""

    report: Report
    done: bool
    words: str


async def cancel(
    jobs: Sequence[Job], ledger: Ledger, sessions: Mapping[str, KeySession]
) -> tuple[Cancellation, ...]:
    """Cancels the open reports of the jobs' series at the API, whoever bought them.

    What is finished there, and what may not exist, stays: the next run goes on with it.
    """
    by_series = {entry.series.key: entry for job in reversed(jobs) for entry in job.series}
    results = []
    async for report in ledger.open_reports([entry.series for entry in by_series.values()]):
        session = sessions.get(report.api_key) or sessions[by_series[report.series.key].credentials]
        results.append(await _cancel_one(report, ledger, session))
    return tuple(results)


async def _cancel_one(report: Report, ledger: Ledger, session: KeySession) -> Cancellation:
    if report.state in (State.SUBMITTING, State.HELD):
        return Cancellation(
            report,
            done=False,
            words="nobody knows yet whether the API has it; `run` finds out, or `resolve` says so",
        )
    if report.state is not State.SUBMITTED or report.request_id is None:
        return Cancellation(report, done=False, words=_PAID)
    try:
        remote = await cancelled(report.request_id, session)
    except ApiError as error:
        words = f"not cancelled: {error}"
        if isinstance(error, NotFound):
            words += "; a 404 proves nothing: it stays open, and `run` looks again"
        return Cancellation(report, done=False, words=words)
    if remote is not None and remote.status is Status.ABORTED:
        ended = await ledger.apply(report, lifecycle.Cancelled())
        return Cancellation(ended, done=True, words="cancelled at the API")
    if remote is not None and remote.status is Status.FAILED:
        ended = await ledger.apply(report, lifecycle.Failed("the API says FAILED"))
        return Cancellation(ended, done=False, words="it had failed at the API already")
    return Cancellation(report, done=False, words=_still_open(remote))


def _still_open(remote: RemoteReport | None) -> str:
    if remote is not None and outcomes.is_final(remote):
        return _FINISHED
    said = "nothing" if remote is None else remote.status_word
    return (
        f"the API took the cancel, and says {said} of the report; it stays open: cancel it again "
        "later, or let `run` follow it"
    )


async def cancelled(request_id: str, session: KeySession) -> RemoteReport | None:
    """Cancels a report, and asks how it stands, until the API says that it has ended.

    What DELETE answers is believed only where it names an end: 202, 204, a status that has not
    changed yet and a 409 tell nothing of that.

    Returns:
        What the API said last of the report; it may be open still. None: it has said nothing.

    Raises:
        NotFound: the API answers 404, which proves nothing.
        ApiError: it could not be cancelled, and has not ended as far as is known.
    """
    refused: ApiError | None = None
    remote: RemoteReport | None = None
    try:
        remote = await session.ask(partial(session.api.cancel, request_id), Priority.CANCEL)
    except Rejected as error:
        if error.status != CANCEL_TOO_LATE:
            raise
        refused = error  # ended, one way or the other: also by an earlier DELETE of ours
    for look in range(1, _LOOKS + 1):
        if remote is not None and outcomes.is_final(remote):
            return remote
        if look > 1:
            pause = policy.backoff(session.retry, look, session.jitter())
            await anyio.sleep(pause.total_seconds())
        with contextlib.suppress(NotFound):  # a report that has just been cancelled may be gone
            remote = await session.ask(partial(session.api.status, request_id), Priority.CANCEL)
    if refused is not None and (remote is None or not outcomes.is_final(remote)):
        raise refused
    return remote


async def forget(jobs: Sequence[Job], ledger: Ledger, now: datetime) -> int:
    """Drops what relative windows of earlier runs still owe: their marks move to today.

    Returns:
        How many series of the jobs had something to forget.
    """
    forgotten = 0
    for job in jobs:
        if all(isinstance(spec, AbsoluteWindow) for spec in job.windows):
            continue
        today = first_instant(local_date(now, job.zone), job.zone)
        moved = {}
        for entry in job.series:
            series_state = await ledger.series_state(job.name, entry.series)
            if series_state.resolution != Resolution():
                moved[entry.series] = Resolution((), today)
        await ledger.remember(job.name, moved)
        forgotten += len(moved)
    return forgotten
