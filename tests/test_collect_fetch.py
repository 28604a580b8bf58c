"""From a download to a verified file: byte for byte, counted, and nothing left of what failed."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from anyio import CancelScope, from_thread

from orchestrator.collect import archive_fetch, disk, inflate, safe_open
from orchestrator.collect.cancellable_thread import STEP_BYTES
from orchestrator.collect.collector import FileCollector
from orchestrator.collect.convert import convert
from orchestrator.collect.formats import output_format
from orchestrator.collect.output_file import OutputFile
from orchestrator.core.settings import Format, OutputSettings
from orchestrator.errors import CorruptArchive, OutputError, TransportError
from tests.kit.archives import (
    NASTY_ROWS,
    WAYS,
    BytesDownload,
    RawZip,
    a_report,
    csv_bytes,
    csv_in,
    go_the_way,
    records_in,
    streamed_zip,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from orchestrator.core.lifecycle import VerifiedFile
    from orchestrator.core.model import Report


pytestmark = pytest.mark.anyio

CONTENT = csv_bytes()
ARCHIVE = streamed_zip(CONTENT)
FOLDER = (
    "report_account=abcd1234/report_product=SMS/report_direction=outbound/report_filter=all/"
    "20240101T000000Z_20240201T000000Z"
)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Small archives are made into files in memory, larger ones while they come."""
    go_the_way(request.param, monkeypatch)
    return str(request.param)


def files_in(directory: Path) -> list[str]:
    return sorted(
        str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()
    )


@pytest.mark.parametrize("form", list(Format))
@pytest.mark.parametrize(
    "case",
    [
        (CONTENT, 6),
        (csv_bytes(ends="\r\n"), 6),
        (b"", 0),
        (CONTENT[: CONTENT.index(b"\n") + 1], 0),
        (b"\xef\xbb\xbf" + CONTENT.removesuffix(b"\n"), 6),
    ],
    ids=["nasty bodies", "CR LF", "empty", "header only", "byte order mark, no last line feed"],
)
@pytest.mark.parametrize("chunk", [7, 1 << 20])
async def test_every_form_holds_the_csv_byte_for_byte(
    tmp_path: Path, form: Format, case: tuple[bytes, int], chunk: int, way: str
) -> None:
    content, rows = case
    archive = streamed_zip(content)
    told: list[int] = []
    collector = FileCollector(
        OutputSettings(tmp_path / "reports", form),
        on_bytes=lambda _, size_bytes: told.append(size_bytes),
    )
    report = a_report(rows)
    verdict = await collector.fetch(report, BytesDownload(archive, chunk=chunk))
    assert verdict.rows == rows
    assert verdict.target == f"{FOLDER}.{form.value}"
    assert sum(told) == len(archive)
    assert files_in(tmp_path) == [f"reports/.partial/17_ri3p58f-42d57cfd.verified.{form.value}"]

    assert await collector.publish(verified(report, verdict))
    assert files_in(tmp_path) == [f"reports/{verdict.target}"]
    published = (tmp_path / "reports" / verdict.target).read_bytes()
    if output_format(form).keeps_bytes:
        assert csv_in(published, form) == content
    else:
        read = records_in(csv_in(published, form))
        assert (read == records_in(content)) if content else len(read) == 1
    assert (published == archive) == (form is Format.ZIP)
    assert verdict.sha256 == hashlib.sha256(published).hexdigest()
    assert verdict.size_bytes == len(published)


