"""What the ledger has seen of a series: how many records, over which time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from orchestrator.core.durations import ReportDuration
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.volume import History, ObservedSpan
from orchestrator.ledger.rows import sensible

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from orchestrator.core.model import Series

_OWN: Final = 1000
"""So many of a series' latest windows are looked at."""

_LIKES: Final = 50
"""So many series that are like it, and so many of each one's latest windows."""

_PACES: Final = 500
"""So many of the latest reports tell how long reports take."""

_LOOKED_AT: Final = 20_000
"""Among so many of the latest: where a million have failed or are open, they are not all read."""

_LEAST: Final = 24 * 60 * 60
"""Seconds: shorter windows that touch are seen as one, for a night is not a day."""

_Piece = tuple[int, int, int]
"""Start and end in seconds, rows."""


class Histories:
    """Looks up histories. What is found of a series' likes is kept: use it for one moment only."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._of_kind: dict[str, History] = {}

    def of(self, series: Series) -> History:
        """What was collected of a series; where nothing was, of its likes.

        These are the same product, direction and filters in other accounts, and where there is
        nothing of these either, the same product in the same account.
        """
        found = self._db.execute("SELECT id FROM series WHERE key = ?", (series.key,)).fetchone()
        if found is not None:
            own = tuple(_by_start(_stretches(self._pieces(found[0], _OWN))))
            if own:
                return History(own)
        known = self._of_kind.get(series.kind)
        if known is None:
            known = self._of_kind[series.kind] = self._together("kind = ?", series.kind)
        if known:
            return known
        return self._together(
            "account_id = ? AND json_extract(body, '$.product') = ?",
            series.account_id,
            series.product,
        )

    def record_rates(self, series: Iterable[Series]) -> dict[str, float]:
        """See the port `Ledger.densities`."""
        found: dict[str, float] = {}
        for one in series:
            seconds, rows = self._db.execute(
                "SELECT total(window_end - window_start), total(rows) FROM ("
                "SELECT window_start, window_end, report.rows FROM report INDEXED BY report_state"
                " JOIN series ON series.id = series_id WHERE key = ? AND state = ?"
                " ORDER BY window_start DESC LIMIT ?)",
                (one.key, State.COLLECTED.value, _LIKES),
            ).fetchone()
            if seconds:
                found[one.key] = rows / seconds
        return found

    def recent_durations(self) -> dict[str, list[ReportDuration]]:
        """See the port `Ledger.paces`."""
        found: dict[str, list[ReportDuration]] = {}
        for product, rows, milliseconds in self._db.execute(
            """
            WITH latest AS MATERIALIZED (
                SELECT id, series_id, rows, ready_at - submitted_at AS lasted FROM report
                WHERE id > (SELECT max(id) FROM report) - ?
                AND state = ? AND ready_at IS NOT NULL AND submitted_at IS NOT NULL
                ORDER BY id DESC LIMIT ?
            )
            SELECT json_extract(body, '$.product'), rows, lasted
            FROM latest CROSS JOIN series ON series.id = series_id ORDER BY latest.id DESC
            """,
            (_LOOKED_AT, State.COLLECTED.value, _PACES),
        ):
            found.setdefault(product, []).append(
                ReportDuration(rows or 0, max(0, milliseconds) / 1000)
            )
        return found

    def _together(self, condition: str, *values: str) -> History:
        likes = self._db.execute(
            f"SELECT id FROM series WHERE {condition} AND EXISTS ("  # noqa: S608 - only names of ours
            "SELECT 1 FROM report INDEXED BY report_state WHERE series_id = series.id"
            " AND state = ? AND window_end > window_start) LIMIT ?",
            (*values, State.COLLECTED.value, _LIKES),
        ).fetchall()
        seen = [one for (like,) in likes for one in _stretches(self._pieces(like, _LIKES))]
        return History(tuple(_by_start(seen)), own=False)

    def _pieces(self, series_id: int, most: int) -> Iterator[_Piece]:
        """The latest collected windows of a series, latest first."""
        for start, end, rows in self._db.execute(
            "SELECT window_start, window_end, rows FROM report INDEXED BY report_state"
            " WHERE series_id = ? AND state = ? ORDER BY window_start DESC LIMIT ?",
            (series_id, State.COLLECTED.value, most),
        ):
            yield start, end, rows or 0


def _by_start(seen: Iterable[ObservedSpan]) -> list[ObservedSpan]:
    return sorted(seen, key=lambda one: one.window)


def _stretches(pieces: Iterable[_Piece]) -> Iterator[ObservedSpan]:
    """Pieces, latest first, joined while they touch and do not make a day."""
    start = end = rows = 0
    for piece_start, piece_end, piece_rows in pieces:
        if start < end and (piece_end != start or end - start >= _LEAST):
            yield _seen(start, end, rows)
            start = end
        if start == end:
            end, rows = piece_end, 0
        start = piece_start
        rows += piece_rows
    if start < end:
        yield _seen(start, end, rows)


def _seen(start: int, end: int, rows: int) -> ObservedSpan:
    with sensible("windows"):
        return ObservedSpan(Window.of_epoch(start, end), timedelta(seconds=end - start), rows)
