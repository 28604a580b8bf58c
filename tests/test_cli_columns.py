"""Columns that are dropped or hashed are nowhere in clear once a run has ended."""

from __future__ import annotations

import csv
import gzip
import hashlib
import hmac
from typing import TYPE_CHECKING

import pytest

from orchestrator.cli.main import call
from orchestrator.simulator import Truth
from tests.kit.cli_worlds import Place, simulated

if TYPE_CHECKING:
    from pathlib import Path

JOB = """\
name: job
accounts: [abcd1234]
products: [{product: SMS, direction: outbound, include_message: true}]
windows: [{from: 2026-01-01, to: 2026-02-01}]
"""
BODY = {
    "account_id": "abcd1234",
    "product": "SMS",
    "direction": "outbound",
    "include_message": True,
    "date_start": "2026-01-01T00:00:00Z",
    "date_end": "2026-02-01T00:00:00Z",
}
KEY = "a-key-of-the-tests"
RULES = "columns: {drop: [message_body], hash: [from, to]}, hash_key: '${HASH_KEY}'"


def write_rules(place: Place, form: str, rules: str = RULES) -> None:
    place.write_config()
    path = place.directory / "config.yaml"
    line = f"output: {{directory: reports, format: {form}, {rules}}}"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines = [line if old.startswith("output:") else old for old in lines]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def hashed(value: str) -> str:
    return hmac.new(KEY.encode(), value.encode(), hashlib.sha256).hexdigest() if value else ""


@pytest.mark.parametrize("form", ["csv", "csv.gz", "csv.zst", "parquet"])
def test_clear_values_stand_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setenv("HASH_KEY", KEY)
    with simulated(tmp_path, job=JOB) as place:
        write_rules(place, form)
        assert place.run("--verbose") == 0
        assert call(["verify", str(place.job)]) == 0
        truth = Truth(place.simulator.settings, BODY)
        at = {name: truth.columns.index(name) for name in ("from", "to", "message_body")}
        rows = list(truth.rows())
    secrets = {row[at[name]] for row in rows for name in at}
    # Bodies that are as common as the rest of a file say nothing.
    secrets = {value for value in secrets if len(value) > 8}
    assert len(secrets) > 10
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.name not in ("config.yaml", "job.yaml"):
            content = path.read_bytes()
            assert [value for value in secrets if value.encode() in content] == []
    assert KEY.encode() not in b"".join(
        path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    )


def test_hashes_and_all_other_values_are_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HASH_KEY", KEY)
    with simulated(tmp_path, job=JOB) as place:
        write_rules(place, "csv.gz")
        assert place.run() == 0
        (path,) = (tmp_path / "reports").rglob("*.csv.gz")
        truth = Truth(place.simulator.settings, BODY)
        expected = [dict(zip(truth.columns, row, strict=True)) for row in truth.rows()]
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    for row in expected:
        del row["message_body"]
        row |= {name: hashed(row[name]) for name in ("from", "to")}
    key = "message_id"
    assert sorted(found, key=lambda row: row[key]) == sorted(expected, key=lambda row: row[key])


def test_a_missing_key_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HASH_KEY", raising=False)
    with simulated(tmp_path, job=JOB) as place:
        write_rules(place, "csv")
        assert place.run() == 2
        assert place.bought() == 0
    assert "output.hash_key: the variable HASH_KEY is not set" in capsys.readouterr().err
