"""Stores the given-up windows: no run asks for them until a person has them retried."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from orchestrator.core.intervals import Window
from orchestrator.core.ledger_records import LedgerChanges, to_ms
from orchestrator.core.model import GivenUp, Report, Series
from orchestrator.ledger import rows
from orchestrator.ledger.series import SeriesTable


@dataclass(frozen=True, slots=True)
class GivenUpTable:
    """The table `given_up` of one connection; notes in `changes` what it writes.

    Calls without a docstring are those of `LedgerReader` and `Ledger`.
    """

    db: sqlite3.Connection
    series: SeriesTable
    changes: LedgerChanges

    def given_up(self, series: Series) -> tuple[GivenUp, ...]:
        cursor = self.db.execute(
            "SELECT * FROM given_up WHERE series_id = ? ORDER BY window_start",
            (self.series.find(series),),
        )
        return tuple(rows.given_up_of(row, series) for row in cursor)

    def numbered(self, number: int) -> GivenUp | None:
        """See `LedgerReader.given_up_numbered`."""
        row = self.db.execute("SELECT * FROM given_up WHERE id = ?", (number,)).fetchone()
        if row is None:
            return None
        return rows.given_up_of(row, self.series.series_numbered(row["series_id"]))

    def give_up(
        self, series: Series, window: Window, reason: str, *, report_id: int | None, at: datetime
    ) -> None:
        self._write(
            "INSERT INTO given_up (series_id, window_start, window_end, report_id, reason, at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                self.series.number_of(series),
                *window.epoch,
                report_id,
                rows.reason_text(reason),
                to_ms(at),
            ),
        )

    def retry(self, series: Series) -> int:
        series_id = self.series.find(series)
        if series_id is None:
            return 0
        self.series.forgive(series_id)
        return self._write(
            "DELETE FROM given_up WHERE series_id = ? AND acknowledged = 0", (series_id,)
        )

    def release(self, report: Report) -> int:
        """Removes what was given up with a report; the number of entries."""
        return self._write("DELETE FROM given_up WHERE report_id = ?", (report.id,))

    def undo_give_up(self, report: Report) -> int:
        entries = self.release(report)
        if entries:
            self.series.forgive(self.series.number_of(report.series))
        return entries

    def acknowledge(self, report: Report) -> int:
        return self._write("UPDATE given_up SET acknowledged = 1 WHERE report_id = ?", (report.id,))

    def _write(self, statement: str, values: tuple[object, ...]) -> int:
        """Writes, adds or removes entries; the number of them."""
        changed = self.db.execute(f"{statement} RETURNING id", values).fetchall()
        self.changes.given_up.update((int(number), None) for (number,) in changed)
        return len(changed)
