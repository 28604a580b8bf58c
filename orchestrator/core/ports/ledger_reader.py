"""The ledger as everything that only reads it sees it: `LedgerReader` and `Histories`.

Nothing here writes. `orchestrator.ledger.open_reader` opens one; `Ledger.read` lends one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from orchestrator.core.column_drift import ShapeChange
from orchestrator.core.durations import ReportDuration
from orchestrator.core.file_columns import FileColumns
from orchestrator.core.intervals import Window
from orchestrator.core.ledger_records import Owner, SubaccountRows
from orchestrator.core.lifecycle import State
from orchestrator.core.model import (
    Failure,
    GivenUp,
    LedgerPoint,
    Report,
    Resolution,
    Series,
    SeriesState,
)
from orchestrator.core.spending import Bought
from orchestrator.core.volume import History


class Histories(Protocol):
    """What was collected before, to size what comes next.

    It keeps what it has read: use one for one moment only.
    """

    def of(self, series: Series) -> History:
        """What was collected of a series.

        Where nothing was: of series with the same product, direction and filters in other
        accounts; and where there are none, of the same product in the same account.
        """

    def record_rates(self, series: Iterable[Series]) -> Mapping[str, float]:
        """Records a second in the latest collected windows of series, by the series' key.

        Series of which nothing is collected are left out.
        """

    def recent_durations(self) -> Mapping[str, Sequence[ReportDuration]]:
        """How long the latest collected reports took, by product; a few hundred in all."""


class LedgerReader(Protocol):
    """Reads a ledger, one statement at a time. Not safe for use by two threads at once.

    Series that the ledger does not know are no error: nothing is collected of them. Iterators are
    lazy, since there may be a million reports. Every call raises `LedgerError` where the ledger
    cannot be read, or holds what no version of this program writes.
    """

    # --- series -------------------------------------------------------------------------------

    def all_series(self) -> Iterator[Series]:
        """Every series in the ledger, by account."""

    def series_numbered(self, series_id: int) -> Series:
        """The series of a number that this ledger has given."""

    def retried(self, series: Series | int) -> int:
        """The last event whose failure no longer counts for a series (or its number); else 0."""

    def series_state(self, job: str, series: Series) -> SeriesState:
        """Everything that decides what a job buys of a series."""

    def had(self, series: Series) -> tuple[Window, ...]:
        """The windows of a series that are not to be bought; sorted, disjoint, not touching."""

    def failures(self, series: Series) -> tuple[Failure, ...]:
        """The series' reports that came to nothing and still count, in the order of their ends.

        Truncated ones are always among them: smaller chunks are needed there.
        """

    def given_up(self, series: Series) -> tuple[GivenUp, ...]:
        """The given-up windows of a series, by time."""

    def given_up_numbered(self, number: int) -> GivenUp | None:
        """The given-up entry of that number; None where it was removed."""

    def resolution(self, job: str, series: Series) -> Resolution:
        """What a job's relative windows have become for a series."""

    def resolutions(self) -> Iterator[tuple[str, Series, Resolution]]:
        """Every resolution of every job, by job."""

    def histories(self) -> Histories:
        """What was collected of series, for one moment."""

    # --- reports ------------------------------------------------------------------------------

    def report(self, report_id: int) -> Report:
        """The report of that number.

        Raises:
            KeyError: there is none.
        """

    def report_by_request(self, request_id: str) -> Report:
        """The report that the API knows by this id.

        Raises:
            KeyError: there is none.
        """

    def reports_numbered(self, ids: Iterable[int]) -> Iterator[Report]:
        """The reports of these numbers; numbers that no report has are left out."""

    def reports(self, series: Series, states: Iterable[State] | None = None) -> Iterator[Report]:
        """The reports of a series in these states (None: in any), by window."""

    def changed_files(self, after: int, up_to: int) -> Iterator[Report]:
        """The reports whose file was collected, or replaced, in a part of the ledger's life.

        Args:
            after: `LedgerPoint.changes` at its beginning; what changed up to there is left out.
            up_to: the same at its end.
        """

    def collected_in(self, series: Series, window: Window) -> Iterator[Report]:
        """The collected reports that have a part of a window, by time."""

    def asked_early(
        self, series: Series, age: timedelta, now: datetime, max_failed: int
    ) -> Iterator[Report]:
        """The collected reports of which a newer edition is due, by time.

        Their window has been over for `age` by `now`, and had not been so when they were asked for,
        by the API's clock. Left out are those with a newer edition that is open or disputed, and
        those of which as many as `max_failed` editions have come to nothing.
        """

    def newer_edition(self, report: Report) -> int | None:
        """The number of a report's newer edition that is open or disputed; None: none is."""

    def superseded(self, by: Report | None = None) -> Sequence[Report]:
        """The reports that are superseded or erased and whose file is still to be removed.

        With `by`: only the one that this edition has replaced.
        """

    def holder_of(self, series: Series, window: Window) -> str | None:
        """What has a part of a window, as a phrase (``report 18``); None if nothing has."""

    def is_asked_again(self, report: Report) -> bool:
        """Whether another report has a part of its window, or a later one began where it did."""

    def is_published(self, series: Series, window: Window, target: str) -> bool:
        """Whether a file of that name was, or may just have been, published for a report."""

    def failure_event(self, report_id: int) -> int | None:
        """The event by which a report came to nothing, where that counts as a purchase."""

    def foreign_rows_of(self, report_id: int) -> tuple[tuple[str, int], ...]:
        """Records of other accounts in a report's file, by account."""

    def foreign_rows(self) -> Iterator[SubaccountRows]:
        """Records of other accounts in all collected files of series with subaccounts.

        Of the accounts alone of which the ledger has series: there may be very many others.
        """

    # --- counts -------------------------------------------------------------------------------

    def size(self) -> tuple[int, int]:
        """The numbers of series and of reports."""

    def counts(self, series: Series) -> Mapping[State, tuple[int, int, int]]:
        """By state: reports, records and bytes of a series."""

    def number_in(self, series: Series, state: State) -> int:
        """The number of a series' reports in a state."""

    def has_collected(self) -> bool:
        """Whether a report of any series is collected."""

    def newest(self) -> int:
        """The number of the latest report; 0 before the first."""

    def bought(self, since: datetime, up_to: int) -> Bought:
        """What was asked for since a moment, and may have been paid.

        Args:
            since: by the API's clock; what seems to be of a later day than today counts too.
            up_to: reports with higher numbers are left out.
        """

    def waiting_for_a_person(self, keys: frozenset[str]) -> tuple[int, int]:
        """The numbers of disputed reports and given-up windows, of all series but these keys."""

    def keys_of_open(self, keys: frozenset[str]) -> frozenset[str]:
        """The API keys that bought the open reports of the series of these keys."""

    # --- for the work area --------------------------------------------------------------------

    def unfinished(self, ids: Iterable[int]) -> frozenset[int]:
        """Those of these reports whose partial files are still needed."""

    def done_with(self, ids: Iterable[int]) -> frozenset[int]:
        """Those of these reports that brought nothing, and whose windows others have collected.

        Not those that a person may still accept, or has waived: their file is all there is.
        """

    # --- the API's ids ------------------------------------------------------------------------

    def owners_of(self, request_ids: Sequence[str]) -> Mapping[str, int]:
        """The reports that have these request ids, by id; ids that none has are left out."""

    def owners(self, request_ids: Sequence[str]) -> Mapping[str, Owner]:
        """`owners_of`, with who bought the report and when."""

    def recent(
        self, account_id: str, api_key: str, since: datetime, until: datetime
    ) -> frozenset[str]:
        """The request ids, of an account and a key, that became known in this time.

        Of the newest rows alone, and not of those that the API no longer knows.
        """

    def unresolved_creates(self, report: Report) -> tuple[Report, ...]:
        """Other reports of the same account of which nobody knows yet whether they were created.

        One of them may be what `report` takes for its own.
        """

    # --- the columns of files -----------------------------------------------------------------

    def column_list(self, number: int) -> FileColumns:
        """The columns that a number of `Report.column_list` stands for; none for an unknown one."""

    def column_lists(self) -> Iterator[tuple[int, FileColumns]]:
        """Every list of columns, with its number."""

    def column_changes(self, series: Series) -> Iterator[ShapeChange]:
        """Where the columns of a series' collected files change, in the order of time.

        Files without records, and files of which the columns are not known, are left out.
        """

    # --- which ledger it is -------------------------------------------------------------------

    def point(self) -> LedgerPoint:
        """Which ledger this is, and how far it has got."""

    def rebuilt_at(self) -> int | None:
        """`LedgerPoint.changes` of the ledger that this one was rebuilt from; None: it was not."""

    def event_checksum(self, number: int) -> str:
        """A checksum of an event, in hex; of nothing, where there is none of that number."""

    def fingerprint(self) -> str:
        """A digest that changes with everything that a manifest of version 1 holds."""
