"""Buys once more what was asked for too early: what a job's `refetch` says, for late statuses.

The newer edition takes the place of the older one when it is verified (see `engine.editions`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from orchestrator.core import spending
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Job
from orchestrator.core.policy import RunOutcome
from orchestrator.core.ports import LedgerReader
from orchestrator.core.spending import Bound, Period
from orchestrator.core.windows import retention_edge
from orchestrator.engine.context import RunContext
from orchestrator.engine.editions import Renewal, RenewalsEnd, renew
from orchestrator.engine.run import RunEnd

_NOTHING: Final[Mapping[str, int]] = MappingProxyType({})

MAX_FAILED_EDITIONS: Final = 3
"""Editions of one report that may come to nothing before `refetch` leaves it to `run --again`."""

STILL_WHOLE: Final = timedelta(days=1)
"""Nearer to the end of retention an edition could come back with fewer records than there are."""


@dataclass(frozen=True, slots=True)
class EarlyReports:
    """Collected reports that were asked for before their records were final."""

    due: tuple[Renewal, ...]  # of which a newer edition is to be bought now
    # those for which the limits on what is bought leave no room in this run
    left: tuple[Renewal, ...] = ()

    @property
    def records(self) -> int:
        """The records that the old files of `due` hold: about as many are bought again."""
        return sum(renewal.current.rows or 0 for renewal in self.due)


def early_reports(
    reader: LedgerReader,
    jobs: Sequence[Job],
    now: datetime,
    bounds: Sequence[Bound] = (),
    asked: Mapping[str, int] = _NOTHING,
) -> EarlyReports:
    """What `refetch` of the jobs buys once more at a moment.

    A report is due when its window has been over for `Job.refetch`, and had not been so when it was
    asked for; so each is bought once more at most. Reports that the API has begun to forget are
    left out, for a newer edition could hold less.

    Args:
        jobs: each series counts under the first job that has it and a `refetch`.
        bounds: on what may be bought, with what a day and a month have bought already.
        asked: the records that this run has asked for already, by product.
    """
    seen: set[str] = set()
    due: list[Renewal] = []
    left: list[Renewal] = []
    before = [spent(reader, bound, now, asked) for bound in bounds]
    for job in jobs:
        if job.refetch is None:
            continue
        for entry in job.series:
            if entry.series.key in seen:
                continue
            seen.add(entry.series.key)
            oldest = retention_edge(entry.series, now) + STILL_WHOLE
            reports = reader.asked_early(entry.series, job.refetch, now, MAX_FAILED_EDITIONS)
            for report in reports:
                if report.window.start < oldest:
                    continue
                product, records = entry.series.product, report.rows or 0
                more = [bound.each(product) * records for bound in bounds]
                fits = all(
                    already + cost <= bound.most
                    for bound, already, cost in zip(bounds, before, more, strict=True)
                )
                (due if fits else left).append(Renewal(job, entry, report))
                if fits:
                    before = [already + cost for already, cost in zip(before, more, strict=True)]
    return EarlyReports(tuple(due), tuple(left))


def spent(
    reader: LedgerReader, bound: Bound, now: datetime, asked: Mapping[str, int] = _NOTHING
) -> Decimal:
    """What was bought in the period of a bound already."""
    if bound.period is Period.RUN:
        return bound.sum(asked)
    bought = reader.bought(bound.period.start(now), reader.newest())
    return bound.sum(bought.at_most(reader.histories().of))


async def refetch(context: RunContext, jobs: Sequence[Job], end: RunEnd) -> RunOutcome | None:
    """Buys once more what the jobs' `refetch` says; what remains of it, None if nothing is due.

    Args:
        end: of the run's other work: the limits of a run hold for both together.

    Raises:
        As `renew`.
    """
    if all(job.refetch is None for job in jobs) or context.drain.begun:
        return None
    bounds = spending.bounds(context.config.limits, context.config.prices)
    early = await context.ledger.read(
        lambda reader: early_reports(reader, jobs, end.now, bounds, end.asked)
    )
    if early.left:
        context.warn(
            f"refetch: {len(early.left):,} reports wait for the next run, as the limits on what is "
            "bought leave no room for them",
        )
    if not early.due:
        left = _left(early.left)
        return RunOutcome(unfinished=True, needs_person=False, refetch=left) if left else None
    context.events.message(
        "info",
        f"refetch: {len(early.due):,} reports with {early.records:,} records are bought once more, "
        "since they were asked for before their statuses were final",
    )
    renewed = await renew(context, early.due)
    for report in renewed.failed:
        context.warn(
            f"refetch: the newer edition of report {report.replaces} is {report.state.value}: "
            f"{report.reason}; the old file stays",
        )
    # What came to nothing is tried again by the next runs, as often as `MAX_FAILED_EDITIONS` says.
    return RunOutcome(
        unfinished=bool(renewed.open or renewed.not_asked or renewed.failed or early.left),
        needs_person=bool(renewed.refused)
        or any(report.state is State.DISPUTED for report in renewed.failed),
        interrupted=renewed.interrupted,
        refetch=_left(early.left, renewed),
    )


def _left(no_room: Sequence[Renewal], end: RenewalsEnd | None = None) -> str:
    """What the run's newer editions have left, in words; empty if nothing."""
    parts: dict[str, Sequence[object]] = {"without room in the limits": no_room}
    if end is not None:
        parts |= {"open": end.open, "not asked for": end.not_asked}
        parts |= {"came to nothing": end.failed, "refused by the API": end.refused}
    words = ", ".join(f"{len(which):,} {what}" for what, which in parts.items() if which)
    return f"newer editions by `refetch`: {words}; the old files stay" if words else ""
