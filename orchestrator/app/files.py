"""The collected files of the jobs, and where they stand. Reads the ledger, not the files."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from orchestrator.app.ledger_reading import collected, reading_ledger
from orchestrator.collect.layout import target_path
from orchestrator.collect.work_area import WorkFiles
from orchestrator.config import Inputs
from orchestrator.core.file_columns import ColumnChanges
from orchestrator.core.intervals import Window
from orchestrator.core.model import Report, Series
from orchestrator.core.settings import Config


@dataclass(frozen=True, slots=True)
class ReportFile:
    """A collected file.

    Attributes:
        series: account, product, direction and filters of its records.
        window: the time that it covers; its end is the first moment that is not in it.
        path: absolute; in an object store relative to the address of the store.
        sha256: of its content, in hex.
        report: our number of the report.
        request_id: the API's id of the report; None where a rebuilt ledger does not know it.
        collected_at: when it took its name, by this machine's clock.
        edition: from 1; a higher one was bought on purpose, in the place of the one before.
        replaces: our number of the report in whose place it stands; None for a first edition.
        finding: why a person had to accept it (`resolve --accept-file`); None where none had to.
        columns: what it has otherwise than the API sent it; None: nothing.
        source_sha256: of the archive that the API sent, in hex; None where that was not noted.
        url: the address in an object store; empty for a file on a disk.
    """

    series: Series
    window: Window
    path: Path
    rows: int
    size_bytes: int
    sha256: str
    report: int
    request_id: str | None
    collected_at: datetime
    edition: int = 1
    replaces: int | None = None
    finding: str | None = None
    columns: ColumnChanges | None = None
    source_sha256: str | None = None
    url: str = ""


def files(inputs: Inputs) -> Iterator[ReportFile]:
    """The collected files of the jobs, by series and time; without jobs, all of the ledger.

    Lazy: the ledger is opened with the first file, and closed after the last.

    Raises:
        InputError: the ledger is missing beside its files.
        LedgerError: it cannot be read, or is damaged.
        OutputError: it names a place outside the output directory.
    """
    with reading_ledger(inputs.config) as reader:
        for report in collected(reader, inputs.jobs):
            yield report_file(inputs.config, report)


def report_file(config: Config, report: Report) -> ReportFile:
    """The file of a collected report.

    Raises:
        OutputError: the ledger names a place outside the output directory.
    """
    place = file_of(config, report)
    return ReportFile(
        series=report.series,
        window=report.window,
        path=place if isinstance(place, Path) else Path(report.target or ""),
        rows=report.rows or 0,
        size_bytes=report.size_bytes or 0,
        sha256=report.sha256 or "",
        report=report.id,
        request_id=report.request_id,
        collected_at=report.changed_at or report.intended_at,
        edition=report.edition,
        replaces=report.replaces,
        finding=report.finding,
        columns=report.columns,
        source_sha256=report.source_sha256,
        url="" if isinstance(place, Path) else place,
    )


def file_of(config: Config, report: Report) -> Path | str:
    """As `place_of`, of a report that has a file."""
    assert report.target is not None
    return place_of(config, report.target)


def place_of(config: Config, target: str) -> Path | str:
    """The absolute place of a file by its name below the output directory; in a store its address.

    Raises:
        OutputError: the name leads out of there.
    """
    path = target_path(config.output.directory, target)
    return f"{config.output.url}/{target}" if config.output.url else path


def quarantined_file(config: Config, report: Report) -> str:
    """The file that is kept aside of a report, as `from_here` has it; empty if there is none."""
    from orchestrator.collect import quarantine  # noqa: PLC0415 - start-up time

    path = quarantine.quarantined_file(WorkFiles.of(config.output.directory, report))
    return "" if path is None else from_here(path)


def from_here(path: Path | str) -> str:
    """A path as it can be used from the working directory, relative where that is shorter."""
    if isinstance(path, str):
        return path  # an address
    try:
        relative = os.path.relpath(path)
    except OSError:  # the working directory is gone
        return str(path)
    return min(relative, str(path), key=len)
