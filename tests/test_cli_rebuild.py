"""`run --rebuild-ledger`, and files in their places that neither ledger nor manifest knows."""

from __future__ import annotations

import errno
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.cli.main import call
from orchestrator.collect.disk import RemoteError
from orchestrator.collect.manifest_writing import sealed
from orchestrator.collect.stores.folder import FolderStore
from orchestrator.core.lifecycle import State
from orchestrator.ledger.sqlite import reading
from tests.kit.cli_worlds import Place, simulated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALL_JOB = """\
name: job
accounts: [abcd1234]
products: [VERIFY-API]
windows: [{from: 2026-01-01, to: 2026-04-01}]
"""
"""One series, three reports."""

FOLDER = "report_account=abcd1234/report_product=VERIFY-API/report_direction=any/report_filter=all"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No config from outside."""
    monkeypatch.delenv("ORCHESTRATOR_CONFIG", raising=False)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Where a run has collected three months."""
    with simulated(tmp_path, job=SMALL_JOB) as place:
        assert place.run("--quiet") == 0
        assert len(place.bill()) == 3
        yield place


def folder(place: Place) -> Path:
    return place.directory / "reports" / FOLDER


def manifest(place: Place) -> Path:
    return place.directory / "reports" / "manifest.jsonl"


def back_to_two_months(place: Place) -> None:
    """Ledger and manifest of a backup from before the third month; its file stands there."""
    shutil.copytree(folder(place), place.directory / "files")
    shutil.rmtree(place.state.parent)
    shutil.rmtree(place.directory / "reports")
    place.write_job(SMALL_JOB.replace("2026-04-01", "2026-03-01"))
    assert place.run("--quiet") == 0
    place.write_job(SMALL_JOB)
    third = "20260301T000000Z_20260401T000000Z.csv"
    shutil.copy(place.directory / "files" / third, folder(place) / third)
    assert len(place.bill()) == 5


def move_ledger_away(place: Place) -> None:
    for path in place.state.parent.glob("ledger.db*"):
        path.unlink()


# --- files that the ledger does not know ----------------------------------------------------------


