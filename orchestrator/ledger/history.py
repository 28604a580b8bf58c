"""Reads what was collected before, to size what comes next: records over time, and durations."""

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Final

from orchestrator.core.durations import ReportDuration
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Series
from orchestrator.core.volume import History, ObservedSpan
from orchestrator.ledger.rows import refuse_damaged

# Limits of what is read, so that a million reports cost no more than a thousand.
_MAX_OWN_WINDOWS: Final = 1000  # Latest windows of the series itself.
_MAX_SIMILAR: Final = 50  # Similar series, and latest windows of each of them.
_MAX_DURATIONS: Final = 500  # Latest collected reports that tell how long reports take.
_SEARCHED_FOR_DURATIONS: Final = 20_000  # Latest reports of any state, to find those among.

_DAY: Final = 24 * 60 * 60
"""Seconds: shorter windows that touch are joined up to this length, for a night is not a day."""

_Piece = tuple[int, int, int]
"""Start and end in seconds, number of records."""


class Histories:
    """The port `Histories`. It keeps what it reads of similar series."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._of_kind: dict[str, History] = {}

    def of(self, series: Series) -> History:
        row = self._db.execute("SELECT id FROM series WHERE key = ?", (series.key,)).fetchone()
        if row is not None:
            own = tuple(_by_start(_joined(self._pieces(row[0], _MAX_OWN_WINDOWS))))
            if own:
                return History(own)
        similar = self._of_kind.get(series.kind)
        if similar is None:
            similar = self._of_kind[series.kind] = self._together("kind = ?", series.kind)
        if similar:
            return similar
        return self._together(
            "account_id = ? AND json_extract(body, '$.product') = ?",
            series.account_id,
            series.product,
        )

    def record_rates(self, series: Iterable[Series]) -> dict[str, float]:
        rates: dict[str, float] = {}
        for wanted in series:
            seconds, rows = self._db.execute(
                "SELECT total(window_end - window_start), total(rows) FROM ("
                "SELECT window_start, window_end, report.rows FROM report INDEXED BY report_state"
                " JOIN series ON series.id = series_id WHERE key = ? AND state = ?"
                " ORDER BY window_start DESC LIMIT ?)",
                (wanted.key, State.COLLECTED.value, _MAX_SIMILAR),
            ).fetchone()
            if seconds:
                rates[wanted.key] = rows / seconds
        return rates

    def recent_durations(self) -> dict[str, list[ReportDuration]]:
        durations: dict[str, list[ReportDuration]] = {}
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
            (_SEARCHED_FOR_DURATIONS, State.COLLECTED.value, _MAX_DURATIONS),
        ):
            durations.setdefault(product, []).append(
                ReportDuration(rows or 0, max(0, milliseconds) / 1000)
            )
        return durations

    def _together(self, condition: str, *values: str) -> History:
        similar = self._db.execute(
            f"SELECT id FROM series WHERE {condition} AND EXISTS ("  # noqa: S608 - only names of ours
            "SELECT 1 FROM report INDEXED BY report_state WHERE series_id = series.id"
            " AND state = ? AND window_end > window_start) LIMIT ?",
            (*values, State.COLLECTED.value, _MAX_SIMILAR),
        ).fetchall()
        spans = [
            span
            for (series_id,) in similar
            for span in _joined(self._pieces(series_id, _MAX_SIMILAR))
        ]
        return History(tuple(_by_start(spans)), own=False)

    def _pieces(self, series_id: int, most: int) -> Iterator[_Piece]:
        """The latest collected windows of a series, latest first."""
        for start, end, rows in self._db.execute(
            "SELECT window_start, window_end, rows FROM report INDEXED BY report_state"
            " WHERE series_id = ? AND state = ? ORDER BY window_start DESC LIMIT ?",
            (series_id, State.COLLECTED.value, most),
        ):
            yield start, end, rows or 0


def _by_start(spans: Iterable[ObservedSpan]) -> list[ObservedSpan]:
    return sorted(spans, key=lambda span: span.window)


def _joined(pieces: Iterable[_Piece]) -> Iterator[ObservedSpan]:
    """Pieces, latest first, joined while they touch and do not make a day."""
    start = end = rows = 0
    for piece_start, piece_end, piece_rows in pieces:
        if start < end and (piece_end != start or end - start >= _DAY):
            yield _span(start, end, rows)
            start = end
        if start == end:
            end, rows = piece_end, 0
        start = piece_start
        rows += piece_rows
    if start < end:
        yield _span(start, end, rows)


def _span(start: int, end: int, rows: int) -> ObservedSpan:
    with refuse_damaged("windows"):
        return ObservedSpan(Window.of_epoch(start, end), timedelta(seconds=end - start), rows)
