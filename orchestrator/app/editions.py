"""`run --again`: which collected reports are bought anew, what that costs, and how it ended."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from orchestrator.app.cost import Cost
from orchestrator.app.ledger_reading import reading_ledger
from orchestrator.config.dates import moment
from orchestrator.config.parsers import InvalidValue
from orchestrator.core import debt as debts
from orchestrator.core import spending
from orchestrator.core.commands import JOB, typed
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.local_dates import chunk_text
from orchestrator.core.spending import Period
from orchestrator.core.volume import hardly_more
from orchestrator.core.windows import retention_edge
from orchestrator.engine.editions import Renewal
from orchestrator.errors import InputError
from orchestrator.reporting.phrases import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from orchestrator.config import Inputs
    from orchestrator.core.model import Job
    from orchestrator.core.ports import LedgerReader
    from orchestrator.core.settings import Config
    from orchestrator.engine.editions import RenewalsEnd

_SAFE: Final = timedelta(days=1)
"""Nearer to the end of retention an edition could come back with fewer records than there are."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be bought anew.

    Attributes:
        renewals: the collected reports, by job and series.
        too_old: reports left alone, since the API no longer has all of their records.
        under_way: reports left alone, since a newer edition of them is not settled yet.
    """

    renewals: tuple[Renewal, ...]
    too_old: int
    under_way: int


def choose(inputs: Inputs, first: str, last: str, now: datetime) -> Choice:
    """The collected reports that hold a moment of a span, whole.

    Args:
        inputs: jobs and config.
        first: the first moment, as the user wrote it; a bare date is in each job's zone.
        last: the first moment after the span.
        now: the present moment.

    Raises:
        InputError: the dates, nothing to buy anew, or more than `limits.max_records`.
    """
    spans = {job.name: _span(job, first, last) for job in inputs.jobs}
    renewals: list[Renewal] = []
    too_old = under_way = 0
    with reading_ledger(inputs.config) as store:
        for one in _current(store, inputs.jobs, spans):
            if one.current.window.start < retention_edge(one.current.series, now) + _SAFE:
                too_old += 1
            elif store.newer_edition(one.current) is not None:
                under_way += 1
            else:
                renewals.append(one)
    choice = Choice(tuple(renewals), too_old, under_way)
    if not renewals:
        left = "".join(f"; {words}" for words in _left_alone(choice))
        raise InputError(
            f"--again: nothing between {first} and {last} can be bought anew{left}; what is "
            f"missing is bought by {typed('run', JOB)}, without --again"
        )
    _keep_within(inputs.config, renewals, now)
    return choice


def _keep_within(config: Config, renewals: Sequence[Renewal], now: datetime) -> None:
    """Refuses to buy more than the config allows in a run, a day or a month.

    Raises:
        InputError: more.
    """
    records: Counter[str] = Counter()
    for one in renewals:
        records[one.current.series.product] += one.current.rows or 0
    for bound in spending.bounds(config.limits, config.prices):
        before: Counter[str] = Counter()
        if bound.period is not Period.RUN:
            with reading_ledger(config) as store:
                bought = store.bought(bound.period.start(now), store.newest())
                before.update(bought.records)
                for series, window in bought.uncounted:
                    before[series.product] += hardly_more(store.histories().of(series), window)
        more = bound.sum(records)
        if more + bound.sum(before) > bound.most:
            already = f", {bound.amount(bound.sum(before))} of it are spent" if before else ""
            raise InputError(
                f"--again: {bound.amount(more)} would be bought anew, and {bound.key} is "
                f"{bound.limit}{already}; choose a shorter span, or raise the limit"
            )


def _span(job: Job, first: str, last: str) -> Window:
    start, end = _moment("--from", first, job.zone), _moment("--to", last, job.zone)
    if start >= end:
        raise InputError(f"--from {first} is not before --to {last}; write the earlier one first")
    return Window(start, end)


def _moment(option: str, written: str, zone: ZoneInfo) -> datetime:
    try:
        return moment(written, zone)
    except InvalidValue as unfit:
        raise InputError(f"{option}: {unfit.what}; {unfit.remedy}") from unfit


def _current(
    store: LedgerReader, jobs: Sequence[Job], spans: dict[str, Window]
) -> Iterator[Renewal]:
    """Every report once, under the first job that has its series and reaches it."""
    seen: set[int] = set()
    for job, entry, _ in debts.by_series(jobs):
        for report in store.collected_in(entry.series, spans[job.name]):
            if report.id not in seen:
                seen.add(report.id)
                yield Renewal(job, entry, report)


def still_current(store: LedgerReader, renewals: Sequence[Renewal]) -> list[Renewal]:
    """Those that nobody has renewed since they were chosen."""
    return [
        one
        for one in renewals
        if store.report(one.current.id).state is State.COLLECTED
        and store.newer_edition(one.current) is None
    ]


# --- before: what it costs ------------------------------------------------------------------------


def announcement(inputs: Inputs, choice: Choice) -> Iterator[str]:
    """What will be bought, for whoever has to say yes."""
    cost = Cost(inputs.config.prices)
    for one in choice.renewals:
        cost.add(one.current.series, one.current.rows or 0)
    windows = [one.current.window for one in choice.renewals]
    whole = Window(min(one.start for one in windows), max(one.end for one in windows))
    series = len({one.current.series.key for one in choice.renewals})
    yield (
        f"--again buys {counted(len(windows), 'report')} of {counted(series, 'series')} anew, "
        f"{whole}: {cost.words()}, as many as are there now"
    )
    yield "the old files stay until the new ones are verified"
    yield from _left_alone(choice)


def _left_alone(choice: Choice) -> Iterator[str]:
    if choice.too_old:
        yield (
            f"{counted(choice.too_old, 'report')} left as it is: it reaches back to where the API "
            "deletes records, so a newer edition would hold fewer"
            if choice.too_old == 1
            else f"{choice.too_old:,} reports left as they are: they reach back to where the API "
            "deletes records, so newer editions would hold fewer"
        )
    if choice.under_way:
        yield (
            f"{counted(choice.under_way, 'newer edition')} under way already: {typed('run', JOB)} "
            f"goes on with what is open, and {typed('status', JOB, '--failed')} says how what is "
            "disputed is settled"
        )


# --- after: how it ended --------------------------------------------------------------------------


def verdict(end: RenewalsEnd, why_stopped: str) -> str:
    """The last line of the summary."""
    parts = []
    if end.open:
        parts.append(f"{len(end.open):,} are open, and {typed('run', JOB)} goes on with them")
    if end.failed:
        parts.append(f"{len(end.failed):,} came to nothing, and the old files stay")
    if end.refused:
        parts.append(f"{len(end.refused):,} were refused by the API, and the old files stay")
    if end.not_asked:
        days = [one.current.window for one in end.not_asked]
        span = Window(min(one.start for one in days), max(one.end for one in days))
        parts.append(
            f"{len(end.not_asked):,} were not asked for, between {span}: say --again again"
        )
    made = f"{counted(len(end.collected), 'newer edition')} collected"
    if not parts:
        return f"Done: {made}."
    why = f" ({why_stopped})" if why_stopped else ""
    return f"Not all{why}: {made}, " + ", ".join(parts) + "."


def failures(end: RenewalsEnd) -> Iterator[str]:
    """Why editions came to nothing."""
    for one in end.failed:
        yield (
            f"the newer edition of {chunk_text(one)} is {one.state.value}: {one.reason}; "
            "the old file stays"
        )


def shrunk(end: RenewalsEnd, renewals: Sequence[Renewal]) -> Iterator[str]:
    """Editions that hold fewer records than what they replaced: a person should know."""
    before = {one.current.id: one.current for one in renewals}
    for one in end.collected:
        old = before[one.replaces or 0]
        if (one.rows or 0) < (old.rows or 0):
            yield (
                f"the newer edition of {chunk_text(one)} holds {one.rows or 0:,} records, "
                f"the old one held {old.rows or 0:,}"
            )
