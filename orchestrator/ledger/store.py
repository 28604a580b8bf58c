"""The statements of the ledger: every read and write, against one SQLite connection.

Synchronous, and unaware of transactions: `SqliteLedger` runs these inside one, the commands that
only read run them as they are.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from orchestrator.core.attempts import Failure
from orchestrator.core.intervals import Window, coalesce
from orchestrator.core.lifecycle import Published, State, Superseded, transition
from orchestrator.core.model import Report, Resolution, Standing
from orchestrator.errors import InvalidTransition, Taken
from orchestrator.ledger import editions, foreign, rows
from orchestrator.ledger.history import Histories

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from orchestrator.core.lifecycle import Event
    from orchestrator.core.model import GivenUp, Series

_FAILED: Final = (State.FAILED, State.ABORTED, State.EXPIRED, State.LOST)
"""States of reports that count as failed attempts."""

_BATCH: Final = 500


class Store:
    """Reads and writes on one connection. Not safe for use by two threads at once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._series_of = lru_cache(maxsize=8192)(self._load_series)
        self._id_of: dict[str, int] = {}  # a row each for the series of the command's jobs

    # --- series -------------------------------------------------------------------------------

    def _load_series(self, series_id: int) -> Series:
        (body,) = self._db.execute("SELECT body FROM series WHERE id = ?", (series_id,)).fetchone()
        return rows.series_of(body)

    def _find(self, series: Series) -> int | None:
        known = self._id_of.get(series.key)
        if known is not None:
            return known
        row = self._db.execute("SELECT id FROM series WHERE key = ?", (series.key,)).fetchone()
        if row is None:
            return None
        self._id_of[series.key] = int(row[0])
        return int(row[0])

    def _make(self, series: Series) -> int:
        found = self._find(series)
        if found is not None:
            return found
        cursor = self._db.execute(
            "INSERT INTO series (key, account_id, kind, body) VALUES (?, ?, ?, ?)",
            (series.key, series.account_id, series.kind, rows.body_text(series)),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def forget_cached_ids(self) -> None:
        """Must be called when a transaction was rolled back: ids made in it are void."""
        self._id_of.clear()
        self._series_of.cache_clear()

    def all_series(self) -> Iterator[Series]:
        """Every series that the ledger has heard of, by account."""
        for (body,) in self._db.execute("SELECT body FROM series ORDER BY account_id, id"):
            yield rows.series_of(body)

    def size(self) -> tuple[int, int]:
        """How many series and how many reports the ledger holds."""
        (series,) = self._db.execute("SELECT count(*) FROM series").fetchone()
        (reports,) = self._db.execute("SELECT count(*) FROM report").fetchone()
        return int(series), int(reports)

    def standing(self, job: str, series: Series) -> Standing:
        """See the port `Ledger.standing`."""
        series_id = self._find(series)
        if series_id is None:
            return Standing()
        (still_open,) = self._db.execute(
            "SELECT count(*) FROM report INDEXED BY report_had"
            " WHERE series_id = ? AND has_window = 1 AND is_open = 1",
            (series_id,),
        ).fetchone()
        return Standing(
            resolution=self.resolution(job, series),
            had=self.had(series),
            failures=self.failures(series),
            given_up=self.given_up(series),
            disputed=tuple(self.reports(series, (State.DISPUTED,))),
            open=still_open + editions.number_open(self._db, series_id),
        )

    def histories(self) -> Histories:
        """What was collected of series and their likes; use it for one moment only."""
        return Histories(self._db)

    # --- what is had --------------------------------------------------------------------------

    def had(self, series: Series) -> tuple[Window, ...]:
        """The windows of a series that are not to be bought; normal."""
        series_id = self._find(series)
        if series_id is None:
            return ()
        cursor = self._db.execute(
            """
            SELECT window_start, window_end FROM report WHERE series_id = ?1 AND has_window = 1
            UNION ALL
            SELECT window_start, window_end FROM given_up WHERE series_id = ?1
            ORDER BY window_start
            """,
            (series_id,),
        )
        return tuple(coalesce(Window.of_epoch(start, end) for start, end in cursor))

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
            tuple(coalesce(Window.of_epoch(start, end) for start, end in windows)),
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

    # --- reports ------------------------------------------------------------------------------

    def intend(
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
        columns = {
            "series_id": series_id,
            "window_start": report.window.epoch[0],
            "window_end": report.window.epoch[1],
            "state": report.state.value,
            "is_open": int(report.state.is_open),
            "has_window": int(editions.has_window(report.state, report.replaces)),
            "api_key": report.api_key,
            "job": report.job,
            "intended_at": rows.to_ms(report.intended_at),
            "server_ahead": round(report.server_ahead.total_seconds() * 1000),
            "callback_url": report.callback_url,
            "request_id": report.request_id,
            "rows": report.rows,
            "size_bytes": report.size_bytes,
            "sha256": report.sha256,
            "target": report.target,
            "changed_at": rows.to_ms(at),
            "edition": report.edition,
            "replaces": report.replaces,
        }
        names = ", ".join(columns)
        marks = ", ".join("?" * len(columns))
        cursor = self._db.execute(
            f"INSERT INTO report ({names}) VALUES ({marks})",  # noqa: S608 - names are ours
            tuple(columns.values()),
        )
        assert cursor.lastrowid is not None
        self._write_event(
            cursor.lastrowid, at, kind=kind, prior=None, state=report.state, facts="{}"
        )
        return self.report(cursor.lastrowid)

    def apply(self, report: Report, event: Event, at: datetime) -> Report:
        """See the port `Ledger.apply`."""
        state = transition(report.state, event)
        columns = {
            "state": state.value,
            "is_open": int(state.is_open),
            "has_window": int(editions.has_window(state, report.replaces)),
            **rows.changes(event, report, at),
        }
        self._refuse_taken(report, columns.get("request_id"))
        setting = ", ".join(f"{name} = ?" for name in columns)
        cursor = self._db.execute(
            f"UPDATE report SET {setting} WHERE id = ? AND state = ?",  # noqa: S608 - names are ours
            (*columns.values(), report.id, report.state.value),
        )
        if cursor.rowcount != 1:
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
            facts=rows.event_facts(event),
        )
        foreign.note(self._db, report.id, event)
        if isinstance(event, Published) and report.replaces is not None:
            words = f"by report {report.id}, edition {report.edition}"
            self.apply(self.report(report.replaces), Superseded(words), at)
        return self.report(report.id)

    def _refuse_taken(self, report: Report, request_id: str | None) -> None:
        if request_id is None:
            return
        owner = self.owned((request_id,)).get(request_id, report.id)
        if owner != report.id:
            raise Taken(
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
                rows.to_ms(at),
                kind,
                prior.value if prior else None,
                state.value,
                facts,
            ),
        )

    def report(self, report_id: int) -> Report:
        """The report of that number.

        Raises:
            KeyError: there is none.
        """
        row = self._db.execute("SELECT * FROM report WHERE id = ?", (report_id,)).fetchone()
        if row is None:
            raise KeyError(report_id)
        return rows.report_of(row, self._series_of(row["series_id"]))

    def report_by_request(self, request_id: str) -> Report:
        """The report that the API knows by this id.

        Raises:
            KeyError: there is none.
        """
        row = self._db.execute(
            "SELECT * FROM report WHERE request_id = ?", (request_id,)
        ).fetchone()
        if row is None:
            raise KeyError(request_id)
        return rows.report_of(row, self._series_of(row["series_id"]))

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
            f"SELECT * FROM report INDEXED BY {index}"  # noqa: S608 - only names and marks
            f" WHERE series_id = ? AND state IN ({marks}) ORDER BY window_start, id",
            (series_id, *(state.value for state in wanted)),
        )
        for row in cursor:
            yield rows.report_of(row, series)

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

    def open_ids(self, keys: frozenset[str] | None) -> list[int]:
        """The numbers of the open reports of these series (None: of all), by expiry of file."""
        cursor = self._db.execute(
            """
            SELECT report.id, series.key FROM report JOIN series ON series.id = report.series_id
            WHERE is_open = 1 ORDER BY ready_at IS NULL, ready_at, report.id
            """
        )
        return [report_id for report_id, key in cursor if keys is None or key in keys]

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
        return {State(state): (number, int(r), int(b)) for state, number, r, b in cursor}

    def rivals(self, report: Report) -> tuple[Report, ...]:
        """See the port `Ledger.rivals`."""
        cursor = self._db.execute(
            """
            SELECT report.* FROM report JOIN series ON series.id = report.series_id
            WHERE is_open = 1 AND request_id IS NULL AND account_id = ? AND report.id <> ?
            """,
            (report.series.account_id, report.id),
        )
        return tuple(rows.report_of(row, self._series_of(row["series_id"])) for row in cursor)

    def owned(self, request_ids: Sequence[str]) -> dict[str, int]:
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

    # --- editions -----------------------------------------------------------------------------

    def current(self, series: Series, window: Window) -> Iterator[Report]:
        """The collected reports that hold a moment of a window, by time."""
        series_id = self._find(series)
        start, end = window.epoch
        for row in self._db.execute(
            "SELECT * FROM report INDEXED BY report_had WHERE series_id = ? AND has_window = 1"
            " AND window_start < ? AND window_end > ? AND state = ? ORDER BY window_start",
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

    def foreign(self) -> Iterator[foreign.Foreign]:
        """Records of other accounts in the collected files of series with subaccounts."""
        return foreign.found(self._db, self._series_of)

    def events(self, report_id: int) -> Iterator[tuple[datetime, str, str, str]]:
        """A report's events, oldest first: when, kind, state reached, facts as JSON."""
        for row in self._db.execute(
            "SELECT at, kind, to_state, facts FROM event WHERE report_id = ? ORDER BY id",
            (report_id,),
        ):
            yield rows.from_ms(row["at"]), row["kind"], row["to_state"], row["facts"]

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
