"""All methods of an open ledger's tables, on one SQLite connection: `Store`.

Synchronous, and unaware of transactions: `SqliteLedger` runs these inside one, `open_reader` as
they are. The statements themselves are in the modules of the tables.
"""

import sqlite3

from orchestrator.core.ledger_records import LedgerChanges
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Series, SeriesState
from orchestrator.ledger.column_lists import ColumnLists
from orchestrator.ledger.events import EventTable, Identity
from orchestrator.ledger.given_up import GivenUpTable
from orchestrator.ledger.history import Histories
from orchestrator.ledger.open_reports import OpenReports
from orchestrator.ledger.report_writer import ReportWriter
from orchestrator.ledger.reports import ReportTable
from orchestrator.ledger.series import SeriesTable
from orchestrator.ledger.windows import ResolutionTable, SeriesWindows


class Store:
    """Offers the methods of all tables of one connection; its readers know it as `LedgerReader`.

    Not safe for use by two threads at once.

    Attributes:
        changes: what was written since whoever ends the transactions took it last.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:  # noqa: PLR0915 - a list
        self.db = connection
        self.changes = changes = LedgerChanges()

        self._series = series = SeriesTable(connection, changes)
        self.all_series = series.all_series
        self.series_numbered = series.series_numbered
        self.number_of = series.number_of
        self.retried = series.retried

        windows = SeriesWindows(connection, series)
        self.had = windows.had
        self.failures = windows.failures
        self.holder_of = windows.holder_of

        resolutions = ResolutionTable(connection, series, changes)
        self.resolution = resolutions.resolution
        self.resolutions = resolutions.resolutions
        self.remember = resolutions.remember

        given_up = GivenUpTable(connection, series, changes)
        self.given_up = given_up.given_up
        self.given_up_numbered = given_up.numbered
        self.give_up = given_up.give_up
        self.retry = given_up.retry
        self.undo_give_up = given_up.undo_give_up
        self.acknowledge = given_up.acknowledge

        column_lists = ColumnLists(connection, series)
        self.column_list = column_lists.column_list
        self.column_lists = column_lists.column_lists
        self.column_changes = column_lists.column_changes

        reports = ReportTable(connection, series, windows)
        self.report = reports.report
        self.report_by_request = reports.report_by_request
        self.reports_numbered = reports.reports_numbered
        self.is_asked_again = reports.is_asked_again
        self.failure_event = reports.failure_event
        self.foreign_rows_of = reports.foreign_rows_of
        self.asked_early = reports.asked_early
        self.newer_edition = reports.newer_edition
        self.reports = reports.reports
        self.collected_in = reports.collected_in
        self.changed_files = reports.changed_files
        self.is_published = reports.is_published
        self.counts = reports.counts
        self.number_in = reports.number_in
        self.has_collected = reports.has_collected
        self.size = reports.size
        self.newest = reports.newest
        self.superseded = reports.superseded
        self.foreign_rows = reports.foreign_rows
        self.bought = reports.bought
        self.owners_of = reports.owners_of
        self.owners = reports.owners
        self.recent = reports.recent
        self.unresolved_creates = reports.unresolved_creates

        open_reports = OpenReports(connection, series, reports)
        self.open_positions = open_reports.open_positions
        self.open_page = open_reports.open_page
        self.number_open = open_reports.number_open
        self.waiting_for_a_person = open_reports.waiting_for_a_person
        self.keys_of_open = open_reports.keys_of_open
        self.unfinished = open_reports.unfinished
        self.done_with = open_reports.done_with

        events = EventTable(connection)
        self.events = events.of
        self.last_event = events.last
        self.event_checksum = events.checksum

        identity = Identity(connection, events)
        self.point = identity.point
        self.rebuilt_at = identity.rebuilt_at
        self.count_change = identity.count_change
        self.fingerprint = identity.fingerprint

        writer = ReportWriter(
            connection, series, windows, reports, given_up, events, changes, column_lists
        )
        self.record_intent = writer.record_intent
        self.apply = writer.apply
        self.withdrawn = writer.withdrawn

    def series_state(self, job: str, series: Series) -> SeriesState:
        """See `LedgerReader.series_state`."""
        if self._series.find(series) is None:
            return SeriesState()
        return SeriesState(
            resolution=self.resolution(job, series),
            had=self.had(series),
            failures=self.failures(series),
            given_up=self.given_up(series),
            disputed=tuple(self.reports(series, (State.DISPUTED,))),
            open=self.number_open(series),
        )

    def histories(self) -> Histories:
        """See `LedgerReader.histories`."""
        return Histories(self.db)

    def rolled_back(self) -> None:
        """Must be called when a transaction was rolled back: what was read in it may be void."""
        self.changes.unsure = True
        self._series.forget_read()
