"""What the process does with its memory, and what it leaves of its secret: no image, no keys."""

from __future__ import annotations

import gc
import os
import platform
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from orchestrator.api.transport import open_session
from orchestrator.cli.run_process import rare_collections

if TYPE_CHECKING:
    from pathlib import Path

BEGUN = """
import ctypes, os, resource, sys
import orchestrator.cli.main
def entry():
    print(resource.getrlimit(resource.RLIMIT_CORE)[0], os.environ.get("SSLKEYLOGFILE"))
    print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) if sys.platform == "linux" else 0, flush=True)
    os.abort()
orchestrator.cli.main.entry = entry
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
from orchestrator.start import entry
entry()
"""

HEAPS = """
import ctypes, threading
import orchestrator.cli.main
def entry():
    threads = [threading.Thread(target=lambda: bytes(100_000)) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    libc = ctypes.CDLL(None)
    libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
    libc.fflush(None)
orchestrator.cli.main.entry = entry
from orchestrator.start import entry
entry()
"""

LOADED = """
import gc, sys
from orchestrator.start import entry
sys.argv = ["orchestrator", "schema", "--help"]
try:
    entry()
finally:
    print(gc.isenabled(), gc.get_freeze_count() > 10_000, file=sys.stderr)
"""


def test_garbage_is_looked_for_once_the_command_is_loaded_and_not_in_modules(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=30,
    )
    assert done.stderr == "True True\n"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_threads_share_one_heap() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HEAPS], check=True, capture_output=True, text=True, timeout=30
    )
    assert done.stdout.count("<heap nr=") == 1, done.stdout


def test_a_run_looks_for_garbage_rarely_and_leaves_all_as_it_was() -> None:
    before = gc.get_threshold(), gc.get_freeze_count()
    with rare_collections():
        assert gc.get_threshold() > before[0]
    assert (gc.get_threshold(), gc.get_freeze_count()) == before


def test_the_process_leaves_no_core_dump_and_hears_no_sslkeylogfile(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BEGUN],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "SSLKEYLOGFILE": str(tmp_path / "keys")},
        timeout=30,
    )
    assert done.stdout.split() == ["0", "None", "0"], done.stderr
    assert done.returncode == -signal.SIGABRT
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("core")] == []


@pytest.mark.anyio
async def test_our_tls_writes_its_keys_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the package is used without its command line."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    async with open_session() as session:
        context = session.connector._ssl  # type: ignore[union-attr]
        assert context.keylog_filename is None
        assert context.check_hostname
        assert context.verify_mode.name == "CERT_REQUIRED"
    assert not (tmp_path / "keys").exists()
