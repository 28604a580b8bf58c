"""The ledger on disk: transactions, group commits, migrations, damage, words."""

from __future__ import annotations

import re
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from orchestrator.core import lifecycle as life
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Report, Series
from orchestrator.errors import InvalidTransition, LedgerError
from orchestrator.ledger import rows, schema
from orchestrator.ledger.sqlite import SqliteLedger, connect, reading
from orchestrator.ledger.store import Store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from orchestrator.core.ledger_records import LedgerChanges
    from orchestrator.core.model import LedgerPoint
    from orchestrator.core.ports import LedgerReader

pytestmark = pytest.mark.anyio

AT = datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=UTC)
SERIES = Series.of("abcd1234", "SMS", "outbound", {"status": "delivered"})


class Clock:
    at = AT

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


def day(number: int) -> Window:
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)
    return Window(start, start + timedelta(days=1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
def ledger(path: Path, clock: Clock) -> Iterator[SqliteLedger]:
    connection = connect(path)
    yield SqliteLedger(connection, path, clock)
    connection.close()


async def record_intent(ledger: SqliteLedger, number: int) -> Report:
    return await ledger.record_intent(
        SERIES,
        day(number),
        job="nightly",
        api_key="abcd1234",
        server_ahead=timedelta(milliseconds=-1500),
        callback_url="https://example.com/hook",
    )


async def test_a_report_comes_back_with_every_fact(ledger: SqliteLedger, path: Path) -> None:
    report = await record_intent(ledger, 1)
    report = await ledger.apply(report, life.Created("r-1"))
    report = await ledger.apply(report, life.Finished(7, "https://api/v3/media/1"))
    report = await ledger.apply(report, life.Verified("ab" * 32, 7, 512, "a/b.csv"))
    assert report == Report(
        id=1,
        series=SERIES,
        window=day(1),
        state=State.VERIFIED,
        api_key="abcd1234",
        job="nightly",
        intended_at=AT,
        server_ahead=timedelta(milliseconds=-1500),
        callback_url="https://example.com/hook",
        request_id="r-1",
        submitted_at=AT,
        ready_at=AT,
        items_count=7,
        download_url="https://api/v3/media/1",
        rows=7,
        size_bytes=512,
        sha256="ab" * 32,
        target="a/b.csv",
        reason="",
        changed_at=AT,
    )
    with reading(path) as store:
        assert store.report(1) == report
        assert [(kind, state) for _, kind, state, _ in store.events(1)] == [
            ("Intended", "submitting"),
            ("Created", "submitted"),
            ("Finished", "ready"),
            ("Verified", "verified"),
        ]
        assert not any("media" in facts for *_, facts in store.events(1))  # no link to a file


async def test_many_callers_share_a_commit(path: Path) -> None:
    commits = 0

    class Counting(SqliteLedger):
        def commit(self) -> None:
            nonlocal commits
            commits += 1
            super().commit()

    connection = connect(path)
    ledger = Counting(connection, path, Clock())
    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(record_intent, ledger, number)
    connection.close()
    assert commits <= 3


async def test_what_fails_among_others_is_undone_alone(ledger: SqliteLedger, path: Path) -> None:
    told: list[int] = []

    class Listener:
        def prepare(
            self, reader: LedgerReader, changes: LedgerChanges, _point: LedgerPoint
        ) -> Callable[[], None]:
            if changes.unsure:
                told.extend(report.id for report in reader.reports_numbered(changes.reports))
            else:
                told.extend(changes.reports)
            return lambda: None

    def half_done(store: Store) -> None:
        intent = store.report(store.newest())
        store.apply(intent, life.Created("r-1"), AT)
        raise KeyError("half done")

    refused: list[Exception] = []

    async def refuse(work: Awaitable[object]) -> None:
        with pytest.raises((InvalidTransition, KeyError)) as caught:
            await work
        refused.append(caught.value)

    ledger.tell(Listener())
    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(record_intent, ledger, number)
            tasks.start_soon(refuse, record_intent(ledger, number))
            tasks.start_soon(refuse, ledger.transact(half_done))
    assert len(refused) == 8
    assert sorted(told) == [1, 2, 3, 4]
    with reading(path) as store:
        reports = list(store.reports(SERIES))
        assert [(report.window, report.state) for report in reports] == [
            (day(number), State.SUBMITTING) for number in range(4)
        ]
        assert [len(list(store.events(report.id))) for report in reports] == [1, 1, 1, 1]


async def test_a_commit_that_fails_is_everybodys_error(path: Path) -> None:
    class Full(SqliteLedger):
        def commit(self) -> None:
            error = sqlite3.OperationalError("words of SQLite")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error

    connection = connect(path)
    ledger = Full(connection, path, Clock())
    with pytest.raises(LedgerError, match="the disk is full; make room and run again"):
        await record_intent(ledger, 1)
    connection.close()
    with reading(path) as store:
        assert list(store.all_series()) == []


def test_every_commit_is_synced(path: Path) -> None:
    connection = connect(path)
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    connection.close()


# --- the file itself ------------------------------------------------------------------------------


def test_another_programs_database_is_refused(path: Path) -> None:
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE songs (name TEXT)")
    other.commit()
    other.close()
    with pytest.raises(LedgerError, match="is an SQLite database, but not a ledger"):
        connect(path)


def test_no_statement_numbers_its_placeholders() -> None:
    """Python 3.12.0 to 3.12.3 warn of each that does."""
    for source in Path(schema.__file__).parent.glob("*.py"):
        assert not re.search(r"\?\d", source.read_text("utf-8")), source


def test_a_newer_ledger_is_refused(path: Path) -> None:
    connection = connect(path)
    connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    connection.close()
    with pytest.raises(LedgerError, match="written by a newer version of orchestrator"):
        connect(path)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_damaged_ledger_says_what_to_do(path: Path, *, read_only: bool) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database, but it is long enough to be looked at" * 100)
    with pytest.raises(LedgerError, match="the file is damaged; restore it from a backup"):
        connect(path, read_only=read_only)


def test_reading_needs_a_ledger(path: Path) -> None:
    with (
        pytest.raises(LedgerError, match="cannot be opened or written; check the owner"),
        reading(path),
    ):
        pass
    assert not path.exists()


def test_a_migration_that_fails_leaves_the_version_it_came_from(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(path).close()
    broken = (*schema.MIGRATIONS, ("CREATE TABLE fresh (x) STRICT", "CREATE NONSENSE"))
    monkeypatch.setattr(schema, "MIGRATIONS", broken)
    monkeypatch.setattr(schema, "VERSION", len(broken))
    with pytest.raises(LedgerError):
        connect(path)
    plain = sqlite3.connect(path)
    assert plain.execute("PRAGMA user_version").fetchone()[0] == len(broken) - 1
    assert plain.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'fresh'").fetchone() == (
        0,
    )
    plain.close()


def test_an_older_ledger_is_brought_to_count_by_the_order_of_events(path: Path) -> None:
    """Version 2 counted failures by the clock."""
    path.parent.mkdir()
    old = sqlite3.connect(path, isolation_level=None)
    for step in (*schema.MIGRATIONS[0], *schema.MIGRATIONS[1]):
        old.execute(step)
    old.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    old.execute("PRAGMA user_version = 2")
    old.execute(
        "INSERT INTO series VALUES (1, ?, ?, ?, ?, 2500)",
        (SERIES.key, SERIES.account_id, SERIES.kind, rows.body_text(SERIES)),
    )
    ends = ("failed", "lost", "absent", "absent", "truncated")
    kinds = ("Failed", "Lost", "FoundAbsent", "NotCreated", "CutShort")
    for number, (state, kind) in enumerate(zip(ends, kinds, strict=True), start=1):
        old.execute(
            "INSERT INTO report (id, series_id, window_start, window_end, state, is_open,"
            " has_window, api_key, job, intended_at, server_ahead, changed_at)"
            " VALUES (?, 1, ?, ?, ?, 0, 0, 'k', 'job', 0, 0, ?)",
            (number, number * 60, number * 60 + 60, state, number * 1000),
        )
        old.execute(
            "INSERT INTO event (report_id, at, kind, to_state, facts) VALUES (?, ?, ?, ?, '{}')",
            (number, number * 1000, kind, state),
        )
    old.close()
    connection = connect(path)
    try:
        found = Store(connection).failures(SERIES)
        assert [(one.report_id, one.truncated) for one in found] == [(3, False), (5, True)]
    finally:
        connection.close()
