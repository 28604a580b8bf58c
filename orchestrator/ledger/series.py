"""The series that the ledger has heard of, and their numbers in it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from orchestrator.ledger import rows

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from orchestrator.core.model import LedgerChange, Series


class SeriesTable:
    """The series on one connection, found by key and by number; remembers both."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._series_of = lru_cache(maxsize=8192)(self._load_series)
        self._id_of: dict[str, int] = {}  # a row each for the series of the command's jobs
        self._changes: list[LedgerChange] = []

    @property
    def changed(self) -> int:
        """How many changes are noted; see `take_changes` and `forget_changes`."""
        return len(self._changes)

    def take_changes(self) -> list[LedgerChange]:
        """What has been changed since the last call, in order: once a transaction is committed."""
        changes, self._changes = self._changes, []
        return changes

    def forget_changes(self, since: int = 0) -> None:
        """Forgets what was noted beyond the first `since`: it was rolled back."""
        del self._changes[since:]

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
        self._id_of.clear()
        self._series_of.cache_clear()

    def all_series(self) -> Iterator[Series]:
        """Every series that the ledger has heard of, by account."""
        for (body,) in self._db.execute("SELECT body FROM series ORDER BY account_id, id"):
            yield rows.series_of(body)
