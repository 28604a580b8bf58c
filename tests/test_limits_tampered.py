"""Ledgers that somebody has changed to do harm: told in words (74), or without effect."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from orchestrator.cli.main import call
from orchestrator.core.policy import ExitCode
from orchestrator.errors import LedgerError
from orchestrator.ledger import hardening
from orchestrator.ledger.sqlite import connect, reading
from tests.kit.cli_worlds import SMALL, simulated

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.cli_worlds import Place

JOB = (
    "accounts: [abcd1234]\n"
    "products: [{product: SMS, direction: outbound}]\n"
    "windows: [{from: 2026-01-01, to: 2026-03-01}]\n"
)
AS_INTEGER = "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, "
SCHEMA = {
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON event BEGIN DELETE FROM report; END",
    "a trigger that calls": "CREATE TRIGGER t AFTER UPDATE ON report BEGIN"
    " SELECT load_extension('/tmp/x'); END",
    "a view": "CREATE VIEW everything AS SELECT * FROM report",
    "a view in place of a table": "DROP TABLE mark; CREATE VIEW mark AS"
    " SELECT 'job' AS job, 1 AS series_id, 99999999999 AS at",
    "a generated column": "ALTER TABLE report ADD COLUMN x BLOB AS (zeroblob(1000000000))",
    "a generated column in a copy": "CREATE TABLE other (job TEXT NOT NULL, series_id INTEGER,"
    " at INTEGER AS (series_id * 1000)); DROP TABLE mark; ALTER TABLE other RENAME TO mark",
    "another column": "ALTER TABLE series ADD COLUMN x TEXT DEFAULT 'x'",
    "no table": "DROP TABLE given_up",
    "no unique index": "DROP INDEX report_request",
    "a virtual table": "CREATE VIRTUAL TABLE x USING fts5(a)",
    "an unknown state": "UPDATE report SET state = 'stored'",
    "a state in another case": "UPDATE report SET state = upper(state)",
}
ROWS = {
    "huge reason": "UPDATE report SET reason = printf('%.*c', 40000000, 'x')",
    "large reason": "UPDATE report SET reason = printf('%.*c', 5000000, 'x') || char(8238, 133)",
    "huge body": "UPDATE series SET body = printf('%.*c', 40000000, 'x')",
    "nested body": "UPDATE series SET body = printf('%.*c', 200000, '[')",
    "huge facts": "UPDATE event SET facts = printf('%.*c', 40000000, 'x')",
    "no facts": "UPDATE event SET facts = '[]', kind = 'Nothing', to_state = 'nowhere'",
    "huge numbers": "UPDATE report SET rows = 9223372036854775807, size_bytes = -1",
    "far windows": "UPDATE report SET window_end = 9223372036854775807",
    "early windows": "UPDATE report SET window_start = -9223372036854775807",
    "far times": "UPDATE report SET changed_at = 9223372036854775807",
    "odd hash": "UPDATE report SET sha256 = char(8238) || 'x'",
    "paths": "UPDATE report SET target = '../../../../etc/passwd'",
    "a path with odd characters": "UPDATE report SET target = 'a' || char(0, 10, 8238) || '/b'",
    "no target": "UPDATE report SET target = NULL, sha256 = NULL",
    "odd ids": "UPDATE report SET request_id = '../' || id || char(10, 8238), state = 'submitted',"
    " is_open = 1",
    "odd keys": "UPDATE report SET api_key = char(8238) || 'x', state = 'ready', is_open = 1",
    "links": "UPDATE report SET download_url = 'file:///etc/passwd', state = 'ready', is_open = 1",
    "odd jobs": "UPDATE resolved SET job = char(27)",
    "far marks": "INSERT OR REPLACE INTO mark SELECT 'job', id, 9223372036854775807 FROM series",
    "replaces itself": "UPDATE report SET replaces = id, edition = -5",
    "no identity": "DELETE FROM identity",
    "odd identity": "UPDATE identity SET id = printf('%.*c', 1000000, 'x'), generation = -1",
    "given up": "INSERT INTO given_up (series_id, window_start, window_end, report_id, reason, at)"
    " SELECT id, -9223372036854775807, 9223372036854775807, 77, char(8238), 9e18 FROM series",
}
TYPES = {
    "a number as text": "UPDATE report SET window_start = 'x'",
    "text as bytes": "UPDATE report SET state = x'00ff', reason = x'ff'",
    "bytes that are no text": "UPDATE series SET body = CAST(x'ff00fe' AS TEXT)",
}
COMMANDS = (
    ["plan"],
    ["status"],
    ["status", "--json"],
    ["files"],
    ["verify"],
    ["check"],
    ["resolve", "1", "--waive"],
    ["run"],
    ["cancel"],
)


def changed(place: Place, script: str) -> None:
    with closing(sqlite3.connect(place.state)) as database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.executescript(script)
        database.commit()


def without_strict(script: str) -> str:
    """As the file can be written by a program that knows no STRICT."""
    return (
        "PRAGMA writable_schema = ON;"
        "UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ')') WHERE type = 'table';"
        f"PRAGMA writable_schema = RESET; {script};"
        "PRAGMA writable_schema = ON;"
        "UPDATE sqlite_schema SET sql = rtrim(sql) || ' STRICT'"
        " WHERE name IN ('series', 'report', 'event', 'given_up', 'identity');"
        "PRAGMA writable_schema = RESET"
    )


def commands(place: Place, capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    """The exit codes of all commands; none of them may end with a traceback."""
    codes = {}
    for arguments in COMMANDS:
        words = [arguments[0], *([] if arguments[0] == "resolve" else [str(place.job)])]
        if arguments[0] == "resolve":
            words += ["--config", str(place.directory / "config.yaml")]
        code = call([*words, *arguments[1:]])
        said = capsys.readouterr()
        assert "Traceback" not in said.err, (arguments, said.err)
        assert code != ExitCode.BUG, (arguments, said.err)
        assert all(part.isprintable() for part in said.err.split("\n")), (arguments, said.err)
        assert len(said.err) < 20_000, arguments
        codes[" ".join(arguments)] = code
    return codes


@pytest.mark.parametrize("script", SCHEMA.values(), ids=SCHEMA)
def test_a_schema_that_is_not_ours_ends_every_command_with_74(
    tmp_path: Path, script: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulated(tmp_path, SMALL, job=JOB) as place:
        assert place.run() == ExitCode.DONE
        calls = dict(place.simulator.calls)
        changed(place, script)
        capsys.readouterr()
        codes = commands(place, capsys)
        assert set(codes.values()) == {ExitCode.DISK}, codes
        assert place.simulator.calls["create"] == calls["create"]
        assert place.run() == ExitCode.DISK
        said = capsys.readouterr().err
        assert "that this program has not made: something else has changed the file" in said


@pytest.mark.parametrize("script", ROWS.values(), ids=ROWS)
def test_rows_of_harm_end_in_words_and_buy_nothing_again(
    tmp_path: Path, script: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulated(tmp_path, SMALL, job=JOB) as place:
        assert place.run() == ExitCode.DONE
        changed(place, script)
        capsys.readouterr()
        commands(place, capsys)


@pytest.mark.parametrize("script", TYPES.values(), ids=TYPES)
def test_values_of_wrong_types_end_in_words(
    tmp_path: Path, script: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulated(tmp_path, SMALL, job=JOB) as place:
        assert place.run() == ExitCode.DONE
        changed(place, without_strict(script))
        capsys.readouterr()
        codes = commands(place, capsys)
        assert codes["run"] == ExitCode.DISK


def test_what_a_user_adds_beside_may_stay(tmp_path: Path) -> None:
    with simulated(tmp_path, SMALL, job=JOB) as place:
        assert place.run() == ExitCode.DONE
        changed(place, "CREATE TABLE notes (text); CREATE INDEX mine ON report (rows)")
        assert place.run() == ExitCode.DONE
        assert place.is_the_truth()


def test_every_connection_trusts_nothing_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(connect(path)) as writing:
        assert writing.execute("PRAGMA trusted_schema").fetchone()[0] == 0
    with closing(connect(path, read_only=True)) as read:
        assert read.execute("PRAGMA trusted_schema").fetchone()[0] == 0
        assert read.getlimit(sqlite3.SQLITE_LIMIT_LENGTH) == 32 * 1024 * 1024
    hardening._ours.cache_clear()
    with reading(path):
        pass
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE VIEW x AS SELECT 1")
    with pytest.raises(LedgerError, match="holds a view that this program has not made"):
        connect(path)
