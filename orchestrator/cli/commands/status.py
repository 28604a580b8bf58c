"""`status`: where every report stands, and why, in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import dropwhile
from typing import TYPE_CHECKING, Any, Final

import click

from orchestrator.app.ledger_reading import reading_ledger, series_of
from orchestrator.app.setup import clock_of
from orchestrator.app.status import LISTED, Listed, Listing, fates, listing
from orchestrator.cli import options
from orchestrator.cli.inputs import read_inputs
from orchestrator.cli.output import (
    json_list,
    json_text,
    optional_moment,
    series_cells,
    series_fields,
    window_fields,
    write,
    write_lines,
)
from orchestrator.cli.tables import aligned
from orchestrator.core.commands import JOB, typed
from orchestrator.core.lifecycle import OPEN, State
from orchestrator.core.local_dates import chunk_text
from orchestrator.core.policy import ExitCode
from orchestrator.reporting.line_folding import TOLD, cause_of
from orchestrator.reporting.phrases import (
    Fate,
    counted,
    moment_words,
    numbers_words,
    size_words,
)
from orchestrator.texts import utc_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from orchestrator.config import Inputs
    from orchestrator.core.model import GivenUp, Series
    from orchestrator.core.ports import LedgerReader

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
    Fate.OWED: "without a file, owed again",
    Fate.WAIVED: "done without",
    Fate.AGAIN: "without a file, asked for again since",
}
_STANDING: Final = {
    **dict.fromkeys(OPEN, "open"),
    State.HELD: "held",
    State.DISPUTED: "disputed",
    State.WAIVED: _FATES[Fate.WAIVED],
    State.SUPERSEDED: "replaced by a newer edition",
}
"""What the last line says of reports by their state; of the others the window's fate says it."""

_ORDER: Final = (
    "open",
    *(_STANDING[state] for state in (State.HELD, State.DISPUTED)),
    *(_FATES[fate] for fate in (Fate.GIVEN_UP, Fate.OWED, Fate.WAIVED)),
    _STANDING[State.SUPERSEDED],
    _FATES[Fate.AGAIN],
)
"""What is to be done comes first, and history last."""

_FIRST_FEW: Final = 5
"""Reports of one cause whose numbers are said."""

Counts = dict[State, tuple[int, int, int]]
"""By state: reports, rows and bytes."""


@click.command(
    short_help="Show where every report stands, and why.",
    epilog="Examples: `orchestrator status` for all that the ledger knows; `orchestrator status "
    "jobs/nightly.yaml --failed` for what was given up or is disputed, with what you can do.",
)
@options.optional_jobs_argument
@click.option(
    "--failed",
    is_flag=True,
    help="List only what failed, was refused or given up, or is disputed, one by one.",
)
@click.option("--open", "still_open", is_flag=True, help="List only what a run goes on with.")
@click.option("--held", is_flag=True, help="List only what may or may not exist at the API.")
@options.json_option
@options.config_option
def command(
    *,
    jobs: tuple[Path, ...],
    failed: bool,
    still_open: bool,
    held: bool,
    as_json: bool,
    config: Path | None,
) -> int:
    """Show where every report stands, and why.

    First the numbers of each series: what is collected, and what else there is by its state.
    Then every report that is not collected: what happened, when, what the API said, and what
    happens next or what you can do; many of one cause are one entry. With --failed, --open or
    --held only these reports, each on its own. Without a JOB it is about all that the ledger knows.
    Reports whose window has been asked for again since are only in the numbers (and in --json).
    """
    chosen = {
        listed
        for listed, asked in (
            (Listed.FAILED, failed),
            (Listed.OPEN, still_open),
            (Listed.HELD, held),
        )
        if asked
    }
    now = clock_of(None).now()
    inputs = read_inputs(jobs, config, quiet=True)
    with reading_ledger(inputs.config) as store:
        if as_json:
            write(_as_json(inputs, store, chosen, now))
        else:
            write_lines(_as_text(inputs, store, chosen, now))
    return ExitCode.DONE


