"""Reading collected files again: what no longer agrees with the ledger is said, and what not."""

from __future__ import annotations

import errno
import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from orchestrator.collect.collector import FileCollector
from orchestrator.collect.stores.folder import FolderStore
from orchestrator.collect.verify import Fault, Finding, verify
from orchestrator.core.settings import Format, OutputSettings
from tests.kit.archives import BytesDownload, a_report, csv_bytes, streamed_zip

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = csv_bytes()
FORMS = list(Format)


async def collected(directory: Path, form: Format) -> tuple[Path, str]:
    collector = FileCollector(OutputSettings(directory, form))
    verdict = await collector.fetch(a_report(), BytesDownload(streamed_zip(CONTENT)))
    (path,) = (directory / ".partial").iterdir()
    return path, verdict.sha256


def checked(path: Path, sha256: str, rows: int, form: Format) -> list[Finding]:
    """As `verify`, of a file by its path."""
    return verify(FolderStore(path.parent), path.name, sha256, rows, form)


@pytest.mark.anyio
@pytest.mark.parametrize("form", FORMS)
async def test_a_file_as_collected_gives_no_finding(tmp_path: Path, form: Format) -> None:
    path, sha256 = await collected(tmp_path, form)
    assert checked(path, sha256, 6, form) == []


@pytest.mark.anyio
@pytest.mark.parametrize("form", FORMS)
async def test_other_rows_than_the_ledger_has_are_found(tmp_path: Path, form: Format) -> None:
    path, sha256 = await collected(tmp_path, form)
    assert checked(path, sha256, 7_000, form) == [
        Finding(Fault.ROWS, str(path), f"{path}: it holds 6 records, the ledger has 7,000")
    ]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("form", "words"),
    [
        (Format.CSV_GZ, "the gzip file's bytes end too early: they are cut off"),
        (Format.CSV_ZST, "the zstd file's bytes end too early: they are cut off"),
        (
            Format.ZIP,
            "the archive does not end with its end record: it is cut off or something follows",
        ),
    ],
)
async def test_a_cut_file_is_found_twice_over(tmp_path: Path, form: Format, words: str) -> None:
    path, sha256 = await collected(tmp_path, form)
    path.write_bytes(path.read_bytes()[:-9])
    changed = hashlib.sha256(path.read_bytes()).hexdigest()
    assert [str(finding) for finding in checked(path, sha256, 6, form)] == [
        (
            f"{path}: the content has changed since it was collected (SHA-256 {changed}, the ledger"
            f" has {sha256})"
        ),
        f"{path}: its records cannot be counted: {words}",
    ]


@pytest.mark.anyio
async def test_a_gzip_file_with_something_behind_is_found(tmp_path: Path) -> None:
    path, sha256 = await collected(tmp_path, Format.CSV_GZ)
    path.write_bytes(path.read_bytes() + b"more")
    faults = [finding.fault for finding in checked(path, sha256, 6, Format.CSV_GZ)]
    assert faults == [Fault.HASH, Fault.UNREADABLE]


def test_a_missing_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    assert checked(path, "0" * 64, 0, Format.CSV) == [
        Finding(Fault.MISSING, str(path), f"{path}: the file is missing")
    ]


def test_a_file_that_may_not_be_read_is_told_with_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No backup, and no new report: the file is as it was."""
    path = tmp_path / "x.csv"

    def refuse(place: Path, *_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", str(place))

    monkeypatch.setattr(os, "open", refuse)
    words = (
        f"cannot read {path}: permission denied; give the user who runs this the right to read it"
    )
    assert checked(path, "0" * 64, 0, Format.CSV) == [Finding(Fault.UNREADABLE, str(path), words)]


def test_a_folder_in_its_place_is_found(tmp_path: Path) -> None:
    assert checked(tmp_path, "0" * 64, 0, Format.CSV) == [
        Finding(Fault.UNREADABLE, str(tmp_path), f"{tmp_path}: not a file, but a folder or device")
    ]


def test_a_csv_that_a_person_accepted_with_a_lone_quote_stays_right(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b'a\n1"\n2\n')
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert checked(path, sha256, 2, Format.CSV) == []
