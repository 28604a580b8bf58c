"""What is kept for a person, taken after all, thrown away, or swept up."""

from __future__ import annotations

import csv
import errno
import hashlib
import hmac
import io
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from orchestrator.collect.collector import FileCollector
from orchestrator.collect.work_area import remove_unfinished
from orchestrator.core.file_columns import ColumnChanges
from orchestrator.core.settings import (
    ColumnRules,
    ColumnSettings,
    Format,
    OutputSettings,
    Secret,
)
from orchestrator.errors import CollectError, CorruptArchive, OutputError
from tests.kit.archives import BytesDownload, RawZip, a_report, csv_bytes, csv_in, streamed_zip

if TYPE_CHECKING:
    from orchestrator.core.lifecycle import VerifiedFile
    from orchestrator.core.model import Report


CONTENT = csv_bytes()
ARCHIVE = streamed_zip(CONTENT)
STEM = "17_ri3p58f-42d57cfd"


def files_in(directory: Path) -> list[str]:
    return sorted(
        str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()
    )


def settled(report: Report, verdict: VerifiedFile) -> Report:
    return replace(
        report,
        rows=verdict.rows,
        size_bytes=verdict.size_bytes,
        sha256=verdict.sha256,
        target=verdict.target,
    )


async def keep_bad(directory: Path, archive: bytes, form: Format = Format.CSV) -> FileCollector:
    """A collector that was promised 1,234 records and kept what came instead."""
    collector = FileCollector(OutputSettings(directory, form))
    with pytest.raises(CorruptArchive) as caught:
        await collector.fetch(a_report(1234), BytesDownload(archive))
    await collector.quarantine(a_report(1234), str(caught.value))
    return collector


@pytest.mark.anyio
async def test_a_bad_archive_is_kept_as_it_came_with_a_note_that_says_why(tmp_path: Path) -> None:
    collector = await keep_bad(tmp_path, ARCHIVE)
    assert files_in(tmp_path) == [f".aside/{STEM}.txt", f".aside/{STEM}.zip"]
    assert collector.kept(a_report()) == tmp_path / ".aside" / f"{STEM}.zip"
    assert (tmp_path / ".aside" / f"{STEM}.zip").read_bytes() == ARCHIVE
    assert (tmp_path / ".aside" / f"{STEM}.txt").read_text() == (
        "17_ri3p58f-42d57cfd.zip is no part of the collected data.\n"
        "\n"
        "Why:               the CSV holds 6 records, the API promised 1,234\n"
        "Series:            abcd1234 SMS outbound\n"
        "Window:            2024-01-01 to 2024-02-01\n"
        "Report (API's id): ri3p58f-42d57cfd\n"
        "Report (our id):   17\n"
        "Records promised:  1,234\n"
        "\n"
        "`orchestrator status` says what will be done about it, and what you can do.\n"
    )


@pytest.mark.anyio
@pytest.mark.parametrize("form", list(Format))
async def test_a_file_that_was_verified_can_be_kept_and_taken_after_all(
    tmp_path: Path, form: Format
) -> None:
    """A wrong echo is noticed when the file is here already; accepted, it keeps its format."""
    collector = FileCollector(OutputSettings(tmp_path, form))
    verdict = await collector.fetch(a_report(), BytesDownload(ARCHIVE))
    await collector.quarantine(a_report(), "wrong echo")
    assert files_in(tmp_path) == sorted([f".aside/{STEM}.txt", f".aside/{STEM}.{form.value}"])
    assert await FileCollector(OutputSettings(tmp_path, form)).accept(a_report()) == verdict
    assert await FileCollector(OutputSettings(tmp_path, form)).publish(settled(a_report(), verdict))
    assert files_in(tmp_path) == [verdict.target]


RULES = ColumnRules(drop=frozenset({"message_body"}), hash=frozenset({"message_id"}))


@pytest.mark.anyio
@pytest.mark.parametrize("form", [Format.CSV, Format.CSV_GZ, Format.PARQUET])
@pytest.mark.parametrize("first", [True, False], ids=["made with rules", "rules came later"])
async def test_rules_are_applied_once_to_a_file_that_was_kept(
    tmp_path: Path, form: Format, *, first: bool
) -> None:
    """Whether they were there when it was made or not: no clear value, no hash of a hash."""
    clear = OutputSettings(tmp_path, form)
    ruled = replace(clear, columns=ColumnSettings(RULES), hash_key=Secret("a key"))
    collector = FileCollector(ruled if first else clear)
    await collector.fetch(a_report(), BytesDownload(ARCHIVE))
    await collector.quarantine(a_report(), "wrong echo")
    await collector.quarantine(a_report(), "looked at again")
    verdict = await FileCollector(ruled).accept(a_report())
    assert verdict.rows == 6
    assert verdict.columns == ColumnChanges(("message_body",), ("message_id",))
    assert [column.name for column in verdict.file_columns] == ["account_id", "message_id"]
    assert verdict.source_sha256 == hashlib.sha256(ARCHIVE).hexdigest()
    assert await FileCollector(ruled).publish(settled(a_report(), verdict))
    (path,) = files_in(tmp_path)
    rows = list(csv.reader(io.StringIO(csv_in((tmp_path / path).read_bytes(), form).decode())))
    ids = [row[1] for row in csv.reader(io.StringIO(CONTENT.decode(), newline=""))][1:]
    assert [row[1] for row in rows[1:]] == [
        hmac.digest(b"a key", value.encode(), "sha256").hex() for value in ids
    ]


