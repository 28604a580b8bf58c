"""Connects to SQLite, and implements the port `Ledger` on it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import anyio

from orchestrator.core.commands import JOB, typed
from orchestrator.core.durations import ReportDuration
from orchestrator.core.intervals import Window
from orchestrator.core.ledger_records import Owner
from orchestrator.core.lifecycle import Event
from orchestrator.core.model import Report, Resolution, Series, SeriesState
from orchestrator.core.ports import Clock
from orchestrator.core.spending import Bought
from orchestrator.core.volume import History
from orchestrator.errors import LedgerError, OldLedgerVersion
from orchestrator.ledger import hardening, integrity
from orchestrator.ledger.creation import begin_if_none, refuse_empty
from orchestrator.ledger.group_commit import GroupCommits
from orchestrator.ledger.open_reports import FIRST, OpenPosition
from orchestrator.ledger.schema import VERSION, check, migrate
from orchestrator.ledger.sqlite_errors import explain
from orchestrator.ledger.store import Store

_PAGE: Final = 200  # Open reports that one transaction reads: in memory at once.
_BUSY_SECONDS: Final = 30.0  # Wait for another program that holds the file; then it is an error.
_MAY_NOT_WRITE: Final = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})
_STATEMENTS: Final = 256  # Prepared statements that are kept: more than there are.


def connect(
    path: Path, *, read_only: bool = False, check_later: bool = False
) -> sqlite3.Connection:
    """A connection set up for safety: WAL, every commit synced, foreign keys enforced.

    Args:
        path: of the ledger.
        read_only: nothing can be written, and the file is not checked for damage.
        check_later: nor is it checked here; tell `SqliteLedger`, which does so.

    Raises:
        LedgerError: the file cannot be opened, is no ledger, damaged, or from a newer version.
    """
    try:
        refuse_empty(path)
        if read_only:
            connection = _open_to_read(path)
        else:
            begin_if_none(path)
            connection = sqlite3.connect(
                path,
                isolation_level=None,
                check_same_thread=False,
                timeout=_BUSY_SECONDS,
                cached_statements=_STATEMENTS,
            )
        connection.row_factory = sqlite3.Row
        try:
            _set_up(connection, path, read_only=read_only, check_later=check_later)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise explain(error, path) from error
    except OSError as error:
        raise LedgerError(f"the ledger {path}: {error.strerror}; check `state`") from error
    return connection


def connect_in_memory() -> sqlite3.Connection:
    """A connection to a new ledger in memory, which is gone when the connection is closed."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    hardening.harden(connection)
    migrate(connection, ":memory:")
    return connection


def _open_to_read(path: Path) -> sqlite3.Connection:
    """A connection for somebody who may not write, to a ledger that a run may be writing.

    SQLite makes a file beside a ledger even to read it. Where that is not allowed, and there is
    no log (no run is active, and the last one ended in order), all is in the one file.
    """
    uri = f"{path.resolve().as_uri()}?mode=ro"
    connection = _open_uri(uri)
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode & 0xFF not in _MAY_NOT_WRITE or not _has_no_log(path):
            raise
        connection = _open_uri(f"{uri}&immutable=1")
    except BaseException:
        connection.close()
        raise
    return connection


def _open_uri(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, timeout=_BUSY_SECONDS
    )


def _has_no_log(path: Path) -> bool:
    real = path.resolve()
    log = real.with_name(f"{real.name}-wal")
    return not log.exists() or not log.stat().st_size


def _set_up(
    connection: sqlite3.Connection, path: Path, *, read_only: bool, check_later: bool
) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    hardening.harden(connection)
    if read_only:
        reached = check(connection, str(path))
        if reached < VERSION:
            raise OldLedgerVersion(
                f"{path} was written by an older version of orchestrator; "
                f"{typed('run', JOB)} brings it up to date"
            )
        hardening.refuse_tampered(connection, path, reached)
        return
    reached = check(connection, str(path))
    if reached:
        hardening.refuse_tampered(connection, path, reached)
    if reached and (reached < VERSION or not check_later):
        integrity.refuse_damage(connection, path)
    connection.execute("PRAGMA journal_mode = WAL")
    # NORMAL can lose the last commits at a power cut: an intent would be forgotten, and paid
    # again.
    connection.execute("PRAGMA synchronous = FULL")
    # What is deleted is overwritten where that costs no more writing: a link, a token.
    connection.execute("PRAGMA secure_delete = FAST")
    migrate(connection, str(path))
    if reached < VERSION:
        # Into the main file, with its identity: a copy of that alone must be known as what it is.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def reading(path: Path, *, whole: bool = False) -> Iterator[Store]:
    """The ledger for commands that only read.

    Args:
        path: of the ledger.
        whole: all of it is read first, and checked for damage.

    Raises:
        LedgerError: there is none, or it cannot be read.
    """
    connection = connect(path, read_only=True)
    try:
        if whole:
            integrity.refuse_damage(connection, path)
        yield Store(connection)
    except sqlite3.Error as error:
        raise explain(error, path) from error
    except BaseExceptionGroup as group:
        cause = _of_sqlite(group)
        if cause is None:
            raise
        raise explain(cause, path) from cause
    finally:
        connection.close()


def _of_sqlite(error: BaseException) -> sqlite3.Error | None:
    """What SQLite has reported, in a group of errors of tasks."""
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(_of_sqlite, error.exceptions)), None)
    return error if isinstance(error, sqlite3.Error) else None


