"""What became of a series' windows: had, failed, given up; what a job's relative ones became."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.intervals import Window, merge
from orchestrator.core.ledger_records import from_ms, to_ms
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Failure, Resolution
from orchestrator.ledger import rows
from orchestrator.ledger.series import SeriesTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from sqlite3 import Row

    from orchestrator.core.model import GivenUp, Report, Series


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
            WHERE series_id = ? AND has_window = 1
            UNION ALL
            SELECT window_start, window_end FROM given_up WHERE series_id = ?
            ORDER BY window_start
            """,
            (series_id, series_id),
        )
        return _coalesced(cursor)

    def failures(self, series: Series) -> tuple[Failure, ...]:
        """The series' reports that came to nothing and still count, in the order of their ends.

        Truncated ones stay for ever: chunks there must be smaller.
        """
        series_id = self._find(series)
        if series_id is None:
            return ()
        cursor = self._db.execute(
            """
            SELECT id, window_start, window_end, state, reason, items_count,
                failed > (SELECT retried FROM series WHERE id = ?) AS recent, (
                    SELECT total(inner.window_end - inner.window_start) FROM report AS inner
                    WHERE inner.series_id = report.series_id AND inner.state = ?
                    AND inner.window_start BETWEEN report.window_start AND report.window_end - 1
                    AND inner.window_end <= report.window_end
                ) AS complete
            FROM report INDEXED BY report_failed
            WHERE series_id = ? AND failed IS NOT NULL AND replaces IS NULL
            AND state NOT IN (?, ?) AND (
                state = ? OR failed > (SELECT retried FROM series WHERE id = ?)
            )
            ORDER BY failed
            """,
            (
                series_id,
                State.COLLECTED.value,
                series_id,
                State.COLLECTED.value,
                State.WAIVED.value,  # a disputed one that a person has decided on, as above
                State.TRUNCATED.value,
                series_id,
            ),
        )
        return tuple(_failure(row) for row in cursor)

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
        with rows.sensible("a mark of a job"):
            until = None if mark is None else from_ms(mark["at"])
        return Resolution(_coalesced(windows), until)

    def remember(self, job: str, resolutions: Mapping[Series, Resolution]) -> None:
        """See the port `Ledger.remember`."""
        for series, resolution in resolutions.items():
            series_id = self._make(series)
            self.changes.resolutions[job, series_id] = None
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
                    (job, series_id, to_ms(resolution.mark)),
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
        self._change_given_up(
            "INSERT INTO given_up (series_id, window_start, window_end, report_id, reason, at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                self._make(series),
                *window.epoch,
                report_id,
                rows.reason_text(reason),
                to_ms(at),
            ),
        )

    def _change_given_up(self, statement: str, values: tuple[object, ...]) -> int:
        """Writes entries of what is given up; how many."""
        changed = self._db.execute(f"{statement} RETURNING id", values).fetchall()
        self.changes.given_up.update((int(number), None) for (number,) in changed)
        return len(changed)

    def given_up_numbered(self, number: int) -> GivenUp | None:
        """The entry of that number; None where it is gone."""
        row = self._db.execute("SELECT * FROM given_up WHERE id = ?", (number,)).fetchone()
        return None if row is None else rows.given_up_of(row, self._series_of(row["series_id"]))

    def given_up(self, series: Series) -> tuple[GivenUp, ...]:
        """What was given up of a series, by time."""
        series_id = self._find(series)
        if series_id is None:
            return ()
        cursor = self._db.execute(
            "SELECT * FROM given_up WHERE series_id = ? ORDER BY window_start", (series_id,)
        )
        return tuple(rows.given_up_of(row, series) for row in cursor)

    def retry(self, series: Series) -> int:
        """See the port `Ledger.retry`."""
        series_id = self._find(series)
        if series_id is None:
            return 0
        self._forgive(series_id)
        return self._change_given_up(
            "DELETE FROM given_up WHERE series_id = ? AND acknowledged = 0", (series_id,)
        )

    def _forgive(self, series_id: int) -> None:
        """What came to nothing up to now no longer counts as a purchase.

        By the number of the latest event, not by a clock: that may be wrong, and be set right.
        """
        self.changes.series[series_id] = None
        self._db.execute(
            "UPDATE series SET retried = (SELECT coalesce(max(id), 0) FROM event) WHERE id = ?",
            (series_id,),
        )

    def undo_give_up(self, report: Report) -> int:
        """See the port `Ledger.take_back`."""
        entries = self._change_given_up("DELETE FROM given_up WHERE report_id = ?", (report.id,))
        if entries:
            self._forgive(self._make(report.series))
        return entries

    def acknowledge(self, report: Report) -> int:
        """See the port `Ledger.acknowledge`."""
        return self._change_given_up(
            "UPDATE given_up SET acknowledged = 1 WHERE report_id = ?", (report.id,)
        )


def _failure(row: Row) -> Failure:
    with rows.sensible(f"report {row['id']}"):
        return _failure_of(row)


def _failure_of(row: Row) -> Failure:
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
    with rows.sensible("windows"):
        return tuple(Window.of_epoch(start, end) for start, end in merge(ordered))
