"""`status`: where every report stands, and why, in words."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import dropwhile
from pathlib import Path
from typing import Any, Final

import click

from orchestrator.app.status import (
    LISTED,
    Filter,
    JobStatus,
    ReportStatus,
    SeriesStatus,
    Status,
    status,
)
from orchestrator.cli import options
from orchestrator.cli.inputs import read_inputs
from orchestrator.cli.output import json_list, json_text, write, write_lines
from orchestrator.cli.tables import aligned, series_cells
from orchestrator.core.commands import JOB, typed
from orchestrator.core.lifecycle import OPEN, State
from orchestrator.core.local_dates import chunk_text, moment_text
from orchestrator.core.model import GivenUp
from orchestrator.core.policy import ExitCode
from orchestrator.reporting.json_fields import (
    beside_fields,
    chunk_fields,
    optional_moment,
    series_fields,
)
from orchestrator.reporting.line_folding import MAX_ALIKE, cause_of
from orchestrator.reporting.phrases import (
    Fate,
    but_for,
    counted,
    drift_lines,
    moment_words,
    numbers_words,
    size_words,
)
from orchestrator.reporting.wrapping import terminal_width
from orchestrator.texts import utc_text

_HEADERS: Final = (
    "ACCOUNT",
    "PRODUCT",
    "DIRECTION",
    "FILTER",
    "COLLECTED",
    "RECORDS",
    "SIZE",
    "OTHER REPORTS",
)
_NUMBERS: Final = frozenset({"COLLECTED", "RECORDS", "SIZE"})

_FATES: Final = {
    Fate.GIVEN_UP: "given up",
    Fate.OWED: "failed, will be retried",
    Fate.WAIVED: "skipped",
    Fate.AGAIN: "failed earlier, already replaced",
}
_STANDING: Final = {
    **dict.fromkeys(OPEN, "open"),
    State.HELD: "held",
    State.DISPUTED: "disputed",
    State.WAIVED: _FATES[Fate.WAIVED],
    State.SUPERSEDED: "replaced by a newer edition",
    State.ERASED: "erased on purpose",
}
"""What the last line says of reports by their state; of the others the window's fate says it."""

_ORDER: Final = (
    "open",
    *(_STANDING[state] for state in (State.HELD, State.DISPUTED)),
    *(_FATES[fate] for fate in (Fate.GIVEN_UP, Fate.OWED, Fate.WAIVED)),
    *(_STANDING[state] for state in (State.ERASED, State.SUPERSEDED)),
    _FATES[Fate.AGAIN],
)
"""What is to be done comes first, and history last."""

_FIRST_FEW: Final = 5  # Reports of one cause whose numbers are said.


@click.command(
    epilog="Examples: `orchestrator status` for all that the ledger knows; `orchestrator status "
    "jobs/nightly.yaml --failed` for what was given up or is disputed, with what you can do."
)
@options.optional_jobs_argument
@click.option(
    "--failed", is_flag=True, help="List only what failed, was refused or given up, or is disputed."
)
@click.option("--open", "still_open", is_flag=True, help="List only what a run goes on with.")
@click.option("--held", is_flag=True, help="List only what may or may not exist at the API.")
@click.option(
    "--long", "is_long", is_flag=True, help="List each on its own, even if many are of one cause."
)
@options.json_option
@options.config_option
def command(
    *,
    jobs: tuple[Path, ...],
    failed: bool,
    still_open: bool,
    held: bool,
    is_long: bool,
    as_json: bool,
    config: Path | None,
) -> int:
    """Show where every report stands, and why.

    First how far each JOB has got: whether everything is collected, what is missing, and what
    needs you. Then the numbers of each series: what is collected, and what else there is by its
    state. Then every report that is not collected: what happened, when, what the API said, and
    what happens next or what you can do; many of one cause are one entry, unless --long is given.
    With --failed, --open or --held only these reports. Without a JOB it is about all that the
    ledger knows.
    Reports whose window has been asked for again since are only in the numbers (and in --json).
    """
    chosen = {
        each
        for each, asked in ((Filter.FAILED, failed), (Filter.OPEN, still_open), (Filter.HELD, held))
        if asked
    }
    with status(read_inputs(jobs, config, quiet=True)) as current:
        if as_json:
            write(_as_json(current, chosen))
        else:
            write_lines(_as_text(current, chosen, each=is_long))
    return ExitCode.DONE


# --- JSON -----------------------------------------------------------------------------------------


