"""Cancelling what is open at the API, and forgetting what earlier runs still owe."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from orchestrator.core import lifecycle
from orchestrator.core.calendar import first_instant, local_date
from orchestrator.core.lifecycle import State
from orchestrator.core.model import AbsoluteWindow, Resolution
from orchestrator.core.ports import Priority
from orchestrator.errors import ApiError, NotFound, Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from orchestrator.core.model import Job, Report
    from orchestrator.core.ports import Ledger
    from orchestrator.engine.desk import Desk


_ALREADY_FINAL: Final = 409
"""The API's answer to a cancel that comes too late (vendor's reference)."""


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What became of one open report.

    Attributes:
        report: as it stands now.
        done: it is cancelled at the API.
        words: what happened, for people.
    """

    report: Report
    done: bool
    words: str


async def cancel(
    jobs: Sequence[Job], ledger: Ledger, desks: Mapping[str, Desk]
) -> tuple[Cancellation, ...]:
    """Cancels the open reports of the jobs' series at the API, whoever bought them.

    What is finished there, and what may not exist, stays: the next run goes on with it.

    Args:
        jobs: whose series.
        ledger: open, under the run's lock.
        desks: by API key, and by name of credentials.
    """
    by_series = {entry.series.key: entry for job in reversed(jobs) for entry in job.series}
    results = []
    async for report in ledger.open_reports([entry.series for entry in by_series.values()]):
        desk = desks.get(report.api_key) or desks[by_series[report.series.key].credentials]
        results.append(await _cancel_one(report, ledger, desk))
    return tuple(results)


async def _cancel_one(report: Report, ledger: Ledger, desk: Desk) -> Cancellation:
    if report.state in (State.SUBMITTING, State.HELD):
        return Cancellation(
            report,
            done=False,
            words="nobody knows yet whether the API has it; `run` finds out, or `resolve` says so",
        )
    if report.state is not State.SUBMITTED or report.request_id is None:
        return Cancellation(
            report, done=False, words="it is finished and paid; `run` collects its file"
        )
    try:
        await desk.ask(partial(desk.api.cancel, report.request_id), Priority.CANCEL)
    except NotFound as error:
        reason = f"the API no longer knows it: {error}"
        ended = await ledger.end_and_give_up(report, lifecycle.Lost(reason), reason)
        return Cancellation(ended, done=False, words=reason)
    except ApiError as error:
        words = f"not cancelled: {error}"
        if isinstance(error, Rejected) and error.status == _ALREADY_FINAL:
            words = "finished at the API already, and paid; `run` collects its file"
        return Cancellation(report, done=False, words=words)
    ended = await ledger.apply(report, lifecycle.Cancelled())
    return Cancellation(ended, done=True, words="cancelled at the API")


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
            standing = await ledger.standing(job.name, entry.series)
            if standing.resolution != Resolution():
                moved[entry.series] = Resolution((), today)
        await ledger.remember(job.name, moved)
        forgotten += len(moved)
    return forgotten
