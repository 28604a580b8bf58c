"""What CI runs: the tests decide; the newest libraries and other Python versions only warn."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAKE = """#!/bin/sh
echo "made $1"
case "$1 $FAILS" in "$FAILS $FAILS") exit 2;; esac
"""


@pytest.mark.skipif(shutil.which("timeout") is None, reason="CI runs on Linux")
@pytest.mark.parametrize(
    ("fails", "code", "made"),
    [
        ("nothing", 0, ["made test", "made newest", "made pythons"]),
        ("newest", 0, ["made test", "made newest", "warning: ", "made pythons"]),
        ("pythons", 0, ["made test", "made newest", "made pythons", "warning: "]),
        ("test", 2, ["made test"]),
    ],
)
def test_only_the_tests_decide(tmp_path: Path, fails: str, code: int, made: list[str]) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci")
    (tmp_path / "make").write_text(MAKE)
    (tmp_path / "make").chmod(0o755)
    done = subprocess.run(
        ["bash", ".ci/run"],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "FAILS": fails},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    told = done.stdout.splitlines()
    assert len(told) == len(made)
    assert all(line.startswith(begin) for line, begin in zip(told, made, strict=True))


@pytest.mark.skipif(shutil.which("make") is None, reason="no make here")
def test_a_version_that_the_machine_lacks_is_named() -> None:
    done = subprocess.run(
        ["make", "--silent", "pythons", "VERSIONS=3.98 3.99"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "Python versions that ran: none; not on this machine: 3.98 3.99\n"
