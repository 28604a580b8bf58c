"""Streams that are full, closed or abandoned, and working directories that are gone."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from orchestrator.cli.simulating import python_command
from tests.kit.cli_worlds import simulated

pytestmark = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="there is no device that is always full"
)


def shell(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A line of bash in which ``orchestrator`` is this tree's."""
    command = shlex.join(python_command([]))
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line.replace("orchestrator", command)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env={**os.environ, "ORCHESTRATOR_CONFIG": ""},
    )


@pytest.mark.parametrize(
    ("streams", "code"),
    [
        ("> /dev/full 2>&1", 0),
        ("2> /dev/full", 0),
        (">&- 2>&-", 0),
        (">&-", 0),
        ("2>&-", 0),
        ("<&-", 0),
        ("| true", 0),
        ("--json > /dev/full", 74),
        ("--json >&-", 74),
        ("--log-format json 2> /dev/full", 0),
    ],
)
def test_a_run_is_done_whatever_becomes_of_its_lines(
    tmp_path: Path, streams: str, code: int
) -> None:
    """Before: 1 and nothing collected where they were full, 70 where they were closed."""
    with simulated(tmp_path) as place:
        assert shell(f"orchestrator run job.yaml {streams}", tmp_path).returncode == code
        assert place.is_the_truth()


@pytest.fixture
def quiet(tmp_path: Path) -> Path:
    (tmp_path / "job.yaml").write_text(
        "accounts: [abcd1234]\nproducts: [VERIFY-API]\nchunk: 1 hour\n"
        "windows: [{from: 2025-01-01, to: 2026-01-01}]\n"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("orchestrator schema job | true", 0),
        ("orchestrator plan job.yaml --json | head -c 10", 0),
        ("orchestrator --help | true", 0),
        ("orchestrator plan job.yaml > /dev/full", 74),
        ("orchestrator schema job > /dev/full", 74),
        ("orchestrator schema job >&-", 74),
        ("orchestrator --help > /dev/full", 74),
        ("orchestrator nothing 2> /dev/full", 2),
        ("orchestrator nothing 2>&-", 2),
        ("orchestrator plan missing.yaml 2> /dev/full", 2),
    ],
)
def test_only_an_answer_that_was_lost_changes_the_exit_code(
    quiet: Path, line: str, code: int
) -> None:
    done = shell(line, quiet)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_closed_stream_never_becomes_the_ledger(tmp_path: Path) -> None:
    """What is said must not be written into the file that got the descriptor."""
    with simulated(tmp_path) as place:
        assert shell("orchestrator run job.yaml <&- >&- 2>&-", tmp_path).returncode == 0
        assert place.state.read_bytes().startswith(b"SQLite format 3\0")
        assert place.is_the_truth()


@pytest.mark.parametrize("command", ["plan job.yaml", "demo"])
def test_a_working_directory_that_is_gone_is_bad_input(tmp_path: Path, command: str) -> None:
    """Before: exit code 70."""
    (tmp_path / "gone").mkdir()
    done = shell(f"cd gone && rmdir ../gone && orchestrator {command}", tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "error: the working directory is not there any more; change to one that is, such as "
        "`cd /`\n"
    )


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("orchestrator run missing.yaml --log-format json", 2),
        ("orchestrator run job.yaml --log-format=json --deadline x", 2),
        ("orchestrator run bad.yaml --log-format json", 2),
        ("orchestrator run job.yaml --log-format json", 2),
    ],
    ids=["no such file", "usage", "two mistakes", "no credentials"],
)
@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "POSIX"])
def test_errors_are_json_where_the_log_is(quiet: Path, line: str, code: int, locale: str) -> None:
    (quiet / "bad.yaml").write_text("accounts: [Zürich]\nproducts: [VERIFY-API]\nx: ü\n")
    done = shell(f"unset VONAGE_API_KEY; LC_ALL={locale} {line}", quiet)
    assert done.returncode == code
    lines = [json.loads(one) for one in done.stderr.splitlines()]
    assert lines
    assert {one["exit_code"] for one in lines} == {code}
    assert {one["level"] for one in lines} == {"error"}
    assert all(one["time"].endswith("Z") and one["event"] for one in lines)