@pytest.mark.anyio
async def test_a_note_that_cannot_be_read_is_not_taken_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is hashed already would be hashed again, and published so."""
    ruled = OutputSettings(tmp_path, columns=ColumnSettings(RULES), hash_key=Secret("a key"))
    collector = FileCollector(ruled)
    await collector.fetch(a_report(), BytesDownload(ARCHIVE))
    await collector.quarantine(a_report(), "wrong echo")
    opened = os.open

    def fail(path: str | Path, *rest: int, **more: int) -> int:
        if str(path).endswith(".txt"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return opened(path, *rest, **more)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", fail)
        with pytest.raises(OutputError, match="Input/output error; look at the disk"):
            await collector.accept(a_report())
    assert (await collector.accept(a_report())).columns == ColumnChanges(
        ("message_body",), ("message_id",)
    )


@pytest.mark.anyio
@pytest.mark.parametrize("form", list(Format))
async def test_an_archive_with_another_count_is_accepted_in_the_format_of_today(
    tmp_path: Path, form: Format
) -> None:
    collector = await keep_bad(tmp_path, ARCHIVE, form)
    for _ in range(2):  # a crash before the ledger knew of it: accepted once more
        verdict = await collector.accept(a_report(1234))
    assert verdict.rows == 6
    assert await collector.publish(settled(a_report(1234), verdict))
    assert files_in(tmp_path) == [verdict.target]
    published = (tmp_path / verdict.target).read_bytes()
    assert hashlib.sha256(published).hexdigest() == verdict.sha256
    assert len(published) == verdict.size_bytes
    assert csv_in(published, form) == CONTENT
    assert (published == ARCHIVE) == (form is Format.ZIP)


@pytest.mark.anyio
async def test_a_csv_with_a_lone_quote_can_be_accepted(tmp_path: Path) -> None:
    content = b'"a"\n"1"\nx"y\n'
    collector = await keep_bad(tmp_path, streamed_zip(content))
    verdict = await collector.accept(a_report())
    assert verdict.rows == 2
    assert await collector.publish(settled(a_report(), verdict))
    assert (tmp_path / verdict.target).read_bytes() == content


@pytest.mark.anyio
@pytest.mark.parametrize("form", list(Format))
async def test_an_archive_that_cannot_be_read_cannot_be_accepted(
    tmp_path: Path, form: Format
) -> None:
    collector = await keep_bad(tmp_path, bytes(RawZip(name=b"../x.csv")), form)
    with pytest.raises(CorruptArchive) as caught:
        await collector.accept(a_report())
    assert str(caught.value) == (
        "report ri3p58f-42d57cfd: the name of the archive's file, '../x.csv', is a path, not a"
        " name; it cannot be accepted: `orchestrator resolve 17 --refetch` has it fetched again"
        " (free), `orchestrator resolve 17 --waive` skips its period,"
        " `orchestrator resolve 17 --resubmit` buys it again"
    )
    assert files_in(tmp_path) == [f".aside/{STEM}.txt", f".aside/{STEM}.zip"]


@pytest.mark.anyio
async def test_what_is_no_table_is_offered_as_csv_first(tmp_path: Path) -> None:
    """A record with one field more than the header: Parquet has no place for it."""
    content = b"a,b\n1,2\n3,4,5\n"
    collector = await keep_bad(tmp_path, streamed_zip(content), Format.PARQUET)
    with pytest.raises(CorruptArchive) as caught:
        await collector.accept(a_report())
    assert str(caught.value) == (
        "report ri3p58f-42d57cfd: a record of the CSV has other fields than its header; it cannot"
        " be accepted as parquet: with `output.format: csv` in the config `orchestrator resolve 17"
        " --accept-file` takes it as it is (free), `orchestrator resolve 17 --refetch` has it"
        " fetched again (free), `orchestrator resolve 17 --waive` skips its period, `orchestrator"
        " resolve 17 --resubmit` buys it again"
    )
    assert files_in(tmp_path) == [f".aside/{STEM}.txt", f".aside/{STEM}.zip"]
    verdict = await FileCollector(OutputSettings(tmp_path)).accept(a_report())
    assert await collector.publish(settled(a_report(), verdict))
    assert (tmp_path / verdict.target).read_bytes() == content


@pytest.mark.anyio
async def test_a_disk_that_fails_to_say_what_is_there_is_no_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: a bug, for which a report that was paid for was disputed."""
    collector = FileCollector(OutputSettings(tmp_path))
    verdict = await collector.fetch(a_report(), BytesDownload(ARCHIVE))
    failing = Mock(side_effect=OSError(errno.ESTALE, os.strerror(errno.ESTALE)))
    with monkeypatch.context() as patched:
        patched.setattr("orchestrator.collect.quarantine.is_there", failing)
        with pytest.raises(OutputError, match=r"cannot read .*/\.aside: Stale file handle"):
            await collector.publish(settled(a_report(), verdict))
    with monkeypatch.context() as patched:
        patched.setattr("orchestrator.collect.safe_open.is_file", failing)
        with pytest.raises(OutputError, match="Stale file handle"):
            await collector.recheck(a_report())
    assert await collector.publish(settled(a_report(), verdict))


