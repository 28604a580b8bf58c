"""`backup`: a copy of the ledger that is complete, also while a run writes to it."""

from __future__ import annotations

import json
import shutil
import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from orchestrator.cli.main import call
from orchestrator.ledger import open_reader
from orchestrator.simulator import Settings
from tests.kit.cli_worlds import Place, simulated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JOB = """\
name: job
accounts: [abcd1234]
products: [VERIFY-API]
windows: [{from: 2026-01-01, to: 2026-04-01}]
"""
"""One series, three reports."""


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No config from outside."""
    monkeypatch.delenv("ORCHESTRATOR_CONFIG", raising=False)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Where a run has collected three months."""
    with simulated(tmp_path, job=JOB) as place:
        assert place.run("--quiet") == 0
        yield place


def backup(place: Place, target: Path, *options: str) -> int:
    config = str(place.directory / "config.yaml")
    return call(["backup", str(target), *options, "--config", config])


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_backup_is_one_checked_file_for_its_owner_alone(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir(mode=0o755)
    capsys.readouterr()
    assert backup(place, folder / "ledger.db", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert leftovers(folder) == ["ledger.db"]
    status = (folder / "ledger.db").stat()
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_nlink == 1
    with open_reader(folder / "ledger.db", whole=True) as copy, open_reader(place.state) as reader:
        assert copy.point() == reader.point()
        assert facts == {
            "file": str(folder / "ledger.db"),
            "size_bytes": status.st_size,
            "events": reader.point().events,
        }


def test_it_says_what_it_has_made(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert backup(place, tmp_path / "copy.db") == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{tmp_path}/copy.db: ")
    assert "checked; it has the ledger up to event " in out


def test_an_older_backup_is_replaced_only_with_force(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "copy.db"
    assert backup(place, target) == 0
    older = target.read_bytes()
    assert backup(place, target) == 2
    assert f"{target} exists; name another file, or replace it with --force" in (
        capsys.readouterr().err
    )
    assert target.read_bytes() == older
    assert backup(place, target, "--force") == 0
    assert backup(place, target, "--force") == 0
    with open_reader(target, whole=True) as copy:
        assert copy.has_collected()


@pytest.mark.parametrize("name", ["ledger.db", "ledger.db-wal"])
def test_the_ledger_itself_is_never_overwritten(
    place: Place, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backup(place, place.state.with_name(name), "--force") == 2
    assert "is the ledger itself" in capsys.readouterr().err
    assert place.run("--quiet") == 0


def test_a_log_that_is_a_link_to_itself_is_told_in_words(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before: exit 70, with a traceback, before Python 3.13."""
    log = place.state.with_name("ledger.db-wal")
    log.unlink(missing_ok=True)
    log.symlink_to(log)
    assert backup(place, tmp_path / "copy.db") == 74
    assert f"{place.state}: it cannot be opened or written" in capsys.readouterr().err


def test_a_ledger_in_use_and_a_link_are_never_overwritten(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "copy.db"
    target.touch()
    (tmp_path / "copy.db-wal").touch()
    assert backup(place, target, "--force") == 2
    assert "is used as a ledger" in capsys.readouterr().err
    (tmp_path / "link.db").symlink_to(place.state)
    assert backup(place, tmp_path / "link.db", "--force") == 2
    (tmp_path / "folder.db").mkdir()
    assert backup(place, tmp_path / "folder.db", "--force") == 2
    assert "is no plain file" in capsys.readouterr().err


def test_no_folder_is_made_for_a_disk_that_is_not_mounted(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backup(place, tmp_path / "disk" / "copy.db") == 2
    assert "mount the disk" in capsys.readouterr().err
    assert not (tmp_path / "disk").exists()


def test_without_a_ledger_there_is_nothing_to_back_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulated(tmp_path, job=JOB) as place:
        assert backup(place, tmp_path / "copy.db") == 2
        assert "there is no ledger at" in capsys.readouterr().err
        assert not (tmp_path / "copy.db").exists()


def test_of_a_damaged_ledger_nothing_is_kept(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An index that lacks a report: SQLite copies it, and only a check notices."""
    folder = tmp_path / "backups"
    folder.mkdir()
    with closing(sqlite3.connect(place.state, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'report'"
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with place.state.open("r+b") as file:
        file.seek((page - 1) * size + 3)
        file.write(b"\0\0")  # the number of the index's entries
    assert backup(place, folder / "copy.db") == 74
    assert "the file is damaged" in capsys.readouterr().err
    assert leftovers(folder) == []


def test_a_full_disk_leaves_nothing(
    place: Place,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device", str(handle))

    folder = tmp_path / "backups"
    folder.mkdir()
    monkeypatch.setattr("orchestrator.ledger.backup.os.fsync", full)
    assert backup(place, folder / "copy.db") == 74
    assert f"cannot write the backup {folder}/copy.db: No space left" in capsys.readouterr().err
    assert leftovers(folder) == []


def test_where_there_are_no_second_names_it_is_renamed(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("orchestrator.ledger.backup.os.link", link)
    assert backup(place, tmp_path / "copy.db") == 0
    with open_reader(tmp_path / "copy.db", whole=True) as copy:
        assert copy.has_collected()


def test_during_a_run_it_is_the_ledger_of_one_moment(tmp_path: Path) -> None:
    """Each backup is complete, and the run is not disturbed."""
    slow = Settings(speed=60.0, rate=None, sync_rate=None, records_per_day=2.0)
    job = JOB.replace("}]", "}]\nchunk: {max: 1 week}")
    with simulated(tmp_path, slow, job=job) as place:
        process = place.process("run", str(place.job), "--quiet")
        events: list[int] = []
        count = 0
        while process.poll() is None:
            if place.state.exists():
                assert backup(place, tmp_path / f"{count}.db") == 0
                with open_reader(tmp_path / f"{count}.db", whole=True) as copy:
                    events.append(copy.point().events)
                count += 1
        _, err = process.communicate()
        assert process.returncode == 0, err
        assert events == sorted(events)
        assert len(set(events)) > 2


def test_a_ledger_that_was_lost_is_put_back(place: Place, tmp_path: Path) -> None:
    assert backup(place, tmp_path / "copy.db") == 0
    shutil.rmtree(place.state.parent)
    place.state.parent.mkdir(mode=0o700)
    shutil.copy(tmp_path / "copy.db", place.state)
    paid = place.bought()
    assert place.check() == 0
    assert place.run("--quiet") == 0
    assert place.bought() == paid


@pytest.mark.parametrize("content", [b"accounts: [abcd1234]\n", b"SQLite format 3\0" + bytes(84)])
def test_force_replaces_nothing_but_a_backup(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    target = tmp_path / "other"
    target.write_bytes(content)
    assert backup(place, target, "--force") == 2
    assert target.read_bytes() == content
    assert "is no backup of a ledger, so it is not replaced" in capsys.readouterr().err


def test_force_replaces_no_other_ledger_and_no_backup_of_one(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with simulated(other, job=JOB) as second:
        assert second.run("--quiet") == 0
        content = second.state.read_bytes()
        assert backup(place, second.state, "--force") == 2
        assert "is used as a ledger (ledger.db.lock stands beside it)" in capsys.readouterr().err
        assert second.state.read_bytes() == content
        assert leftovers(second.state.parent) == ["ledger.db", "ledger.db.lock"]
        assert backup(second, tmp_path / "copy.db") == 0
    assert backup(place, tmp_path / "copy.db", "--force") == 2
    assert "but of another ledger, or that ledger itself" in capsys.readouterr().err


def test_force_replaces_no_copy_that_is_used_as_a_ledger_and_at_rest(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A backup was put back elsewhere, and runs there now: its lock's file tells."""
    target = tmp_path / "copy.db"
    assert backup(place, target) == 0
    (tmp_path / "copy.db.lock").touch()
    content = target.read_bytes()
    assert backup(place, target, "--force") == 2
    assert "is used as a ledger (copy.db.lock stands beside it)" in capsys.readouterr().err
    assert target.read_bytes() == content


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE identity SET changes = changes + 1",
        "UPDATE identity SET generation = generation + 1",
        "UPDATE event SET at = at + 1 WHERE id = (SELECT max(id) FROM event)",
        "INSERT INTO event SELECT max(id) + 1, report_id, at, kind, NULL, to_state, '' FROM event",
    ],
    ids=["more-changes", "newer-generation", "another-event", "more-events"],
)
def test_force_replaces_no_copy_that_knows_more_than_the_ledger(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    """Such as the latest backup, after an older one was put back."""
    target = tmp_path / "copy.db"
    assert backup(place, target) == 0
    with closing(sqlite3.connect(target)) as connection, connection:
        connection.execute(change)
    content = target.read_bytes()
    assert backup(place, target, "--force") == 2
    assert f"{target} knows what {place.state} does not" in capsys.readouterr().err
    assert target.read_bytes() == content


def test_force_replaces_a_backup_from_before_a_rebuild(place: Place, tmp_path: Path) -> None:
    """The rebuilt ledger lacks the history of the lost one; the manifest was the newer truth."""
    target = tmp_path / "copy.db"
    assert backup(place, target) == 0
    shutil.rmtree(place.state.parent)
    assert place.run("--quiet", "--rebuild-ledger") == 0
    assert backup(place, target, "--force") == 0
