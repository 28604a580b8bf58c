"""The statements of the ledger: every read and write, against one SQLite connection.

Synchronous, and unaware of transactions: `SqliteLedger` runs these inside one, the commands that
only read run them as they are. The reports are here; what they rest on is in the base classes.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING, Final

from orchestrator.core import attempts
from orchestrator.core.intervals import Window
from orchestrator.core.ledger_records import from_ms, to_ms
from orchestrator.core.lifecycle import UNPAID, Published, State, Superseded, transition
from orchestrator.core.model import LedgerPoint, Report, SeriesState
from orchestrator.core.spending import Bought
from orchestrator.errors import InvalidTransition, RequestIdConflict, WindowHad
from orchestrator.ledger import collected_files, editions, rows, subaccount_rows
from orchestrator.ledger.history import Histories
from orchestrator.ledger.open_reports import OpenReports

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime, timedelta

    from orchestrator.core.ledger_records import CollectedFile, SubaccountRows
    from orchestrator.core.lifecycle import Event
    from orchestrator.core.model import Owner, Series

_BATCH: Final = 500
_NEWEST: Final = 500
"""So many rows `recent` looks at."""

_PUBLISHED: Final = (State.VERIFIED, State.COLLECTED, State.SUPERSEDED)
"""States in which a report's file stands under its name, or may."""

_UNPAID: Final = tuple(sorted(state.value for state in UNPAID))


