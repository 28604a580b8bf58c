"""A download that has no end, or a disk that has no room: that report waits, the others go on."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING

import anyio
import pytest

from orchestrator.collect import inflate
from orchestrator.collect.disk_reserve import DiskReserve
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Series
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.errors import NoRoom
from orchestrator.simulator import Fault, Settings
from tests.kit.stage import between, job, stage, with_faults

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.anyio]

QUARTER = between("2025-11-01", "2026-02-01")
SMALL = Settings(records_per_day=1.0)
MB = 1_000_000
MONTH = between("2026-01-01", "2026-02-01")
SMS = Series.of("abcd1234", "SMS", "outbound")
BOTH = job(MONTH, series=(SMS, Series.of("abcd1234", "VERIFY-API")))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, int], None]:
    """Gives a folder a disk of its own, of so many bytes."""

    def limit(folder: Path, size_bytes: int) -> None:
        def of_it(_path: Path) -> SimpleNamespace:
            used = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            free = max(0, size_bytes - used)
            return SimpleNamespace(f_blocks=size_bytes, f_bavail=free, f_frsize=1)

        monkeypatch.setattr(os, "statvfs", of_it)

    return limit


# --- without end --------------------------------------------------------------------------------


@pytest.mark.virtual
async def test_a_download_without_end_is_disputed_and_the_others_are_collected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It filled the disk, and every run ended with 74."""
    monkeypatch.setattr(inflate, "_HARMLESS_BYTES", 4 * MB)
    fault = Fault.of("download", "endless", product="SMS")
    async with stage(tmp_path, with_faults(SMALL, fault)) as here:
        end = await here.run(BOTH)
        assert exit_code(end.remains) is ExitCode.FINDINGS, here.seen.notes
        assert here.states() == {"collected": 1, "disputed": 1}
        (bad,) = (one for one in here.reports() if one.state is State.DISPUTED)
        assert "far too many for its records (after 3 downloads)" in bad.reason
        kept = [path for path in here.strays() if not path.endswith(".txt")]
        assert kept == []
        assert here.bought() == 2


def test_what_nobody_knows_the_size_of_has_a_bound_too() -> None:
    assert inflate.largest_archive(None) == 64 * 1024**3
    assert inflate.largest_archive(0) == 64 * 1024**2
    assert inflate.largest_archive(7_000_000) > 400 * 1024**3


# --- the reserve --------------------------------------------------------------------------------


def test_a_hundredth_of_a_small_disk_stays_free(
    tmp_path: Path, disk: Callable[[Path, int], None]
) -> None:
    disk(tmp_path, 10 * MB)
    room = DiskReserve(tmp_path / "not" / "made" / "yet", 200_000_000)
    room.check(1, 9 * MB)
    with pytest.raises(NoRoom, match=r"10\.0 MB free and it needs 9\.9 MB more, and 0\.1 MB stay"):
        room.check(1, 9_950_000)
    assert room.lacking == ""
    (tmp_path / "x").write_bytes(bytes(9_950_000))
    assert room.lacking.startswith(f"the disk of {tmp_path}/not/made/yet has 0.1 MB free")
    disk(tmp_path, 0)
    room.check(1, 9 * MB)  # a file system that tells nothing


def test_the_largest_download_gives_way_first(
    tmp_path: Path, disk: Callable[[Path, int], None]
) -> None:
    disk(tmp_path, 10 * MB)
    room = DiskReserve(tmp_path, 200_000_000)
    room.wrote(1, 9 * MB)
    room.wrote(2, 1000)
    (tmp_path / "x").write_bytes(bytes(9_910_000))
    room.check(2)
    assert room.lacking == ""  # once the first is gone
    with pytest.raises(NoRoom):
        room.check(1)
    (tmp_path / "x").write_bytes(bytes(9_960_000))
    with pytest.raises(NoRoom):
        room.check(2)
    room.ended(1)
    room.ended(2)
    assert room.lacking


@pytest.mark.virtual
async def test_a_disk_without_room_asks_for_nothing_and_says_so(
    tmp_path: Path, disk: Callable[[Path, int], None]
) -> None:
    disk(tmp_path, 10 * MB)
    (tmp_path / "other").write_bytes(bytes(9_950_000))
    async with stage(tmp_path, SMALL) as here:
        end = await here.run(job(QUARTER))
        assert exit_code(end.remains) is ExitCode.UNFINISHED, here.seen.notes
        assert here.posts() == 0
        (note,) = (one for one in here.seen.notes if "stay free" in one)
        assert note.startswith("warning: nothing more is asked for in this run: the disk of ")
        assert note.endswith("make room, then run again")
        assert "stay free" in end.stopped
        (tmp_path / "other").unlink()
        end = await here.run(job(QUARTER))
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(job(QUARTER))


@pytest.mark.virtual
async def test_a_download_that_would_take_the_last_room_waits_and_the_others_go_on(
    tmp_path: Path, disk: Callable[[Path, int], None]
) -> None:
    """Of unknown length: it is noticed while it comes. What it holds is given back."""
    disk(tmp_path, 60 * MB)
    fault = Fault.of("download", "endless", product="SMS", first=1)
    async with stage(tmp_path, with_faults(SMALL, fault)) as here:
        end = await here.run(BOTH)
        assert exit_code(end.remains) is ExitCode.UNFINISHED, here.seen.notes
        assert here.states() == {"collected": 1, "ready": 1}
        (note,) = (one for one in here.seen.notes if "stay free" in one)
        assert "cannot be downloaded now: the disk of" in note
        assert await anyio.Path(here.output / ".partial").exists()
        assert here.strays() == []
        end = await here.run(BOTH)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(BOTH)
