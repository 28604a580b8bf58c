"""`verify`: reads every collected file again and compares it with the ledger."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio
import click
from anyio import to_thread

from orchestrator.app import overlaps
from orchestrator.app.files import file_of, from_here
from orchestrator.app.ledger_reading import collected, reading_ledger, series_of
from orchestrator.app.manifest_check import compare, unknown
from orchestrator.cli import options
from orchestrator.cli.inputs import read_inputs
from orchestrator.cli.output import (
    fit,
    json_text,
    say,
    series_fields,
    window_fields,
    write,
    write_lines,
)
from orchestrator.collect.disk import explain
from orchestrator.collect.layout import MANIFEST, format_of, series_folder, target_path
from orchestrator.collect.safe_open import refuse_links
from orchestrator.collect.verify import Finding, verify
from orchestrator.core.commands import JOB, typed
from orchestrator.core.lifecycle import State
from orchestrator.core.policy import ExitCode
from orchestrator.errors import InputError, OutputError
from orchestrator.reporting.phrases import counted, size_words
from orchestrator.texts import utc_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rich.progress import Progress

    from orchestrator.collect.layout import Published
    from orchestrator.config import Inputs
    from orchestrator.core.intervals import Window
    from orchestrator.core.model import Job, Report, Series
    from orchestrator.core.ports import LedgerReader
    from orchestrator.core.settings import Config

_AT_ONCE: Final = 2
"""Files read at a time: hashing keeps a core busy, and a disk does not like more."""


@click.command(
    short_help="Read every collected file again and compare it with the ledger.",
    epilog="Example: `orchestrator verify jobs/nightly.yaml` after a disk was moved or restored.",
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
    with reading_ledger(inputs.config) as store:
        check = _Check(inputs.config, as_json)
        with _progress(inputs, store, as_json=as_json) as progress:
            anyio.run(check.run, collected(store, inputs.jobs), progress)
            check.look_beside(store, inputs.jobs, progress)
        check.end(list(overlaps.subaccount_overlaps(store, inputs.jobs)))
    return ExitCode.FINDINGS if check.findings else ExitCode.DONE


@dataclass(slots=True)
class _Check:
    """Goes through the files, and prints what it finds as it finds it."""

    config: Config
    as_json: bool
    files: int = 0
    size_bytes: int = 0
    findings: int = 0
    wrong_files: int = 0

    async def run(self, reports: Iterator[Report], progress: _Progress) -> None:
        """Reads them all, some at a time."""
        if self.as_json:
            write(['{"findings":['])

        async def work() -> None:
            for report in reports:
                found = await to_thread.run_sync(_verify, self.config, report)
                self._take(report, found, progress)
                progress.advance()

        async with anyio.create_task_group() as tasks:
            for _ in range(_AT_ONCE):
                tasks.start_soon(work)

    def _take(self, report: Report, found: list[tuple[str, str, str]], progress: _Progress) -> None:
        self.files += 1
        self.size_bytes += report.size_bytes or 0
        self.wrong_files += bool(found)
        for fault, path, text in found:
            self._say(_fields(report, fault, path, text), text, progress)

    def look_beside(self, store: LedgerReader, jobs: Sequence[Job], progress: _Progress) -> None:
        """Looks at the manifest, and for files that the ledger does not know."""
        path = str(self.config.output.directory / MANIFEST)
        try:
            words = compare(self.config, store).words
        except InputError as error:
            words = str(error)
        if words:
            self._say(_other_fields("manifest", path, words), words, progress)
        for series in series_of(store, jobs):
            for one in self._unknown(store, series, progress):
                place = target_path(self.config.output.directory, one.target)
                text = (
                    f"{from_here(place)}: the ledger does not know this file, and whoever reads "
                    "the folder reads its records too; move it away"
                )
                fields = _other_fields("unknown", str(place), text, series, one.window)
                self._say(fields, text, progress)

    def _unknown(
        self, store: LedgerReader, series: Series, progress: _Progress
    ) -> Iterator[Published]:
        """The files in the folder of a series that no report has; that there may be none is said.

        The files of the ledger may all be there, and yet the folder be one that cannot be read.
        """
        try:
            yield from unknown(self.config, store, series)
        except OutputError as error:
            folder = str(self.config.output.directory / series_folder(series))
            self._say(_other_fields("unreadable", folder, str(error), series), str(error), progress)

    def _say(self, fields: dict[str, Any], text: str, progress: _Progress) -> None:
        if self.as_json:
            write([",\n" if self.findings else "\n", json_text(fields)])
        else:
            progress.say(text)
        self.findings += 1

    def end(self, doubles: list[overlaps.SubaccountOverlap]) -> None:
        """The last words; what is collected twice is a warning, and no finding about a file."""
        if self.as_json:
            twice = json_text([_overlap_fields(overlap) for overlap in doubles])
            numbers = f'"files":{self.files},"size_bytes":{self.size_bytes}'
            write([f'],\n{numbers},"collected_twice":{twice}}}\n'])
            return
        for one in doubles:
            say(f"warning: {fit(str(one))}", err=True)
        read = f"{counted(self.files, 'file')}, {size_words(self.size_bytes)}"
        words = f"{read}: all as collected" if self.files else "nothing is collected yet"
        if self.findings and not self.wrong_files:
            words += "; but see above"
        elif self.findings:
            words = (
                f"{read}: {counted(self.wrong_files, 'file')} not as collected; restore from a "
                "backup what you can; what the API still has, "
                f"{typed('run', JOB, '--again', '--from', 'DATE', '--to', 'DATE')} buys anew"
            )
        write_lines([words])


def _verify(config: Config, report: Report) -> list[tuple[str, str, str]]:
    """What is wrong with a report's file: a word, the place, a sentence."""
    try:
        path = file_of(config, report)
        form = format_of(path.name)
    except OutputError as error:
        return [("ledger", report.target or "", str(error))]
    try:
        refuse_links(config.output.directory, path.parent)
    except OSError as error:
        return [("unreadable", str(path), explain(error, path, "read"))]
    found: list[Finding] = verify(path, report.sha256 or "", report.rows or 0, form)
    here = from_here(path)
    return [(one.fault.value, str(path), one.text.replace(str(path), here, 1)) for one in found]


