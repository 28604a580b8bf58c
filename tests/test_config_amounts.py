"""Numbers of records and prices, as job files and configs write them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from orchestrator.config import amounts
from orchestrator.config.config_file import read_config
from orchestrator.config.parsers import InvalidValue
from tests.kit.job_files import job_text, read_job

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.core.settings import Config


@pytest.mark.parametrize(
    ("text", "records"),
    [
        ("5000000", 5_000_000),
        ("5 million", 5_000_000),
        ("2.5 million", 2_500_000),
        ("500k", 500_000),
        ("3M", 3_000_000),
        ("5,000,000", 5_000_000),
        ("1", 1),
    ],
)
def test_numbers_of_records(text: str, records: int) -> None:
    assert amounts.records(text) == records


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("many", "many is not a number of records"),
        ("5 billions", "5 billions is not a number of records"),
        ("-5", "-5 is not a number of records"),
        ("1.2345k", "1.2345k is not a whole number of records"),
        ("0", "0 records are out of bounds"),
        ("2000000 million", "2,000,000,000,000 records are out of bounds"),
    ],
)
def test_what_is_no_number_of_records(text: str, message: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        amounts.records(text)
    assert caught.value.what == message
    assert caught.value.remedy


def test_a_job_says_how_large_its_reports_should_be(tmp_path: Path) -> None:
    more = "chunk: {max: 2 weeks, target_rows: 2.5 million}\n"
    job = read_job(tmp_path, job_text(more=more)).job
    assert job.target_rows == 2_500_000
    assert str(job.chunk) == "2 weeks"


def test_without_it_nothing_is_sized(tmp_path: Path) -> None:
    assert read_job(tmp_path, job_text()).job.target_rows is None


def config_of(tmp_path: Path, text: str) -> tuple[Config, list[str]]:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    config, mistakes, warnings = read_config(path, base=tmp_path, env={})
    assert config is not None
    said = [str(one).removeprefix(str(tmp_path) + "/") for one in (*mistakes, *warnings)]
    return config, said


def test_one_price_for_all_but_what_is_free(tmp_path: Path) -> None:
    config, said = config_of(tmp_path, "price_per_record: 0.00005\ncurrency: eur\n")
    assert said == []
    assert config.prices.of("SMS") == Decimal("0.00005")
    assert config.prices.of("REPORTS-USAGE") == 0
    assert config.prices.currency == "EUR"


def test_a_price_by_product(tmp_path: Path) -> None:
    text = "price_per_record: {default: 0.0001, SMS: 0.0002, VOICE: 0}\n"
    config, said = config_of(tmp_path, text)
    assert said == []
    assert [config.prices.of(name) for name in ("SMS", "VOICE-CALL", "ASR")] == [
        Decimal("0.0002"),
        Decimal(0),
        Decimal("0.0001"),
    ]


def test_without_a_price_none_is_known(tmp_path: Path) -> None:
    config, _ = config_of(tmp_path, "limits: {max_records: 2 million}\n")
    assert config.prices.of("SMS") is None
    assert config.limits.max_records.run == 2_000_000


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (
            "price_per_record: cheap\n",
            [
                (
                    "config.yaml:1:19: price_per_record: cheap is not a price; write a decimal "
                    "number such as 0.00005"
                )
            ],
        ),
        (
            "price_per_record: {SMS: 1e-4, default: 5000}\n",
            [
                (
                    "config.yaml:1:25: price_per_record.SMS: 1e-4 is not a price; write a decimal "
                    "number such as 0.00005"
                ),
                (
                    "config.yaml:1:40: price_per_record.default: 5000 is out of bounds; write the "
                    "price of one record, below 1000"
                ),
            ],
        ),
        (
            "price_per_record: {VOICE: 1, VOICE-CALL: 2}\n",
            [
                (
                    "config.yaml:1:30: price_per_record.VOICE-CALL: VOICE-CALL has a price "
                    "already; remove one"
                )
            ],
        ),
        (
            "price_per_record: {SMZ: 1}\n",
            [
                (
                    "config.yaml:1:25: price_per_record.SMZ: SMZ is no product known here; did you "
                    "mean SMS?"
                )
            ],
        ),
        (
            "currency: euros\n",
            [
                (
                    "config.yaml:1:11: currency: euros is not a currency; write its three letters, "
                    "such as EUR"
                )
            ],
        ),
    ],
)
def test_mistakes_in_prices(tmp_path: Path, text: str, messages: list[str]) -> None:
    assert config_of(tmp_path, text)[1] == messages


def test_bounds_by_period_and_in_money(tmp_path: Path) -> None:
    config, _ = config_of(
        tmp_path,
        "limits: {max_records: {run: 500k, month: 2 million}, max_cost: {day: 9.5}}\n"
        "price_per_record: 0.01\n",
    )
    limits = config.limits
    assert (limits.max_records.run, limits.max_records.day) == (500_000, None)
    assert limits.max_records.month == 2_000_000
    assert (limits.max_cost.run, limits.max_cost.day) == (None, Decimal("9.5"))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("max_records: {week: 5}", "week is no period"),
        ("max_records: {}", "bounds nothing"),
        ("max_records: {day: many}", "many is not a number of records"),
        ("max_cost: 0", "0 is not an amount of money"),
        ("max_cost: {month: cheap}", "cheap is not an amount of money"),
    ],
)
def test_bounds_that_make_no_sense(tmp_path: Path, written: str, said: str) -> None:
    _, messages = config_of(tmp_path, f"limits: {{{written}}}\n")
    assert any(said in one for one in messages), messages