def test_nothing_is_bought_over_a_file_that_the_ledger_does_not_know(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before: bought again, and then 74 in every run, since its name was taken."""
    back_to_two_months(place)
    capsys.readouterr()
    assert place.run("--quiet") == 2
    err = capsys.readouterr().err
    assert "1 file stands where collected files do, and the ledger does not know it: " in err
    assert f"{folder(place)}/20260301T000000Z_20260401T000000Z.csv" in err
    assert call(["check", str(place.job)]) == 2
    assert "1 file stands where collected files do" in capsys.readouterr().out
    assert len(place.bill()) == 5

    # What it says works: the ledger away, and made anew.
    move_ledger_away(place)
    assert place.run("--rebuild-ledger") == 0
    err = capsys.readouterr().err
    assert "a ledger was made from the manifest: 2 collected files" in err
    assert "1 file that the manifest did not know, read and taken up as collected: " in err
    assert len(place.bill()) == 5
    differences = place.compare().differences
    assert [one for one in differences if "charged" not in one] == []
    assert call(["verify", str(place.job)]) == 0


def test_a_file_that_is_moved_away_is_bought_again(place: Place) -> None:
    back_to_two_months(place)
    (folder(place) / "20260301T000000Z_20260401T000000Z.csv").unlink()
    assert place.run("--quiet") == 0
    assert len(place.bill()) == 6


def test_a_file_over_time_that_is_had_stops_no_run_and_is_named_by_verify(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    stray = folder(place) / "20260110T000000Z_20260120T000000Z.csv"
    stray.write_text("account_id\n", "utf-8")
    (folder(place) / "notes.txt").write_text("not ours", "utf-8")
    assert place.run("--quiet") == 0
    capsys.readouterr()
    assert call(["verify", str(place.job)]) == 1
    out = capsys.readouterr().out
    assert "20260110T000000Z_20260120T000000Z.csv: the ledger does not know this file" in out
    assert "notes.txt" not in out
    assert call(["verify", "--json", str(place.job)]) == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert (finding["fault"], finding["path"]) == ("unknown", str(stray))
    assert finding["date_start"].startswith("2026-01-10")


def test_a_part_of_a_window_is_enough(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    (folder(place) / "20260315T000000Z_20260402T000000Z.csv").write_text("a\n", "utf-8")
    place.write_job(SMALL_JOB.replace("2026-04-01", "2026-05-01"))
    capsys.readouterr()
    assert place.run("--quiet") == 2
    assert "20260315T000000Z_20260402T000000Z.csv" in capsys.readouterr().err
    # A rebuild cannot take it up, for a part of its time is had; it says so, and so does the run.
    move_ledger_away(place)
    assert place.run("--rebuild-ledger") == 2
    err = capsys.readouterr().err
    assert "1 file where collected files stand, of which nothing is known" in err
    assert "has a part of its time" in err
    assert len(place.bill()) == 3
    (folder(place) / "20260315T000000Z_20260402T000000Z.csv").unlink()
    assert place.run("--quiet") == 0
    assert len(place.bill()) == 4
    assert place.is_the_truth()


def test_many_unknown_files_are_counted(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    for day in range(1, 9):
        name = f"202604{day:02}T000000Z_202604{day + 1:02}T000000Z.csv"
        (folder(place) / name).write_text("a\n", "utf-8")
    place.write_job(SMALL_JOB.replace("2026-04-01", "2026-05-01"))
    capsys.readouterr()
    assert place.run("--quiet") == 2
    err = capsys.readouterr().err
    assert "8 files stand where collected files do, and the ledger does not know them: " in err
    assert " and 3 more. " in err


def test_what_was_given_up_is_owed_where_it_is_to_be_tried_again(place: Place) -> None:
    with reading(place.state) as store:
        (series,) = store.all_series()
        report = next(store.reports(series))
    # Given up, in a ledger that has forgotten the file: only --retry-failed would ask for it.
    from contextlib import closing

    from orchestrator.ledger.sqlite import connect
    from orchestrator.ledger.store import Store

    with closing(connect(place.state)) as connection:
        connection.execute(
            "UPDATE report SET state = 'failed', has_window = 0, target = NULL WHERE id = ?",
            (report.id,),
        )
        Store(connection).give_up(
            series, report.window, "tried in vain", report_id=report.id, at=report.intended_at
        )
    assert place.run("--quiet") == 1
    assert place.run("--quiet", "--retry-failed") == 2
    assert len(place.bill()) == 3


# --- made from the files alone --------------------------------------------------------------------


def test_without_a_manifest_a_ledger_is_made_of_the_files(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before: no way but to pay for everything again."""
    move_ledger_away(place)
    manifest(place).unlink()
    assert place.run("--quiet") == 2, "a new ledger is not begun beside files"
    assert place.run("--rebuild-ledger") == 0
    err = capsys.readouterr().err
    assert "a ledger was made without a manifest" in err
    assert "3 files that the manifest did not know, read and taken up as collected" in err
    assert len(place.bill()) == 3
    assert place.compare().differences == []
    assert call(["verify", str(place.job)]) == 0
    assert call(["files", str(place.job)]) == 0
    move_ledger_away(place)
    assert place.run("--quiet", "--rebuild-ledger") == 0, "now there is a manifest again"
    assert len(place.bill()) == 3


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.rename(path.with_suffix(".csv.gz")), "the gzip file's bytes"),
        (lambda path: (path.unlink(), path.mkdir()), "it is no file"),
        (lambda path: path.rename(path.with_suffix(".csv.zst")), "the zstd file's bytes"),
    ],
    ids=["not gzip", "folder", "not zstd"],
)
def test_a_file_that_cannot_be_read_is_not_taken_up(
    place: Place, capsys: pytest.CaptureFixture[str], spoil: Any, words: str
) -> None:
    move_ledger_away(place)
    manifest(place).unlink()
    spoil(folder(place) / "20260201T000000Z_20260301T000000Z.csv")
    capsys.readouterr()
    assert place.run("--rebuild-ledger") == 2
    err = capsys.readouterr().err
    assert "2 files that the manifest did not know, read and taken up" in err
    assert "1 file where collected files stand, of which nothing is known" in err
    assert words in err
    assert len(place.bill()) == 3


