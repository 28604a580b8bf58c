"""`files` and `verify`: what was collected, where it stands, and whether it is as it was."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.cli.main import call
from orchestrator.core.model import Series
from tests.kit.home import enter, write_job
from tests.kit.ledgers import book, day, span

SMS = Series.of("abcd1234", "SMS", "outbound", {"status": "delivered"})
VERIFY = Series.of("abcd1234", "VERIFY-API")
JOB = """\
accounts: [abcd1234]
products: [VERIFY-API, {product: SMS, direction: outbound, status: delivered}]
windows: [yesterday]
settle: 3d
"""
FIRST = "report_account=abcd1234/report_product=VERIFY-API/report_direction=any/report_filter=all"
SECOND = (
    "report_account=abcd1234/report_product=SMS/report_direction=outbound/"
    f"report_filter={SMS.filter_id}"
)
ROOT = Path(__file__).resolve().parent.parent
ONE, TWO = b"a\n1\n", b"a\n1\n2\n"
"""Files of one record and of two."""

COLUMNS = [
    "account_id",
    "product",
    "direction",
    "filter",
    "date_start",
    "date_end",
    "path",
    "rows",
    "sha256",
    "request_id",
    "report",
    "collected_at",
    "edition",
    "replaces",
    "finding",
]
SHORT = COLUMNS[: COLUMNS.index("sha256")]


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a job, and two collected files; the output is elsewhere."""
    (tmp_path / "work").mkdir()
    enter(tmp_path / "work", monkeypatch)
    (tmp_path / "work/config.yaml").write_text("output: {directory: ../out}\n", encoding="utf-8")
    with book(tmp_path / "work/state/ledger.db", tmp_path / "out", day("2026-02-01")) as ledger:
        ledger.collected(VERIFY, span("2026-01-01", "2026-02-01"), TWO)
        ledger.collected(SMS, span("2026-01-01T12:00", "2026-01-02"), ONE)
        ledger.submitted(SMS, span("2026-01-05", "2026-01-06"))
    write_job(tmp_path / "work", JOB)
    return tmp_path


@pytest.mark.usefixtures("home")
def test_elsewhere_than_on_a_terminal_columns_are_separated_by_tabs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(["files", "nightly.yaml"]) == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split("\t") == COLUMNS
    assert first.split("\t") == [
        "abcd1234",
        "VERIFY-API",
        "any",
        "all",
        "2026-01-01T00:00:00Z",
        "2026-02-01T00:00:00Z",
        f"../out/{FIRST}/20260101T000000Z_20260201T000000Z.csv",
        "2",
        sha(TWO),
        f"id-{VERIFY.key[:6]}-20260101",
        "1",
        "2026-02-01T04:00:00Z",
        "1",
        "",
        "",
    ]
    assert second.split("\t")[2:7] == [
        "outbound",
        "status=delivered",
        "2026-01-01T12:00:00Z",
        "2026-01-02T00:00:00Z",
        f"../out/{SECOND}/20260101T120000Z_20260102T000000Z.csv",
    ]


