"""`files`: the collected files, for people and for programs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click

from orchestrator.app.files import ReportFile, files, from_here
from orchestrator.cli import options
from orchestrator.cli.inputs import read_inputs
from orchestrator.cli.output import (
    json_list,
    json_text,
    series_cells,
    series_fields,
    write,
    write_lines,
)
from orchestrator.cli.tables import aligned, tab_separated
from orchestrator.core.local_dates import moment_text, zone_of
from orchestrator.core.policy import ExitCode
from orchestrator.texts import utc_text

if TYPE_CHECKING:
    from pathlib import Path

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
)
"""The columns of the list, in their order; a contract."""

_SHORT: Final = COLUMNS.index("sha256")
"""Number of columns that a terminal shows without `--long`."""


@click.command(
    short_help="List the collected files.",
    epilog="Examples: `orchestrator files jobs/nightly.yaml` to look; `orchestrator files "
    "jobs/nightly.yaml | cut -f 7` for the paths alone (the first line names the columns).",
)
@options.jobs_argument
@click.option(
    "--long", "is_long", is_flag=True, help="On a terminal: also the SHA-256 and the request_id."
)
@options.json_option
@options.config_option
def command(jobs: tuple[Path, ...], is_long: bool, as_json: bool, config: Path | None) -> int:
    """List the collected files of these job files, by series and time.

    Of each file: what it holds, the time it covers (`date_end` is the first moment that is not in
    it), its place, its records, its SHA-256, and the API's name for the report. On a terminal the
    columns are aligned, dates are those of the job's time zone, and the last two columns need
    --long; elsewhere columns are separated by tabs, and dates are UTC. With --json: a list of
    objects, with absolute paths.
    """
    every = files(read_inputs(jobs, config, quiet=True))
    if as_json:
        write(json_list(json_text(_fields(file)) for file in every))
        write(["\n"])
    elif sys.stdout.isatty():
        columns = COLUMNS if is_long else COLUMNS[:_SHORT]
        rows = (_local_cells(file)[: len(columns)] for file in every)
        write_lines(aligned(columns, rows, right=frozenset({"rows"})))
    else:
        write_lines(tab_separated(COLUMNS, map(_cells, every)))
    return ExitCode.DONE


def _fields(file: ReportFile) -> dict[str, object]:
    return {
        **series_fields(file.series),
        "date_start": utc_text(file.window.start),
        "date_end": utc_text(file.window.end),
        "path": str(file.path),
        "rows": file.rows,
        "sha256": file.sha256,
        "request_id": file.request_id,
    }


def _cells(file: ReportFile) -> list[str]:
    return [
        *series_cells(file.series),
        utc_text(file.window.start),
        utc_text(file.window.end),
        from_here(file.path),
        str(file.rows),
        file.sha256,
        file.request_id or "",
    ]


def _local_cells(file: ReportFile) -> list[str]:
    """As `_cells`, with the dates of the job's time zone."""
    cells = _cells(file)
    zone = zone_of(file.series)
    at = COLUMNS.index("date_start")
    cells[at : at + 2] = [moment_text(end, zone) for end in (file.window.start, file.window.end)]
    return cells
