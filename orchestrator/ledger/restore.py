"""Fills a new SQLite ledger with what a manifest tells of a lost one."""

import sqlite3
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from orchestrator.core.file_columns import FileColumns
from orchestrator.core.ledger_records import to_ms
from orchestrator.core.lifecycle import State, VerifiedFile
from orchestrator.core.model import GivenUp, LedgerPoint, Report, Resolution, Series
from orchestrator.core.ports import Contradiction, LedgerReader
from orchestrator.ledger import rows
from orchestrator.ledger.column_lists import text_of
from orchestrator.ledger.store import Store

_FETCHED_ANEW: Final = frozenset({State.READY, State.VERIFIED})
"""Neither the link is known any more nor a file without its final name: the API is asked again."""


class SqliteRestore:
    """The port `LedgerRestore`, inside a transaction that others begin and end.

    Its arguments are those of `restored_ledger`.
    """

    def __init__(
        self, connection: sqlite3.Connection, at: datetime, point: LedgerPoint | None, events: int
    ) -> None:
        self._db = connection
        self._store = Store(connection)
        self._at = at
        self._events = events
        # Reports refer to each other, in any order.
        connection.execute("PRAGMA defer_foreign_keys = ON")
        connection.execute(
            "CREATE TEMP TABLE restored (report_id INTEGER PRIMARY KEY, line INTEGER NOT NULL)"
        )
        if point is not None:  # a new ledger has a random identity already
            connection.execute(
                "UPDATE identity SET id = ?, generation = ?, changes = ?, rebuilt_at = ?",
                (point.ledger, point.generation + 1, point.changes + 1, point.changes),
            )

    @property
    def reader(self) -> LedgerReader:
        return self._store

    def put(
        self,
        report: Report,
        line: int,
        *,
        failed: int | None = None,
        foreign: tuple[tuple[str, int], ...] = (),
        again: bool = False,
    ) -> None:
        restored = _restored(report, self._at)
        if not line and report.state is State.COLLECTED:  # only its file tells of it
            restored = replace(restored, collected_change=self._store.point().changes)
        columns = rows.values_of(restored, self._store.number_of(report.series))
        columns["failed"] = failed
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        replacing = ""
        if again and report.id:
            setting = ", ".join(f"{name} = excluded.{name}" for name in columns if name != "id")
            replacing = f" ON CONFLICT (id) DO UPDATE SET {setting}"
        try:
            (number,) = self._db.execute(
                f"INSERT INTO report ({names}) VALUES ({marks}){replacing} RETURNING id",  # noqa: S608 - names are ours
                tuple(columns.values()),
            ).fetchone()
        except sqlite3.IntegrityError:
            raise self._doubled(report, line) from None
        self._db.execute("INSERT OR REPLACE INTO restored VALUES (?, ?)", (number, line))
        self._db.execute("DELETE FROM foreign_rows WHERE report_id = ?", (number,))
        self._db.executemany(
            "INSERT INTO foreign_rows VALUES (?, ?, ?)",
            [(number, account_id, count) for account_id, count in foreign],
        )

    def _doubled(self, report: Report, line: int) -> Contradiction:
        for key, column, value in (
            ("report", "id", report.id),
            ("request_id", "request_id", report.request_id),
        ):
            row = self._db.execute(
                f"SELECT line FROM report JOIN restored ON report_id = id WHERE {column} = ?",  # noqa: S608 - names are ours
                (value,),
            ).fetchone()
            if row is not None:
                return Contradiction(key, f"{value} stands in line {row[0]:,} too", line)
        return Contradiction("report", "it contradicts what stands above", line)

    def put_columns(self, number: int, columns: FileColumns, line: int) -> None:
        try:
            self._db.execute(
                "INSERT INTO column_list VALUES (?, ?)"
                " ON CONFLICT (id) DO UPDATE SET columns = excluded.columns",
                (number, text_of(columns)),
            )
        except sqlite3.IntegrityError:
            what = "another line has these columns under another number"
            raise Contradiction("columns", what, line) from None

    def give_up(self, number: int, given_up: GivenUp | None) -> None:
        self._db.execute("DELETE FROM given_up WHERE id = ?", (number,))
        if given_up is None:
            return
        self._db.execute(
            "INSERT INTO given_up VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number,
                self._store.number_of(given_up.series),
                *given_up.window.epoch,
                given_up.report_id,
                given_up.reason,
                to_ms(given_up.at),
                int(given_up.acknowledged),
            ),
        )

    def remember(self, job: str, series: Series, resolution: Resolution) -> None:
        self._store.remember(job, {series: resolution})

    def forgive(self, series: Series, retried: int) -> None:
        self._db.execute(
            "UPDATE series SET retried = ? WHERE id = ?", (retried, self._store.number_of(series))
        )

    def take_up(self, report: Report, file: VerifiedFile) -> None:
        self._db.execute(
            "UPDATE report SET state = ?, is_open = 0, has_window = 1, rows = ?, size_bytes = ?,"
            " sha256 = ?, target = ?, changed_at = ?,"
            " collected_change = (SELECT changes FROM identity) WHERE id = ?",
            (
                State.COLLECTED.value,
                file.rows,
                file.size_bytes,
                file.sha256,
                file.target,
                to_ms(self._at),
                report.id,
            ),
        )
        self._db.execute(
            "UPDATE report SET state = ?, has_window = 0, reason = ?, changed_at = ?,"
            " removed_change = coalesce(removed_change, (SELECT changes FROM identity))"
            " WHERE id = ? AND state IN (?, ?)",
            (
                State.SUPERSEDED.value,
                f"by report {report.id}, edition {report.edition}",
                to_ms(self._at),
                report.replaces,
                State.COLLECTED.value,
                State.ERASED.value,
            ),
        )

    def check(self) -> None:
        self._refuse_overlap()
        self._refuse_dangling()

    def finish(self) -> None:
        """Writes an event for each report, once all are there."""
        self._db.execute(
            "INSERT INTO event SELECT ? + row_number() OVER (ORDER BY id), id, ?, 'Restored', NULL,"
            " state, '{}' FROM report ORDER BY id",
            (self._events, to_ms(self._at)),
        )
        self._db.execute("DROP TABLE temp.restored")

    def _refuse_overlap(self) -> None:
        lines = self._db.execute(
            """
            SELECT first.line, second.line FROM (
                SELECT id, lag(id) OVER (
                    PARTITION BY series_id ORDER BY window_start, window_end
                ) AS before, window_start, lag(window_end) OVER (
                    PARTITION BY series_id ORDER BY window_start, window_end
                ) AS until
                FROM report WHERE has_window = 1
            ) JOIN temp.restored AS first ON first.report_id = before
            JOIN temp.restored AS second ON second.report_id = id
            WHERE until > window_start LIMIT 1
            """
        ).fetchone()
        if lines is not None:
            other, line = sorted(lines)
            raise Contradiction(
                "date_start", f"line {other:,} has this window too, or a part of it", line
            )

    def _refuse_dangling(self) -> None:
        for column, table, what in (
            ("replaces", "report", "is no report"),
            ("column_list", "column_list", "are no columns"),
        ):
            row = self._db.execute(
                f"SELECT line, {column} FROM report JOIN temp.restored ON report_id = id"  # noqa: S608 - names are ours
                f" WHERE {column} IS NOT NULL AND {column} NOT IN (SELECT id FROM {table}) LIMIT 1"
            ).fetchone()
            if row is not None:
                raise Contradiction(column, f"there {what} {row[1]}", row[0])
        row = self._db.execute(
            """
            SELECT report_id FROM given_up
            WHERE report_id IS NOT NULL AND report_id NOT IN (SELECT id FROM report) LIMIT 1
            """
        ).fetchone()
        if row is not None:
            raise Contradiction("report", f"there is no report {row[0]}", 0)


def _restored(report: Report, at: datetime) -> Report:
    """The report as a rebuilt ledger has it: without a link, and without an unfinished file."""
    report = replace(report, download_url=None, changed_at=report.changed_at or at)
    if report.state not in _FETCHED_ANEW:
        return report
    without_file: dict[str, Any] = dict.fromkeys(rows.OF_FILE)
    return replace(report, state=State.SUBMITTED, **without_file)
