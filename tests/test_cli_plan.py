"""`plan`: what it says to people and to programs, and that it changes nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.commands.plan import BY_OUR_CLOCK
from orchestrator.cli.main import call
from orchestrator.core import lifecycle
from orchestrator.core.model import Series
from tests.kit.cli_worlds import simulated
from tests.kit.home import enter, write_job
from tests.kit.ledgers import book, day, span

ROOT = Path(__file__).resolve().parent.parent
SMS = Series.of("abcd1234", "SMS", "outbound")
VERIFY = Series.of("abcd1234", "VERIFY-API")
NOW = "2026-03-02T06:30:00Z"

JOB = """\
accounts: [abcd1234]
products: [VERIFY-API, {product: SMS, direction: outbound, status: delivered}]
windows: [{from: 2025-12-01, to: 2026-02-15}]
settle: 3d
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no credentials."""
    return enter(tmp_path, monkeypatch)


def plan(*arguments: str) -> int:
    return call(["plan", *arguments, "--now", NOW])


def plan_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert plan(*arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def job_of(windows: str, more: str = "") -> str:
    return f"accounts: [abcd1234]\nproducts: [VERIFY-API]\nwindows: {windows}\n{more}"


def test_a_plan_of_one_chunk_takes_less_than_a_second(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(write_job(home, job_of("[{from: 2026-01-01, to: 2026-01-02}]"))) == 0
    assert (
        "\nless than a second, by the rate limit of 5 requests a second for each API key\n"
    ) in capsys.readouterr().out


def test_people_read_a_table_and_what_it_adds_up_to(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(write_job(home, JOB)) == 0
    assert capsys.readouterr().out == (
        "job nightly (nightly.yaml) at 2026-03-02 06:30 UTC: up to 2026-02-27 00:00 UTC, in "
        "chunks of 1 month at most\n"
        "  ACCOUNT   PRODUCT     DIRECTION  FILTER            TO COLLECT                CHUNKS"
        "  EST. RECORDS  ALREADY COLLECTED\n"
        "  abcd1234  VERIFY-API  any        all               2025-12-01 to 2026-02-15       3"
        "       unknown  nothing\n"
        "  abcd1234  SMS         outbound   status=delivered  2025-12-01 to 2026-02-15       3"
        "       unknown  nothing\n"
        "\n"
        "in all: 6 chunks of 2 series, 12 requests (a create and a download each; polls of their "
        "progress come on top)\n"
        "at least 2 seconds, by the rate limit of 5 requests a second for each API key\n"
        "record count unknown for 2 series: nothing similar was collected yet\n"
        f"{BY_OUR_CLOCK}\n"
    )


def test_programs_read_every_chunk(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = plan_json(capsys, write_job(home, JOB))
    assert answer["now"] == NOW
    (job,) = answer["jobs"]
    series = job.pop("series")
    assert job == {
        "job": "nightly",
        "file": "nightly.yaml",
        "timezone": "UTC",
        "clip": "2026-02-27T00:00:00Z",
        "later": [],
    }
    assert series[1] == {
        "account_id": "abcd1234",
        "product": "SMS",
        "direction": "outbound",
        "filter": {"status": "delivered"},
        "credentials": "default",
        "owed": [{"start": "2025-12-01T00:00:00Z", "end": "2026-02-15T00:00:00Z"}],
        "had": [],
        "made_up": [],
        "past_retention": [],
        "open": 0,
        "held": 0,
        "given_up": 0,
        "disputed": 0,
        "waived": 0,
        "erased": 0,
        "expected_records": None,
        "expected_price": None,
        "probe_first": False,
        "chunks": [
            {"start": "2025-12-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"},
            {"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"},
            {"start": "2026-02-01T00:00:00Z", "end": "2026-02-15T00:00:00Z"},
        ],
    }
    assert answer["totals"] == {
        "series": 2,
        "complete_series": 0,
        "chunks": 6,
        "requests": 12,
        "requests_per_second": 5.0,
        "least_seconds": 2.4,
        "keys": 1,
        "open": 0,
        "held": 0,
        "given_up": 0,
        "disputed": 0,
        "waived": 0,
        "erased": 0,
        "expected_records": 0,
        "unknown_series": 2,
        "expected_price": None,
        "currency": None,
        "probes": 0,
        "refetched_reports": 0,
        "refetched_records": 0,
    }


def test_nothing_is_made(home: Path) -> None:
    plan(write_job(home, JOB))
    assert [path.name for path in home.iterdir()] == ["nightly.yaml"]


def test_keys_work_side_by_side(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "config.yaml").write_text(
        'api: {requests_per_second: 2}\ncredentials:\n  one: {api_key: "${A}", api_secret: "${B}"}'
        '\n  two: {api_key: "${C}", api_secret: "${D}"}\n',
        encoding="utf-8",
    )
    text = (
        "credentials: one\naccounts: [aaaa1111, bbbb2222, {id: cccc3333, credentials: two}]\n"
        "products: [VERIFY-API]\nwindows: [{from: 2025-12-01, to: 2026-02-01}]\n"
    )
    totals = plan_json(capsys, write_job(home, text))["totals"]
    assert (totals["chunks"], totals["keys"], totals["least_seconds"]) == (6, 2, 4.0)


def test_two_names_of_one_key_share_its_rate(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "config.yaml").write_text(
        'credentials:\n  one: {api_key: "${A}", api_secret: "${B}"}'
        '\n  two: {api_key: "${A}", api_secret: "${B}"}\n',
        encoding="utf-8",
    )
    text = (
        "credentials: one\naccounts: [aaaa1111, {id: cccc3333, credentials: two}]\n"
        "products: [VERIFY-API]\nwindows: [{from: 2025-12-01, to: 2026-02-01}]\n"
    )
    totals = plan_json(capsys, write_job(home, text))["totals"]
    assert (totals["keys"], totals["least_seconds"]) == (1, 1.6)


def test_what_is_had_is_not_asked_for(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with book(home / "state/ledger.db", home / "reports", day("2026-02-01")) as ledger:
        ledger.collected(VERIFY, span("2025-12-01", "2026-01-01"), b"a\n1\n")
        ledger.submitted(VERIFY, span("2026-01-01", "2026-01-20"))
    job = write_job(home, job_of("[{from: 2025-12-01, to: 2026-02-01}]"))
    answer = plan_json(capsys, job)
    (series,) = answer["jobs"][0]["series"]
    assert series["had"] == [{"start": "2025-12-01T00:00:00Z", "end": "2026-01-20T00:00:00Z"}]
    assert series["chunks"] == [{"start": "2026-01-20T00:00:00Z", "end": "2026-02-01T00:00:00Z"}]
    assert answer["totals"]["open"] == 1

    assert plan(job) == 0
    text = capsys.readouterr().out
    assert "2026-01-20 to 2026-02-01       1             0  2025-12-01 to 2026-01-20\n" in text
    assert text.endswith("a run first goes on with 1 open report\n" + BY_OUR_CLOCK + "\n")


def test_a_job_that_has_all_owes_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with book(home / "state/ledger.db", home / "reports", day("2026-02-01")) as ledger:
        ledger.collected(VERIFY, span("2025-12-01", "2026-01-01"), b"a\n1\n")
    assert plan(write_job(home, job_of("[{from: 2025-12-01, to: 2026-01-01}]"))) == 0
    assert capsys.readouterr().out == (
        "job nightly (nightly.yaml) at 2026-03-02 06:30 UTC: up to 2026-03-02 00:00 UTC, in "
        "chunks of 1 month at most\n"
        "  1 series is already complete or in progress\n"
        "\n"
        "in all: nothing to collect\n"
        f"{BY_OUR_CLOCK}\n"
    )


def test_what_waits_for_a_person_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with book(home / "state/ledger.db", home / "reports", day("2026-02-01")) as ledger:
        ledger.report(VERIFY, span("2025-12-01", "2025-12-02"), lifecycle.Held("no list"))
        failed = ledger.submitted(VERIFY, span("2025-12-02", "2025-12-03"))
        ledger.given_up(failed, lifecycle.Failed("the API says FAILED"), "the API says FAILED")
        ledger.submitted(VERIFY, span("2025-12-03", "2025-12-04"), lifecycle.Disputed("wrong"))
        # Not wanted by the job, so not its business:
        ledger.submitted(VERIFY, span("2024-12-03", "2024-12-04"), lifecycle.Disputed("wrong"))
    job = write_job(home, job_of("[{from: 2025-12-01, to: 2025-12-05}]"))
    assert plan(job) == 0
    assert capsys.readouterr().out.endswith(
        "1 report held, as we do not know whether the API accepted them: see `orchestrator status "
        "nightly.yaml --held`\n"
        "1 window given up, and not asked for: see `orchestrator status nightly.yaml --failed`\n"
        "1 report disputed, waiting for you: see `orchestrator status nightly.yaml --failed`\n"
        f"{BY_OUR_CLOCK}\n"
    )
    totals = plan_json(capsys, job)["totals"]
    assert [totals[name] for name in ("open", "held", "given_up", "disputed")] == [0, 1, 1, 1]


def test_what_a_person_has_left_out_is_counted(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with book(home / "state/ledger.db", home / "reports", day("2026-02-01")) as ledger:
        for window in (span("2025-12-01", "2025-12-02"), span("2025-12-02", "2025-12-03")):
            report = ledger.submitted(VERIFY, window, lifecycle.Disputed("wrong"))
            ledger.store.apply(report, lifecycle.Waived("not needed"), ledger.at)
        report = ledger.collected(VERIFY, span("2025-12-03", "2025-12-05"), b"a\n1\n")
        ledger.store.apply(report, lifecycle.Erased("old"), ledger.at)
    job = write_job(home, job_of("[{from: 2025-12-01, to: 2025-12-05}]"))
    assert plan(job) == 0
    assert capsys.readouterr().out.endswith(
        "in all: nothing to collect\n"
        "left out: 2 windows skipped as you decided and 1 window erased on purpose\n"
        f"{BY_OUR_CLOCK}\n"
    )
    answer = plan_json(capsys, job)
    (series,) = answer["jobs"][0]["series"]
    for where in (series, answer["totals"]):
        assert (where["waived"], where["erased"], where["disputed"]) == (2, 1, 0)


def test_what_two_jobs_want_is_bought_by_the_first(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = write_job(home, job_of("[{from: 2026-01-01, to: 2026-02-01}]"), "first")
    second = write_job(home, job_of("[{from: 2025-12-01, to: 2026-02-01}]"), "second")
    jobs = plan_json(capsys, first, second)["jobs"]
    owed = [job["series"][0]["owed"] for job in jobs]
    assert owed == [
        [{"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"}],
        [{"start": "2025-12-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}],
    ]


def test_missed_nights_are_made_up_for_and_named(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with book(home / "state/ledger.db", home / "reports", day("2026-02-27")) as ledger:
        ledger.collected(VERIFY, span("2026-02-26", "2026-02-27"), b"a\n1\n")
        ledger.resolved("nightly", VERIFY, span("2026-02-26", "2026-02-27"))
    job = write_job(home, job_of("[yesterday]", "chunk: {max: 1 day}\n"))
    assert plan(job) == 0
    assert (
        "  catching up on missed runs: 2026-02-27 to 2026-03-01 (1 series)\n"
        in capsys.readouterr().out
    )
    (series,) = plan_json(capsys, job)["jobs"][0]["series"]
    assert series["made_up"] == [{"start": "2026-02-27T00:00:00Z", "end": "2026-03-01T00:00:00Z"}]
    assert len(series["chunks"]) == 3


def test_what_is_bought_once_more_is_named_with_its_records(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with book(home / "state/ledger.db", home / "reports", day("2026-02-27")) as ledger:
        ledger.collected(VERIFY, span("2026-02-26", "2026-02-27"), b"a\n1\n2\n")
    job = write_job(home, job_of("[{from: 2026-02-26, to: 2026-02-27}]", "refetch: 2d\n"))
    assert plan(job) == 0
    assert (
        "refetch buys 1 report once more, with about 2 records, which cost as much as the first"
        in capsys.readouterr().out
    )
    totals = plan_json(capsys, job)["totals"]
    assert (totals["refetched_reports"], totals["refetched_records"]) == (1, 2)


def test_what_is_still_settling_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = write_job(home, job_of("[yesterday]", "settle: 8h\n"))
    assert plan(job) == 0
    text = capsys.readouterr().out
    assert "  yesterday (2026-03-01) is not ready yet; it can be collected after 08:00\n" in text
    assert plan_json(capsys, job)["jobs"][0]["later"] == [
        {
            "window": "yesterday",
            "start": "2026-03-01T00:00:00Z",
            "end": "2026-03-02T00:00:00Z",
            "available_at": "2026-03-02T08:00:00Z",
        }
    ]


def test_products_of_which_the_api_keeps_as_much_are_warned_of_together(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before: a line for each product."""
    text = job_of("[{last: 14 months}]").replace("[VERIFY-API]", "[VERIFY-API, ASR, VIDEO-API]")
    assert plan(write_job(home, text)) == 0
    warnings = [line for line in capsys.readouterr().out.splitlines() if "warning: " in line]
    assert len(warnings) == 2
    assert warnings[0].startswith("  warning: VERIFY-API and ASR before 2025-02-02 06:30 UTC is ")
    assert "(2 series)" in warnings[0]
    assert warnings[1].startswith("  warning: VIDEO-API before ")


