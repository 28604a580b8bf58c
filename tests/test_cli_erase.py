"""`erase`: what it removes, what it keeps, and that nothing of it is bought again by itself."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator import load, verify
from orchestrator.cli.main import call
from orchestrator.collect.stores.folder import FolderStore
from orchestrator.core.lifecycle import State
from orchestrator.errors import OutputError
from orchestrator.ledger import open_reader
from orchestrator.ledger.lock import run_lock
from orchestrator.ledger.sqlite import SqliteLedger
from orchestrator.simulator import Fault, Faults
from tests.kit.cli_worlds import Place, simulated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.app.verify import Finding
    from orchestrator.core.model import Report

JOB = """\
name: job
accounts: [abcd1234]
products: [VERIFY-API]
windows: [{from: 2026-01-01, to: 2026-05-01}]
"""
BEFORE = ("--before", "2026-03-01")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Four files, of January to April."""
    monkeypatch.chdir(tmp_path)
    with simulated(tmp_path, job=JOB) as here:
        assert here.run("--quiet") == 0
        yield here


def erase(place: Place, *options: str) -> int:
    return call(["erase", str(place.job), *BEFORE, *options])


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert call(list(arguments)) == 0
    return json.loads(capsys.readouterr().out)


def published(place: Place) -> list[str]:
    return sorted(path.name[:8] for path in (place.directory / "reports").rglob("2*_*.csv"))


def reports(place: Place) -> list[Report]:
    with open_reader(place.state) as reader:
        return [one for series in reader.all_series() for one in reader.reports(series)]


def states(place: Place) -> list[str]:
    return [report.state.value for report in reports(place)]


def lose_ledger(place: Place) -> None:
    for path in place.state.parent.glob("ledger.db*"):
        path.unlink()


def stays_erased(place: Place) -> None:
    """No run that comes by itself buys anything."""
    bought = place.bought()
    assert place.run("--quiet") == 0
    assert place.run("--quiet", "--retry-failed") == 0
    place.write_job(JOB + "refetch: 1d\n")
    assert place.run("--quiet") == 0
    place.write_job(JOB.replace("2026-01-01", "2026-01-15").replace("name: job", "name: other"))
    assert place.run("--quiet") == 0
    place.write_job(JOB)
    assert place.bought() == bought
    assert published(place) == ["20260301", "20260401"]


