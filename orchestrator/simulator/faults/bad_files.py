"""Builds files that real reports never are: hostile archives, and CSV by another writer."""

import csv
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Final

_WHEN: Final = (2026, 1, 1, 0, 0, 0)
_BOMB_MIB: Final = 256  # What the bomb unpacks to.
_MIB: Final = 1 << 20
_ENCRYPTED: Final = 1  # The flag bit of an encrypted member.


def _zip(
    *members: tuple[str, bytes],
    method: int = zipfile.ZIP_DEFLATED,
    mode: int = stat.S_IFREG | 0o644,
    zip64: bool = False,
) -> bytes:
    """An archive whose headers hold the sizes; without a data descriptor."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as archive:
        for name, content in members:
            about = zipfile.ZipInfo(name, _WHEN)
            about.compress_type = method
            about.create_system = 3
            about.external_attr = mode << 16
            with archive.open(about, "w", force_zip64=zip64) as member:
                member.write(content)
    return sink.getvalue()


def _raw(name: str, packed: bytes, size: int, crc: int, *, local_name: str | None = None) -> bytes:
    """An archive of one deflated member whose headers say what the arguments say."""
    local, encoded = (local_name or name).encode(), name.encode()
    facts = struct.pack("<3L", crc, len(packed), size)
    head = struct.pack("<4s5H", b"PK\x03\x04", 20, 0, 8, 0, 33) + facts
    body = head + struct.pack("<2H", len(local), 0) + local + packed
    entry = struct.pack("<4s6H", b"PK\x01\x02", 20, 20, 0, 8, 0, 33) + facts
    entry += struct.pack("<5H2L", len(encoded), 0, 0, 0, 0, 0, 0) + encoded
    return (
        body + entry + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(entry), len(body), 0)
    )


def _deflated(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


def _bomb(name: str, _content: bytes) -> bytes:
    """256 MiB of zeros in a few hundred kilobytes."""
    zeros = bytes(_MIB)
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    first = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    crc = 0
    for _ in range(_BOMB_MIB):
        crc = zlib.crc32(zeros, crc)
    last = zlib.compressobj(9, wbits=-zlib.MAX_WBITS).flush()
    return _raw(name, first * _BOMB_MIB + last, _BOMB_MIB * _MIB, crc)


def _modest_bomb(name: str, content: bytes) -> bytes:
    """A member that unpacks to more than its headers say."""
    packed = _deflated(content + bytes(8 * _MIB))
    return _raw(name, packed, len(content), zlib.crc32(content))


def _encrypted(name: str, content: bytes) -> bytes:
    whole = bytearray(_zip((name, content)))
    directory = whole.rindex(b"PK\x01\x02")
    whole[6] |= _ENCRYPTED
    whole[directory + 8] |= _ENCRYPTED
    return bytes(whole)


def _between(name: str, content: bytes) -> bytes:
    """Bytes hidden between the member and the directory."""
    whole = bytearray(_zip((name, content)))
    directory = whole.rindex(b"PK\x01\x02")
    end = whole.rindex(b"PK\x05\x06")
    struct.pack_into("<L", whole, end + 16, directory + 64)
    return bytes(whole[:directory] + bytes(64) + whole[directory:])


ARCHIVE_FORMS: Final[dict[str, Callable[[str, bytes], bytes]]] = {
    "two_csvs": lambda name, content: _zip((name, content), ("more.csv", b'"a"\n"1"\n')),
    "several": lambda name, content: _zip((name, content), ("readme.txt", b"x"), ("b.bin", b"\0")),
    "same_name_twice": lambda name, content: _zip((name, content), (f"{name[:-4]}.CSV", content)),
    "absolute": lambda name, content: _zip((f"/tmp/{name}", content)),  # noqa: S108 - that is the fault
    "parent": lambda name, content: _zip((f"../../{name}", content)),
    "backslash": lambda name, content: _zip((f"..\\{name}", content)),
    "drive": lambda name, content: _zip((f"C:{name}", content)),
    "folder": lambda name, _: _zip((f"{name}/", b"")),
    "symlink": lambda name, _: _zip((name, b"/etc/passwd"), mode=stat.S_IFLNK | 0o777),
    "no_csv": lambda name, content: _zip((f"{name}.exe", content)),
    "two_names": lambda name, content: _raw(
        name, _deflated(content), len(content), zlib.crc32(content), local_name="other.csv"
    ),
    "bomb": _bomb,
    "modest_bomb": _modest_bomb,
    "encrypted": _encrypted,
    "before": lambda name, content: b"#!/bin/sh\nexit 1\n" + _zip((name, content)),
    "after": lambda name, content: _zip((name, content)) + b"\0and more",
    "between": _between,
    "empty": lambda _name, _content: _zip(),
    "no_bytes": lambda _name, _content: b"",
    "no_zip": lambda _name, content: content,
    "zip64": lambda name, content: _zip((name, content), zip64=True),
    "stored": lambda name, content: _zip((name, content), method=zipfile.ZIP_STORED),
    "no_descriptor": lambda name, content: _zip((name, content)),
    "folder_before": lambda name, content: _zip(("2026/", b""), (name, content)),
    "folder_behind": lambda name, content: _zip((name, content), ("2026/", b"")),
    "in_folders": lambda name, content: _zip(
        ("a/", b""), ("a/b/", b""), (f"a/b/{name}", content), ("c/", b"")
    ),
}
"""Ways to build an archive, by name; always the same bytes.

The last six are valid, but unlike real ones.
"""

HONEST: Final = frozenset(
    {"zip64", "stored", "no_descriptor", "folder_before", "folder_behind", "in_folders"}
)
"""The forms that are valid: their content is complete and must be accepted."""


# --- CSV ------------------------------------------------------------------------------------------


def _rewritten(content: bytes, ends: str) -> bytes:
    """The same records with other line ends; breaks inside fields stay as they are."""
    rows = csv.reader(io.StringIO(content.decode(), newline=""))
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator=ends).writerows(rows)
    return text.getvalue().encode()


def _into_last_record(content: bytes, piece: bytes) -> bytes:
    return content[:-2] + piece + content[-2:]


CSV_FORMS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "crlf": lambda content: _rewritten(content, "\r\n"),
    "bom": lambda content: b"\xef\xbb\xbf" + content,
    "no_last_lf": lambda content: content.removesuffix(b"\n"),
    "blank_lines": lambda content: content + b"\n\n",
    "blank_crlf": lambda content: _rewritten(content, "\r\n") + b"\r\n" * 3,
    "no_last_lf_but_crlf": lambda content: content.removesuffix(b"\n") + b"\r\n\r\n",
    "nul": lambda content: _into_last_record(content, b"\0"),
    "lone_quote": lambda content: _into_last_record(content, b'"'),
    "binary": lambda content: _into_last_record(content, b"\xff\xfe\xc3"),
    "empty": lambda _content: b"",
    "header_only": lambda content: content[: content.index(b"\n") + 1],
}
"""Ways to write the CSV, by name. The first six change no record."""

HARMLESS: Final = frozenset(
    {"crlf", "bom", "no_last_lf", "blank_lines", "blank_crlf", "no_last_lf_but_crlf"}
)
"""The forms that hold the very same records."""
