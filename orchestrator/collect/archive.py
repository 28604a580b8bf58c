"""Checks the structure of a report's ZIP: exactly one CSV, which all readers see alike.

The whole file must be accounted for, byte by byte: local header, packed bytes, data descriptor,
central directory, (zip64 records,) end record. Whatever could hide in between, before or behind is
refused. Field names and values: PKWARE's APPNOTE.TXT 6.3.
"""

import re
import stat
import struct
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from orchestrator.errors import CorruptArchive

STORED: Final = 0
DEFLATED: Final = 8

_LOCAL: Final = struct.Struct("<4s5H3L2H")
_CENTRAL: Final = struct.Struct("<4s2B5H3L5H2L")
_END: Final = struct.Struct("<4s4H2LH")
_LOCATOR64: Final = struct.Struct("<4sLQL")
_END64: Final = struct.Struct("<4sQ2H2L4Q")

_LOCAL_SIGNATURE: Final = b"PK\x03\x04"
_CENTRAL_SIGNATURE: Final = b"PK\x01\x02"
_END_SIGNATURE: Final = b"PK\x05\x06"
_LOCATOR64_SIGNATURE: Final = b"PK\x06\x07"
_END64_SIGNATURE: Final = b"PK\x06\x06"
_DESCRIPTOR_SIGNATURE: Final = b"PK\x07\x08"

_ENCRYPTED: Final = 1 << 0 | 1 << 6 | 1 << 13
_DESCRIPTOR: Final = 1 << 3
_PATCH: Final = 1 << 5
_UTF8: Final = 1 << 11
_COMPRESSION_HINTS: Final = 1 << 1 | 1 << 2

_ZIP64_EXTRA: Final = 0x0001
_UNICODE_NAME_EXTRA: Final = 0x7075
_FULL16: Final = 0xFFFF
_FULL32: Final = 0xFFFFFFFF
_UNIX: Final = 3
_DOS_FOLDER: Final = 0x10
_MAX_ENTRY_BYTES: Final = _CENTRAL.size + 3 * _FULL16  # Header, name, extra fields, comment.
_MAX_ENTRIES: Final = 64  # The file and its folders; an archive with more is no report.
_SHOWN_NAME: Final = 60  # Characters of a name that an error text repeats.
_MAX_EMPTY_BYTES: Final = 2  # Bytes that deflate makes of nothing.

_NOT_ITS_FILES: Final = "the archive's directory holds more or less than its one file"
_DRIVE: Final = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class Member:
    """The one file in an archive, as both its headers describe it."""

    name: str  # for people only; it is never used as a path
    method: int  # `STORED` or `DEFLATED`
    crc: int  # of the unpacked bytes
    packed_bytes: int  # its size in the archive
    size_bytes: int  # its size unpacked, as promised
    offset: int  # of its first packed byte