async def test_a_value_that_does_not_fit_costs_one_more_pass_over_the_archive(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []

    def counted(*arguments: Any, **options: Any) -> Any:
        passes.append(arguments)
        return convert(*arguments, **options)

    monkeypatch.setattr(archive_fetch, "convert", counted)
    content = b"account_id,total_price\nabcd1234,0.05\nabcd1234,cheap\n"
    collector = FileCollector(OutputSettings(tmp_path / "reports", Format.PARQUET))
    verdict = await collector.fetch(a_report(2), BytesDownload(streamed_zip(content)))
    (name,) = files_in(tmp_path)
    assert csv_in((tmp_path / name).read_bytes(), Format.PARQUET).count(b"cheap") == 1
    assert verdict.rows == 2
    assert len(passes) == 1, way


def verified(report: Report, verdict: VerifiedFile) -> Report:
    return a_report(
        report.items_count,
        rows=verdict.rows,
        size_bytes=verdict.size_bytes,
        sha256=verdict.sha256,
        target=verdict.target,
    )


async def test_gzip_files_are_the_same_whenever_they_are_made(tmp_path: Path) -> None:
    """No time and no name in them: RFC 1952's header says nothing but 'deflate'."""
    collector = FileCollector(OutputSettings(tmp_path, Format.CSV_GZ))
    await collector.fetch(a_report(), BytesDownload(ARCHIVE))
    (made,) = (tmp_path / ".partial").iterdir()
    assert made.read_bytes()[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


async def test_large_downloads_go_through_in_pieces(tmp_path: Path) -> None:
    """3 MB that do not pack: several hand-overs to a thread, and the last piece is not lost."""
    noise = random.Random(7).randbytes(1_500_000).hex()
    content = csv_bytes([("id", "body"), *((str(n), noise[n : n + 1000]) for n in range(3000))])
    archive = streamed_zip(content, method=zipfile.ZIP_STORED)
    collector = FileCollector(OutputSettings(tmp_path))
    verdict = await collector.fetch(a_report(3000), BytesDownload(archive, length=None))
    assert verdict.sha256 == hashlib.sha256(content).hexdigest()


async def test_a_count_nobody_promised_is_not_compared(tmp_path: Path) -> None:
    verdict = await FileCollector(OutputSettings(tmp_path)).fetch(
        a_report(None), BytesDownload(ARCHIVE)
    )
    assert verdict.rows == 6


BROKEN: dict[str, tuple[Callable[[], BytesDownload], int | None, type[Exception], str]] = {
    "wrong count": (
        lambda: BytesDownload(ARCHIVE),
        1234,
        CorruptArchive,
        "the CSV holds 6 records, the API promised 1,234",
    ),
    "records where none were promised": (
        lambda: BytesDownload(ARCHIVE),
        0,
        CorruptArchive,
        "the CSV holds 6 records, the API promised 0",
    ),
    "lone quote": (
        lambda: BytesDownload(streamed_zip(b'a\n"1\n')),
        1,
        CorruptArchive,
        "the CSV ends inside a quoted field: it is cut or damaged",
    ),
    "evil archive": (
        lambda: BytesDownload(bytes(RawZip(name=b"../x.csv"))),
        1,
        CorruptArchive,
        ("the name of the archive's file, '../x.csv', is a path, not a name"),
    ),
    "no archive at all": (
        lambda: BytesDownload(b""),
        1,
        CorruptArchive,
        "the download is empty, not a ZIP archive",
    ),
    "longer than announced": (
        lambda: BytesDownload(ARCHIVE, length=100, chunk=64),
        6,
        CorruptArchive,
        "the download goes on behind the 100 bytes announced",
    ),
    "far too long, announced": (
        lambda: BytesDownload(ARCHIVE, length=10**12),
        6,
        CorruptArchive,
        ("the download is 1,000,000,000,000 bytes long, far too many for its records"),
    ),
    "shorter than announced": (
        lambda: BytesDownload(ARCHIVE, length=len(ARCHIVE) + 1),
        6,
        TransportError,
        f"the download ended after {len(ARCHIVE)} of {len(ARCHIVE) + 1} bytes",
    ),
    "broken stream": (
        lambda: BytesDownload(
            ARCHIVE, chunk=10, error=TransportError("reset by peer", maybe_sent=True)
        ),
        6,
        TransportError,
        "reset by peer",
    ),
}


@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("form", list(Format))
async def test_nothing_is_left_of_a_failed_fetch_but_a_bad_archive(
    tmp_path: Path,
    form: Format,
    case: tuple[Callable[[], BytesDownload], int | None, type[Exception], str],
    way: str,
) -> None:
    download, items_count, kind, words = case
    collector = FileCollector(OutputSettings(tmp_path, form))
    with pytest.raises(kind) as caught:
        await collector.fetch(a_report(items_count), download())
    assert str(caught.value) == words
    archive = ".partial/17_ri3p58f-42d57cfd.archive.part"
    assert files_in(tmp_path) in ([], [archive] if kind is CorruptArchive else [])

    verdict = await collector.fetch(a_report(), BytesDownload(ARCHIVE))
    assert await collector.publish(verified(a_report(), verdict))
    assert files_in(tmp_path) == [verdict.target]


async def test_a_stream_without_end_or_length_is_cut_at_the_bound(tmp_path: Path) -> None:
    class Endless:
        length = None
        start = 0
        validator = None

        async def chunks(self) -> AsyncGenerator[bytes, None]:
            while True:
                yield bytes(1 << 20)

    collector = FileCollector(OutputSettings(tmp_path))
    with pytest.raises(CorruptArchive, match="the download goes on behind 67,108,864 bytes"):
        await collector.fetch(a_report(1), Endless())


async def test_a_cancelled_fetch_leaves_nothing_and_closes_its_stream(tmp_path: Path) -> None:
    download = BytesDownload(bytes(3 << 20), chunk=1 << 20)
    with CancelScope() as scope:
        collector = FileCollector(
            OutputSettings(tmp_path), on_bytes=lambda _, __: count_to(2, scope.cancel)
        )
        countdown = [0]

        def count_to(number: int, act: Callable[[], None]) -> None:
            countdown[0] += 1
            if countdown[0] == number:
                act()

        await collector.fetch(a_report(1000), download)
    assert scope.cancelled_caught
    assert download.closed
    assert files_in(tmp_path) == []


async def test_cancellation_is_heard_while_an_archive_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 40 MB; cancelled as it begins, all but the first 32 are never unpacked."""
    row = b'"abcd1234","%s"\n' % (random.Random(1).randbytes(500).hex().encode())
    archive = streamed_zip(row * 40_000)
    take = OutputFile.take
    taken: list[int] = []

    def watched(file: OutputFile, block: bytes) -> None:
        if not taken:
            from_thread.run_sync(scope.cancel)
        taken.append(len(block))
        take(file, block)

    monkeypatch.setattr(OutputFile, "take", watched)
    monkeypatch.setattr("orchestrator.collect.inflate._MAX_RATIO", 10**6)
    with CancelScope() as scope:
        await FileCollector(OutputSettings(tmp_path)).fetch(a_report(None), BytesDownload(archive))
    assert scope.cancelled_caught
    assert STEP_BYTES <= sum(taken) <= STEP_BYTES + inflate.BLOCK
    assert files_in(tmp_path) == []


async def test_a_full_disk_is_said_in_words_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """The kernel's own full device stands in for the file that is being written."""

    def on_a_full_disk(_path: Path, **_options: Any) -> Any:
        return Path("/dev/full").open("wb")

    monkeypatch.setattr(safe_open, "create", on_a_full_disk)
    collector = FileCollector(OutputSettings(tmp_path))
    with pytest.raises(OutputError) as caught:
        await collector.fetch(a_report(), BytesDownload(ARCHIVE))
    written = "csv" if way == "at once" else "archive"
    assert str(caught.value) == (
        f"cannot write {tmp_path}/.partial/17_ri3p58f-42d57cfd.{written}.part: the disk is full;"
        " make room and run again, nothing collected so far is lost"
    )
    assert files_in(tmp_path) == []


async def test_a_disk_that_fills_up_while_unpacking_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    really_create = safe_open.create

    def on_a_full_disk(path: Path, **options: Any) -> Any:
        is_data = path.name.endswith(".csv.part")
        return Path("/dev/full").open("wb") if is_data else really_create(path, **options)

    monkeypatch.setattr(safe_open, "create", on_a_full_disk)
    with pytest.raises(OutputError, match=r"\.csv\.part: the disk is full; make room"):
        await FileCollector(OutputSettings(tmp_path)).fetch(a_report(), BytesDownload(ARCHIVE))
    assert files_in(tmp_path) == []


async def test_an_output_directory_that_is_a_file_is_said_in_words(
    tmp_path: Path, way: str
) -> None:
    (tmp_path / "reports").write_text("a file")
    with pytest.raises(OutputError) as caught:
        await FileCollector(OutputSettings(tmp_path / "reports")).fetch(
            a_report(), BytesDownload(ARCHIVE)
        )
    assert str(caught.value) == (
        f"cannot write {tmp_path}/reports: a file stands where a folder must be, or the other way"
        " round; move it away"
    )


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (
            errno.ENOSPC,
            "the disk is full; make room and run again, nothing collected so far is lost",
        ),
        (errno.EDQUOT, "the disk quota is used up; raise it or make room, and run again"),
        (
            errno.EROFS,
            "the file system is read-only; mount it writable, or point output.directory elsewhere",
        ),
        (
            errno.EACCES,
            (
                "permission denied; give the user who runs this the right to write in /out, or"
                " point output.directory elsewhere"
            ),
        ),
        (
            errno.EPERM,
            (
                "permission denied; give the user who runs this the right to write in /out, or"
                " point output.directory elsewhere"
            ),
        ),
        (
            errno.EXDEV,
            (
                "it lies on another file system than the output directory's .partial folder; keep"
                " both on one"
            ),
        ),
        (errno.ENFILE, "too many open files; lower limits.downloads, or raise `ulimit -n`"),
        (errno.EIO, "Input/output error; look at the disk, then run again"),
    ],
)
def test_every_refusal_of_the_disk_says_what_where_and_what_to_do(number: int, words: str) -> None:
    error = OSError(number, os.strerror(number))
    assert disk.explain(error, Path("/out/x.csv"), "write") == f"cannot write /out/x.csv: {words}"


