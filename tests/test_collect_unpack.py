"""One pass over an archive while it comes: right to the last bit, or given up; never more."""

from __future__ import annotations

import hashlib
import io
import random
import tempfile
import threading
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.collect import inflate, pipeline
from orchestrator.collect.archive import read_member
from orchestrator.collect.collector import FileCollector
from orchestrator.collect.formats import output_format
from orchestrator.collect.formats.base import FileSubject
from orchestrator.collect.unpack import BATCH, StreamingUnpacker
from orchestrator.core.settings import Format, OutputSettings
from orchestrator.errors import CorruptArchive, OutputError, TransportError
from tests.kit.archives import (
    BytesDownload,
    RawZip,
    a_report,
    csv_bytes,
    csv_in,
    go_the_way,
    seekable_zip,
    streamed_zip,
)
from tests.test_collect_archive import GOOD
from tests.test_fuzz_archives import EVIL_ONES, VALID, fuzzed, mutants, unpacked

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from orchestrator.collect.inflate import Inflater

CONTENT = csv_bytes()
CSV = output_format(Format.CSV)
ZIP = output_format(Format.ZIP)
MIB = 1024 * 1024


@pytest.fixture(params=["zlib", "isal"])
def engine(request: pytest.FixtureRequest) -> Inflater:
    """Each library that inflates."""
    found = inflate.ZLIB if request.param == "zlib" else inflate.isal()
    if found is None:
        pytest.skip("isal is not installed")
    return found


def cut(archive: bytes, at: list[int]) -> Iterator[bytes]:
    """The archive in pieces."""
    begin = 0
    for end in [*sorted(at), len(archive)]:
        yield archive[begin:end]
        begin = max(begin, end)


def in_one_pass(
    archive: bytes, engine: Inflater, at: list[int], items_count: int | None = 6
) -> bytes | None:
    """What one pass makes of an archive in pieces; None where it gives up or does not agree."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "x.csv")
        one = StreamingUnpacker(
            place, CSV, items_count, FileSubject(), by_account=False, inflater=engine
        )
        try:
            for piece in cut(archive, at):
                one.take([piece])
            try:
                member = read_member(io.BytesIO(archive))
                inflate.check_size(member, items_count)
                if not one.agrees(member):
                    return None
                converted = one.finish()
            except CorruptArchive:
                return None
            content = place.read_bytes()
            assert converted.size_bytes == len(content)
            assert converted.sha256 == hashlib.sha256(content).hexdigest()
            return content
        finally:
            one.abandon()
            assert not place.exists()


cuts = st.lists(st.integers(0, 400), max_size=6)


@pytest.mark.parametrize("size", [1, 7, 100, 10**6])
@pytest.mark.parametrize("archive", GOOD.values(), ids=GOOD)
def test_every_deflated_archive_goes_through_in_one_pass(
    archive: bytes, size: int, engine: Inflater
) -> None:
    member = read_member(io.BytesIO(archive))
    # What begins with a folder is unpacked once it is here as a whole, as what is stored.
    fits = member.method == 8 and not zipfile.ZipFile(io.BytesIO(archive)).infolist()[0].is_dir()
    found = in_one_pass(archive, engine, list(range(0, len(archive), size)))
    assert found == (CONTENT if fits else None)


@pytest.mark.parametrize("name", ["zlib", "isal"])
@settings(fuzzed, max_examples=250)
@given(st.one_of(mutants(VALID), mutants(EVIL_ONES)), cuts)
def test_what_one_pass_takes_is_what_the_careful_reader_takes(
    name: str, archive: bytes, at: list[int]
) -> None:
    """It may give up what the other takes; it may not take anything else."""
    engine = inflate.ZLIB if name == "zlib" else inflate.isal()
    if engine is None:
        pytest.skip("isal is not installed")
    found = in_one_pass(archive, engine, at)
    assert found is None or found == unpacked(archive)


def test_batches_are_bounded_however_well_it_packs(engine: Inflater, tmp_path: Path) -> None:
    content = bytes(40 * MIB)
    archive = streamed_zip(content)
    one = StreamingUnpacker(
        tmp_path / "x", ZIP, None, FileSubject(), by_account=False, inflater=engine
    )
    batches = list(one.unpack([archive]))
    assert max(sum(map(len, batch)) for batch in batches) <= BATCH + inflate.BLOCK
    assert sum(map(len, (block for batch in batches for block in batch))) == len(content)
    assert one.agrees(read_member(io.BytesIO(archive)))
    one.abandon()


def lying() -> bytes:
    """A megabyte whose header promises 255 bytes."""
    honest = seekable_zip(("x.csv", bytes(MIB)))
    return honest.replace(MIB.to_bytes(4, "little"), b"\xff\0\0\0")


@pytest.mark.parametrize(
    ("make", "items_count", "most"),
    [
        (lambda: streamed_zip(bytes(66 * MIB)), None, 64 * MIB),
        (lambda: streamed_zip(random.Random(1).randbytes(MIB) + bytes(66 * MIB)), 10, 64 * MIB),
        (lying, None, 255),
    ],
    ids=["ratio", "records promised", "size promised"],
)
def test_a_bomb_writes_no_more_than_the_bounds_allow(
    make: Callable[[], bytes],
    items_count: int | None,
    most: int,
    engine: Inflater,
    tmp_path: Path,
) -> None:
    archive = make()
    one = StreamingUnpacker(
        tmp_path / "x", ZIP, items_count, FileSubject(), by_account=False, inflater=engine
    )
    yielded = sum(len(block) for batch in one.unpack([archive]) for block in batch)
    assert one.given_up
    assert yielded <= most
    assert list(one.unpack([archive])) == []
    one.abandon()


async def noise_of(size: int) -> tuple[bytes, bytes]:
    row = b'"abcd1234","%s"\n'
    noise = random.Random(2)
    content = b"".join(row % noise.randbytes(400).hex().encode() for _ in range(size // 816))
    return content, streamed_zip(content)


@pytest.mark.anyio
@pytest.mark.parametrize("form", list(Format))
async def test_a_large_archive_is_unpacked_while_it_comes(tmp_path: Path, form: Format) -> None:
    """By the time its last bytes come, most of the file is written already."""
    content, archive = await noise_of(12 * MIB)
    part = tmp_path / ".partial" / f"17_ri3p58f-42d57cfd.{form.value}.part"
    written: list[int] = []

    class Watching(BytesDownload):
        async def chunks(self) -> AsyncGenerator[bytes, None]:
            async for chunk in super().chunks():
                written.append(part.stat().st_size if part.exists() else 0)
                yield chunk

    rows = content.count(b"\n") - 1
    verdict = await FileCollector(OutputSettings(tmp_path, form)).fetch(
        a_report(rows), Watching(archive)
    )
    made = (tmp_path / ".partial" / f"17_ri3p58f-42d57cfd.verified.{form.value}").read_bytes()
    assert verdict.rows == rows
    assert verdict.sha256 == hashlib.sha256(made).hexdigest()
    if form is Format.CSV:
        assert written[-1] > len(content) // 4
    assert csv_in(made, form) == content
    assert (made == archive) == (form is Format.ZIP)
    assert [path.name for path in (tmp_path / ".partial").iterdir()] == [
        f"17_ri3p58f-42d57cfd.verified.{form.value}"
    ]


@pytest.mark.anyio
async def test_what_isal_refuses_is_judged_by_zlib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the words do not depend on what is installed."""
    go_the_way("streamed by isal", monkeypatch)
    broken = bytes(RawZip(packed=b"\xff" * 20))
    with pytest.raises(CorruptArchive, match="the archive's packed bytes are damaged"):
        await FileCollector(OutputSettings(tmp_path)).fetch(a_report(None), BytesDownload(broken))


