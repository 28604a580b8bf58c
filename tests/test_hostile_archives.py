"""Evil ZIPs and odd CSVs, from the download to the disk: refused in words, or byte for byte."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.collect.collector import FileCollector
from orchestrator.collect.formats import output_format
from orchestrator.core.lifecycle import State
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.core.settings import Format, OutputSettings
from orchestrator.errors import CorruptArchive
from orchestrator.simulator import Fault, Settings
from orchestrator.simulator.faults.bad_files import ARCHIVE_FORMS, CSV_FORMS, HARMLESS, HONEST
from tests.kit.archives import (
    WAYS,
    BytesDownload,
    RawZip,
    a_report,
    csv_bytes,
    csv_in,
    go_the_way,
    streamed_zip,
)
from tests.kit.stage import between, job, stage, with_faults
from tests.test_collect_archive import EVIL, GOOD

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.core.lifecycle import VerifiedFile


pytestmark = pytest.mark.anyio

FORMS = [one for one in Format if output_format(one).keeps_bytes]
MIB = 1 << 20


def files_in(directory: Path) -> list[str]:
    """Everything below a directory that is no folder, links included."""
    return sorted(
        str(path.relative_to(directory))
        for path in directory.rglob("*")
        if path.is_symlink() or not path.is_dir()
    )


async def collected(
    collector: FileCollector, download: BytesDownload, rows: int | None
) -> VerifiedFile:
    """Fetches and publishes."""
    verdict = await collector.fetch(a_report(rows), download)
    report = a_report(rows, sha256=verdict.sha256, target=verdict.target)
    assert await collector.publish(report)
    return verdict


# --- archives -------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("archive", "words"), EVIL.values(), ids=EVIL)
async def test_an_evil_archive_leaves_itself_alone_and_nothing_beside_it(
    tmp_path: Path, archive: bytes | RawZip, words: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept for a person where unfinished files are; no name in it became a path."""
    go_the_way(way, monkeypatch)
    output = tmp_path / "home" / "reports"
    with pytest.raises(CorruptArchive) as caught:
        await FileCollector(OutputSettings(output)).fetch(
            a_report(None), BytesDownload(bytes(archive), chunk=31)
        )
    assert str(caught.value) == words
    kept = "home/reports/.partial/17_ri3p58f-42d57cfd.archive.part"
    assert files_in(tmp_path) in ([kept], [])
    if archive != b"":
        assert (tmp_path / kept).read_bytes() == bytes(archive)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("archive", GOOD.values(), ids=GOOD)
async def test_every_honest_archive_is_published_byte_for_byte(
    tmp_path: Path, archive: bytes, form: Format, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zip64, without a data descriptor, stored, with a comment: other writers are no enemies."""
    go_the_way(way, monkeypatch)
    verdict = await collected(
        FileCollector(OutputSettings(tmp_path, form)), BytesDownload(archive, chunk=31), None
    )
    assert files_in(tmp_path) == [verdict.target]
    published = (tmp_path / verdict.target).read_bytes()
    assert csv_in(published, form) == csv_in(archive, Format.ZIP)


MEASURE = """
import sys, time
from pathlib import Path
import anyio
from orchestrator.collect.collector import FileCollector
from orchestrator.core.settings import Format, OutputSettings
from orchestrator.errors import CorruptArchive
from tests.kit.archives import BytesDownload, a_report, streamed_zip
from tests.test_hostile_archives import BOMBS

def peak():  # of this program; getrusage would start from the parent's
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

async def main(out):
    for number, (name, (bomb, items_count)) in enumerate(BOMBS.items(), 1):
        archive = bomb()
        collector = FileCollector(OutputSettings(Path(out) / name))
        await collector.fetch(a_report(1), BytesDownload(streamed_zip(b"a\\n1\\n")))
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        before, begun = peak(), time.monotonic()
        try:
            await collector.fetch(a_report(items_count, id=18), BytesDownload(archive))
        except CorruptArchive as error:
            print(name, peak() - before, time.monotonic() - begun, error, sep="|")

anyio.run(main, *sys.argv[1:])
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, float, str, int]]:
    """Of each bomb: bytes of memory, seconds, words, bytes on the disk; in a process apart."""
    output = tmp_path_factory.mktemp("bombs")
    said = subprocess.run(
        [sys.executable, "-c", MEASURE, output], check=True, capture_output=True, text=True
    ).stdout
    found = {}
    for line in said.splitlines():
        name, grown, seconds, words = line.split("|")
        left = sum((output / name / file).stat().st_size for file in files_in(output / name))
        found[name] = (int(grown), float(seconds), words, left)
    return found


