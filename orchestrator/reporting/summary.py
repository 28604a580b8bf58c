"""The result of a run: what was collected, what is not done and why, and the exit code.

`RunSummary` holds it, `as_json` is the answer of `run --json`. The lines for people are made by
`orchestrator.reporting.summary_text`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from orchestrator.core.column_drift import ColumnDrift
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.model import GivenUp, Job, Report, Series
from orchestrator.core.policy import ExitCode, RunOutcome
from orchestrator.core.windows import later
from orchestrator.reporting.json_fields import (
    exit_fields,
    later_fields,
    series_fields,
    window_fields,
    window_list,
)
from orchestrator.reporting.line_folding import folded
from orchestrator.reporting.loop_lag import LoopLag
from orchestrator.reporting.phrases import counted, size_words
from orchestrator.reporting.run_stats import PlanNotes
from orchestrator.texts import utc_text

_NOTHING: Final = RunOutcome(unfinished=False, needs_person=False)


@dataclass(frozen=True, slots=True)
class CollectedTotals:
    """Sums over collected reports."""

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
    """A series of a job that is not done, and why."""

    job: Job
    series: Series
    owed: tuple[Window, ...]  # what is still debt
    refused: str | None  # why the API refuses it; None if it does not
    open: Mapping[State, int]  # how many reports are open, by state; held ones among them
    given_up: tuple[GivenUp, ...]  # what no run asks for by itself
    disputed: tuple[Report, ...]  # what waits for a person
    # the part of what is owed for which reports were bought that came to nothing
    tried: tuple[Window, ...] = ()
    attempts: int = 0  # the most of them over one of its windows
    last_failure: str = ""  # why the latest of them came to nothing
    # where the files of disputed reports are kept, by our number; where there are any
    kept: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Others:
    """What is not of the named jobs: open reports of the run's keys, and what waits elsewhere."""

    open: Mapping[State, int] = field(default_factory=dict)  # open reports, by state
    series: int = 0  # of how many series
    jobs: tuple[str, ...] = ()  # the names of the jobs that asked for them
    refused: tuple[str, ...] = ()  # why the API refuses some of them
    disputed: int = 0  # how many reports of other series wait for a person
    given_up: int = 0  # how many windows of other series no run asks for by itself

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
    """All that is to be said when a run has ended."""

    jobs: tuple[Job, ...]  # that were run
    now: datetime  # the moment that the run took as its own
    code: ExitCode  # the exit code
    lasted: timedelta  # from the command's start
    requests: int  # made at the API
    collected: CollectedTotals  # in this run
    in_all: CollectedTotals  # that stand in the ledger, of the jobs' series
    directory: str  # where the files are
    unfinished: tuple[UnfinishedSeries, ...]  # the series that are not done
    plan_notes: PlanNotes  # on the debt
    why_stopped: str = ""  # what ended the run early, in words; empty if nothing did
    verdict: str = ""  # the last line, where the run had another purpose than the jobs' debt
    # how many came, by what became of them; None without a receiver
    callbacks: Mapping[str, int] | None = None
    event_loop: LoopLag = field(default_factory=LoopLag)  # how late its turns came
    remains: RunOutcome = _NOTHING  # what is not done, and who must act
    others: Others = field(default_factory=Others)  # what is not of the jobs
    # unexpected errors, each of which ended the work on one report
    bugs: tuple[Exception, ...] = ()
    run: str = ""  # the id of the run: a `core.checkpoint.Checkpoint`, for `changed_files`
    ended_at: datetime | None = None  # when it had done its work
    changes: tuple[int, int] = (0, 0)  # `LedgerPoint.changes` at its beginning and at its end
    waived: int = 0  # windows that the jobs want and a person has decided to skip
    erased: int = 0  # windows that the jobs want and whose files are erased
    # what the collected records cost, for programs; None where no price is known
    price: Mapping[str, Any] | None = None
    # of the series of which this run has collected files with other columns than the files before
    # and after have
    column_drift: tuple[ColumnDrift, ...] = ()


def others_text(others: Others) -> str:
    """The open reports that no named job holds, for people."""
    return (
        f"{counted(sum(others.open.values()), 'report')} of {counted(others.series, 'series')} "
        f"that no job named here holds, asked for by {', '.join(others.jobs)}; every run of the "
        "same API key goes on with them"
    )


