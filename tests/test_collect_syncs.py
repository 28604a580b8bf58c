"""Folders that several threads sync at the same time: fewer syncs, the same promise."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from orchestrator.collect import disk

if TYPE_CHECKING:
    from pathlib import Path


class SlowDisk:
    """A sync takes until it is let go; counts them, and what each of them could see."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: OSError | None = None) -> None:
        self.syncs: list[set[str]] = []
        self.begun = threading.Semaphore(0)
        self.let_go = threading.Semaphore(0)
        self.error = error
        monkeypatch.setattr(disk, "sync_folder", self.sync)

    def sync(self, folder: Path) -> None:
        self.syncs.append({path.name for path in folder.iterdir()})
        self.begun.release()
        assert self.let_go.acquire(timeout=20)
        if self.error is not None:
            raise self.error


def test_those_who_come_while_a_sync_runs_share_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, folders = SlowDisk(monkeypatch), disk.FsyncCoalescer()

    def publish(name: str) -> None:
        (tmp_path / name).touch()
        folders.sync(tmp_path)
        assert any(name in seen for seen in slow.syncs)

    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(publish, "first")
        assert slow.begun.acquire(timeout=20)
        others = [threads.submit(publish, f"other-{n}") for n in range(7)]
        while len(list(tmp_path.iterdir())) < 8:
            threading.Event().wait(0.001)
        slow.let_go.release()
        first.result(20)
        for _ in others:
            slow.let_go.release()
        for other in others:
            other.result(20)
    assert slow.syncs[0] == {"first"}
    assert 2 <= len(slow.syncs) <= 4, "all others at once, but for the slowest"


def test_a_sync_that_began_before_serves_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, folders = SlowDisk(monkeypatch), disk.FsyncCoalescer()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(folders.sync, tmp_path)
        assert slow.begun.acquire(timeout=20)
        second = threads.submit(folders.sync, tmp_path)
        slow.let_go.release()
        first.result(20)
        assert slow.begun.acquire(timeout=20), "a sync of its own"
        assert not second.done()
        slow.let_go.release()
        second.result(20)


def test_folders_do_not_wait_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, folders = SlowDisk(monkeypatch), disk.FsyncCoalescer()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(folders.sync, tmp_path / name) for name in "ab"]
        assert slow.begun.acquire(timeout=20)
        assert slow.begun.acquire(timeout=20)
        slow.let_go.release(2)
        for one in both:
            one.result(20)


def test_everybody_hears_of_a_sync_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, folders = SlowDisk(monkeypatch, OSError(5, "Input/output error")), disk.FsyncCoalescer()
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(folders.sync, tmp_path) for _ in range(4)]
        slow.let_go.release(4)
        for one in asked:
            with pytest.raises(OSError, match="Input/output error"):
                one.result(20)