def test_a_directory_that_may_not_be_listed_makes_no_ledger(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before: exit 70, with a traceback."""
    move_ledger_away(place)
    reports = place.directory / "reports"
    listed = os.listdir

    def refuse(path: Path) -> list[str]:
        if path == reports:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return listed(path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "listdir", refuse)
        assert place.run("--rebuild-ledger") == 74
    assert f"error: cannot read {reports}: permission denied; " in capsys.readouterr().err
    assert not place.state.exists()
    assert place.run("--rebuild-ledger", "--quiet") == 0


def test_an_output_that_fails_to_say_what_is_there_is_not_called_the_ledger(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    move_ledger_away(place)
    manifest(place).unlink()

    def fail(_store: FolderStore, _key: str) -> int:
        raise RemoteError("it does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(FolderStore, "size", fail)
        assert place.run("--rebuild-ledger") == 74
    reports = place.directory / "reports"
    assert f"error: cannot read {reports}: it does not answer\n" in capsys.readouterr().err
    assert not place.state.exists()
    assert place.run("--rebuild-ledger", "--quiet") == 0


def test_a_ledger_that_cannot_take_its_name_is_told_in_words(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before: exit 70, with a traceback."""
    move_ledger_away(place)
    log = place.state.with_name("ledger.db-wal")
    log.mkdir()
    assert place.run("--rebuild-ledger") == 74
    assert f"error: the ledger {place.state}: {log}: Is a directory; " in capsys.readouterr().err
    assert [path.name for path in sorted(place.state.parent.iterdir())] == [
        "ledger.db-wal",
        "ledger.db.lock",
    ]
    log.rmdir()
    assert place.run("--rebuild-ledger", "--quiet") == 0


def test_files_of_series_that_no_job_names_are_named(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    move_ledger_away(place)
    manifest(place).unlink()
    place.write_job(SMALL_JOB.replace("VERIFY-API", "ASR"))
    assert place.run("--rebuild-ledger") == 0
    err = capsys.readouterr().err
    assert f"3 files in {FOLDER} (neither the manifest nor these jobs know its series)" in err
    bought = len(place.bill())
    place.write_job(SMALL_JOB)
    assert place.run("--quiet") == 2, "the job that wants them does not buy over them"
    assert len(place.bill()) == bought


def test_of_two_editions_the_newer_one_is_taken_up(place: Place) -> None:
    first = folder(place) / "20260201T000000Z_20260301T000000Z.csv"
    shutil.copy(first, first.with_name("20260201T000000Z_20260301T000000Z_e2.csv"))
    move_ledger_away(place)
    manifest(place).unlink()
    assert place.run("--quiet", "--rebuild-ledger") == 0
    with reading(place.state) as store:
        (series,) = store.all_series()
        targets = [one.target or "" for one in store.reports(series, (State.COLLECTED,))]
    assert [target.rpartition("/")[2] for target in targets] == [
        "20260101T000000Z_20260201T000000Z.csv",
        "20260201T000000Z_20260301T000000Z_e2.csv",
        "20260301T000000Z_20260401T000000Z.csv",
    ]
    assert len(place.bill()) == 3


def as_open(file: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The line of a report whose file a manifest knows, before it was collected."""
    kept = (
        "report", "date_start", "date_end", "api_key", "job", "request_id", "body",
    )  # fmt: skip
    line = {"kind": "report", "state": "submitted", "server_ahead": 0}
    line["intended_at"] = line["submitted_at"] = file["collected_at"]
    return line | {name: file[name] for name in kept} | fields


def lines_of(place: Place) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in manifest(place).read_bytes().splitlines()]
    for line in lines:
        del line["check"]
    return lines


def write_lines(place: Place, lines: list[dict[str, Any]]) -> None:
    """A manifest of these lines, each with the sum that belongs to it."""
    made, crc = [], 0
    for line in lines:
        text, crc = sealed(json.dumps(line, separators=(",", ":")).encode()[:-1], crc)
        made.append(text)
    manifest(place).write_bytes(b"".join(made))


def test_a_file_of_an_open_report_is_that_reports(place: Place) -> None:
    """Killed between the name and the commit, and then the ledger lost: it is not asked for."""
    lines = lines_of(place)
    one = [line for line in lines if line["kind"] == "file"][-1]
    lines[lines.index(one)] = as_open(one)
    write_lines(place, lines)
    move_ledger_away(place)
    downloads = place.calls("download")
    assert place.run("--quiet", "--rebuild-ledger") == 0
    assert place.calls("download") == downloads
    assert len(place.bill()) == 3
    with reading(place.state) as store:
        report = store.report_by_request(one["request_id"])
    assert (report.state, report.sha256, report.rows) == (
        State.COLLECTED,
        one["sha256"],
        one["rows"],
    )


def test_the_file_of_an_open_edition_takes_the_place_of_the_old_one(place: Place) -> None:
    """Killed between the name and the commit of an edition, and then the ledger lost."""
    before = lines_of(place)
    old = [line for line in before if line["kind"] == "file"][1]
    old_file = place.directory / "reports" / old["path"]
    content = old_file.read_bytes()
    again = ("--again", "--from", "2026-02-01", "--to", "2026-03-01", "--yes")
    assert place.run("--quiet", *again) == 0
    new = next(line for line in lines_of(place) if line.get("path", "").endswith("_e2.csv"))
    old_file.write_bytes(content)
    end = before.pop()
    before.append(as_open(new, edition=2, replaces=old["report"]))
    write_lines(place, [*before, {**end, "lines": len(before)}])
    move_ledger_away(place)
    assert place.run("--quiet", "--rebuild-ledger") == 0
    with reading(place.state) as store:
        assert store.report_by_request(old["request_id"]).state is State.SUPERSEDED
        assert store.report_by_request(new["request_id"]).state is State.COLLECTED
    assert not old_file.exists()
    assert len(place.bill()) == 4
    assert call(["verify", str(place.job)]) == 0


def test_a_rebuild_beside_nothing_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulated(tmp_path, job=SMALL_JOB) as place:
        assert place.run("--quiet", "--rebuild-ledger") == 2
        assert "there are no files either: leave --rebuild-ledger out" in capsys.readouterr().err
        assert place.run("--quiet") == 0


def test_a_log_that_a_lost_ledger_has_left_does_not_get_into_the_rebuilt_one(
    place: Place,
) -> None:
    """Only the ledger's file was moved away: its -wal would be taken for the new one's."""
    wal = place.state.with_name("ledger.db-wal")
    place.state.unlink()
    wal.write_bytes(b"\x37\x7f\x06\x82" + bytes(4092))
    assert place.run("--quiet", "--rebuild-ledger") == 0
    assert len(place.bill()) == 3
    assert call(["verify", str(place.job)]) == 0


def test_a_manifest_of_a_ledger_that_never_knew_anything_stands_in_nobodys_way(
    tmp_path: Path,
) -> None:
    """A first run that asked for nothing, and the ledger removed after it."""
    with simulated(tmp_path, job=SMALL_JOB) as place:
        place.write_job(
            SMALL_JOB.replace("2026-01-01, to: 2026-04-01", "2036-01-01, to: 2036-02-01")
        )
        assert place.run("--quiet") == 0
        assert manifest(place).exists()
        assert place.bill() == []
        move_ledger_away(place)
        place.write_job(SMALL_JOB)
        assert place.run("--quiet") == 0
        assert place.run("--quiet") == 0
        assert len(place.bill()) == 3
        assert place.is_the_truth()


def test_a_manifest_that_takes_no_more_ends_a_run_with_74_and_the_next_one_goes_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Committed in the ledger, not told: what was bought is known, and followed by the next run."""
    really_write = os.write
    calls = 0

    def full(handle: int, block: bytes) -> int:
        nonlocal calls
        if b'"kind":' in bytes(block):
            calls += 1
            if calls > 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return really_write(handle, block)

    place.write_job(SMALL_JOB.replace("2026-04-01", "2026-07-01"))
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        assert place.run("--quiet") == 74
    assert place.run("--quiet") == 0
    assert sum(one.product != "REPORTS-USAGE" for one in place.bill()) == 6
    assert call(["verify", str(place.job)]) == 0


# --- copies and mix-ups ---------------------------------------------------------------------------


def test_a_copy_that_went_its_own_way_is_refused(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both were used since the copy was made; each has bought what the other does not know."""
    copy = place.directory / "copy"
    shutil.copytree(place.state.parent, copy)
    place.write_job(SMALL_JOB.replace("2026-04-01", "2026-05-01"))
    assert place.run("--quiet") == 0
    shutil.rmtree(place.state.parent)
    shutil.copytree(copy, place.state.parent)
    shutil.move(place.directory / "reports", place.directory / "first")
    place.write_job(SMALL_JOB.replace("VERIFY-API", "ASR"))
    assert place.run("--quiet") == 0
    bought = len(place.bill())
    shutil.rmtree(place.directory / "reports")
    shutil.move(place.directory / "first", place.directory / "reports")
    capsys.readouterr()
    assert place.run("--quiet") == 2
    assert "have gone different ways" in capsys.readouterr().err
    assert call(["check", str(place.job)]) == 2
    assert len(place.bill()) == bought


def test_a_newer_ledger_than_the_manifest_serves_on(place: Place) -> None:
    old = manifest(place).read_bytes()
    place.write_job(SMALL_JOB.replace("2026-04-01", "2026-05-01"))
    assert place.run("--quiet") == 0
    new = manifest(place).read_bytes()
    manifest(place).write_bytes(old)
    assert place.run("--quiet") == 0
    assert len(manifest(place).read_bytes().splitlines()) == len(new.splitlines())
    assert len(place.bill()) == 4
    manifest(place).unlink()
    assert place.run("--quiet") == 0
    assert len(manifest(place).read_bytes().splitlines()) == len(new.splitlines())


def test_a_changed_manifest_beside_its_ledger_is_kept_and_written_anew(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = manifest(place).read_bytes()
    changed = whole.replace(b'"rows":', b'"rows":1')
    manifest(place).write_bytes(changed)
    capsys.readouterr()
    assert call(["check", str(place.job)]) == 0
    assert "warning  manifest: " in capsys.readouterr().out
    assert place.run("--quiet") == 0
    assert "manifest.jsonl:3:1: check: this is not the line that was" in capsys.readouterr().err
    assert len(manifest(place).read_bytes()) == len(whole)
    kept = place.directory / "reports" / ".aside" / "manifest.jsonl.changed"
    assert kept.read_bytes() == changed
    assert call(["verify", str(place.job)]) == 0


def test_a_changed_manifest_still_tells_that_the_ledger_is_an_older_one(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = place.directory / "copy"
    shutil.copytree(place.state.parent, copy)
    place.write_job(SMALL_JOB.replace("2026-04-01", "2026-05-01"))
    assert place.run("--quiet") == 0
    manifest(place).write_bytes(manifest(place).read_bytes().replace(b'"rows":', b'"rows":1'))
    shutil.rmtree(place.state.parent)
    shutil.copytree(copy, place.state.parent)
    capsys.readouterr()
    assert place.run("--quiet") == 2
    assert "is older than its files" in capsys.readouterr().err
    assert len(place.bill()) == 4


def test_a_ledger_with_two_names_is_refused(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    backup = place.directory / "backup.db"
    backup.hardlink_to(place.state)
    capsys.readouterr()
    assert place.run("--quiet") == 2
    assert "has 2 names (hard links)" in capsys.readouterr().err
    assert call(["check", str(place.job)]) == 2
    backup.unlink()
    assert place.run("--quiet") == 0


def test_a_link_to_where_no_ledger_is_yet_stays_a_link(tmp_path: Path) -> None:
    with simulated(tmp_path, job=SMALL_JOB) as place:
        place.state.parent.mkdir()
        place.state.symlink_to(tmp_path / "true.db")
        assert place.run("--quiet") == 0
        assert place.state.is_symlink()
        assert (tmp_path / "true.db").is_file()
        assert (tmp_path / "true.db.lock").is_file()
        (tmp_path / "true.db").unlink()
        assert place.run("--quiet", "--rebuild-ledger") == 0
        assert place.state.is_symlink()
        assert len(place.bill()) == 3