@pytest.mark.usefixtures("home")
def test_on_a_terminal_columns_are_aligned(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert call(["files", "nightly.yaml", "--long"]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = lines[0].index("sha256")
    assert [line[at - 2 : at + 6] for line in lines] == [
        "  sha256",
        f"  {sha(TWO)[:6]}",
        f"  {sha(ONE)[:6]}",
    ]


def test_on_a_terminal_dates_are_local_and_long_columns_are_left_out(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_job(home / "work", "timezone: Africa/Lagos\n" + JOB)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert call(["files", "nightly.yaml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == SHORT
    assert "2026-01-01T01:00:00+01:00" in lines[1]


def test_programs_get_absolute_paths_that_can_be_opened(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["files", "nightly.yaml", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert list(first) == [*COLUMNS, "size_bytes", "columns", "source_sha256"]
    assert first["columns"] == {"dropped": [], "hashed": [], "without_type": []}
    assert first["path"] == str(home / "out" / FIRST / "20260101T000000Z_20260201T000000Z.csv")
    assert (first["direction"], first["filter"], first["rows"]) == (None, {}, 2)
    assert second["filter"] == {"status": "delivered"}


def test_a_job_without_files_is_an_empty_list(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = "accounts: [ffff0000]\nproducts: [VERIFY-API]\nwindows: [yesterday]\n"
    job = write_job(home / "work", other, "other")
    assert call(["files", job, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert call(["verify", job]) == 0
    assert capsys.readouterr().out == "nothing is collected yet\n"


@pytest.mark.usefixtures("home")
def test_files_as_they_were_collected_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["verify", "nightly.yaml"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("2 files, 10 B: all as collected\n", "")


def test_each_thing_wrong_with_a_file_is_a_line(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = home / "out" / FIRST / "20260101T000000Z_20260201T000000Z.csv"
    first.write_bytes(ONE)
    second = home / "out" / SECOND / "20260101T120000Z_20260102T000000Z.csv"
    second.unlink()
    assert call(["verify", "nightly.yaml"]) == 1
    *findings, last = capsys.readouterr().out.splitlines()
    assert sorted(findings) == [
        f"../out/{SECOND}/{second.name}: the file is missing",
        f"../out/{FIRST}/{first.name}: it holds 1 records, the ledger has 2",
        (
            f"../out/{FIRST}/{first.name}: the content has changed since it was collected (SHA-256 "
            f"{sha(ONE)}, the ledger has {sha(TWO)})"
        ),
    ]
    assert last == (
        "2 files, 10 B: 2 files not as collected; restore from a backup what you can; what the API "
        "still has, `orchestrator run nightly.yaml --again --from DATE --to DATE` buys anew"
    )


def test_files_that_cannot_be_read_are_not_to_be_bought_again(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = home / "out" / FIRST / "20260101T000000Z_20260201T000000Z.csv"
    first.unlink()
    first.mkdir()
    assert call(["verify", "nightly.yaml"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == (
        "2 files, 10 B: 1 file that could not be read; mend what stands above, then verify again"
    )


def test_programs_get_findings_with_what_they_are_about(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = home / "out" / SECOND / "20260101T120000Z_20260102T000000Z.csv"
    second.unlink()
    assert call(["verify", "nightly.yaml", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    (finding,) = answer.pop("findings")
    assert answer == {"files": 2, "size_bytes": 10, "collected_twice": []}
    assert (finding["fault"], finding["path"], finding["report"]) == ("missing", str(second), 2)
    assert finding["filter"] == {"status": "delivered"}
    # The names that `files --json` has.
    assert finding["date_start"] == "2026-01-01T12:00:00Z"
    assert finding["date_end"] == "2026-01-02T00:00:00Z"


def test_a_name_that_leads_out_of_the_output_is_a_finding(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with book(home / "work/state/ledger.db", home / "out", day("2026-02-01")) as ledger:
        ledger.store.db.execute("UPDATE report SET target = '../secret.csv' WHERE id = 1")
    assert call(["verify", "nightly.yaml"]) == 1
    assert "'../secret.csv' in the ledger leads out" in capsys.readouterr().out
    assert call(["files", "nightly.yaml"]) == 74


@pytest.mark.usefixtures("home")
def test_a_bar_on_the_terminal_takes_nothing_from_the_answer() -> None:
    """Standard error is a terminal, standard output is not: the answer is whole and bare."""
    main_end, terminal = pty.openpty()
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "orchestrator", "verify", "nightly.yaml"],
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"},
            stdout=subprocess.PIPE,
            stderr=terminal,
            check=False,
            timeout=30,
        )
        shown = os.read(main_end, 65536)
    finally:
        os.close(terminal)
        os.close(main_end)
    assert ended.stdout == b"2 files, 10 B: all as collected\n"
    assert ended.returncode == 0
    assert b"2/2" in shown