# --- JSON -----------------------------------------------------------------------------------------


def _as_json(
    inputs: Inputs, store: LedgerReader, chosen: set[Listed], now: datetime
) -> Iterator[str]:
    ledger = json_text(str(inputs.config.state))
    yield f'{{"now":{json_text(utc_text(now))},"ledger":{ledger},"series":'
    yield from json_list(
        json_text(
            {
                **series_fields(series),
                "states": {
                    state.value: {"reports": number, "rows": rows, "size_bytes": size_bytes}
                    for state, (number, rows, size_bytes) in _in_order(store.counts(series))
                },
            }
        )
        for series in series_of(store, inputs.jobs)
    )
    yield ',\n"reports":'
    yield from json_list(
        json_text(_report_fields(entry))
        for series in series_of(store, inputs.jobs)
        for entry in listing(store, inputs.config, series, chosen, now)
    )
    yield ',\n"given_up":'
    yield from json_list(
        json_text(_given_up_fields(one))
        for series in series_of(store, inputs.jobs)
        for one in store.given_up(series)
        if not chosen or Listed.FAILED in chosen
    )
    yield "}\n"


def _report_fields(entry: Listing) -> dict[str, Any]:
    report = entry.report
    return {
        "report": report.id,
        **series_fields(report.series),
        **window_fields(report.window),
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
        "what": entry.words.what,
        "then": entry.words.then,
    }


def _given_up_fields(one: GivenUp) -> dict[str, Any]:
    return {
        **series_fields(one.series),
        **window_fields(one.window),
        "report": one.report_id,
        "reason": one.reason,
        "at": utc_text(one.at),
        "waived": one.acknowledged,
    }


# --- for people -----------------------------------------------------------------------------------


def _as_text(
    inputs: Inputs, store: LedgerReader, chosen: set[Listed], now: datetime
) -> Iterator[str]:
    if chosen:
        # Each entry begins with an empty line; the first stands at the top.
        yield from dropwhile(lambda line: not line, _listed(inputs, store, chosen, now))
        return
    total: Counter[str] = Counter()
    others: Counter[str] = Counter()
    found = False
    for line in aligned(_HEADERS, _rows(inputs, store, total, others), right=_NUMBERS):
        found = True
        yield line
    if not found:
        yield f"nothing has been asked for yet (ledger {inputs.config.state})"
        return
    yield ""
    yield (
        f"in all: {counted(total['collected'], 'report')} collected with "
        f"{counted(total['rows'], 'record')}, {size_words(total['bytes'])}"
        f"{_others_words(others)}"
    )
    alike = _alike(inputs, store, now)
    for series in series_of(store, inputs.jobs):
        for entry in listing(store, inputs.config, series, set(), now):
            if entry.is_worth_reading:
                group = alike.get(_cause(entry))
                if group is None or group.number <= TOLD:
                    yield from _report_lines(entry)
                elif group.first[0] == entry.report.id:
                    yield from _group_lines(entry, group)
        yield from _windows_without_report(store.given_up(series))


def _listed(
    inputs: Inputs, store: LedgerReader, chosen: set[Listed], now: datetime
) -> Iterator[str]:
    """The reports that the options ask for, each on its own."""
    found = 0
    for series in series_of(store, inputs.jobs):
        for entry in listing(store, inputs.config, series, chosen, now):
            if entry.is_worth_reading:
                found += 1
                yield from _report_lines(entry)
        if Listed.FAILED in chosen:
            given_up = store.given_up(series)
            found += sum(one.report_id is None for one in given_up)
            yield from _windows_without_report(given_up)
    if not found:
        words = " or ".join(sorted(listed.value for listed in chosen))
        yield f"nothing is {words} (ledger {inputs.config.state})"


