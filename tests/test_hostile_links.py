"""Links, pipes and folders of somebody else who may write where we write: never followed."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import socket
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from orchestrator.cli.main import call
from orchestrator.collect import layout, safe_open
from orchestrator.collect.collector import FileCollector
from orchestrator.collect.disk import DurableDirectories
from orchestrator.collect.work_area import PartialDownload, WorkFiles, remove_unfinished
from orchestrator.core.ports import Resume
from orchestrator.core.settings import Format, OutputSettings
from orchestrator.errors import CorruptArchive, LedgerError, NameTaken, OutputError
from orchestrator.ledger.lock import holder, run_lock
from tests.kit.archives import WAYS, BytesDownload, a_report, csv_bytes, go_the_way, streamed_zip
from tests.kit.cli_worlds import simulated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.core.lifecycle import VerifiedFile
    from orchestrator.core.model import Report
    from tests.kit.cli_worlds import Place

CONTENT = csv_bytes()
ARCHIVE = streamed_zip(CONTENT)
STEM = "17_ri3p58f-42d57cfd"
VICTIM = b"a file of the service user"
JOB = """\
name: job
accounts: [abcd1234]
products: [VERIFY-API]
windows: [{from: 2026-01-01, to: 2026-03-01}]
"""
SERIES = "report_account=abcd1234/report_product=VERIFY-API/report_direction=any/report_filter=all"


class Scene(NamedTuple):
    """An output directory, and a place outside with a file that nobody may touch."""

    output: Path
    elsewhere: Path

    @property
    def victim(self) -> Path:
        return self.elsewhere / "victim"

    def is_untouched(self) -> bool:
        found = {path.relative_to(self.elsewhere) for path in self.elsewhere.rglob("*")}
        return found == {Path("victim")} and self.victim.read_bytes() == VICTIM


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    made = Scene(tmp_path / "reports", tmp_path / "elsewhere")
    made.output.mkdir()
    made.elsewhere.mkdir()
    made.victim.write_bytes(VICTIM)
    return made


def settled(report: Report, verdict: VerifiedFile) -> Report:
    return replace(
        report,
        rows=verdict.rows,
        size_bytes=verdict.size_bytes,
        sha256=verdict.sha256,
        target=verdict.target,
    )


async def fetched(collector: FileCollector) -> Report:
    return settled(a_report(), await collector.fetch(a_report(), BytesDownload(ARCHIVE)))


async def refused(collector: FileCollector) -> None:
    """Fetches what is not what was promised, and keeps it aside."""
    with pytest.raises(CorruptArchive):
        await collector.fetch(a_report(1234), BytesDownload(ARCHIVE))
    await collector.quarantine(a_report(1234), "not what was promised")


# --- where files are written ----------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("form", list(Format), ids=lambda one: one.value)
@pytest.mark.parametrize("way", WAYS)
async def test_a_link_in_place_of_an_unfinished_file_gives_way(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, way: str, form: Format
) -> None:
    go_the_way(way, monkeypatch)
    collector = FileCollector(OutputSettings(scene.output, form))
    files = WorkFiles.of(scene.output, a_report())
    files.partial_folder.mkdir(0o700)
    assert collector.resumable(a_report(7)) is None, "the folder has been looked through by now"
    for path in files.unfinished():
        path.symlink_to(scene.victim)
    report = await fetched(collector)
    assert await collector.publish(report)
    assert report.target is not None
    place = scene.output / report.target
    assert not place.is_symlink()
    assert hashlib.sha256(place.read_bytes()).hexdigest() == report.sha256
    assert scene.is_untouched()


@pytest.mark.anyio
async def test_a_link_in_place_of_a_kept_file_or_its_note_gives_way(scene: Scene) -> None:
    collector = FileCollector(OutputSettings(scene.output))
    files = WorkFiles.of(scene.output, a_report())
    files.quarantine_folder.mkdir(0o700)
    for path in files.in_quarantine():
        path.symlink_to(scene.victim)
    await refused(collector)
    assert (files.quarantined(Format.ZIP).read_bytes(), files.note.is_symlink()) == (ARCHIVE, False)
    assert scene.is_untouched()


def test_a_download_goes_on_in_no_file_of_another_name(scene: Scene) -> None:
    part = scene.output / "x.part"
    part.symlink_to(scene.victim)
    with pytest.raises(OSError, match="a symbolic link, which is not followed"):
        safe_open.append(part)
    part.unlink()
    part.hardlink_to(scene.victim)
    with pytest.raises(OSError, match="hard link"):
        safe_open.append(part)


@pytest.mark.anyio
@pytest.mark.parametrize("plant", [Path.symlink_to, Path.hardlink_to], ids=["symbolic", "hard"])
async def test_a_download_set_aside_that_is_a_link_begins_anew(
    scene: Scene, plant: Callable[[Path, Path], None]
) -> None:
    """The note beside it fits; what would be appended to is a file of somebody else."""
    files = WorkFiles.of(scene.output, a_report())
    files.partial_folder.mkdir()
    half = Resume(len(VICTIM), 2 * len(VICTIM), '"a validator"')
    files.archive.write_bytes(VICTIM)
    PartialDownload(half, a_report().items_count).write(files)
    assert FileCollector(OutputSettings(scene.output)).resumable(a_report()) == half
    files.archive.unlink()
    plant(files.archive, scene.victim)
    collector = FileCollector(OutputSettings(scene.output))
    assert collector.resumable(a_report()) is None
    assert await collector.publish(await fetched(collector))
    assert scene.is_untouched()


@pytest.mark.anyio
@pytest.mark.parametrize("name", [".partial", ".aside", *SERIES.split("/")])
async def test_a_folder_that_is_a_link_ends_in_words_and_nothing_stands_behind_it(
    scene: Scene, name: str
) -> None:
    collector = FileCollector(OutputSettings(scene.output))
    report = a_report()
    series = layout.series_folder(report.series).split("/")
    folder = scene.output
    if name.startswith("report_"):
        for part in series[: SERIES.split("/").index(name)]:
            folder /= part
        folder.mkdir(parents=True, exist_ok=True)
        folder /= series[SERIES.split("/").index(name)]
    else:
        folder /= name
    folder.symlink_to(scene.elsewhere)
    with pytest.raises(OutputError) as caught:
        if name == ".aside":
            await refused(collector)
        await collector.publish(await fetched(collector))
    assert f"{folder}: it is a symbolic link, which could lead out" in str(caught.value)
    assert scene.is_untouched()


@pytest.mark.anyio
async def test_a_link_to_the_very_content_is_not_what_was_collected(scene: Scene) -> None:
    collector = FileCollector(OutputSettings(scene.output))
    report = await fetched(collector)
    assert report.target is not None
    place = scene.output / report.target
    place.parent.mkdir(parents=True)
    (scene.output / "copy").write_bytes(CONTENT)
    place.symlink_to(scene.output / "copy")
    with pytest.raises(NameTaken, match="a symbolic link stands at"):
        await collector.publish(report)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
@pytest.mark.anyio
@pytest.mark.parametrize("name", [".partial", "report_account=abcd1234"])
async def test_a_folder_of_another_user_is_refused_by_name(scene: Scene, name: str) -> None:
    collector = FileCollector(OutputSettings(scene.output))
    (scene.output / name).mkdir(0o777)
    os.chown(scene.output / name, 12345, 12345)
    with pytest.raises(OutputError) as caught:
        await collector.publish(await fetched(collector))
    assert f"{scene.output / name} belongs to another user (user 12345; this is " in str(
        caught.value
    )
    assert f"`chown -R 0 {scene.output / name}`" in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_the_owner_of_the_output_directory_is_trusted(scene: Scene) -> None:
    """A volume of the host, a share: whoever owns it may rename what is in it anyway."""
    os.chown(scene.output, 12345, 12345)
    (scene.output / "a").mkdir()
    os.chown(scene.output / "a", 12345, 12345)
    DurableDirectories(scene.output).make(scene.output / "a" / "b")
    assert (scene.output / "a" / "b").is_dir()


def test_the_output_directory_itself_and_what_is_above_may_be_links(scene: Scene) -> None:
    link = scene.output.parent / "link"
    link.symlink_to(scene.output)
    folders = DurableDirectories(link / "below")
    for _ in range(2):
        folders.make(link / "below" / "a" / "b")
    assert (scene.output / "below" / "a" / "b").is_dir()


def test_a_folder_that_becomes_a_link_during_a_run_is_noticed(scene: Scene) -> None:
    folders = DurableDirectories(scene.output)
    folders.make(scene.output / "a")
    (scene.output / "a").rmdir()
    (scene.output / "a").symlink_to(scene.elsewhere)
    with pytest.raises(OSError, match="symbolic link"):
        folders.make(scene.output / "a")


# --- where files are removed ----------------------------------------------------------------------


@pytest.mark.anyio
async def test_nothing_is_withdrawn_behind_a_link(scene: Scene) -> None:
    """As a changed ledger or a planted link would have it."""
    collector = FileCollector(OutputSettings(scene.output))
    (scene.output / "report_account=a").symlink_to(scene.elsewhere)
    report = replace(a_report(), target="report_account=a/victim", sha256="0" * 64)
    with pytest.raises(OutputError, match="report_account=a: it is a symbolic link"):
        await collector.withdraw(report)
    assert scene.is_untouched()


@pytest.mark.anyio
@pytest.mark.parametrize("name", [".partial", ".aside"])
async def test_nothing_is_swept_or_discarded_behind_a_link(scene: Scene, name: str) -> None:
    (scene.output / name).symlink_to(scene.elsewhere)
    kept = [scene.elsewhere / f"{STEM}.{end}" for end in ("csv.part", "zip", "txt")]
    for path in kept:
        path.write_bytes(b"of another program")
    collector = FileCollector(OutputSettings(scene.output))
    with pytest.raises(OutputError, match="it is a symbolic link"):
        await collector.discard(a_report())
    if name == ".partial":
        with pytest.raises(OutputError, match="it is a symbolic link"):
            remove_unfinished(scene.output, frozenset())
    else:
        await collector.publish(await fetched(collector))
        with pytest.raises(OutputError, match="it is a symbolic link"):
            await collector.accept(a_report())
    assert all(path.read_bytes() == b"of another program" for path in kept)


def test_a_link_among_unfinished_files_is_swept_itself(scene: Scene) -> None:
    (scene.output / ".partial").mkdir()
    (scene.output / ".partial" / f"{STEM}.csv.part").symlink_to(scene.elsewhere)
    assert remove_unfinished(scene.output, frozenset()) == 1
    assert scene.is_untouched()


# --- whole commands -------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Where a run has collected two months."""
    with simulated(tmp_path, job=JOB) as place:
        assert place.run("--quiet") == 0
        yield place


