"""What people do to ledgers and manifests: copies, backups, rebuilds, mix-ups; nothing is lost."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from orchestrator.cli.main import call
from orchestrator.core.lifecycle import State
from orchestrator.ledger.sqlite import reading
from orchestrator.simulator import Fault, Faults
from tests.kit.cli_worlds import REPORTS, simulated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kit.cli_worlds import Place

OTHER_JOB = """\
name: job
accounts: [abcd1234]
products: [VERIFY-API]
windows: [{from: 2026-01-01, to: 2026-03-01}]
"""


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No config from outside."""
    monkeypatch.delenv("ORCHESTRATOR_CONFIG", raising=False)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with simulated(tmp_path) as place:
        yield place


def manifest(place: Place) -> Path:
    return place.directory / "reports" / "manifest.jsonl"


def remove_ledger(place: Place) -> None:
    for path in place.state.parent.glob("ledger.db*"):
        path.unlink()


def copy_of(place: Place, name: str, *suffixes: str) -> Path:
    """Copies of the ledger's files, as `cp` makes them."""
    folder = place.directory / name
    folder.mkdir()
    for suffix in ("", *suffixes):
        source = place.state.with_name(place.state.name + suffix)
        if source.exists():
            shutil.copy(source, folder / source.name)
    return folder


def put_back(place: Place, folder: Path) -> None:
    remove_ledger(place)
    for path in folder.iterdir():
        shutil.copy(path, place.state.parent / path.name)


def files_of(place: Place) -> int:
    """How many files the manifest knows."""
    path = manifest(place)
    return path.read_bytes().count(b'{"kind":"file"') if path.exists() else 0


def to_the_end(place: Place, *options: str) -> int:
    """Runs until it exits with something else than "not finished"; what it exits with."""
    code = place.run("--quiet", *options)
    for _ in range(4):
        if code != 75:
            break
        code = place.run("--quiet")
    return code


