"""What a manifest holds, entry by entry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from orchestrator.core.column_changes import ColumnChanges
from orchestrator.core.intervals import Window
from orchestrator.core.model import GivenUp, Report, Series


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A collected file.

    Attributes:
        path: relative to the output directory, with forward slashes.
        request_id: the API's name of its report; None where only the file itself was found.
        api_key: the key that bought it; never the secret.
        job: the name of the job that bought it.
        report: our number of its report; None in manifests of version 1, which lack what follows.
        intended_ms: when its intent was written, by our clock: milliseconds since 1970, as the
            ledger has them, for there may be a million entries.
        ahead_ms: the server's clock less ours at that moment, in milliseconds.
        submitted_ms: when its id became known.
        ready_ms: when it was seen finished.
        replaces: our number of the report whose newer edition it is.
        edition: from 1.
        finding: why a person had to accept it; None where nobody had to.
        columns: what it has otherwise than the API sent it.
        collected_change: `LedgerPoint.changes` since which it is collected; None: unknown.
        foreign: records in it of other accounts than the report's, by account.
    """

    series: Series
    window: Window
    path: str
    rows: int
    size_bytes: int
    sha256: str
    request_id: str | None
    api_key: str
    job: str
    collected_at: datetime
    report: int | None = None
    intended_ms: int | None = None
    ahead_ms: int = 0
    submitted_ms: int | None = None
    ready_ms: int | None = None
    replaces: int | None = None
    edition: int = 1
    finding: str | None = None
    columns: ColumnChanges | None = None
    collected_change: int | None = None
    foreign: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class ReportEntry:
    """A report that is not collected: open, waiting for a person, or come to nothing.

    Attributes:
        report: without its link, which the API tells anew.
        failed: the event by which it came to nothing, where that counts as a purchase.
    """

    report: Report
    failed: int | None = None

    @property
    def series(self) -> Series:
        """Of the report."""
        return self.report.series


@dataclass(frozen=True, slots=True)
class GivenUpEntry:
    """A window that no run asks for by itself; only its number, where it is owed again."""

    number: int
    given_up: GivenUp | None


@dataclass(frozen=True, slots=True)
class SeriesEntry:
    """The last event before a person had a say about a series' failures."""

    series: Series
    retried: int


@dataclass(frozen=True, slots=True)
class ResolvedEntry:
    """What the relative windows of a job have become for a series, over all its runs."""

    job: str
    series: Series
    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True)
class MarkEntry:
    """Where the latest resolution of a job's relative windows ended for a series."""

    job: str
    series: Series
    mark: datetime


Entry = FileEntry | ReportEntry | GivenUpEntry | SeriesEntry | ResolvedEntry | MarkEntry
