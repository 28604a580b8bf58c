"""``csv.gz``: the CSV in gzip, without a name or a time in it."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from orchestrator.collect import inflate
from orchestrator.collect.formats.base import FileSubject, OutputFormat, PackedFile, Writer
from orchestrator.collect.safe_open import read_blocks

_LEVEL: Final = 6
_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""RFC 1952: deflate, no flags (so no name), no time, unknown operating system."""
_READ_GZIP: Final = 16 + zlib.MAX_WBITS
"""The ``wbits`` with which zlib reads a gzip file."""


class _Packer:
    """Packs into a gzip file. zlib's own header would name the operating system."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._header = _HEADER
        self._crc = 0
        self._plain_bytes = 0

    def compress(self, block: bytes, /) -> bytes:
        self._crc = zlib.crc32(block, self._crc)
        self._plain_bytes += len(block)
        packed = self._deflate.compress(block)
        if self._header:
            packed, self._header = self._header + packed, b""
        return packed

    def flush(self) -> bytes:
        trailer = struct.pack("<LL", self._crc, self._plain_bytes & 0xFFFFFFFF)
        return self._header + self._deflate.flush() + trailer


class _CsvGz(OutputFormat):
    def open(self, path: Path, subject: FileSubject) -> Writer:  # noqa: ARG002 - types no column
        return PackedFile(path, _Packer())

    def blocks(self, file: BinaryIO) -> Iterator[bytes]:
        return inflate.inflated(read_blocks(file), _READ_GZIP, "the gzip file's bytes")


FORMAT: Final = _CsvGz()
