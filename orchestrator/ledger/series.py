"""The series that the ledger has heard of, and their numbers in it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from orchestrator.core.ledger_records import LedgerChanges
from orchestrator.ledger import rows

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from orchestrator.core.model import Series


class SeriesTable:
    """The series on one connection, found by key and by number; remembers both.

    Attributes:
        changes: what was written since whoever ends the transactions last took them.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self.changes = LedgerChanges()
        self._series_of = lru_cache(maxsize=8192)(self._load_series)
        self._id_of: dict[str, int] = {}  # a row each for the series of the command's jobs

    def _load_series(self, series_id: int) -> Series:
        (body,) = self._db.execute("SELECT body FROM series WHERE id = ?", (series_id,)).fetchone()
        return rows.series_of(body)

    def _find(self, series: Series) -> int | None:
        return self._id_of_key(series.key)

    def _id_of_key(self, key: str) -> int | None:
        known = self._id_of.get(key)
        if known is not None:
            return known
        row = self._db.execute("SELECT id FROM series WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        self._id_of[key] = int(row[0])
        return int(row[0])

    def _make(self, series: Series) -> int:
        found = self._find(series)
        if found is not None:
            return found
        cursor = self._db.execute(
            "INSERT INTO series (key, account_id, kind, body) VALUES (?, ?, ?, ?)",
            (series.key, series.account_id, series.kind, rows.body_text(series)),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def forget_cached_ids(self) -> None:
        """Must be called when a transaction was rolled back: ids made in it are void."""
        self.changes.unsure = True
        self._id_of.clear()
        self._series_of.cache_clear()

    def number_of(self, series: Series) -> int:
        """The number of a series, which is made where it is new."""
        return self._make(series)

    def series_numbered(self, series_id: int) -> Series:
        """The series of that number."""
        return self._series_of(series_id)

    def retried(self, series: Series | int) -> int:
        """The last event before a person had a say about a series' failures; 0: nobody had."""
        series_id = series if isinstance(series, int) else self._find(series)
        row = self._db.execute("SELECT retried FROM series WHERE id = ?", (series_id,)).fetchone()
        return 0 if row is None else int(row[0])

    def all_series(self) -> Iterator[Series]:
        """Every series that the ledger has heard of, by account."""
        for (body,) in self._db.execute("SELECT body FROM series ORDER BY account_id, id"):
            yield rows.series_of(body)