@dataclass(frozen=True, slots=True)
class Start:
    """What the first bytes of an archive say, which is not confirmed yet."""

    offset: int  # of the first packed byte
    deflated: bool  # packed in the usual way, and not encrypted
    size_bytes: int | None  # unpacked; None where it stands elsewhere


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of the central directory, 64-bit sizes resolved; a folder has no content."""

    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed_bytes: int
    size_bytes: int
    header_offset: int
    is_folder: bool


def read_member(archive: BinaryIO) -> Member:
    """Finds the one CSV of an archive and checks all that stands around it.

    Args:
        archive: open for reading; its position does not matter, and is moved.

    Raises:
        CorruptArchive: it is not a ZIP, it is cut, it is not exactly one plain CSV, or its parts
            contradict each other.
    """
    length = archive.seek(0, 2)
    directory_start, directory_end, number = _find_directory(archive, length)
    entries = _read_entries(
        _read(archive, directory_start, directory_end - directory_start), number
    )
    entry, name = _the_file(entries)
    entries.sort(key=lambda entry: entry.header_offset)
    borders = [*(entry.header_offset for entry in entries[1:]), directory_start]
    if entries[0].header_offset:
        raise CorruptArchive(
            f"the archive's file begins at byte {entries[0].header_offset}, not at its first byte:"
            " something stands before it"
        )
    offset = 0
    for each, border in zip(entries, borders, strict=True):
        begin = _check_local_header(archive, each)
        end = begin + each.packed_bytes
        if end > border:
            raise CorruptArchive("the archive's file runs into its directory: the sizes are wrong")
        _check_descriptor(_read(archive, end, min(border - end, 64)), each)
        if each is entry:
            offset = begin
    return Member(name, entry.method, entry.crc, entry.packed_bytes, entry.size_bytes, offset)


def _the_file(entries: Sequence[_Entry]) -> tuple[_Entry, str]:
    """The one entry that is a file, and its name; folders are none."""
    files = [entry for entry in entries if not entry.is_folder]
    if not files:
        raise CorruptArchive("the archive holds a folder or special file, not a plain file")
    if len(files) > 1:
        raise CorruptArchive(f"the archive holds {len(files)} files; exactly one CSV was expected")
    folders = {entry.raw_name for entry in entries if entry.is_folder}
    return files[0], _check_name(files[0], folders)


def read_start(begin: bytes) -> Start | None:
    """Reads the header before the file, in the first bytes of an archive; None: too few of them.

    Only for a guess at what `read_member` will say once the end is there.
    """
    if len(begin) < _LOCAL.size:
        return None
    signature, _, flags, method, _, _, _, _, size, *lengths = _LOCAL.unpack_from(begin)
    plain = signature == _LOCAL_SIGNATURE and method == DEFLATED and not flags & _ENCRYPTED
    is_size_known = not flags & _DESCRIPTOR and size != _FULL32
    return Start(_LOCAL.size + sum(lengths), plain, size if is_size_known else None)


def _read(archive: BinaryIO, offset: int, size: int) -> bytes:
    archive.seek(offset)
    block = archive.read(size)
    if len(block) != size:
        raise CorruptArchive("the archive is cut off: it names bytes that are not there")
    return block


# --- the end records ------------------------------------------------------------------------------


def _find_directory(archive: BinaryIO, length: int) -> tuple[int, int, int]:
    """Where the central directory begins and ends, and how many entries it has."""
    tail_start = max(0, length - _END.size - _FULL16)
    tail = _read(archive, tail_start, length - tail_start)
    # The last one counts, and no other: one in a comment would be another archive to some readers.
    at = tail.rfind(_END_SIGNATURE)
    if at >= 0 and len(tail) - at >= _END.size:
        fields = _END.unpack_from(tail, at)
        if at + _END.size + fields[-1] == len(tail):
            return _directory(archive, tail_start + at, fields[1:-1])
    raise CorruptArchive(_no_end(_read(archive, 0, min(length, 60)), length, tail))


def _no_end(begin: bytes, length: int, tail: bytes) -> str:
    if not length:
        return "the download is empty, not a ZIP archive"
    if not begin.startswith(b"PK"):
        # What it is instead may be anybody's personal data, and is not repeated.
        return f"the download is not a ZIP archive but {_what_else(begin, length)}"
    if _END_SIGNATURE in tail:
        return "the archive does not end with its end record: it is cut off or something follows"
    return "the archive is cut off: its end record is missing"


def _what_else(begin: bytes, length: int) -> str:
    """What a body is that is no archive, and how long; nothing of its content is repeated."""
    text = begin.removeprefix(b"\xef\xbb\xbf").lstrip()
    kind = "something else"
    if text.startswith(b"<"):
        kind = "a page of HTML or XML"
    elif text.startswith((b"{", b"[")):
        kind = "JSON"
    elif b"\0" not in text:
        kind = "text"
    return f"{kind} ({length:,} bytes)"


def _directory(archive: BinaryIO, end: int, fields: Sequence[int]) -> tuple[int, int, int]:
    """Reads the end record (and its zip64 forms), whose own offset is `end`."""
    disk, directory_disk, here, members, size, start = fields
    locator = (
        _read(archive, end - _LOCATOR64.size, _LOCATOR64.size) if end >= _LOCATOR64.size else b""
    )
    if locator.startswith(_LOCATOR64_SIGNATURE):
        _, end64_disk, end64, disks = _LOCATOR64.unpack(locator)
        if end64 + _END64.size != end - _LOCATOR64.size or end64_disk or disks > 1:
            raise CorruptArchive("the archive's zip64 records contradict each other")
        signature, rest, _, _, *wide = _END64.unpack(_read(archive, end64, _END64.size))
        narrow = (disk, directory_disk, here, members, size, start)
        limits = (_FULL16, _FULL16, _FULL16, _FULL16, _FULL32, _FULL32)
        if (
            signature != _END64_SIGNATURE
            or rest != _END64.size - 12
            or any(
                short not in (long, limit)
                for short, long, limit in zip(narrow, wide, limits, strict=True)
            )
        ):
            raise CorruptArchive("the archive's zip64 records contradict each other")
        disk, directory_disk, here, members, size, start = wide
        end = end64
    if disk or directory_disk:
        raise CorruptArchive("the archive is one part of several")
    if here != members or not 0 < members <= _MAX_ENTRIES:
        raise CorruptArchive(f"the archive holds {members} files; exactly one CSV was expected")
    if start + size != end:
        raise CorruptArchive(
            "the archive's directory does not end where its end record begins: bytes are missing"
            " or too many"
        )
    if size > members * _MAX_ENTRY_BYTES:
        # It is read as a whole, and may be as long as the archive.
        raise CorruptArchive(_NOT_ITS_FILES)
    return start, end, members


# --- the headers ----------------------------------------------------------------------------------


def _read_entries(directory: bytes, number: int) -> list[_Entry]:
    """Reads the entries that the whole directory must be."""
    entries = []
    at = 0
    for _ in range(number):
        entry, at = _read_entry(directory, at)
        entries.append(entry)
    if at != len(directory):
        raise CorruptArchive(_NOT_ITS_FILES)
    return entries


def _read_entry(directory: bytes, at: int) -> tuple[_Entry, int]:
    """Reads the entry at an offset of the directory; where the next one begins."""
    if len(directory) - at < _CENTRAL.size or not directory.startswith(_CENTRAL_SIGNATURE, at):
        raise CorruptArchive("the archive's directory is damaged")
    (_, _, system, _, flags, method, _, _, crc, packed, size, name_length, extra_length, comment,
     disk, _, attributes, offset) = _CENTRAL.unpack_from(directory, at)  # fmt: skip
    name_begin = at + _CENTRAL.size
    name_end = name_begin + name_length
    end = name_end + extra_length + comment
    if end > len(directory):
        raise CorruptArchive(_NOT_ITS_FILES)
    raw_name = directory[name_begin:name_end]
    extra = _extra(directory[name_end : name_end + extra_length])
    size, packed, offset, disk = _wide(
        extra, ((size, _FULL32), (packed, _FULL32), (offset, _FULL32), (disk, _FULL16))
    )
    _check_unicode_name(extra, raw_name)
    if disk:
        raise CorruptArchive("the archive is one part of several")
    if flags & _ENCRYPTED:
        raise CorruptArchive("the archive's file is encrypted")
    if flags & _PATCH or method not in (STORED, DEFLATED):
        raise CorruptArchive(
            f"the archive's file is packed with method {method}; only stored (0) and deflated (8)"
            " are known"
        )
    kind = stat.S_IFMT(attributes >> 16) if system == _UNIX else 0
    empty = not size and not crc and packed <= _MAX_EMPTY_BYTES
    is_folder = raw_name.endswith(b"/") and empty and kind in (0, stat.S_IFDIR, stat.S_IFREG)
    special = kind not in (0, stat.S_IFREG) or attributes & _DOS_FOLDER or raw_name.endswith(b"/")
    if special and not is_folder:
        thing = "a symbolic link" if kind == stat.S_IFLNK else "a folder or special file"
        raise CorruptArchive(f"the archive holds {thing}, not a plain file")
    return _Entry(raw_name, flags, method, crc, packed, size, offset, is_folder), end


def _check_name(entry: _Entry, folders: Container[bytes]) -> str:
    """The name, if it is one: no path but its own folders, nothing odd, and a CSV's."""
    raw = entry.raw_name
    folder = raw[: raw.rfind(b"/") + 1]
    if folder in folders and not folder.startswith(b"/") and b".." not in folder.split(b"/"):
        raw = raw.removeprefix(folder)
    try:
        name = raw.decode("utf-8" if entry.flags & _UTF8 else "cp437")
    except UnicodeDecodeError as error:
        begin = raw[:_SHOWN_NAME]
        raise CorruptArchive(f"the name of the archive's file, {begin!r}, is not UTF-8") from error
    shown = name[:_SHOWN_NAME]
    if "/" in name or "\\" in name or name in ("", ".", "..") or _DRIVE.match(name):
        raise CorruptArchive(f"the name of the archive's file, {shown!r}, is a path, not a name")
    if not name.isprintable():
        raise CorruptArchive(f"the name of the archive's file, {shown!r}, holds odd characters")
    if not name.lower().endswith(".csv"):
        raise CorruptArchive(f"the archive's file, {shown!r}, is not a .csv")
    return name


