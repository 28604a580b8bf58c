"""Reads the windows of a series (had, failed), and stores its jobs' resolutions."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from sqlite3 import Row

from orchestrator.core.intervals import Window, merge
from orchestrator.core.ledger_records import LedgerChanges, from_ms, to_ms
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Failure, Resolution, Series
from orchestrator.ledger import rows
from orchestrator.ledger.series import SeriesTable


@dataclass(frozen=True, slots=True)
class SeriesWindows:
    """Reads what became of the windows of series, for `LedgerReader`; writes nothing."""

    db: sqlite3.Connection
    series: SeriesTable

    def had(self, series: Series) -> tuple[Window, ...]:
        series_id = self.series.find(series)
        if series_id is None:
            return ()
        cursor = self.db.execute(
            """
            SELECT window_start, window_end FROM report INDEXED BY report_had
            WHERE series_id = ? AND has_window = 1
            UNION ALL
            SELECT window_start, window_end FROM given_up WHERE series_id = ?
            ORDER BY window_start
            """,
            (series_id, series_id),
        )
        return _coalesced(cursor)

    def failures(self, series: Series) -> tuple[Failure, ...]:
        series_id = self.series.find(series)
        if series_id is None:
            return ()
        cursor = self.db.execute(
            """
            SELECT id, window_start, window_end, state, reason, items_count,
                failed > (SELECT retried FROM series WHERE id = ?) AS recent, (
                    SELECT total(inner.window_end - inner.window_start) FROM report AS inner
                    WHERE inner.series_id = report.series_id AND inner.state IN (?, ?)
                    AND inner.window_start BETWEEN report.window_start AND report.window_end - 1
                    AND inner.window_end <= report.window_end
                ) AS complete
            FROM report INDEXED BY report_failed
            WHERE series_id = ? AND failed IS NOT NULL AND replaces IS NULL
            AND state NOT IN (?, ?, ?) AND (
                state = ? OR failed > (SELECT retried FROM series WHERE id = ?)
            )
            ORDER BY failed
            """,
            (
                series_id,
                State.COLLECTED.value,
                State.ERASED.value,
                series_id,
                # Disputed ones on which a person has decided: accepted, or waived.
                State.COLLECTED.value,
                State.ERASED.value,
                State.WAIVED.value,
                State.TRUNCATED.value,
                series_id,
            ),
        )
        return tuple(_failure_of(row) for row in cursor)

    def holder_of(self, series: Series, window: Window) -> str | None:
        series_id = self.series.find(series)
        if series_id is None:
            return None
        start, end = window.epoch
        report_id = self.report_over(series_id, start, end)
        if report_id is not None:
            return f"report {report_id}"
        given_up = self.db.execute(
            """
            SELECT id FROM given_up WHERE series_id = ? AND window_start < ? AND window_end > ?
            """,
            (series_id, end, start),
        ).fetchone()
        return None if given_up is None else "a window that was given up"

    def report_over(self, series_id: int, start: int, end: int) -> int | None:
        """The number of the last report that has a part of the window; None if none has."""
        # Windows that are had never overlap each other, so the last one that begins before the
        # end is the only one that can reach into it.
        row = self.db.execute(
            """
            SELECT id, window_end FROM report WHERE series_id = ? AND has_window = 1
            AND window_start < ? ORDER BY window_start DESC LIMIT 1
            """,
            (series_id, end),
        ).fetchone()
        return int(row["id"]) if row is not None and row["window_end"] > start else None


@dataclass(frozen=True, slots=True)
class ResolutionTable:
    """The tables `resolved` and `mark` of one connection; notes in `changes` what it writes.

    Its calls are those of `LedgerReader` and `Ledger`.
    """

    db: sqlite3.Connection
    series: SeriesTable
    changes: LedgerChanges

    def resolution(self, job: str, series: Series) -> Resolution:
        series_id = self.series.find(series)
        if series_id is None:
            return Resolution()
        windows = self.db.execute(
            "SELECT window_start, window_end FROM resolved WHERE job = ? AND series_id = ?"
            " ORDER BY window_start",
            (job, series_id),
        )
        mark = self.db.execute(
            "SELECT at FROM mark WHERE job = ? AND series_id = ?", (job, series_id)
        ).fetchone()
        with rows.refuse_damaged("a mark of a job"):
            until = None if mark is None else from_ms(mark["at"])
        return Resolution(_coalesced(windows), until)

    def resolutions(self) -> Iterator[tuple[str, Series, Resolution]]:
        for job, series_id in self.db.execute(
            "SELECT job, series_id FROM mark ORDER BY job, series_id"
        ):
            series = self.series.series_numbered(series_id)
            yield job, series, self.resolution(job, series)

    def remember(self, job: str, resolutions: Mapping[Series, Resolution]) -> None:
        for series, resolution in resolutions.items():
            series_id = self.series.number_of(series)
            self.changes.resolutions[job, series_id] = None
            self.db.execute(
                "DELETE FROM resolved WHERE job = ? AND series_id = ?", (job, series_id)
            )
            self.db.executemany(
                "INSERT INTO resolved VALUES (?, ?, ?, ?)",
                [(job, series_id, *window.epoch) for window in resolution.windows],
            )
            self.db.execute("DELETE FROM mark WHERE job = ? AND series_id = ?", (job, series_id))
            if resolution.mark is not None:
                self.db.execute(
                    "INSERT INTO mark VALUES (?, ?, ?)", (job, series_id, to_ms(resolution.mark))
                )


def _failure_of(row: Row) -> Failure:
    with rows.refuse_damaged(f"report {row['id']}"):
        window = Window.of_epoch(row["window_start"], row["window_end"])
        truncated = row["state"] in (State.TRUNCATED.value, State.DISPUTED.value)
        is_collected = row["complete"] >= window.length.total_seconds()
        return Failure(
            window,
            truncated=truncated,
            reason=row["reason"],
            proved=truncated and row["complete"] > 0,
            report_id=row["id"],
            rows=row["items_count"] if truncated else None,
            counts=bool(row["recent"]) and not (truncated and is_collected),
        )


def _coalesced(ordered: Iterable[tuple[int, int]]) -> tuple[Window, ...]:
    """Pairs of seconds, ordered by start, as windows: merged first, for there may be a million."""
    with rows.refuse_damaged("windows"):
        return tuple(Window.of_epoch(start, end) for start, end in merge(ordered))