def _as_json(current: Status, chosen: set[Filter]) -> Iterator[str]:
    ledger = json_text(str(current.inputs.config.state))
    yield f'{{"now":{json_text(utc_text(current.now))},"ledger":{ledger},"jobs":'
    yield from json_list(json_text(_job_fields(job)) for job in (() if chosen else current.jobs()))
    yield ',\n"series":'
    yield from json_list(
        json_text(
            {
                **series_fields(each.series),
                "states": {state.value: asdict(count) for state, count in each.states.items()},
            }
        )
        for each in current.series()
    )
    yield ',\n"reports":'
    yield from json_list(json_text(_report_fields(entry)) for entry in current.reports(chosen))
    yield ',\n"given_up":'
    wanted = not chosen or Filter.FAILED in chosen
    yield from json_list(
        json_text(_given_up_fields(gap)) for gap in (current.given_up() if wanted else ())
    )
    yield ',\n"column_drift":'
    yield from json_list(
        json_text({**series_fields(drift.series), **drift.as_json})
        for drift in current.column_drift()
    )
    yield "}\n"


def _job_fields(status: JobStatus) -> dict[str, Any]:
    return {
        "job": status.job.name,
        "until": utc_text(status.until),
        "complete": status.is_complete,
        "series": status.series,
        "missing": status.missing,
        "since": optional_moment(status.since),
        **beside_fields(status),
    }


def _report_fields(entry: ReportStatus) -> dict[str, Any]:
    report = entry.report
    return {
        "report": report.id,
        **chunk_fields(report),
        "state": report.state.value,
        "request_id": report.request_id,
        "api_key": report.api_key,
        "job": report.job,
        "intended_at": utc_text(report.intended_at),
        "submitted_at": optional_moment(report.submitted_at),
        "ready_at": optional_moment(report.ready_at),
        "expires_at": optional_moment(report.expires_at),
        "changed_at": optional_moment(report.changed_at),
        "items_count": report.items_count,
        "reason": report.reason,
        "window_is": None if entry.fate is None else entry.fate.value,
        "what": entry.explanation.what,
        "then": entry.explanation.then,
    }


def _given_up_fields(gap: GivenUp) -> dict[str, Any]:
    return {
        **chunk_fields(gap),
        "report": gap.report_id,
        "reason": gap.reason,
        "at": utc_text(gap.at),
        "waived": gap.acknowledged,
    }


# --- for people -----------------------------------------------------------------------------------


def _as_text(current: Status, chosen: set[Filter], *, each: bool) -> Iterator[str]:
    if chosen:
        # Each entry begins with an empty line; the first stands at the top.
        lines = dropwhile(lambda line: not line, _listed(current, chosen, each=each))
        kinds = " or ".join(sorted(each.value for each in chosen))
        nothing = f"nothing is {kinds} (ledger {current.inputs.config.state})"
        first = next(lines, nothing)
        yield first
        yield from lines
        return
    total: Counter[str] = Counter()
    others: Counter[str] = Counter()
    is_empty = True
    for job in current.jobs():
        yield from _job_lines(job)
    if current.inputs.jobs:
        yield ""
    for line in aligned(
        _HEADERS,
        _rows(current, total, others),
        right=_NUMBERS,
        spare=("SIZE", "RECORDS"),
        folded=("OTHER REPORTS", "FILTER"),
        width=terminal_width(sys.stdout),
    ):
        is_empty = False
        yield line
    if is_empty:
        yield f"nothing has been asked for yet (ledger {current.inputs.config.state})"
        return
    yield ""
    yield (
        f"in all: {counted(total['collected'], 'report')} collected with "
        f"{counted(total['rows'], 'record')}, {size_words(total['bytes'])}"
        f"{_others_words(others)}"
    )
    yield from drift_lines(current.column_drift())
    yield from _listed(current, chosen, each=False)


def _job_lines(status: JobStatus) -> Iterator[str]:
    """Whether all is collected that can be; if not, what is missing, and what needs a person."""
    zone = status.job.zone
    name, until = status.job.name, moment_text(status.until, zone)
    if status.is_complete:
        lacking = but_for(status.waived, status.erased)
        yield f"{name}: everything before {until} is collected{lacking}"
        return
    facts = []
    if status.since is not None:
        facts.append(
            f"{status.missing:,} of {status.series:,} series still missing, from "
            f"{moment_text(status.since, zone)} on"
        )
    if status.open:
        facts.append(f"{counted(status.open, 'report')} open")
    if status.held:
        facts.append(f"{status.held:,} held")
    if status.waived:
        facts.append(f"{counted(status.waived, 'window')} skipped as you decided")
    more = f": {', '.join(facts)}" if facts else ""
    yield f"{name}: not everything before {until} is collected{more}"
    needs = [
        f"{number:,} {state}"
        for number, state in ((status.disputed, "disputed"), (status.given_up, "given up"))
        if number
    ]
    if needs:
        yield f"  needs you: {', '.join(needs)}: {typed('status', JOB, '--failed')}"