def in_the_middle(place: Place, *, creates: int = 8) -> None:
    """A run that is killed once so many reports have been created and some are collected."""
    process = place.process("run", "job.yaml")
    deadline = time.monotonic() + 20
    while place.calls("create") < creates or files_of(place) < 2:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_an_old_copy_of_the_ledger_is_refused(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.run("--quiet") == 0
    folder = copy_of(place, "backup", "-wal")
    place.write_job(place.job.read_text().replace("2026-01-01", "2025-12-01"))
    assert place.run("--quiet") == 0
    bought = place.bought()
    assert bought > REPORTS
    put_back(place, folder)
    capsys.readouterr()
    assert place.run("--quiet") == 2
    assert place.check() == 2
    err = capsys.readouterr().err
    assert "is older than its files: it ends with event" in err
    assert "Put the newer ledger back" in err
    assert place.bought() == bought


def test_a_copy_without_its_wal_is_refused(place: Place) -> None:
    """Before: what stood in the -wal alone was bought again."""
    process = place.process("run", "job.yaml", "--quiet")
    deadline = time.monotonic() + 20
    while place.calls("create") < 6:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    folder = copy_of(place, "copy")  # without the -wal, while the run goes on
    process.send_signal(signal.SIGKILL)
    process.communicate()
    put_back(place, folder)
    bought = place.bought()
    assert place.run("--quiet") == 2
    assert place.bought() == bought
    # The advice, followed: move it away, and rebuild.
    remove_ledger(place)
    assert to_the_end(place, "--rebuild-ledger") == 0
    assert place.is_the_truth()
    assert place.bought() == REPORTS, "what was open was followed, not bought again"


def test_after_a_kill_a_rebuild_loses_nothing_and_pays_nothing_twice(place: Place) -> None:
    """Before: all since the last orderly end was bought again, or ended with 74 for ever."""
    in_the_middle(place)
    remove_ledger(place)
    assert place.run("--quiet") == 2, "a new ledger is not begun beside the manifest"
    assert place.check() == 2
    assert to_the_end(place, "--rebuild-ledger") == 0
    assert place.is_the_truth()
    assert place.bought() == REPORTS


def test_a_ledger_found_again_after_a_rebuild_is_refused(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.run("--quiet") == 0
    folder = copy_of(place, "old", "-wal")
    remove_ledger(place)
    assert place.run("--quiet", "--rebuild-ledger") == 0
    place.write_job(place.job.read_text().replace("2026-01-01", "2025-12-01"))
    assert place.run("--quiet") == 0
    bought = place.bought()
    put_back(place, folder)
    capsys.readouterr()
    assert place.run("--quiet") == 2
    assert place.check() == 2
    assert "was replaced by a rebuild" in capsys.readouterr().err
    assert place.bought() == bought


def test_a_second_config_does_not_replace_the_first_ones_manifest(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before: its manifest was replaced, and with it what a rebuild needs."""
    assert place.run("--quiet") == 0
    first = manifest(place).read_bytes()
    other = place.directory / "other"
    other.mkdir()
    text = (place.directory / "config.yaml").read_text()
    (other / "config.yaml").touch(mode=0o600)
    (other / "config.yaml").write_text(text)
    (other / "job.yaml").write_text(OTHER_JOB)
    assert call(["run", str(other / "job.yaml"), "--quiet"]) == 0
    bought = place.bought()
    text = text.replace("output: {directory: reports", "output: {directory: ../reports")
    if "../reports" not in text:
        text += "output: {directory: ../reports}\n"
    (other / "config.yaml").write_text(text)
    (other / "job.yaml").write_text(OTHER_JOB.replace("2026-01-01", "2025-11-01"))
    capsys.readouterr()
    assert call(["run", str(other / "job.yaml"), "--quiet"]) == 2
    assert call(["check", str(other / "job.yaml")]) == 2
    assert "belongs to another ledger than" in capsys.readouterr().err
    assert manifest(place).read_bytes() == first
    assert place.bought() == bought


@pytest.mark.parametrize("deed", ["digit", "twice"])
def test_a_changed_manifest_rebuilds_nothing(
    place: Place, capsys: pytest.CaptureFixture[str], deed: str
) -> None:
    """Before: twenty days counted as had, or a traceback."""
    assert place.run("--quiet") == 0
    lines = manifest(place).read_bytes().splitlines(keepends=True)
    number = next(at for at, line in enumerate(lines) if b'"kind":"file"' in line)
    if deed == "digit":
        lines[number] = lines[number].replace(
            b'"date_start":"2026-01-01', b'"date_start":"2026-01-21'
        )
    else:
        lines.insert(number, lines[number])
    manifest(place).write_bytes(b"".join(lines))
    capsys.readouterr()
    assert call(["verify", str(place.job)]) == 1
    assert "manifest.jsonl:" in capsys.readouterr().out
    remove_ledger(place)
    bought = place.bought()
    assert place.run("--quiet", "--rebuild-ledger") == 2
    err = capsys.readouterr().err
    assert "manifest.jsonl:" in err
    assert "Traceback" not in err
    assert not place.state.exists()
    assert place.bought() == bought


def test_a_damaged_manifest_beside_a_good_ledger_is_written_anew_on_advice(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.run("--quiet") == 0
    manifest(place).write_bytes(b"nonsense\n")
    capsys.readouterr()
    assert place.run("--quiet") == 2
    assert place.check() == 2
    assert "if the ledger beside it is the latest, move the manifest away: the next run writes" in (
        capsys.readouterr().err
    )
    manifest(place).unlink()
    assert place.run("--quiet") == 0
    assert call(["verify", str(place.job)]) == 0


def test_what_a_person_decided_comes_back_with_a_rebuild(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Waived, disputed and given up: none of it is bought again."""
    faults = Faults(
        (
            Fault.of("report", "wrong_count", first=2),
            Fault.of("report", "outcome", status="FAILED", nth=3),
        )
    )
    with simulated(
        tmp_path, job=OTHER_JOB.replace("2026-01-01", "2025-11-01"), faults=faults
    ) as it:
        assert it.run("--quiet") in (1, 75)
        with reading(it.state) as store:
            disputed = [
                one.id
                for series in store.all_series()
                for one in store.reports(series, (State.DISPUTED,))
            ]
        assert len(disputed) == 2
        assert (
            call(
                [
                    "resolve",
                    str(disputed[0]),
                    "--waive",
                    "--config",
                    str(it.directory / "config.yaml"),
                ]
            )
            == 0
        )
        while it.run("--quiet") == 75:
            pass
        bought = it.bought()
        remove_ledger(it)
        assert it.run("--quiet", "--rebuild-ledger") == 1, "one is disputed still"
        assert it.bought() == bought
        with reading(it.state) as store:
            assert store.report(disputed[0]).state is State.WAIVED
            assert store.report(disputed[1]).state is State.DISPUTED
        config = str(it.directory / "config.yaml")
        assert call(["resolve", str(disputed[1]), "--accept-file", "--config", config]) == 0
        assert it.run("--quiet") == 0


def test_two_paths_to_one_ledger_are_one_lock(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before: the lock went by the path, and two runs bought the same."""
    with simulated(tmp_path, processing_time=timedelta(seconds=80)) as place:
        (tmp_path / "link").mkdir()
        process = place.process("run", "job.yaml", "--quiet")
        deadline = time.monotonic() + 20
        while place.calls("create") < 3:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        (tmp_path / "link" / "ledger.db").symlink_to(place.state)
        text = (place.directory / "config.yaml").read_text()
        linked = tmp_path / "linked.yaml"
        linked.touch(mode=0o600)
        linked.write_text(
            "\n".join(line for line in text.splitlines() if not line.startswith("state:"))
            + "\nstate: link/ledger.db\n"
        )
        capsys.readouterr()
        assert call(["run", str(place.job), "--config", str(linked), "--quiet"]) == 3
        process.send_signal(signal.SIGKILL)
        process.communicate()


def test_the_manifest_follows_the_run(place: Place) -> None:
    """A kill leaves a manifest that knows every file, and every report that is open."""
    in_the_middle(place)
    lines = [json.loads(line) for line in manifest(place).read_bytes().splitlines()[:-1]]
    files = {line["path"] for line in lines if line["kind"] == "file"}
    ids = {line.get("request_id") for line in lines if line["kind"] in ("file", "report")}
    with closing(sqlite3.connect(place.state)) as ledger:
        known = {
            row[0] for row in ledger.execute("SELECT target FROM report WHERE state = 'collected'")
        }
        bought = {
            row[0]
            for row in ledger.execute("SELECT request_id FROM report WHERE request_id IS NOT NULL")
        }
    assert len(known - files) <= 4, "what was committed last may not have been appended"
    assert len(bought - ids) <= 8
    assert len(files) >= 2


def test_files_that_are_elsewhere_than_the_config_says_get_a_warning(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where ``~`` or a path leads elsewhere today. Before: nothing was said until `verify`."""
    assert place.run("--quiet") == 0
    assert place.check() == 0
    assert "knows collected files" not in "".join(capsys.readouterr())
    config = place.directory / "config.yaml"
    config.write_text(config.read_text("utf-8").replace("directory: reports", "directory: other"))
    words = (
        f"the ledger {place.state} knows collected files, but {place.directory / 'other'} has none "
        "of them: new ones go there now, and the others are missing; move the files there, or let "
        "output.directory be what it was"
    )
    assert place.check() == 0
    assert f"warning  ledger: {words}" in capsys.readouterr().out
    assert place.run() == 0
    assert f"warning: {words}" in capsys.readouterr().err


def test_an_account_that_is_refused_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before: once for each create that was on its way."""
    refusing = Faults((Fault.of("create", "refuse", status=403),))
    countries = "DE, FR, GB, US, ES, IT"
    job = (
        "accounts: [abcd1234]\n"
        f"products: [{{product: VERIFY-API, country: [{countries}]}}]\n"
        "windows: [{from: 2026-01-01, to: 2026-02-01}]\n"
    )
    with simulated(tmp_path, job=job, faults=refusing) as place:
        assert place.run("--log-format", "json") == 1
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    told = [line["event"] for line in lines if line["level"] == "error"]
    assert len([line for line in told if "nothing more of it in this run" in line]) == 1
