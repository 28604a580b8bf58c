"""The command `run` against a real simulator: endings, answers, and what is bought."""

from __future__ import annotations

import fcntl
import json
import shutil
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from orchestrator.app.files import from_here
from orchestrator.cli.main import call
from orchestrator.collect.layout import PARTIAL
from orchestrator.core.intervals import Window
from orchestrator.core.model import Series
from orchestrator.engine import drain
from orchestrator.errors import OutputError
from orchestrator.ledger.sqlite import connect
from orchestrator.ledger.store import Store
from orchestrator.simulator import ApiKey, Fault, Faults, media
from tests.kit.cli_worlds import JOB, REPORTS, SMALL, simulated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kit.cli_worlds import Place


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No config and no credentials from outside."""
    for name in ("ORCHESTRATOR_CONFIG", "VONAGE_API_KEY", "VONAGE_API_SECRET"):
        monkeypatch.delenv(name, raising=False)
    for name in ("NEXMO_API_KEY", "NEXMO_API_SECRET"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with simulated(tmp_path) as place:
        yield place


# --- what is bought -------------------------------------------------------------------------------


def test_a_run_collects_exactly_the_truth_and_pays_each_record_once(place: Place) -> None:
    assert place.run() == 0
    assert place.is_the_truth()
    assert len(place.bill()) == REPORTS


def test_a_second_run_asks_for_nothing(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.run() == 0
    capsys.readouterr()
    calls = place.simulator.calls.copy()
    assert place.run("--json") == 0
    place.simulator.calls.subtract(calls)
    assert +place.simulator.calls == {"status": 2}, "each key is asked for the API's time"
    answer = json.loads(capsys.readouterr().out)
    assert answer["requests"] == 2
    assert answer["collected"] == {"reports": 0, "rows": 0, "bytes": 0}
    assert answer["in_all"]["reports"] == REPORTS


def test_a_nightly_job_buys_one_day_a_night_and_three_after_two_missed_nights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = "accounts: [abcd1234]\nproducts: [VERIFY-API]\nwindows: [yesterday]\n"
    later = datetime(2026, 4, 1, tzinfo=UTC)
    with simulated(tmp_path, job=job, now=later) as place:
        for day in ("2026-03-02", "2026-03-03", "2026-03-06"):
            assert place.run("--now", f"{day}T04:05:00Z") == 0
        assert [(str(one.date_start)[:10], str(one.date_end)[:10]) for one in place.bill()] == [
            ("2026-03-01", "2026-03-02"),
            ("2026-03-02", "2026-03-03"),
            ("2026-03-03", "2026-03-06"),
        ]
        assert place.is_the_truth(datetime(2026, 3, 6, 4, 5, tzinfo=UTC))
    text = capsys.readouterr().out
    assert "catching up for job: 2026-03-03 to 2026-03-05, missed by earlier runs" in text


def test_a_day_that_still_settles_is_named_and_no_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = "accounts: [abcd1234]\nproducts: [VERIFY-API]\nwindows: [yesterday]\n"
    with simulated(tmp_path, job=job) as place:
        assert place.run("--now", "2026-03-02T00:30:00Z") == 0
        assert place.bill() == []
    assert (
        "  yesterday (2026-03-01) is not ready yet; it can be collected after 01:00\n"
        in capsys.readouterr().out
    )


# --- answers --------------------------------------------------------------------------------------


def test_the_answer_in_json_has_the_keys_that_the_help_names(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.run("--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert list(answer) == [
        "jobs", "now", "seconds", "requests", "collected", "in_all", "price", "directory",
        "made_up", "unsettled", "waived", "erased", "column_drift", "others", "later", "callbacks",
        "event_loop", "needs_person", "unfinished", "why", "exit_code", "exit_word", "run", "files",
    ]  # fmt: skip
    assert answer["jobs"] == ["job"]
    assert answer["exit_code"] == 0
    assert answer["exit_word"] == "done"
    assert answer["collected"]["reports"] == REPORTS
    assert answer["collected"] == answer["in_all"]
    assert answer["collected"]["rows"] == sum(one.charged for one in place.bill())
    assert answer["directory"] == str(place.directory / "reports")
    # A create and a download each, and looks, which are counted as well.
    assert answer["requests"] == sum(place.simulator.calls.values())


def test_where_nobody_watches_a_good_run_says_six_lines(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.run() == 0
    out, err = capsys.readouterr()
    assert len(err.splitlines()) == 3
    assert f"Z config: {place.directory / 'config.yaml'}\n" in err
    assert f"Z a new ledger: {place.state}\n" in err
    assert err.endswith("Z run job: begun\n")
    assert out.splitlines()[0].startswith(f"Collected in this run: {REPORTS} reports, ")
    assert out.splitlines()[-1] == "Done: everything the jobs ask for has been collected."
    assert len(out.splitlines()) == 3


def test_quiet_says_nothing_when_all_is_well(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.run() == 0
    capsys.readouterr()
    assert place.run("--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_log_lines_in_json_are_json_and_the_last_has_the_ending(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.run() == 0
    capsys.readouterr()
    assert place.run("--log-format", "json") == 0
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in err.splitlines()]
    assert out == ""
    config = f"config: {place.directory / 'config.yaml'}"
    assert [line["event"] for line in lines] == [config, "run job: begun", "run ended"]
    assert lines[-1]["exit_word"] == "done"
    assert lines[-1]["level"] == "info"


def test_no_secret_is_in_any_output_or_file(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.run("--log-format", "json", "--json")
    out, err = capsys.readouterr()
    secrets = [key.api_secret for key in place.simulator.settings.keys]
    assert [secret for secret in secrets if secret in out + err] == []
    written = [path for path in place.directory.rglob("*") if path.is_file()]
    holding = [
        path.name for path in written for secret in secrets if secret.encode() in path.read_bytes()
    ]
    assert set(holding) == {"config.yaml"}


def test_the_dry_run_shows_the_plan_and_sends_nothing(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.run("--dry-run", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["totals"]["chunks"] == REPORTS
    assert sum(place.simulator.calls.values()) == 0
    assert not place.state.exists()


# --- endings --------------------------------------------------------------------------------------


def test_what_was_given_up_is_1_until_it_is_retried(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    series = Series.of("beta0001", "VERIFY-API")
    window = Window(datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
    with closing(connect(place.state)) as ledger:
        Store(ledger).give_up(series, window, "it failed", report_id=None, at=window.end)
    assert place.run("--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["exit_word"] == "findings"
    assert answer["unsettled"] == [
        {
            "job": "job",
            "account_id": "beta0001",
            "product": "VERIFY-API",
            "direction": None,
            "filter": {},
            "owed": [],
            "attempts": 0,
            "refused": None,
            "open": {},
            "given_up": [
                {
                    "start": "2026-02-01T00:00:00Z",
                    "end": "2026-03-01T00:00:00Z",
                    "report": None,
                    "reason": "it failed",
                }
            ],
            "disputed": [],
        }
    ]
    assert place.run() == 1
    out, _ = capsys.readouterr()
    assert (
        "  given up: beta0001 VERIFY-API, 2026-02-01 to 2026-03-01: it failed; `orchestrator run "
        f"{place.job} --retry-failed` asks again\n"
    ) in out
    assert out.endswith("Finished. 1 problem needs you; see above.\n")
    assert place.run("--retry-failed") == 0
    assert place.is_the_truth()


def test_a_wrong_count_is_disputed_and_waits_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = Fault.of("report", "wrong_count", account="beta0001", product="VERIFY-API", nth=2)
    with simulated(tmp_path, faults=Faults((wrong,))) as place:
        assert place.run("--json") == 1
        out, err = capsys.readouterr()
        (unsettled,) = json.loads(out)["unsettled"]
        (disputed,) = unsettled["disputed"]
        assert (disputed["request_id"], disputed["report"]) in [
            (one.request_id, disputed["report"]) for one in place.bill()
        ]
        assert f"warning: report {disputed['report']} (beta0001 VERIFY-API, " in err
        assert disputed["reason"].startswith("the CSV holds ")
        # What it is about is said once a line, not again by the reason.
        assert max(line.count(disputed["request_id"]) for line in err.splitlines()) <= 1
        (kept,) = place.directory.glob("reports/.aside/*.zip")
        number = disputed["report"]
        choice = f"look at {from_here(kept)}; `orchestrator resolve {number} --accept-file "
        choice += f"--config {place.directory}/config.yaml`"
        assert place.run() == 1
        assert choice in capsys.readouterr().out
        assert call(["status", str(place.job)]) == 0
        assert choice in capsys.readouterr().out
        assert len(place.bill()) == REPORTS


def test_a_refused_account_ends_with_1_and_the_others_are_collected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = JOB.replace("abcd1234, ", "abcd1234, ffff0000, ")
    with simulated(tmp_path, job=job) as place:
        assert place.run() == 1
        assert len(place.bill()) == REPORTS
    out = capsys.readouterr().out
    assert "  refused: ffff0000 SMS outbound include_message=true and 2 more series: " in out
    assert (
        "; check that the account is its own or a subaccount of it, and that the Reports API is "
        "enabled for it; then run again\n"
    ) in out


def test_missing_credentials_are_2_before_anything_is_sent(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    config = place.directory / "config.yaml"
    text = config.read_text("utf-8").replace('"Simulated-Secret-2"', '"${BETA_SECRET}"')
    config.write_text(text, encoding="utf-8")
    assert place.run() == 2
    assert "credentials.beta.api_secret: the variable BETA_SECRET is not set" in (
        capsys.readouterr().err
    )
    assert sum(place.simulator.calls.values()) == 0
    assert not place.state.exists()


def test_a_false_time_is_refused_for_an_api_that_is_not_on_this_machine(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    config = place.directory / "config.yaml"
    text = config.read_text("utf-8")
    config.write_text(
        text.replace(place.simulator.base_url, "https://api.nexmo.com"), encoding="utf-8"
    )
    assert place.run("--now", "2026-03-01") == 2
    assert capsys.readouterr().err.endswith(
        "error: --now: https://api.nexmo.com is not on this machine, and the real API has its own "
        "time; use --now with `plan`, or against `orchestrator simulate`\n"
    )


def test_a_dry_run_does_not_go_with_options_that_change_the_ledger(place: Place) -> None:
    assert place.run("--dry-run", "--retry-failed") == 2
    assert place.run("--dry-run", "--rebuild-ledger") == 2


def test_another_run_on_the_ledger_is_3(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.state.parent.mkdir()
    with place.state.with_name("ledger.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert place.run("--lock-wait", "20ms", "--deadline", "10ms") == 3
    assert "is running on this ledger" in capsys.readouterr().err
    assert place.bill() == []


@pytest.mark.parametrize(("word", "what"), [("soon", "soon is not a duration"), ("", "is empty")])
def test_a_deadline_that_is_none_says_what_to_write(
    place: Place, capsys: pytest.CaptureFixture[str], word: str, what: str
) -> None:
    assert place.run("--deadline", word) == 2
    said = capsys.readouterr().err
    assert f"'--deadline': {what}; write it as 500ms, 5s, 10m, 6h or 2d\n" in said


def test_the_deadline_leaves_the_rest_for_the_next_run(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.run("--deadline", "0s") == 75
    out, err = capsys.readouterr()
    assert "the deadline has come: stopping; open reports are left for the next run" in err
    assert (
        "  still missing: abcd1234 VERIFY-API: 2026-01-01 to 2026-05-01, not asked for yet; the "
        "next run asks for it\n"
    ) in out
    assert out.endswith(
        "Not finished (the deadline has come). Nothing is lost. To continue: "
        f"`orchestrator run {place.job}`\n"
    )
    assert place.run() == 0
    assert place.is_the_truth()


def test_a_download_does_not_outlive_the_deadline_and_goes_on_in_the_next_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand bytes a second: before, the run ended when the download did."""
    monkeypatch.setattr(drain, "GRACE", timedelta(seconds=1))
    monkeypatch.setattr(media, "_SLOW_PAUSE_SECONDS", 0.2)
    slow = Fault.of("download", "slow", rate=1000, nth=1)
    job = JOB.replace("2026-05-01", "2026-01-02").replace("[outbound, inbound]", "outbound")
    settings = replace(SMALL, records_per_day=600.0, ranges=True, bulk_body_bytes=3000)
    with simulated(tmp_path, settings, job=job, faults=Faults((slow,))) as place:
        begun = time.monotonic()
        assert place.run("--deadline", "4s", "--json") == 75
        assert time.monotonic() - begun < 20
        answer = json.loads(capsys.readouterr().out)
        assert answer["unfinished"]
        assert not answer["needs_person"]
        assert "stopped: the deadline has come" in answer["why"]
        parts = place.directory / "reports" / ".partial"
        assert sorted(path.name.split(".", 1)[1] for path in parts.iterdir()) == [
            "archive.part", "resume.part",
        ]  # fmt: skip
        before = sum(one.charged for one in place.bill())
        assert place.run() == 0
        assert sum(one.charged for one in place.bill()) == before
        assert place.is_the_truth()
        assert list(parts.iterdir()) == []