class SqliteLedger(GroupCommits):
    """The port `Ledger` over one connection, with group commits.

    Args:
        connection: from `connect`; closed by whoever opened it.
        path: for error texts.
        clock: stamps the events.
        check_later: as it was told to `connect`: `check` must be called.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        clock: Clock,
        *,
        check_later: bool = False,
    ) -> None:
        super().__init__(connection, path)
        self._clock = clock
        self._is_sound = not check_later
        self._passed = anyio.Event()

    # --- damage -------------------------------------------------------------------------------

    async def check(self) -> None:
        """Reads all of the file beside other work, unless `connect` did; then it is sound.

        Raises:
            LedgerError: it is damaged.
        """
        if not self._is_sound:
            try:
                await integrity.check_beside(self._path)
            except sqlite3.Error as error:
                raise explain(error, self._path) from error
            self._is_sound = True
            self._passed.set()

    @property
    def is_sound(self) -> bool:
        """Whether the file has been checked, and was found without damage."""
        return self._is_sound

    async def sound(self) -> None:
        """See the port."""
        if not self._is_sound:
            await self._passed.wait()

    # --- the port -----------------------------------------------------------------------------

    async def series_state(self, job: str, series: Series) -> SeriesState:
        """See the port."""
        return await self.transact(lambda store: store.series_state(job, series))

    async def history(self, series: Series) -> History:
        """See the port."""
        return await self.transact(lambda store: store.histories().of(series))

    async def newest(self) -> int:
        """See the port."""
        return await self.transact(lambda store: store.newest())

    async def bought(self, since: datetime, *, up_to: int) -> Bought:
        """See the port."""
        return await self.transact(lambda store: store.bought(since, up_to))

    async def record_rates(self, series: Iterable[Series]) -> Mapping[str, float]:
        """See the port."""
        asked = tuple(series)
        return await self.transact(lambda store: store.histories().record_rates(asked))

    async def recent_durations(self) -> Mapping[str, Sequence[ReportDuration]]:
        """See the port."""
        return await self.transact(lambda store: store.histories().recent_durations())

    async def superseded(self, by: Report | None = None) -> Sequence[Report]:
        """See the port."""
        return await self.transact(lambda store: store.superseded(by))

    async def withdrawn(self, report: Report) -> None:
        """See the port."""
        at = self._clock.now()
        await self.transact(lambda store: store.withdrawn(report, at))

    async def remember(self, job: str, resolutions: Mapping[Series, Resolution]) -> None:
        """See the port."""
        await self.transact(lambda store: store.remember(job, resolutions))

    async def record_intent(
        self,
        series: Series,
        window: Window,
        *,
        job: str,
        api_key: str,
        server_ahead: timedelta,
        callback_url: str | None,
        replaces: Report | None = None,
    ) -> Report:
        """See the port."""
        at = self._clock.now()
        return await self.transact(
            lambda store: store.record_intent(
                series,
                window,
                job=job,
                api_key=api_key,
                server_ahead=server_ahead,
                callback_url=callback_url,
                at=at,
                replaces=replaces,
            )
        )

    async def apply(self, report: Report, event: Event) -> Report:
        """See the port."""
        at = self._clock.now()
        return await self.transact(lambda store: store.apply(report, event, at))

    async def give_up(
        self, series: Series, window: Window, reason: str, report_id: int | None
    ) -> None:
        """See the port."""
        at = self._clock.now()
        await self.transact(
            lambda store: store.give_up(series, window, reason, report_id=report_id, at=at)
        )

    async def end_and_give_up(self, report: Report, event: Event, reason: str) -> Report:
        """See the port."""
        at = self._clock.now()

        def work(store: Store) -> Report:
            ended = store.apply(report, event, at)
            store.give_up(report.series, report.window, reason, report_id=report.id, at=at)
            return ended

        return await self.transact(work)

    async def retry(self, series: Series) -> int:
        """See the port."""
        return await self.transact(lambda store: store.retry(series))

    async def undo_give_up(self, report: Report) -> int:
        """See the port."""
        return await self.transact(lambda store: store.undo_give_up(report))

    async def acknowledge(self, report: Report) -> int:
        """See the port."""
        return await self.transact(lambda store: store.acknowledge(report))

    async def open_reports(
        self, series: Iterable[Series], api_keys: Iterable[str] = ()
    ) -> AsyncIterator[Report]:
        """See the port."""
        keys = frozenset(wanted.key for wanted in series)
        bought_with = frozenset(api_keys)
        newest = await self.newest()
        position: OpenPosition | None = FIRST
        while position is not None:
            after = position

            def work(
                store: Store, after: OpenPosition = after
            ) -> tuple[list[Report], OpenPosition | None]:
                return store.open_page(keys, after, newest, _PAGE, bought_with)

            page, position = await self.transact(work)
            for report in page:
                yield report

    async def reread(self, report: Report) -> Report:
        """See the port."""
        return await self.transact(lambda store: store.report(report.id))

    async def owners_of(self, request_ids: Iterable[str]) -> Mapping[str, int]:
        """See the port."""
        ids = tuple(request_ids)
        return await self.transact(lambda store: store.owners_of(ids))

    async def owners(self, request_ids: Iterable[str]) -> Mapping[str, Owner]:
        """See the port."""
        ids = tuple(request_ids)
        return await self.transact(lambda store: store.owners(ids))

    async def recent(
        self, account_id: str, api_key: str, since: datetime, until: datetime
    ) -> frozenset[str]:
        """See the port."""
        return await self.transact(lambda store: store.recent(account_id, api_key, since, until))

    async def unresolved_creates(self, report: Report) -> tuple[Report, ...]:
        """See the port."""
        return await self.transact(lambda store: store.unresolved_creates(report))
