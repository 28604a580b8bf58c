"""A download that broke goes on where it can be proved that it may; else it begins anew."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from anyio import CancelScope

from orchestrator.collect.collector import FileCollector
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.core.ports import Resume, Within
from orchestrator.core.settings import Format, OutputSettings
from orchestrator.engine.run import run_jobs
from orchestrator.errors import CorruptArchive, TransportError
from orchestrator.simulator import Fault, Settings
from orchestrator.simulator.ranges import WRONG
from tests.kit.archives import SMS, BytesDownload, a_report, csv_bytes, go_the_way, streamed_zip
from tests.kit.stage import between, job, stage, with_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

ETAG = '"v1"'
NOISE = random.Random(4)
ROWS = 9_000
CONTENT = csv_bytes(
    [("id", "body"), *((str(n), f'"\n{NOISE.randbytes(200).hex()}') for n in range(ROWS))]
)
ARCHIVE = streamed_zip(CONTENT)
PARTS = ".partial"


def broken(archive: bytes, start: int, end: int, validator: str | None = ETAG) -> BytesDownload:
    """The bytes from `start`, which break off before `end`."""
    error = TransportError("reset", maybe_sent=True) if end < len(archive) else None
    return BytesDownload(
        archive[start:end], length=len(archive), start=start, validator=validator, error=error
    )


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def spans(*cuts: int) -> Iterator[tuple[int, int]]:
    return zip((0, *cuts), (*cuts, len(ARCHIVE)), strict=True)


@pytest.mark.parametrize("form", list(Format))
@pytest.mark.parametrize("way", ["streamed by zlib", "streamed by isal"])
@pytest.mark.parametrize(
    "cuts",
    [
        (1,),
        (20, 50, 61, 62, 63),
        (400_000, 1_100_000),
        (len(ARCHIVE) - 1,),
        (len(ARCHIVE) - 30, len(ARCHIVE) - 5),
        tuple(range(100_000, len(ARCHIVE), 100_000)),
    ],
    ids=["first byte", "header", "middle", "last byte", "directory", "often"],
)
async def test_wherever_it_breaks_the_file_is_the_same(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    form: Format,
    way: str,
    cuts: tuple[int, ...],
) -> None:
    whole = FileCollector(OutputSettings(tmp_path / "whole", form))
    expected = await whole.fetch(a_report(ROWS), BytesDownload(ARCHIVE))
    go_the_way(way, monkeypatch)
    taken = 0

    def count(_: object, size_bytes: int) -> None:
        nonlocal taken
        taken += size_bytes

    collector = FileCollector(OutputSettings(tmp_path / "parts", form), on_bytes=count)
    report = a_report(ROWS)
    for start, end in spans(*cuts):
        assert collector.resumable(report) == (Resume(start, len(ARCHIVE), ETAG) if start else None)
        if end < len(ARCHIVE):
            with pytest.raises(TransportError, match="reset"):
                await collector.fetch(report, broken(ARCHIVE, start, end))
        else:
            assert await collector.fetch(report, broken(ARCHIVE, start, end)) == expected
    assert taken == len(ARCHIVE), "no byte came twice"
    assert collector.resumable(report) is None
    assert files_in(tmp_path / "parts") == [f"17_ri3p58f-42d57cfd.verified.{form.value}"]
    report = replace(report, sha256=expected.sha256, target=expected.target)
    assert await collector.publish(report)


@pytest.mark.parametrize(
    "again",
    [
        BytesDownload(ARCHIVE, validator=ETAG),
        BytesDownload(ARCHIVE),
        BytesDownload(ARCHIVE, validator='"v2"', length=None),
    ],
    ids=["from its beginning", "without validator", "without length"],
)
async def test_a_whole_file_is_taken_as_a_whole(tmp_path: Path, again: BytesDownload) -> None:
    collector = FileCollector(OutputSettings(tmp_path))
    with pytest.raises(TransportError):
        await collector.fetch(a_report(ROWS), broken(ARCHIVE, 0, 1_500_000))
    verdict = await collector.fetch(a_report(ROWS), again)
    assert verdict.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert files_in(tmp_path) == ["17_ri3p58f-42d57cfd.verified.csv"]


@pytest.mark.parametrize(
    "rest",
    [
        BytesDownload(ARCHIVE[700_000:], start=700_000, validator=ETAG),
        BytesDownload(ARCHIVE[1_500_000:], start=1_500_000, validator='"v2"'),
        BytesDownload(ARCHIVE[1_500_000:], start=1_500_000, validator=None),
        BytesDownload(ARCHIVE[1_500_000:], start=1_500_000, validator=ETAG, length=9_999_999),
    ],
    ids=["another place", "another file", "no proof", "another length"],
)
async def test_a_rest_that_does_not_fit_is_never_joined(
    tmp_path: Path, rest: BytesDownload
) -> None:
    collector = FileCollector(OutputSettings(tmp_path))
    with pytest.raises(TransportError, match="reset"):
        await collector.fetch(a_report(ROWS), broken(ARCHIVE, 0, 1_500_000))
    with pytest.raises(TransportError, match="and what stands before it is not here"):
        await collector.fetch(a_report(ROWS), rest)
    assert files_in(tmp_path) == []
    assert collector.resumable(a_report(ROWS)) is None


@pytest.mark.parametrize(
    ("validator", "length"), [(None, len(ARCHIVE)), (ETAG, None)], ids=["no validator", "no length"]
)
async def test_without_proof_nothing_is_kept(
    tmp_path: Path, validator: str | None, length: int | None
) -> None:
    download = BytesDownload(
        ARCHIVE[:1_500_000],
        length=length,
        validator=validator,
        error=TransportError("reset", maybe_sent=True),
    )
    collector = FileCollector(OutputSettings(tmp_path))
    with pytest.raises(TransportError):
        await collector.fetch(a_report(ROWS), download)
    assert collector.resumable(a_report(ROWS)) is None
    assert files_in(tmp_path) == []


SET_ASIDE = ["17_ri3p58f-42d57cfd.archive.part", "17_ri3p58f-42d57cfd.resume.part"]


@pytest.mark.parametrize("form", list(Format))
async def test_what_broke_is_set_aside_and_another_run_goes_on(
    tmp_path: Path, form: Format
) -> None:
    whole = FileCollector(OutputSettings(tmp_path / "whole", form))
    expected = await whole.fetch(a_report(ROWS), BytesDownload(ARCHIVE))
    for start, end in ((0, 1_000), (1_000, 1_500_000), (1_500_000, 1_500_001)):
        collector = FileCollector(OutputSettings(tmp_path / "parts", form))
        assert collector.resumable(a_report(ROWS)) == (
            Resume(start, len(ARCHIVE), ETAG) if start else None
        )
        with pytest.raises(TransportError):
            await collector.fetch(a_report(ROWS), broken(ARCHIVE, start, end))
        await collector.release(a_report(ROWS))
        assert files_in(tmp_path / "parts") == SET_ASIDE
    collector = FileCollector(OutputSettings(tmp_path / "parts", form))
    last = broken(ARCHIVE, 1_500_001, len(ARCHIVE))
    assert await collector.fetch(a_report(ROWS), last) == expected
    assert files_in(tmp_path / "parts") == [f"17_ri3p58f-42d57cfd.verified.{form.value}"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / SET_ASIDE[1]).unlink(),
        lambda folder: (folder / SET_ASIDE[1]).write_text("[]"),
        lambda folder: (folder / SET_ASIDE[1]).write_text("{"),
        lambda folder: (folder / SET_ASIDE[0]).unlink(),
        lambda folder: (folder / SET_ASIDE[0]).write_bytes(ARCHIVE[:10]),
    ],
    ids=["no note", "no object", "no JSON", "no archive", "a shorter archive"],
)
async def test_what_is_not_as_it_was_set_aside_begins_anew(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    collector = FileCollector(OutputSettings(tmp_path))
    with pytest.raises(TransportError):
        await collector.fetch(a_report(ROWS), broken(ARCHIVE, 0, 1_500_000))
    await collector.release(a_report(ROWS))
    damage(tmp_path / PARTS)
    collector = FileCollector(OutputSettings(tmp_path))
    assert collector.resumable(a_report(ROWS)) is None
    verdict = await collector.fetch(a_report(ROWS), BytesDownload(ARCHIVE))
    assert verdict.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert files_in(tmp_path) == ["17_ri3p58f-42d57cfd.verified.csv"]


async def test_a_part_with_other_bytes_is_noticed_and_fetched_anew(tmp_path: Path) -> None:
    collector = FileCollector(OutputSettings(tmp_path))
    with pytest.raises(TransportError):
        await collector.fetch(a_report(ROWS), broken(ARCHIVE, 0, 1_500_000))
    await collector.release(a_report(ROWS))
    (tmp_path / PARTS / SET_ASIDE[0]).write_bytes(bytes(1_500_000))
    collector = FileCollector(OutputSettings(tmp_path))
    with pytest.raises(CorruptArchive):
        await collector.fetch(a_report(ROWS), broken(ARCHIVE, 1_500_000, len(ARCHIVE)))
    assert collector.resumable(a_report(ROWS)) is None
    verdict = await collector.fetch(a_report(ROWS), BytesDownload(ARCHIVE))
    assert verdict.sha256 == hashlib.sha256(CONTENT).hexdigest()


async def test_another_promise_of_records_is_another_file(tmp_path: Path) -> None:
    collector = FileCollector(OutputSettings(tmp_path))
    with pytest.raises(TransportError):
        await collector.fetch(a_report(ROWS), broken(ARCHIVE, 0, 1_500_000))
    await collector.release(a_report(ROWS))
    assert FileCollector(OutputSettings(tmp_path)).resumable(a_report(ROWS + 1)) is None


async def test_what_is_discarded_is_not_set_aside(tmp_path: Path) -> None:
    collector = FileCollector(OutputSettings(tmp_path))
    with pytest.raises(TransportError):
        await collector.fetch(a_report(ROWS), broken(ARCHIVE, 0, 1_500_000))
    await collector.discard(a_report(ROWS))
    await collector.release(a_report(ROWS))
    assert files_in(tmp_path) == []


async def test_what_can_be_gone_on_with_is_released_to_the_next_run(tmp_path: Path) -> None:
    collector = FileCollector(OutputSettings(tmp_path))
    with pytest.raises(TransportError):
        await collector.fetch(a_report(ROWS), broken(ARCHIVE, 0, 1_500_000))
    assert files_in(tmp_path) == [
        "17_ri3p58f-42d57cfd.archive.part",
        "17_ri3p58f-42d57cfd.csv.part",
    ]
    await collector.release(a_report(ROWS))
    await collector.release(a_report(ROWS))
    assert files_in(tmp_path) == SET_ASIDE


async def test_a_cancelled_rest_is_set_aside(tmp_path: Path) -> None:
    collector = FileCollector(
        OutputSettings(tmp_path), on_bytes=lambda report, _: stop.cancel() if report.rows else None
    )
    with pytest.raises(TransportError):
        await collector.fetch(a_report(ROWS), broken(ARCHIVE, 0, 1_200_000))
    with CancelScope() as stop:
        await collector.fetch(a_report(ROWS, rows=1), broken(ARCHIVE, 1_200_000, len(ARCHIVE)))
    assert stop.cancelled_caught
    await collector.release(a_report(ROWS))
    assert files_in(tmp_path) == SET_ASIDE
    assert collector.resumable(a_report(ROWS)) is not None


async def test_a_joined_archive_that_is_corrupt_is_kept_whole(tmp_path: Path) -> None:
    collector = FileCollector(OutputSettings(tmp_path))
    report = a_report(ROWS)
    with pytest.raises(TransportError):
        await collector.fetch(report, broken(ARCHIVE, 0, 1_200_000))
    damaged = bytearray(ARCHIVE)
    damaged[1_300_000] ^= 1
    with pytest.raises(CorruptArchive):
        await collector.fetch(report, broken(bytes(damaged), 1_200_000, len(damaged)))
    await collector.quarantine(report, "damaged")
    assert (tmp_path / ".aside" / "17_ri3p58f-42d57cfd.zip").read_bytes() == damaged
    assert files_in(tmp_path / PARTS) == []


# --- the whole way, against the simulator ---------------------------------------------------------

DAY = between("2026-01-01", "2026-01-02")
LARGE = Settings(records_per_day=600.0, bulk_body_bytes=6000, ranges=True)


async def downloaded(tmp_path: Path, *faults: Fault, ranges: bool = True) -> list[int]:
    """Runs a job of one report; for each download the first byte that was asked for."""
    settings = with_faults(replace(LARGE, ranges=ranges), *faults)
    asked: list[int] = []
    async with stage(tmp_path, settings) as here, here.world() as world:
        session = world.sessions["default"]
        really = session.api.download

        def watched(url: str, resume: Resume | None, within: Within):  # type: ignore[no-untyped-def] # noqa: ANN202 - as the client's
            asked.append(resume.offset if resume else 0)
            return really(url, resume, within)

        session.api.download = watched  # type: ignore[method-assign, assignment]
        wanted = job(DAY, series=(SMS,))
        end = await run_jobs(world, [wanted], here.clock.now())
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)
        assert [one.name for one in (here.output / PARTS).iterdir()] == []
    return asked


CUT = Fault.of("download", "cut", nth=[1, 2, 3])


@pytest.mark.virtual
async def test_a_run_goes_on_where_a_download_broke(tmp_path: Path) -> None:
    """Each time half of what was left: every start lies behind the one before."""
    starts = await downloaded(tmp_path, CUT)
    assert len(starts) == 4
    assert starts[0] == 0
    assert sorted(set(starts)) == starts


@pytest.mark.virtual
async def test_a_server_without_validators_sends_everything_again(tmp_path: Path) -> None:
    assert await downloaded(tmp_path, CUT, ranges=False) == [0, 0, 0, 0]


@pytest.mark.virtual
@pytest.mark.parametrize("form", sorted(WRONG))
async def test_a_server_that_does_ranges_wrong_gets_the_same_file_out(
    tmp_path: Path, form: str
) -> None:
    faults = (CUT, Fault.of("report", "part", form=form))
    starts = await downloaded(tmp_path, *faults)
    assert len(starts) >= 4
    assert starts[0] == 0