def _listed(current: Status, chosen: set[Filter], *, each: bool) -> Iterator[str]:
    """The reports that the options ask for; many of one cause together, unless each is wanted."""
    groups = {} if each else _by_cause(current, chosen)
    for entry in current.reports(chosen):
        if entry.is_current:
            group = groups.get(_cause(entry))
            if group is None or group.number <= MAX_ALIKE:
                yield from _report_lines(entry)
            elif group.first[0] == entry.report.id:
                yield from _group_lines(entry, group)
    if not chosen or Filter.FAILED in chosen:
        yield from _windows_without_report(current, each=each)


def _windows_without_report(current: Status, *, each: bool) -> Iterator[str]:
    """The windows that were given up before there was a report."""
    reasons: dict[str, str] = {}
    numbers: Counter[str] = Counter()
    for gap in current.given_up():
        if gap.report_id is None:
            cause = cause_of(gap.reason)
            reasons.setdefault(cause, gap.reason)
            numbers[cause] += 1
            if each or numbers[cause] <= MAX_ALIKE:
                yield ""
                yield f"{chunk_text(gap)}: given up at {moment_words(gap.at)}"
                yield f"  {gap.reason}"
                yield f"  {typed('run', JOB, '--retry-failed')} asks for it again"
    for cause, number in numbers.items():
        if not each and number > MAX_ALIKE:
            yield ""
            yield f"{counted(number - MAX_ALIKE, 'more window')} given up, as: {reasons[cause]}"


@dataclass(slots=True)
class _Group:
    """Reports of one cause: how many, and the numbers of the first few."""

    number: int = 0
    first: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        return numbers_words(self.first, self.number)


def _by_cause(current: Status, chosen: set[Filter]) -> dict[str, _Group]:
    """The reports that the options ask for, by cause."""
    groups: dict[str, _Group] = {}
    for entry in current.reports(chosen):
        if entry.is_current:
            group = groups.setdefault(_cause(entry), _Group())
            group.number += 1
            if len(group.first) < _FIRST_FEW:
                group.first.append(entry.report.id)
    return groups


def _cause(entry: ReportStatus) -> str:
    fate = "" if entry.fate is None else entry.fate.value
    return f"{entry.report.state.value} {fate} {cause_of(entry.explanation.what)}"


def _rows(current: Status, total: Counter[str], others: Counter[str]) -> Iterator[Sequence[str]]:
    """A row a series; adds up what is collected, and how the other reports stand."""
    for each in current.series():
        collected = each.collected
        total["collected"] += collected.reports
        total["rows"] += collected.rows
        total["bytes"] += collected.size_bytes
        others.update(_others(current, each))
        yield [
            *series_cells(each.series),
            f"{collected.reports:,}",
            f"{collected.rows:,}",
            size_words(collected.size_bytes),
            ", ".join(
                f"{count.reports:,} {state.value}"
                for state, count in each.states.items()
                if state in LISTED
            ),
        ]


def _others(current: Status, each: SeriesStatus) -> Counter[str]:
    """How the reports stand that are not collected; by what happens to their windows."""
    by_word: Counter[str] = Counter()
    came_to_nothing = 0
    for state, count in each.states.items():
        if state in _STANDING:
            by_word[_STANDING[state]] += count.reports
        elif state in LISTED:
            came_to_nothing += count.reports
    if came_to_nothing:
        for fate, number in current.fates(each.series).items():
            by_word[_FATES[fate]] += number
    return by_word


def _others_words(others: Counter[str]) -> str:
    """``; 1 open; 2 given up``, in the order of what is to be done; empty where there are none."""
    return "".join(f"; {others[word]:,} {word}" for word in _ORDER if others[word])


def _report_lines(entry: ReportStatus) -> Iterator[str]:
    report = entry.report
    at = moment_words(report.changed_at or report.intended_at)
    yield ""
    yield f"report {report.id}: {chunk_text(report)}: {report.state.value} since {at}"
    yield f"  {entry.explanation.what}"
    if entry.explanation.then:
        yield f"  {entry.explanation.then}"


def _group_lines(entry: ReportStatus, group: _Group) -> Iterator[str]:
    report = entry.report
    yield ""
    yield (
        f"{counted(group.number, 'report')} of one cause, {report.state.value}: {group}; such as "
        f"report {report.id}: {chunk_text(report)}"
    )
    yield f"  {entry.explanation.what}"
    if entry.explanation.then:
        yield f"  {entry.explanation.then}"
    yield f"  {typed('status', JOB, '--long')} lists each of them"
