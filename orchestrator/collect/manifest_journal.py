"""Appends to the manifest as a run goes, so that a lost ledger loses nothing that was bought."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from orchestrator.collect import disk, layout, safe_open
from orchestrator.collect.manifest_writing import entry_body, reached_body, sealed
from orchestrator.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from orchestrator.collect.manifest_entries import Entry
    from orchestrator.core.model import LedgerPoint

_SYNC: Final = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class ManifestJournal:
    """The end of a manifest that is whole.

    Args:
        directory: the output directory.
        size_bytes: up to the end of its last line; what follows is cut off.
        crc: its CRC-32 up to there.
    """

    def __init__(self, directory: Path, size_bytes: int, crc: int) -> None:
        self._path = directory / layout.MANIFEST
        self._size_bytes = size_bytes
        self._crc = crc
        self._handle: int | None = None
        self._broken = False

    def append(self, bodies: Iterable[bytes], point: LedgerPoint) -> None:
        """Appends what a transaction has changed; returns once that is synced.

        Args:
            bodies: from `bodies_of`.
            point: how far the ledger has got with it.

        Raises:
            OutputError: the disk. Nothing more is appended from then on.
        """
        if self._broken:
            raise OutputError(f"{self._path} could not be appended to; run again")
        crc = self._crc
        lines = []
        for body in (*bodies, reached_body(point)):
            line, crc = sealed(body, crc)
            lines.append(line)
        block = b"".join(lines)
        with disk.translate_os_errors(self._path, "write"):
            self._broken = True
            handle = self._open()
            try:
                _write(handle, block)
                _SYNC(handle)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(handle, self._size_bytes)
                raise
            self._broken = False
        self._crc = crc
        self._size_bytes += len(block)

    def _open(self) -> int:
        if self._handle is None:
            self._handle = safe_open.descriptor_of(self._path, os.O_WRONLY)
            os.ftruncate(self._handle, self._size_bytes)
            os.lseek(self._handle, self._size_bytes, os.SEEK_SET)
        return self._handle

    def close(self) -> None:
        """Lets go of the file."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def bodies_of(entries: Iterable[Entry]) -> list[bytes]:
    """The lines of entries, as `ManifestJournal.append` takes them."""
    return [entry_body(entry) for entry in entries]


def _write(handle: int, block: bytes) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(handle, rest) :]