def test_what_the_api_has_deleted_is_warned_of(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = write_job(home, job_of("[{from: 2025-01-01, to: 2025-03-01}]"))
    assert plan(job) == 0
    assert (
        "  warning: VERIFY-API before 2025-02-02 06:30 UTC is older than the API keeps records "
        "(1 series); asked for all the same, as empty reports are free\n"
    ) in capsys.readouterr().out
    (series,) = plan_json(capsys, job)["jobs"][0]["series"]
    assert series["past_retention"] == [
        {"start": "2025-01-01T00:00:00Z", "end": "2025-02-02T06:30:00Z"}
    ]


def test_a_table_for_people_is_never_longer_than_they_read(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    accounts = "".join(f"\n  - acct{number:04}" for number in range(100))
    text = f"accounts:{accounts}\nproducts: [VERIFY-API]\nwindows: [yesterday]\n"
    assert plan(write_job(home, text)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  and 60 series more (`orchestrator plan nightly.yaml --json` has all)" in lines
    assert len(lines) == 48


def test_a_long_backfill_by_the_hour_is_streamed_whole(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = write_job(
        home,
        "accounts: [aaaa1111, bbbb2222]\nproducts: [VERIFY-API]\n"
        "windows: [{from: 2025-03-01, to: 2026-03-01}]\nchunk: {max: 1 hour}\n",
    )
    answer = plan_json(capsys, job)
    chunks = [series["chunks"] for series in answer["jobs"][0]["series"]]
    assert [len(each) for each in chunks] == [8760, 8760]
    assert chunks[0] == chunks[1]
    assert answer["totals"]["chunks"] == 17520


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["nope.yaml"], "error: nope.yaml: there is no such file; check the path\n"),
        ([], "'JOB...'.\n"),
    ],
    ids=["no such file", "no job"],
)
def test_bad_input_is_said_in_words(
    arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.endswith(error)
    assert captured.out == ""


def test_a_time_that_no_calendar_reaches_is_bad_input(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["plan", write_job(home, JOB), "--now", "0001-01-01"]) == 2
    assert "'0001-01-01' is out of reach; write a year from 1971" in capsys.readouterr().err


def test_a_ledger_gone_from_beside_its_files_is_refused(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "reports/report_account=abcd1234").mkdir(parents=True)
    assert plan(write_job(home, JOB)) == 2
    assert capsys.readouterr().err.startswith(
        f"error: there is no ledger at {home}/state/ledger.db, but {home}/reports holds "
        "report_account=abcd1234: "
    )


def test_a_ledger_that_a_run_would_refuse_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = job_of("[{from: 2026-01-01, to: 2026-03-01}]")
    with simulated(tmp_path, job=job) as place:
        earlier = place.state.with_name("earlier.db")
        assert place.run("--quiet") == 0
        assert call(["backup", str(earlier), "--config", str(tmp_path / "config.yaml")]) == 0
        assert plan(str(place.job)) == 0
        assert "warning" not in capsys.readouterr().out
        place.write_job(job.replace("2026-03-01", "2026-04-01"))
        assert place.run("--quiet") == 0
        earlier.replace(place.state)
        assert plan(str(place.job)) == 0
        assert (
            f"warning: a run would ask for nothing, and end with exit code 2: the ledger "
            f"{place.state} is older than its files"
        ) in capsys.readouterr().out
        (warning,) = plan_json(capsys, str(place.job))["warnings"]
        assert "is older than its files" in warning
        assert place.run("--quiet") == 2


def test_a_file_that_is_no_ledger_is_a_matter_of_the_disk(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "state").mkdir()
    (home / "state/ledger.db").write_bytes(b"this is no database at all" * 100)
    assert plan(write_job(home, JOB)) == 74
    assert "the file is damaged" in capsys.readouterr().err


def test_a_large_plan_takes_seconds_and_little_memory() -> None:
    """1,000 accounts, 5 products, 36 months: within 10 s and 200 MB, as a process of its own."""
    ended = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/plan.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    told = re.match(r"exit code 0, ([0-9.]+) s, (\d+) MB resident\n", ended.stdout)
    assert told, ended.stdout + ended.stderr
    assert "'chunks': 180000," in ended.stdout
    assert float(told[1]) < 10
    assert int(told[2]) < 200
