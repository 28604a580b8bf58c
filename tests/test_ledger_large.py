"""A large ledger: what is checked when, pages instead of lists, indexes instead of scans."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from orchestrator.core import lifecycle as life
from orchestrator.core.durations import ReportDuration
from orchestrator.core.intervals import Window, union
from orchestrator.core.model import Resolution, Series
from orchestrator.core.policy import ExitCode
from orchestrator.errors import LedgerError
from orchestrator.ledger import hardening, history, integrity, schema
from orchestrator.ledger.sqlite import SqliteLedger, connect, reading
from orchestrator.ledger.sqlite_errors import way_back
from orchestrator.ledger.store import Store
from tests.kit.cli_worlds import JOB, simulated
from tests.kit.ledgers import book, day, every_state, span
from tests.kit.virtual_time import VirtualClock
from tests.test_disk_ledger import cut, index, overwritten, zeroed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


SMS = Series.of("abcd1234", "SMS", "outbound")
VERIFY = Series.of("abcd1234", "VERIFY-API")
FINISHED = life.Finished(1, "https://api.nexmo.com/v3/media/1")
VERIFIED = life.Verified("ab" * 32, 3, 512, "a/b.csv")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No config from outside."""
    monkeypatch.delenv("ORCHESTRATOR_CONFIG", raising=False)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every ledger is one that takes long to check."""
    monkeypatch.setattr(integrity, "SMALL_BYTES", 0)


def windows(number: int) -> Iterator[Window]:
    """So many days that do not touch."""
    start = day("2020-01-01")
    for step in range(number):
        first = start + timedelta(days=2 * step)
        yield Window(first, first + timedelta(days=1))


# --- damage ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("how", [overwritten, zeroed, cut, index], ids=lambda one: one.__name__)
def test_nothing_is_bought_by_a_large_ledger_that_is_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], how: Callable[[Path], None]
) -> None:
    """There is a debt, and for the damaged index even one that was collected already."""
    with simulated(tmp_path) as place:
        assert place.run() == ExitCode.DONE
        manifest = (tmp_path / "reports" / "manifest.jsonl").read_bytes()
        bought = place.simulator.calls["create"]
        how(place.state)
        place.write_job(JOB.replace("to: 2026-05-01", "to: 2026-06-01"))
        capsys.readouterr()
        assert place.run() == ExitCode.DISK
        said = capsys.readouterr().err
        assert f"error: the ledger {place.state}: " in said
        assert way_back().partition("`")[0] in said
        assert "Traceback" not in said
        assert place.simulator.calls["create"] == bought
        assert (tmp_path / "reports" / "manifest.jsonl").read_bytes() == manifest

        # What the words advise works.
        place.state.unlink()
        assert place.run("--rebuild-ledger") == ExitCode.DONE
        assert place.is_the_truth()


@pytest.mark.usefixtures("large")
def test_a_large_ledger_without_damage_is_run_to_its_end(tmp_path: Path) -> None:
    with simulated(tmp_path) as place:
        assert place.run() == ExitCode.DONE
        place.write_job(JOB.replace("to: 2026-05-01", "to: 2026-06-01"))
        assert place.run() == ExitCode.DONE
        assert place.is_the_truth()


@pytest.mark.anyio
async def test_a_ledger_is_sound_once_all_of_it_was_read(path: Path) -> None:
    connect(path).close()
    with closing(connect(path, check_later=True)) as connection:
        ledger = SqliteLedger(connection, path, VirtualClock(), check_later=True)
        assert not ledger.is_sound
        with anyio.move_on_after(0.01) as waiting:
            await ledger.sound()
        assert waiting.cancelled_caught
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ledger.sound)
            await ledger.check()
        assert ledger.is_sound
        await ledger.check()


@pytest.mark.anyio
async def test_a_ledger_that_connect_has_checked_is_sound_at_once(path: Path) -> None:
    with closing(connect(path)) as connection:
        ledger = SqliteLedger(connection, path, VirtualClock())
        await ledger.sound()
        assert ledger.is_sound


@pytest.mark.anyio
async def test_a_check_that_is_cancelled_ends_at_once(path: Path) -> None:
    """Even of a file that takes long: the thread that reads it is told to stop."""
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("CREATE TABLE filler (x, y)")
        connection.execute("CREATE INDEX filler_x ON filler (x, y)")
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)"
            " INSERT INTO filler SELECT -i, i FROM n"
        )
    with anyio.move_on_after(0.005) as scope:
        await integrity.check_beside(path)
    assert scope.cancelled_caught
    await integrity.check_beside(path)


@pytest.mark.anyio
async def test_a_check_that_is_cancelled_before_it_begins_leaves_nothing_open(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(path).close()
    opened = hardening.open_file(path, "mode=ro")
    monkeypatch.setattr(integrity, "open_file", lambda *_: opened)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await integrity.check_beside(path)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened.execute("SELECT 1")


@pytest.mark.anyio
@pytest.mark.usefixtures("large")
async def test_a_large_ledger_that_is_no_database_any_more_is_damaged(path: Path) -> None:
    connect(path).close()
    with closing(connect(path, check_later=True)) as connection:
        ledger = SqliteLedger(connection, path, VirtualClock(), check_later=True)
        with path.open("r+b") as file:
            file.write(bytes(64))
        with pytest.raises(LedgerError) as caught:
            await ledger.check()
    assert str(caught.value) == f"the ledger {path}: the file is damaged; {way_back()}"


def test_without_a_file_no_ledger_is_large(path: Path) -> None:
    assert not integrity.is_large(path)


# --- open reports, page by page -------------------------------------------------------------------


@pytest.mark.anyio
async def test_open_reports_come_in_pages_and_each_once_while_they_change(path: Path) -> None:
    """Those that end or become ready meanwhile come once; those bought meanwhile do not come."""
    with book(path, path.parent, day("2026-01-01")) as full:
        for number, window in enumerate(windows(450)):
            events = (FINISHED,) if number % 3 == 0 else ()
            full.submitted(SMS if number % 2 else VERIFY, window, *events)
    with closing(connect(path)) as connection:
        ledger = SqliteLedger(connection, path, VirtualClock())
        found = []
        async for report in ledger.open_reports([SMS, VERIFY]):
            found.append(report.id)
            if report.state is life.State.SUBMITTED:
                await ledger.apply(report, FINISHED if report.id % 5 else life.Failed("so"))
            if len(found) % 50 == 0:
                await ledger.record_intent(
                    SMS,
                    Window(day(f"{2030 + len(found)}-01-01"), day(f"{2030 + len(found)}-01-02")),
                    job="job",
                    api_key="abcd1234",
                    server_ahead=timedelta(),
                    callback_url=None,
                )
    ready = [number + 1 for number in range(450) if number % 3 == 0]
    others = [number + 1 for number in range(450) if number % 3]
    assert found == ready + others


def test_a_page_of_open_reports_costs_the_same_however_many_series_are_asked_for(
    path: Path,
) -> None:
    with book(path, path.parent, day("2026-01-01")) as full:
        for window in windows(5):
            full.submitted(SMS, window)
    statements: list[str] = []
    numbers = []
    with reading(path) as store:
        store.db.set_trace_callback(statements.append)
        for others in (1, 1000):
            statements.clear()
            keys = frozenset({SMS.key, *map(str, range(others))})
            page, _ = store.open_page(keys, (None, 0), 10, 10)
            assert len(page) == 5
            numbers.append(len(statements))
    assert numbers[0] >= numbers[1]


def test_of_unfinished_files_only_those_are_wanted_whose_reports_go_on(path: Path) -> None:
    with book(path, path.parent, day("2026-01-01")) as full:
        reports = every_state(full, SMS)
        wanted = full.store.unfinished(range(100))
    goes_on = (life.State.SUBMITTED, life.State.READY, life.State.VERIFIED)
    assert wanted == {reports[state].id for state in goes_on}


def test_had_windows_are_merged(path: Path) -> None:
    spans = [
        span("2025-01-01", "2025-02-01"),
        span("2025-02-01", "2025-03-01"),
        span("2025-04-01", "2025-05-01"),
        span("2025-05-02", "2025-05-03"),
    ]
    with book(path, path.parent, day("2026-01-01")) as full:
        for window in reversed(spans):
            full.submitted(SMS, window)
        given_up = span("2025-04-15", "2025-05-02")
        full.store.give_up(SMS, given_up, "so", report_id=None, at=full.at)
        assert full.store.had(SMS) == union(spans, [given_up])
        assert full.store.had(VERIFY) == ()


# --- how long reports took ------------------------------------------------------------------------


def test_paces_tell_of_the_latest_collected_reports_by_product(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "_MAX_DURATIONS", 3)
    with book(path, path.parent, day("2026-01-01")) as full:
        assert full.store.histories().recent_durations() == {}
        for window in windows(3):
            full.submitted(SMS, window, FINISHED, VERIFIED, life.Published())
        full.submitted(VERIFY, next(windows(1)), FINISHED, VERIFIED, life.Published())
        full.submitted(VERIFY, span("2025-01-01", "2025-01-02"), FINISHED)
        assert full.store.histories().recent_durations() == {
            "VERIFY-API": [ReportDuration(3, 3600.0)],
            "SMS": [ReportDuration(3, 3600.0)] * 2,
        }


# --- statements -----------------------------------------------------------------------------------


class Explained:
    """Stands for a connection, and notes how each statement finds its rows."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.plans: list[str] = []

    def execute(self, text: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        found = self._connection.execute(f"EXPLAIN QUERY PLAN {text}", values)
        self.plans += [row["detail"] for row in found]
        return self._connection.execute(text, values)


READS: dict[str, Callable[[Store], object]] = {
    "what is had": lambda store: store.had(SMS),
    "a standing": lambda store: store.series_state("job", SMS),
    "counts": lambda store: store.counts(SMS),
    "paces": lambda store: store.histories().recent_durations(),
    "a history": lambda store: store.histories().of(SMS),
    "open reports": lambda store: list(store.open_positions()),
    "a page of them": lambda store: store.open_page(frozenset({SMS.key}), (1, 1), 10, 10),
    "rivals": lambda store: store.unresolved_creates(store.report(1)),
    "files in the making": lambda store: store.unfinished([1]),
    "the last event": lambda store: store.last_event(),
    "the newest": lambda store: store.newest(),
    "owned": lambda store: store.owners_of(["a"]),
    "recent": lambda store: store.recent(
        "abcd1234", "abcd1234", day("2026-01-01"), day("2026-01-02")
    ),
    "owners": lambda store: store.owners(["a"]),
    "reports": lambda store: list(store.reports(SMS, (life.State.COLLECTED,))),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_what_is_read_often_walks_neither_all_reports_nor_all_events(
    path: Path, read: Callable[[Store], object]
) -> None:
    with book(path, path.parent, day("2026-01-01")) as full:
        every_state(full, SMS)
    with closing(connect(path, read_only=True)) as connection:
        explained = Explained(connection)
        read(Store(explained))  # type: ignore[arg-type]
    walks = [
        plan
        for plan in explained.plans
        if plan.startswith(("SCAN report", "SCAN event")) and "INDEX report_open" not in plan
    ]
    assert explained.plans
    assert walks == []


# --- the manifest ---------------------------------------------------------------------------------


def test_the_manifest_is_written_anew_only_where_something_has_changed(tmp_path: Path) -> None:
    with simulated(tmp_path) as place:
        manifest = tmp_path / "reports" / "manifest.jsonl"
        assert place.run() == ExitCode.DONE
        first = manifest.stat()
        assert place.run() == ExitCode.DONE
        assert manifest.stat().st_ino == first.st_ino

        text = manifest.read_bytes()
        manifest.write_bytes(text.replace(b"SMS", b"XYZ"))
        assert place.run() == ExitCode.DONE
        assert b"XYZ" not in manifest.read_bytes()

        second = manifest.stat()
        place.write_job(JOB.replace("to: 2026-05-01", "to: 2026-06-01"))
        assert place.run() == ExitCode.DONE
        assert manifest.stat().st_ino != second.st_ino
        assert len(manifest.read_bytes()) > len(text)


def test_what_a_fingerprint_tells_apart(path: Path) -> None:
    """Each of: a report's step, a resolved window, a mark. Reading changes nothing."""
    with book(path, path.parent, day("2026-01-01")) as full:
        store = full.store
        seen = [store.fingerprint()]
        report = full.submitted(SMS, span("2025-01-01", "2025-02-01"))
        seen.append(store.fingerprint())
        store.apply(report, FINISHED, full.at)
        seen.append(store.fingerprint())
        full.resolved("job", SMS, span("2025-01-01", "2025-02-01"))
        seen.append(store.fingerprint())
        store.remember("job", {SMS: Resolution((), day("2025-02-01"))})
        seen.append(store.fingerprint())
        store.remember("job", {SMS: Resolution((), day("2025-02-02"))})
        seen.append(store.fingerprint())
        assert len(set(seen)) == len(seen)
        store.remember("job", {SMS: Resolution((), day("2025-02-02"))})
        assert store.fingerprint() == seen[-1]


def test_a_collected_report_without_its_file_is_damage(path: Path) -> None:
    with book(path, path.parent, day("2026-01-01")) as full:
        full.submitted(SMS, next(windows(1)), FINISHED, VERIFIED, life.Published())
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE report SET sha256 = NULL")
    with pytest.raises(LedgerError) as caught, reading(path) as store:
        list(store.reports(SMS))
    assert str(caught.value).startswith(
        "the ledger holds report 1 that makes no sense (it has a file, of which nothing is known)"
    )


# --- from the first version -----------------------------------------------------------------------


def first_version(path: Path, source: Path) -> None:
    """A ledger as the first version of its tables had it, with the rows of another."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        for step in schema.MIGRATIONS[0]:
            connection.execute(step)
        connection.execute("PRAGMA user_version = 1")
        connection.execute("ATTACH ? AS source", (str(source),))
        for table in ("series", "report", "event", "given_up", "resolved", "mark"):
            known = connection.execute(f"SELECT name FROM pragma_table_info('{table}')").fetchall()
            there = connection.execute(
                f"SELECT name FROM pragma_table_info('{table}', 'source')"
            ).fetchall()
            names = ", ".join(name for (name,) in known if (name,) in there)
            connection.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM source.{table}")


def test_a_ledger_of_the_first_version_is_brought_up_to_date_with_all_it_knows(
    tmp_path: Path,
) -> None:
    new, old = tmp_path / "new.db", tmp_path / "old.db"
    with book(new, tmp_path, day("2026-01-01")) as full:
        every_state(full, SMS)
        full.resolved("job", SMS, span("2025-01-01", "2025-02-01"))
    first_version(old, new)
    with pytest.raises(LedgerError, match="was written by an older version"), reading(old):
        pass
    connect(old).close()
    with reading(new) as expected, reading(old) as store:
        assert list(store.reports(SMS)) == [
            replace(report, collected_change=None, removed_change=None)
            for report in expected.reports(SMS)
        ], "no older version knows by which changes files came and went"
        assert store.series_state("job", SMS) == expected.series_state("job", SMS)
        assert list(store.open_positions()) == list(expected.open_positions())
        names = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"
        assert [tuple(row) for row in store.db.execute(names)] == [
            tuple(row) for row in expected.db.execute(names)
        ]
        assert store.db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert store.db.execute("PRAGMA user_version").fetchone()[0] == schema.VERSION == 5


@pytest.mark.usefixtures("large")
def test_a_large_ledger_of_an_older_version_is_checked_before_it_is_changed(
    tmp_path: Path,
) -> None:
    new, old = tmp_path / "new.db", tmp_path / "old.db"
    with book(new, tmp_path, day("2026-01-01")) as full:
        every_state(full, SMS)
    first_version(old, new)
    index(old)
    with pytest.raises(LedgerError, match="the file is damaged"):
        connect(old, check_later=True)
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