def link_series_away(place: Place) -> Path:
    """Somebody has moved the series' folder, and put a link in its place."""
    folder = place.directory / "reports" / SERIES
    moved = place.directory / "moved"
    shutil.move(folder, moved)
    folder.symlink_to(moved)
    return moved


def without_ledger(place: Place) -> None:
    for path in place.state.parent.iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("prepare", "command", "code"),
    [
        (None, ["verify"], 1),
        (None, ["run", "--again", "--from", "2026-01-01", "--to", "2026-02-01", "--yes"], 74),
        (without_ledger, ["run", "--rebuild-ledger"], 74),
    ],
    ids=["verify", "again", "rebuild"],
)
def test_no_command_goes_through_the_link_of_a_series(
    place: Place,
    capsys: pytest.CaptureFixture[str],
    prepare: Callable[[Place], None] | None,
    command: list[str],
    code: int,
) -> None:
    moved = link_series_away(place)
    before = {path: path.read_bytes() for path in moved.iterdir()}
    if prepare is not None:
        prepare(place)
    capsys.readouterr()
    assert call([command[0], str(place.job), *command[1:]]) == code
    said = capsys.readouterr()
    assert "it is a symbolic link, which could lead out of output.directory" in said.out + said.err
    assert {path: path.read_bytes() for path in moved.iterdir()} == before
    assert place.bought() == 2