def _fields(report: Report, fault: str, path: str, text: str) -> dict[str, Any]:
    return {
        "fault": fault,
        "path": path,
        "text": text,
        **series_fields(report.series),
        "date_start": utc_text(report.window.start),
        "date_end": utc_text(report.window.end),
        "report": report.id,
        "request_id": report.request_id,
    }


def _other_fields(
    fault: str, path: str, text: str, series: Series | None = None, window: Window | None = None
) -> dict[str, Any]:
    """Of what is no report's file: the keys are the same."""
    names = ("account_id", "product", "direction", "filter")
    return {
        "fault": fault,
        "path": path,
        "text": text,
        **(dict.fromkeys(names) if series is None else series_fields(series)),
        "date_start": None if window is None else utc_text(window.start),
        "date_end": None if window is None else utc_text(window.end),
        "report": None,
        "request_id": None,
    }


def _overlap_fields(overlap: overlaps.SubaccountOverlap) -> dict[str, Any]:
    return {
        **series_fields(overlap.series),
        "foreign_account_id": overlap.own.account_id,
        "rows": overlap.rows,
        "files": overlap.files,
        "windows": [window_fields(window) for window in overlap.windows],
    }


class _Progress:
    """What is shown while files are read: the findings, and nothing else."""

    def advance(self) -> None:
        """One more file has been read."""

    def say(self, text: str) -> None:
        """A line of the answer."""
        write_lines([text])


class _Bar(_Progress):
    """A bar on standard error beside it."""

    def __init__(self, bar: Progress, total: int) -> None:
        self._bar = bar
        self._files = bar.add_task("", total=total)

    def advance(self) -> None:
        self._bar.advance(self._files)

    def say(self, text: str) -> None:
        if sys.stdout.isatty():
            # The bar and the answer share a terminal: the line goes above the bar.
            self._bar.console.out(fit(text), highlight=False)
        else:
            super().say(text)


@contextmanager
def _progress(inputs: Inputs, store: LedgerReader, *, as_json: bool) -> Iterator[_Progress]:
    """With a bar on standard error, where that is a terminal and nothing is in its way."""
    if not sys.stderr.isatty() or (as_json and sys.stdout.isatty()):
        yield _Progress()
        return
    from rich.console import Console  # noqa: PLC0415 - start-up time
    from rich.progress import BarColumn, MofNCompleteColumn, Progress  # noqa: PLC0415

    total = sum(
        store.number_in(series, State.COLLECTED) for series in series_of(store, inputs.jobs)
    )
    with Progress(
        "verified",
        MofNCompleteColumn(),
        "files",
        BarColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as bar:
        yield _Bar(bar, total)
