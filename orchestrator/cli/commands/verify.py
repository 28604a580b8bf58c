"""`verify`: reads every collected file again and compares it with the ledger."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.app.overlaps import SubaccountOverlap
from orchestrator.app.verify import Finding, VerifyResult, verify
from orchestrator.cli import options
from orchestrator.cli.inputs import read_inputs
from orchestrator.cli.output import json_text, say, write, write_lines
from orchestrator.core.commands import JOB, typed
from orchestrator.reporting.json_fields import series_fields, window_list
from orchestrator.reporting.phrases import counted, size_words
from orchestrator.texts import printable, utc_text

if TYPE_CHECKING:
    from rich.progress import Progress


@click.command(
    epilog="Example: `orchestrator verify jobs/nightly.yaml` after a disk was moved or restored."
)
@options.jobs_argument
@options.json_option
@options.config_option
def command(jobs: tuple[Path, ...], as_json: bool, config: Path | None) -> int:
    """Read every collected file of these job files again, and compare it with the ledger.

    Hash and number of records must be those of the day it was collected. Files that stand where
    collected ones do and that the ledger does not know, and a manifest that does not fit, are
    findings too. One line for each; the exit code is 1 if there is any. Nothing is changed, and
    nothing is sent.
    """
    inputs = read_inputs(jobs, config, quiet=True)
    # The first piece comes with the first finding: a ledger that cannot be read has no answer.
    before = '{"findings":[\n'
    faults: set[str] = set()
    with _bar(as_json=as_json) as bar:

        def tell(finding: Finding) -> None:
            nonlocal before
            faults.add(finding.fault)
            if as_json:
                write([before, json_text(_fields(finding))])
                before = ",\n"
            elif bar is not None and sys.stdout.isatty():
                # The bar and the answer share a terminal: the line goes above the bar.
                bar.console.out(printable(finding.text), highlight=False)
            else:
                write_lines([finding.text])

        def show(files: int, total: int) -> None:
            if bar is not None:
                bar.update(bar.task_ids[0], completed=files, total=total)

        result = verify(inputs, on_finding=tell, on_progress=None if bar is None else show)
    if as_json:
        twice = json_text([_overlap_fields(overlap) for overlap in result.collected_twice])
        numbers = f'"files":{result.files},"size_bytes":{result.size_bytes}'
        head = "" if result.number else '{"findings":['
        write([f'{head}],\n{numbers},"collected_twice":{twice}}}\n'])
    else:
        _tell_result(result, faults)
    return result.code


def _tell_result(result: VerifyResult, faults: set[str]) -> None:
    for overlap in result.collected_twice:
        say(f"warning: {printable(str(overlap))}", err=True)
    read = f"{counted(result.files, 'file')}, {size_words(result.size_bytes)}"
    line = f"{read}: all as collected" if result.files else "nothing is collected yet"
    if result.number and not result.wrong_files:
        line += "; but see above"
    elif faults == {"unreadable"}:
        wrong = counted(result.wrong_files, "file")
        line = f"{read}: {wrong} that could not be read; mend what stands above, then verify again"
    elif result.number:
        line = (
            f"{read}: {counted(result.wrong_files, 'file')} not as collected; restore from a "
            "backup what you can; what the API still has, "
            f"{typed('run', JOB, '--again', '--from', 'DATE', '--to', 'DATE')} buys anew"
        )
    write_lines([line])


def _fields(finding: Finding) -> dict[str, Any]:
    names = ("account_id", "product", "direction", "filter")
    series, window, report = finding.series, finding.window, finding.report
    return {
        "fault": finding.fault,
        "path": finding.path,
        "text": finding.text,
        **(dict.fromkeys(names) if series is None else series_fields(series)),
        "date_start": None if window is None else utc_text(window.start),
        "date_end": None if window is None else utc_text(window.end),
        "report": None if report is None else report.id,
        "request_id": None if report is None else report.request_id,
    }


def _overlap_fields(overlap: SubaccountOverlap) -> dict[str, Any]:
    return {
        **series_fields(overlap.series),
        "foreign_account_id": overlap.own.account_id,
        "rows": overlap.rows,
        "files": overlap.files,
        "windows": window_list(overlap.windows),
    }


@contextmanager
def _bar(*, as_json: bool) -> Iterator[Progress | None]:
    """A bar where standard error is a terminal and no JSON is shown on it; else None."""
    if not sys.stderr.isatty() or (as_json and sys.stdout.isatty()):
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - start-up time
    from rich.progress import BarColumn, MofNCompleteColumn, Progress  # noqa: PLC0415

    with Progress(
        "verified",
        MofNCompleteColumn(),
        "files",
        BarColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as progress:
        progress.add_task("", total=None)
        yield progress
