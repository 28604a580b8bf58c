"""Report archives for tests: real ones, streamed as the API streams them, and evil ones by hand."""

from __future__ import annotations

import csv
import gzip
import io
import struct
import sys
import zipfile
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow.parquet
import pytest

from orchestrator.collect import inflate, pipeline
from orchestrator.collect.formats import csv_zst, output_format
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Report, Series
from orchestrator.core.settings import Format

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Sequence

NAME = "report_SMS_abcd1234_20240201.csv"

WAYS = ("at once", "streamed by zlib", "streamed by isal")
"""How an archive becomes a file: see `go_the_way`."""


def go_the_way(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the collector treat every archive as a small one, or as a large one."""
    if way == "at once":
        return
    engine = inflate.isal() if way == "streamed by isal" else inflate.ZLIB
    if engine is None:
        pytest.skip("isal is not installed")
    monkeypatch.setattr(pipeline, "PIECE", 1)
    monkeypatch.setattr(inflate, "fastest", lambda: engine)


NASTY_ROWS = (
    ("account_id", "message_id", "message_body"),
    ("abcd1234", "1", "plain"),
    ("abcd1234", "2", 'say "hello", then\nleave\r\nat once'),
    ("abcd1234", "3", "\0 ÿ 漢字 🎉 \u2028 \ufeff"),
    ("abcd1234", "4", '"'),
    ("abcd1234", "5", '",\n"'),
    ("abcd1234", "6", ""),
)


def csv_bytes(rows: Iterable[Sequence[str]] = NASTY_ROWS, ends: str = "\n") -> bytes:
    """Rows as the API writes them: every field quoted."""
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator=ends).writerows(rows)
    return text.getvalue().encode()


class OneWay(io.RawIOBase):
    """A sink that cannot seek, so that sizes end up in a data descriptor."""

    def __init__(self) -> None:
        self.got = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, block: Any) -> int:
        self.got += block
        return len(block)


def csv_in(content: bytes, form: Format) -> bytes:
    """The CSV of a published file, read by other means than ours."""
    return _READERS[form](content)


def _the_file_in_zip(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (name,) = (name for name in archive.namelist() if not name.endswith("/"))
        return archive.read(name)


def records_in(content: bytes) -> list[list[str]]:
    """The fields of a CSV's records, the header's among them; none of a CSV without a header."""
    text = content.decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    return rows if any(rows) else []


def _the_records_in_parquet(content: bytes) -> bytes:
    """As a CSV with every field quoted; for columns of text alone."""
    table = pyarrow.parquet.read_table(io.BytesIO(content))
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(table.column_names)
    writer.writerows(zip(*(column.to_pylist() for column in table.columns), strict=True))
    return file.getvalue().encode()


_READERS: dict[Format, Callable[[bytes], bytes]] = {
    Format.CSV: lambda content: content,
    Format.CSV_GZ: gzip.decompress,
    Format.CSV_ZST: lambda content: bytes(csv_zst._ZSTD.decompress(content)),
    Format.ZIP: _the_file_in_zip,
    Format.PARQUET: _the_records_in_parquet,
}


def streamed_zip(
    content: bytes,
    name: str = NAME,
    method: int = zipfile.ZIP_DEFLATED,
    *,
    zip64: bool = False,
) -> bytes:
    """A ZIP of one member with a data descriptor, as the API sends them."""
    sink = OneWay()
    with (
        zipfile.ZipFile(sink, "w", method) as archive,
        archive.open(name, "w", force_zip64=zip64) as member,
    ):
        member.write(content)
    return bytes(sink.got)


def seekable_zip(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP with the sizes in the headers."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return sink.getvalue()


@dataclass(frozen=True)
class RawZip:
    """A ZIP of one member, every field of it open to lies. Built by `bytes(raw)`."""

    content: bytes = b'"a"\n"1"\n'
    name: bytes = NAME.encode()
    local_name: bytes | None = None
    flags: int = 0
    local_flags: int | None = None
    method: int = 8
    local_method: int | None = None
    packed: bytes | None = None
    crc: int | None = None
    local_crc: int | None = None
    size: int | None = None
    local_size: int | None = None
    packed_size: int | None = None
    system: int = 3
    attributes: int = 0o100644 << 16
    disk: int = 0
    offset: int = 0
    extra: bytes = b""
    local_extra: bytes = b""
    before: bytes = b""
    between: bytes = b""
    after_directory: bytes = b""
    members: int = 1
    comment: bytes = b""
    after: bytes = b""

    def but(self, **changes: Any) -> RawZip:
        """The same, with other lies."""
        return replace(self, **changes)

    def __bytes__(self) -> bytes:
        packed = deflate(self.content) if self.packed is None else self.packed
        crc = zlib.crc32(self.content) if self.crc is None else self.crc
        size = len(self.content) if self.size is None else self.size
        packed_size = len(packed) if self.packed_size is None else self.packed_size
        local_name = self.name if self.local_name is None else self.local_name
        local = struct.pack(
            "<4s5H3L2H",
            b"PK\x03\x04",
            20,
            self.flags if self.local_flags is None else self.local_flags,
            self.method if self.local_method is None else self.local_method,
            0,
            33,
            crc if self.local_crc is None else self.local_crc,
            packed_size,
            size if self.local_size is None else self.local_size,
            len(local_name),
            len(self.local_extra),
        )
        head = self.before + local + local_name + self.local_extra + packed + self.between
        directory = (
            struct.pack(
                "<4s2B5H3L5H2L",
                b"PK\x01\x02",
                20,
                self.system,
                20,
                self.flags,
                self.method,
                0,
                33,
                crc,
                packed_size,
                size,
                len(self.name),
                len(self.extra),
                0,
                self.disk,
                0,
                self.attributes,
                self.offset,
            )
            + self.name
            + self.extra
        )
        end = struct.pack(
            "<4s4H2LH",
            b"PK\x05\x06",
            0,
            0,
            self.members,
            self.members,
            len(directory),
            len(head),
            len(self.comment),
        )
        return head + directory + self.after_directory + end + self.comment + self.after


def deflate(content: bytes) -> bytes:
    """Raw deflate."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


class BytesDownload:
    """A download of bytes at hand; `error` breaks it behind the last chunk."""

    def __init__(
        self,
        content: bytes,
        *,
        chunk: int = 64 * 1024,
        length: int | None = -1,
        error: BaseException | None = None,
        start: int = 0,
        validator: str | None = None,
    ) -> None:
        self._content = content
        self.start = start
        self.validator = validator
        self._chunk = chunk
        self._error = error
        self.length = start + len(content) if length == -1 else length
        self.closed = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        try:
            for at in range(0, len(self._content), self._chunk):
                yield self._content[at : at + self._chunk]
            if self._error is not None:
                raise self._error
        finally:
            self.closed = True


JANUARY = Window.of_epoch(1704067200, 1706745600)
SMS = Series.of("abcd1234", "SMS", "outbound")


def a_report(items_count: int | None = 6, **changes: Any) -> Report:
    """A report that is ready to be fetched: SMS of January 2024."""
    report = Report(
        id=17,
        series=SMS,
        window=JANUARY,
        state=State.READY,
        api_key="abcd1234",
        job="nightly",
        intended_at=JANUARY.end,
        request_id="ri3p58f-42d57cfd",
        items_count=items_count,
    )
    return replace(report, **changes)


def without_zstd(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine whose Python has no Zstandard."""
    for module in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, csv_zst.__name__)
    output_format.cache_clear()
