"""Who may read what a run writes: records are personal data."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from orchestrator.cli.main import call
from tests.kit.cli_worlds import simulated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kit.cli_worlds import Place


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
        wal = place.state.with_name("ledger.db-wal")
        until = time.monotonic() + 10
        while not (wal.exists() and place.state.exists()) and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        state = rights(place.directory / "state")
    assert {"ledger.db", "ledger.db-wal", "ledger.db-shm"} <= set(state)
    assert set(state.values()) == {"600", "700"}


def test_check_names_the_folders_that_others_may_enter(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.run("--quiet") == 0
    reports, state = place.directory / "reports", place.directory / "state"
    reports.chmod(0o755)
    state.chmod(0o750)
    capsys.readouterr()
    assert call(["check", str(place.job)]) == 0
    warnings = [line for line in capsys.readouterr().out.splitlines() if "private:" in line]
    assert warnings == [
        (
            f"warning  private: output.directory {reports} is open to other users of this machine;"
            f" chmod -R go= {reports}, or let the group read it with output.mode: group"
        ),
        (
            f"warning  private: state {state} is open to other users of this machine;"
            f" chmod -R go= {state}"
        ),
    ]
    subprocess.run(["chmod", "-R", "go=", str(reports), str(state)], check=True)
    assert call(["check", str(place.job)]) == 0
    assert "private:" not in capsys.readouterr().out