MOVED = """\
name: job
accounts: [{id: abcd1234, credentials: beta}]
products: [VERIFY-API]
windows: [{from: 2026-01-01, to: 2026-02-01}]
"""


@pytest.mark.parametrize("kept", [True, False], ids=["both keys", "the old key is gone"])
def test_what_is_open_of_an_account_that_moved_is_followed_with_the_key_that_bought_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, kept: bool
) -> None:
    slow = timedelta(seconds=400)
    both = (ApiKey("abcd1234", "aaaaaaaaaaaaaaaa"), ApiKey("beta0001", "bbbbbbbbbbbbbbbb"))
    before = MOVED.replace("beta", "default")
    with simulated(tmp_path, job=before, processing_time=slow, keys=both) as place:
        place.write_config(poll_timeout="50ms")
        assert place.run("--quiet") == 75
        place.write_config()
        place.write_job(MOVED)
        config = place.directory / "config.yaml"
        if not kept:
            lines = config.read_text().splitlines(keepends=True)
            config.write_text("".join(one for one in lines if "abcd1234" not in one))
        calls = place.calls("create")
        capsys.readouterr()
        assert place.run("--json") == (0 if kept else 75)
        answer = json.loads(capsys.readouterr().out)
        assert answer["collected"]["reports"] == (1 if kept else 0)
        assert place.calls("create") == calls, "it is not bought again with the new key"


