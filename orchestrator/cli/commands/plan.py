"""`plan`: what a run would ask for. Sends nothing, changes nothing."""

import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click

from orchestrator.app.cost import UNKNOWN, price
from orchestrator.app.manifest_check import refusal_by_run
from orchestrator.app.plan import ChunkCounts, Plan, PlanSums, PlanTotals, SeriesPlan, plan
from orchestrator.app.setup import clock_of
from orchestrator.cli import options
from orchestrator.cli.inputs import read_inputs
from orchestrator.cli.output import json_list, json_text, write, write_lines
from orchestrator.cli.tables import aligned, series_cells
from orchestrator.config import Inputs
from orchestrator.config.messages import one_of
from orchestrator.core import windows as job_windows
from orchestrator.core.commands import JOB, typed
from orchestrator.core.debt import Debt
from orchestrator.core.intervals import Window
from orchestrator.core.model import Job
from orchestrator.core.policy import ExitCode, code_of
from orchestrator.reporting.json_fields import (
    beside_fields,
    later_fields,
    series_fields,
    window_fields,
    window_list,
)
from orchestrator.reporting.phrases import (
    counted,
    later_words,
    left_out_words,
    moment_words,
    time_words,
    windows_words,
)
from orchestrator.reporting.wrapping import terminal_width
from orchestrator.texts import utc_text

_SECOND: Final = timedelta(seconds=1)
_MOST_ROWS: Final = 40
_MOST_NAMED: Final = 5
_MAX_DEBTS: Final = 8  # Debts whose chunks are kept as text.
_MAX_CHUNKS: Final = 4096  # Chunks of such a debt; longer ones are cut anew each time.
_HEADERS: Final = (
    *("ACCOUNT", "PRODUCT", "DIRECTION", "FILTER", "TO COLLECT", "CHUNKS", "EST. RECORDS"),
    "ALREADY COLLECTED",
)
_SPARE: Final = ("ALREADY COLLECTED", "EST. RECORDS")
"""Columns that a narrow terminal does not show, first the one that is left out first."""


@click.command(
    epilog="Example: `orchestrator plan jobs/nightly.yaml` before a first run, or with `--now "
    "2026-03-02T06:30:00Z` to see what the run of another day would ask for. With --json, every "
    "chunk is listed."
)
@options.jobs_argument
@options.now_option
@options.json_option
@options.config_option
def command(
    jobs: tuple[Path, ...], now: datetime | None, as_json: bool, config: Path | None
) -> int:
    """Show what `run` would ask for with these job files.

    For every series (an account, a product, a direction, a filter): the windows of time that are
    owed, in how many chunks (one report each), and what is had already. Then the requests that
    takes and the least time that the rate limit allows. Nothing is sent or changed, and no
    credentials are needed.
    """
    now = clock_of(now).now()
    return show_plan(read_inputs(jobs, config, now), now, as_json=as_json)


def show_plan(inputs: Inputs, now: datetime, *, as_json: bool) -> ExitCode:
    """Prints the plan of the jobs as they stand at `now`; the exit code."""
    with plan(inputs, now) as planned:
        warnings = _Warnings()
        if refusal := refusal_by_run(inputs, now):
            warnings.note(
                f"a run would ask for nothing, and end with exit code {code_of(refusal)}: {refusal}"
            )
        if as_json:
            write(_as_json(planned, warnings))
        else:
            write_lines(_as_text(planned, warnings))
    return ExitCode.DONE


def _by_job(planned: Plan) -> Iterator[tuple[Job, Iterator[SeriesPlan]]]:
    """The lines of each job; those of one must be read before the next is asked for."""
    lines = planned.lines()
    for job in planned.inputs.jobs:
        yield job, islice(lines, len(job.series))


class _Warnings:
    """Keeps the first warnings, and counts the others."""

    def __init__(self) -> None:
        self._first: list[str] = []
        self._more = 0

    def add(self, line: SeriesPlan) -> None:
        """Takes those of a series."""
        for text in line.warnings:
            self.note(text)

    def note(self, text: str) -> None:
        """Takes one."""
        if len(self._first) < _MOST_ROWS:
            self._first.append(text)
        else:
            self._more += 1

    def lines(self) -> list[str]:
        """The warnings."""
        return self._first + ([f"and {self._more:,} more of this kind"] if self._more else [])


