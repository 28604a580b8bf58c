"""Writes the summary of a run for people: what was collected, what is not done, what to do next.

Holds no rule: what is not done, and why, is decided in `orchestrator.reporting.summary`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from orchestrator.core.calendar import local_date
from orchestrator.core.commands import typed
from orchestrator.core.intervals import subtract
from orchestrator.core.lifecycle import State
from orchestrator.core.local_dates import Chunk, window_text
from orchestrator.core.model import GivenUp, Report, Series
from orchestrator.core.policy import ExitCode
from orchestrator.core.windows import later
from orchestrator.reporting.line_folding import MAX_ALIKE, cause_of, folded
from orchestrator.reporting.phrases import (
    Fate,
    but_for,
    counted,
    drift_lines,
    explain,
    later_words,
    length,
    numbers_words,
    windows_words,
)
from orchestrator.reporting.summary import Others, RunSummary, UnfinishedSeries, others_text

MAX_LINES: Final = 30
"""Maximum number of lines of a summary: more than a screen is not read. `status` has the rest."""


def text(summary: RunSummary) -> list[str]:
    """The lines for people, at most `MAX_LINES`; the last but one counts what is not shown."""
    effort = f"{length(summary.lasted)} and {counted(summary.requests, 'request')}"
    head = [
        f"Collected in this run: {summary.collected}, in {effort}.",
        f"Of the same series in all: {summary.in_all}, in {summary.directory}",
    ]
    body: list[str] = []
    hidden = 0
    for line in folded(_body(summary)):
        if len(head) + len(body) < MAX_LINES - 1:
            body.append(line)
        else:
            hidden += 1
    if hidden:
        body.append(f"  and {hidden:,} more: {typed('status', *_paths(summary))}")
    return [*head, *body, summary.verdict or _verdict(summary)]


def _paths(summary: RunSummary) -> list[Path]:
    return [job.path for job in summary.jobs]


def _verdict(summary: RunSummary) -> str:
    run = typed("run", *_paths(summary))
    go_on = f"Nothing is lost. To continue: {run}"
    why = f" ({summary.why_stopped})" if summary.why_stopped else ""
    match summary.code:
        case ExitCode.DONE:
            lacking = but_for(summary.waived, summary.erased)
            return f"Done: everything the jobs ask for has been collected{lacking}."
        case ExitCode.FINDINGS if summary.remains.unfinished:
            return f"{_problems(summary)}; see above. The rest is not finished{why}. {go_on}"
        case ExitCode.FINDINGS:
            return f"Finished. {_problems(summary)}; see above."
        case ExitCode.BUG:
            return (
                "An internal error ended the work on some reports: see above, and please report "
                f"it. {go_on}"
            )
        case ExitCode.DISK:
            done = "removed" if summary.remains.not_removed else "written"
            end = f"Files could not be {done}; see above"
        case ExitCode.UNFINISHED:
            end = f"Not finished{why}"
        case _:
            end = f"Stopped{why}"
    return f"{end}. {go_on}"


def _problems(summary: RunSummary) -> str:
    """``2 problems need you``: a reason for refusal counts once, however many series it has."""
    number = len(set(_by_refusal(summary.unfinished)) | set(summary.others.refused)) + sum(
        len(series.disputed) + len(series.given_up) for series in summary.unfinished
    )
    if number == 0:
        return "Something needs you"
    return f"{counted(number, 'problem')} need{'s' if number == 1 else ''} you"


def _body(summary: RunSummary) -> Iterator[str]:
    """What needs a person comes first, then what the next run does by itself."""
    for refused in filter(None, (summary.remains.not_removed, summary.remains.not_written)):
        yield f"  {refused}"
    yield from _refused(summary.unfinished)
    yield from _disputed(summary)
    yield from _given_up(summary.unfinished)
    for unfinished in summary.unfinished:
        yield from _held(unfinished)
    yield from _plan_notes(summary)
    yield from (f"  {line}" for line in drift_lines(summary.column_drift))
    for unfinished in summary.unfinished:
        yield from _for_next_run(unfinished)
    if summary.remains.refetch:
        yield f"  {summary.remains.refetch}"
    yield from _others(summary.others)
    for job in summary.jobs:
        name = f"{job.name}: " if len(summary.jobs) > 1 else ""
        for rest in later(job, summary.now):
            yield f"  {name}{later_words(rest, summary.now, job.zone)}"


def _plan_notes(summary: RunSummary) -> Iterator[str]:
    zones = {job.name: job.zone for job in summary.jobs}
    for name, windows in summary.plan_notes.backfilled.items():
        missed = windows_words(windows, zones[name], limit=5)
        yield f"  catching up for {name}: {missed}, missed by earlier runs"
    past = summary.plan_notes.past_retention
    if past is not None:
        number = counted(summary.plan_notes.past_retention_series, "series")
        zone = summary.jobs[0].zone
        start, end = local_date(past.start, zone), local_date(past.end, zone)
        yield (
            f"  warning: {number} reached back to {start}, but the API keeps records only since "
            f"{end}: the older time was asked for all the same, and what the API has deleted is "
            "missing in the files"
        )


def _by_refusal(entries: Iterable[UnfinishedSeries]) -> dict[str, list[Series]]:
    """The series that the API refuses, by its reason: a refused key may have thousands."""
    by_reason: dict[str, list[Series]] = defaultdict(list)
    for unfinished in entries:
        if unfinished.refused is not None:
            by_reason[unfinished.refused].append(unfinished.series)
    return by_reason


def _refused(entries: Iterable[UnfinishedSeries]) -> Iterator[str]:
    """A line for each reason."""
    for reason, series in _by_refusal(entries).items():
        others = f" and {len(series) - 1:,} more series" if series[1:] else ""
        # The reason ends with what to do about it.
        yield f"  refused: {series[0]}{others}: {reason}; then run again"


def _chunk(unfinished: UnfinishedSeries, chunk: Chunk) -> str:
    return f"{chunk.series}, {window_text(chunk.window, unfinished.job.zone)}"


def _disputed(summary: RunSummary) -> Iterator[str]:
    """A line for each report; one line for all of a cause that has more than `MAX_ALIKE`."""
    by_cause: dict[str, list[tuple[UnfinishedSeries, Report]]] = defaultdict(list)
    for unfinished in summary.unfinished:
        for report in unfinished.disputed:
            by_cause[cause_of(report.reason or "")].append((unfinished, report))
    for reports in by_cause.values():
        if len(reports) <= MAX_ALIKE:
            for unfinished, report in reports:
                kept = unfinished.kept.get(report.id, "")
                explanation = explain(report, Fate.OWED, summary.now, kept=kept)
                yield f"  disputed: report {report.id}, {_chunk(unfinished, report)}: {explanation}"
            continue
        unfinished, first = reports[0]
        yield (
            f"  disputed: {counted(len(reports), 'report')} of one cause "
            f"({numbers_words([report.id for _, report in reports])}), such as report {first.id}, "
            f"{_chunk(unfinished, first)}: {first.reason or 'no reason was given'}; "
            f"{typed('status', unfinished.job.path, '--failed', '--long')} says what can be done "
            "about each"
        )


def _given_up(entries: Iterable[UnfinishedSeries]) -> Iterator[str]:
    """A line for each window; one line for more than `MAX_ALIKE` of a job and cause."""
    by_cause: dict[tuple[str, str], list[tuple[UnfinishedSeries, GivenUp]]] = defaultdict(list)
    for unfinished in entries:
        for given_up in unfinished.given_up:
            by_cause[unfinished.job.name, cause_of(given_up.reason)].append((unfinished, given_up))
    for alike in by_cause.values():
        unfinished, first = alike[0]
        retry = f"{typed('run', unfinished.job.path, '--retry-failed')} asks again"
        if len(alike) <= MAX_ALIKE:
            for unfinished, given_up in alike:
                waive = (
                    f"; {typed('resolve', given_up.report_id, '--waive')} skips its period (free)"
                    if given_up.report_id is not None
                    else ""
                )
                chunk = _chunk(unfinished, given_up)
                yield f"  given up: {chunk}: {given_up.reason}{waive}; {retry}"
            continue
        ids = [given_up.report_id for _, given_up in alike if given_up.report_id is not None]
        reports = f" ({numbers_words(ids)})" if ids else ""
        yield (
            f"  given up: {counted(len(alike), 'window')} of one cause{reports}, such as "
            f"{_chunk(unfinished, first)}: {first.reason}; "
            f"{typed('status', unfinished.job.path, '--failed')} lists them; {retry}"
        )


def _held(unfinished: UnfinishedSeries) -> Iterator[str]:
    """What stays so until the user decides, or the API shows it."""
    held = unfinished.open.get(State.HELD, 0)
    if held:
        yield (
            f"  held: {unfinished.series}: {counted(held, 'report')} that we asked for without "
            "learning whether the API accepted it; every run looks again; see "
            f"{typed('status', unfinished.job.path, '--held')}"
        )


def _for_next_run(unfinished: UnfinishedSeries) -> Iterator[str]:
    """What the next run goes on with."""
    series, zone = unfinished.series, unfinished.job.zone
    waiting = sum(number for state, number in unfinished.open.items() if state is not State.HELD)
    if waiting:
        yield f"  open: {series}: {counted(waiting, 'report')}; the next run goes on with them"
    if unfinished.refused is not None:
        return
    if unfinished.tried:
        several = unfinished.attempts > 1
        times = f"tried {counted(unfinished.attempts, 'time')}" if several else "tried once"
        last = f" (last: {unfinished.last_failure})" if unfinished.last_failure else ""
        yield (
            f"  still missing: {series}: {windows_words(unfinished.tried, zone)}, {times} without "
            f"success{last}; the next run tries again"
        )
    if untried := subtract(unfinished.owed, unfinished.tried):
        yield (
            f"  still missing: {series}: {windows_words(untried, zone)}, not asked for yet; the "
            "next run asks for it"
        )


def _others(others: Others) -> Iterator[str]:
    for reason in others.refused:
        yield f"  refused: open reports of series that no named job has: {reason}"
    if others.open:
        yield f"  open: {others_text(others)}"
    waiting = []
    if others.disputed:
        waiting.append(f"{counted(others.disputed, 'report')} disputed")
    if others.given_up:
        waiting.append(f"{counted(others.given_up, 'window')} given up")
    if waiting:
        yield f"  other jobs: {' and '.join(waiting)}; see {typed('status', '--failed')}"
