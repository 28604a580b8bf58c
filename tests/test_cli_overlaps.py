"""Records that another series of the ledger holds: said before they are paid twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.cli.main import call
from orchestrator.core import lifecycle
from orchestrator.core.model import Series
from orchestrator.ledger.reports import ReportTable
from tests.kit.home import enter, write_job
from tests.kit.ledgers import book, day, span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.core.model import FieldValue, Report

JANUARY = span("2026-01-01", "2026-02-01")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and the key that the ledger's reports were bought with."""
    enter(tmp_path, monkeypatch)
    monkeypatch.setenv("VONAGE_API_KEY", "abcd1234")
    monkeypatch.setenv("VONAGE_API_SECRET", "none")
    return tmp_path


def sms(account: str = "abcd1234", **fields: FieldValue) -> Series:
    return Series.of(account, "SMS", "outbound", fields)


def warnings(
    home: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    account: str = "abcd1234",
    entry: str = "",
    start: str = "2025-12-01",
) -> Any:
    job = (
        f"accounts: [{account}]\nproducts: [{{product: SMS, direction: outbound{entry}}}]\n"
        f"windows: [{{from: {start}, to: 2026-02-15}}]\nsettle: 3d\n"
    )
    arguments = ["plan", write_job(home, job), "--now", "2026-03-02", "--json"]
    assert call(arguments) == 0
    return json.loads(capsys.readouterr().out)["warnings"]


def buy(home: Path, series: Series) -> None:
    with book(home / "state/ledger.db", home / "reports", day("2026-02-01")) as ledger:
        ledger.collected(series, JANUARY, b"a\n1\n")


@pytest.mark.parametrize(
    ("entry", "held", "words"),
    [
        (", status: delivered", sms(), "abcd1234 SMS outbound status=delivered has records of "),
        ("", sms(status="delivered"), "abcd1234 SMS outbound has records of "),
        ("", sms(include_message=True), "abcd1234 SMS outbound has records of "),
    ],
    ids=["a part of what is held", "more than what is held", "the same with other columns"],
)
def test_what_another_filter_holds_is_warned_of(
    entry: str, held: Series, words: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    buy(home, held)
    assert warnings(home, capsys, entry=entry) == [
        (
            f"{words}{held}, of which 2026-01-01 to 2026-02-01 is held already; they would be paid "
            "twice: ask for one of the two only"
        )
    ]


@pytest.mark.parametrize(
    ("account", "entry", "held"),
    [
        ("abcd1234", ", include_subaccounts: true", sms("ffff0001")),
        ("ffff0001", "", sms(include_subaccounts=True)),
        ("ffff0001", ", status: delivered", sms(include_subaccounts=True)),
    ],
    ids=["subaccounts over a held one", "beneath held subaccounts", "and with a filter"],
)
def test_what_subaccounts_hold_under_the_same_key_is_warned_of(
    account: str, entry: str, held: Series, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    buy(home, held)
    (warning,) = warnings(home, capsys, account=account, entry=entry)
    assert f"has records of {held}, of which " in warning


def test_another_key_has_other_subaccounts(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    buy(home, sms(include_subaccounts=True))
    monkeypatch.setenv("VONAGE_API_KEY", "another1")
    assert warnings(home, capsys, account="ffff0001") == []


@pytest.mark.parametrize(
    ("entry", "held"),
    [
        (", status: delivered", sms(status="failed")),
        ("", Series.of("abcd1234", "SMS", "inbound")),
        ("", Series.of("abcd1234", "VERIFY-API")),
        ("", sms("ffff0001")),
        ("", sms()),
    ],
    ids=["another value", "another direction", "another product", "another account", "itself"],
)
def test_what_shares_no_record_is_not_spoken_of(
    entry: str, held: Series, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    buy(home, held)
    assert warnings(home, capsys, entry=entry) == []


def test_of_each_series_the_key_is_read_once(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = [f"abcd12{number}" for number in range(10, 30)]
    for number in range(5):
        buy(home, sms(f"efgh567{number}", include_subaccounts=True))
    read: list[Series] = []
    reports = ReportTable.reports

    def counted(self: ReportTable, series: Series, *states: Any) -> Iterator[Report]:
        if series.includes_subaccounts:
            read.append(series)
        return reports(self, series, *states)

    monkeypatch.setattr(ReportTable, "reports", counted)
    assert warnings(home, capsys, account=", ".join(accounts))
    assert len(read) == 5


def test_time_that_is_not_owed_is_not_spoken_of(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    buy(home, sms(status="delivered"))
    assert warnings(home, capsys, start="2026-02-01") == []


def test_what_was_given_up_was_not_bought(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with book(home / "state/ledger.db", home / "reports", day("2026-02-01")) as ledger:
        failed = ledger.submitted(sms(status="delivered"), JANUARY)
        ledger.given_up(failed, lifecycle.Failed("the API says FAILED"), "the API says FAILED")
    assert warnings(home, capsys) == []


def test_people_are_warned_too(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    buy(home, sms(status="delivered"))
    warnings(home, capsys)
    assert call(["plan", "nightly.yaml", "--now", "2026-03-02"]) == 0
    assert (
        "\nwarning: abcd1234 SMS outbound has records of abcd1234 SMS outbound status=delivered, "
        "of which 2026-01-01 to 2026-02-01 is held already; they would be paid twice: ask for one "
        "of the two only\n"
    ) in capsys.readouterr().out