def large_zip(path: Path, blocks: int) -> int:
    """Writes a ZIP of so many megabytes of CSV, quickly; how many records are in it.

    A deflated block that ends in a full flush may stand in a stream any number of times.
    """
    ids = random.Random(3).randbytes(16 * 4000).hex()
    block = "".join(
        f'"{ids[at : at + 32]}","said ""hello"" to them,\n{"and so on " * 20}"\n'
        for at in range(0, len(ids), 32)
    ).encode()
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    header = b'"id","body"\n'
    packed_header = packer.compress(header) + packer.flush(zlib.Z_FULL_FLUSH)
    packed_block = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    crc = zlib.crc32(header)
    for _ in range(blocks):
        crc = zlib.crc32(block, crc)
    raw = RawZip(
        packed=packed_header + packed_block * blocks + packer.flush(),
        crc=crc,
        size=len(header) + blocks * len(block),
    )
    path.write_bytes(bytes(raw))
    return 4000 * blocks


MEASURE = """
import sys
from pathlib import Path
import anyio
from orchestrator.collect.collector import FileCollector
from orchestrator.collect.convert import convert
from orchestrator.core.settings import Format, OutputSettings
from tests.kit.archives import BytesDownload, a_report, streamed_zip

class FromDisk:
    start, validator = 0, None

    def __init__(self, path):
        self.path, self.length = path, path.stat().st_size

    async def chunks(self):
        with self.path.open("rb") as file:
            while block := file.read(65536):
                yield block

def peak():  # of this program; getrusage would start from the parent's
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

async def main(archive, out, rows):
    collector = FileCollector(OutputSettings(Path(out)))
    await collector.fetch(a_report(1), BytesDownload(streamed_zip(b"a\\n1\\n")))
    before = peak()
    verdict = await collector.fetch(a_report(int(rows), id=18), FromDisk(Path(archive)))
    print(verdict.size_bytes, peak() - before)

anyio.run(main, *sys.argv[1:])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_memory_does_not_grow_with_the_report(tmp_path: Path) -> None:
    """A report of 230 MB of CSV raises the resident memory by less than 24 MB."""
    rows = large_zip(tmp_path / "large.zip", 220)
    output = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path / "large.zip", tmp_path / "out", str(rows)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    size_bytes, grown_bytes = map(int, output.split())
    assert size_bytes > 220_000_000
    assert grown_bytes < 24 * 1024 * 1024


def test_the_nasty_rows_are_nasty() -> None:
    """What the other tests rely on."""
    assert CONTENT.count(b"\n") > len(NASTY_ROWS)
