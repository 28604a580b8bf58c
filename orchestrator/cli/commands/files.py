"""`files`: the collected files, for people and for programs."""

import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import click

from orchestrator.app.file_changes import FileChange, changed_files
from orchestrator.app.files import ReportFile, files, from_here
from orchestrator.cli import options
from orchestrator.cli.inputs import read_inputs
from orchestrator.cli.output import json_list, json_text, write, write_lines
from orchestrator.cli.tables import aligned, series_cells, tab_separated
from orchestrator.core.file_columns import ColumnChanges
from orchestrator.core.local_dates import moment_text, zone_of
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

_SHORT: Final = COLUMNS.index("sha256")  # Number of columns that a terminal shows without `--long`.


@click.command(
    epilog="Examples: `orchestrator files jobs/nightly.yaml` to look; `orchestrator files "
    "jobs/nightly.yaml | cut -f 7` for the paths alone (the first line names the columns)."
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
    changes = None if since is None else changed_files(inputs, since)
    entries: Iterator[tuple[ReportFile | FileChange, list[str]]] = (
        ((file, []) for file in files(inputs))
        if changes is None
        else ((change.file or change, [change.change.value]) for change in changes)
    )
    if as_json:
        if changes is not None:
            head = json_text({"since": changes.since, "until": changes.until})
            write([head[:-1], ',"files":'])
        write(json_list(json_text(_fields(*entry)) for entry in entries))
        write(["\n" if changes is None else "}\n"])
        return ExitCode.DONE
    is_terminal = sys.stdout.isatty()
    shown = _SHORT if is_terminal and not is_long else len(COLUMNS)
    columns = (*COLUMNS[:shown], *(() if changes is None else ("change",)))
    rows = ([*_cells(what, local=is_terminal)[:shown], *change] for what, change in entries)
    write_lines(
        aligned(columns, rows, right=_NUMBERS) if is_terminal else tab_separated(columns, rows)
    )
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
        "source_sha256": file.source_sha256,
    }


def _fields(what: ReportFile | FileChange, change: list[str]) -> dict[str, object]:
    """A file, or one that was removed, as JSON has it; with what has changed, if that is asked."""
    fields: dict[str, object] = {"change": change[0]} if change else {}
    if isinstance(what, ReportFile):
        return {**fields, **file_fields(what)}
    return {
        **fields,
        **series_fields(what.series),
        "date_start": utc_text(what.window.start),
        "date_end": utc_text(what.window.end),
        "report": what.report,
    }


def _cells(what: ReportFile | FileChange, *, local: bool) -> list[str]:
    """The columns of a file, or of one that was removed; dates of the job's zone, or of UTC."""

    def moment(at: datetime) -> str:
        return moment_text(at, zone_of(what.series)) if local else utc_text(at)

    first = [*series_cells(what.series), moment(what.window.start), moment(what.window.end)]
    if isinstance(what, FileChange):
        rest = COLUMNS[len(first) :]
        return [*first, *(str(what.report) if name == "report" else "" for name in rest)]
    return [
        *first,
        from_here(what.url or what.path),
        str(what.rows),
        what.sha256,
        what.request_id or "",
        str(what.report),
        moment(what.collected_at),
        str(what.edition),
        "" if what.replaces is None else str(what.replaces),
        what.finding or "",
    ]
