"""Connects to SQLite, and implements the port `Ledger` on it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import anyio

from orchestrator.core.commands import JOB, typed
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import Event
from orchestrator.core.model import Report, Series
from orchestrator.core.policy import errors_in
from orchestrator.core.ports import Clock
from orchestrator.errors import OldLedgerVersion
from orchestrator.ledger import hardening, integrity
from orchestrator.ledger.creation import begin_if_none, refuse_empty
from orchestrator.ledger.group_commit import GroupCommits
from orchestrator.ledger.open_reports import FIRST, OpenPosition
from orchestrator.ledger.schema import VERSION, check, migrate
from orchestrator.ledger.sqlite_errors import explain, translated
from orchestrator.ledger.store import Store
from orchestrator.presence import exists

P = ParamSpec("P")
T = TypeVar("T")

_PAGE: Final = 200  # Open reports that one transaction reads: in memory at once.
_MAY_NOT_WRITE: Final = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})
_STATEMENTS: Final = 256  # Prepared statements that are kept: more than there are.


def connect(
    path: Path, *, read_only: bool = False, check_later: bool = False
) -> sqlite3.Connection:
    """A connection set up for safety: WAL, every commit synced, foreign keys enforced.

    Args:
        read_only: nothing can be written, and the file is not checked for damage.
        check_later: nor is it checked here; tell `SqliteLedger`, which does so.

    Raises:
        LedgerError: the file cannot be opened, is no ledger, damaged, or from a newer version.
    """
    with translated(path):
        refuse_empty(path)
        if read_only:
            connection = _open_to_read(path)
        else:
            begin_if_none(path)
            connection = sqlite3.connect(
                path,
                isolation_level=None,
                check_same_thread=False,
                timeout=hardening.BUSY_SECONDS,
                cached_statements=_STATEMENTS,
            )
        connection.row_factory = sqlite3.Row
        try:
            _set_up(connection, path, read_only=read_only, check_later=check_later)
        except BaseException:
            connection.close()
            raise
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
    connection = hardening.open_file(path, "mode=ro")
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode & 0xFF not in _MAY_NOT_WRITE or not _has_no_log(path):
            raise
        connection = hardening.open_file(path, "mode=ro&immutable=1")
    except BaseException:
        connection.close()
        raise
    return connection


def _has_no_log(path: Path) -> bool:
    real = path.resolve()
    log = real.with_name(f"{real.name}-wal")
    return not exists(log) or not log.stat().st_size


def _set_up(
    connection: sqlite3.Connection, path: Path, *, read_only: bool, check_later: bool
) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    hardening.harden(connection)
    reached = check(connection, str(path))
    if read_only and reached < VERSION:
        raise OldLedgerVersion(
            f"{path} was written by an older version of orchestrator; "
            f"{typed('run', JOB)} brings it up to date"
        )
    if reached:
        hardening.refuse_tampered(connection, path, reached)
    if read_only:
        return
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
    """The ledger for commands that only read; see `open_reader`."""
    connection = connect(path, read_only=True)
    try:
        if whole:
            integrity.refuse_damage(connection, path)
        yield Store(connection)
    except sqlite3.Error as error:
        raise explain(error, path) from error
    except BaseExceptionGroup as group:
        for cause in errors_in(group):
            if isinstance(cause, sqlite3.Error):
                raise explain(cause, path) from cause
        raise
    finally:
        connection.close()


def _transaction(
    method_of: Callable[[Store], Callable[P, T]],
) -> Callable[Concatenate[SqliteLedger, P], Coroutine[Any, Any, T]]:
    """The method of a ledger that calls a store's method in a transaction."""

    async def call(self: SqliteLedger, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.transact(lambda store: method_of(store)(*args, **kwargs))

    return call


class SqliteLedger(GroupCommits):
    """The port `Ledger` over one connection, with group commits.

    Args:
        connection: from `connect`; closed by whoever opened it.
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
        self.is_sound = not check_later
        self._passed = anyio.Event()

    # --- damage -------------------------------------------------------------------------------

    async def check(self) -> None:
        if not self.is_sound:
            try:
                await integrity.check_beside(self._path)
            except sqlite3.Error as error:
                raise explain(error, self._path) from error
            self.is_sound = True
            self._passed.set()

    async def sound(self) -> None:
        if not self.is_sound:
            await self._passed.wait()

    # --- the port -----------------------------------------------------------------------------

    # Each of these is the store's call of that name, in a transaction of its own.
    series_state = _transaction(lambda store: store.series_state)
    recent_durations = _transaction(lambda store: store.histories().recent_durations)
    superseded = _transaction(lambda store: store.superseded)
    remember = _transaction(lambda store: store.remember)
    retry = _transaction(lambda store: store.retry)
    undo_give_up = _transaction(lambda store: store.undo_give_up)
    acknowledge = _transaction(lambda store: store.acknowledge)
    owners_of = _transaction(lambda store: store.owners_of)
    owners = _transaction(lambda store: store.owners)

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
        at = self._clock.now()
        return await self.transact(lambda store: store.apply(report, event, at))

    async def give_up(
        self, series: Series, window: Window, reason: str, report_id: int | None
    ) -> None:
        at = self._clock.now()
        await self.transact(
            lambda store: store.give_up(series, window, reason, report_id=report_id, at=at)
        )

    async def end_and_give_up(self, report: Report, event: Event, reason: str) -> Report:
        at = self._clock.now()

        def work(store: Store) -> Report:
            ended = store.apply(report, event, at)
            store.give_up(report.series, report.window, reason, report_id=report.id, at=at)
            return ended

        return await self.transact(work)

    async def withdrawn(self, report: Report) -> None:
        at = self._clock.now()
        await self.transact(lambda store: store.withdrawn(report, at))

    async def open_reports(
        self, series: Iterable[Series], api_keys: Iterable[str] = ()
    ) -> AsyncIterator[Report]:
        keys = frozenset(wanted.key for wanted in series)
        bought_with = frozenset(api_keys)
        newest = await self.transact(lambda store: store.newest())
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
