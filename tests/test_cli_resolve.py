"""The command `resolve`, against a real simulator."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

import pytest

from orchestrator.cli.main import call
from orchestrator.ledger.report_writer import ReportWriter
from orchestrator.ledger.sqlite import SqliteLedger
from orchestrator.simulator import Fault, Faults
from tests.kit.cli_worlds import simulated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from orchestrator.core.lifecycle import Event
    from orchestrator.core.model import Report
    from tests.kit.cli_worlds import Place

JOB = """\
name: job
accounts: [{id: beta0001, credentials: beta}]
products: [VERIFY-API]
windows: [{from: 2026-01-01, to: 2026-02-01}]
"""
SERIES = "beta0001 VERIFY-API, 2026-01-01 to 2026-02-01"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No config from outside."""
    monkeypatch.delenv("ORCHESTRATOR_CONFIG", raising=False)


@pytest.fixture
def disputed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """The one report of the job has fewer records than the API says."""
    monkeypatch.chdir(tmp_path)
    wrong = Fault.of("report", "wrong_count", nth=1)
    with simulated(tmp_path, job=JOB, faults=Faults((wrong,))) as place:
        assert place.run("--quiet") == 1
        yield place


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """The one report was created, its answer was lost, and the list is refused."""
    monkeypatch.chdir(tmp_path)
    lost = Fault.of("create", "reset", made=True, nth=1)
    refused = Fault.of("list", "refuse", status=403)
    with simulated(tmp_path, job=JOB, faults=Faults((lost, refused))) as place:
        assert place.run("--quiet") == 75
        yield place


def resolve(*arguments: str) -> int:
    return call(["resolve", *arguments])


# --- what can be decided --------------------------------------------------------------------------


