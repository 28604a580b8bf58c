"""The ledger and the disk under it: full, damaged, held, gone. Each ends in words and a code."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.cli.main import call
from orchestrator.core.model import Series
from orchestrator.core.policy import ExitCode, code_of, exit_code, most_telling
from orchestrator.errors import LedgerError
from orchestrator.fsync import make_folder
from orchestrator.ledger import hardening, schema
from orchestrator.ledger.sqlite import SqliteLedger, connect, reading
from orchestrator.simulator import Settings
from tests.kit.cli_worlds import REPORTS, simulated
from tests.kit.ledgers import book, day, every_state, span
from tests.kit.stage import between, job, stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]
QUARTER = between("2025-11-01", "2026-02-01")
SMS = Series.of("abcd1234", "SMS", "outbound")
DAMAGED = (
    "the file is damaged; restore it from a backup, or move it away and use `orchestrator run "
)


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No config from outside."""
    monkeypatch.delenv("ORCHESTRATOR_CONFIG", raising=False)


# --- full -----------------------------------------------------------------------------------------


def filling(at: int) -> type[SqliteLedger]:
    """A ledger whose disk takes no page more from its `at`-th commit on; SQLite itself says so."""
    commits = 0

    class Filling(SqliteLedger):
        def commit(self) -> None:
            nonlocal commits
            commits += 1
            if commits >= at:
                (pages,) = self._db.execute("PRAGMA page_count").fetchone()
                self._db.execute(f"PRAGMA max_page_count = {pages}")
                self._db.execute("CREATE TABLE filler (x)")
                self._db.execute("INSERT INTO filler VALUES (zeroblob(100000))")
            super().commit()

    return Filling


@pytest.mark.anyio
@pytest.mark.virtual
@pytest.mark.parametrize("at", range(1, 16))
async def test_a_disk_that_fills_up_at_any_write_of_the_ledger_loses_nothing(
    tmp_path: Path, at: int
) -> None:
    """Exit 74; with room again the next run ends with the truth, and nothing is bought twice."""
    async with stage(tmp_path, Settings(records_per_day=1.0)) as here:
        here.ledger_class = filling(at)
        with pytest.raises((LedgerError, BaseExceptionGroup)) as caught:
            await here.run(job(QUARTER))
        error = caught.value
        if isinstance(error, BaseExceptionGroup):
            error = most_telling(error)
        assert str(error) == (
            f"the ledger {here.config.state}: the disk is full; make room and run again: nothing"
            " is lost"
        )
        assert code_of(error) is ExitCode.DISK

        here.ledger_class = SqliteLedger
        end = await here.run(job(QUARTER))
        if exit_code(end.remains) is ExitCode.UNFINISHED:  # the first create of all, held
            end = await here.run(job(QUARTER))
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(job(QUARTER))
        assert len(here.sim.world.reports()) == 3


LIMITED = """
import resource, sys
from orchestrator.cli.main import call
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.exit(call(sys.argv[2:]))
"""


def limited(limit: int, directory: Path, *arguments: str) -> tuple[int, str]:
    """An orchestrator whose files may not grow beyond so many bytes; exit code and errors."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), *arguments],
        check=False,
        capture_output=True,
        text=True,
        # Without byte code: a module cut at the limit would stay behind for other programs.
        env={"PYTHONPATH": str(ROOT), "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=directory,
        timeout=50,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("limit", [0, 5_000, 40_000, 90_000])
def test_a_ledger_that_may_not_grow_ends_a_run_with_74_and_the_next_goes_on(
    tmp_path: Path, limit: int
) -> None:
    """The kernel refuses the very write (RLIMIT_FSIZE), in a process of its own."""
    with simulated(tmp_path) as place:
        code, said = limited(limit, tmp_path, "run", "job.yaml")
        assert code == ExitCode.DISK, said
        assert "error: the ledger" in said or f"cannot write {tmp_path}" in said
        assert "Traceback" not in said
        assert place.run() in (ExitCode.DONE, ExitCode.UNFINISHED)
        assert place.run() == ExitCode.DONE
        assert place.is_the_truth()
        assert len(place.bill()) == REPORTS


# --- held -----------------------------------------------------------------------------------------

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE" if sys.argv[2] == "all" else "BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(path: Path, how: str) -> Iterator[None]:
    """Another process has the database open in a transaction that it does not end."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == b"held\n"
        try:
            yield
        finally:
            other.stdin.close()


