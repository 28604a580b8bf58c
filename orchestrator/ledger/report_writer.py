"""Writes reports: intents, and what events make of them. Never outside a transaction."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from orchestrator.core import attempts
from orchestrator.core.intervals import Window
from orchestrator.core.ledger_records import LedgerChanges
from orchestrator.core.lifecycle import (
    Accepted,
    Event,
    FileMissing,
    Published,
    State,
    Superseded,
    Verified,
    transition,
)
from orchestrator.core.model import Report, Series
from orchestrator.errors import InvalidTransition, RequestIdConflict, WindowTaken
from orchestrator.ledger import rows
from orchestrator.ledger.column_lists import ColumnLists
from orchestrator.ledger.events import EventTable
from orchestrator.ledger.given_up import GivenUpTable
from orchestrator.ledger.reports import ReportTable
from orchestrator.ledger.series import SeriesTable
from orchestrator.ledger.windows import SeriesWindows

_CHANGES: Final = {(False, True): "collected_change", (True, False): "removed_change"}
"""What is noted of a report that was collected before or not, and is after or not."""


@dataclass(frozen=True, slots=True)
class ReportWriter:
    """Writes the table `report` of one connection, and what must change with it."""

    db: sqlite3.Connection  # whose transactions others begin and end
    series: SeriesTable
    windows: SeriesWindows
    reports: ReportTable
    given_up: GivenUpTable
    events: EventTable  # takes an event for each change
    changes: LedgerChanges  # notes each report that is written
    column_lists: ColumnLists  # gives each list of columns its number

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
        series_id = self.series.number_of(series)
        if replaces is not None:
            self._refuse_edition_of(replaces)
        elif (holder := self.windows.holder_of(series, window)) is not None:
            raise InvalidTransition(
                f"{series}, {window}: {holder} has it already; buying it would be paying twice"
            )
        intent = Report(
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
        values = rows.values_of(intent, series_id)
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        (row,) = self.db.execute(
            f"INSERT INTO report ({names}) VALUES ({marks})"  # noqa: S608 - names are ours
            f" RETURNING {rows.COLUMNS}",
            tuple(values.values()),
        ).fetchall()
        report = rows.report_of(row, series)
        self.events.add(report.id, at, kind="Intended", prior=None, state=report.state, facts="{}")
        self.changes.report(report)
        return report

    def apply(self, report: Report, event: Event, at: datetime) -> Report:
        state = transition(report.state, event)
        if state.has_window and not report.state.has_window and report.replaces is None:
            self._reclaim(report)
        values = rows.changed_values(report, state, event, at)
        if isinstance(event, Verified | Accepted):
            values["column_list"] = self.column_lists.number_of(event.file_columns)
        if "request_id" in values:
            self._refuse_taken(report, values["request_id"])
        setting = ", ".join(f"{name} = ?" for name in values)
        if column := _CHANGES.get((report.state is State.COLLECTED, state is State.COLLECTED)):
            # Each transaction that changes a report is counted at its end.
            setting += f", {column} = (SELECT changes + 1 FROM identity)"  # noqa: S608 - as above
        written = self.db.execute(
            f"UPDATE report SET {setting} WHERE id = ? AND state = ?"  # noqa: S608 - names are ours
            f" RETURNING {rows.COLUMNS}",
            (*values.values(), report.id, report.state.value),
        ).fetchall()
        if len(written) != 1:
            raise InvalidTransition(
                f"report {report.id} is no longer {report.state.value}: it changed behind our "
                "back; this is a bug"
            )
        self.events.add(
            report.id,
            at,
            kind=type(event).__name__,
            prior=report.state,
            state=state,
            facts=rows.event_facts(event),
        )
        if attempts.counts(event):
            self.db.execute(
                "UPDATE report SET failed = (SELECT max(id) FROM event) WHERE id = ?", (report.id,)
            )
        elif attempts.begins_anew(event):
            self.series.forgive(self.series.number_of(report.series))
        elif state.is_open and not report.state.is_open:  # it lives again
            self.db.execute("UPDATE report SET failed = NULL WHERE id = ?", (report.id,))
        self._note_foreign_rows(report.id, event)
        if isinstance(event, Published) and report.replaces is not None:
            reason = f"by report {report.id}, edition {report.edition}"
            self.apply(self.reports.report(report.replaces), Superseded(reason), at)
        changed = rows.report_of(written[0], report.series)
        self.changes.report(changed, report.state)
        return changed

    def _note_foreign_rows(self, report_id: int, event: Event) -> None:
        match event:
            case Verified(foreign=foreign) | Accepted(foreign=foreign):
                self.db.executemany(
                    "INSERT OR REPLACE INTO foreign_rows VALUES (?, ?, ?)",
                    [(report_id, account_id, number) for account_id, number in foreign or ()],
                )
            case FileMissing():
                self.db.execute("DELETE FROM foreign_rows WHERE report_id = ?", (report_id,))
            case _:
                pass

    def _reclaim(self, report: Report) -> None:
        """Makes sure that a report which came to nothing may have its window again.

        What was given up with it is given up no longer.

        Raises:
            WindowTaken: another report has a part of it by now.
        """
        self.given_up.release(report)
        holder = self.windows.holder_of(report.series, report.window)
        if holder is not None:
            raise WindowTaken(
                f"report {report.id} ({report.series}, {report.window}): {holder} has its window, "
                "or a part of it, by now"
            )

    def _refuse_edition_of(self, current: Report) -> None:
        """Makes sure that a newer edition of a report may be bought.

        Raises:
            InvalidTransition: it is not the collected one, or has a newer edition under way.
        """
        row = self.db.execute("SELECT state FROM report WHERE id = ?", (current.id,)).fetchone()
        if row is None or row["state"] != State.COLLECTED.value:
            raise InvalidTransition(
                f"{current.series}, {current.window}: report {current.id} is not what is collected "
                "of it (any more), so no newer edition of it is bought"
            )
        under_way = self.reports.newer_edition(current)
        if under_way is not None:
            raise InvalidTransition(
                f"{current.series}, {current.window}: report {under_way} is a newer edition that "
                "is not settled yet; buying another would be paying twice"
            )

    def _refuse_taken(self, report: Report, request_id: str) -> None:
        owner = self.reports.owners_of((request_id,)).get(request_id, report.id)
        if owner != report.id:
            raise RequestIdConflict(
                f"the API names it {request_id}, which is the name of report {owner} already"
            )

    def withdrawn(self, report: Report, at: datetime) -> None:
        self.db.execute("UPDATE report SET target = NULL WHERE id = ?", (report.id,))
        self.events.add(
            report.id,
            at,
            kind="Withdrawn",
            prior=report.state,
            state=report.state,
            facts=rows.file_facts(report),
        )
        self.changes.report(self.reports.report(report.id))
