"""The archive on the disk, while it comes and until its file is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.collect import disk, safe_open

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import BinaryIO


class ArchiveFile:
    """An archive as it comes. Its methods are called in threads, one call at a time.

    Args:
        path: where; whatever stands there gives way.
        size_bytes: so much of it stands there already, and stays.
        room: is told how many bytes are about to be written, and may raise `NoRoom`.
    """

    def __init__(
        self, path: Path, size_bytes: int = 0, *, room: Callable[[int], None] | None = None
    ) -> None:
        self._path = path
        self._room = room
        self._file: BinaryIO | None = None
        self.size_bytes = size_bytes

    def write(self, pieces: Sequence[bytes]) -> None:
        """Appends.

        Raises:
            NoRoom: they may not be written.
            OutputError: the disk.
        """
        size_bytes = sum(map(len, pieces))
        if self._room is not None:
            self._room(size_bytes)
        with disk.translate_os_errors(self._path, "write"):
            if self._file is None:
                make = safe_open.append if self.size_bytes else safe_open.create
                self._file = make(self._path)
                self._early = disk.WritebackFile(self._file)
            self._file.writelines(pieces)
            self.size_bytes += size_bytes
            self._early.wrote(size_bytes)

    def close(self) -> None:
        """Lets the file go, written or not.

        Raises:
            OutputError: the disk.
        """
        if self._file is not None:
            with disk.translate_os_errors(self._path, "write"):
                self._file.close()