@pytest.mark.anyio
async def test_nothing_kept_cannot_be_accepted(tmp_path: Path) -> None:
    with pytest.raises(CollectError) as caught:
        await FileCollector(OutputSettings(tmp_path)).accept(a_report())
    assert str(caught.value) == (
        f"report ri3p58f-42d57cfd: no file is kept aside in {tmp_path}/.aside; there is nothing to"
        " accept: `orchestrator resolve 17 --refetch` has it fetched again (free), `orchestrator"
        " resolve 17 --waive` skips its period, `orchestrator resolve 17 --resubmit` buys it again"
    )


@pytest.mark.anyio
async def test_keeping_aside_where_nothing_was_fetched_leaves_nothing(tmp_path: Path) -> None:
    collector = FileCollector(OutputSettings(tmp_path))
    await collector.quarantine(a_report(), "wrong echo")
    assert collector.kept(a_report()) is None
    assert files_in(tmp_path) == []


@pytest.mark.anyio
async def test_the_latest_bad_archive_replaces_the_one_before(tmp_path: Path) -> None:
    collector = FileCollector(OutputSettings(tmp_path))
    await collector.fetch(a_report(), BytesDownload(ARCHIVE))
    await collector.quarantine(a_report(), "first")
    await keep_bad(tmp_path, b"second")
    assert files_in(tmp_path) == [f".aside/{STEM}.txt", f".aside/{STEM}.zip"]
    assert (tmp_path / ".aside" / f"{STEM}.zip").read_bytes() == b"second"


@pytest.mark.anyio
async def test_keeping_again_changes_only_the_note(tmp_path: Path) -> None:
    collector = await keep_bad(tmp_path, ARCHIVE)
    await collector.quarantine(a_report(), "another reason")
    assert (tmp_path / ".aside" / f"{STEM}.zip").read_bytes() == ARCHIVE
    assert "another reason" in (tmp_path / ".aside" / f"{STEM}.txt").read_text()


@pytest.mark.anyio
async def test_discarding_removes_all_of_a_report_but_its_published_file(tmp_path: Path) -> None:
    collector = await keep_bad(tmp_path, ARCHIVE)
    await collector.fetch(a_report(), BytesDownload(ARCHIVE))
    await collector.fetch(a_report(id=18), BytesDownload(ARCHIVE))
    await collector.discard(a_report())
    await collector.discard(a_report())
    assert files_in(tmp_path) == [".partial/18_ri3p58f-42d57cfd.verified.csv"]


@pytest.mark.anyio
async def test_ids_that_are_paths_stay_inside(tmp_path: Path) -> None:
    report = a_report(1234, request_id="../../" + "x" * 300)
    collector = FileCollector(OutputSettings(tmp_path / "out"))
    with pytest.raises(CorruptArchive):
        await collector.fetch(report, BytesDownload(ARCHIVE))
    await collector.quarantine(report, "wrong count")
    kept = collector.kept(report)
    assert kept is not None
    assert kept.name.startswith("17_..%2F..%2Fxxx")
    assert files_in(tmp_path) == [f"out/.aside/{kept.stem}.txt", f"out/.aside/{kept.stem}.zip"]


def test_the_sweep_removes_only_what_nobody_needs(tmp_path: Path) -> None:
    partial = tmp_path / ".partial"
    (partial / "9_a-folder.csv.part").mkdir(parents=True)
    gone = ["1_a.archive.part", "1_a.csv.part", "2_b.verified.csv.gz", "manifest.jsonl.part"]
    kept = ["3_c.verified.zip", "4_d.archive.part", "notes.txt", "10_not ours.part", "x_y.part"]
    for name in gone + kept:
        (partial / name).touch()
    (tmp_path / ".aside").mkdir()
    (tmp_path / ".aside" / "1_a.zip").touch()
    assert remove_unfinished(tmp_path, {3, 4}) == len(gone)
    assert files_in(tmp_path) == sorted([".aside/1_a.zip", *(f".partial/{name}" for name in kept)])
    assert remove_unfinished(tmp_path, set()) == 2


def test_the_sweep_of_a_directory_that_is_not_there_finds_nothing(tmp_path: Path) -> None:
    assert remove_unfinished(tmp_path / "not there", set()) == 0


def test_a_sweep_that_the_disk_refuses_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial" / "1_a.archive.part").touch()

    def refuse(path: Path) -> None:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(OutputError) as caught:
        remove_unfinished(tmp_path, set())
    assert str(caught.value) == (
        f"cannot clear {tmp_path}/.partial/1_a.archive.part: the file system is read-only; mount"
        " it writable, or point output.directory elsewhere"
    )
