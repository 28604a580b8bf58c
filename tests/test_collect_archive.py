"""The structure of archives: what real writers make passes, what hides something does not."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.collect import inflate
from orchestrator.collect.archive import Member, read_member
from orchestrator.errors import CorruptArchive
from tests.kit.archives import (
    NAME,
    RawZip,
    csv_bytes,
    deflate,
    seekable_zip,
    streamed_zip,
)

CONTENT = csv_bytes()
EMPTY_END = b"PK\x05\x06" + bytes(18)


def unpack(archive: bytes, items_count: int | None = None) -> bytes:
    file = io.BytesIO(archive)
    member = read_member(file)
    inflate.check_size(member, items_count)
    return b"".join(inflate.blocks(file, member))


def descriptor(content: bytes, *, wide: bool, signed: bool) -> bytes:
    form = "<LQQ" if wide else "<LLL"
    facts = struct.pack(form, zlib.crc32(content), len(deflate(content)), len(content))
    return b"PK\x07\x08" * signed + facts


def zip64_end(archive: bytes) -> bytes:
    """The archive with its end record moved to the zip64 forms."""
    end = archive.rindex(b"PK\x05\x06")
    size, start = struct.unpack_from("<LL", archive, end + 12)
    wide = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, size, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    short = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return archive[:end] + wide + locator + short


STREAMED = RawZip(content=CONTENT, flags=8, local_crc=0, local_size=0)

GOOD = {
    "streamed": streamed_zip(CONTENT),
    "streamed, zip64": streamed_zip(CONTENT, zip64=True),
    "streamed, stored": streamed_zip(CONTENT, method=zipfile.ZIP_STORED),
    "sizes in the headers": seekable_zip((NAME, CONTENT)),
    "stored": seekable_zip((NAME, CONTENT), method=zipfile.ZIP_STORED),
    "upper case": streamed_zip(CONTENT, "REPORT.CSV"),
    "name in UTF-8": streamed_zip(CONTENT, "récit.csv"),
    "by hand": bytes(RawZip(content=CONTENT)),
    "made on DOS": bytes(RawZip(content=CONTENT, system=0, attributes=0x20)),
    "with a comment": bytes(RawZip(content=CONTENT, comment=b"made by hand")),
    "zip64 end records": zip64_end(streamed_zip(CONTENT)),
    "unsigned descriptor": bytes(
        STREAMED.but(between=descriptor(CONTENT, wide=False, signed=False))
    ),
    "wide descriptor": bytes(STREAMED.but(between=descriptor(CONTENT, wide=True, signed=True))),
    "wide unsigned descriptor": bytes(
        STREAMED.but(between=descriptor(CONTENT, wide=True, signed=False))
    ),
    "same name again in an extra field": bytes(
        RawZip(content=CONTENT, extra=b"up\x25\x00\x01" + bytes(4) + NAME.encode())
    ),
    "a folder before it": seekable_zip(("2026/", b""), (NAME, CONTENT)),
    "a folder behind it": seekable_zip((NAME, CONTENT), ("2026/", b"")),
    "in folders of its own": seekable_zip(("a/", b""), ("a/b/", b""), (f"a/b/{NAME}", CONTENT)),
    "padding in the extra field": bytes(RawZip(content=CONTENT, local_extra=bytes(7))),
    "compression hints differ": bytes(RawZip(content=CONTENT, flags=2, local_flags=0)),
    "zip64 sizes in the directory": bytes(
        RawZip(
            content=CONTENT,
            size=0xFFFFFFFF,
            local_size=len(CONTENT),
            extra=struct.pack("<HHQ", 1, 8, len(CONTENT)),
        )
    ),
}


@pytest.mark.parametrize("archive", GOOD.values(), ids=GOOD)
def test_whatever_real_writers_make_is_unpacked_byte_for_byte(archive: bytes) -> None:
    assert unpack(archive) == CONTENT


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_empty_csv_is_unpacked(method: int) -> None:
    assert unpack(streamed_zip(b"", method=method)) == b""


def test_what_packs_extremely_well_is_unpacked_in_bounded_blocks() -> None:
    file = io.BytesIO(streamed_zip(bytes(8_000_000)))
    sizes = [len(block) for block in inflate.blocks(file, read_member(file))]
    assert sum(sizes) == 8_000_000
    assert max(sizes) <= inflate.BLOCK


A_PATH = "the name of the archive's file, {!r}, is a path, not a name"
DISAGREE = "the archive's directory and the header of its file disagree"
MEMBERS = "the archive holds {} files; exactly one CSV was expected"
NO_DESCRIPTOR = (
    "the archive has bytes between its file and its directory that are no data descriptor"
)
RAW = RawZip()

EVIL: dict[str, tuple[bytes | RawZip, str]] = {
    "nothing": (b"", "the download is empty, not a ZIP archive"),
    "a web page": (
        b"<html>Bad Gateway</html>",
        "the download is not a ZIP archive but a page of HTML or XML (24 bytes)",
    ),
    "cut off": (
        streamed_zip(CONTENT)[:-30],
        "the archive is cut off: its end record is missing",
    ),
    "cut in the end record": (
        streamed_zip(CONTENT)[:-1],
        "the archive does not end with its end record: it is cut off or something follows",
    ),
    "garbage behind": (
        RAW.but(after=b"garbage"),
        "the archive does not end with its end record: it is cut off or something follows",
    ),
    "a second end record in its comment": (
        RAW.but(comment=EMPTY_END + b"and more"),
        "the archive does not end with its end record: it is cut off or something follows",
    ),
    "an empty archive in its comment": (RAW.but(comment=EMPTY_END), MEMBERS.format(0)),
    "garbage before": (
        RAW.but(before=b"MZ garbage"),
        "the archive does not begin with its file: something stands before it",
    ),
    "garbage before, offsets right": (
        RAW.but(before=b"MZ garbage", offset=10),
        "the archive's file begins at byte 10, not at its first byte: something stands before it",
    ),
    "garbage between": (
        RAW.but(between=b"garbage"),
        "the archive has bytes between its file and its directory",
    ),
    "garbage instead of a descriptor": (RAW.but(flags=8, between=b"garbage"), NO_DESCRIPTOR),
    "garbage and a descriptor": (
        RAW.but(flags=8, between=bytes(99) + descriptor(RAW.content, wide=False, signed=True)),
        NO_DESCRIPTOR,
    ),
    "no descriptor": (RAW.but(flags=8), NO_DESCRIPTOR),
    "a descriptor that lies": (
        RAW.but(flags=8, between=descriptor(b"another", wide=False, signed=True)),
        "the archive's directory and its data descriptor disagree",
    ),
    "garbage before the end record": (
        RAW.but(after_directory=b"garbage"),
        (
            "the archive's directory does not end where its end record begins: bytes are missing or"
            " too many"
        ),
    ),
    "no members": (EMPTY_END, MEMBERS.format(0)),
    "two members": (seekable_zip((NAME, b"a"), ("b.csv", b"b")), MEMBERS.format(2)),
    "two members and a folder": (
        seekable_zip(("a/", b""), (NAME, b"a"), ("a/b.csv", b"b")),
        MEMBERS.format(2),
    ),
    "folders alone": (
        seekable_zip(("a/", b""), ("b/", b"")),
        "the archive holds a folder or special file, not a plain file",
    ),
    "a folder that holds something": (
        seekable_zip((NAME, b"a"), ("b/", b"hidden")),
        "the archive holds a folder or special file, not a plain file",
    ),
    "a folder that is not its own": (
        seekable_zip(("a/", b""), ("b/x.csv", b"a")),
        A_PATH.format("b/x.csv"),
    ),
    "a folder upwards": (seekable_zip(("../", b""), ("../x.csv", b"a")), A_PATH.format("../x.csv")),
    "a folder at the root": (seekable_zip(("/", b""), ("/x.csv", b"a")), A_PATH.format("/x.csv")),
    "a second member that is not counted": (
        seekable_zip((NAME, b"a"), ("b.csv", b"b")).replace(b"\x02\0\x02\0", b"\x01\0\x01\0"),
        "the archive's directory holds more or less than its one file",
    ),
    "an absolute path": (RAW.but(name=b"/etc/cron.csv"), A_PATH.format("/etc/cron.csv")),
    "a path upwards": (RAW.but(name=b"../x.csv"), A_PATH.format("../x.csv")),
    "a folder in the name": (RAW.but(name=b"a/b.csv"), A_PATH.format("a/b.csv")),
    "a backslash in the name": (RAW.but(name=b"..\\x.csv"), A_PATH.format("..\\x.csv")),
    "a drive in the name": (RAW.but(name=b"C:x.csv"), A_PATH.format("C:x.csv")),
    "dots as the name": (RAW.but(name=b".."), A_PATH.format("..")),
    "no name": (RAW.but(name=b""), A_PATH.format("")),
    "NUL in the name": (
        RAW.but(name=b"a.exe\0.csv"),
        "the name of the archive's file, 'a.exe\\x00.csv', holds odd characters",
    ),
    "a name that is not UTF-8": (
        RAW.but(name=b"\xff.csv", flags=1 << 11),
        "the name of the archive's file, b'\\xff.csv', is not UTF-8",
    ),
    "not a CSV": (RAW.but(name=b"report.exe"), "the archive's file, 'report.exe', is not a .csv"),
    "a folder": (
        RAW.but(name=b"a/"),
        "the archive holds a folder or special file, not a plain file",
    ),
    "a folder by its attributes": (
        RAW.but(attributes=0x10),
        "the archive holds a folder or special file, not a plain file",
    ),
    "a device": (
        RAW.but(attributes=0o060644 << 16),
        "the archive holds a folder or special file, not a plain file",
    ),
    "a symbolic link": (
        RAW.but(attributes=0o120777 << 16),
        "the archive holds a symbolic link, not a plain file",
    ),
    "encrypted": (RAW.but(flags=1), "the archive's file is encrypted"),
    "strongly encrypted": (RAW.but(flags=1 << 6 | 1), "the archive's file is encrypted"),
    "another method": (
        RAW.but(method=12),
        "the archive's file is packed with method 12; only stored (0) and deflated (8) are known",
    ),
    "on another disk": (RAW.but(disk=1), "the archive is one part of several"),
    "two names": (RAW.but(local_name=b"other.csv"), DISAGREE),
    "two names of one length": (RAW.but(local_name=NAME.upper().encode()), DISAGREE),
    "two names by an extra field": (
        RAW.but(extra=b"up\x0a\x00\x01" + bytes(4) + b"x.csv"),
        "the archive gives its file two different names",
    ),
    "two methods": (RAW.but(local_method=0), DISAGREE),
    "two sizes": (RAW.but(local_size=7), DISAGREE),
    "two checksums": (RAW.but(local_crc=7), DISAGREE),
    "two opinions on encryption": (RAW.but(local_flags=1), DISAGREE),
    "extra fields that run over": (
        RAW.but(extra=b"up\xff\xff"),
        "the archive's extra fields are damaged",
    ),
    "zip64 sizes that are not there": (
        RAW.but(size=0xFFFFFFFF),
        "the archive's zip64 sizes are missing",
    ),
    "a file that runs into the directory": (
        RAW.but(packed_size=99),
        "the archive's file runs into its directory: the sizes are wrong",
    ),
    "packed bytes that are none": (
        RAW.but(packed=b"\xff" * 20),
        "the archive's packed bytes are damaged",
    ),
    "packed bytes that stop": (
        RAW.but(packed=deflate(RAW.content)[:-3]),
        "the archive's packed bytes end too early: they are cut off",
    ),
    "packed bytes with something behind": (
        RAW.but(packed=deflate(RAW.content) + b"hidden"),
        "the archive's packed bytes go on behind their end: something is hidden",
    ),
    "more than promised": (
        RAW.but(size=3),
        "the archive unpacks to more than the 3 bytes it promises",
    ),
    "less than promised": (
        RAW.but(size=99),
        "the archive unpacks to less than the 99 bytes it promises",
    ),
    "a wrong checksum": (
        RAW.but(crc=0xBAD),
        (
            f"the archive's checksum is wrong (CRC-32 {zlib.crc32(RAW.content):08x}, promised"
            " 00000bad): its bytes are damaged"
        ),
    ),
    "zip64 records that contradict": (
        zip64_end(streamed_zip(CONTENT)).replace(b"PK\x06\x06\x2c", b"PK\x06\x06\x2d"),
        "the archive's zip64 records contradict each other",
    ),
}


@pytest.mark.parametrize(("archive", "words"), EVIL.values(), ids=EVIL)
def test_evil_archives_are_refused_in_words(archive: bytes | RawZip, words: str) -> None:
    with pytest.raises(CorruptArchive) as caught:
        unpack(bytes(archive))
    assert str(caught.value) == words


MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("size", "packed", "items_count", "words"),
    [
        (200 * MIB, MIB, None, None),
        (
            200 * MIB + 1,
            MIB,
            None,
            (
                "the archive's 1,048,576 bytes would unpack to 209,715,201, more than 200 times as"
                " much: no CSV of records is like that"
            ),
        ),
        (64 * MIB, 1, 0, None),
        (101 * MIB, MIB, 100, None),
        (
            101 * MIB + 1,
            MIB,
            100,
            "the archive would unpack to 105,906,177 bytes, far too many for 100 records",
        ),
    ],
)
def test_bombs_are_refused_before_they_go_off(
    size: int, packed: int, items_count: int | None, words: str | None
) -> None:
    member = Member(NAME, 8, 0, packed, size, 0)
    if words is None:
        inflate.check_size(member, items_count)
        return
    with pytest.raises(CorruptArchive) as caught:
        inflate.check_size(member, items_count)
    assert str(caught.value) == words


@given(st.data())
def test_no_damage_makes_anything_but_the_truth_or_a_refusal(data: st.DataObject) -> None:
    archive = bytearray(data.draw(st.sampled_from(sorted(GOOD.values()))))
    for _ in range(data.draw(st.integers(1, 3))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(archive)))
    try:
        unpacked = unpack(bytes(archive[:cut] if data.draw(st.booleans()) else archive))
    except CorruptArchive:
        return
    assert unpacked == CONTENT
