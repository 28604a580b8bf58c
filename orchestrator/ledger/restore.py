"""A ledger filled from what a manifest tells of a lost one."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from orchestrator.core.ledger_records import to_ms
from orchestrator.core.lifecycle import State
from orchestrator.ledger import rows
from orchestrator.ledger.store import Store

if TYPE_CHECKING:
    from datetime import datetime

    from orchestrator.core.model import GivenUp, LedgerPoint, Report, Resolution, Series
    from orchestrator.core.ports import LedgerReader

_ASKED_ANEW: Final = frozenset({State.READY, State.VERIFIED})
"""Their link is not known any more, nor is a file that did not reach its name: the API is asked."""


class Contradiction(ValueError):
    """Two lines that cannot both be true.

    Attributes:
        line: of the later one.
        other: of the earlier one; None where it is not known.
    """

    def __init__(self, key: str, what: str, line: int, other: int | None) -> None:
        super().__init__(what)
        self.key = key
        self.line = line
        self.other = other


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file in its place, as it was read: what a collected report has of it."""

    target: str
    rows: int
    size_bytes: int
    sha256: str


class LedgerRestore:
    """Fills a new ledger inside one transaction, which whoever calls begins and ends.

    Args:
        connection: of the new ledger.
        at: the present moment.
        point: how far the lost ledger had got: this is its next generation. None: nobody knows;
            it has an identity of its own.
        events: the number of the lost ledger's latest event: later ones have higher numbers, since
            what counts is their order.
    """

    def __init__(
        self, connection: sqlite3.Connection, at: datetime, point: LedgerPoint | None, events: int
    ) -> None:
        self._db = connection
        self._store = Store(connection)
        self._at = at
        self._events = events
        # Reports refer to each other, in any order.
        connection.execute("PRAGMA defer_foreign_keys = ON")
        connection.execute(
            "CREATE TEMP TABLE restored (report_id INTEGER PRIMARY KEY, line INTEGER NOT NULL)"
        )
        if point is not None:  # a new ledger has a random identity already
            connection.execute(
                "UPDATE identity SET id = ?, generation = ?, changes = ?",
                (point.ledger, point.generation + 1, point.changes + 1),
            )

    @property
    def reader(self) -> LedgerReader:
        """Reads what has been restored so far."""
        return self._store

    def put(
        self,
        report: Report,
        line: int,
        *,
        failed: int | None = None,
        foreign: tuple[tuple[str, int], ...] = (),
        again: bool = False,
    ) -> None:
        """Puts a report back, under its number; a new one where that is 0.

        Args:
            report: as the manifest has it.
            line: where it stands there.
            failed: the event by which it came to nothing.
            foreign: records of other accounts in its file.
            again: it may take the place of an earlier line.

        Raises:
            Contradiction: its number or its request id are another line's.
        """
        columns = rows.values_of(_restored(report, self._at), self._store.number_of(report.series))
        columns["failed"] = failed
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        replacing = ""
        if again and report.id:
            setting = ", ".join(f"{name} = excluded.{name}" for name in columns if name != "id")
            replacing = f" ON CONFLICT (id) DO UPDATE SET {setting}"
        try:
            (number,) = self._db.execute(
                f"INSERT INTO report ({names}) VALUES ({marks}){replacing} RETURNING id",  # noqa: S608 - names are ours
                tuple(columns.values()),
            ).fetchone()
        except sqlite3.IntegrityError:
            raise self._doubled(report, line) from None
        self._db.execute("INSERT OR REPLACE INTO restored VALUES (?, ?)", (number, line))
        self._db.execute("DELETE FROM foreign_rows WHERE report_id = ?", (number,))
        self._db.executemany(
            "INSERT INTO foreign_rows VALUES (?, ?, ?)",
            [(number, account_id, count) for account_id, count in foreign],
        )

    def _doubled(self, report: Report, line: int) -> Contradiction:
        for key, column, value in (
            ("report", "id", report.id),
            ("request_id", "request_id", report.request_id),
        ):
            found = self._db.execute(
                f"SELECT line FROM report JOIN restored ON report_id = id WHERE {column} = ?",  # noqa: S608 - names are ours
                (value,),
            ).fetchone()
            if found is not None:
                return Contradiction(
                    key, f"{value} stands in line {found[0]:,} too", line, found[0]
                )
        return Contradiction("report", "it contradicts what stands above", line, None)

    def give_up(self, number: int, given_up: GivenUp | None) -> None:
        """Puts an entry of what was given up back; None takes it away."""
        self._db.execute("DELETE FROM given_up WHERE id = ?", (number,))
        if given_up is None:
            return
        self._db.execute(
            "INSERT INTO given_up VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number,
                self._store.number_of(given_up.series),
                *given_up.window.epoch,
                given_up.report_id,
                given_up.reason,
                to_ms(given_up.at),
                int(given_up.acknowledged),
            ),
        )

    def remember(self, job: str, series: Series, resolution: Resolution) -> None:
        """Puts back what a job's relative windows had become for a series."""
        self._store.remember(job, {series: resolution})

    def forgive(self, series: Series, retried: int) -> None:
        """Failures up to that event no longer count."""
        self._db.execute(
            "UPDATE series SET retried = ? WHERE id = ?", (retried, self._store.number_of(series))
        )

    def take_up(self, report: Report, found: FoundFile) -> None:
        """Makes an open report collected whose file was found in its place.

        Where it is a newer edition, the one that it replaces has its window no longer.
        """
        self._db.execute(
            "UPDATE report SET state = ?, is_open = 0, has_window = 1, rows = ?, size_bytes = ?,"
            " sha256 = ?, target = ?, changed_at = ? WHERE id = ?",
            (
                State.COLLECTED.value,
                found.rows,
                found.size_bytes,
                found.sha256,
                found.target,
                to_ms(self._at),
                report.id,
            ),
        )
        self._db.execute(
            "UPDATE report SET state = ?, has_window = 0, reason = ?, changed_at = ?"
            " WHERE id = ? AND state = ?",
            (
                State.SUPERSEDED.value,
                f"by report {report.id}, edition {report.edition}",
                to_ms(self._at),
                report.replaces,
                State.COLLECTED.value,
            ),
        )

    def check(self) -> None:
        """Refuses what cannot be, once all lines have been read.

        Raises:
            Contradiction: two reports have a moment of one series, or one refers to another that
                is not there.
        """
        self._refuse_overlap()
        self._refuse_dangling()

    def finish(self) -> None:
        """Writes an event for each report, once all are there."""
        self._db.execute(
            "INSERT INTO event SELECT ? + row_number() OVER (ORDER BY id), id, ?, 'Restored', NULL,"
            " state, '{}' FROM report ORDER BY id",
            (self._events, to_ms(self._at)),
        )
        self._db.execute("DROP TABLE temp.restored")

    def _refuse_overlap(self) -> None:
        found = self._db.execute(
            """
            SELECT first.line, second.line FROM (
                SELECT id, lag(id) OVER (
                    PARTITION BY series_id ORDER BY window_start, window_end
                ) AS before, window_start, lag(window_end) OVER (
                    PARTITION BY series_id ORDER BY window_start, window_end
                ) AS until
                FROM report WHERE has_window = 1
            ) JOIN temp.restored AS first ON first.report_id = before
            JOIN temp.restored AS second ON second.report_id = id
            WHERE until > window_start LIMIT 1
            """
        ).fetchone()
        if found is not None:
            other, line = sorted(found)
            raise Contradiction(
                "date_start", f"line {other:,} has this window too, or a part of it", line, other
            )

    def _refuse_dangling(self) -> None:
        found = self._db.execute(
            """
            SELECT line, replaces FROM report JOIN temp.restored ON report_id = id
            WHERE replaces IS NOT NULL AND replaces NOT IN (SELECT id FROM report) LIMIT 1
            """
        ).fetchone()
        if found is not None:
            raise Contradiction("replaces", f"there is no report {found[1]}", found[0], None)
        found = self._db.execute(
            """
            SELECT report_id FROM given_up
            WHERE report_id IS NOT NULL AND report_id NOT IN (SELECT id FROM report) LIMIT 1
            """
        ).fetchone()
        if found is not None:
            raise Contradiction("report", f"there is no report {found[0]}", 0, None)


def _restored(report: Report, at: datetime) -> Report:
    """The report as a rebuilt ledger has it: without a link, and without an unfinished file."""
    report = replace(report, download_url=None, changed_at=report.changed_at or at)
    if report.state not in _ASKED_ANEW:
        return report
    return replace(
        report, state=State.SUBMITTED, rows=None, size_bytes=None, sha256=None, target=None
    )
