"""The command `cancel`, against a real simulator."""

from __future__ import annotations

import fcntl
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from orchestrator.cli.main import call
from orchestrator.simulator import ApiKey, Fault, Faults
from tests.kit.cli_worlds import REPORTS, SMALL, simulated
from tests.test_cli_run import MOVED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kit.cli_worlds import Place

SLOW = timedelta(hours=1)


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No config from outside."""
    monkeypatch.delenv("ORCHESTRATOR_CONFIG", raising=False)


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Place]:
    """A run has asked for everything, and nothing was finished in time."""
    with simulated(tmp_path, processing_time=SLOW) as place:
        place.write_config(poll_timeout="50ms")
        assert place.run("--quiet") == 75
        capsys.readouterr()
        yield place


def cancel(place: Place, *options: str) -> int:
    return call(["cancel", str(place.job), *options])


def test_what_is_open_is_cancelled_at_the_api(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cancel(place) == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == REPORTS + 1
    numbers = sorted(int(line.split(",")[0].removeprefix("report ")) for line in out[:-1])
    assert numbers == list(range(1, REPORTS + 1))
    assert all(line.endswith(": cancelled at the API") for line in out[:-1])
    assert out[-1] == f"{REPORTS} reports cancelled, 0 still open"
    assert {one.status for one in place.bill()} == {"ABORTED"}


def test_the_answer_in_json(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert cancel(place, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert list(answer) == ["reports", "forgotten_series", "exit_code", "exit_word"]
    assert len(answer["reports"]) == REPORTS
    assert list(answer["reports"][0]) == [
        "report", "request_id", "account_id", "product", "direction", "filter", "start", "end",
        "state", "cancelled", "words",
    ]  # fmt: skip
    assert {one["state"] for one in answer["reports"]} == {"cancelled"}
    assert (answer["exit_code"], answer["exit_word"]) == (0, "done")


def test_a_second_cancel_finds_nothing(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert cancel(place) == 0
    capsys.readouterr()
    assert cancel(place) == 0
    assert capsys.readouterr().out == "nothing is open\n"


def test_without_a_ledger_there_is_nothing_and_none_is_begun(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulated(tmp_path) as place:
        assert cancel(place) == 0
        assert capsys.readouterr().out == "nothing is open\n"
        assert not place.state.exists()


def test_what_is_finished_and_paid_stays_open_with_75(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.portal.call(place.simulator.clock.advance, 2 * SLOW)
    assert cancel(place) == 75
    out = capsys.readouterr().out
    assert out.endswith(f"0 reports cancelled, {REPORTS} still open\n")
    place.write_config()
    assert place.run() == 0
    assert place.is_the_truth()


def test_what_nobody_knows_of_stays_open_with_75(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # One create is made and its answer lost; the list refuses, so nobody can say.
    lost = Fault.of("create", "reset", made=True, nth=3)
    refused = Fault.of("list", "refuse", status=403)
    with simulated(tmp_path, faults=Faults((lost, refused)), processing_time=SLOW) as place:
        place.write_config(poll_timeout="50ms")
        assert place.run("--quiet") == 75
        capsys.readouterr()
        assert cancel(place) == 75
    assert "nobody knows yet whether the API has it; `run` finds out" in capsys.readouterr().out


def test_another_run_on_the_ledger_is_3(place: Place) -> None:
    with place.state.with_name("ledger.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert cancel(place) == 3


def test_forget_drops_what_earlier_nights_still_owe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = "accounts: [abcd1234]\nproducts: [VERIFY-API]\nwindows: [yesterday]\nsettle: 0s\n"
    long_ago = datetime.now(UTC) - timedelta(days=10)
    with simulated(tmp_path, SMALL, job=job) as place:
        assert place.run("--now", long_ago.isoformat()) == 0
        bought = len(place.bill())
        capsys.readouterr()
        assert cancel(place, "--forget") == 0
        assert capsys.readouterr().out == (
            "nothing is open\n1 series of relative windows begin anew today\n"
        )
        # Only yesterday, and none of the nights in between.
        assert place.run("--quiet", "--json") == 0
        assert json.loads(capsys.readouterr().out)["made_up"] == []
        assert len(place.bill()) == bought + 1
        newest = place.bill()[-1]
        assert newest.date_end - newest.date_start == timedelta(days=1)


def test_what_is_open_of_an_account_that_moved_is_cancelled_with_the_key_that_bought_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = (ApiKey("abcd1234", "aaaaaaaaaaaaaaaa"), ApiKey("beta0001", "bbbbbbbbbbbbbbbb"))
    before = MOVED.replace("beta", "default")
    with simulated(tmp_path, job=before, processing_time=SLOW, keys=both) as place:
        place.write_config(poll_timeout="50ms")
        assert place.run("--quiet") == 75
        place.write_job(MOVED)
        capsys.readouterr()
        assert cancel(place) == 0
        assert capsys.readouterr().out.endswith("1 report cancelled, 0 still open\n")