def test_a_disputed_file_is_accepted(disputed: Place, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert resolve("1", "--accept-file") == 0
    out = capsys.readouterr().out
    assert out.startswith(f"report 1, {SERIES}: its file is accepted as report_account=beta0001/")
    assert disputed.run() == 0
    assert disputed.is_the_truth()
    manifest = (disputed.directory / "reports" / "manifest.jsonl").read_text("utf-8")
    assert '"request_id"' in manifest
    capsys.readouterr()
    assert call(["files", str(disputed.job), "--json"]) == 0
    (file,) = json.loads(capsys.readouterr().out)
    assert "the API promised" in file["finding"]
    assert f'"finding":"{file["finding"]}"' in manifest


def test_a_disputed_report_is_bought_again(disputed: Place) -> None:
    assert resolve("r1", "--resubmit") == 0
    assert disputed.run() == 0
    assert len(disputed.bill()) == 2


def test_a_disputed_report_is_waived(disputed: Place, capsys: pytest.CaptureFixture[str]) -> None:
    (charge,) = disputed.bill()
    capsys.readouterr()
    assert resolve(charge.request_id, "--waive", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == {
        "report": 1,
        "request_id": charge.request_id,
        "account_id": "beta0001",
        "product": "VERIFY-API",
        "direction": None,
        "filter": {},
        "start": "2026-01-01T00:00:00Z",
        "end": "2026-02-01T00:00:00Z",
        "state": "waived",
        "target": None,
    }
    assert disputed.run() == 0
    assert len(disputed.bill()) == 1
    assert capsys.readouterr().out.endswith(
        "Done: everything the jobs ask for has been collected, but for 1 window skipped as you "
        "decided.\n"
    )


def test_a_held_report_is_adopted(held: Place, capsys: pytest.CaptureFixture[str]) -> None:
    (charge,) = held.bill()
    capsys.readouterr()
    assert resolve("1", "--adopt", charge.request_id) == 0
    assert capsys.readouterr().out == (
        f"report 1, {SERIES}: adopted as {charge.request_id}; `orchestrator run JOB` goes on with"
        " it\n"
    )
    assert held.run() == 0
    assert held.is_the_truth()
    assert len(held.bill()) == 1


def test_a_disputed_report_is_fetched_again_at_no_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before: the only way out was to pay, although the file lives for days."""
    monkeypatch.chdir(tmp_path)
    broken = Fault.of("download", "bad_crc", first=3)
    with simulated(tmp_path, job=JOB, faults=Faults((broken,))) as place:
        assert place.run("--quiet") == 1
        capsys.readouterr()
        assert resolve("1", "--refetch") == 0
        assert "fetches its file again, at no cost" in capsys.readouterr().out
        assert place.run("--quiet") == 0
        assert place.is_the_truth()
        assert len(place.bill()) == 1


def test_buying_again_says_what_it_costs(
    disputed: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert resolve("1", "--resubmit") == 0
    assert "as far as a job wants it: about " in capsys.readouterr().out


def test_several_reports_are_decided_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    wrong = Fault.of("report", "wrong_count", first=2)
    two = JOB.replace("windows: [", "windows: [{from: 2025-12-01, to: 2026-01-01}, ")
    with simulated(tmp_path, job=two, faults=Faults((wrong,))) as place:
        assert place.run("--quiet") == 1
        capsys.readouterr()
        assert resolve("1", "2", "--waive", "--json") == 0
        answer = json.loads(capsys.readouterr().out)
        assert [(one["report"], one["state"]) for one in answer["reports"]] == [
            (1, "waived"),
            (2, "waived"),
        ]
        assert resolve("1", "2", "--waive") == 2, "they are waived already"
        assert place.run("--quiet") == 0
        assert len(place.bill()) == 2


def test_all_that_waits_of_a_job_is_decided_at_once(
    disputed: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert resolve("--all", "--waive", str(disputed.job)) == 0
    assert f"report 1, {SERIES}: skipped;" in capsys.readouterr().out
    assert resolve("--all", "--waive", str(disputed.job)) == 0
    assert capsys.readouterr().out == "no report of these jobs waits for a decision\n"
    assert disputed.run("--quiet") == 0


def test_a_report_that_is_not_finished_can_be_waived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is not collected has a way out."""
    monkeypatch.chdir(tmp_path)
    stuck = Fault.of("report", "stuck", nth=1)
    with simulated(tmp_path, job=JOB, faults=Faults((stuck,))) as place:
        place.write_config(poll_timeout="1s")
        assert place.run("--quiet") == 75
        assert resolve("1", "--refetch") == 0, "a run does so anyway"
        assert resolve("1", "--waive") == 0
        assert place.run("--quiet") == 0
        assert len(place.bill()) == 1


# --- what cannot ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["17", "--waive"], "the ledger has no report 17; `orchestrator status` shows the number"),
        (["abc-def", "--waive"], "the ledger has no report abc-def; "),
        (["1", "--accept-file"], "--accept-file: report 1 is held, and this is for one that is"),
        (["1", "--adopt", "nothing"], "--adopt nothing: the API does not know it ("),
        (["1"], "give one of --refetch, --adopt REQUEST_ID, --accept-file, --waive, --resubmit"),
        (["1", "--waive", "--resubmit"], "give one of --refetch, --adopt REQUEST_ID, "),
        (["1", "2", "--adopt", "x"], "--adopt is for one report: give its number alone"),
        (["1", "17", "18", "--waive"], "the ledger has no report 18"),
        (["1", "--refetch"], "--refetch: report 1 is held, and this is for one that is disputed"),
    ],
    ids=[
        "no number",
        "no id",
        "wrong state",
        "unknown id",
        "nothing",
        "two things",
        "two adopted",
        "two unknown",
        "never had",
    ],
)
def test_what_makes_no_sense_is_bad_input(
    held: Place, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert resolve(*arguments) == 2
    assert words in capsys.readouterr().err


def test_adopting_needs_the_credentials_that_bought(
    held: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    config = held.directory / "config.yaml"
    config.write_text(
        config.read_text("utf-8").replace('"Simulated-Secret-2"', '"${BETA_SECRET}"'), "utf-8"
    )
    assert resolve("1", "--adopt", "any") == 2
    err = capsys.readouterr().err
    assert "report 1 was asked for with the API key beta0001, and no credentials of the" in err
    assert "the variable BETA_SECRET is not set" in err


def test_an_api_out_of_reach_leaves_all_as_it_was(
    held: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    config = held.directory / "config.yaml"
    config.write_text(
        config.read_text("utf-8").replace(held.simulator.base_url, "http://127.0.0.1:1"), "utf-8"
    )
    capsys.readouterr()
    assert resolve("1", "--adopt", "any") == 75
    assert capsys.readouterr().err.endswith("; nothing was changed, try again\n")


def test_a_file_that_is_not_there_cannot_be_accepted(
    disputed: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (disputed.directory / "reports" / ".aside").iterdir():
        path.unlink()
    capsys.readouterr()
    assert resolve("1", "--accept-file") == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_without_a_ledger_there_is_nothing_to_resolve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve("1", "--waive") == 2
    assert "so no report to resolve" in capsys.readouterr().err


# --- many at once ---------------------------------------------------------------------------------

MANY = JOB + "chunk: {max: 3 days}\n"


def count_commits(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Of the commits from now on that change something: what had been changed up to each."""
    changed: set[int] = set()
    commit = SqliteLedger.commit

    def count(ledger: SqliteLedger) -> None:
        changed.add(ledger._db.total_changes)
        commit(ledger)

    monkeypatch.setattr(SqliteLedger, "commit", count)
    return changed


@pytest.mark.parametrize(
    ("decision", "state"),
    [("--waive", "waived"), ("--resubmit", "discarded"), ("--refetch", "submitted")],
)
def test_many_reports_share_their_commits(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    decision: str,
    state: str,
) -> None:
    """One synced commit for each would take minutes for ten thousand of them."""
    monkeypatch.chdir(tmp_path)
    faults = Faults((Fault.of("report", "wrong_count"),))
    with simulated(tmp_path, job=MANY, faults=faults) as place:
        assert place.run("--quiet") == 1
        capsys.readouterr()
        changed = count_commits(monkeypatch)
        assert resolve("--all", decision, str(place.job), "--json") == 0
        answer = json.loads(capsys.readouterr().out)["reports"]
        assert [one["state"] for one in answer] == [state] * 11
        assert [one["start"] for one in answer] == sorted(one["start"] for one in answer)
        assert len(changed) <= 4


def test_a_commit_that_fails_leaves_each_report_decided_or_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("orchestrator.app.resolve.TOGETHER", 4)
    faults = Faults((Fault.of("report", "wrong_count"),))
    with simulated(tmp_path, job=MANY, faults=faults) as place:
        assert place.run("--quiet") == 1
        with monkeypatch.context() as patched:
            waived: list[Report] = []
            apply = ReportWriter.apply

            def fail(store: ReportWriter, report: Report, event: Event, at: datetime) -> Report:
                if len(waived) == 6:
                    raise sqlite3.OperationalError("disk I/O error")
                waived.append(report)
                return apply(store, report, event, at)

            patched.setattr(ReportWriter, "apply", fail)
            assert resolve("--all", "--waive", str(place.job)) == 74
        capsys.readouterr()
        assert resolve("--all", "--waive", str(place.job), "--json") == 0
        rest = json.loads(capsys.readouterr().out)["reports"]
        assert [one["state"] for one in rest] == ["waived"] * 7, "four were committed together"
        assert place.run("--quiet") == 0


def test_what_was_given_up_is_asked_for_again_in_few_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with simulated(tmp_path) as place:
        assert place.run("--quiet") == 0
        changed = count_commits(monkeypatch)
        assert place.run("--quiet", "--retry-failed") == 0
    assert len(changed) <= 3, "of six series"
