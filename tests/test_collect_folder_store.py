"""Publishing: a verified file gets its name once, whatever stops the work in between."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.collect import disk
from orchestrator.collect.collector import FileCollector
from orchestrator.collect.disk import DurableDirectories, explain
from orchestrator.collect.stores.folder import FolderStore
from orchestrator.collect.work_area import WorkFiles
from orchestrator.core.settings import Format, OutputSettings
from orchestrator.errors import NameTaken, OutputError
from tests.kit.archives import BytesDownload, a_report, csv_bytes, streamed_zip

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.core.model import Report

CONTENT = csv_bytes()
SHA256 = hashlib.sha256(CONTENT).hexdigest()
TARGET = "report_account=a/report_product=SMS/report_direction=any/report_filter=all/x.csv"


class PowerCut(BaseException):
    """Nothing that follows happens."""


class Current:
    """Cuts the power at the n-th call of the system that publishing makes, counted from 0."""

    def __init__(self, calls_left: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls_left = calls_left
        self.log: list[str] = []
        for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "mkdir"), (Path, "unlink")):
            monkeypatch.setattr(owner, name, self.wrap(name, getattr(owner, name)))

    def wrap(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wired(*arguments: Any, **options: Any) -> Any:
            if self.calls_left == 0:
                raise PowerCut
            self.calls_left -= 1
            self.log.append(name)
            return call(*arguments, **options)

        return wired


@pytest.fixture
def verified(tmp_path: Path) -> Path:
    """A verified file that waits for its name."""
    path = WorkFiles.of(tmp_path, a_report()).verified(Format.CSV)
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path


CALLS = ["fsync", *["mkdir", "fsync"] * 5, "replace", "fsync"]
"""File; root (is there already) and four levels, each synced in its parent; name; folder."""


def test_content_is_synced_before_the_name_and_every_folder_after_it_is_made(
    tmp_path: Path, verified: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    current = Current(99, monkeypatch)
    assert FolderStore(tmp_path).put(verified, TARGET, SHA256, hashed=True)
    assert current.log == CALLS


def test_folders_known_to_be_safe_are_not_synced_again(
    tmp_path: Path, verified: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path)
    assert store.put(verified, TARGET, SHA256, hashed=True)
    verified.write_bytes(CONTENT)
    current = Current(99, monkeypatch)
    assert store.put(verified, TARGET.replace("x.csv", "y.csv"), SHA256, hashed=True)
    assert [call for call in current.log if call != "mkdir"] == ["fsync", "replace", "fsync"]


def test_a_file_whose_content_was_synced_is_only_renamed(
    tmp_path: Path, verified: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path)
    store._folders.make((tmp_path / TARGET).parent)
    current = Current(99, monkeypatch)
    assert store.put(verified, TARGET, SHA256, hashed=True, synced=True)
    assert current.log == ["replace", "fsync"]


def test_a_folder_that_somebody_removed_is_made_again(tmp_path: Path, verified: Path) -> None:
    store = FolderStore(tmp_path)
    store._folders.make((tmp_path / TARGET).parent)
    shutil.rmtree(tmp_path / TARGET.split("/", maxsplit=1)[0])
    assert store.put(verified, TARGET, SHA256, hashed=True, synced=True)
    assert (tmp_path / TARGET).read_bytes() == CONTENT


def test_a_fresh_file_that_somebody_removed_is_not_there(tmp_path: Path, verified: Path) -> None:
    verified.unlink()
    assert not FolderStore(tmp_path).put(verified, TARGET, SHA256, hashed=True, synced=True)
    assert not FolderStore(tmp_path).put(verified, TARGET, SHA256, hashed=True)


@pytest.mark.parametrize("calls", range(len(CALLS)))
def test_a_power_cut_at_any_call_is_finished_by_the_next_run(
    tmp_path: Path, verified: Path, calls: int
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        Current(calls, monkeypatch)
        with pytest.raises(PowerCut):
            FolderStore(tmp_path).put(verified, TARGET, SHA256, hashed=True)
    for _ in range(2):  # and once more changes nothing
        assert FolderStore(tmp_path).put(verified, TARGET, SHA256, hashed=False)
        assert (tmp_path / TARGET).read_bytes() == CONTENT
        assert not verified.exists()


def test_a_restart_after_the_rename_syncs_the_folders_again(
    tmp_path: Path, verified: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the crashed run got to sync them, nobody knows."""
    assert FolderStore(tmp_path).put(verified, TARGET, SHA256, hashed=True)
    current = Current(99, monkeypatch)
    assert FolderStore(tmp_path).put(verified, TARGET, SHA256, hashed=False)
    assert current.log.count("fsync") == 1 + 4 + 2  # root, four levels, file, folder


@pytest.mark.parametrize("torn", [b"", b"\0" * len(CONTENT), CONTENT[:-1]])
def test_a_file_that_a_power_cut_tore_is_fetched_again(
    tmp_path: Path, verified: Path, torn: bytes
) -> None:
    verified.write_bytes(torn)
    assert not FolderStore(tmp_path).put(verified, TARGET, SHA256, hashed=False)
    assert not verified.exists()
    assert not (tmp_path / TARGET).exists()


def test_nothing_there_means_fetch_again(tmp_path: Path) -> None:
    aside = WorkFiles.of(tmp_path, a_report()).verified(Format.CSV)
    assert not FolderStore(tmp_path).put(aside, TARGET, SHA256, hashed=True)


