"""What became of a series' windows: had, failed, given up; what a job's relative ones became."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.core.attempts import Failure
from orchestrator.core.intervals import Window, merge
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Resolution
from orchestrator.ledger import rows
from orchestrator.ledger.series import SeriesTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from orchestrator.core.model import GivenUp, Report, Series

_FAILED: Final = (State.FAILED, State.ABORTED, State.EXPIRED, State.LOST)
"""States of reports that count as failed attempts."""


class WindowTables(SeriesTable):
    """Adds to the series what is known of their windows."""

    # --- what is had --------------------------------------------------------------------------

    def had(self, series: Series) -> tuple[Window, ...]:
        """The windows of a series that are not to be bought; normal."""
        series_id = self._find(series)
        if series_id is None:
            return ()
        cursor = self._db.execute(
            """
            SELECT window_start, window_end FROM report INDEXED BY report_had
            WHERE series_id = ?1 AND has_window = 1
            UNION ALL
            SELECT window_start, window_end FROM given_up WHERE series_id = ?1
            ORDER BY window_start
            """,
            (series_id,),
        )
        return _coalesced(cursor)

    def failures(self, series: Series) -> tuple[Failure, ...]:
        """The series' reports that came to nothing and still count, oldest first."""
        series_id = self._find(series)
        if series_id is None:
            return ()
        marks = ", ".join("?" * len(_FAILED))
        cursor = self._db.execute(
            f"""
            SELECT id, window_start, window_end, state, reason, EXISTS (
                SELECT 1 FROM report AS inner
                WHERE inner.series_id = report.series_id AND inner.state = ?1
                AND inner.window_start BETWEEN report.window_start AND report.window_end - 1
                AND inner.window_end <= report.window_end
            ) AS proved
            FROM report INDEXED BY report_state
            WHERE series_id = ?2 AND state IN (?3, {marks}) AND replaces IS NULL AND (
                state = ?3 OR changed_at > (SELECT retried_at FROM series WHERE id = ?2)
            )
            ORDER BY changed_at, id
            """,  # noqa: S608 - only marks
            (
                State.COLLECTED.value,
                series_id,
                State.TRUNCATED.value,
                *(state.value for state in _FAILED),
            ),
        )
        return tuple(
            Failure(
                Window.of_epoch(row["window_start"], row["window_end"]),
                truncated=row["state"] == State.TRUNCATED.value,
                reason=row["reason"],
                proved=bool(row["proved"]),
                report_id=row["id"],
            )
            for row in cursor
        )

    def _holder(self, series_id: int, window: Window) -> str | None:
        """What has a moment of the window already, in words; None if nothing has."""
        start, end = window.epoch
        report_id = self._report_over(series_id, start, end)
        if report_id is not None:
            return f"report {report_id}"
        given_up = self._db.execute(
            """
            SELECT id FROM given_up WHERE series_id = ? AND window_start < ? AND window_end > ?
            """,
            (series_id, end, start),
        ).fetchone()
        return None if given_up is None else "a window that was given up"

    def _report_over(self, series_id: int, start: int, end: int) -> int | None:
        """The number of the last report that has a moment of the window; None if none has."""
        # Windows that are had never overlap each other, so the last one that begins before the
        # end is the only one that can reach into it.
        row = self._db.execute(
            """
            SELECT id, window_end FROM report WHERE series_id = ? AND has_window = 1
            AND window_start < ? ORDER BY window_start DESC LIMIT 1
            """,
            (series_id, end),
        ).fetchone()
        return int(row["id"]) if row is not None and row["window_end"] > start else None

    # --- resolutions --------------------------------------------------------------------------

    def resolution(self, job: str, series: Series) -> Resolution:
        """What a job's relative windows have become for a series."""
        series_id = self._find(series)
        if series_id is None:
            return Resolution()
        windows = self._db.execute(
            "SELECT window_start, window_end FROM resolved WHERE job = ? AND series_id = ?"
            " ORDER BY window_start",
            (job, series_id),
        )
        mark = self._db.execute(
            "SELECT at FROM mark WHERE job = ? AND series_id = ?", (job, series_id)
        ).fetchone()
        return Resolution(
            _coalesced(windows),
            None if mark is None else rows.from_ms(mark["at"]),
        )

    def remember(self, job: str, resolutions: Mapping[Series, Resolution]) -> None:
        """See the port `Ledger.remember`."""
        for series, resolution in resolutions.items():
            series_id = self._make(series)
            self._db.execute(
                "DELETE FROM resolved WHERE job = ? AND series_id = ?", (job, series_id)
            )
            self._db.executemany(
                "INSERT INTO resolved VALUES (?, ?, ?, ?)",
                [(job, series_id, *window.epoch) for window in resolution.windows],
            )
            self._db.execute("DELETE FROM mark WHERE job = ? AND series_id = ?", (job, series_id))
            if resolution.mark is not None:
                self._db.execute(
                    "INSERT INTO mark VALUES (?, ?, ?)",
                    (job, series_id, rows.to_ms(resolution.mark)),
                )

    def resolutions(self) -> Iterator[tuple[str, Series, Resolution]]:
        """Every resolution of every job, by job."""
        for job, series_id in self._db.execute(
            "SELECT job, series_id FROM mark ORDER BY job, series_id"
        ):
            series = self._series_of(series_id)
            yield job, series, self.resolution(job, series)

    # --- given up -----------------------------------------------------------------------------

    def give_up(
        self, series: Series, window: Window, reason: str, *, report_id: int | None, at: datetime
    ) -> None:
        """See the port `Ledger.give_up`."""
        self._db.execute(
            "INSERT INTO given_up (series_id, window_start, window_end, report_id, reason, at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (self._make(series), *window.epoch, report_id, reason, rows.to_ms(at)),
        )

    def given_up(self, series: Series) -> tuple[GivenUp, ...]:
        """What was given up of a series, by time."""
        series_id = self._find(series)
        if series_id is None:
            return ()
        cursor = self._db.execute(
            "SELECT * FROM given_up WHERE series_id = ? ORDER BY window_start", (series_id,)
        )
        return tuple(rows.given_up_of(row, series) for row in cursor)

    def retry(self, series: Series, at: datetime) -> int:
        """See the port `Ledger.retry`."""
        series_id = self._find(series)
        if series_id is None:
            return 0
        self._forgive(series_id, at)
        return self._db.execute(
            "DELETE FROM given_up WHERE series_id = ? AND acknowledged = 0", (series_id,)
        ).rowcount

    def _forgive(self, series_id: int, at: datetime) -> None:
        """Failures up to now no longer count as attempts."""
        self._db.execute(
            "UPDATE series SET retried_at = ? WHERE id = ?", (rows.to_ms(at), series_id)
        )

    def take_back(self, report: Report, at: datetime) -> int:
        """See the port `Ledger.take_back`."""
        entries = self._db.execute(
            "DELETE FROM given_up WHERE report_id = ?", (report.id,)
        ).rowcount
        if entries:
            self._forgive(self._make(report.series), at)
        return entries

    def acknowledge(self, report: Report) -> int:
        """See the port `Ledger.acknowledge`."""
        return self._db.execute(
            "UPDATE given_up SET acknowledged = 1 WHERE report_id = ?", (report.id,)
        ).rowcount


def _coalesced(ordered: Iterable[tuple[int, int]]) -> tuple[Window, ...]:
    """Pairs of seconds, ordered by start, as windows: merged first, for there may be a million."""
    return tuple(Window.of_epoch(start, end) for start, end in merge(ordered))