@pytest.mark.anyio
async def test_subaccounts_are_counted_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_the_way("streamed by zlib", monkeypatch)
    report = a_report(3)
    body = {**report.series.body, "include_subaccounts": True}
    report = a_report(3, series=type(report.series).from_body(body))
    archive = streamed_zip(csv_bytes([("account_id",), ("abcd1234",), ("b",), ("b",)]))
    verdict = await FileCollector(OutputSettings(tmp_path)).fetch(
        report, BytesDownload(archive, chunk=3)
    )
    assert verdict.foreign == (("b", 2),)


@pytest.mark.anyio
async def test_of_threads_that_work_hard_each_kind_has_no_more_than_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several files side by side share them."""
    for kind in ("_UNPACKING", "_COUNTING", "_STORING"):
        monkeypatch.setattr(pipeline, kind, threading.BoundedSemaphore(2))
    _, archive = await noise_of(4 * MIB)
    collector = FileCollector(OutputSettings(tmp_path))
    working, most, lock = Counter[str](), Counter[str](), threading.Lock()

    def count(method: str, doing: str) -> None:
        work = getattr(StreamingUnpacker, method)

        def counted(*arguments: Any) -> Any:
            with lock:
                working[doing] += 1
                most[doing] = max(most[doing], working[doing])
            try:
                return work(*arguments)
            finally:
                with lock:
                    working[doing] -= 1

        monkeypatch.setattr(StreamingUnpacker, method, counted)

    count("_take", "unpack")
    count("count", "count")
    count("store", "store")
    async with anyio.create_task_group() as group:
        for number in range(6):
            report = a_report(None, id=number + 1)
            group.start_soon(collector.fetch, report, BytesDownload(archive))
    assert 1 <= most["unpack"] <= 2
    assert 1 <= most["count"] <= 2
    assert 1 <= most["store"] <= 2


@pytest.mark.anyio
async def test_a_disk_that_fills_up_is_told_and_not_what_follows_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, archive = await noise_of(8 * MIB)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("orchestrator.collect.formats.base.HashingFile.write", full)
    download = BytesDownload(archive)
    with pytest.raises(OutputError, match=r"\.csv\.part: the disk is full"):
        await FileCollector(OutputSettings(tmp_path)).fetch(a_report(None), download)
    assert download.closed
    assert list((tmp_path / ".partial").iterdir()) == []


@pytest.mark.anyio
async def test_a_large_download_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    _, archive = await noise_of(8 * MIB)
    broken = BytesDownload(archive[: 3 * MIB], error=TransportError("reset", maybe_sent=True))
    with pytest.raises(TransportError, match="reset"):
        await FileCollector(OutputSettings(tmp_path)).fetch(a_report(None), broken)
    assert list((tmp_path / ".partial").iterdir()) == []