def zeros(blocks: int) -> bytes:
    """So many megabytes of zeros, deflated: a thousandth of it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * blocks + packer.flush()


def honest_bomb() -> bytes:
    """4 GB less a megabyte in 4 MB, and says so."""
    return bytes(RawZip(packed=zeros(4095), size=4095 * MIB, crc=0))


def lying_bomb() -> bytes:
    """4 GB that say that they are a thousand bytes."""
    return bytes(RawZip(packed=zeros(4095), size=1000, crc=0))


def bomb_below_the_ratio() -> bytes:
    """Zeros behind so much noise that the ratio looks right; far too many for one record."""
    noise = random.Random(5).randbytes(MIB)
    packed = struct.pack("<BHH", 0, 0xFFFF, 0) + noise[:0xFFFF]
    packed = packed * 16 + zeros(199)
    return bytes(RawZip(packed=packed, size=199 * MIB + 16 * 0xFFFF, crc=0))


def endless_directory() -> bytes:
    """A directory of 200 MB, which would be read as a whole."""
    plain = bytes(RawZip())
    end = plain.rindex(b"PK\x05\x06")
    size, start = struct.unpack_from("<LL", plain, end + 12)
    record = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, size + 200 * MIB, start, 0)
    return plain[:end] + bytes(200 * MIB) + record


def many_ends() -> bytes:
    """64 KB of false end records."""
    return bytes(RawZip()) + b"PK\x05\x06" * 16_000


BOMBS = {
    "honest": (honest_bomb, None),
    "lying": (lying_bomb, None),
    "below the ratio": (bomb_below_the_ratio, 1),
    "directory": (endless_directory, None),
    "ends": (many_ends, None),
}


@pytest.mark.parametrize(
    ("bomb", "words"),
    [
        ("honest", "more than 200 times as much: no CSV of records is like that"),
        ("lying", "the archive unpacks to more than the 1,000 bytes it promises"),
        ("below the ratio", "bytes, far too many for 1 records"),
        ("directory", "the archive's directory holds more or less than its one file"),
        ("ends", "the archive does not end with its end record"),
    ],
)
def test_bombs_cost_neither_memory_nor_time(
    measured: dict[str, tuple[int, float, str, int]], bomb: str, words: str
) -> None:
    grown, seconds, said, left = measured[bomb]
    assert words in said
    assert grown < 24 * MIB
    assert seconds < 5
    assert left < 201 * MIB, "the archive itself, and nothing of what it holds"


# --- CSV ------------------------------------------------------------------------------------------

NAMED_CSVS = {
    "line feeds": csv_bytes(),
    "CR LF": csv_bytes(ends="\r\n"),
    "CR LF inside a body, LF outside": b'"a"\n"1\r\n2"\n',
    "CR alone": b'"a"\r"1"\r',
    "byte order mark": b"\xef\xbb\xbf" + csv_bytes(),
    "UTF-16": "a\n1\n".encode("utf-16"),
    "NUL bytes": b'"a\0"\n\0\n"\0\0"\n',
    "NUL bytes alone": bytes(1000),
    "no UTF-8": b'"a"\n"\xff\xfe\x80"\n',
    "control characters": bytes(range(32)).replace(b"\n", b"") + b"\n\x1b[31m\n",
    "empty": b"",
    "header only": b'"a","b"\n',
    "header only, no line feed": b'"a","b"',
    "empty lines": b"\n\n\n",
    "two quotes inside a bare field": b'a\nsay ""hello""\n',
    "a record of 3 MB": b'"a"\n"' + b"x\n" * 1_500_000 + b'"\n',
    "100,000 columns": b",".join([b'"c"'] * 100_000) + b"\n" + b"," * 99_999 + b"\n",
    "formulas": b'"a"\n"=cmd|\' /C calc\'!A0"\n',
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("content", NAMED_CSVS.values(), ids=NAMED_CSVS)
async def test_what_is_collected_is_byte_for_byte_what_the_archive_held(
    tmp_path: Path, content: bytes, form: Format
) -> None:
    collector = FileCollector(OutputSettings(tmp_path, form))
    verdict = await collected(collector, BytesDownload(streamed_zip(content)), None)
    assert csv_in((tmp_path / verdict.target).read_bytes(), form) == content
    assert files_in(tmp_path) == [verdict.target]


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.lists(
        st.sampled_from([b'"', b'""', b"\n", b"\r\n", b"\r", b",", b"\0", b"\xef\xbb\xbf", b"a"])
    ).map(b"".join)
    | st.binary(max_size=300)
)
def test_no_bytes_are_changed_and_only_a_lone_quote_is_refused(
    tmp_path: Path, content: bytes, form: Format
) -> None:
    async def check() -> None:
        collector = FileCollector(OutputSettings(tmp_path, form))
        download = BytesDownload(streamed_zip(content))
        if content.count(b'"') % 2:
            with pytest.raises(CorruptArchive, match="ends inside a quoted field"):
                await collector.fetch(a_report(None), download)
            await collector.quarantine(a_report(None), "a lone quote")
            verdict = await collector.accept(a_report(None))
            report = a_report(None, sha256=verdict.sha256, target=verdict.target)
            assert await collector.publish(report)
        else:
            verdict = await collected(collector, download, None)
        place = tmp_path / verdict.target
        assert csv_in(place.read_bytes(), form) == content
        assert files_in(tmp_path) == [verdict.target]
        place.unlink()

    anyio.run(check)


# --- the whole way, from a server's answer to what the user is told -------------------------------

MONTH = between("2026-01-01", "2026-02-01")
SMALL = Settings(records_per_day=1.0)


@pytest.mark.virtual
@pytest.mark.parametrize("form", sorted(set(ARCHIVE_FORMS) - set(HONEST)))
async def test_a_report_with_an_evil_archive_is_disputed_and_kept_aside(
    tmp_path: Path, form: str
) -> None:
    faults = with_faults(SMALL, Fault.of("report", "zip", form=form, nth=1))
    async with stage(tmp_path, faults) as here:
        end = await here.run(job(MONTH))
        assert exit_code(end.remains) is ExitCode.FINDINGS
        (report,) = here.reports()
        assert report.state is State.DISPUTED
        reason, _, after = report.reason.rpartition(" (after ")
        assert after == "8 downloads)"
        assert files_in(here.output) == [
            f".aside/1_{report.request_id}.txt",
            f".aside/1_{report.request_id}.zip",
        ]
        assert reason in (here.output / f".aside/1_{report.request_id}.txt").read_text()
    assert {name.split("/")[0] for name in files_in(tmp_path)} == {"reports", "state"}


@pytest.mark.virtual
@pytest.mark.parametrize("form", sorted(HONEST))
async def test_an_archive_that_is_only_unusual_is_collected(tmp_path: Path, form: str) -> None:
    faults = with_faults(SMALL, Fault.of("report", "zip", form=form, nth=1))
    async with stage(tmp_path, faults) as here:
        end = await here.run(job(MONTH))
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(job(MONTH))


OTHER_RECORDS = {"lone_quote", "empty", "header_only"}


@pytest.mark.virtual
@pytest.mark.parametrize("form", sorted(CSV_FORMS))
async def test_an_odd_csv_is_collected_where_its_count_is_right_and_disputed_where_not(
    tmp_path: Path, form: str
) -> None:
    faults = with_faults(SMALL, Fault.of("report", "csv", form=form, nth=1))
    async with stage(tmp_path, faults) as here:
        end = await here.run(job(MONTH))
        (report,) = here.reports()
        if form not in OTHER_RECORDS:
            assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
            assert report.rows == report.items_count
            assert form not in HARMLESS or here.collected(report.series) == here.truth(
                report.series, report.window
            )
        else:
            assert exit_code(end.remains) is ExitCode.FINDINGS
            assert report.state is State.DISPUTED
            assert len(files_in(here.output)) == 2
