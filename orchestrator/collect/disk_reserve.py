"""Room that stays free on the disk: no download takes the last of it.

A disk that is full stops everything: the ledger, the manifest, other programs. So a download that
would leave less than the reserve is left to the next run, and the others go on.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final

from orchestrator.errors import NoRoom

if TYPE_CHECKING:
    from pathlib import Path

_SHARE: Final = 100
"""Of a small disk one part in so many stays free, if that is less than the reserve."""
_MB: Final = 1_000_000


class DiskReserve:
    """Watches the disk of the output directory, and what each download has put on it.

    Its methods may be called in any thread.

    Args:
        directory: need not be made yet.
        reserve_bytes: stay free (`output.keep_free`).
    """

    def __init__(self, directory: Path, reserve_bytes: int) -> None:
        self._reserve_bytes = reserve_bytes
        self._directory = directory
        self._lock = threading.Lock()
        self._held: dict[int, int] = {}

    @property
    def lacking(self) -> str:
        """Why nothing more should be begun, in words; empty while there is room.

        What unfinished downloads hold counts as free: it is, if one of them has to give way.
        """
        told = self._free()
        if told is None:
            return ""
        free, reserve = told
        with self._lock:
            held = sum(self._held.values())
        return self._words(free, reserve) if free + held < reserve else ""

    def check(self, report_id: int, more_bytes: int = 0) -> None:
        """Refuses what would leave too little.

        Where there is too little already, the largest download gives way; the others only where
        that does not help.

        Args:
            report_id: our number of the report whose download it is.
            more_bytes: are about to be written.

        Raises:
            NoRoom: it is to stop, and to be removed.
        """
        told = self._free()
        if told is None:
            return
        free, reserve = told
        left = free - more_bytes
        if left >= reserve:
            return
        with self._lock:
            mine = self._held.get(report_id, 0)
            is_largest = mine >= max(self._held.values(), default=0)
        if is_largest or more_bytes > free or left < reserve // 2:
            raise NoRoom(self._words(free, reserve, more_bytes))

    def wrote(self, report_id: int, size_bytes: int) -> None:
        """A download has put so many bytes more on the disk."""
        with self._lock:
            self._held[report_id] = self._held.get(report_id, 0) + size_bytes

    def ended(self, report_id: int) -> None:
        """Nothing of a download is unfinished any more."""
        with self._lock:
            self._held.pop(report_id, None)

    def _free(self) -> tuple[int, int] | None:
        """Bytes that are free, and those that are to stay so; None: nobody can say."""
        try:
            disk = os.statvfs(self._nearest())
        except (OSError, AttributeError):
            return None
        whole = disk.f_blocks * disk.f_frsize
        if not whole:  # a file system that does not tell
            return None
        return disk.f_bavail * disk.f_frsize, min(self._reserve_bytes, whole // _SHARE)

    def _nearest(self) -> Path:
        return next(
            (one for one in (self._directory, *self._directory.parents) if one.exists()),
            self._directory,
        )

    def _words(self, free: int, reserve: int, more_bytes: int = 0) -> str:
        needs = f" and it needs {_size(more_bytes)} more" if more_bytes > free - reserve > 0 else ""
        return (
            f"the disk of {self._directory} has {_size(free)} free{needs}, and {_size(reserve)} "
            "stay free; make room, then run again"
        )


def _size(size_bytes: int) -> str:
    return f"{size_bytes / _MB:,.1f} MB"
