"""Writes ZIP archives as the API does: one deflated member, its sizes in a data descriptor.

The standard library can do neither: set flag bit 11 for ASCII names, or write a wrong checksum.
"""

import struct
import zlib
from collections.abc import Iterable
from datetime import datetime
from typing import IO, Final

FLAGS: Final = 1 << 3 | 1 << 11
"""Sizes and checksum follow the member, and its name is UTF-8: the flags of real archives."""

_DEFLATED: Final = 8
_VERSION: Final = 20
_LARGEST: Final = 0xFFFFFFFF


def write_archive(
    file: IO[bytes], name: str, pieces: Iterable[bytes], made: datetime, *, wrong_crc: bool = False
) -> int:
    """Streams one member into a new archive; returns the archive's length in bytes.

    The same arguments give the same bytes. `made` is the member's time of change.

    Raises:
        ValueError: more than 4 GiB, which an archive without ZIP64 cannot hold.
    """
    encoded = name.encode()
    clock = made.hour << 11 | made.minute << 5 | made.second // 2
    date = (made.year - 1980) << 9 | made.month << 5 | made.day
    file.write(
        struct.pack(
            "<4s5H3L2H", b"PK\x03\x04", _VERSION, FLAGS, _DEFLATED, clock, date, 0, 0, 0,
            len(encoded), 0,
        )
        + encoded
    )  # fmt: skip
    crc = size = packed = 0
    deflate = zlib.compressobj(level=1, wbits=-zlib.MAX_WBITS)
    for piece in pieces:
        crc = zlib.crc32(piece, crc)
        size += len(piece)
        packed += file.write(deflate.compress(piece))
    packed += file.write(deflate.flush())
    if max(size, packed) > _LARGEST:
        raise ValueError(f"the report has {size} bytes; the simulator's archives hold 4 GiB")
    if wrong_crc:
        crc ^= 0xDEADBEEF
    file.write(struct.pack("<4s3L", b"PK\x07\x08", crc, packed, size))
    directory = 30 + len(encoded) + packed + 16
    entry = (
        struct.pack(
            "<4s6H3L5H2L", b"PK\x01\x02", _VERSION, _VERSION, FLAGS, _DEFLATED, clock, date, crc,
            packed, size, len(encoded), 0, 0, 0, 0, 0, 0,
        )
        + encoded
    )  # fmt: skip
    file.write(entry)
    file.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(entry), directory, 0))
    return directory + len(entry) + 22