def why(summary: RunSummary) -> list[str]:
    """Why the exit code is not 0, a short sentence each: first what needs a person."""
    reasons = list(_needs(summary))
    if summary.remains.unfinished:
        reasons += _unfinished(summary)
    if summary.remains.refetch:
        reasons.append(summary.remains.refetch)
    if summary.code is not ExitCode.DONE and summary.why_stopped:
        reasons.append(f"stopped: {summary.why_stopped}")
    if not reasons and summary.code is not ExitCode.DONE and summary.verdict:
        reasons.append(summary.verdict)
    return list(folded(reasons))


def _needs(summary: RunSummary) -> Iterator[str]:
    yield from filter(None, (summary.remains.not_removed, summary.remains.not_written))
    if summary.remains.bug:
        yield "an unexpected error of this program ended the work on a report"
    refused = {
        unfinished.refused: unfinished.series
        for unfinished in summary.unfinished
        if unfinished.refused is not None
    }
    yield from (f"refused: {reason}" for reason in (*refused, *summary.others.refused))
    disputed = sum(len(unfinished.disputed) for unfinished in summary.unfinished)
    if disputed:
        yield f"{counted(disputed, 'report')} disputed"
    given_up = sum(len(unfinished.given_up) for unfinished in summary.unfinished)
    if given_up:
        yield f"{counted(given_up, 'window')} given up"


def _unfinished(summary: RunSummary) -> Iterator[str]:
    by_state: Counter[State] = Counter()
    for series_open in {
        unfinished.series.key: unfinished.open for unfinished in summary.unfinished
    }.values():
        by_state.update(series_open)
    held = by_state.pop(State.HELD, 0)
    if held:
        yield f"{counted(held, 'report')} held: we do not know whether the API accepted it"
    if by_state:
        yield f"{counted(by_state.total(), 'report')} open"
    owed = sum(
        bool(unfinished.owed and unfinished.refused is None) for unfinished in summary.unfinished
    )
    if owed:
        yield f"{counted(owed, 'series')} with time that is still missing"
    if summary.others.open:
        yield f"open: {others_text(summary.others)}"


# --- as JSON --------------------------------------------------------------------------------------


def as_json(summary: RunSummary) -> dict[str, Any]:
    """The answer of `run --json`; moments in UTC, keys that stay as they are."""
    return {
        "jobs": [job.name for job in summary.jobs],
        "now": utc_text(summary.now),
        "seconds": round(summary.lasted.total_seconds(), 3),
        "requests": summary.requests,
        "collected": summary.collected.as_json,
        "in_all": summary.in_all.as_json,
        "price": None if summary.price is None else dict(summary.price),
        "directory": summary.directory,
        "made_up": [
            {"job": name, "windows": window_list(windows)}
            for name, windows in summary.plan_notes.backfilled.items()
        ],
        "unsettled": list(map(_unsettled, summary.unfinished)),
        "waived": summary.waived,
        "erased": summary.erased,
        "column_drift": [
            {**series_fields(drift.series), **drift.as_json} for drift in summary.column_drift
        ],
        "others": summary.others.as_json,
        "later": [
            {"job": job.name, **later_fields(rest)}
            for job in summary.jobs
            for rest in later(job, summary.now)
        ],
        "callbacks": None if summary.callbacks is None else dict(summary.callbacks),
        "event_loop": summary.event_loop.as_json,
        "needs_person": summary.remains.needs_person,
        "unfinished": summary.remains.unfinished,
        "why": why(summary),
        **exit_fields(summary.code),
        "run": summary.run,
    }


def _unsettled(unfinished: UnfinishedSeries) -> dict[str, Any]:
    return {
        "job": unfinished.job.name,
        **series_fields(unfinished.series),
        "owed": window_list(unfinished.owed),
        "attempts": unfinished.attempts,
        "refused": unfinished.refused,
        "open": {state.value: number for state, number in unfinished.open.items()},
        "given_up": [
            {**window_fields(gap.window), "report": gap.report_id, "reason": gap.reason}
            for gap in unfinished.given_up
        ],
        "disputed": [
            {
                **window_fields(report.window),
                "report": report.id,
                "request_id": report.request_id,
                "reason": report.reason,
            }
            for report in unfinished.disputed
        ],
    }
