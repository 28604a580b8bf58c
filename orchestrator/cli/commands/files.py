"""`files`: the collected files, for people and for programs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click

from orchestrator.app.ledger_reading import reading_ledger
from orchestrator.app.selection import collected, file_of, from_here
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
from orchestrator.core.policy import ExitCode
from orchestrator.texts import utc_text

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.core.model import Report
    from orchestrator.core.settings import Config

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


@click.command(
    short_help="List the collected files.",
    epilog="Examples: `orchestrator files jobs/nightly.yaml` to look; `orchestrator files "
    "jobs/nightly.yaml | cut -f 7` for the paths alone (the first line names the columns).",
)
@options.jobs_argument
@options.json_option
@options.config_option
def command(jobs: tuple[Path, ...], as_json: bool, config: Path | None) -> int:
    """List the collected files of these job files, by series and time.

    Of each file: what it holds, the time it covers (`date_end` is the first moment that is not in
    it), its place, its records, its SHA-256, and the API's name for the report. On a terminal the
    columns are aligned, elsewhere they are separated by tabs. With --json: a list of objects,
    with absolute paths.
    """
    inputs = read_inputs(jobs, config, quiet=True)
    with reading_ledger(inputs.config) as store:
        reports = collected(store, inputs.jobs)
        if as_json:
            write(json_list(json_text(_fields(inputs.config, report)) for report in reports))
            write(["\n"])
        else:
            cells = (_cells(inputs.config, report) for report in reports)
            if sys.stdout.isatty():
                write_lines(aligned(COLUMNS, cells, right=frozenset({"rows"})))
            else:
                write_lines(tab_separated(COLUMNS, cells))
    return ExitCode.DONE


def _fields(config: Config, report: Report) -> dict[str, object]:
    return {
        **series_fields(report.series),
        "date_start": utc_text(report.window.start),
        "date_end": utc_text(report.window.end),
        "path": str(file_of(config, report)),
        "rows": report.rows,
        "sha256": report.sha256,
        "request_id": report.request_id,
    }


def _cells(config: Config, report: Report) -> list[str]:
    return [
        *series_cells(report.series),
        utc_text(report.window.start),
        utc_text(report.window.end),
        from_here(file_of(config, report)),
        str(report.rows),
        report.sha256 or "",
        report.request_id or "",
    ]