@dataclass(slots=True)
class _Alike:
    """Reports of one cause: how many, and the numbers of the first few."""

    number: int = 0
    first: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        return numbers_words(self.first, self.number)


def _alike(inputs: Inputs, store: LedgerReader, now: datetime) -> dict[str, _Alike]:
    """The reports that came to nothing or are disputed, by cause."""
    found: dict[str, _Alike] = {}
    for series in series_of(store, inputs.jobs):
        for entry in listing(store, inputs.config, series, {Listed.FAILED}, now):
            if entry.is_worth_reading:
                one = found.setdefault(_cause(entry), _Alike())
                one.number += 1
                if len(one.first) < _FIRST_FEW:
                    one.first.append(entry.report.id)
    return found


def _cause(entry: Listing) -> str:
    fate = "" if entry.fate is None else entry.fate.value
    return f"{entry.report.state.value} {fate} {cause_of(entry.words.what)}"


def _rows(
    inputs: Inputs, store: LedgerReader, total: Counter[str], series_state: Counter[str]
) -> Iterator[Sequence[str]]:
    """A row a series; adds up what is collected, and how the other reports stand."""
    for series in series_of(store, inputs.jobs):
        counts = store.counts(series)
        number, rows, size_bytes = counts.get(State.COLLECTED, (0, 0, 0))
        others = {state: count for state, count in _in_order(counts) if state in LISTED}
        total["collected"] += number
        total["rows"] += rows
        total["bytes"] += size_bytes
        series_state.update(_others(store, series, others))
        yield [
            *series_cells(series),
            f"{number:,}",
            f"{rows:,}",
            size_words(size_bytes),
            ", ".join(f"{count:,} {state.value}" for state, (count, _, _) in others.items()),
        ]


def _others(store: LedgerReader, series: Series, counts: Counts) -> Counter[str]:
    """How the reports stand that are not collected; by what happens to their windows."""
    by_word: Counter[str] = Counter()
    came_to_nothing = 0
    for state, (number, _, _) in counts.items():
        if state in _STANDING:
            by_word[_STANDING[state]] += number
        else:
            came_to_nothing += number
    if came_to_nothing:
        for fate, number in fates(store, series).items():
            by_word[_FATES[fate]] += number
    return by_word


def _others_words(others: Counter[str]) -> str:
    """``; 1 open; 2 given up``, in the order of what is to be done; empty where there are none."""
    words = [f"{others[word]:,} {word}" for word in _ORDER if others[word]]
    return "".join(f"; {one}" for one in words)


def _in_order(
    counts: Mapping[State, tuple[int, int, int]],
) -> list[tuple[State, tuple[int, int, int]]]:
    """The counts in the order of a report's life."""
    return [(state, counts[state]) for state in State if state in counts]


def _report_lines(entry: Listing) -> Iterator[str]:
    report = entry.report
    at = moment_words(report.changed_at or report.intended_at)
    yield ""
    yield f"report {report.id}: {chunk_text(report)}: {report.state.value} since {at}"
    yield f"  {entry.words.what}"
    if entry.words.then:
        yield f"  {entry.words.then}"


def _group_lines(entry: Listing, alike: _Alike) -> Iterator[str]:
    report = entry.report
    yield ""
    yield (
        f"{counted(alike.number, 'report')} of one cause, {report.state.value}: {alike}; such as "
        f"report {report.id}: {chunk_text(report)}"
    )
    yield f"  {entry.words.what}"
    if entry.fate is Fate.OWED:
        yield f"  {entry.words.then}"
    else:
        yield f"  {typed('status', JOB, '--failed')} says of each what can be done"


def _windows_without_report(given_up: Sequence[GivenUp]) -> Iterator[str]:
    for one in given_up:
        if one.report_id is None:
            yield ""
            yield f"{chunk_text(one)}: given up at {moment_words(one.at)}"
            yield f"  {one.reason}"
            yield f"  {typed('run', JOB, '--retry-failed')} asks for it again"
