"""`files`: the collected files, for people and for programs."""

import sys
from pathlib import Path
from typing import Final

import click

from orchestrator.app.file_changes import FileChange, FileChanges, changed_files
from orchestrator.app.files import ReportFile, files, from_here
from orchestrator.cli import options
from orchestrator.cli.inputs import read_inputs
from orchestrator.cli.output import json_list, json_text, write, write_lines
from orchestrator.cli.tables import aligned, series_cells, tab_separated
from orchestrator.core.column_changes import ColumnChanges
from orchestrator.core.intervals import Window
from orchestrator.core.local_dates import moment_text, zone_of
from orchestrator.core.model import Series
from orchestrator.core.policy import ExitCode
from orchestrator.reporting.json_fields import series_fields
from orchestrator.texts import utc_text

COLUMNS: Final = (
    "account_id",
    "product",
    "direction",
    "filter",
    "date_start",
    "date_end",
    "path",
    "rows",
    "sha256",
    "request_id",
    "report",
    "collected_at",
    "edition",
    "replaces",
    "finding",
)
"""The columns of the list, in their order; a contract. With `--since` follows `change`."""

_NUMBERS: Final = frozenset({"rows", "report", "edition", "replaces"})
"""Columns that are aligned on their right."""

_SHORT: Final = COLUMNS.index("sha256")
"""Number of columns that a terminal shows without `--long`."""


@click.command(
    short_help="List the collected files.",
    epilog="Examples: `orchestrator files jobs/nightly.yaml` to look; `orchestrator files "
    "jobs/nightly.yaml | cut -f 7` for the paths alone (the first line names the columns).",
)
@options.jobs_argument
@click.option(
    "--long", "is_long", is_flag=True, help="On a terminal: also the columns from the SHA-256 on."
)
@click.option(
    "--since",
    metavar="RUN|TIME",
    help="Only what was added, replaced or removed since the end of a run (its id is in _SUCCESS "
    "and in `run --json`), since the `until` of an earlier answer, or since a time.",
)
@options.json_option
@options.config_option
def command(
    jobs: tuple[Path, ...], is_long: bool, since: str | None, as_json: bool, config: Path | None
) -> int:
    """List the collected files of these job files, by series and time.

    Of each file: what it holds, the time it covers (`date_end` is the first moment that is not in
    it), its place, its records, its SHA-256, and the API's name for the report; our number of the
    report, when it was collected, its edition, the report that it replaces, and why a person had to
    accept it. On a terminal the columns are aligned, dates are those of the job's time zone, and
    the columns from the SHA-256 on need --long; elsewhere columns are separated by tabs, and dates
    are UTC. With --json: a list of objects, with absolute paths; with --since an object that has
    the list, and `until`, the next --since.
    """
    inputs = read_inputs(jobs, config, quiet=True)
    if since is not None:
        _show_changes(changed_files(inputs, since), as_json=as_json, is_long=is_long)
        return ExitCode.DONE
    every = files(inputs)
    if as_json:
        write(json_list(json_text(file_fields(file)) for file in every))
        write(["\n"])
    elif sys.stdout.isatty():
        columns = COLUMNS if is_long else COLUMNS[:_SHORT]
        rows = (_local_cells(file)[: len(columns)] for file in every)
        write_lines(aligned(columns, rows, right=_NUMBERS))
    else:
        write_lines(tab_separated(COLUMNS, map(_cells, every)))
    return ExitCode.DONE


def file_fields(file: ReportFile) -> dict[str, object]:
    """A collected file as JSON has it."""
    return {
        **series_fields(file.series),
        "date_start": utc_text(file.window.start),
        "date_end": utc_text(file.window.end),
        "path": file.url or str(file.path),
        "rows": file.rows,
        "sha256": file.sha256,
        "request_id": file.request_id,
        "report": file.report,
        "collected_at": utc_text(file.collected_at),
        "edition": file.edition,
        "replaces": file.replaces,
        "finding": file.finding,
        "size_bytes": file.size_bytes,
        "columns": (file.columns or ColumnChanges()).as_json,
    }


def _show_changes(changes: FileChanges, *, as_json: bool, is_long: bool) -> None:
    if as_json:
        head = json_text({"since": changes.since, "until": changes.until})
        write([head[:-1], ',"files":'])
        write(json_list(json_text(_change_fields(change)) for change in changes))
        write(["}\n"])
    elif sys.stdout.isatty():
        shown = len(COLUMNS) if is_long else _SHORT
        rows = (
            [*_change_cells(change, local=True)[:shown], change.change.value] for change in changes
        )
        write_lines(aligned((*COLUMNS[:shown], "change"), rows, right=_NUMBERS))
    else:
        rows = ([*_change_cells(change), change.change.value] for change in changes)
        write_lines(tab_separated((*COLUMNS, "change"), rows))


def _change_fields(change: FileChange) -> dict[str, object]:
    if change.file is not None:
        return {"change": change.change.value, **file_fields(change.file)}
    return {
        "change": change.change.value,
        **series_fields(change.series),
        "date_start": utc_text(change.window.start),
        "date_end": utc_text(change.window.end),
        "report": change.report,
    }


def _change_cells(change: FileChange, *, local: bool = False) -> list[str]:
    if change.file is not None:
        return (_local_cells if local else _cells)(change.file)
    cells = dict.fromkeys(COLUMNS, "")
    cells["report"] = str(change.report)
    first = [*series_cells(change.series), *_dates(change.series, change.window, local=local)]
    return [*first, *list(cells.values())[len(first) :]]


def _cells(file: ReportFile) -> list[str]:
    return [
        *series_cells(file.series),
        *_dates(file.series, file.window, local=False),
        from_here(file.url or file.path),
        str(file.rows),
        file.sha256,
        file.request_id or "",
        str(file.report),
        utc_text(file.collected_at),
        str(file.edition),
        "" if file.replaces is None else str(file.replaces),
        file.finding or "",
    ]


def _dates(series: Series, window: Window, *, local: bool) -> list[str]:
    ends = (window.start, window.end)
    return [moment_text(end, zone_of(series)) if local else utc_text(end) for end in ends]


def _local_cells(file: ReportFile) -> list[str]:
    """As `_cells`, with the dates of the job's time zone."""
    cells = _cells(file)
    at = COLUMNS.index("date_start")
    cells[at : at + 2] = _dates(file.series, file.window, local=True)
    cells[COLUMNS.index("collected_at")] = moment_text(file.collected_at, zone_of(file.series))
    return cells