def test_files_are_gone_and_the_ledger_keeps_what_they_were(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = answer(capsys, "files", str(place.job), "--json")
    until = answer(capsys, "files", str(place.job), "--json", "--since", "1970-01-01")["until"]
    capsys.readouterr()
    assert erase(place, "--yes") == 0
    rows = sum(one["rows"] for one in listed[:2])
    said = capsys.readouterr().out
    assert said.startswith(f"2 files with {rows} records, ")
    assert said.endswith(" erased; no run buys them again\n")
    assert published(place) == ["20260301", "20260401"]
    erased = [report for report in reports(place) if report.state is State.ERASED]
    assert [(one.rows, one.sha256, one.size_bytes) for one in erased] == [
        (one["rows"], one["sha256"], one["size_bytes"]) for one in listed[:2]
    ]
    assert {(one.target, one.reason) for one in erased} == {(None, "before 2026-03-01")}
    assert answer(capsys, "files", str(place.job), "--json") == listed[2:]
    assert answer(capsys, "verify", str(place.job), "--json")["files"] == 2
    for since in (until, "2026-01-01"):
        changes = answer(capsys, "files", str(place.job), "--json", "--since", since)["files"]
        removed = [one for one in changes if one["change"] == "removed"]
        assert [one["report"] for one in removed] == [one["report"] for one in listed[:2]]
    assert call(["status", str(place.job)]) == 0
    said = capsys.readouterr().out
    assert "2 erased" in said
    assert "; 2 erased on purpose\n" in said
    assert "everything before " in said
    assert " is collected, but for 2 windows erased on purpose\n" in said
    stays_erased(place)


def test_a_run_says_that_erased_windows_are_not_there(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert erase(place, "--yes") == 0
    capsys.readouterr()
    assert place.run() == 0
    said = " ".join("".join(capsys.readouterr()).split())
    assert "has been collected, but for 2 windows erased on purpose." in said
    told = answer(capsys, "run", str(place.job), "--json")
    assert (told["waived"], told["erased"]) == (0, 2)


def test_a_loader_hears_of_the_removal_of_what_is_bought_again(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else it would keep the old file's records beside those of the new one."""
    until = answer(capsys, "files", str(place.job), "--json", "--since", "1970-01-01")["until"]
    assert erase(place, "--yes") == 0
    erased = [one.id for one in reports(place) if one.state is State.ERASED]
    assert call(["resolve", *map(str, erased), "--resubmit"]) == 0
    assert place.run("--quiet") == 0
    for since in (until, "2026-01-01"):
        changes = answer(capsys, "files", str(place.job), "--json", "--since", since)["files"]
        assert [one["report"] for one in changes if one["change"] == "removed"] == erased


def test_a_dry_run_changes_nothing(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "erase", str(place.job), *BEFORE, "--dry-run", "--json")
    assert (found["files"], found["dry_run"], found["exit_word"]) == (2, True, "done")
    assert states(place) == ["collected"] * 4
    assert len(published(place)) == 4
    done = answer(capsys, "erase", str(place.job), *BEFORE, "--yes", "--json")
    assert done == {**found, "dry_run": False}


def test_a_file_that_reaches_beyond_the_date_is_kept_whole(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert call(["erase", str(place.job), "--before", "2026-02-27", "--yes"]) == 0
    assert "1 file kept whole, for they reach beyond 2026-02-27" in capsys.readouterr().out
    assert published(place) == ["20260201", "20260301", "20260401"]


def test_somebody_has_to_say_yes(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert erase(place) == 2
    said = capsys.readouterr().err
    assert "2 files with " in said
    assert "add --yes where there is no terminal" in said
    assert len(published(place)) == 4
    assert call(["erase", str(place.job), "--before", "yesterdays", "--yes"]) == 2
    assert "--before: " in capsys.readouterr().err
    assert call(["erase", str(place.job), "--before", "2020-01-01"]) == 0
    assert "nothing to erase: no collected file ends before 2020-01-01" in capsys.readouterr().out


def test_a_rebuilt_ledger_knows_what_was_erased(place: Place) -> None:
    assert erase(place, "--yes") == 0
    before = reports(place)[:2]
    lose_ledger(place)
    assert place.run("--quiet", "--rebuild-ledger") == 0
    assert reports(place)[:2] == before
    assert states(place) == ["erased", "erased", "collected", "collected"]
    stays_erased(place)


def test_again_leaves_it_alone_and_resubmit_buys_it_back(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.run("--again", "--from", "2026-01-01", "--to", "2026-02-01", "--yes") == 0
    assert erase(place, "--yes") == 0
    assert states(place).count("erased") == 2
    assert published(place) == ["20260301", "20260401"], "no older edition is left"
    bought = place.bought()
    assert place.run("--again", "--from", "2026-01-01", "--to", "2026-03-01", "--yes") == 2
    stays_erased(place)
    assert place.bought() == bought
    erased = [str(one.id) for one in reports(place) if one.state is State.ERASED]
    assert call(["resolve", *erased, "--resubmit"]) == 0
    assert place.run("--quiet") == 0
    assert place.bought() == bought + 2
    assert len(published(place)) == 4
    assert call(["verify", str(place.job)]) == 0


def test_a_ledger_from_before_is_refused(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A backup that does not know of the erasure would let nothing be bought, nor be used."""
    backup = place.directory / "backup.db"
    assert call(["backup", str(backup)]) == 0
    assert erase(place, "--yes") == 0
    bought = place.bought()
    lose_ledger(place)
    shutil.copy(backup, place.state)
    capsys.readouterr()
    assert place.run("--quiet") == 2
    assert "is older than its files" in capsys.readouterr().err
    assert place.bought() == bought


def test_a_file_that_comes_back_from_a_backup_is_told_of(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = place.directory / "copy"
    shutil.copytree(place.directory / "reports", copy)
    assert erase(place, "--yes") == 0
    for path in copy.rglob("20260101*.csv"):
        shutil.copy(path, place.directory / "reports" / path.relative_to(copy))
    capsys.readouterr()
    assert call(["verify", str(place.job)]) == 1
    assert "the ledger does not know this file" in capsys.readouterr().out
    bought = place.bought()
    assert place.run("--quiet") == 0
    lose_ledger(place)
    assert place.run("--quiet", "--rebuild-ledger") == 0
    assert states(place) == ["erased", "erased", "collected", "collected"]
    assert place.bought() == bought


# --- what is not collected ------------------------------------------------------------------------


def test_what_is_kept_aside_goes_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = Faults((Fault.of("report", "wrong_count", nth=1),))
    with simulated(tmp_path, job=JOB, faults=faults) as place:
        assert place.run("--quiet") == 1
        aside = tmp_path / "reports" / ".aside"
        assert list(aside.iterdir())
        capsys.readouterr()
        assert erase(place, "--yes") == 0
        assert "1 disputed report waived\nwhat is kept aside of 1 report removed\n" in (
            capsys.readouterr().out
        )
        assert list(aside.iterdir()) == []
        assert "disputed" not in states(place)
        bought = place.bought()
        assert place.run("--quiet") == 0
        assert place.bought() == bought


def test_disputed_reports_are_waived_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One synced commit for each would take minutes for ten thousand of them."""
    changed = [0]
    commit = SqliteLedger.commit

    def count(ledger: SqliteLedger) -> None:
        changed.append(ledger._db.total_changes)
        commit(ledger)

    faults = Faults((Fault.of("report", "wrong_count"),))
    with simulated(tmp_path, job=JOB + "chunk: {max: 1 week}\n", faults=faults) as place:
        assert place.run("--quiet") == 1
        capsys.readouterr()
        monkeypatch.setattr(SqliteLedger, "commit", count)
        assert erase(place, "--yes") == 0
        assert "8 disputed reports waived" in capsys.readouterr().out
    assert len(set(changed)) - 1 <= 2


def test_what_is_open_is_left_to_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faults = Faults((Fault.of("download", "refuse", status=503),))
    with simulated(tmp_path, job=JOB, faults=faults) as place:
        assert place.run("--quiet") == 75
        capsys.readouterr()
        assert erase(place, "--dry-run", "--json") == 75
        told = json.loads(capsys.readouterr().out)
        assert (told["open"], told["exit_code"], told["exit_word"]) == (2, 75, "unfinished")
        assert erase(place, "--dry-run") == 75
        capsys.readouterr()
        assert erase(place, "--yes") == 75
        assert "2 reports of that time still open" in capsys.readouterr().out


# --- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "next_command"),
    [
        ("before", "run"),
        ("before", "erase"),
        ("before", "rebuild"),
        ("after", "run"),
        ("after", "rebuild"),
        ("noted", "erase"),
    ],
)
def test_a_kill_between_two_steps_loses_nothing(place: Place, step: str, next_command: str) -> None:
    """Killed before a file is removed, after it, and after that is noted."""
    code = {
        "before": "Collector.withdraw = die",
        "after": "Ledger.withdrawn = die",
        "noted": "Sync.write = die",
    }[step]
    script = (
        "import os, sys\n"
        "from orchestrator.cli.main import call\n"
        "from orchestrator.collect.collector import FileCollector as Collector\n"
        "from orchestrator.ledger.sqlite import SqliteLedger as Ledger\n"
        "from orchestrator.app.manifest_sync import ManifestSync as Sync\n"
        "async def die(*_): os._exit(9)\n"
        f"{code}\n"
        "call(sys.argv[1:])\n"
    )
    arguments = ["erase", str(place.job), *BEFORE, "--yes"]
    killed = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=place.directory, check=False, timeout=60
    )
    assert killed.returncode == 9
    assert states(place).count("erased") == 2
    assert call(["verify", str(place.job)]) == 0, "what is still there is known"
    bought = place.bought()
    if next_command == "erase":
        assert erase(place, "--yes") == 0
    else:
        if next_command == "rebuild":
            lose_ledger(place)
        options = ["--rebuild-ledger"] if next_command == "rebuild" else []
        assert place.run("--quiet", *options) == 0
    assert place.bought() == bought
    assert published(place) == ["20260301", "20260401"]
    assert {one.target for one in reports(place) if one.state is State.ERASED} == {None}


def test_a_store_that_refuses_is_74_and_the_next_call_goes_on(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_store: FolderStore, key: str) -> bool:
        raise OutputError(f"{key}: no permission")

    with monkeypatch.context() as patched:
        patched.setattr(FolderStore, "delete", refuse)
        capsys.readouterr()
        assert erase(place, "--yes") == 74
        said = capsys.readouterr().err
        assert "2 files could not be removed, the first: " in said
        assert "the same command goes on" in said
    assert len(published(place)) == 4
    number = next(one.id for one in reports(place) if one.state is State.ERASED)
    assert call(["status", str(place.job)]) == 0
    assert "is not removed yet" in capsys.readouterr().out
    assert call(["resolve", str(number), "--resubmit"]) == 2
    assert call(["files", str(place.job), "--json"]) == 0
    capsys.readouterr()
    assert erase(place, "--yes") == 0
    assert capsys.readouterr().err == "2 files removed that an earlier command had left\n"
    assert published(place) == ["20260301", "20260401"]


@pytest.mark.parametrize(
    "options", [[], ["--again", "--from", "2026-04-01", "--to", "2026-05-01", "--yes"]]
)
def test_a_store_that_refuses_does_not_keep_a_run_from_collecting(
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
) -> None:
    """What is erased, and what a newer edition replaces: said at the end, which is 74."""

    def refuse(_store: FolderStore, key: str) -> bool:
        raise OutputError(f"{key}: no permission")

    number = 2
    with monkeypatch.context() as patched:
        patched.setattr(FolderStore, "delete", refuse)
        assert erase(place, "--yes") == 74
        if options:
            number = 3
        else:
            job = place.job.read_text(encoding="utf-8")
            place.write_job(job.replace("to: 2026-05-01", "to: 2026-06-01"))
        capsys.readouterr()
        assert place.run("--json", *options) == 74
        answer = json.loads(capsys.readouterr().out)
        (why,) = answer["why"]
        assert why.startswith(f"{number} files that are erased, or replaced by a newer edition, ")
        assert why.endswith(": no permission; the next run tries again")
        assert answer["collected"]["reports"] == 1
        assert answer["exit_code"] == 74
        assert place.run() == 74
        said = capsys.readouterr().out
        assert f"  {number} files that are erased" in said
        assert "Files could not be removed; see above. Nothing is lost. To continue: " in said
    assert place.run() == 0
    assert place.bought() == 5
    assert {one.target for one in reports(place) if one.state is not State.COLLECTED} == {None}


def test_a_file_that_stays_does_not_keep_others_from_being_erased(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    removed = FolderStore.delete

    def refuse(store: FolderStore, key: str) -> bool:
        if "20260101T" in key:
            raise OutputError(f"{key}: no permission")
        return removed(store, key)

    monkeypatch.setattr(FolderStore, "delete", refuse)
    before = ["erase", str(place.job), "--yes", "--before"]
    assert call([*before, "2026-02-01"]) == 74
    capsys.readouterr()
    assert call([*before, "2026-03-01"]) == 74
    assert "1 file could not be removed, the first: " in capsys.readouterr().err
    assert published(place) == ["20260101", "20260301", "20260401"]


@pytest.mark.parametrize("is_made", [False, True])
def test_files_that_are_elsewhere_are_not_said_to_be_erased(
    place: Place, capsys: pytest.CaptureFixture[str], *, is_made: bool
) -> None:
    """As where a disk is not mounted: nothing is removed, and nothing is written there."""
    directory, elsewhere = place.directory / "reports", place.directory / "elsewhere"
    directory.rename(elsewhere)
    if is_made:
        directory.mkdir()
    for options in (["--yes"], ["--dry-run"]):
        capsys.readouterr()
        assert erase(place, *options) == 2
        assert "has none of them, so erase cannot remove them" in capsys.readouterr().err
    assert states(place) == ["collected"] * 4
    assert directory.exists() == is_made
    assert not is_made or not list(directory.iterdir())
    if is_made:
        directory.rmdir()
    elsewhere.rename(directory)
    assert erase(place, "--yes") == 0
    assert published(place) == ["20260301", "20260401"]


def test_verify_does_not_miss_what_is_erased_while_it_reads(place: Place) -> None:
    def erase_the_rest(files: int, _total: int) -> None:
        if files == 1:
            assert call(["erase", str(place.job), "--before", "2026-05-01", "--yes"]) == 0

    result = verify(load([place.job]), on_progress=erase_the_rest)
    assert result.findings == ()
    assert 0 < result.files < 4
    assert published(place) == []


def test_verify_asks_the_ledger_again_after_it_has_named_a_file(place: Place) -> None:
    missing = min((place.directory / "reports").rglob("2*_*.csv"))
    missing.unlink()

    def erase_the_rest(_finding: Finding) -> None:
        assert call(["erase", str(place.job), "--before", "2026-05-01", "--yes"]) == 0

    result = verify(load([place.job]), on_finding=erase_the_rest)
    (finding,) = result.findings
    assert finding.path == str(missing)
    assert published(place) == []


def test_it_waits_for_no_run(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    with place.portal.wrap_async_context_manager(run_lock(place.state, timedelta())):
        assert erase(place, "--yes") == 3
    assert len(published(place)) == 4
    assert "is running on this ledger" in capsys.readouterr().err