class ChunkTexts:
    """The chunks of a debt as JSON, one by one.

    Most series of a job owe the same windows, and so the same chunks: these are cut once.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[object, ...], list[str]] = {}

    def of(self, debt: Debt) -> Iterator[str]:
        """The chunks, in order of time; memory does not grow with their number."""
        key = (debt.job.name, debt.owed, debt.failures, debt.sizing)
        if key in self._kept:
            yield from self._kept[key]
            return
        texts: list[str] = []
        for chunk in debt.chunks():
            text = json_text(window_fields(chunk))
            if len(texts) <= _MAX_CHUNKS:
                texts.append(text)
            yield text
        if len(texts) <= _MAX_CHUNKS:
            if len(self._kept) >= _MAX_DEBTS:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = texts


# --- JSON -----------------------------------------------------------------------------------------


def _as_json(planned: Plan, warnings: _Warnings) -> Iterator[str]:
    sums = PlanSums(planned.inputs)
    texts = ChunkTexts()

    def job_json(job: Job, lines: Iterator[SeriesPlan]) -> Iterator[str]:
        head = {
            "job": job.name,
            "file": str(job.path),
            "timezone": job.zone.key,
            "clip": utc_text(job_windows.clip(job, planned.now)),
            "later": list(map(later_fields, job_windows.later(job, planned.now))),
        }
        yield f'{json_text(head)[:-1]},"series":'
        yield from json_list(series_json(line) for line in lines)
        yield "}"

    def series_json(line: SeriesPlan) -> Iterator[str]:
        warnings.add(line)
        return _series_json(line, sums, texts)

    yield f'{{"now":{json_text(utc_text(planned.now))},"jobs":'
    yield from json_list(job_json(job, lines) for job, lines in _by_job(planned))
    yield f',\n"warnings":{json_text(warnings.lines())}'
    yield f',\n"totals":{json_text(_totals_fields(planned.totals_of(sums)))}}}\n'


def _series_json(line: SeriesPlan, sums: PlanSums, texts: ChunkTexts) -> Iterator[str]:
    debt = line.debt
    cost = price(sums.cost.prices, debt.entry.series, line.expected)
    head: dict[str, Any] = {
        **series_fields(debt.entry.series),
        "credentials": debt.entry.credentials,
        "owed": window_list(debt.owed),
        "had": window_list(debt.had),
        "made_up": window_list(debt.backfilled),
        "past_retention": window_list(debt.forgotten),
        **beside_fields(line),
        "expected_records": line.expected,
        "expected_price": None if cost is None else f"{cost:f}",
        "probe_first": debt.must_probe,
    }
    number = 0

    def counting() -> Iterator[str]:
        nonlocal number
        for text in texts.of(debt):
            number += 1
            yield text

    yield f'{json_text(head)[:-1]},"chunks":'
    yield from json_list(counting())
    yield "}"
    sums.add(line, number)


def _totals_fields(totals: PlanTotals) -> dict[str, Any]:
    return {
        "series": totals.series,
        "complete_series": totals.complete,
        "chunks": totals.chunks,
        "requests": totals.requests,
        "requests_per_second": totals.requests_per_second,
        "least_seconds": round(totals.least_time.total_seconds(), 1),
        "keys": len(totals.by_key),
        **beside_fields(totals),
        **totals.cost.fields(),
        "probes": totals.probes,
        "refetched_reports": totals.refetched_reports,
        "refetched_records": totals.refetched_records,
    }


# --- for people -----------------------------------------------------------------------------------


def _as_text(planned: Plan, warnings: _Warnings) -> Iterator[str]:
    sums = PlanSums(planned.inputs)
    counts = ChunkCounts()
    for job, its_lines in _by_job(planned):
        summary = _JobSummary(job, planned.now)
        for line in its_lines:
            chunks = counts.of(line.debt)
            sums.add(line, chunks)
            summary.add(line, chunks)
            warnings.add(line)
        yield from summary.lines()
        yield ""
    yield from (f"warning: {text}" for text in warnings.lines())
    yield from _totals_lines(planned.totals_of(sums))


class _JobSummary:
    """What is said of one job; of bounded size, however many series it has."""

    def __init__(self, job: Job, now: datetime) -> None:
        self._job = job
        self._now = now
        self._rows: list[list[str]] = []
        self._owing = 0
        self._complete = 0
        self._made_up: Counter[tuple[Window, ...]] = Counter()
        self._forgotten: Counter[tuple[str, datetime]] = Counter()

    def add(self, line: SeriesPlan, chunks: int) -> None:
        """Takes in a series."""
        debt = line.debt
        if debt.backfilled:
            self._made_up[debt.backfilled] += 1
        if debt.forgotten:
            product = debt.entry.series.product
            self._forgotten[(product, debt.forgotten[-1].end)] += 1
        if not debt.owed:
            self._complete += 1
            return
        self._owing += 1
        if self._owing <= _MOST_ROWS:
            zone = self._job.zone
            self._rows.append(
                [
                    *series_cells(debt.entry.series),
                    windows_words(debt.owed, zone),
                    f"{chunks:,}",
                    UNKNOWN if line.expected is None else f"{line.expected:,}",
                    windows_words(debt.had, zone),
                ]
            )

    def lines(self) -> Iterator[str]:
        """The lines for people."""
        job = self._job
        clip = job_windows.clip(job, self._now).astimezone(job.zone)
        yield (
            f"job {job.name} ({job.path}) at {moment_words(self._now)}: up to "
            f"{clip:%Y-%m-%d %H:%M} {job.zone.key}, in chunks of {job.chunk} at most"
        )
        yield from aligned(
            _HEADERS,
            self._rows,
            right=frozenset({"CHUNKS", "EST. RECORDS"}),
            indent="  ",
            spare=_SPARE,
            folded=("FILTER",),
            width=terminal_width(sys.stdout),
        )
        if self._owing > _MOST_ROWS:
            more = counted(self._owing - _MOST_ROWS, "series")
            yield f"  and {more} more ({typed('plan', JOB, '--json')} has all)"
        if self._complete:
            are = "is" if self._complete == 1 else "are"
            complete = counted(self._complete, "series")
            yield f"  {complete} {are} already complete or in progress"
        yield from self._notes()

    def _notes(self) -> Iterator[str]:
        zone = self._job.zone
        for later in job_windows.later(self._job, self._now):
            yield f"  {later_words(later, self._now, zone)}"
        for windows, number in _first(self._made_up):
            days = windows_words(windows, zone, limit=5)
            yield f"  catching up on missed runs: {days} ({counted(number, 'series')})"
        by_edge: dict[datetime, dict[str, int]] = defaultdict(dict)
        for (product, edge), number in _first(self._forgotten):
            by_edge[edge][product] = number
        for edge, numbers in by_edge.items():
            yield (
                f"  warning: {one_of(numbers, 'and')} before {moment_words(edge)} is older than "
                f"the API keeps records ({counted(sum(numbers.values()), 'series')}); asked for "
                "all the same, as empty reports are free"
            )


def _first(counter: Counter[Any]) -> list[tuple[Any, int]]:
    return counter.most_common(_MOST_NAMED)


def _cost_lines(totals: PlanTotals) -> Iterator[str]:
    cost = totals.cost
    if totals.series > cost.unknown:
        yield f"expected, by what was collected before: {cost.words()}"
    for bound in totals.bounds:
        whole = Decimal(cost.records) if bound.prices is None else cost.money
        number = max(1, math.ceil(whole / bound.most))
        yield (
            f"{bound.key} is {bound.limit}: that makes at least "
            f"{counted(number, bound.period.value)}"
        )
    if cost.unknown:
        yield (
            f"record count unknown for {counted(cost.unknown, 'series')}: nothing similar was "
            "collected yet"
        )
    if totals.probes:
        yield (
            f"for {counted(totals.probes, 'series')} one {'hour' if totals.bounds else 'day'} is "
            "collected first, to size the rest: there may be more chunks than are counted here"
        )


BY_OUR_CLOCK: Final = (
    "nothing was sent: this goes by this machine's clock; a run goes by the API's where that is "
    "earlier"
)


def _totals_lines(totals: PlanTotals) -> Iterator[str]:
    if totals.chunks:
        rate = f"{totals.requests_per_second:g} requests a second for each API key"
        yield (
            f"in all: {counted(totals.chunks, 'chunk')} of {counted(totals.series, 'series')}, "
            f"{counted(totals.requests, 'request')} (a create and a download each; polls of their "
            "progress come on top)"
        )
        least = totals.least_time
        length = f"at least {time_words(least)}" if least >= _SECOND else "less than a second"
        yield f"{length}, by the rate limit of {rate}"
        yield from _cost_lines(totals)
    else:
        yield "in all: nothing to collect"
    if totals.refetched_reports:
        yield (
            f"refetch buys {counted(totals.refetched_reports, 'report')} once more, with about "
            f"{counted(totals.refetched_records, 'record')}, which cost as much as the first time"
        )
    if totals.open:
        yield f"a run first goes on with {counted(totals.open, 'open report')}"
    for number, noun, words, option in (
        (totals.held, "report", "held, as we do not know whether the API accepted them", "--held"),
        (totals.given_up, "window", "given up, and not asked for", "--failed"),
        (totals.disputed, "report", "disputed, waiting for you", "--failed"),
    ):
        if number:
            yield f"{counted(number, noun)} {words}: see {typed('status', JOB, option)}"
    if left_out := left_out_words(totals.waived, totals.erased):
        yield f"left out: {left_out}"
    yield BY_OUR_CLOCK
