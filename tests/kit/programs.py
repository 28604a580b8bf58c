"""A program `orchestrator` for tests that type commands into a shell."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def environment_with_program(directory: Path) -> dict[str, str]:
    """The environment in which a shell finds `orchestrator`, of the code that is under test.

    Args:
        directory: where the program is put, in `bin`.
    """
    program = directory / "bin" / "orchestrator"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m orchestrator "$@"\n')
    program.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
