"""A secret that a command prints: no shell, bounded in time and output, and never in a message."""

from __future__ import annotations

import os
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.cli.main import call
from orchestrator.config import resolve_credentials, secret_commands
from orchestrator.config.credentials import MAX_SECRET_BYTES, Unavailable, look_up
from orchestrator.errors import InputError
from tests.kit.config_files import load_config

if TYPE_CHECKING:
    from orchestrator.core.settings import Config

SECRET = "Tr0ub4dor-And-3"


def script(path: Path, body: str) -> Path:
    """A program with that body, run by ``sh``."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def config(directory: Path, key: str, secret: str) -> Config:
    """A config whose default credentials are these references."""
    path = directory / "config.yaml"
    path.touch(mode=0o600)
    path.write_text(f"credentials: {{default: {{api_key: '{key}', api_secret: '{secret}'}}}}\n")
    loaded, warnings = load_config(path, base=directory, env=dict(os.environ))
    assert warnings == ()
    return loaded


def unavailable(line: str) -> str:
    """What is said of a command that brings no secret."""
    with pytest.raises(Unavailable) as caught:
        look_up(f"command:{line}", dict(os.environ))
    shown = "".join(traceback.format_exception(caught.value))
    assert SECRET not in shown + caught.value.remedy
    return f"{caught.value.what}; {caught.value.remedy}"


@pytest.mark.parametrize("ending", ["", "\\n", "\\r\\n"])
def test_what_it_prints_is_the_secret_without_the_line_end(tmp_path: Path, ending: str) -> None:
    program = script(tmp_path / "get", f"printf '{SECRET}{ending}'")
    settings = config(tmp_path, f"command:{script(tmp_path / 'key', 'echo abcd1234')}",
                      f"command: {program} --field secret")  # fmt: skip
    found = resolve_credentials(settings, ["default"], dict(os.environ))["default"]
    assert (found.api_key, found.api_secret.reveal()) == ("abcd1234", SECRET)
    assert SECRET not in f"{found!r} {settings!r}"


def test_no_shell_reads_the_line() -> None:
    assert look_up("command:echo $HOME `id` a*b;id", {}) == "$HOME `id` a*b;id"
    assert look_up("command:printf '%s|%s' 'a  b' c", {}) == "a  b|c"


def test_it_gets_the_environment_and_no_input(tmp_path: Path) -> None:
    program = script(tmp_path / "get", 'cat; echo "$VAULT_TOKEN"')
    assert look_up(f"command:{program}", {"VAULT_TOKEN": "t", "PATH": os.environ["PATH"]}) == "t"


def test_a_path_begins_in_the_directory_of_the_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    script(tmp_path / "bin dir" / "get", 'echo "$1"')
    settings = config(tmp_path, "abcd1234", f'command:"bin dir/get" {SECRET}')
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = resolve_credentials(settings, ["default"], dict(os.environ))
    assert found["default"].api_secret.reveal() == SECRET


def test_each_failure_is_told_without_the_command_and_its_output(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fails = script(tmp_path / "fails", f"echo {SECRET}; echo {SECRET} >&2; exit 3")
    quiet = script(tmp_path / "quiet", f"echo {SECRET} >&2")
    binary = script(tmp_path / "binary", r"printf '\377\376'")
    named = "the command that this names"
    assert [
        unavailable(line)
        for line in (
            f"{fails} {SECRET}",
            f"{quiet}",
            f"{binary}",
            f"{tmp_path}/{SECRET}",
            f"{tmp_path}",
            "kill-{0} -9",
        )
    ] == [
        f"{named} ended with 3; run it in a shell to see why",
        f"{named} printed nothing; run it in a shell to see why",
        f"{named} printed no UTF-8 text; let it print the secret alone",
        f"{named} cannot be run (No such file or directory); check its name and path",
        f"{named} cannot be run (Permission denied); check its name and path",
        f"{named} cannot be run (No such file or directory); check its name and path",
    ]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("output", [f"echo '{SECRET} {SECRET}'", f"echo {SECRET}; echo more"])
def test_more_than_the_bare_secret_is_refused_and_not_shown(tmp_path: Path, output: str) -> None:
    settings = config(tmp_path, f"command:{script(tmp_path / 'get', output)}", "file:none")
    with pytest.raises(InputError) as caught:
        resolve_credentials(settings, ["default"], dict(os.environ))
    key, _ = str(caught.value).splitlines()
    assert "what the command that this names prints " in key
    assert SECRET not in str(caught.value)


def test_endless_output_is_cut(tmp_path: Path) -> None:
    began = time.monotonic()
    said = unavailable(str(script(tmp_path / "get", f"while :; do echo {SECRET}; done")))
    assert said == (
        "the command that this names printed no secret (over 64 kB); let it print the secret alone"
    )
    assert time.monotonic() - began < 5


def test_a_secret_may_be_as_long_as_a_file_may(tmp_path: Path) -> None:
    (tmp_path / "long").write_text("x" * MAX_SECRET_BYTES)
    assert len(look_up(f"command:cat {tmp_path}/long", dict(os.environ))) == MAX_SECRET_BYTES


@pytest.mark.parametrize(
    "body", ["sleep 60 & echo $! > pid; wait", "exec >&-; echo $$ > pid; sleep 60"]
)
def test_a_command_that_takes_too_long_is_killed_with_all_that_it_started(
    tmp_path: Path, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret_commands, "SECONDS", 0.5)
    monkeypatch.chdir(tmp_path)
    said = unavailable(str(script(tmp_path / "get", body)))
    assert "took longer than" in said
    pid = int((tmp_path / "pid").read_text())
    with suppress(ProcessLookupError, FileNotFoundError):
        for _ in range(100):
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
                return
            time.sleep(0.05)
        pytest.fail("what it started goes on")


def test_a_process_that_it_leaves_behind_is_not_waited_for(tmp_path: Path) -> None:
    began = time.monotonic()
    assert look_up(f"command:{script(tmp_path / 'get', 'sleep 5 & echo s3')}", {}) == "s3"
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "command: names no command; write one such as command:pass show vonage"),
        ("  ", "command: names no command"),
        (f'get "{SECRET}', "has a quote without its end; close it"),
        (f"get {SECRET} | head -1", "needs a shell for |, and none runs it"),
        (f"get {SECRET} ${{FIELD}}", "mixes a variable with other text"),
    ],
)
@pytest.mark.parametrize("part", ["api_key", "api_secret"])
def test_a_line_that_cannot_be_run_is_a_mistake_of_the_config(
    tmp_path: Path, part: str, line: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"api_key": "abcd1234", "api_secret": "file:secret", part: f"command:{line}"}
    path = tmp_path / "config.yaml"
    entry = ", ".join(f"{key}: '{value}'" for key, value in values.items())
    path.write_text(f"credentials: {{default: {{{entry}}}}}\n")
    (tmp_path / "job.yaml").write_text(
        "accounts: [abcd1234]\nproducts: [VERIFY-API]\nwindows: [yesterday]\n"
    )
    assert call(["run", str(tmp_path / "job.yaml")]) == 2
    said = capsys.readouterr()
    assert f"credentials.default.{part}: {says}" in said.err
    assert SECRET not in said.err + said.out


def test_nothing_is_run_before_it_is_used(tmp_path: Path) -> None:
    settings = config(
        tmp_path, "abcd1234", f"command:{script(tmp_path / 'get', f'touch {tmp_path}/ran')}"
    )
    (tmp_path / "job.yaml").write_text(
        "accounts: [abcd1234]\nproducts: [VERIFY-API]\nwindows: [yesterday]\n"
    )
    assert settings.credentials["default"].api_secret.reveal().startswith("command:")
    assert call(["plan", str(tmp_path / "job.yaml")]) == 0
    assert not list(tmp_path.rglob("ran"))
