"""What a manifest holds, entry by entry."""

from dataclasses import dataclass
from datetime import datetime

from orchestrator.core.file_columns import FileColumns
from orchestrator.core.intervals import Window
from orchestrator.core.model import GivenUp, Report, Series


@dataclass(frozen=True, slots=True)
class ReportEntry:
    """A report: collected (its line is that of a file), open, disputed, or come to nothing."""

    # without its link, which the API tells anew. Its number is 0 in manifests of version 1, and its
    # request id None where only the file itself was found.
    report: Report
    # the event by which it came to nothing, where that counts as a purchase
    failed: int | None = None
    # records in its file of other accounts than the report's, by account
    foreign: tuple[tuple[str, int], ...] = ()

    @property
    def series(self) -> Series:
        """Of the report."""
        return self.report.series


@dataclass(frozen=True, slots=True)
class ColumnListEntry:
    """The columns of files, under the number by which later entries name them."""

    number: int
    columns: FileColumns


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


Entry = ReportEntry | ColumnListEntry | GivenUpEntry | SeriesEntry | ResolvedEntry | MarkEntry
