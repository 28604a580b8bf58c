"""Keeps the manifest in step with the ledger: writes it as a whole, and appends each change."""

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from typing import Final

from anyio import to_thread

from orchestrator.collect.manifest import Survey
from orchestrator.collect.manifest_entries import (
    ColumnListEntry,
    Entry,
    GivenUpEntry,
    MarkEntry,
    ReportEntry,
    ResolvedEntry,
    SeriesEntry,
)
from orchestrator.collect.manifest_writing import ManifestJournal, entry_body, write_manifest
from orchestrator.collect.stores.base import OutputStore
from orchestrator.core.ledger_records import LedgerChanges
from orchestrator.core.lifecycle import State
from orchestrator.core.model import LedgerPoint, Report, Resolution, Series
from orchestrator.core.ports import LedgerReader
from orchestrator.core.settings import Config
from orchestrator.ledger import open_reader

_OTHERS: Final = tuple(state for state in State if state is not State.COLLECTED)


class ManifestSync:
    """The manifest of a ledger that is being written, whose `ChangeListener` it is.

    Args:
        store: where the manifest is; the one by which it was surveyed.
        survey: how the manifest stands; None: it has to be written as a whole first.
    """

    def __init__(self, config: Config, store: OutputStore, survey: Survey | None) -> None:
        self._config = config
        self._store = store
        self._journal: ManifestJournal | None = None
        self._is_whole = False
        self._told: set[int] = set()  # column lists, by this process
        if survey is not None:
            self._journal = ManifestJournal(self._store, survey.size_bytes, survey.crc)
            self._is_whole = not survey.appended

    async def write(self, now: datetime) -> None:
        """Writes the manifest as a whole, in a thread, unless it is as it would be.

        Raises:
            LedgerError: the ledger cannot be read.
            OutputError: the disk.
        """
        if not self._is_whole:
            await to_thread.run_sync(self._write, now)

    def _write(self, now: datetime) -> None:
        with open_reader(self._config.state) as reader:
            written = write_manifest(self._store, entries(reader), now, reader.point())
        self.close()
        self._journal = ManifestJournal(self._store, written.size_bytes, written.crc)
        self._is_whole = True

    def prepare(
        self, reader: LedgerReader, changes: LedgerChanges, point: LedgerPoint
    ) -> Callable[[], None]:
        """See the port `ChangeListener`."""
        assert self._journal is not None, "the manifest is written before anything is changed"
        journal = self._journal
        reports: Collection[Report] = changes.reports.values()
        if changes.unsure:
            reports = list(reader.reports_numbered(changes.reports))
        new = {
            report.column_list for report in reports if report.column_list is not None
        } - self._told
        columns = [ColumnListEntry(number, reader.column_list(number)) for number in new]
        changed = (*columns, *_changed(reader, changes, reports))
        bodies = [entry_body(entry) for entry in changed]
        self._is_whole = False

        def append() -> None:
            journal.append(bodies, point)
            self._told |= new

        return append

    def close(self) -> None:
        """Lets go of the file."""
        if self._journal is not None:
            self._journal.close()


def entries(store: LedgerReader) -> Iterator[Entry]:
    """Everything that a ledger can be rebuilt from; lazy."""
    for number, columns in store.column_lists():
        yield ColumnListEntry(number, columns)
    for series in store.all_series():
        for states in ((State.COLLECTED,), _OTHERS):
            for report in store.reports(series, states):
                yield _report(store, report)
        retried = store.retried(series)
        if retried:
            yield SeriesEntry(series, retried)
        for given_up in store.given_up(series):
            yield GivenUpEntry(given_up.id, given_up)
    for job, series, resolution in store.resolutions():
        yield from _resolution(job, series, resolution)


def _changed(
    store: LedgerReader, changes: LedgerChanges, reports: Iterable[Report]
) -> Iterator[Entry]:
    """What a transaction has changed, as it stands now."""
    for report in reports:
        yield _report(store, report)
    for series_id in changes.series:
        yield SeriesEntry(store.series_numbered(series_id), store.retried(series_id))
    for number in changes.given_up:
        yield GivenUpEntry(number, store.given_up_numbered(number))
    for job, series_id in changes.resolutions:
        series = store.series_numbered(series_id)
        yield from _resolution(job, series, store.resolution(job, series), whole=True)


def _report(store: LedgerReader, report: Report) -> Entry:
    if report.state is not State.COLLECTED:
        return ReportEntry(report, failed=store.failure_event(report.id))
    with_subaccounts = report.series.includes_subaccounts
    return ReportEntry(report, foreign=store.foreign_rows_of(report.id) if with_subaccounts else ())


def _resolution(
    job: str, series: Series, resolution: Resolution, *, whole: bool = False
) -> Iterator[Entry]:
    if resolution.windows or whole:
        yield ResolvedEntry(job, series, resolution.windows)
    if resolution.mark is not None:
        yield MarkEntry(job, series, resolution.mark)
