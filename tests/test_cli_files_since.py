"""`files --since`: what was added, replaced and removed since a run or a time; and `_SUCCESS`."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.app.file_changes import Change, changed_files
from orchestrator.cli.main import call
from orchestrator.config import load_inputs
from orchestrator.core.checkpoint import Checkpoint
from orchestrator.core.model import LedgerPoint
from tests.kit.cli_worlds import Place, simulated
from tests.kit.home import enter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JOB = """\
name: job
accounts: [abcd1234]
products: [VERIFY-API]
windows: [{from: 2026-01-01, to: 2026-03-01}]
"""
MORE = JOB.replace("2026-03-01", "2026-04-01")
FEBRUARY = ("--again", "--from", "2026-02-01", "--to", "2026-03-01", "--yes")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with simulated(tmp_path, job=JOB) as here:
        assert here.run() == 0
        yield here


def success(place: Place) -> Any:
    return json.loads((place.directory / "reports" / "_SUCCESS").read_text("utf-8"))


def since(place: Place, capsys: pytest.CaptureFixture[str], word: str) -> dict[str, Any]:
    capsys.readouterr()
    assert call(["files", str(place.job), "--since", word, "--json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def brief(answer: dict[str, Any]) -> list[tuple[str, int, str]]:
    return [(one["change"], one["report"], one["date_start"][:7]) for one in answer["files"]]


def test_since_a_run_there_is_what_came_after_it(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    first = success(place)["run"]
    assert since(place, capsys, first)["files"] == []
    place.write_job(MORE)
    assert place.run() == 0
    assert place.run(*FEBRUARY) == 0
    answer = since(place, capsys, first)
    assert brief(answer) == [
        ("added", 3, "2026-03"),
        ("removed", 2, "2026-02"),
        ("replaced", 4, "2026-02"),
    ]
    newer = answer["files"][2]
    assert (newer["edition"], newer["replaces"]) == (2, 2)
    assert newer["path"].endswith("_e2.csv")
    assert answer["since"] == first
    again = since(place, capsys, answer["until"])
    assert again["files"] == []
    assert again["until"].split("-")[1:] == answer["until"].split("-")[1:]


def test_what_came_and_was_replaced_in_between_is_simply_added(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    first = success(place)["run"]
    place.write_job(MORE)
    assert place.run() == 0
    march = ("--again", "--from", "2026-03-01", "--to", "2026-04-01", "--yes")
    assert place.run(*march) == 0
    assert place.run(*march) == 0
    assert brief(since(place, capsys, first)) == [("added", 5, "2026-03")]


def test_since_a_time_there_is_what_was_collected_from_then_on(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert brief(since(place, capsys, "1970-01-01")) == [
        ("added", 1, "2026-01"),
        ("added", 2, "2026-02"),
    ]
    assert place.run(*FEBRUARY) == 0
    answer = since(place, capsys, "1970-01-01")
    assert brief(answer) == [
        ("added", 1, "2026-01"),
        ("removed", 2, "2026-02"),
        ("replaced", 3, "2026-02"),
    ]
    assert since(place, capsys, "2099-01-01")["files"] == []
    at = answer["files"][2]["collected_at"]
    assert ("replaced", 3, "2026-02") in brief(since(place, capsys, at))


def test_what_is_collected_while_somebody_reads_comes_the_next_time(place: Place) -> None:
    inputs = load_inputs([place.job], env={})
    changes = changed_files(inputs, "1970-01-01")
    assert place.run(*FEBRUARY) == 0
    assert [(one.change, one.report) for one in changes] == [(Change.ADDED, 1)]
    later = changed_files(inputs, changes.until)
    assert [(one.change, one.report) for one in later] == [
        (Change.REMOVED, 2),
        (Change.REPLACED, 3),
    ]


def test_other_jobs_are_left_out_and_without_a_job_all_is_there(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    first = success(place)["run"]
    place.write_job(MORE)
    assert place.run() == 0
    other = place.directory / "other.yaml"
    other.write_text(JOB.replace("name: job", "name: other").replace("abcd1234", "beta0001"))
    capsys.readouterr()
    assert call(["files", str(other), "--since", first, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == []
    inputs = replace(load_inputs([other], env={}), jobs=())
    assert [one.report for one in changed_files(inputs, first)] == [3]


def test_the_list_has_a_column_more(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    first = success(place)["run"]
    assert place.run(*FEBRUARY) == 0
    capsys.readouterr()
    assert call(["files", str(place.job), "--since", first]) == 0
    head, *rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert head[-6:] == ["report", "collected_at", "edition", "replaces", "finding", "change"]
    assert [(row[-6], row[-1]) for row in rows] == [("2", "removed"), ("3", "replaced")]
    assert rows[0][head.index("path")] == ""
    assert rows[0][:6] == rows[1][:6]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("soon", "--since: soon is not a date; give the id of a run, the `until` of an earlier"),
        ("now", "give the id of a run, the `until` of an earlier answer, or a time: write 20"),
        ("", "--since: is empty; give the id of a run, the `until` of an earlier answer, or a "),
        ("20260101T000000Z-00000000-1-1-ab12", "is of another ledger than"),
        ("20261301T000000Z-00000000-1-1", "--since: "),
    ],
)
def test_what_is_no_beginning_is_bad_input(
    place: Place, capsys: pytest.CaptureFixture[str], word: str, message: str
) -> None:
    capsys.readouterr()
    assert call(["files", str(place.job), "--since", word]) == 2
    assert message in capsys.readouterr().err


def test_a_run_that_an_older_copy_of_the_ledger_does_not_know_is_bad_input(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = success(place)["run"].split("-")
    later = "-".join([*parts[:3], str(int(parts[3]) + 1), parts[4]])
    assert call(["files", str(place.job), "--since", later]) == 2
    assert "this is an older copy; delete what you have loaded" in capsys.readouterr().err


def test_before_the_first_run_there_is_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    enter(tmp_path, monkeypatch)
    (tmp_path / "job.yaml").write_text(JOB)
    assert call(["files", "job.yaml", "--since", "1970-01-01", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "since": "1970-01-01",
        "until": "1970-01-01",
        "files": [],
    }


def test_a_rebuilt_ledger_misses_nothing_and_lists_nothing_twice(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    first = success(place)["run"]
    place.write_job(MORE)
    assert place.run() == 0
    assert place.run(*FEBRUARY) == 0
    before = since(place, capsys, first)
    for path in place.state.parent.glob("ledger.db*"):
        path.unlink()
    assert place.run("--rebuild-ledger") == 0
    assert since(place, capsys, first)["files"] == before["files"]
    assert since(place, capsys, before["until"])["files"] == []
    january = ("--again", "--from", "2026-01-01", "--to", "2026-02-01", "--yes")
    assert place.run(*january) == 0
    assert [one[0] for one in brief(since(place, capsys, before["until"]))] == [
        "removed",
        "replaced",
    ]


# --- the id of a run, its files, and _SUCCESS -----------------------------------------------------


def test_a_run_lists_its_files(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.write_job(MORE)
    capsys.readouterr()
    assert place.run("--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert [(one["report"], one["date_start"][:7]) for one in answer["files"]] == [(3, "2026-03")]
    assert call(["files", str(place.job), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[2] == answer["files"][0]
    assert place.run("--json") == 0
    idle = json.loads(capsys.readouterr().out)
    assert idle["files"] == []
    assert idle["run"] != answer["run"]


def test_success_tells_of_the_last_run_that_collected_all(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    before = success(place)
    assert sorted(before) == ["collected", "ended_at", "in_all", "jobs", "run"]
    assert before["jobs"] == ["job"]
    assert before["collected"] == before["in_all"]
    assert before["collected"]["reports"] == 2
    place.write_job(MORE)
    assert place.run("--deadline", "1ms") == 75
    assert success(place) == before
    capsys.readouterr()
    assert place.run("--json") == 0
    after = success(place)
    assert after["run"] == json.loads(capsys.readouterr().out)["run"]
    assert (after["collected"]["reports"], after["in_all"]["reports"]) == (1, 3)
    assert call(["verify", str(place.job)]) == 0


def test_success_that_cannot_be_written_is_74_and_buys_nothing_again(place: Place) -> None:
    path = place.directory / "reports" / "_SUCCESS"
    path.unlink()
    path.mkdir()
    place.write_job(MORE)
    assert place.run("--quiet") == 74
    bought = place.bought()
    path.rmdir()
    assert place.run("--quiet") == 0
    assert success(place)["in_all"]["reports"] == 3
    assert place.bought() == bought == 3


def test_the_id_of_a_run_is_read_as_it_was_written() -> None:
    at = datetime(2026, 3, 1, 2, 3, 4, 567, tzinfo=UTC)
    point = LedgerPoint("3f9c12ab" * 4, 1, 1234, 9999, "00")
    for run in ("", "9e7c"):
        checkpoint = Checkpoint.of(point, at, run)
        assert Checkpoint.parse(str(checkpoint)) == checkpoint
    assert str(Checkpoint.of(point, at, "9e7c")) == "20260301T020304Z-3f9c12ab-1-1234-9e7c"
    for word in ("", "2026-03-01", "20260301T020304Z-3f9c12ab-1", "20269901T020304Z-3f9c12ab-1-1"):
        assert Checkpoint.parse(word) is None
