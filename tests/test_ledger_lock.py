"""One run per ledger."""

from __future__ import annotations

import errno
import os
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from orchestrator.errors import LedgerError, LedgerLocked
from orchestrator.ledger.lock import refuse_network, run_lock

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

NOW = timedelta()


async def test_a_second_run_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    async with run_lock(ledger, NOW):
        with pytest.raises(LedgerLocked, match=f"process {os.getpid()} is running on this ledger"):
            async with run_lock(ledger, NOW):
                pass


async def test_the_lock_is_free_again_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        async with run_lock(tmp_path / "ledger.db", NOW):
            pass


async def test_a_run_may_wait_for_the_other(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    order = []

    async def first() -> None:
        async with run_lock(ledger, NOW):
            order.append("first begins")
            await anyio.sleep(30)
            order.append("first ends")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first)
        await anyio.sleep(1)
        async with run_lock(ledger, timedelta(minutes=1)):
            order.append("second begins")
    assert order == ["first begins", "first ends", "second begins"]


async def test_waiting_ends(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    async with run_lock(ledger, NOW):
        began = anyio.current_time()
        with pytest.raises(LedgerLocked):
            async with run_lock(ledger, timedelta(seconds=10)):
                pass
        assert anyio.current_time() - began == pytest.approx(10)


async def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LedgerError, match="cannot make the ledger's lock"):
        async with run_lock(tmp_path / "file" / "ledger.db", NOW):
            pass


async def test_a_file_system_without_locks_is_said_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(_handle: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("orchestrator.ledger.lock.fcntl.flock", no_locks)
    with pytest.raises(LedgerError, match=r"does not lock .*: No locks available; point `state`"):
        async with run_lock(tmp_path / "ledger.db", NOW):
            pass


MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 22 0:35 / /mnt/share rw,relatime shared:20 - nfs4 server:/export rw
41 22 0:36 / /mnt/with\\040space rw - cifs //server/x rw
"""


@pytest.mark.parametrize(
    ("directory", "kind"),
    [("/mnt/share/state", "nfs4"), ("/mnt/with space/state", "cifs")],
)
def test_a_network_file_system_is_refused(directory: str, kind: str) -> None:
    from pathlib import Path as RealPath

    with pytest.raises(LedgerError, match=rf"on a network file system \({kind}\)"):
        refuse_network(RealPath(directory), MOUNTS)


def test_a_local_one_is_not() -> None:
    from pathlib import Path as RealPath

    refuse_network(RealPath("/mnt/sharely/state"), MOUNTS)
