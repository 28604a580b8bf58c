"""The output directory on a disk that refuses: words, exit 74, and the next run goes on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.core.policy import ExitCode
from tests.kit.cli_worlds import SMALL, simulated

ROOT = Path(__file__).parents[1]
BULKY = replace(SMALL, bulk_body_bytes=20_000)
JOB = (
    "accounts: [abcd1234]\n"
    "products: [{product: SMS, direction: outbound, include_message: true}]\n"
    "windows: [{from: 2026-01-01, to: 2026-03-01}]\n"
)
PROGRAM = "import sys; from orchestrator.cli.main import call; sys.exit(call(sys.argv[1:]))"
LIMITED = (
    "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)); " + PROGRAM
)
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin:/bin"}
"""Without byte code: a module cut at the limit would stay behind for other programs."""


def published(directory: Path) -> list[Path]:
    return sorted((directory / "reports").glob("report_account=*/**/*.csv"))


def test_a_file_that_may_not_grow_is_74_and_nothing_half_written_stays(tmp_path: Path) -> None:
    """The kernel itself refuses the write in the middle of a file (RLIMIT_FSIZE)."""
    with simulated(tmp_path, BULKY, job=JOB) as place:
        done = subprocess.run(
            [sys.executable, "-c", LIMITED, "run", "job.yaml"],
            check=False,
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
            cwd=tmp_path,
            timeout=50,
        )
        assert done.returncode == ExitCode.DISK, done.stderr
        assert "error: cannot write " in done.stderr
        assert "a file may not grow that large here; raise `ulimit -f`" in done.stderr
        assert "Traceback" not in done.stderr
        assert published(tmp_path) == []
        assert list((tmp_path / "reports" / ".partial").iterdir()) == []
        assert place.run() == ExitCode.DONE
        assert place.is_the_truth()
        assert len(published(tmp_path)) == 2


def mounts() -> bool:
    """Whether this machine lets us mount in a name space of our own."""
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.mark.skipif(not mounts(), reason="needs a mount name space of its own")
@pytest.mark.parametrize(
    ("folder", "bad", "code", "words"),
    [
        ("reports", "size=400k", 75, "stay free; make room, then run again"),
        ("reports", "ro", 74, "the file system is read-only; mount it writable"),
        ("state", "size=16k", 74, "run again: nothing is lost"),
        ("state", "ro", 74, "Read-only file system; give `state` a directory that can be written"),
    ],
    ids=["full output", "read-only output", "full state", "read-only state"],
)
def test_a_real_file_system_that_refuses_is_told_and_the_next_run_goes_on(
    tmp_path: Path, folder: str, bad: str, code: int, words: str
) -> None:
    """A file system of memory, mounted where nobody else sees it.

    Where a file would not fit, it waits for the next run (75); 74 where nothing can be written.
    """
    (tmp_path / folder).mkdir()
    script = (
        f"mount -t tmpfs -o {bad} none {folder} || exit 99\n"
        'python -c "$0" run job.yaml; echo code $? >&2\n'
        f"mount -o remount,rw,size=50m none {folder} || exit 98\n"
        'python -c "$0" run job.yaml; first=$?\n'
        'python -c "$0" run job.yaml; echo then $first $? >&2\n'
        f"cp -a {folder} kept\n"
    ).replace("python ", f"{sys.executable} ")
    with simulated(tmp_path, BULKY, job=JOB) as place:
        done = subprocess.run(
            ["unshare", "-rm", "sh", "-c", script, PROGRAM],
            check=False,
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
            cwd=tmp_path,
            timeout=50,
        )
        said = done.stderr
        assert f"code {code}\n" in said, said
        assert words in said
        assert "Traceback" not in said
        assert "then 0 0\n" in said or "then 75 0\n" in said, said
        (tmp_path / folder).rmdir()
        (tmp_path / "kept").rename(tmp_path / folder)
        assert place.is_the_truth()
        assert len(place.bill()) == 2
