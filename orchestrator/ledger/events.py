"""Stores the events of reports, the ledger's identity, and how far it has got."""

import hashlib
import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from orchestrator.core.ledger_records import from_ms, to_ms
from orchestrator.core.lifecycle import State
from orchestrator.core.model import LedgerPoint
from orchestrator.ledger import rows


@dataclass(frozen=True, slots=True)
class EventTable:
    """The table `event` of one connection. An event is never changed, nor removed."""

    db: sqlite3.Connection

    def add(
        self,
        report_id: int,
        at: datetime,
        *,
        kind: str,
        prior: State | None,
        state: State,
        facts: str,
    ) -> None:
        """Writes an event of a report: from which state to which; `facts` are JSON."""
        self.db.execute(
            "INSERT INTO event (report_id, at, kind, from_state, to_state, facts)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (report_id, to_ms(at), kind, prior.value if prior else None, state.value, facts),
        )

    def of(self, report_id: int) -> Iterator[tuple[datetime, str, str, str]]:
        """A report's events, oldest first: when, kind, state reached, facts as JSON."""
        for row in self.db.execute(
            "SELECT at, kind, to_state, facts FROM event WHERE report_id = ? ORDER BY id",
            (report_id,),
        ):
            with rows.refuse_damaged(f"an event of report {report_id}"):
                at = from_ms(row["at"])
            yield at, row["kind"], row["to_state"], row["facts"]

    def last(self) -> int:
        """The number of the latest event; 0 before the first. It never goes down."""
        (number,) = self.db.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()
        return int(number)

    def checksum(self, number: int) -> str:
        """See `LedgerReader.event_checksum`."""
        row = self.db.execute("SELECT * FROM event WHERE id = ?", (number,)).fetchone()
        return f"{zlib.crc32(repr(None if row is None else tuple(row)).encode()):08x}"


@dataclass(frozen=True, slots=True)
class Identity:
    """The table `identity` of one connection, which has one row."""

    db: sqlite3.Connection
    events: EventTable

    def point(self) -> LedgerPoint:
        """See `LedgerReader.point`.

        Raises:
            LedgerError: the ledger does not say which it is.
        """
        row = self.db.execute("SELECT id, generation, changes FROM identity").fetchone()
        if row is None:
            raise rows.damaged("no identity", ValueError("the table is empty"))
        last = self.events.last()
        return LedgerPoint(row[0], row[1], row[2], last, self.events.checksum(last))

    def rebuilt_at(self) -> int | None:
        row = self.db.execute("SELECT rebuilt_at FROM identity").fetchone()
        return None if row is None else row[0]

    def count_change(self) -> LedgerPoint:
        """Counts one more transaction that has changed something; the point that it leads to."""
        self.db.execute("UPDATE identity SET changes = changes + 1")
        return self.point()

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        # Files change with events alone; windows and marks without any.
        for statement in (
            "SELECT * FROM event ORDER BY id DESC LIMIT 1",
            "SELECT * FROM resolved ORDER BY job, series_id, window_start",
            "SELECT * FROM mark ORDER BY job, series_id",
        ):
            for row in self.db.execute(statement):
                digest.update(repr(tuple(row)).encode())
        return digest.hexdigest()