def _check_local_header(archive: BinaryIO, entry: _Entry) -> int:
    """Compares the header before the file with the directory; where the packed bytes begin."""
    at = entry.header_offset
    header = _read(archive, at, _LOCAL.size)
    signature, _, flags, method, _, _, crc, packed, size, *lengths = _LOCAL.unpack(header)
    name_length: int = lengths[0]
    extra_length: int = lengths[1]
    if signature != _LOCAL_SIGNATURE:
        raise CorruptArchive("the archive does not begin with its file: something stands before it")
    names = _read(archive, at + _LOCAL.size, name_length + extra_length)
    extra = _extra(names[name_length:])
    _check_unicode_name(extra, entry.raw_name)
    same = (
        names[:name_length] == entry.raw_name
        and method == entry.method
        and not (flags ^ entry.flags) & ~_COMPRESSION_HINTS
    )
    if entry.flags & _DESCRIPTOR:
        # Written before the sizes were known: zero, or already right; zip64 says "look elsewhere".
        same &= (
            crc in (0, entry.crc)
            and packed in (0, entry.packed_bytes, _FULL32)
            and size in (0, entry.size_bytes, _FULL32)
        )
    else:
        size, packed = _wide(extra, ((size, _FULL32), (packed, _FULL32)))
        same &= (crc, packed, size) == (entry.crc, entry.packed_bytes, entry.size_bytes)
    if not same:
        raise CorruptArchive("the archive's directory and the header of its file disagree")
    return at + _LOCAL.size + name_length + extra_length


