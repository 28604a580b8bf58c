"""`completion`: the script of each shell, and a real bash that completes by it."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from orchestrator.cli.main import COMMANDS, call
from tests.kit.programs import environment_with_program

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def completed(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A folder with a program `orchestrator`, and the environment in which a shell finds it."""
    return tmp_path, environment_with_program(tmp_path)


def _bash(line: str, place: tuple[Path, dict[str, str]]) -> list[str]:
    """What bash offers when Tab is pressed at the end of a line."""
    directory, env = place
    words = line.split(" ")
    script = (
        "source <(orchestrator completion bash); "
        f"COMP_WORDS=({' '.join(words[:-1])} {words[-1] or repr('')}); "
        f"COMP_CWORD={len(words) - 1}; "
        "compopt() { echo files; }; "
        '"$(complete -p orchestrator | sed "s/.*-F \\([^ ]*\\).*/\\1/")" orchestrator; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    ended = subprocess.run(
        ["bash", "--norc", "-c", script],
        env=env,
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stderr == ""
    return ended.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("orchestrator re", ["resolve"]),
        ("orchestrator s", ["status", "schema", "simulate"]),
        ("orchestrator run --dead", ["--deadline"]),
        ("orchestrator run --log-format ", ["text", "json"]),
        ("orchestrator completion f", ["fish"]),
        ("orchestrator run ni", ["files"]),
        ("orchestrator --ver", ["--version"]),
    ],
)
def test_bash_completes(
    line: str, offered: list[str], completed: tuple[Path, dict[str, str]]
) -> None:
    assert _bash(line, completed) == offered


def test_bash_offers_every_command(completed: tuple[Path, dict[str, str]]) -> None:
    assert _bash("orchestrator ", completed) == list(COMMANDS)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_reads_its_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "_ORCHESTRATOR_COMPLETE" in script
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here to read it")
    subprocess.run([shell, "-n"], input=script, text=True, timeout=60, check=True)


def test_another_shell_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["completion", "tcsh"]) == 2
    assert "tcsh" in capsys.readouterr().err