def test_a_ledger_that_another_program_writes_ends_a_run_with_74(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hardening, "BUSY_SECONDS", 0.1)
    with simulated(tmp_path) as place:
        connect(place.state).close()
        with held(place.state, "writing"):
            assert place.run() == ExitCode.DISK
            assert call(["status", str(place.job)]) == ExitCode.DONE, "reading goes on"
        assert (
            f"error: the ledger {place.state}: another program holds it; close that program\n"
        ) in capsys.readouterr().err
        assert place.calls("create") == 0
        assert place.run() == ExitCode.DONE
        assert place.is_the_truth()


def test_a_ledger_under_another_run_ends_a_run_with_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = "import fcntl, os, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); "
    lock += "f.write(str(os.getpid())); f.flush(); print('held', flush=True); sys.stdin.read()"
    with simulated(tmp_path) as place:
        connect(place.state).close()
        with subprocess.Popen(
            [sys.executable, "-c", lock, f"{place.state}.lock"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as other:
            assert other.stdout is not None
            assert other.stdin is not None
            assert other.stdout.readline() == b"held\n"
            assert place.run() == ExitCode.LOCKED
            other.stdin.close()
        assert f"process {other.pid} is running on this ledger" in capsys.readouterr().err
        assert place.calls("create") == 0
        assert place.run() == ExitCode.DONE


# --- damaged, gone, newer -------------------------------------------------------------------------


def overwritten(path: Path) -> None:
    """4 kB of the middle are noise."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(bytes(range(256)) * 16)


def zeroed(path: Path) -> None:
    """The last page is zeros, as a disk returns what it never wrote."""
    with path.open("r+b") as file:
        file.seek(-4096, 2)
        file.write(bytes(4096))


def cut(path: Path) -> None:
    """A quarter is missing."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 3 // 4)


def emptied(path: Path) -> None:
    """Not a byte is left: to SQLite it is a new database."""
    path.write_bytes(b"")


def header(path: Path) -> None:
    """The first bytes are gone."""
    with path.open("r+b") as file:
        file.write(bytes(64))


def index(path: Path) -> None:
    """An index lacks what its table has: by it a window would be debt again."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA writable_schema = ON")
        (page,) = database.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'report_had'"
        ).fetchone()
    with path.open("r+b") as file:  # an empty leaf of an index
        file.seek((page - 1) * 4096)
        file.write(b"\x0a\x00\x00\x00\x00\x10\x00\x00" + bytes(4088))


def newer(path: Path) -> None:
    """A later version of the program has been at it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(f"PRAGMA user_version = {schema.VERSION + 1}")


def another_program(path: Path) -> None:
    """It is a database of something else."""
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE songs (name TEXT)")
        database.commit()


def folder(path: Path) -> None:
    """A folder stands there."""
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (overwritten, DAMAGED),
        (zeroed, DAMAGED),
        (cut, DAMAGED),
        (header, DAMAGED),
        (emptied, "is an empty file: what it knew is lost; restore it from a backup, or move it"),
        (index, DAMAGED),
        (newer, "was written by a newer version of orchestrator"),
        (another_program, "is an SQLite database, but not a ledger; point `state` at another file"),
        (folder, "is no file; point `state` at the ledger"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_ledger_that_is_not_what_it_was_ends_a_run_with_74_before_anything_is_sent(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
    words: str,
) -> None:
    with simulated(tmp_path) as place:
        assert place.run() == ExitCode.DONE
        sound = tmp_path / "sound.db"
        shutil.copy(place.state, sound)
        calls = dict(place.simulator.calls)
        damage(place.state)
        capsys.readouterr()
        assert place.run() == ExitCode.DISK
        said = capsys.readouterr()
        assert str(place.state) in said.err
        assert words in said.err
        assert "Traceback" not in said.err
        assert place.simulator.calls == calls
        assert place.check() == ExitCode.DISK, "what a run would end with"
        calls = dict(place.simulator.calls)

        # What the words advise works: a backup, or the manifest.
        if place.state.is_dir():
            place.state.rmdir()
        shutil.copy(sound, place.state)
        assert place.run() == ExitCode.DONE
        place.state.unlink()
        assert place.run("--rebuild-ledger") == ExitCode.DONE
        assert {**place.simulator.calls, "status": calls["status"]} == calls, "the time alone is"
        assert place.is_the_truth()


def test_a_ledger_that_is_gone_beside_its_files_ends_a_run_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulated(tmp_path) as place:
        assert place.run() == ExitCode.DONE
        calls = dict(place.simulator.calls)
        place.state.unlink()
        assert place.run() == ExitCode.BAD_INPUT
        assert "beginning anew would buy everything again" in capsys.readouterr().err
        assert place.simulator.calls == calls


COLUMNS: dict[str, Any] = {
    "window_end": 2**62,
    "intended_at": 2**62,
    "server_ahead": 2**62,
    "ready_at": -(2**62),
}


@pytest.mark.parametrize(("column", "value"), COLUMNS.items(), ids=COLUMNS)
def test_a_row_that_makes_no_sense_is_damage_and_no_bug(
    tmp_path: Path, column: str, value: Any
) -> None:
    """SQLite keeps no checksums: its pages may be sound while a value is not."""
    path = tmp_path / "ledger.db"
    with book(path, tmp_path, day("2026-01-01")) as full:
        full.submitted(SMS, span("2025-01-01", "2025-02-01"))
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"UPDATE report SET {column} = ?", (value,))
        database.commit()
    with pytest.raises(LedgerError) as caught, reading(path) as store:
        store.report(1)
    assert str(caught.value).startswith("the ledger holds report 1 that makes no sense")
    assert str(caught.value).endswith("use `orchestrator run JOB --rebuild-ledger`")


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"account_id": "a"}', "\0"])
def test_a_series_that_makes_no_sense_is_damage_and_no_bug(tmp_path: Path, body: str) -> None:
    path = tmp_path / "ledger.db"
    with book(path, tmp_path, day("2026-01-01")) as full:
        full.submitted(SMS, span("2025-01-01", "2025-02-01"))
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE series SET body = ?", (body,))
        database.commit()
    with pytest.raises(LedgerError, match="a series that makes no sense"), reading(path) as store:
        list(store.all_series())


# --- the write-ahead log --------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.7, 0.99, 1.0])
def test_a_log_that_is_cut_leaves_a_sound_ledger_of_whole_commits(
    tmp_path: Path, keep: float
) -> None:
    """Whatever the log has lost, it is whole commits from its end: the ledger is an older one."""
    path, copy = tmp_path / "ledger.db", tmp_path / "copy.db"
    connection = connect(path)
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    with book(path, tmp_path, day("2026-01-01")) as full:
        every_state(full, SMS)
    with reading(path) as store:
        written = len(list(store.reports(SMS)))
    shutil.copy(path, copy)
    log = path.with_name("ledger.db-wal").read_bytes()
    connection.close()
    copy.with_name("copy.db-wal").write_bytes(log[: int(len(log) * keep)])
    connect(copy).close()
    with reading(copy) as store:
        reports = [one for series in store.all_series() for one in store.reports(series)]
        assert len(reports) in (0, written)
        assert len(reports) == written or keep < 1


# --- the beginning --------------------------------------------------------------------------------


class PowerCut(BaseException):
    """The process is no more."""


@pytest.mark.parametrize("step", ["migrate", "sync_folder"])
def test_a_ledger_whose_making_is_cut_is_whole_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "ledger.db"

    def cut_here(*_: object) -> None:
        raise PowerCut

    with monkeypatch.context() as context:
        context.setattr(f"orchestrator.ledger.creation.{step}", cut_here)
        with pytest.raises(PowerCut):
            connect(path)
    assert path.exists() is (step == "sync_folder")
    connect(path).close()
    with reading(path) as store:
        assert list(store.all_series()) == []
    assert list(tmp_path.glob("*.new*")) == []


def test_a_new_ledger_takes_nothing_from_the_log_of_a_lost_one(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    connection = connect(path)
    with book(path, tmp_path, day("2026-01-01")) as full:
        every_state(full, SMS)
    log = path.with_name("ledger.db-wal").read_bytes()
    connection.close()
    path.unlink()
    path.with_name("ledger.db-wal").write_bytes(log)
    connect(path).close()
    with reading(path) as store:
        assert list(store.all_series()) == []


# --- the folder -----------------------------------------------------------------------------------


def test_new_folders_of_a_ledger_are_synced_in_their_parents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("orchestrator.fsync.sync_folder", synced.append)
    make_folder(tmp_path / "a" / "b")
    assert synced == [tmp_path, tmp_path / "a"]
    make_folder(tmp_path / "a" / "b")
    assert len(synced) == 2
