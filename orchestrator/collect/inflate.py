"""Unpacks the one file of an archive as a stream, within bounds, and checks what comes out.

ISA-L (the extra ``fast``) inflates about twice as fast as zlib. What it refuses is unpacked again
with zlib, whose verdict counts; what it accepts is proved by checksum and size like all else.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, BinaryIO, Final, Protocol

from orchestrator.collect.archive import STORED, Member
from orchestrator.errors import CorruptArchive

PACKED_BLOCK: Final = 128 * 1024  # Packed bytes that are read at once.
BLOCK: Final = 1024 * 1024  # Most bytes of CSV at once; small ones make threads wait.

_MIB: Final = 1024 * 1024
_HARMLESS_BYTES: Final = 64 * _MIB  # Any archive may unpack to this much: it does no harm.
_MAX_RECORD_BYTES: Final = _MIB  # Of a record unpacked, for the bound on a whole CSV.
_MAX_MEAN_RECORD_BYTES: Final = 64 * 1024  # Of a record packed, on average: 100 times a long one.
_MAX_UNKNOWN_BYTES: Final = 64 * 1024 * _MIB  # Of a download without a known number of records.
_MAX_RATIO: Final = 200  # CSV to packed bytes; real reports have 5 to 10: each record holds an id.


def check_size(member: Member, items_count: int | None) -> None:
    """Refuses an archive bomb before a byte of it is unpacked.

    Args:
        member: what the archive promises; `blocks` never yields more than that.
        items_count: the records that the API promised; None where there is no such promise.

    Raises:
        CorruptArchive: it would unpack to more than so many records can be, or than real data
            packs to.
    """
    if member.size_bytes > max_unpacked(member.packed_bytes):
        raise CorruptArchive(
            f"the archive's {member.packed_bytes:,} bytes would unpack to {member.size_bytes:,},"
            f" more than {_MAX_RATIO} times as much: no CSV of records is like that"
        )
    largest = largest_csv(items_count)
    if largest is not None and member.size_bytes > largest:
        raise CorruptArchive(
            f"the archive would unpack to {member.size_bytes:,} bytes, far too many for"
            f" {items_count:,} records"
        )


def max_unpacked(packed_bytes: int) -> int:
    """The number of bytes that packed ones may unpack to."""
    return max(_HARMLESS_BYTES, _MAX_RATIO * packed_bytes)


def largest_csv(items_count: int | None) -> int | None:
    """The size in bytes that a CSV of so many records stays below; None: unknown."""
    if items_count is None:
        return None
    return max(_HARMLESS_BYTES, (items_count + 1) * _MAX_RECORD_BYTES)


def largest_archive(items_count: int | None) -> int:
    """The size in bytes that a download of so many records stays below."""
    if items_count is None:
        return _MAX_UNKNOWN_BYTES
    return max(_HARMLESS_BYTES, (items_count + 1) * _MAX_MEAN_RECORD_BYTES)


def blocks(archive: BinaryIO, member: Member) -> Iterator[bytes]:
    """Yields the unpacked bytes in blocks of at most `BLOCK`, in constant memory.

    That all came, and with the right checksum, is known only when the iterator has ended.

    Raises:
        CorruptArchive: the packed bytes are damaged, more or fewer come out than promised, or the
            checksum is wrong.
    """
    archive.seek(member.offset)
    if member.method == STORED:
        unpacked = _packed(archive, member, BLOCK)
    else:
        packed = _packed(archive, member, PACKED_BLOCK)
        unpacked = inflated(packed, -zlib.MAX_WBITS, "the archive's packed bytes")
    crc = 0
    size = 0
    for block in unpacked:
        size += len(block)
        if size > member.size_bytes:
            break
        crc = zlib.crc32(block, crc)
        yield block
    if size != member.size_bytes:
        more = "more" if size > member.size_bytes else "less"
        raise CorruptArchive(
            f"the archive unpacks to {more} than the {member.size_bytes:,} bytes it promises"
        )
    if crc != member.crc:
        raise CorruptArchive(
            f"the archive's checksum is wrong (CRC-32 {crc:08x}, promised {member.crc:08x}):"
            " its bytes are damaged"
        )


def _packed(archive: BinaryIO, member: Member, size: int) -> Iterator[bytes]:
    remaining = member.packed_bytes
    while remaining:
        block = archive.read(min(size, remaining))
        if not block:
            raise CorruptArchive("the archive is cut off: it names bytes that are not there")
        remaining -= len(block)
        yield block


def inflated(packed: Iterable[bytes], wbits: int, subject: str) -> Iterator[bytes]:
    """Yields what a deflated stream unpacks to, in blocks of at most `BLOCK`.

    Args:
        packed: the whole stream, and nothing behind it.
        wbits: as for `zlib.decompressobj`: raw deflate, or with gzip's header.
        subject: the subject of error texts, in the plural.

    Raises:
        CorruptArchive: the stream is damaged, cut, or goes on behind its end.
    """
    stream = zlib.decompressobj(wbits)
    try:
        for piece in packed:
            waiting = piece
            while waiting:
                if stream.eof:
                    raise CorruptArchive(f"{subject} go on behind their end: something is hidden")
                yield stream.decompress(waiting, BLOCK)
                waiting = stream.unconsumed_tail or stream.unused_data
        while not stream.eof:
            # What has been taken in but not given out yet comes a block at a time.
            block = stream.decompress(b"", BLOCK)
            if not block and not stream.eof:
                raise CorruptArchive(f"{subject} end too early: they are cut off")
            yield block
    except zlib.error as error:
        raise CorruptArchive(f"{subject} are damaged") from error


# --- libraries that inflate -----------------------------------------------------------------------


class Stream(Protocol):
    """A deflated stream that is being unpacked: as `zlib.decompressobj` makes it."""

    @property
    def eof(self) -> bool:
        """The stream's end has been seen."""

    @property
    def unconsumed_tail(self) -> bytes:
        """What was fed and not taken in yet, as the output was full."""

    @property
    def unused_data(self) -> bytes:
        """What was fed behind the stream's end."""

    def decompress(self, packed: Any, most: int, /) -> bytes:
        """At most so many of the next bytes."""


@dataclass(frozen=True, slots=True)
class Inflater:
    """A library that inflates."""

    name: str  # of the library
    raw: Callable[[], Stream]  # begins a stream of raw deflate, without any header
    crc32: Callable[[bytes, int], int]  # as `zlib.crc32`
    error: type[Exception]  # what is raised for damaged bytes


ZLIB: Final = Inflater("zlib", lambda: zlib.decompressobj(-zlib.MAX_WBITS), zlib.crc32, zlib.error)


@cache
def isal() -> Inflater | None:
    """ISA-L, where the extra ``fast`` is installed."""
    try:
        library: Any = import_module("isal.isal_zlib")
    except ImportError:  # not installed, or built for another machine
        return None
    return Inflater(
        "isal", lambda: library.decompressobj(-zlib.MAX_WBITS), library.crc32, library.error
    )


def fastest() -> Inflater:
    """The library for large archives: ISA-L where it is installed, else zlib."""
    return isal() or ZLIB
