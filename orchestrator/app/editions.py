"""Chooses what `run --again` buys anew, and says what that costs and how it ended."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestrator.app.cost import Cost
from orchestrator.app.ledger_reading import reading_ledger
from orchestrator.app.setup import clock_of
from orchestrator.config import Inputs
from orchestrator.config.dates import option_moment
from orchestrator.core import debt as debts
from orchestrator.core import spending
from orchestrator.core.commands import JOB, typed
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.local_dates import chunk_text
from orchestrator.core.model import Job
from orchestrator.core.ports import LedgerReader
from orchestrator.core.settings import Config
from orchestrator.core.windows import retention_edge
from orchestrator.engine.editions import Renewal, RenewalsEnd
from orchestrator.engine.refetch import STILL_WHOLE, spent
from orchestrator.errors import InputError
from orchestrator.reporting.phrases import counted


@dataclass(frozen=True, slots=True)
class EditionChoice:
    """What is to be bought anew.

    Attributes:
        too_old: reports left alone, since the API no longer has all of their records.
        under_way: reports left alone, since a newer edition of them is not settled yet.
    """

    renewals: tuple[Renewal, ...]
    too_old: int
    under_way: int


def choose_editions(
    inputs: Inputs, first: str, last: str, now: datetime | None = None
) -> EditionChoice:
    """The collected reports that hold a moment of a span, whole.

    Args:
        first: the first moment, as the user wrote it; a bare date is in each job's zone.
        last: the first moment after the span.
        now: the present moment, aware; None: by this machine's clock.

    Returns:
        Its `renewals` are for `run(…, again=choice.renewals)`.

    Raises:
        InputError: the dates, nothing to buy anew, or more than `limits.max_records`.
    """
    now = clock_of(now).now()
    spans = {job.name: _span(job, first, last) for job in inputs.jobs}
    renewals: list[Renewal] = []
    too_old = under_way = 0
    with reading_ledger(inputs.config) as reader:
        for renewal in _current(reader, inputs.jobs, spans):
            report = renewal.current
            if report.window.start < retention_edge(report.series, now) + STILL_WHOLE:
                too_old += 1
            elif reader.newer_edition(report) is not None:
                under_way += 1
            else:
                renewals.append(renewal)
    choice = EditionChoice(tuple(renewals), too_old, under_way)
    if not renewals:
        left_alone = "".join(f"; {text}" for text in _left_alone(choice))
        raise InputError(
            f"--again: nothing between {first} and {last} can be bought anew{left_alone}; what is "
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
    for renewal in renewals:
        records[renewal.current.series.product] += renewal.current.rows or 0
    with reading_ledger(config) as reader:
        for bound in spending.bounds(config.limits, config.prices):
            before, more = spent(reader, bound, now), bound.sum(records)
            if before + more > bound.most:
                already = f", {bound.amount(before)} of it are spent" if before else ""
                raise InputError(
                    f"--again: {bound.amount(more)} would be bought anew, and {bound.key} is "
                    f"{bound.limit}{already}; choose a shorter span, or raise the limit"
                )


def _span_of(windows: Sequence[Window]) -> Window:
    """From the first moment of the windows to the last."""
    return Window(min(window.start for window in windows), max(window.end for window in windows))


def _span(job: Job, first: str, last: str) -> Window:
    start = option_moment("--from", first, job.zone)
    end = option_moment("--to", last, job.zone, is_end=True)
    if start >= end:
        raise InputError(f"--from {first} is not before --to {last}; write the earlier one first")
    return Window(start, end)


def _current(
    reader: LedgerReader, jobs: Sequence[Job], spans: dict[str, Window]
) -> Iterator[Renewal]:
    """Every report once, under the first job that has its series and reaches it."""
    seen: set[int] = set()
    for job, entry, _ in debts.by_series(jobs):
        for report in reader.collected_in(entry.series, spans[job.name]):
            if report.id not in seen:
                seen.add(report.id)
                yield Renewal(job, entry, report)


def still_current(reader: LedgerReader, renewals: Sequence[Renewal]) -> list[Renewal]:
    """Those that were not renewed since they were chosen."""
    return [
        renewal
        for renewal in renewals
        if reader.report(renewal.current.id).state is State.COLLECTED
        and reader.newer_edition(renewal.current) is None
    ]


# --- before: what it costs ------------------------------------------------------------------------


def announcement(inputs: Inputs, choice: EditionChoice) -> Iterator[str]:
    """What will be bought, for whoever has to say yes."""
    cost = Cost(inputs.config.prices)
    reports = [renewal.current for renewal in choice.renewals]
    for report in reports:
        cost.add(report.series.product, report.rows or 0)
    whole = _span_of([report.window for report in reports])
    series = len({report.series.key for report in reports})
    yield (
        f"--again buys {counted(len(reports), 'report')} of {counted(series, 'series')} anew, "
        f"{whole}: {cost.words()}, as many as are there now"
    )
    yield "the old files stay until the new ones are verified"
    yield from _left_alone(choice)


def _left_alone(choice: EditionChoice) -> Iterator[str]:
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
        span = _span_of([renewal.current.window for renewal in end.not_asked])
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
    for report in end.failed:
        yield (
            f"the newer edition of {chunk_text(report)} is {report.state.value}: {report.reason}; "
            "the old file stays"
        )


def shrunk(end: RenewalsEnd, renewals: Sequence[Renewal]) -> Iterator[str]:
    """Editions that hold fewer records than what they replaced: a person should know."""
    before = {renewal.current.id: renewal.current for renewal in renewals}
    for report in end.collected:
        old = before[report.replaces or 0]
        if (report.rows or 0) < (old.rows or 0):
            yield (
                f"the newer edition of {chunk_text(report)} holds {report.rows or 0:,} records, "
                f"the old one held {old.rows or 0:,}"
            )