def test_a_report_that_is_slow_is_75_and_the_next_run_collects_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = timedelta(seconds=200)  # half a second at this speed
    with simulated(tmp_path, processing_time=slow, processing_jitter=0.0) as place:
        place.write_config(poll_timeout="100ms")
        assert place.run() == 75
        out, err = capsys.readouterr()
        assert "it keeps its place, the next run goes on waiting" in err
        assert "  open: abcd1234 VERIFY-API: 4 reports; the next run goes on with them\n" in out
        place.write_config()
        assert place.run() == 0
        assert place.is_the_truth()
        assert len(place.bill()) == REPORTS


# --- the ledger and its files ---------------------------------------------------------------------


def test_a_ledger_that_is_gone_is_not_begun_anew_but_rebuilt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = JOB.replace("[{from: 2026-01-01, to: 2026-05-01}]", "[{last: 3 days}]")
    with simulated(tmp_path, job=job, now=datetime(2026, 3, 10, tzinfo=UTC)) as place:
        at = ["--now", "2026-03-02T04:00:00Z"]
        assert place.run(*at) == 0
        bought = len(place.bill())
        shutil.rmtree(place.state.parent)
        capsys.readouterr()

        assert place.run(*at) == 2
        assert "beginning anew would buy everything again" in capsys.readouterr().err
        assert place.run("--rebuild-ledger", *at) == 0
        assert "a ledger was made from the manifest: 12 collected files" in capsys.readouterr().err
        assert len(place.bill()) == bought

        # The marks are back as well: two missed nights are made up.
        assert place.run("--now", "2026-03-08T04:00:00Z") == 0
        assert place.is_the_truth(datetime(2026, 3, 8, 4, tzinfo=UTC))
        assert place.run("--rebuild-ledger", *at) == 2
        assert "there is a ledger at" in capsys.readouterr().err


