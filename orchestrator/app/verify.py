"""Reads collected files again; compares files, folders and manifest with the ledger.

Changes and sends nothing.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from orchestrator.app.files import file_of, from_here, place_of
from orchestrator.app.ledger_reading import collected, reading_ledger, series_of
from orchestrator.app.manifest_check import compare, unknown_files
from orchestrator.app.overlaps import SubaccountOverlap, subaccount_overlaps
from orchestrator.collect import verify as file_check
from orchestrator.collect.layout import MANIFEST, format_of, series_folder
from orchestrator.collect.stores import output_store
from orchestrator.collect.stores.base import OutputStore
from orchestrator.config import Inputs
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Report, Series
from orchestrator.core.policy import ExitCode
from orchestrator.core.ports import LedgerReader
from orchestrator.core.settings import Config
from orchestrator.errors import InputError, OutputError

_THREADS: Final = 2
"""Files read at a time: hashing keeps a core busy, and more at once slows a disk down."""

_THREADS_OF_A_STORE: Final = 8
"""The same in an object store, whose answers to small files are waited for."""

MAX_FINDINGS: Final = 10_000
"""Findings that a result holds, to bound its memory; more are only counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was collected.

    Attributes:
        fault: ``missing``, ``unreadable``, ``hash`` or ``rows`` of a report's file; ``ledger``
            where the ledger names no place that can be read; ``manifest``; ``unknown`` for a file
            that the ledger does not know.
        series: whose file; None of the manifest.
        window: the time that the file covers, where it has one.
        report: as the ledger has it; None where no report has the file.
    """

    fault: str
    path: str
    text: str
    series: Series | None = None
    window: Window | None = None
    report: Report | None = None


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What came of reading the files.

    Attributes:
        size_bytes: of them, by the ledger.
        wrong_files: how many are not as they were collected.
        findings: the first `MAX_FINDINGS`.
        collected_twice: records that two series hold; a warning, no finding about a file.
    """

    files: int
    size_bytes: int
    wrong_files: int
    findings: tuple[Finding, ...]
    number: int
    collected_twice: tuple[SubaccountOverlap, ...]

    @property
    def code(self) -> ExitCode:
        """`ExitCode.DONE` without findings, else `ExitCode.FINDINGS`."""
        return ExitCode.FINDINGS if self.number else ExitCode.DONE


def verify(
    inputs: Inputs,
    *,
    on_finding: Callable[[Finding], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> VerifyResult:
    """Compares every collected file of the jobs with the ledger: hash and number of records.

    Files that the ledger does not know and a manifest that does not fit are findings too.

    Args:
        inputs: see `load`; without jobs it is about all of the ledger.
        on_finding: called with each finding as it is made, in this thread.
        on_progress: called with the files read and the files in all, first with 0.

    Raises:
        InputError: the ledger is missing beside its files.
        LedgerError: it cannot be read, or is damaged.
    """
    with reading_ledger(inputs.config) as reader, reading_ledger(inputs.config) as latest:
        check = _Check(inputs, reader, latest, on_finding, on_progress)
        check.read_files()
        check.compare_manifest()
        check.find_unknown_files()
        return VerifyResult(
            files=check.files,
            size_bytes=check.size_bytes,
            wrong_files=check.wrong_files,
            findings=tuple(check.findings),
            number=check.number,
            collected_twice=tuple(subaccount_overlaps(reader, inputs.jobs)),
        )


@dataclass(slots=True)
class _Check:
    inputs: Inputs
    reader: LedgerReader  # stands still while it lists reports
    latest: LedgerReader  # asked for one report at a time, as it is by then
    on_finding: Callable[[Finding], None] | None
    on_progress: Callable[[int, int], None] | None
    files: int = 0
    size_bytes: int = 0
    wrong_files: int = 0
    number: int = 0
    findings: list[Finding] = field(default_factory=list)

    def read_files(self) -> None:
        """Reads them all, some at a time; the ledger is read by this thread alone."""
        config = self.inputs.config
        store = output_store(config.output)
        total = self._total()
        self._show_progress(total)
        reports = collected(self.reader, self.inputs.jobs)
        running: dict[Future[list[Finding]], Report] = {}
        threads = _THREADS_OF_A_STORE if config.output.url else _THREADS
        with ThreadPoolExecutor(threads, "verify") as pool:
            while True:
                for report in islice(reports, threads - len(running)):
                    running[pool.submit(_findings_of, store, config, report)] = report
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    self._take(running.pop(future), future.result())
                    self._show_progress(total)

    def compare_manifest(self) -> None:
        """Holds the manifest against the ledger."""
        config = self.inputs.config
        try:
            text = compare(config, self.reader).problem
        except (InputError, OutputError) as error:
            text = str(error)
        if text:
            self._add(Finding("manifest", f"{config.output.place}/{MANIFEST}", text))

    def find_unknown_files(self) -> None:
        """Looks into the folders of the series for files that no report has."""
        config = self.inputs.config
        wanted = ((series, None) for series in series_of(self.reader, self.inputs.jobs))
        for series, unknown in unknown_files(config, self.reader, wanted):
            # The files of the ledger may all be there, and yet the folder cannot be listed.
            try:
                for file in unknown():
                    path = place_of(config, file.target)
                    text = (
                        f"{from_here(path)}: the ledger does not know this file, and whoever reads "
                        "the folder reads its records too; move it away"
                    )
                    self._add(Finding("unknown", str(path), text, series, file.window))
            except OutputError as error:
                folder = f"{config.output.place}/{series_folder(series)}"
                self._add(Finding("unreadable", folder, str(error), series))

    def _total(self) -> int:
        if self.on_progress is None:
            return 0
        return sum(
            self.reader.number_in(series, State.COLLECTED)
            for series in series_of(self.reader, self.inputs.jobs)
        )

    def _show_progress(self, total: int) -> None:
        if self.on_progress is not None:
            self.on_progress(self.files, total)

    def _take(self, report: Report, findings: list[Finding]) -> None:
        if findings and not self._is_collected(report):
            return
        self.files += 1
        self.size_bytes += report.size_bytes or 0
        self.wrong_files += bool(findings)
        for finding in findings:
            self._add(finding)

    def _is_collected(self, report: Report) -> bool:
        """Whether it still is: a run or `erase` may have taken its file away meanwhile."""
        return self.latest.report(report.id).state is State.COLLECTED

    def _add(self, finding: Finding) -> None:
        self.number += 1
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)
        if self.on_finding is not None:
            self.on_finding(finding)


def _findings_of(store: OutputStore, config: Config, report: Report) -> list[Finding]:
    """What is wrong with a report's file; done in a thread."""
    return [
        Finding(fault, path, text, report.series, report.window, report)
        for fault, path, text in _faults(store, config, report)
    ]


def _faults(store: OutputStore, config: Config, report: Report) -> Iterator[tuple[str, str, str]]:
    try:
        path = file_of(config, report)
        file_format = format_of(report.target or "")
    except OutputError as error:
        yield "ledger", report.target or "", str(error)
        return
    for wrong in file_check.verify(
        store, report.target or "", report.sha256 or "", report.rows or 0, file_format
    ):
        yield wrong.fault.value, str(path), wrong.text.replace(str(path), from_here(path), 1)
