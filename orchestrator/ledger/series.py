"""Stores the series, each under a number of the ledger."""

import sqlite3
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from orchestrator.core.ledger_records import LedgerChanges
from orchestrator.core.model import Series
from orchestrator.ledger import rows

_KEPT_SERIES: Final = 8192  # Series kept in memory by number: more than most ledgers have.


class SeriesTable:
    """The table `series` of one connection; remembers numbers and series that it has read.

    Args:
        changes: notes whose failures no longer count.
    """

    def __init__(self, connection: sqlite3.Connection, changes: LedgerChanges) -> None:
        self._db = connection
        self._changes = changes
        self.series_numbered = lru_cache(maxsize=_KEPT_SERIES)(self._load)
        self._number_of_key: dict[str, int] = {}  # one entry for each series of the command's jobs

    def _load(self, series_id: int) -> Series:
        (body,) = self._db.execute("SELECT body FROM series WHERE id = ?", (series_id,)).fetchone()
        return rows.series_of(body)

    def find(self, series: Series) -> int | None:
        """The number of a series; None where the ledger does not know it."""
        return self.find_key(series.key)

    def find_key(self, key: str) -> int | None:
        """The number of the series of that key; None where the ledger does not know it."""
        number = self._number_of_key.get(key)
        if number is not None:
            return number
        row = self._db.execute("SELECT id FROM series WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        self._number_of_key[key] = int(row[0])
        return int(row[0])

    def number_of(self, series: Series) -> int:
        """The number of a series, which is written where it is new."""
        number = self.find(series)
        if number is not None:
            return number
        cursor = self._db.execute(
            "INSERT INTO series (key, account_id, kind, body) VALUES (?, ?, ?, ?)",
            (series.key, series.account_id, series.kind, rows.body_text(series)),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def forget_read(self) -> None:
        """Must be called when a transaction was rolled back: numbers given in it are void."""
        self._number_of_key.clear()
        self.series_numbered.cache_clear()

    def retried(self, series: Series | int) -> int:
        series_id = series if isinstance(series, int) else self.find(series)
        row = self._db.execute("SELECT retried FROM series WHERE id = ?", (series_id,)).fetchone()
        return 0 if row is None else int(row[0])

    def forgive(self, series_id: int) -> None:
        """The failures of a series up to now no longer count as purchases.

        By the number of the latest event, not by a clock: that may be wrong, and be set right.
        """
        self._changes.series[series_id] = None
        self._db.execute(
            "UPDATE series SET retried = (SELECT coalesce(max(id), 0) FROM event) WHERE id = ?",
            (series_id,),
        )

    def all_series(self) -> Iterator[Series]:
        for (body,) in self._db.execute("SELECT body FROM series ORDER BY account_id, id"):
            yield rows.series_of(body)
