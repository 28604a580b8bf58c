"""Keeps some room free on the disk, whatever is downloaded.

A full disk stops everything: the ledger, the manifest, other programs. So a download that would
leave less than the reserve waits for the next run, and the others go on.
"""

import math
import os
import threading
import time
from pathlib import Path
from typing import Final

from orchestrator.errors import NoRoom
from orchestrator.presence import exists

_SMALL_DISK_SHARE: Final = 100  # A hundredth of a disk stays free, if less than the reserve.
_MB: Final = 1_000_000

_PLENTY: Final = 1_000_000_000
"""Bytes above the reserve with which the disk is not looked at for `_SEEN_SECONDS`."""

_SEEN_SECONDS: Final = 0.1


class DiskReserve:
    """Watches the disk of the output directory, and how much each download has written to it.

    Its methods may be called in any thread.

    Args:
        directory: need not be made yet.
        reserve_bytes: how much stays free (`output.keep_free`).
    """

    def __init__(self, directory: Path, reserve_bytes: int) -> None:
        self._reserve_bytes = reserve_bytes
        self._directory = directory
        self._lock = threading.Lock()
        self._held: dict[int, int] = {}
        self._seen: tuple[tuple[int, int] | None, float] = (None, -math.inf)

    @property
    def lacking(self) -> str:
        """Why no download should be started, as a sentence; empty while there is room.

        What unfinished downloads hold counts as free: it becomes free if one of them has to stop.
        """
        space = self._space()
        if space is None:
            return ""
        free, reserve = space
        with self._lock:
            held = sum(self._held.values())
        return self._message(free, reserve) if free + held < reserve else ""

    def check(self, report_id: int, more_bytes: int = 0) -> None:
        """Refuses a download that would leave too little room.

        Where there is too little already, the largest download has to stop; the others only where
        that does not help.

        Raises:
            NoRoom: the download has to stop, and its files to be removed.
        """
        space = self._space()
        if space is None:
            return
        free, reserve = space
        remaining = free - more_bytes
        if remaining >= reserve:
            return
        with self._lock:
            written = self._held.get(report_id, 0)
            is_largest = written >= max(self._held.values(), default=0)
        if is_largest or more_bytes > free or remaining < reserve // 2:
            raise NoRoom(self._message(free, reserve, more_bytes))

    def wrote(self, report_id: int, size_bytes: int) -> None:
        """Adds to the number of bytes that a download has written."""
        with self._lock:
            self._held[report_id] = self._held.get(report_id, 0) + size_bytes

    def ended(self, report_id: int) -> None:
        """Forgets a download: it has no unfinished file any more."""
        with self._lock:
            self._held.pop(report_id, None)

    def _space(self) -> tuple[int, int] | None:
        """Bytes that are free, and those that must stay free; None where it is unknown."""
        space, until = self._seen
        if time.monotonic() < until:
            return space
        space = self._look()
        if space is not None and space[0] - space[1] >= _PLENTY:
            self._seen = space, time.monotonic() + _SEEN_SECONDS
        return space

    def _look(self) -> tuple[int, int] | None:
        try:
            disk = os.statvfs(self._nearest())
        except (OSError, AttributeError):
            return None
        whole = disk.f_blocks * disk.f_frsize
        if not whole:  # a file system that does not tell
            return None
        return disk.f_bavail * disk.f_frsize, min(self._reserve_bytes, whole // _SMALL_DISK_SHARE)

    def _nearest(self) -> Path:
        return next(
            (path for path in (self._directory, *self._directory.parents) if exists(path)),
            self._directory,
        )

    def _message(self, free: int, reserve: int, more_bytes: int = 0) -> str:
        needs = f" and it needs {_size(more_bytes)} more" if more_bytes > free - reserve > 0 else ""
        return (
            f"the disk of {self._directory} has {_size(free)} free{needs}, and {_size(reserve)} "
            "stay free; make room, then run again"
        )


def _size(size_bytes: int) -> str:
    return f"{size_bytes / _MB:,.1f} MB"
