"""A host for tests: a folder that stands for `/`, a shell in it, and a simulator beside it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.cli.simulating import python_command
from tests.kit.cli_worlds import SMALL, Place, simulated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.simulator import Settings

JOB = "accounts: [abcd1234]\nproducts: [VERIFY-API]\nwindows: [{from: 2026-01-01, to: END}]\n"
"""One series; a report each month up to the date that takes the place of END."""


class Shell:
    """A shell on a host whose `/srv` is a folder of the test; `orchestrator` is on its PATH."""

    def __init__(self, host: Path, place: Place) -> None:
        self.host = host
        self.place = place
        programs = host / "bin"
        programs.mkdir(parents=True, exist_ok=True)
        program = programs / "orchestrator"
        program.write_text(f'#!/bin/sh\nexec {shlex.join(python_command([]))} "$@"\n', "utf-8")
        program.chmod(0o755)
        (host / "backup").mkdir(exist_ok=True)

    @property
    def home(self) -> Path:
        return self.host / "srv" / "reports"

    def mapped(self, text: str) -> str:
        """The text with the folders of this host in the place of those of the machine."""
        text = text.replace("/opt/orchestrator/bin", f"{self.host}/bin")
        return re.sub(r"(?<![\w.])/(srv|backup)\b", rf"{self.host}/\1", text)

    def type(self, step: str, *, enters: str = "", code: int = 0) -> str:
        """Runs one step; what it printed. It must end with the code."""
        text = self.mapped(step)
        result = subprocess.run(
            ["sh", "-ec", text],
            cwd=self.home if self.home.exists() else self.host,
            env={**os.environ, "PATH": f"{self.host}/bin:{os.environ['PATH']}"},
            input=enters,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert result.returncode == code, result.stdout + result.stderr
        return result.stdout + result.stderr

    def collect(self, until: str = "2026-03-01") -> None:
        """A run of the job `nightly` up to a date."""
        (self.home / "nightly.yaml").write_text(JOB.replace("END", until), "utf-8")
        self.type("orchestrator run nightly.yaml -q")


@contextmanager
def host(directory: Path, settings: Settings = SMALL) -> Iterator[Shell]:
    """A host with a config, beside a simulator."""
    home = directory / "srv" / "reports"
    home.mkdir(parents=True)
    with simulated(home, settings, job="") as place:
        place.job.unlink()
        yield Shell(directory, place)
