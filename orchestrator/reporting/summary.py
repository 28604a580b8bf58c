"""The end of a run: what came of it, what is left and why, and what to do about it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.commands import typed
from orchestrator.core.intervals import subtract
from orchestrator.core.lifecycle import State
from orchestrator.core.policy import ExitCode, RunOutcome
from orchestrator.core.windows import later
from orchestrator.reporting.formatting import length
from orchestrator.reporting.line_folding import TOLD, cause_of
from orchestrator.reporting.loop_lag import LoopLag
from orchestrator.reporting.phrases import (
    Fate,
    counted,
    explain,
    later_words,
    numbers_words,
    size_words,
    windows_words,
)
from orchestrator.texts import utc_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime, timedelta
    from pathlib import Path

    from orchestrator.core.intervals import Window
    from orchestrator.core.model import GivenUp, Job, Report, Series
    from orchestrator.reporting.plan_notes import PlanNotes

MOST_LINES: Final = 30
_NOTHING: Final = RunOutcome(unfinished=False, needs_person=False)


@dataclass(frozen=True, slots=True)
class CollectedTotals:
    """Collected reports together."""

    reports: int
    rows: int
    size_bytes: int

    def __str__(self) -> str:
        """For people."""
        size = size_words(self.size_bytes)
        return f"{counted(self.reports, 'report')}, {counted(self.rows, 'row')}, {size}"

    @property
    def as_json(self) -> dict[str, int]:
        """For `--json`."""
        return {"reports": self.reports, "rows": self.rows, "bytes": self.size_bytes}


@dataclass(frozen=True, slots=True)
class UnfinishedSeries:
    """A series of a job that is not done, and why.

    Attributes:
        owed: what is still debt.
        refused: why the API refuses it; None if it does not.
        open: how many reports are open, by state; held ones among them.
        given_up: what no run asks for by itself.
        disputed: what waits for a person.
        tried: the part of what is owed for which reports were bought that came to nothing.
        attempts: the most of them over one of its windows.
        last_failure: why the latest of them came to nothing.
        kept: where the files of disputed reports are kept, by our number; where there are any.
    """

    job: Job
    series: Series
    owed: tuple[Window, ...]
    refused: str | None
    open: Mapping[State, int]
    given_up: tuple[GivenUp, ...]
    disputed: tuple[Report, ...]
    tried: tuple[Window, ...] = ()
    attempts: int = 0
    last_failure: str = ""
    kept: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Others:
    """What is not of the named jobs: open reports of the run's keys, and what waits elsewhere.

    Attributes:
        open: open reports, by state.
        series: of how many series.
        jobs: the names of the jobs that asked for them.
        refused: why the API refuses some of them.
        disputed: how many reports of other series wait for a person.
        given_up: how many windows of other series no run asks for by itself.
    """

    open: Mapping[State, int] = field(default_factory=dict)
    series: int = 0
    jobs: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    disputed: int = 0
    given_up: int = 0

    @property
    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "open": {state.value: number for state, number in self.open.items()},
            "series": self.series,
            "jobs": list(self.jobs),
            "refused": list(self.refused),
            "disputed": self.disputed,
            "given_up": self.given_up,
        }


@dataclass(frozen=True, slots=True)
class RunSummary:
    """All that is to be said when a run has ended.

    Attributes:
        jobs: that were run.
        now: the moment that the run took as its own.
        code: the exit code.
        lasted: from the command's start.
        requests: made at the API.
        collected: in this run.
        in_all: that stand in the ledger, of the jobs' series.
        directory: where the files are.
        left: the series that are not done.
        remarks: on the debt.
        why_stopped: what ended the run early, in words; empty if nothing did.
        verdict: the last line, where the run had another purpose than the jobs' debt.
        callbacks: how many came, by what became of them; None without a receiver.
        event_loop: how late its turns came.
        remains: what is left, and to whom.
        others: what is not of the jobs.
        bugs: unexpected errors, each of which ended the work on one report.
    """

    jobs: tuple[Job, ...]
    now: datetime
    code: ExitCode
    lasted: timedelta
    requests: int
    collected: CollectedTotals
    in_all: CollectedTotals
    directory: str
    left: tuple[UnfinishedSeries, ...]
    remarks: PlanNotes
    why_stopped: str = ""
    verdict: str = ""
    callbacks: Mapping[str, int] | None = None
    event_loop: LoopLag = field(default_factory=LoopLag)
    remains: RunOutcome = _NOTHING
    others: Others = field(default_factory=Others)
    bugs: tuple[Exception, ...] = ()


# --- as text --------------------------------------------------------------------------------------


def text(run_summary: RunSummary) -> list[str]:
    """The lines for people, at most `MOST_LINES` and one that counts the rest."""
    effort = f"{length(run_summary.lasted)} and {counted(run_summary.requests, 'request')}"
    head = [
        f"Collected in this run: {run_summary.collected}, in {effort}.",
        f"In all: {run_summary.in_all}, in {run_summary.directory}",
    ]
    last = run_summary.verdict or _verdict(run_summary)
    body: list[str] = []
    more = 0
    for line in _body(run_summary):
        if len(head) + len(body) < MOST_LINES - 1:
            body.append(line)
        else:
            more += 1
    if more:
        body.append(f"  and {more:,} more: {typed('status', *_paths(run_summary))}")
    return [*head, *body, last]


def _paths(run_summary: RunSummary) -> list[Path]:
    return [job.path for job in run_summary.jobs]


def _verdict(run_summary: RunSummary) -> str:
    goes_on = f"nothing is lost: {typed('run', *_paths(run_summary))} goes on."
    match run_summary.code:
        case ExitCode.DONE:
            return "Done: all that is wanted is collected."
        case ExitCode.FINDINGS if run_summary.remains.unfinished:
            why = f" ({run_summary.why_stopped})" if run_summary.why_stopped else ""
            return f"Something needs you: see above. The rest is not finished{why}, {goes_on}"
        case ExitCode.FINDINGS:
            return "Finished, but something needs you: see above."
        case ExitCode.BUG:
            return f"A bug of ours ended the work on some reports: see above; {goes_on}"
        case ExitCode.UNFINISHED:
            why = f" ({run_summary.why_stopped})" if run_summary.why_stopped else ""
            return f"Not finished{why}, {goes_on}"
        case _:
            return f"Stopped ({run_summary.why_stopped}), {goes_on}"


def _body(run_summary: RunSummary) -> Iterator[str]:
    yield from _remarks(run_summary)
    yield from _refused(run_summary.left)
    yield from _disputed(run_summary)
    yield from _given_up(run_summary)
    for left in run_summary.left:
        yield from _held(left)
    for left in run_summary.left:
        yield from _for_a_run(left)
    yield from _others(run_summary.others)
    several = len(run_summary.jobs) > 1
    for job in run_summary.jobs:
        for rest in later(job, run_summary.now):
            words = later_words(rest, run_summary.now, job.zone)
            yield f"  {job.name}: {words}" if several else f"  {words}"


def _remarks(run_summary: RunSummary) -> Iterator[str]:
    by_name = {job.name: job for job in run_summary.jobs}
    for name, windows in run_summary.remarks.backfilled.items():
        missed = windows_words(windows, by_name[name].zone, most=5)
        yield f"  made up for {name}: {missed}, missed by earlier runs"
    forgotten = run_summary.remarks.forgotten
    if forgotten is not None:
        yield (
            f"  warning: {counted(run_summary.remarks.forgotten_series, 'series')} reached back "
            f"to {forgotten.start.date()}, but the API keeps records since {forgotten.end.date()} "
            "only: it was asked all the same, and what it has deleted is missing in the files"
        )


def _refused(lefts: Iterable[UnfinishedSeries]) -> Iterator[str]:
    """One line a reason: a refused key may stand for thousands of series."""
    by_reason: dict[str, list[Series]] = defaultdict(list)
    for left in lefts:
        if left.refused is not None:
            by_reason[left.refused].append(left.series)
    for reason, series in by_reason.items():
        others = f" and {len(series) - 1:,} more series" if series[1:] else ""
        # The reason ends with what to do about it.
        yield f"  refused: {series[0]}{others}: {reason}; then run again"


def _disputed(run_summary: RunSummary) -> Iterator[str]:
    """A line a report; from the fourth of one cause on, one for all of them."""
    by_cause: dict[str, list[tuple[UnfinishedSeries, Report]]] = defaultdict(list)
    for left in run_summary.left:
        for report in left.disputed:
            by_cause[cause_of(report.reason or "")].append((left, report))
    for found in by_cause.values():
        if len(found) <= TOLD:
            for left, report in found:
                kept = left.kept.get(report.id, "")
                words = explain(report, Fate.OWED, run_summary.now, kept=kept)
                yield f"  disputed: report {report.id}, {report.series}, {report.window}: {words}"
            continue
        left, first = found[0]
        yield (
            f"  disputed: {counted(len(found), 'report')} of one cause "
            f"({numbers_words([report.id for _, report in found])}), such as report {first.id}, "
            f"{first.series}, {first.window}: {first.reason or 'no reason was given'}; "
            f"{typed('status', left.job.path, '--failed')} says what can be done about each"
        )


def _given_up(run_summary: RunSummary) -> Iterator[str]:
    """A line a window; from the fourth of one job and cause on, one for all of them."""
    by_cause: dict[tuple[str, str], list[tuple[UnfinishedSeries, GivenUp]]] = defaultdict(list)
    for left in run_summary.left:
        for one in left.given_up:
            by_cause[left.job.name, cause_of(one.reason)].append((left, one))
    for found in by_cause.values():
        retry = f"{typed('run', found[0][0].job.path, '--retry-failed')} asks again"
        if len(found) <= TOLD:
            for _, one in found:
                waive = (
                    f"; {typed('resolve', one.report_id, '--waive')} skips its period (free)"
                    if one.report_id is not None
                    else ""
                )
                yield f"  given up: {one.series}, {one.window}: {one.reason}{waive}; {retry}"
            continue
        left, first = found[0]
        ids = [one.report_id for _, one in found if one.report_id is not None]
        reports = f" ({numbers_words(ids)})" if ids else ""
        yield (
            f"  given up: {counted(len(found), 'window')} of one cause{reports}, such as "
            f"{first.series}, {first.window}: {first.reason}; "
            f"{typed('status', left.job.path, '--failed')} lists them; {retry}"
        )


def _held(left: UnfinishedSeries) -> Iterator[str]:
    """What stays so until somebody decides, or the API shows it."""
    held = left.open.get(State.HELD, 0)
    if held:
        yield (
            f"  held: {left.series}: {counted(held, 'report')} of which nobody knows whether the "
            "API has it; every run looks again; see "
            f"{typed('status', left.job.path, '--held')}"
        )


def _for_a_run(left: UnfinishedSeries) -> Iterator[str]:
    """What the next run goes on with."""
    waiting = sum(number for state, number in left.open.items() if state is not State.HELD)
    if waiting:
        yield (
            f"  open: {left.series}: {counted(waiting, 'report')} to go on with; the next run does"
        )
    if left.refused is not None:
        return
    if left.tried:
        times = f"tried {counted(left.attempts, 'time')}" if left.attempts > 1 else "tried once"
        why = f" (last: {left.last_failure})" if left.last_failure else ""
        yield (
            f"  owed: {left.series}: {windows_words(left.tried, left.job.zone)}, {times} without "
            f"success{why}; the next run tries again"
        )
    if untried := subtract(left.owed, left.tried):
        yield (
            f"  owed: {left.series}: {windows_words(untried, left.job.zone)}, not asked for yet; "
            "the next run asks for it"
        )


def _others(others: Others) -> Iterator[str]:
    for reason in others.refused:
        yield f"  refused: open reports that no job named here holds: {reason}"
    if others.open:
        yield f"  open: {_others_words(others)}"
    waiting = []
    if others.disputed:
        waiting.append(f"{counted(others.disputed, 'report')} disputed")
    if others.given_up:
        waiting.append(f"{counted(others.given_up, 'window')} given up")
    if waiting:
        yield f"  other jobs: {' and '.join(waiting)}; see {typed('status', '--failed')}"


def _others_words(others: Others) -> str:
    return (
        f"{counted(sum(others.open.values()), 'report')} of {counted(others.series, 'series')} "
        f"that no job named here holds, asked for by {', '.join(others.jobs)}; every run of the "
        "same API key goes on with them"
    )


def why(run_summary: RunSummary) -> list[str]:
    """Why the exit code is not 0, a short sentence each: first what needs a person."""
    reasons = list(_needs(run_summary))
    if run_summary.remains.unfinished:
        reasons += _unfinished(run_summary)
    if run_summary.code is not ExitCode.DONE and run_summary.why_stopped:
        reasons.append(f"stopped: {run_summary.why_stopped}")
    if not reasons and run_summary.code is not ExitCode.DONE and run_summary.verdict:
        reasons.append(run_summary.verdict)
    return reasons


def _needs(run_summary: RunSummary) -> Iterator[str]:
    if run_summary.remains.bug:
        yield "an unexpected error of this program ended the work on a report"
    refused = {left.refused: left.series for left in run_summary.left if left.refused is not None}
    yield from (f"refused: {reason}" for reason in (*refused, *run_summary.others.refused))
    disputed = sum(len(left.disputed) for left in run_summary.left)
    if disputed:
        yield f"{counted(disputed, 'report')} disputed"
    given_up = sum(len(left.given_up) for left in run_summary.left)
    if given_up:
        yield f"{counted(given_up, 'window')} given up"


def _unfinished(run_summary: RunSummary) -> Iterator[str]:
    by_state: Counter[State] = Counter()
    for series_open in {left.series.key: left.open for left in run_summary.left}.values():
        by_state.update(series_open)
    held = by_state.pop(State.HELD, 0)
    if held:
        yield f"{counted(held, 'report')} held: nobody knows whether the API has it"
    if by_state:
        yield f"{counted(by_state.total(), 'report')} open"
    owed = sum(bool(left.owed and left.refused is None) for left in run_summary.left)
    if owed:
        yield f"{counted(owed, 'series')} with time that is still owed"
    if run_summary.others.open:
        yield f"open: {_others_words(run_summary.others)}"


# --- as JSON --------------------------------------------------------------------------------------


def as_json(run_summary: RunSummary) -> dict[str, Any]:
    """The answer of `run --json`; moments in UTC, keys that stay as they are."""
    return {
        "jobs": [job.name for job in run_summary.jobs],
        "now": utc_text(run_summary.now),
        "seconds": round(run_summary.lasted.total_seconds(), 3),
        "requests": run_summary.requests,
        "collected": run_summary.collected.as_json,
        "in_all": run_summary.in_all.as_json,
        "directory": run_summary.directory,
        "made_up": [
            {"job": name, "windows": _spans(windows)}
            for name, windows in run_summary.remarks.backfilled.items()
        ],
        "unsettled": [_leftover(left) for left in run_summary.left],
        "others": run_summary.others.as_json,
        "later": [one for job in run_summary.jobs for one in _later(job, run_summary.now)],
        "callbacks": None if run_summary.callbacks is None else dict(run_summary.callbacks),
        "event_loop": run_summary.event_loop.as_json,
        "needs_person": run_summary.remains.needs_person,
        "unfinished": run_summary.remains.unfinished,
        "why": why(run_summary),
        "exit_code": int(run_summary.code),
        "exit_word": run_summary.code.name.lower(),
    }


def _later(job: Job, now: datetime) -> Iterator[dict[str, Any]]:
    for rest in later(job, now):
        yield {
            "job": job.name,
            "window": rest.label,
            **_span(rest.window),
            "available_at": utc_text(rest.available_at),
        }


def _leftover(left: UnfinishedSeries) -> dict[str, Any]:
    series = left.series
    return {
        "job": left.job.name,
        "account_id": series.account_id,
        "product": series.product,
        "direction": series.direction,
        "filter": series.filters,
        "owed": _spans(left.owed),
        "attempts": left.attempts,
        "refused": left.refused,
        "open": {state.value: number for state, number in left.open.items()},
        "given_up": [
            {**_span(one.window), "report": one.report_id, "reason": one.reason}
            for one in left.given_up
        ],
        "disputed": [
            {
                **_span(report.window),
                "report": report.id,
                "request_id": report.request_id,
                "reason": report.reason,
            }
            for report in left.disputed
        ],
    }


def _span(window: Window) -> dict[str, Any]:
    return {"start": utc_text(window.start), "end": utc_text(window.end)}


def _spans(windows: Iterable[Window]) -> list[dict[str, Any]]:
    return [_span(window) for window in windows]
