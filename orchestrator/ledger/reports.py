"""Reads reports: single ones, those of a series, their counts, their files and their ids."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from orchestrator.core.intervals import Window
from orchestrator.core.ledger_records import Owner, SubaccountRows, to_ms
from orchestrator.core.lifecycle import UNPAID, State
from orchestrator.core.model import Report, Series
from orchestrator.core.spending import Bought
from orchestrator.ledger import rows
from orchestrator.ledger.series import SeriesTable
from orchestrator.ledger.windows import SeriesWindows

_IDS_AT_ONCE: Final = 500  # Request ids of one statement; SQLite takes 999 values at least.
_NEWEST: Final = 500
"""The number of latest reports among which `recent` searches.

It is asked about minutes, and never about more reports than a list of the API shows.
"""

_PUBLISHED: Final = (State.VERIFIED, State.COLLECTED, State.SUPERSEDED, State.ERASED)
"""States in which a report's file has its final name, or may have."""

_UNPAID: Final = tuple(sorted(state.value for state in UNPAID))


@dataclass(frozen=True, slots=True)
class ReportTable:
    """The table `report` of one connection, to read from: calls of `LedgerReader`."""

    db: sqlite3.Connection
    series: SeriesTable
    windows: SeriesWindows

    # --- single ones --------------------------------------------------------------------------

    def report(self, report_id: int) -> Report:
        return self._report_whose("id", report_id)

    def report_by_request(self, request_id: str) -> Report:
        return self._report_whose("request_id", request_id)

    def _report_whose(self, column: str, value: int | str) -> Report:
        report = next(self._select(f"WHERE {column} = ?", (value,)), None)
        if report is None:
            raise KeyError(value)
        return report

    def _select(
        self, rest: str, values: Sequence[object] | Mapping[str, object], of: Series | None = None
    ) -> Iterator[Report]:
        """The reports of a SELECT, lazily; `rest` is what follows the table's name.

        All are of the series `of`; None: each is of the series of its row.
        """
        select = f"SELECT {rows.COLUMNS} FROM report {rest}"  # noqa: S608 - all of it is ours
        for row in self.db.execute(select, values):
            yield rows.report_of(row, of or self.series.series_numbered(row["series_id"]))

    def reports_numbered(self, ids: Iterable[int]) -> Iterator[Report]:
        for number in ids:
            try:
                yield self.report(number)
            except KeyError:
                continue

    def is_asked_again(self, report: Report) -> bool:
        series_id = self.series.find(report.series)
        start, end = report.window.epoch
        if series_id is None:
            return False
        holder = self.windows.report_over(series_id, start, end)
        if holder is not None and holder != report.id:
            return True
        later = self.db.execute(
            "SELECT 1 FROM report WHERE series_id = ? AND window_start = ? AND id > ? LIMIT 1",
            (series_id, start, report.id),
        ).fetchone()
        return later is not None

    def failure_event(self, report_id: int) -> int | None:
        row = self.db.execute("SELECT failed FROM report WHERE id = ?", (report_id,)).fetchone()
        return None if row is None else row[0]

    def foreign_rows_of(self, report_id: int) -> tuple[tuple[str, int], ...]:
        rows_of = self.db.execute(
            "SELECT account_id, rows FROM foreign_rows WHERE report_id = ? ORDER BY account_id",
            (report_id,),
        )
        return tuple((account_id, number) for account_id, number in rows_of)

    def asked_early(
        self, series: Series, age: timedelta, now: datetime, max_failed: int
    ) -> Iterator[Report]:
        seconds = int(age.total_seconds())
        return self._select(
            "INDEXED BY report_had WHERE series_id = ? AND has_window = 1 AND state = ?"
            " AND window_end + ? <= ? AND intended_at + server_ahead < (window_end + ?) * 1000"
            " AND NOT EXISTS (SELECT 1 FROM report AS edition INDEXED BY report_edition"
            "  WHERE edition.series_id = report.series_id AND edition.replaces = report.id"
            "  AND (edition.is_open = 1 OR edition.state = ?))"
            " AND (SELECT count(*) FROM report AS edition INDEXED BY report_edition"
            "  WHERE edition.series_id = report.series_id AND edition.replaces = report.id"
            "  AND edition.is_open = 0 AND edition.state <> ?) < ?"
            " ORDER BY window_start",
            (
                self.series.find(series),
                State.COLLECTED.value,
                seconds,
                int(now.timestamp()),
                seconds,
                State.DISPUTED.value,
                State.ABSENT.value,
                max_failed,
            ),
            series,
        )

    def newer_edition(self, report: Report) -> int | None:
        row = self.db.execute(
            "SELECT report.id FROM report INDEXED BY report_edition"
            " JOIN report AS current ON current.id = ?"
            " WHERE report.series_id = current.series_id AND report.replaces = ?"
            " AND (report.is_open = 1 OR report.state = ?)",
            (report.id, report.id, State.DISPUTED.value),
        ).fetchone()
        return None if row is None else int(row[0])

    # --- of a series --------------------------------------------------------------------------

    def reports(self, series: Series, states: Iterable[State] | None = None) -> Iterator[Report]:
        series_id = self.series.find(series)
        if series_id is None:
            return iter(())
        wanted = set(State if states is None else states)
        # Most reports are collected: they are read in their order. The few others are looked up
        # by their state, and sorted.
        index = "report_series" if State.COLLECTED in wanted else "report_state"
        return self._select(
            f"INDEXED BY {index} WHERE series_id = ? AND state IN ({_marks(wanted)})"
            " ORDER BY window_start, id",
            (series_id, *(state.value for state in wanted)),
            series,
        )

    def collected_in(self, series: Series, window: Window) -> Iterator[Report]:
        start, end = window.epoch
        return self._select(
            "INDEXED BY report_had WHERE series_id = ? AND has_window = 1 AND window_start < ?"
            " AND window_end > ? AND state = ? ORDER BY window_start",
            (self.series.find(series), end, start, State.COLLECTED.value),
            series,
        )

    def changed_files(self, after: int, up_to: int) -> Iterator[Report]:
        return self._select(
            """
            WHERE id IN (
                SELECT id FROM report INDEXED BY report_collected
                WHERE collected_change > :after AND collected_change <= :up_to
                UNION
                SELECT id FROM report INDEXED BY report_removed
                WHERE removed_change > :after AND removed_change <= :up_to
            ) ORDER BY coalesce(removed_change, collected_change), id
            """,
            {"after": after, "up_to": up_to},
        )

    def is_published(self, series: Series, window: Window, target: str) -> bool:
        row = self.db.execute(
            "SELECT 1 FROM report WHERE series_id = ? AND window_start = ? AND target = ?"  # noqa: S608 - only marks
            f" AND state IN ({_marks(_PUBLISHED)}) LIMIT 1",
            (
                self.series.find(series),
                window.epoch[0],
                target,
                *(state.value for state in _PUBLISHED),
            ),
        ).fetchone()
        return row is not None

    def counts(self, series: Series) -> dict[State, tuple[int, int, int]]:
        cursor = self.db.execute(
            "SELECT state, count(*), total(rows), total(size_bytes) FROM report"
            " WHERE series_id = ? GROUP BY state",
            (self.series.find(series),),
        )
        with rows.refuse_damaged("reports"):
            return {
                State(state): (number, int(records), int(size_bytes))
                for state, number, records, size_bytes in cursor
            }

    def number_in(self, series: Series, state: State) -> int:
        (number,) = self.db.execute(
            "SELECT count(*) FROM report WHERE series_id = ? AND state = ?",
            (self.series.find(series), state.value),
        ).fetchone()
        return int(number)

    # --- of all series ------------------------------------------------------------------------

    def has_collected(self) -> bool:
        row = self.db.execute(
            "SELECT 1 FROM report WHERE state = ? LIMIT 1", (State.COLLECTED.value,)
        ).fetchone()
        return row is not None

    def size(self) -> tuple[int, int]:
        (series,) = self.db.execute("SELECT count(*) FROM series").fetchone()
        (reports,) = self.db.execute("SELECT count(*) FROM report").fetchone()
        return int(series), int(reports)

    def newest(self) -> int:
        (number,) = self.db.execute("SELECT coalesce(max(id), 0) FROM report").fetchone()
        return int(number)

    def superseded(self, by: Report | None = None) -> list[Report]:
        # A name that a collected report has is never to be removed, whatever else the ledger says.
        ids = self.db.execute(
            """
            SELECT id FROM report AS old INDEXED BY report_to_remove
            WHERE state IN ('superseded', 'erased') AND target IS NOT NULL AND coalesce(id = ?, 1)
            AND NOT EXISTS (
                SELECT 1 FROM report AS current WHERE current.series_id = old.series_id
                AND current.window_start = old.window_start AND current.state = ?
                AND current.target = old.target
            ) ORDER BY id
            """,
            (by.replaces if by else None, State.COLLECTED.value),
        ).fetchall()
        return [self.report(report_id) for (report_id,) in ids]

    def foreign_rows(self) -> Iterator[SubaccountRows]:
        for series_id, start, end, report_id, account_id, number in self.db.execute(
            "SELECT series_id, window_start, window_end, report_id, account_id, foreign_rows.rows"
            " FROM foreign_rows CROSS JOIN report ON report.id = report_id"
            " WHERE account_id IN (SELECT account_id FROM series) AND state = ?"
            " ORDER BY report_id, account_id",
            (State.COLLECTED.value,),
        ):
            with rows.refuse_damaged(f"report {report_id}"):
                window = Window.of_epoch(start, end)
            series = self.series.series_numbered(series_id)
            yield SubaccountRows(series, window, report_id, account_id, number)

    def bought(self, since: datetime, up_to: int) -> Bought:
        asked = (
            "FROM report WHERE intended_at + server_ahead >= ? AND id <= ?"
            f" AND state NOT IN ({_marks(_UNPAID)}) AND coalesce(rows, items_count)"
        )
        values = (to_ms(since), up_to, *_UNPAID)
        records: dict[str, int] = {}
        for series_id, number in self.db.execute(
            f"SELECT series_id, total(coalesce(rows, items_count)) {asked} IS NOT NULL"
            " GROUP BY series_id",
            values,
        ):
            product = self.series.series_numbered(series_id).product
            records[product] = records.get(product, 0) + int(number)
        with rows.refuse_damaged("windows"):
            uncounted = [
                (self.series.series_numbered(series_id), Window.of_epoch(start, end))
                for series_id, start, end in self.db.execute(
                    f"SELECT series_id, window_start, window_end {asked} IS NULL", values
                )
            ]
        return Bought(records, uncounted)

    # --- the API's ids ------------------------------------------------------------------------

    def owners_of(self, request_ids: Sequence[str]) -> dict[str, int]:
        return {
            request_id: int(number)
            for request_id, number in self._by_request_id("request_id, id", request_ids)
        }

    def owners(self, request_ids: Sequence[str]) -> dict[str, Owner]:
        columns = "request_id, id, api_key, intended_at, submitted_at"
        return {
            request_id: rows.owner_of(values)
            for request_id, *values in self._by_request_id(columns, request_ids)
        }

    def _by_request_id(self, columns: str, request_ids: Sequence[str]) -> Iterator[sqlite3.Row]:
        for first in range(0, len(request_ids), _IDS_AT_ONCE):
            ids = request_ids[first : first + _IDS_AT_ONCE]
            yield from self.db.execute(
                f"SELECT {columns} FROM report WHERE request_id IN ({_marks(ids)})",  # noqa: S608 - only names and marks
                tuple(ids),
            )

    def recent(
        self, account_id: str, api_key: str, since: datetime, until: datetime
    ) -> frozenset[str]:
        cursor = self.db.execute(
            "SELECT request_id FROM report WHERE id > (SELECT max(id) - ? FROM report)"
            " AND api_key = ? AND submitted_at BETWEEN ? AND ? AND state <> ?"
            " AND series_id IN (SELECT id FROM series WHERE account_id = ?)",
            (_NEWEST, api_key, to_ms(since), to_ms(until), State.LOST.value, account_id),
        )
        return frozenset(request_id for (request_id,) in cursor)

    def unresolved_creates(self, report: Report) -> tuple[Report, ...]:
        reports = self._select(
            """
            INDEXED BY report_unknown
            WHERE series_id IN (SELECT id FROM series WHERE account_id = ?)
            AND is_open = 1 AND request_id IS NULL AND id <> ? ORDER BY id
            """,
            (report.series.account_id, report.id),
        )
        return tuple(reports)


def _marks(values: Iterable[object]) -> str:
    """A placeholder for each value."""
    return ", ".join("?" for _ in values)
