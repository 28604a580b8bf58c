"""A realistic report of any size: SMS records, every field quoted, no two rows alike, about 5:1.

The bytes follow from the number of rows alone. An archive of 5 GB of CSV takes a minute or two to
make, and is kept.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROW_BYTES: Final = 302.4
NAME: Final = b"report_SMS_abcd1234_20260201.csv"

_HEADER: Final = (
    b'"account_id","message_id","client_ref","direction","from","to","message_body","network",'
    b'"network_name","country","country_name","date_received","date_finalized","latency","status",'
    b'"error_code","error_code_description","currency","total_price"\n'
)
_BODIES: Final = (
    "Your code is %s. Do not share it.",
    'Your parcel ""%s"" arrives today,\nfollow it online',
    "Reminder: appointment %s, reply YES",
    "Thank you for your order %s!",
)
_ROW: Final = (
    '"abcd1234","%s","%s","outbound","ACME","4477%s","{body}","234{network}","{name}","GB",'
    '"United Kingdom","2026-01-{day:02}T%s+00:00","2026-01-{day:02}T%s+00:00","1%s",'
    '"delivered","0","Delivered","EUR","0.0333"\n'
)
_NETWORKS: Final = (("10", "O2 UK"), ("15", "Vodafone"), ("20", "Three"), ("30", "EE"))
_ROWS_AT_ONCE: Final = 8_000
_LEVEL: Final = 5


class Archive(NamedTuple):
    """What was made."""

    path: Path
    rows: int
    csv_bytes: int

    @property
    def archive_bytes(self) -> int:
        """As it is downloaded."""
        return self.path.stat().st_size


def make_archive(folder: Path, gigabytes: float) -> Archive:
    """The archive of so much CSV, made unless it is there already."""
    rows = int(gigabytes * 1e9 / ROW_BYTES)
    path = folder / f"sms-{rows}.zip"
    note = path.with_suffix(".bytes")
    if not note.exists():
        folder.mkdir(parents=True, exist_ok=True)
        note.write_text(str(_write(path, rows)), encoding="ascii")
    return Archive(path, rows, int(note.read_text(encoding="ascii")))


def _blocks(rows: int) -> Iterator[bytes]:
    yield _HEADER
    noise = random.Random(rows)
    forms = [
        _ROW.format(body=body, network=network, name=name, day=1)
        for body in _BODIES
        for network, name in _NETWORKS
    ]
    made = 0
    while made < rows:
        now = min(_ROWS_AT_ONCE, rows - made)
        day = 1 + made * 30 // rows
        template = "".join(noise.choices(forms, k=now)).replace("2026-01-01", f"2026-01-{day:02}")
        ids = noise.randbytes(32 * now).hex()
        digits = noise.randbytes(9 * now).hex().translate(str.maketrans("abcdef", "012345"))
        first = (made % 80_000_000) // 1000
        values: list[str] = []
        for n in range(now):
            second = first + n // 1000
            clock = f"{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}"
            seen = digits[18 * n : 18 * n + 18]
            values += (
                ids[64 * n : 64 * n + 32], ids[64 * n + 32 : 64 * n + 64], seen[:8], seen[8:14],
                clock, clock[:-1] + seen[14], seen[14:],
            )  # fmt: skip
        yield (template % tuple(values)).encode()
        made += now


def _write(path: Path, rows: int) -> int:
    """Deflates in two threads, each block by itself, joined by full flushes."""
    part = path.with_suffix(".part")
    crc = size = packed = 0
    with part.open("wb") as file, ThreadPoolExecutor(2) as threads:
        file.write(struct.pack("<4s5H3L2H", b"PK\x03\x04", 45, 0x808, 8, 0, 0x5C21, 0, 0, 0,
                               len(NAME), 0) + NAME)  # fmt: skip
        waiting = deque(threads.submit(bytes) for _ in range(4))
        for block in _blocks(rows):
            crc, size = zlib.crc32(block, crc), size + len(block)
            waiting.append(threads.submit(_deflated, block))
            packed += file.write(waiting.popleft().result())
        for deflated in waiting:
            packed += file.write(deflated.result())
        packed += file.write(zlib.compressobj(wbits=-15).flush())
        file.write(_ends(crc, size, packed))
    part.replace(path)
    return size


def _deflated(block: bytes) -> bytes:
    deflate = zlib.compressobj(_LEVEL, wbits=-15)
    return deflate.compress(block) + deflate.flush(zlib.Z_FULL_FLUSH)


def _ends(crc: int, size: int, packed: int) -> bytes:
    """The data descriptor, the directory and its end: wide (zip64), where it must be."""
    wide = size > 0xFFFFFFFF
    start = 30 + len(NAME) + packed + (24 if wide else 16)
    extra = struct.pack("<HHQ", 1, 8, size) if wide else b""
    entry = struct.pack(
        "<4s6H3L5H2L", b"PK\x01\x02", 45, 45, 0x808, 8, 0, 0x5C21, crc, packed,
        min(size, 0xFFFFFFFF), len(NAME), len(extra), 0, 0, 0, 0, 0,
    ) + NAME + extra  # fmt: skip
    descriptor = struct.pack("<4sLQQ" if wide else "<4s3L", b"PK\x07\x08", crc, packed, size)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(entry), start, 0)
    return descriptor + entry + end
