"""Commands that only read work for somebody who may only read."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.cli.main import call
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
