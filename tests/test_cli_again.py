"""`run --again`: what it says before it buys, what it refuses, and what it leaves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.cli.main import call
from tests.kit.cli_worlds import Place, simulated
from tests.kit.home import enter, write_job
from tests.kit.ledgers import book, day, span
from tests.test_cli_plan import SMS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JOB = """\
name: job
accounts: [abcd1234]
products: [VERIFY-API]
windows: [{from: 2026-01-01, to: 2026-04-01}]
"""
AGAIN = ("--again", "--from", "2026-02-01", "--to", "2026-03-01")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with simulated(tmp_path, job=JOB) as here:
        here.write_config(more="price_per_record: 0.01\ncurrency: EUR")
        assert here.run() == 0
        yield here


def files(place: Place, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert call(["files", str(place.job), "--json"]) == 0
    answer: Any = json.loads(capsys.readouterr().out)
    listed: list[dict[str, Any]] = answer if isinstance(answer, list) else answer["files"]
    return listed


def test_it_says_what_it_buys_and_renews_just_that(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(place, capsys)
    assert place.run(*AGAIN, "--yes") == 0
    said = capsys.readouterr()
    rows = before[1]["rows"]
    assert said.err.startswith(
        "--again buys 1 report of 1 series anew, 2026-02-01 to 2026-03-01: "
        f"about {rows} records, {rows / 100:.2f}"
    )
    assert said.out.splitlines()[-1] == "Done: 1 newer edition collected."
    after = files(place, capsys)
    assert len(after) == 3
    assert [one["path"] for one in after][::2] == [one["path"] for one in before][::2]
    assert after[1]["path"] == before[1]["path"].replace(".csv", "_e2.csv")
    assert after[1]["request_id"] != before[1]["request_id"]
    assert sum(path.suffix == ".csv" for path in place.directory.rglob("*.csv")) == 3
    assert call(["verify", str(place.job)]) == 0
    assert len(place.bill()) == 4
    assert place.run() == 0
    assert len(place.bill()) == 4, "nothing is owed afterwards"


def test_the_manifest_knows_the_newer_edition(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """A ledger made from it goes on with the next edition, not with the same again."""
    assert place.run(*AGAIN, "--yes") == 0
    place.state.unlink()
    for path in place.state.parent.glob("ledger.db-*"):
        path.unlink()
    assert place.run("--rebuild-ledger") == 0
    assert place.run(*AGAIN, "--yes") == 0
    assert files(place, capsys)[1]["path"].endswith("_e3.csv")


def test_without_a_terminal_somebody_has_to_say_yes(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert place.run(*AGAIN) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: --again buys what is there already, so a person has to say yes: add --yes where "
        "there is no terminal to ask on"
    )
    assert len(place.bill()) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--again", "--from", "2026-03-01", "--to", "2026-02-01", "--yes"),
            "--from 2026-03-01 is not before --to 2026-02-01; write the earlier one first",
        ),
        (
            ("--again", "--from", "soon", "--to", "2026-02-01", "--yes"),
            "--from: soon is not a date; write it as 2025-01-31, 2025-01-31T10:00 or ",
        ),
        (
            ("--again", "--from", "2024-03-01", "--to", "2024-04-01", "--yes"),
            "error: --again: nothing between 2024-03-01 and 2024-04-01 can be bought anew; what ",
        ),
        (("--again", "--yes"), "Error: --again needs --from DATE and --to DATE"),
        (
            ("--yes",),
            "Error: --from, --to and --yes go with --again; what a run collects, the job file says",
        ),
        (
            (*AGAIN, "--retry-failed"),
            "Error: --again stands alone: without --dry-run, --retry-failed and so on",
        ),
    ],
)
def test_bad_input_buys_nothing(
    place: Place, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    capsys.readouterr()
    assert place.run(*options) == 2
    assert message in capsys.readouterr().err
    assert len(place.bill()) == 3


def test_the_limit_of_a_run_holds_for_editions(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write_config(more="limits: {max_records: 10}")
    assert place.run(*AGAIN, "--yes") == 2
    assert "records would be bought anew, and limits.max_records is 10" in capsys.readouterr().err
    assert len(place.bill()) == 3


def test_the_limit_of_a_day_holds_for_editions_beside_what_was_bought(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write_config(more="limits: {max_records: {day: 100}}")
    assert place.run(*AGAIN, "--yes") == 2
    assert "limits.max_records.day is 100, " in capsys.readouterr().err
    assert len(place.bill()) == 3


def test_what_is_open_counts_in_the_limit_of_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody has counted it yet: it may hold as much as the month before it."""
    home = enter(tmp_path, monkeypatch)
    with book(home / "state/ledger.db", home / "reports", day("2026-03-02")) as ledger:
        ledger.collected(SMS, span("2026-01-01", "2026-02-01"), b"a\n" + 60 * b"1\n")
        ledger.submitted(SMS, span("2026-02-01", "2026-03-01"))
    text = "accounts: [abcd1234]\nproducts: [{product: SMS, direction: outbound}]\n"
    name = write_job(home, text + "windows: [{from: 2026-01-01, to: 2026-03-01}]\n")
    (home / "config.yaml").write_text(
        "api: {base_url: 'http://127.0.0.1:9'}\nlimits: {max_records: {day: 140}}\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("VONAGE_API_KEY", "abcd1234")
    monkeypatch.setenv("VONAGE_API_SECRET", "hidden-secret")
    again = ["--again", "--from", "2026-01-01", "--to", "2026-02-01", "--yes"]
    again += ["--deadline", "1s", "--now", "2026-03-02T12:00:00Z"]
    assert call(["run", name, *again]) == 2
    assert "limits.max_records.day is 140, " in capsys.readouterr().err


def test_what_the_api_is_about_to_delete_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A newer edition would hold fewer records than the old file."""
    home = enter(tmp_path, monkeypatch)
    with book(home / "state/ledger.db", home / "reports", day("2025-03-02")) as ledger:
        ledger.collected(SMS, span("2025-01-01", "2025-03-01"), b"a\n1\n2\n")
    text = "accounts: [abcd1234]\nproducts: [{product: SMS, direction: outbound}]\n"
    name = write_job(home, text + "windows: [{from: 2025-01-01, to: 2025-03-01}]\n")
    (home / "config.yaml").write_text("api: {base_url: 'http://127.0.0.1:9'}\n", encoding="utf-8")
    monkeypatch.setenv("VONAGE_API_KEY", "abcd1234")
    monkeypatch.setenv("VONAGE_API_SECRET", "hidden-secret")
    again = ["--again", "--from", "2025-01-01", "--to", "2025-03-01", "--yes"]
    assert call(["run", name, *again, "--now", "2026-03-02T00:00:00Z"]) == 2
    assert (
        "can be bought anew; 1 report left as it is: it reaches back to where the API deletes "
        "records, so a newer edition would hold fewer; what is missing"
    ) in capsys.readouterr().err