def test_nothing_is_bought_for_a_series_whose_folder_is_a_link(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = link_series_away(place)
    place.write_job(JOB.replace("2026-03-01", "2026-04-01"))
    assert place.run("--quiet") == 74
    assert "it is a symbolic link" in capsys.readouterr().err
    assert (len(list(moved.iterdir())), place.bought()) == (2, 2)


def test_a_file_that_became_a_link_is_a_finding(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    file = next((place.directory / "reports" / SERIES).iterdir())
    file.rename(place.directory / "moved")
    file.symlink_to(place.directory / "moved")
    capsys.readouterr()
    assert call(["verify", str(place.job)]) == 1
    assert "not a file, but a link, which is not followed" in capsys.readouterr().out


def of_a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def of_a_device(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may make a device")
    os.mknod(path, 0o20666, os.makedev(1, 5))  # /dev/zero, which has no end


def of_a_link(path: Path) -> None:
    real = path.with_name("real")
    real.write_bytes(VICTIM)
    path.symlink_to(real)


@pytest.mark.parametrize(
    "make", [os.mkfifo, of_a_link, of_a_device], ids=["pipe", "link", "device"]
)
@pytest.mark.timeout(30)
def test_a_manifest_that_is_no_file_is_refused_at_once(
    place: Place, capsys: pytest.CaptureFixture[str], make: Callable[[Path], None]
) -> None:
    manifest = place.directory / "reports" / "manifest.jsonl"
    manifest.unlink()
    make(manifest)
    capsys.readouterr()
    assert place.run("--quiet") == 2
    assert call(["verify", str(place.job)]) == 1
    said = capsys.readouterr()
    assert f"{manifest}: cannot be read (" in said.err
    assert f"{manifest}: cannot be read (" in said.out
    if make is of_a_link:
        assert manifest.with_name("real").read_bytes() == VICTIM


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "permission denied; give the user who runs this the right to read it"),
        (errno.EIO, "Input/output error; look at the disk, then run again"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_a_trouble_of_the_machine(
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
    words: str,
) -> None:
    """Before: exit 2, with the advice to restore it from a backup, or to move it away."""
    manifest = place.directory / "reports" / "manifest.jsonl"
    opened = os.open

    def refuse(path: str | Path, *rest: int, **more: int) -> int:
        if Path(path) == manifest:
            raise OSError(number, os.strerror(number), str(path))
        return opened(path, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    said = f"cannot read {manifest}: {words}\n"
    capsys.readouterr()
    for command in (["run", "--quiet"], ["erase", "--before", "2026-02-01", "--yes"], ["check"]):
        assert call([command[0], str(place.job), *command[1:]]) == 74, command
        out, err = capsys.readouterr()
        assert said in out + err
    assert call(["plan", str(place.job)]) == 0
    assert f"with exit code 74: {said}" in "".join(capsys.readouterr())
    assert call(["verify", str(place.job)]) == 1
    assert said in capsys.readouterr().out


def test_a_link_in_place_of_the_manifest_in_the_making_gives_way(
    place: Place, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(VICTIM)
    (place.directory / "reports" / ".partial" / "manifest.jsonl.part").symlink_to(victim)
    (place.directory / "reports" / "manifest.jsonl").unlink()
    assert place.run("--quiet") == 0
    assert not (place.directory / "reports" / "manifest.jsonl").is_symlink()
    assert victim.read_bytes() == VICTIM


# --- the ledger -----------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize(
    "make",
    [os.mkfifo, of_a_link, of_a_socket, Path.mkdir],
    ids=["pipe", "link", "socket", "folder"],
)
@pytest.mark.timeout(30)
async def test_a_lock_that_is_no_file_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    ledger = tmp_path / "ledger.db"
    make(Path("ledger.db.lock"))  # relative, since the name of a socket must be short
    with pytest.raises(LedgerError, match=r"\.lock is a link, a folder or a device"):
        async with run_lock(ledger, timedelta()):
            pass
    with pytest.raises(LedgerError, match="nobody else should be able to write in"):
        holder(ledger)
    if make is of_a_link:
        assert (tmp_path / "real").read_bytes() == VICTIM


@pytest.mark.parametrize("command", ["run", "status", "check"])
@pytest.mark.timeout(30)
def test_a_ledger_that_is_a_pipe_is_not_waited_for(
    place: Place, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    without_ledger(place)
    os.mkfifo(place.state)
    capsys.readouterr()
    assert call([command, str(place.job)]) == 74
    said = capsys.readouterr()
    assert f"{place.state} is no file" in said.out + said.err


def test_a_log_of_the_ledger_that_is_a_link_is_not_followed(place: Place, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(VICTIM)
    wal = place.state.with_name("ledger.db-wal")
    wal.unlink(missing_ok=True)
    wal.symlink_to(victim)
    place.write_job(JOB.replace("2026-03-01", "2026-04-01"))
    assert place.run("--quiet") in (0, 74)
    assert victim.read_bytes() == VICTIM