def _check_descriptor(gap: bytes, entry: _Entry) -> None:
    """What stands between the file and the directory: the data descriptor, or nothing."""
    if not entry.flags & _DESCRIPTOR:
        if gap:
            raise CorruptArchive("the archive has bytes between its file and its directory")
        return
    facts = gap.removeprefix(_DESCRIPTOR_SIGNATURE) if len(gap) in (16, 24) else gap
    if len(facts) not in (12, 20):
        raise CorruptArchive(
            "the archive has bytes between its file and its directory that are no data descriptor"
        )
    if struct.unpack("<3L" if len(facts) == 12 else "<LQQ", facts) != (
        entry.crc,
        entry.packed_bytes,
        entry.size_bytes,
    ):
        raise CorruptArchive("the archive's directory and its data descriptor disagree")


# --- extra fields ---------------------------------------------------------------------------------


def _extra(raw: bytes) -> dict[int, bytes]:
    """The extra fields by their number; of two with one number that is refused, not guessed."""
    fields: dict[int, bytes] = {}
    at = 0
    while len(raw) - at >= 4:  # fewer bytes are padding, which some writers leave
        number, size = struct.unpack_from("<2H", raw, at)
        at += 4
        if size > len(raw) - at or (number in fields and number != 0):
            raise CorruptArchive("the archive's extra fields are damaged")
        fields[number] = raw[at : at + size]
        at += size
    return fields


def _wide(extra: dict[int, bytes], narrow: Sequence[tuple[int, int]]) -> list[int]:
    """The values, those that do not fit (they equal their limit) taken from the zip64 field."""
    raw = extra.get(_ZIP64_EXTRA, b"")
    at = 0
    values: list[int] = []
    for value, limit in narrow:
        wide = value
        if value == limit:
            layout = "<Q" if limit == _FULL32 else "<L"
            if len(raw) - at < struct.calcsize(layout):
                raise CorruptArchive("the archive's zip64 sizes are missing")
            (wide,) = struct.unpack_from(layout, raw, at)
            at += struct.calcsize(layout)
        values.append(wide)
    return values


def _check_unicode_name(extra: dict[int, bytes], raw_name: bytes) -> None:
    """Refuses a second name in the extra field: some readers would take it."""
    field = extra.get(_UNICODE_NAME_EXTRA)
    if field is not None and field[5:] != raw_name:
        raise CorruptArchive("the archive gives its file two different names")