def test_a_ledger_that_was_set_back_buys_nothing_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A backup from before the last run, put back: what that run bought is not in it."""
    with simulated(tmp_path) as place:
        short = JOB.replace("to: 2026-05-01", "to: 2026-03-01")
        place.write_job(short)
        assert place.run() == 0
        backup = tmp_path / "backup"
        shutil.copytree(place.state.parent, backup)
        place.write_job(JOB)
        assert place.run() == 0
        shutil.rmtree(place.state.parent)
        shutil.copytree(backup, place.state.parent)
        capsys.readouterr()

        assert place.run() == 2
        assert place.check() == 2
        assert "is older than its files" in capsys.readouterr().err
        shutil.rmtree(place.state.parent)
        assert place.run("--rebuild-ledger") == 0
        assert place.run() == 0
        assert len(place.bill()) == REPORTS
        assert place.is_the_truth()


def test_a_cut_manifest_rebuilds_nothing(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.run() == 0
    shutil.rmtree(place.state.parent)
    manifest = place.directory / "reports" / "manifest.jsonl"
    lines = manifest.read_bytes().splitlines(keepends=True)
    manifest.write_bytes(b"".join(lines[:-1]))
    assert place.run("--rebuild-ledger") == 2
    assert "the end line is missing: the manifest is cut off" in capsys.readouterr().err
    assert [path.name for path in place.state.parent.iterdir()] == ["ledger.db.lock"]


@pytest.mark.parametrize(
    ("function", "verdict"),
    [
        ("run_work.reports_in", "Files could not be removed; see above."),
        ("manifest_sync.write_manifest", "Files could not be written; see above."),
        ("run_summary.output_store", "Files could not be written; see above."),
    ],
    ids=["quarantine", "manifest", "success"],
)
def test_what_the_disk_refuses_at_the_end_hides_no_summary(
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    function: str,
    verdict: str,
) -> None:
    """Before: exit 74 with an error, and no word of what was collected."""
    place.write_job(JOB.replace("to: 2026-05-01", "to: 2026-02-01"))
    assert place.run("--quiet") == 0
    capsys.readouterr()

    def refuse(*arguments: object) -> frozenset[int]:
        if PARTIAL in arguments:  # what earlier runs have left, as the run begins
            return frozenset()
        raise OutputError("cannot reach it: the disk is gone")

    for month, options in (("03", ["--json"]), ("04", [])):
        place.write_job(JOB.replace("to: 2026-05-01", f"to: 2026-{month}-01"))
        with monkeypatch.context() as patched:
            patched.setattr(f"orchestrator.app.{function}", refuse)
            assert place.run(*options) == 74
        out, err = capsys.readouterr()
        assert "error: " not in err
        why = "cannot reach it: the disk is gone; the next run tries again"
        if options:
            answer = json.loads(out)
            assert (answer["exit_code"], answer["why"]) == (74, [why])
            assert answer["collected"]["reports"] == 6
        else:
            assert f"  {why}\n" in out
            assert f"\n{verdict} Nothing is lost. To continue: " in out
    assert place.run() == 0
    assert place.is_the_truth()
    assert call(["verify", str(place.job)]) == 0


def test_an_output_that_cannot_be_written_is_74_before_anything_is_bought(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    reports = place.directory / "reports"
    reports.write_text("in the way", encoding="utf-8")
    assert place.run() == 74
    assert capsys.readouterr().err.endswith(
        f"error: {reports} is a file, where output.directory needs a directory; move it away, or "
        "change output.directory\n"
    )
    assert place.bill() == []
    assert sum(place.simulator.calls.values()) == 0
    reports.unlink()
    assert place.run() == 0
    assert place.is_the_truth()
    assert len(place.bill()) == REPORTS


def test_unfinished_files_of_a_dead_run_are_swept(place: Place) -> None:
    partial = place.directory / "reports" / ".partial"
    partial.mkdir(parents=True)
    (partial / "99_abc.archive.part").write_bytes(b"half")
    # Without a ledger beside it, only a folder of data counts as a dataset.
    assert place.run() == 0
    assert list(partial.iterdir()) == []


@pytest.mark.parametrize("name", ["run", "cancel", "resolve", "simulate", "demo"])
def test_the_help_has_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert f" orchestrator {name} " in text.splitlines()[0]
    assert f"`orchestrator {name}" in " ".join(text.split())
    assert "Example" in text


def test_equal_causes_are_counted_and_single_tries_are_told_to_who_asks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before: a line for each of many reports, and for each failed try of a download."""
    faults = Faults(
        (
            Fault.of("download", "bad_crc", first=2),
            Fault.of("report", "wrong_count", nth=[3, 4, 5, 6, 7]),
        )
    )
    with simulated(tmp_path, faults=faults) as place:
        assert place.run() == 1
        quiet = capsys.readouterr().err
        assert quiet.count(": disputed: ") == 4, "three, and the count of the others"
        assert "warning: 2 more like this: report " in quiet
        assert " download 1 failed: " not in quiet
    directory = tmp_path / "told"
    directory.mkdir()
    with simulated(directory, faults=faults) as place:
        assert place.run("--verbose") == 1
        verbose = capsys.readouterr().err
        assert verbose.count(": disputed: ") == 5
        assert "more like this" not in verbose
        assert " download 1 failed: " in verbose
        assert place.run("--verbose", "--quiet") == 2
