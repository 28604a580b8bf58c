"""The end of a run: what came of it, what is left and why, and what to do about it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.lifecycle import State
from orchestrator.core.policy import ExitCode
from orchestrator.core.windows import later
from orchestrator.reporting.figures import length, utc_text
from orchestrator.reporting.pulse import Stalls
from orchestrator.reporting.words import (
    Fate,
    counted,
    explain,
    later_words,
    size_words,
    windows_words,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime, timedelta

    from orchestrator.core.intervals import Window
    from orchestrator.core.model import GivenUp, Job, Report, Series
    from orchestrator.reporting.remarks import Remarks

MOST_LINES: Final = 30


@dataclass(frozen=True, slots=True)
class Sums:
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
class Leftover:
    """A series of a job that is not done, and why.

    Attributes:
        owed: what is still debt.
        refused: why the API refuses it; None if it does not.
        open: how many reports are open, by state; held ones among them.
        given_up: what no run asks for by itself.
        disputed: what waits for a person.
        kept: where the files of disputed reports are kept, by our number; where there are any.
    """

    job: Job
    series: Series
    owed: tuple[Window, ...]
    refused: str | None
    open: Mapping[State, int]
    given_up: tuple[GivenUp, ...]
    disputed: tuple[Report, ...]
    kept: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ending:
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
    """

    jobs: tuple[Job, ...]
    now: datetime
    code: ExitCode
    lasted: timedelta
    requests: int
    collected: Sums
    in_all: Sums
    directory: str
    left: tuple[Leftover, ...]
    remarks: Remarks
    why_stopped: str = ""
    verdict: str = ""
    callbacks: Mapping[str, int] | None = None
    event_loop: Stalls = field(default_factory=Stalls)


# --- as text --------------------------------------------------------------------------------------


def text(ending: Ending) -> list[str]:
    """The lines for people, at most `MOST_LINES` and one that counts the rest."""
    effort = f"{length(ending.lasted)} and {counted(ending.requests, 'request')}"
    head = [
        f"Collected in this run: {ending.collected}, in {effort}.",
        f"In all: {ending.in_all}, in {ending.directory}",
    ]
    last = ending.verdict or _verdict(ending)
    body: list[str] = []
    more = 0
    for line in _body(ending):
        if len(head) + len(body) < MOST_LINES - 1:
            body.append(line)
        else:
            more += 1
    if more:
        names = " ".join(str(job.path) for job in ending.jobs)
        body.append(f"  and {more:,} more: `orchestrator status {names}`")
    return [*head, *body, last]


def _verdict(ending: Ending) -> str:
    names = " ".join(str(job.path) for job in ending.jobs)
    goes_on = f"nothing is lost: `orchestrator run {names}` goes on."
    match ending.code:
        case ExitCode.DONE:
            return "Done: all that is wanted is collected."
        case ExitCode.FINDINGS:
            return "Finished, but something needs you: see above."
        case ExitCode.UNFINISHED:
            why = f" ({ending.why_stopped})" if ending.why_stopped else ""
            return f"Not finished{why}, {goes_on}"
        case _:
            return f"Stopped ({ending.why_stopped}), {goes_on}"


def _body(ending: Ending) -> Iterator[str]:
    yield from _remarks(ending)
    yield from _refused(ending.left)
    for left in ending.left:
        yield from _for_a_person(left, ending.now)
    for left in ending.left:
        yield from _for_a_run(left)
    several = len(ending.jobs) > 1
    for job in ending.jobs:
        for rest in later(job, ending.now):
            words = later_words(rest, ending.now, job.zone)
            yield f"  {job.name}: {words}" if several else f"  {words}"


def _remarks(ending: Ending) -> Iterator[str]:
    by_name = {job.name: job for job in ending.jobs}
    for name, windows in ending.remarks.made_up.items():
        missed = windows_words(windows, by_name[name].zone, most=5)
        yield f"  made up for {name}: {missed}, missed by earlier runs"
    forgotten = ending.remarks.forgotten
    if forgotten is not None:
        yield (
            f"  warning: {counted(ending.remarks.forgotten_series, 'series')} reached back "
            f"to {forgotten.start.date()}, but the API keeps records since {forgotten.end.date()} "
            "only: it was asked all the same, and what it has deleted is missing in the files"
        )


def _refused(lefts: Iterable[Leftover]) -> Iterator[str]:
    """One line a reason: a refused key may stand for thousands of series."""
    by_reason: dict[str, list[Series]] = defaultdict(list)
    for left in lefts:
        if left.refused is not None:
            by_reason[left.refused].append(left.series)
    for reason, series in by_reason.items():
        others = f" and {len(series) - 1:,} more series" if series[1:] else ""
        # The reason ends with what to do about it.
        yield f"  refused: {series[0]}{others}: {reason}; then run again"


def _for_a_person(left: Leftover, now: datetime) -> Iterator[str]:
    """What stays so until somebody decides."""
    for report in left.disputed:
        words = explain(report, Fate.OWED, now, kept=left.kept.get(report.id, ""))
        yield f"  report {report.id}, {report.series}, {report.window}: {words}"
    for one in left.given_up:
        waive = (
            f"; `orchestrator resolve {one.report_id} --waive` skips its period (free)"
            if one.report_id is not None
            else ""
        )
        yield (
            f"  given up: {one.series}, {one.window}: {one.reason}{waive}; `orchestrator run "
            f"{left.job.path} --retry-failed` asks again"
        )
    held = left.open.get(State.HELD, 0)
    if held:
        yield (
            f"  held: {left.series}: {counted(held, 'report')} of which nobody knows whether the "
            "API has it; every run looks again; see `orchestrator status --held`"
        )


def _for_a_run(left: Leftover) -> Iterator[str]:
    """What the next run goes on with."""
    waiting = sum(number for state, number in left.open.items() if state is not State.HELD)
    if waiting:
        yield f"  open: {left.series}: {counted(waiting, 'report')} to go on with"
    if left.owed and left.refused is None:
        yield f"  owed: {left.series}: {windows_words(left.owed, left.job.zone)}, not asked for yet"


# --- as JSON --------------------------------------------------------------------------------------


def as_json(ending: Ending) -> dict[str, Any]:
    """The answer of `run --json`; moments in UTC, keys that stay as they are."""
    return {
        "jobs": [job.name for job in ending.jobs],
        "now": utc_text(ending.now),
        "seconds": round(ending.lasted.total_seconds(), 3),
        "requests": ending.requests,
        "collected": ending.collected.as_json,
        "in_all": ending.in_all.as_json,
        "directory": ending.directory,
        "made_up": [
            {"job": name, "windows": _spans(windows)}
            for name, windows in ending.remarks.made_up.items()
        ],
        "unsettled": [_leftover(left) for left in ending.left],
        "later": [one for job in ending.jobs for one in _later(job, ending.now)],
        "callbacks": None if ending.callbacks is None else dict(ending.callbacks),
        "event_loop": ending.event_loop.as_json,
        "exit_code": int(ending.code),
        "exit_word": ending.code.name.lower(),
    }


def _later(job: Job, now: datetime) -> Iterator[dict[str, Any]]:
    for rest in later(job, now):
        yield {
            "job": job.name,
            "window": rest.label,
            **_span(rest.window),
            "available_at": utc_text(rest.available_at),
        }


def _leftover(left: Leftover) -> dict[str, Any]:
    series = left.series
    return {
        "job": left.job.name,
        "account_id": series.account_id,
        "product": series.product,
        "direction": series.direction,
        "filter": series.filters,
        "owed": _spans(left.owed),
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
