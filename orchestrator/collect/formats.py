"""The forms in which a CSV is published, written as a stream while hash and size are taken."""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from typing import TYPE_CHECKING, Final, Protocol

from orchestrator.collect import safe_open
from orchestrator.collect.disk import WritebackFile
from orchestrator.core.settings import Format
from orchestrator.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

_GZIP_LEVEL: Final = 6
_GZIP_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""RFC 1952: deflate, no flags (so no name), no time, unknown operating system."""
READ_BLOCK: Final = 1024 * 1024


class Output(Protocol):
    """A file in the making: blocks of CSV go in, the published form goes to the disk."""

    def write(self, block: bytes) -> None:
        """Takes the next bytes of the CSV."""
        ...

    def finish(self) -> None:
        """Writes what is left, syncs and closes; `sha256` and `size_bytes` are right only now."""
        ...

    def close(self) -> None:
        """Lets go of the file, finished or not."""
        ...

    @property
    def sha256(self) -> str:
        """Of the published form, in hex."""
        ...

    @property
    def size_bytes(self) -> int:
        """Of the published form."""
        ...


class _HashingFile:
    """A file that knows the SHA-256 and the size of what has been written into it."""

    def __init__(self, path: Path) -> None:
        self._file = safe_open.create(path)
        self._early = WritebackFile(self._file)
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def write(self, block: bytes) -> None:
        self._hash.update(block)
        self.size_bytes += len(block)
        self._file.write(block)
        self._early.wrote(len(block))

    def finish(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def close(self) -> None:
        self._file.close()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


class _GzipFile:
    """The CSV in gzip: no name and no time in it, so that equal records make equal files."""

    def __init__(self, path: Path) -> None:
        self._file = _HashingFile(path)
        self._deflate = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._crc = 0
        self._plain_bytes = 0
        self._file.write(_GZIP_HEADER)

    def write(self, block: bytes) -> None:
        self._crc = zlib.crc32(block, self._crc)
        self._plain_bytes += len(block)
        self._file.write(self._deflate.compress(block))

    def finish(self) -> None:
        self._file.write(self._deflate.flush())
        self._file.write(struct.pack("<LL", self._crc, self._plain_bytes & 0xFFFFFFFF))
        self._file.finish()

    def close(self) -> None:
        self._file.close()

    @property
    def sha256(self) -> str:
        return self._file.sha256

    @property
    def size_bytes(self) -> int:
        return self._file.size_bytes


def open_output(form: Format, path: Path) -> Output | None:
    """Opens a new file of a format; None for `Format.ZIP`, which is the archive itself.

    Raises:
        OutputError: a format that is not written yet.
        OSError: the disk.
    """
    match form:
        case Format.CSV:
            return _HashingFile(path)
        case Format.CSV_GZ:
            return _GzipFile(path)
        case Format.ZIP:
            return None
        case Format.PARQUET:
            raise OutputError(
                "files cannot be written as parquet yet; set output.format to csv, csv.gz or zip"
            )


def read_blocks(file: BinaryIO) -> Iterator[bytes]:
    """The bytes of a file from where it stands, in blocks of at most `READ_BLOCK`."""
    while block := file.read(READ_BLOCK):
        yield block


def hash_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex.

    Raises:
        OSError: it cannot be read; see `opening.read`.
    """
    with safe_open.read(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
