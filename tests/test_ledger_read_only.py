"""Commands that only read work for somebody who may only read."""

from __future__ import annotations

import codecs
import importlib
import os
import pkgutil
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.cli import commands
from orchestrator.cli.main import call
from orchestrator.ledger.sqlite import connect
from tests.kit.cli_worlds import simulated

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))  # pytest's own are closed to others
    folder.chmod(0o755)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    shutil.rmtree(folder)


def as_somebody_else(arguments: list[str]) -> int:
    """The exit code of a command, by a user who owns nothing here."""
    # That user may not be able to read where Python's own modules stand.
    codecs.lookup("utf-8-sig")
    for module in pkgutil.iter_modules(commands.__path__):
        importlib.import_module(f"{commands.__name__}.{module.name}")
    child = os.fork()
    if child == 0:
        code = 99
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            code = call(arguments)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


@pytest.mark.parametrize("killed", [False, True])
def test_what_only_reads_needs_no_right_to_write(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch, *, killed: bool
) -> None:
    """Before: "attempt to write a readonly database", or nothing at all."""
    monkeypatch.delenv("ORCHESTRATOR_CONFIG", raising=False)
    with simulated(open_folder) as place:
        if killed:
            process = place.process("run", "job.yaml", "--quiet")
            while place.calls("download") < 3:
                assert process.poll() is None
            process.kill()
            process.communicate()
        else:
            assert place.run("--quiet") == 0
        for path in [open_folder, *open_folder.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        # Secrets are nobody else's to read: such a reader's config refers to them.
        text = (open_folder / "config.yaml").read_text("utf-8")
        open_folder.chmod(0o755)
        (open_folder / "config.yaml").unlink()
        for secret in ("Simulated-Secret-1", "Simulated-Secret-2"):
            text = text.replace(f'"{secret}"', '"${SECRET}"')
        (open_folder / "config.yaml").write_text(text, "utf-8")
        (open_folder / "config.yaml").chmod(0o444)
        open_folder.chmod(0o555)
        monkeypatch.chdir(open_folder)
        named = ["--config", str(open_folder / "config.yaml")]
        for command in ("plan", "status", "files", "verify"):
            assert as_somebody_else([command, str(place.job), *named]) == 0, command


def test_a_ledger_whose_folder_is_closed_is_told_in_words(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A ledger is private by default. Before: exit 70, with a traceback."""
    if os.getuid() != 0:
        pytest.skip("only root can be somebody else")
    job = _a_job(open_folder, monkeypatch)
    (open_folder / "state").mkdir(mode=0o700)
    for command in ("plan", "status", "files", "verify", "run", "cancel"):
        assert as_somebody_else([command, str(job)] if command != "status" else ["status"]) == 74
        words = capfd.readouterr().err
        assert f"{open_folder}/state/ledger.db" in words, command
        assert ": Permission denied; " in words, command
        assert "Traceback" not in words
    assert as_somebody_else(["resolve", "1", "--waive"]) == 74
    assert as_somebody_else(["check", str(job)]) == 74
    said = capfd.readouterr()
    assert f"error    disk: state {open_folder}/state cannot be written (Permission" in said.out
    assert "Traceback" not in said.err


def test_an_output_directory_that_is_closed_is_told_in_words(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without a ledger. Before: exit 70, with a traceback."""
    if os.getuid() != 0:
        pytest.skip("only root can be somebody else")
    job = _a_job(open_folder, monkeypatch)
    (open_folder / "reports").mkdir(mode=0o700)
    for command in ("status", "plan", "files"):
        assert as_somebody_else([command, str(job)]) == 74
        words = capfd.readouterr().err
        assert f"cannot read {open_folder}/reports/manifest.jsonl: permission denied; " in words
        assert "Traceback" not in words


def test_a_ledger_that_may_not_be_read_is_not_called_another_one_by_backup(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Before: exit 2, with the advice to name another file, though the old copy is a good one."""
    if os.getuid() != 0:
        pytest.skip("only root can be somebody else")
    _a_job(open_folder, monkeypatch)
    state, folder = open_folder / "state", open_folder / "backup"
    for path in (state, folder):
        path.mkdir()
        path.chmod(0o777)
    connect(state / "ledger.db").close()
    copy = folder / "copy.db"
    arguments = ["backup", str(copy), "--force"]
    assert call(arguments) == 0
    (state / "ledger.db").chmod(0o600)
    copy.chmod(0o644)
    assert as_somebody_else(arguments) == 74
    assert f"{state}/ledger.db: it cannot be opened or written; check" in capfd.readouterr().err
    copy.chmod(0o600)
    assert as_somebody_else(arguments) == 74
    assert f"cannot write the backup {copy}: Permission denied" in capfd.readouterr().err


def _a_job(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job and its config, which everybody may read."""
    monkeypatch.delenv("ORCHESTRATOR_CONFIG", raising=False)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SECRET", "Simulated-Secret-1")
    job = folder / "job.yaml"
    texts = {
        folder / "config.yaml": 'api: {base_url: "http://127.0.0.1:9"}\n'
        'credentials: {default: {api_key: abcd1234, api_secret: "${SECRET}"}}\n',
        job: "{accounts: [abcd1234], products: [VERIFY-API], windows: [last_month]}\n",
    }
    for path, text in texts.items():
        path.write_text(text, "utf-8")
        path.chmod(0o444)
    return job
