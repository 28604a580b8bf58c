"""Records and money in `plan`, the limit of a run in its summary, and what is collected twice."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.app.cost import Cost, money_words
from orchestrator.cli.main import call
from orchestrator.core.model import Series
from orchestrator.core.settings import Prices
from tests.kit.cli_worlds import simulated
from tests.kit.home import enter, write_job
from tests.kit.ledgers import book, day, span

if TYPE_CHECKING:
    from pathlib import Path

NOW = "2026-03-02T06:30:00Z"
SMS = Series.of("abcd1234", "SMS", "outbound")
JOB = """\
accounts: [abcd1234]
products: [{product: SMS, direction: outbound}, VERIFY-API]
windows: [{from: 2026-01-01, to: 2026-03-01}]
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """January of one series is collected: 31 records."""
    home = enter(tmp_path, monkeypatch)
    with book(home / "state/ledger.db", home / "reports", day("2026-02-01")) as ledger:
        ledger.collected(SMS, span("2026-01-01", "2026-02-01"), b"a\n" + b"1\n" * 31)
    return home


def plan(capsys: pytest.CaptureFixture[str], home: Path, *options: str, job: str = JOB) -> str:
    assert call(["plan", write_job(home, job), "--now", NOW, *options]) == 0
    return capsys.readouterr().out


def test_what_was_collected_says_what_to_expect(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """28 days at a record a day; the other series is like nothing, but of the same account."""
    answer: Any = json.loads(plan(capsys, home, "--json"))
    sms, verify = answer["jobs"][0]["series"]
    assert (sms["expected_records"], sms["expected_price"]) == (28, None)
    assert verify["expected_records"] is None
    totals = answer["totals"]
    assert (totals["expected_records"], totals["unknown_series"]) == (28, 1)
    assert totals["expected_price"] is None


def test_with_a_price_the_money_shows(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = "price_per_record: {SMS: 0.00005, default: 1}\ncurrency: EUR\n"
    (home / "config.yaml").write_text(config, encoding="utf-8")
    text = plan(capsys, home)
    assert "expected, by what was collected before: about 28 records, 0.0014 EUR\n" in text
    assert ("record count unknown for 1 series: nothing similar was collected yet\n") in text
    answer: Any = json.loads(plan(capsys, home, "--json"))
    assert answer["jobs"][0]["series"][0]["expected_price"] == "0.00140"
    assert answer["totals"]["expected_price"] == "0.00140"
    assert answer["totals"]["currency"] == "EUR"


def test_sized_chunks_show_in_the_plan(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of what is known it has the chunks; of what is not, that a day comes first."""
    sized = JOB + "chunk: {max: 1 month, target_rows: 12}\n"
    answer: Any = json.loads(plan(capsys, home, "--json", job=sized))
    sms, verify = answer["jobs"][0]["series"]
    assert len(sms["chunks"]) >= 4
    assert sms["probe_first"] is False
    assert verify["probe_first"] is True
    assert answer["totals"]["probes"] == 1
    assert "for 1 series one day is collected first, " in plan(capsys, home, job=sized)


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("0", "0.00 EUR"),
        ("0.00005", "0.00005 EUR"),
        ("0.30", "0.3 EUR"),
        ("1234567.891", "1,234,567.89 EUR"),
    ],
)
def test_money_in_words(amount: str, words: str) -> None:
    assert money_words(Decimal(amount), "EUR") == words


def test_records_without_a_price_are_named() -> None:
    cost = Cost(Prices(products={"SMS": Decimal("0.5")}))
    cost.add("SMS", 3)
    cost.add("VERIFY-API", 7)
    cost.add("REPORTS-USAGE", 9)
    assert cost.words() == "about 19 records, 1.50 (7 of them without a price)"


def test_a_run_that_may_ask_for_no_more_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulated(
        tmp_path,
        job="accounts: [abcd1234]\nproducts: [VERIFY-API]\nwindows: [{from: "
        "2026-01-01, to: 2026-03-01}]\n",
    ) as place:
        place.write_config(more="limits: {max_records: 40}")
        assert place.run() == 75
        last = capsys.readouterr().out.splitlines()[-1]
        assert last.startswith("Not finished (limits.max_records is 40, ")
        assert last.endswith(f"Nothing is lost. To continue: `orchestrator run {place.job}`")


def test_a_bound_in_money_needs_a_price_for_all_that_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulated(
        tmp_path,
        job="accounts: [abcd1234]\nproducts: [VERIFY-API, REPORTS-USAGE]\nwindows: [{from: "
        "2026-01-01, to: 2026-03-01}]\n",
    ) as place:
        place.write_config(more="limits: {max_cost: 40}\nprice_per_record: {SMS: 1}")
        assert place.run() == 2
        said = capsys.readouterr().err
        assert "limits.max_cost: VERIFY-API has no price, so it is not known what" in said
        assert "REPORTS-USAGE" not in said


def test_records_collected_twice_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A subaccount is collected on its own, and then once more inside its primary's file."""
    own = (
        "name: own\naccounts: [ef567890]\nproducts: [VERIFY-API]\n"
        "windows: [{from: 2026-01-01, to: 2026-02-01}]\n"
    )
    whole = (
        "name: whole\naccounts: [{id: abcd1234, include_subaccounts: true}]\n"
        "products: [VERIFY-API]\nwindows: [{from: 2026-01-15, to: 2026-02-01}]\n"
    )
    with simulated(tmp_path, job=own) as place:
        assert place.run() == 0
        assert "on its own" not in capsys.readouterr().err
        place.write_job(whole)
        assert place.run() == 0
        said = capsys.readouterr().err
        assert "1 file of abcd1234 VERIFY-API include_subaccounts=true holds " in said
        assert (
            " of account ef567890, which is collected on its own too (ef567890 VERIFY-API, "
            "2026-01-15 to 2026-02-01): where both cover the same time, its records are paid twice "
            "and stand in two files"
        ) in said
        assert call(["verify", str(place.job), "--json"]) == 0
        (double,) = json.loads(capsys.readouterr().out)["collected_twice"]
        assert double["foreign_account_id"] == "ef567890"
        assert double["rows"] > 0
        assert call(["verify", str(place.job)]) == 0
        assert "warning: 1 file of abcd1234 VERIFY-API" in capsys.readouterr().err
