"""Who may read the files that are made, whatever the umask of whoever starts a run."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from orchestrator.cli.simulating import python_command
from orchestrator.collect import safe_open
from orchestrator.collect.disk import DurableDirectories
from tests.kit.cli_worlds import simulated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JOB = """\
name: job
accounts: [abcd1234]
products: [VERIFY-API]
windows: [{from: 2026-01-01, to: 2026-03-01}]
"""
NOBODY = 54321


@pytest.fixture(autouse=True)
def any_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nothing_is_ever_made_for_everybody(tmp_path: Path) -> None:
    """Even where nobody has set a umask: a default ACL of the folder makes it count for nothing."""
    DurableDirectories(tmp_path / "a").make(tmp_path / "a" / "b")
    DurableDirectories(tmp_path / "a").make(tmp_path / "a" / ".partial")
    assert [mode(tmp_path / name) for name in ("a", "a/b", "a/.partial")] == [0o750, 0o750, 0o700]
    safe_open.create(tmp_path / "data").close()
    safe_open.create(tmp_path / "note", private=True).close()
    assert (mode(tmp_path / "data"), mode(tmp_path / "note")) == (0o640, 0o600)


@pytest.mark.parametrize(
    ("config", "file", "folder"),
    [("", 0o600, 0o700), ("output: {mode: group}", 0o640, 0o750)],
    ids=["private", "group"],
)
@pytest.mark.parametrize("umask", [0, 0o002, 0o777], ids=oct)
def test_the_umask_of_whoever_starts_a_run_counts_for_nothing(
    tmp_path: Path, umask: int, config: str, file: int, folder: int
) -> None:
    with simulated(tmp_path, job=JOB) as place:
        text = (tmp_path / "config.yaml").read_text("utf-8")
        if config:
            kept = [line for line in text.splitlines() if not line.startswith("output:")]
            assert "directory:" not in "\n".join(kept)
            (tmp_path / "config.yaml").write_text("\n".join([*kept, config, ""]), "utf-8")
        done = subprocess.run(
            python_command(["run", str(place.job), "--quiet"]),
            cwd=tmp_path,
            umask=umask,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0
    made = [tmp_path / "reports", *(tmp_path / "reports").rglob("*")]
    private = [path for path in made if path.name.startswith(".")]
    assert {mode(path) for path in private} == {0o700}
    public = [path for path in made if path not in private]
    assert {mode(path) for path in public if path.is_file()} == {file}
    assert {mode(path) for path in public if path.is_dir()} == {folder}
    assert mode(tmp_path / "state") == 0o700
    assert {mode(path) for path in (tmp_path / "state").iterdir()} == {0o600}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_another_user_can_take_no_lock_and_read_nothing(tmp_path: Path) -> None:
    with simulated(tmp_path, job=JOB) as place:
        assert place.run("--quiet") == 0
    reports = tmp_path / "reports"
    for folder in (tmp_path, *tmp_path.parents[:-2], reports, tmp_path / "state"):
        folder.chmod(folder.stat().st_mode | 0o011)  # the folders alone are not what closes it
    files = [
        *(tmp_path / "state").iterdir(),
        reports / "manifest.jsonl",
        next(reports.glob("report_account=*")),
    ]
    code = (
        "import os, sys\n"
        f"os.setgroups([]); os.setegid({NOBODY}); os.seteuid({NOBODY})\n"
        "for path in sys.argv[1:]:\n"
        "    for flags in (os.O_RDONLY, os.O_RDWR):\n"
        "        try:\n"
        "            os.open(path, flags)\n"
        "        except (PermissionError, IsADirectoryError) as error:\n"
        "            print(type(error).__name__)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, *map(str, files)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.split()
    assert said.count("PermissionError") >= 2 * len(files) - 1
    assert len(said) == 2 * len(files)