class Store(OpenReports):
    """Reads and writes on one connection. Not safe for use by two threads at once."""

    # --- summaries ----------------------------------------------------------------------------

    def size(self) -> tuple[int, int]:
        """How many series and how many reports the ledger holds."""
        (series,) = self._db.execute("SELECT count(*) FROM series").fetchone()
        (reports,) = self._db.execute("SELECT count(*) FROM report").fetchone()
        return int(series), int(reports)

    def series_state(self, job: str, series: Series) -> SeriesState:
        """See the port `Ledger.standing`."""
        series_id = self._find(series)
        if series_id is None:
            return SeriesState()
        return SeriesState(
            resolution=self.resolution(job, series),
            had=self.had(series),
            failures=self.failures(series),
            given_up=self.given_up(series),
            disputed=tuple(self.reports(series, (State.DISPUTED,))),
            open=self._number_open(series_id),
        )

    def bought(self, since: datetime, up_to: int) -> Bought:
        """See the port `Ledger.bought`."""
        marks = ", ".join("?" * len(_UNPAID))
        asked = (
            "FROM report WHERE intended_at + server_ahead >= ? AND id <= ?"
            f" AND state NOT IN ({marks}) AND coalesce(rows, items_count)"
        )
        values = (to_ms(since), up_to, *_UNPAID)
        records: dict[str, int] = {}
        for series_id, number in self._db.execute(
            f"SELECT series_id, total(coalesce(rows, items_count)) {asked} IS NOT NULL"
            " GROUP BY series_id",
            values,
        ):
            product = self._series_of(series_id).product
            records[product] = records.get(product, 0) + int(number)
        with rows.sensible("windows"):
            uncounted = [
                (self._series_of(series_id), Window.of_epoch(start, end))
                for series_id, start, end in self._db.execute(
                    f"SELECT series_id, window_start, window_end {asked} IS NULL",
                    values,
                )
            ]
        return Bought(records, uncounted)

    def histories(self) -> Histories:
        """What was collected of series and their likes; use it for one moment only."""
        return Histories(self._db)

    # --- writing reports ----------------------------------------------------------------------

    def record_intent(
        self,
        series: Series,
        window: Window,
        *,
        job: str,
        api_key: str,
        server_ahead: timedelta,
        callback_url: str | None,
        at: datetime,
        replaces: Report | None = None,
    ) -> Report:
        """See the port `Ledger.intend`."""
        series_id = self._make(series)
        if replaces is not None:
            editions.check(self._db, replaces)
        holder = None if replaces is not None else self._holder(series_id, window)
        if holder is not None:
            raise InvalidTransition(
                f"{series}, {window}: {holder} has it already; buying it would be paying twice"
            )
        report = Report(
            id=0,
            series=series,
            window=window,
            state=State.SUBMITTING,
            api_key=api_key,
            job=job,
            intended_at=at,
            server_ahead=server_ahead,
            callback_url=callback_url,
            changed_at=at,
            edition=1 if replaces is None else replaces.edition + 1,
            replaces=None if replaces is None else replaces.id,
        )
        return self._insert(report, series_id, "Intended", at)

    def restore(self, report: Report, at: datetime) -> Report:
        """Puts a collected report back that a manifest speaks of.

        Raises:
            InvalidTransition: a moment of its window is had already.
        """
        series_id = self._make(report.series)
        holder = self._holder(series_id, report.window)
        if holder is not None:
            raise InvalidTransition(
                f"{report.series}, {report.window}: {holder} has it already; the manifest names "
                "a window twice"
            )
        return self._insert(report, series_id, "Restored", at)

    def _insert(self, report: Report, series_id: int, kind: str, at: datetime) -> Report:
        start, end = report.window.epoch
        columns = {
            "series_id": series_id,
            "window_start": start,
            "window_end": end,
            "state": report.state.value,
            "is_open": int(report.state.is_open),
            "has_window": int(editions.has_window(report.state, report.replaces)),
            "api_key": report.api_key,
            "job": report.job,
            "intended_at": to_ms(report.intended_at),
            "server_ahead": round(report.server_ahead.total_seconds() * 1000),
            "callback_url": report.callback_url,
            "request_id": report.request_id,
            "rows": report.rows,
            "size_bytes": report.size_bytes,
            "sha256": report.sha256,
            "target": report.target,
            "changed_at": to_ms(at),
            "edition": report.edition,
            "replaces": report.replaces,
        }
        names = ", ".join(columns)
        marks = ", ".join("?" * len(columns))
        (row,) = self._db.execute(
            f"INSERT INTO report ({names}) VALUES ({marks})"  # noqa: S608 - names are ours
            f" RETURNING {rows.COLUMNS}",
            tuple(columns.values()),
        ).fetchall()
        written = rows.report_of(row, report.series)
        self._write_event(written.id, at, kind=kind, prior=None, state=report.state, facts="{}")
        self.changes.report(written)
        return written

    def apply(self, report: Report, event: Event, at: datetime) -> Report:
        """See the port `Ledger.apply`."""
        state = transition(report.state, event)
        columns = {
            "state": state.value,
            "is_open": int(state.is_open),
            "has_window": int(editions.has_window(state, report.replaces)),
            **rows.changes(event, report, at),
            **rows.forgotten(state),
        }
        if state.has_window and not report.state.has_window and report.replaces is None:
            self._reclaim(report)
        if "request_id" in columns:
            self._refuse_taken(report, columns["request_id"])
        setting = ", ".join(f"{name} = ?" for name in columns)
        written = self._db.execute(
            f"UPDATE report SET {setting} WHERE id = ? AND state = ?"  # noqa: S608 - names are ours
            f" RETURNING {rows.COLUMNS}",
            (*columns.values(), report.id, report.state.value),
        ).fetchall()
        if len(written) != 1:
            raise InvalidTransition(
                f"report {report.id} is no longer {report.state.value}: it changed behind our "
                "back; this is a bug"
            )
        self._write_event(
            report.id,
            at,
            kind=type(event).__name__,
            prior=report.state,
            state=state,
            facts=rows.event_facts(rows.without_link(event)),
        )
        if attempts.counts(event):
            self._db.execute(
                "UPDATE report SET failed = (SELECT max(id) FROM event) WHERE id = ?", (report.id,)
            )
        elif attempts.begins_anew(event):
            self._forgive(self._make(report.series))
        elif state.is_open and not report.state.is_open:  # it lives again
            self._db.execute("UPDATE report SET failed = NULL WHERE id = ?", (report.id,))
        subaccount_rows.note(self._db, report.id, event)
        if isinstance(event, Published) and report.replaces is not None:
            words = f"by report {report.id}, edition {report.edition}"
            self.apply(self.report(report.replaces), Superseded(words), at)
        changed = rows.report_of(written[0], report.series)
        self.changes.report(changed, report.state)
        return changed

    def _reclaim(self, report: Report) -> None:
        """Makes sure that a report which came to nothing may have its window again.

        What was given up with it is given up no longer.

        Raises:
            WindowHad: another report has a moment of it by now.
        """
        self._change_given_up("DELETE FROM given_up WHERE report_id = ?", (report.id,))
        holder = self._holder(self._make(report.series), report.window)
        if holder is not None:
            raise WindowHad(
                f"report {report.id} ({report.series}, {report.window}): {holder} has its window, "
                "or a part of it, by now"
            )

    def _refuse_taken(self, report: Report, request_id: str) -> None:
        owner = self.owners_of((request_id,)).get(request_id, report.id)
        if owner != report.id:
            raise RequestIdConflict(
                f"the API names it {request_id}, which is the name of report {owner} already"
            )

    def _write_event(
        self,
        report_id: int,
        at: datetime,
        *,
        kind: str,
        prior: State | None,
        state: State,
        facts: str,
    ) -> None:
        self._db.execute(
            "INSERT INTO event (report_id, at, kind, from_state, to_state, facts)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                report_id,
                to_ms(at),
                kind,
                prior.value if prior else None,
                state.value,
                facts,
            ),
        )

    # --- reading reports ----------------------------------------------------------------------

    def report_by_request(self, request_id: str) -> Report:
        """The report that the API knows by this id.

        Raises:
            KeyError: there is none.
        """
        return self._report_whose("request_id", request_id)

    def reports(self, series: Series, states: Iterable[State] | None = None) -> Iterator[Report]:
        """The reports of a series, by window; lazy."""
        series_id = self._find(series)
        if series_id is None:
            return
        wanted = set(State if states is None else states)
        # Most reports are collected: they are read in their order, the few others are found and
        # sorted.
        index = "report_series" if State.COLLECTED in wanted else "report_state"
        marks = ", ".join("?" * len(wanted))
        cursor = self._db.execute(
            f"SELECT {rows.COLUMNS} FROM report INDEXED BY {index}"  # noqa: S608 - only names and marks
            f" WHERE series_id = ? AND state IN ({marks}) ORDER BY window_start, id",
            (series_id, *(state.value for state in wanted)),
        )
        for row in cursor:
            yield rows.report_of(row, series)

    def files(self, series: Series) -> Iterator[CollectedFile]:
        """The collected files of a series, by window; lazy."""
        series_id = self._find(series)
        if series_id is not None:
            yield from collected_files.collected(self._db, series_id)

    def number_in(self, series: Series, state: State) -> int:
        """How many reports of a series are in a state."""
        series_id = self._find(series)
        (number,) = self._db.execute(
            "SELECT count(*) FROM report WHERE series_id = ? AND state = ?",
            (series_id, state.value),
        ).fetchone()
        return int(number)

    def is_asked_again(self, report: Report) -> bool:
        """Whether a moment of the report's window is had, or a later report began where it did."""
        series_id = self._find(report.series)
        start, end = report.window.epoch
        if series_id is None:
            return False
        holder = self._report_over(series_id, start, end)
        if holder is not None and holder != report.id:
            return True
        later = self._db.execute(
            "SELECT 1 FROM report WHERE series_id = ? AND window_start = ? AND id > ? LIMIT 1",
            (series_id, start, report.id),
        ).fetchone()
        return later is not None

    def there(self, ids: Iterable[int]) -> Iterator[Report]:
        """Those of the reports of these numbers that there are."""
        for number in ids:
            try:
                yield self.report(number)
            except KeyError:
                continue

    def is_published(self, series: Series, window: Window, target: str) -> bool:
        """Whether a file of that name is, or was, or is about to be, the one of a report."""
        states = tuple(state.value for state in _PUBLISHED)
        marks = ", ".join("?" * len(states))
        found = self._db.execute(
            "SELECT 1 FROM report WHERE series_id = ? AND window_start = ? AND target = ?"  # noqa: S608 - only marks
            f" AND state IN ({marks}) LIMIT 1",
            (self._find(series), window.epoch[0], target, *states),
        ).fetchone()
        return found is not None

    def over(self, series: Series, window: Window) -> str | None:
        """What has a moment of a window already, in words; None if nothing has."""
        series_id = self._find(series)
        return None if series_id is None else self._holder(series_id, window)

    def by_ids(self, ids: Sequence[int]) -> list[Report]:
        """The reports of these numbers, in their order."""
        return [self.report(report_id) for report_id in ids]

    def counts(self, series: Series) -> dict[State, tuple[int, int, int]]:
        """By state: reports, rows and bytes of a series."""
        series_id = self._find(series)
        if series_id is None:
            return {}
        cursor = self._db.execute(
            "SELECT state, count(*), total(rows), total(size_bytes) FROM report"
            " WHERE series_id = ? GROUP BY state",
            (series_id,),
        )
        with rows.sensible("reports"):
            return {State(state): (number, int(r), int(b)) for state, number, r, b in cursor}

    def owners_of(self, request_ids: Sequence[str]) -> dict[str, int]:
        """See the port `Ledger.owned`."""
        found: dict[str, int] = {}
        for first in range(0, len(request_ids), _BATCH):
            part = request_ids[first : first + _BATCH]
            marks = ", ".join("?" * len(part))
            found.update(
                self._db.execute(
                    f"SELECT request_id, id FROM report WHERE request_id IN ({marks})",  # noqa: S608 - only marks
                    part,
                ).fetchall()
            )
        return found

    def owners(self, request_ids: Sequence[str]) -> dict[str, Owner]:
        """See the port `Ledger.owners`."""
        found: dict[str, Owner] = {}
        for first in range(0, len(request_ids), _BATCH):
            part = request_ids[first : first + _BATCH]
            marks = ", ".join("?" * len(part))
            for request_id, *columns in self._db.execute(
                "SELECT request_id, id, api_key, intended_at, submitted_at FROM report"  # noqa: S608 - only marks
                f" WHERE request_id IN ({marks})",
                part,
            ):
                found[request_id] = rows.owner_of(columns)
        return found

    def recent(
        self, account_id: str, api_key: str, since: datetime, until: datetime
    ) -> frozenset[str]:
        """See the port `Ledger.recent`."""
        cursor = self._db.execute(
            "SELECT request_id FROM report WHERE id > (SELECT max(id) - ? FROM report)"
            " AND api_key = ? AND submitted_at BETWEEN ? AND ? AND state <> ?"
            " AND series_id IN (SELECT id FROM series WHERE account_id = ?)",
            (
                _NEWEST,
                api_key,
                to_ms(since),
                to_ms(until),
                State.LOST.value,
                account_id,
            ),
        )
        return frozenset(request_id for (request_id,) in cursor)

    def point(self) -> LedgerPoint:
        """Which ledger this is, and how far it has got.

        Raises:
            LedgerError: it does not say.
        """
        row = self._db.execute("SELECT id, generation, changes FROM identity").fetchone()
        if row is None:
            raise rows.damaged("no identity", ValueError("the table is empty"))
        last = self.last_event()
        return LedgerPoint(row[0], row[1], row[2], last, self.event_checksum(last))

    def changed(self) -> LedgerPoint:
        """Counts one transaction more that has changed something; the point it leads to."""
        self._db.execute("UPDATE identity SET changes = changes + 1")
        return self.point()

    def event_checksum(self, number: int) -> str:
        """A checksum of an event, in hex; of nothing, where there is none of that number."""
        row = self._db.execute("SELECT * FROM event WHERE id = ?", (number,)).fetchone()
        return f"{zlib.crc32(repr(None if row is None else tuple(row)).encode()):08x}"

    def failed(self, report_id: int) -> int | None:
        """The event by which a report came to nothing, where that counts as a purchase."""
        row = self._db.execute("SELECT failed FROM report WHERE id = ?", (report_id,)).fetchone()
        return None if row is None else row[0]

    def foreign_of(self, report_id: int) -> tuple[tuple[str, int], ...]:
        """Records of other accounts in a report's file, by account."""
        return subaccount_rows.of(self._db, report_id)

    def last_event(self) -> int:
        """The number of the latest event; 0 before the first. It never goes down."""
        (last,) = self._db.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()
        return int(last)

    def fingerprint(self) -> str:
        """Tells whether anything that a manifest holds has changed: its files, windows, marks."""
        digest = hashlib.sha256()
        # Files change with events alone; windows and marks without any.
        for statement in (
            "SELECT * FROM event ORDER BY id DESC LIMIT 1",
            "SELECT * FROM resolved ORDER BY job, series_id, window_start",
            "SELECT * FROM mark ORDER BY job, series_id",
        ):
            for row in self._db.execute(statement):
                digest.update(repr(tuple(row)).encode())
        return digest.hexdigest()

    def events(self, report_id: int) -> Iterator[tuple[datetime, str, str, str]]:
        """A report's events, oldest first: when, kind, state reached, facts as JSON."""
        for row in self._db.execute(
            "SELECT at, kind, to_state, facts FROM event WHERE report_id = ? ORDER BY id",
            (report_id,),
        ):
            with rows.sensible(f"an event of report {report_id}"):
                at = from_ms(row["at"])
            yield at, row["kind"], row["to_state"], row["facts"]

    # --- editions, and records of other accounts ----------------------------------------------

    def current(self, series: Series, window: Window) -> Iterator[Report]:
        """The collected reports that hold a moment of a window, by time."""
        series_id = self._find(series)
        start, end = window.epoch
        for row in self._db.execute(
            f"SELECT {rows.COLUMNS} FROM report INDEXED BY report_had"  # noqa: S608 - names are ours
            " WHERE series_id = ? AND has_window = 1 AND window_start < ? AND window_end > ?"
            " AND state = ? ORDER BY window_start",
            (series_id, end, start, State.COLLECTED.value),
        ):
            yield rows.report_of(row, series)

    def newer_edition(self, report: Report) -> int | None:
        """The number of a report's newer edition that is not settled; None if there is none."""
        return editions.newer(self._db, report)

    def superseded(self, by: Report | None = None) -> list[Report]:
        """See the port `Ledger.superseded`."""
        return self.by_ids(editions.superseded_ids(self._db, by.replaces if by else None))

    def withdrawn(self, report: Report, at: datetime) -> None:
        """See the port `Ledger.withdrawn`."""
        self._db.execute("UPDATE report SET target = NULL WHERE id = ?", (report.id,))
        facts = rows.file_facts(report)
        self._write_event(
            report.id, at, kind="Withdrawn", prior=report.state, state=report.state, facts=facts
        )
        self.changes.report(self.report(report.id))

    def foreign(self) -> Iterator[SubaccountRows]:
        """Records of other accounts in the collected files of series with subaccounts."""
        return subaccount_rows.found(self._db, self._series_of)