def test_another_content_under_the_name_and_nothing_aside_means_fetch_again(
    tmp_path: Path, verified: Path
) -> None:
    verified.unlink()
    place = tmp_path / TARGET
    place.parent.mkdir(parents=True)
    place.write_bytes(b"another")
    assert not FolderStore(tmp_path).put(verified, TARGET, SHA256, hashed=False)
    assert place.read_bytes() == b"another"


def occupy_with_a_file(place: Path) -> None:
    place.write_bytes(b"another")


def occupy_with_a_folder(place: Path) -> None:
    place.mkdir()


def occupy_with_a_lost_link(place: Path) -> None:
    place.symlink_to("nowhere")


@pytest.mark.parametrize(
    "occupy", [occupy_with_a_file, occupy_with_a_folder, occupy_with_a_lost_link]
)
def test_what_is_not_ours_is_never_overwritten(
    tmp_path: Path, verified: Path, occupy: Callable[[Path], None]
) -> None:
    place = tmp_path / TARGET
    place.parent.mkdir(parents=True)
    occupy(place)
    with pytest.raises(NameTaken) as caught:
        FolderStore(tmp_path).put(verified, TARGET, SHA256, hashed=True)
    what, why = "another file", "with other content, and is not overwritten"
    if place.is_symlink():
        what, why = "a symbolic link", "which is neither followed nor overwritten"
    assert str(caught.value) == f"{what} stands at {place}, {why}"
    assert verified.exists()


def test_the_same_content_under_the_name_is_fine(tmp_path: Path, verified: Path) -> None:
    place = tmp_path / TARGET
    place.parent.mkdir(parents=True)
    place.write_bytes(CONTENT)
    assert FolderStore(tmp_path).put(verified, TARGET, SHA256, hashed=True)
    assert not verified.exists()


@pytest.mark.parametrize(
    "target", ["/etc/x.csv", "../x.csv", "a/../../x.csv", "a//x.csv", ".aside/x.csv", "a\\x.csv"]
)
def test_a_ledger_that_names_places_outside_is_not_obeyed(
    tmp_path: Path, verified: Path, target: str
) -> None:
    with pytest.raises(OutputError, match=r"leads out of the output directory .*; nothing was"):
        FolderStore(tmp_path).put(verified, target, SHA256, hashed=True)
    assert verified.exists()


def test_a_folder_removed_during_the_run_is_made_and_synced_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = DurableDirectories(tmp_path / "a" / "out")
    folders.make(tmp_path / "a" / "out" / "x")
    (tmp_path / "a" / "out" / "x").rmdir()
    current = Current(99, monkeypatch)
    folders.make(tmp_path / "a" / "out" / "x")
    assert current.log == ["mkdir", "fsync"]
    assert (tmp_path / "a" / "out" / "x").is_dir()


def test_of_very_many_folders_only_the_latest_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "_KEPT_FOLDERS", 10)
    folders = DurableDirectories(tmp_path)
    paths = [tmp_path / f"a={number}" / "b=1" for number in range(50)]
    for path in paths:
        folders.make(path)
    assert sum(map(folders.knows, paths)) <= 10
    assert folders.knows(paths[-1])
    current = Current(99, monkeypatch)
    folders.make(paths[0])
    assert current.log == ["mkdir", "fsync"] * 3, "what was forgotten is synced once more"


# --- the collector --------------------------------------------------------------------------------


async def fetched(tmp_path: Path, form: Format) -> tuple[FileCollector, Report]:
    collector = FileCollector(OutputSettings(tmp_path, form))
    report = a_report()
    verdict = await collector.fetch(report, BytesDownload(streamed_zip(CONTENT)))
    return collector, replace(
        report,
        rows=verdict.rows,
        size_bytes=verdict.size_bytes,
        sha256=verdict.sha256,
        target=verdict.target,
    )


@pytest.mark.anyio
async def test_a_new_process_publishes_what_an_old_one_verified_in_another_format(
    tmp_path: Path,
) -> None:
    """The ledger's target decides, not the format of today."""
    _, report = await fetched(tmp_path, Format.CSV_GZ)
    assert report.target is not None
    today = FileCollector(OutputSettings(tmp_path, Format.CSV))
    assert await today.publish(report)
    assert (tmp_path / report.target).is_file()
    assert report.target.endswith(".csv.gz")


@pytest.mark.anyio
async def test_a_file_that_another_process_left_is_read_again_before_it_is_published(
    tmp_path: Path,
) -> None:
    _, report = await fetched(tmp_path, Format.CSV)
    WorkFiles.of(tmp_path, report).verified(Format.CSV).write_bytes(CONTENT.swapcase())
    assert not await FileCollector(OutputSettings(tmp_path)).publish(report)


@pytest.mark.anyio
async def test_two_reports_of_one_window_do_not_overwrite_each_other(tmp_path: Path) -> None:
    collector, report = await fetched(tmp_path, Format.CSV)
    other = a_report(1, id=18, request_id="another")
    verdict = await collector.fetch(other, BytesDownload(streamed_zip(b"a\n1\n")))
    assert await collector.publish(report)
    with pytest.raises(NameTaken, match="another file stands at"):
        await collector.publish(replace(other, sha256=verdict.sha256, target=verdict.target))
    assert await collector.publish(report)


@pytest.mark.parametrize("closed", ["from", "to"])
def test_of_two_folders_the_one_that_refuses_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    """Whoever opened the other one would meet the same refusal again."""
    source, target = tmp_path / "from" / "a.csv", tmp_path / "to" / "b.csv"
    monkeypatch.setattr(os, "access", lambda folder, _: folder != tmp_path / closed)
    refused = PermissionError(errno.EACCES, "Permission denied", str(source), None, str(target))
    told = explain(refused, source, "publish")
    assert f"the right to write in {tmp_path / closed}, or point" in told
