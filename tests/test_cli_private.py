"""Who may read what a run writes: records are personal data."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from orchestrator.cli.main import call
from orchestrator.simulator import Fault, Faults
from tests.kit.cli_worlds import SMALL, simulated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kit.cli_worlds import Place


ONE_SERIES = """\
name: job
accounts: [abcd1234]
products: [VERIFY-API]
windows: [{from: 2026-01-01, to: 2026-03-01}]
"""


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """What most machines have: everybody reads."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with simulated(tmp_path) as place:
        yield place


def let_the_group_read(place: Place) -> None:
    config = place.directory / "config.yaml"
    text, changed = re.subn(
        r"(?m)^output:.*(\n .*)*$", "output: {mode: group}", config.read_text("utf-8")
    )
    config.write_text(text if changed else text + "output: {mode: group}\n", encoding="utf-8")


def rights(folder: Path) -> dict[str, str]:
    """What stands in a folder and below: the rights of each, and of the folder itself."""
    return {
        str(path.relative_to(folder)): f"{stat.S_IMODE(path.stat().st_mode):o}"
        for path in [folder, *folder.rglob("*")]
    }


def warnings_of_check(place: Place, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What `check` says of who may read and write."""
    capsys.readouterr()
    assert call(["check", str(place.job)]) == 0
    return [line for line in capsys.readouterr().out.splitlines() if "private:" in line]


def ended(process: subprocess.Popen[str]) -> int:
    _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    return process.returncode


def test_files_manifest_and_ledger_are_for_one_user_alone(place: Place) -> None:
    assert ended(place.process("run", str(place.job), "--quiet")) == 0
    output, state = rights(place.directory / "reports"), rights(place.directory / "state")
    assert "manifest.jsonl" in output
    assert any(path.endswith(".csv") for path in output)
    assert "ledger.db" in state
    assert set((output | state).values()) == {"600", "700"}


def test_the_group_reads_files_but_neither_ledger_nor_what_is_unfinished(place: Place) -> None:
    let_the_group_read(place)
    assert ended(place.process("run", str(place.job), "--quiet")) == 0
    output, state = rights(place.directory / "reports"), rights(place.directory / "state")
    csv = next(path for path in output if path.endswith(".csv"))
    assert (output["."], output[csv], output["manifest.jsonl"]) == ("750", "640", "640")
    assert output.get(".partial", "700") == "700"
    assert (state["."], state["ledger.db"]) == ("700", "600")


def test_what_a_kill_leaves_of_a_ledger_is_private_too(tmp_path: Path) -> None:
    with simulated(tmp_path, processing_time=timedelta(hours=1)) as place:
        let_the_group_read(place)
        process = place.process("run", str(place.job), "--quiet")
        files = [place.state.with_name(f"ledger.db{end}") for end in ("", "-wal", "-shm")]
        until = time.monotonic() + 50  # a loaded machine takes its time
        while not all(file.exists() for file in files) and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        state = rights(place.directory / "state")
    assert {"ledger.db", "ledger.db-wal", "ledger.db-shm"} <= set(state)
    assert set(state.values()) == {"600", "700"}


def test_check_names_what_others_may_read(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.run("--quiet") == 0
    reports, state = place.directory / "reports", place.directory / "state"
    reports.chmod(0o755)
    state.chmod(0o755)
    assert warnings_of_check(place, capsys) == [], "what is in them is closed"
    manifest = reports / "manifest.jsonl"
    manifest.chmod(0o644)
    files = [state / name for name in ("ledger.db", "ledger.db.lock")]
    for path in files:
        path.chmod(0o644)
    assert warnings_of_check(place, capsys) == [
        (
            f"warning  private: output.directory {reports} is open to other users of this machine;"
            f" chmod -R go= {reports}, or let the group read it with output.mode: group"
        ),
        (
            f"warning  private: the ledger {files[0]} is open to other users of this machine;"
            f" chmod go= {files[0]}*"
        ),
    ]
    subprocess.run(["chmod", "-R", "go=", str(reports)], check=True)
    subprocess.run(f"chmod go= {files[0]}*", shell=True, check=True)
    assert warnings_of_check(place, capsys) == []


def test_check_names_the_folders_that_others_may_write_in(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.run("--quiet") == 0
    reports, state = place.directory / "reports", place.directory / "state"
    reports.chmod(0o730)
    state.chmod(0o707)
    assert warnings_of_check(place, capsys) == [
        (
            f"warning  private: others may write in the folder of {key}, {folder}, and put what"
            f" they like in it; chmod go-w {folder}"
        )
        for key, folder in (("output.directory", reports), ("state", state))
    ]


# --- what is kept longer than it is of use --------------------------------------------------------


def test_what_was_cut_short_is_kept_until_all_of_its_time_is_collected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """About 310 records a month, and a file holds 150 of them."""
    settings = replace(SMALL, records_per_day=10.0, max_rows=150)
    with simulated(tmp_path, settings, job=ONE_SERIES) as place:
        config = tmp_path / "config.yaml"
        config.write_text(config.read_text().replace("api:\n", "api:\n  file_records: 1000\n"))
        assert place.run() == 0
        said = capsys.readouterr().err
        assert list((tmp_path / "reports" / ".aside").iterdir()) == []
        assert "files kept aside removed: all of their time is collected now" in said
        assert call(["verify", str(place.job)]) == 0


def test_what_a_person_may_still_take_or_does_without_stays(tmp_path: Path) -> None:
    settings = replace(SMALL, faults=Faults((Fault.of("report", "wrong_count", nth=1),)))
    with simulated(tmp_path, settings, job=ONE_SERIES) as place:
        aside = tmp_path / "reports" / ".aside"
        assert place.run("--quiet") == 1
        kept = sorted(path.name for path in aside.iterdir())
        assert len(kept) == 2
        assert {stat.S_IMODE(path.stat().st_mode) for path in aside.iterdir()} == {0o600}
        (aside / "notes of a person.txt").touch()
        assert place.run("--quiet") == 1
        assert call(["resolve", "1", "--waive", "--config", str(tmp_path / "config.yaml")]) == 0
        assert place.run("--quiet") == 0
        assert sorted(path.name for path in aside.iterdir()) == [*kept, "notes of a person.txt"]


def test_a_ledger_forgets_links_and_tokens(place: Place) -> None:
    """A backup of it is kept for years."""
    place.write_job(f"{ONE_SERIES}callback_url: https://example.com/hook?token=S3CR3T\n")
    assert place.run("--quiet") == 0
    reports = place.portal.call(place.simulator.world.reports)
    assert {report.request.callback_url for report in reports} == {
        "https://example.com/hook?token=S3CR3T"
    }
    for path in (*place.state.parent.iterdir(), place.directory / "reports" / "manifest.jsonl"):
        assert b"S3CR3T" not in path.read_bytes(), path
        assert b"/v3/media/" not in path.read_bytes(), path
