"""The command `simulate`: ready line, config file, endings."""

from __future__ import annotations

import base64
import json
import signal
import socket
import stat
import subprocess
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.cli.main import call
from orchestrator.cli.simulating import WorldOptions, config_text, python_command, write_config
from orchestrator.config import load_inputs
from orchestrator.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 20.0


@contextmanager
def simulator(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A simulator in a process of its own, and its ready line."""
    with subprocess.Popen(
        python_command(["simulate", *options]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_and_ends_with_0_at_a_signal(
    sent: signal.Signals, tmp_path: Path
) -> None:
    config = tmp_path / "made" / "config.yaml"
    with simulator("--write-config", str(config)) as (process, ready):
        assert list(ready) == ["base_url", "api_key", "api_secret", "accounts", "credentials"]
        assert ready["api_key"] == "abcd1234"
        assert ready["accounts"][:2] == ["abcd1234", "ef567890"]
        assert ready["credentials"]["beta"]["api_key"] == "beta0001"
        with urllib.request.urlopen(f"{ready['base_url']}/_sim/bill", timeout=PATIENCE) as answer:
            assert json.load(answer)["charged"] == 0
        process.send_signal(sent)
        assert process.communicate(timeout=PATIENCE) == ("", "")
        assert process.returncode == 0
    assert list(tmp_path.rglob("*")) == [config.parent, config]


def test_its_config_is_private_and_is_read_without_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    with simulator("--write-config", str(path), "--rate", "4") as (_, ready):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        inputs = load_inputs([], config=path, env={})
        assert inputs.warnings == ()
        assert inputs.config.api.base_url == ready["base_url"]
        assert inputs.config.api.requests_per_second == 4
        assert list(inputs.config.credentials) == ["default", "beta"]


def test_it_ends_when_its_input_does_if_it_was_told_to() -> None:
    with simulator("--until-input-ends") as (process, _):
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


def test_started_again_at_the_same_moment_it_gives_its_reports_other_ids() -> None:
    """A ledger that knows the reports of the first start must not meet their ids again."""
    asked = {
        "account_id": "abcd1234",
        "product": "VERIFY-API",
        "date_start": "2026-01-01T00:00:00Z",
        "date_end": "2026-01-02T00:00:00Z",
    }
    ids = set()
    for _ in range(2):
        with simulator("--now", "2026-03-01", "--speed", "0") as (_, ready):
            token = base64.b64encode(f"abcd1234:{ready['api_secret']}".encode()).decode()
            request = urllib.request.Request(
                f"{ready['base_url']}/v2/reports",
                data=json.dumps(asked).encode(),
                headers={"Authorization": f"Basic {token}", "Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                ids.add(json.load(answer)["request_id"])
    assert len(ids) == 2


def test_a_port_that_is_taken_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert call(["simulate", "--port", str(port)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: --port {port}: cannot listen there (")
    assert err.endswith("); --port 0 takes a free one\n")


def test_mistakes_in_the_file_of_faults_are_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = tmp_path / "faults.yaml"
    faults.write_text("- {at: create, do: explode}\n", encoding="utf-8")
    assert call(["simulate", "--faults", str(faults)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {faults}:1:")


def test_a_config_that_it_has_not_written_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("api: {}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"is a file that `simulate` has not written; choose"):
        write_config(path, "anything")
    assert path.read_text("utf-8") == "api: {}\n"


def test_one_that_it_has_written_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    world = WorldOptions().settings()
    write_config(path, config_text("http://127.0.0.1:1", world))
    write_config(path, config_text("http://127.0.0.1:2", world))
    assert "base_url: http://127.0.0.1:2\n" in path.read_text("utf-8")


def test_the_arguments_of_a_world_make_the_same_world() -> None:
    world = WorldOptions(speed=7.5, rate=0.0, records_per_day=3.0, concurrency=9, max_open=50)
    assert world.arguments(81) == [
        "simulate", "--port", "81", "--speed", "7.5", "--rate", "0", "--records-per-day", "3",
        "--concurrency", "9", "--max-open", "50",
    ]  # fmt: skip
    assert world.settings().rate is None
    assert (world.settings().concurrency, world.settings().max_open) == (9, 50)
