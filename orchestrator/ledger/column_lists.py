"""The columns of files: each list of them once, by number; and where they change in a series."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from orchestrator.core.column_drift import FileShape, ShapeChange
from orchestrator.core.file_columns import FileColumns, columns_as_json, columns_from_json
from orchestrator.core.intervals import Window
from orchestrator.core.model import Series
from orchestrator.ledger.rows import column_changes_of, refuse_damaged
from orchestrator.ledger.series import SeriesTable


@dataclass(frozen=True, slots=True)
class ColumnLists:
    """The table `column_list` of one connection; calls without a docstring: see `LedgerReader`."""

    db: sqlite3.Connection
    series: SeriesTable

    def number_of(self, columns: FileColumns) -> int | None:
        """The number of a list, which gets one where it has none; None for one without columns."""
        if not columns:
            return None
        text = text_of(columns)
        self.db.execute("INSERT OR IGNORE INTO column_list (columns) VALUES (?)", (text,))
        (number,) = self.db.execute(
            "SELECT id FROM column_list WHERE columns = ?", (text,)
        ).fetchone()
        return int(number)

    def column_list(self, number: int) -> FileColumns:
        row = self.db.execute("SELECT columns FROM column_list WHERE id = ?", (number,)).fetchone()
        with refuse_damaged("columns of files"):
            return () if row is None else columns_from_json(json.loads(row[0]))

    def column_lists(self) -> Iterator[tuple[int, FileColumns]]:
        for (number,) in self.db.execute("SELECT id FROM column_list ORDER BY id").fetchall():
            yield number, self.column_list(number)

    def column_changes(self, series: Series) -> Iterator[ShapeChange]:
        number = self.series.find(series)
        of_series = (
            "FROM report INDEXED BY report_columns WHERE series_id = ?"
            " AND column_list IS NOT NULL AND state = 'collected' AND rows > 0"
        )
        # Two look-ups in the index; together in one statement they would be a scan.
        (least,) = self.db.execute(f"SELECT min(column_list) {of_series}", (number,)).fetchone()
        (most,) = self.db.execute(f"SELECT max(column_list) {of_series}", (number,)).fetchone()
        if least == most:
            return
        before: tuple[int, int, str | None] | None = None
        for start, end, listed, rules, change in self.db.execute(
            f"SELECT window_start, window_end, column_list, columns, collected_change {of_series}"
            " ORDER BY window_start",
            (number,),
        ):
            now = (change or 0, listed, rules)
            if before is not None and before[1] != listed:
                with refuse_damaged("columns of files"):
                    at = Window.of_epoch(start, end).start
                    yield ShapeChange(
                        self._shape(*before[1:]), self._shape(listed, rules), at,
                        max(before[0], now[0]),
                    )  # fmt: skip
            before = now

    def _shape(self, listed: int, rules: str | None) -> FileShape:
        by_rule = () if rules is None else column_changes_of(rules).by_rule
        return FileShape(self.column_list(listed), frozenset(by_rule))


@lru_cache(maxsize=64)  # the files of a series have the same, nearly always
def text_of(columns: FileColumns) -> str:
    """A list of columns as it is stored."""
    return json.dumps(columns_as_json(columns), ensure_ascii=False, separators=(",", ":"))
