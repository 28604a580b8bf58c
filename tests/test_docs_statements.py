"""Statements of the documents that were false once, each held against what the program does."""

from __future__ import annotations

import json
import re
import shutil
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.cli.main import call
from orchestrator.core.policy import ExitCode, RunOutcome, exit_code
from orchestrator.simulator import Fault, Faults
from tests.kit.cli_worlds import Place, simulated
from tests.kit.home import enter, write_job

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
JOB = (
    "accounts: [abcd1234]\nproducts: [VERIFY-API]\nwindows: [{from: 2026-01-01, to: 2026-03-01}]\n"
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return enter(tmp_path, monkeypatch)


@pytest.fixture
def place(home: Path) -> Iterator[Place]:
    with simulated(home, job=JOB) as made:
        yield made


def document(name: str) -> str:
    return " ".join((ROOT / name).read_text(encoding="utf-8").split())


def test_75_goes_on_by_itself_since_what_needs_a_person_is_1() -> None:
    assert "75 goes on by itself" in document("docs/how-to.md")
    assert exit_code(RunOutcome(unfinished=True, needs_person=True)) is ExitCode.FINDINGS
    assert exit_code(RunOutcome(unfinished=True, needs_person=False)) is ExitCode.UNFINISHED


def test_a_rebuild_goes_on_with_what_was_open(home: Path) -> None:
    """Before: "What is lost with the ledger: reports that were open when it went"."""
    assert "open reports are gone on with" in document("docs/how-to.md")
    with simulated(home, job=JOB, speed=1.0) as place:
        assert place.run("--deadline", "2s") == 75
        bought = len(place.bill())
        assert bought > 0
        place.portal.call(place.simulator.clock.advance, timedelta(hours=1))
        shutil.rmtree(place.state.parent)
        assert place.run("--rebuild-ledger") == 0
        assert place.is_the_truth()
        assert len(place.bill()) == bought


@pytest.mark.parametrize("name", ["README.md", "docs/how-to.md", "docs/design.md"])
def test_nothing_is_installed_by_the_bare_name(name: str) -> None:
    """Elsewhere that name may be a stranger's package."""
    installs = re.findall(r"pipx? install ([^`\n;#]*)", (ROOT / name).read_text(encoding="utf-8"))
    assert all("." in arguments or not arguments.strip() for arguments in installs), installs


@pytest.mark.parametrize("command", ["status", "plan", "files", "verify"])
def test_a_damaged_ledger_is_74_for_those_that_read(
    home: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    (home / "state").mkdir()
    (home / "state/ledger.db").write_bytes(b"no ledger at all" * 1000)
    assert call([command, write_job(home, JOB)]) == 74
    assert capsys.readouterr().out == ""
    section = (ROOT / "docs/commands.md").read_text(encoding="utf-8").split(f"\n## {command}\n")[1]
    codes = section.split("\n## ")[0].split("Exit codes:")[1].split("\n\n")[0]
    assert "74" in codes


def test_check_answers_with_2_too(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "`check` answers whatever it finds" in document("docs/commands.md")
    assert call(["check", "--json", write_job(home, "accounts: [x]\n")]) == 2
    assert {check["level"] for check in json.loads(capsys.readouterr().out)} == {"error"}


def test_a_wrong_secret_is_1_in_check_and_in_run(place: Place) -> None:
    config = place.directory / "config.yaml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('"Simulated-Secret-1"', '"wrong"'), encoding="utf-8")
    assert call(["check", str(place.job)]) == 1
    assert place.run() == 1
    assert "credentials that are missing (wrong ones are 1" in document("README.md")


def test_what_failed_is_owed_with_its_tries_and_each_line_says_what_follows(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = Faults((Fault.of("report", "outcome", status="FAILED"),))
    with simulated(home, job=JOB, faults=failing) as place:
        assert place.run("--deadline", "8s") == 75
        out = capsys.readouterr().out
        (missing,) = [line for line in out.splitlines() if line.startswith("  still missing: ")]
        assert re.search(r", tried (once|\d+ times) without success \(last: .*FAILED", missing)
        assert missing.endswith("; the next run tries again")
        assert "not asked for yet" not in out
        answer = json.loads(_json_of(place, capsys))
        (unsettled,) = answer["unsettled"]
        assert unsettled["attempts"] >= 1


def _json_of(place: Place, capsys: pytest.CaptureFixture[str]) -> str:
    place.run("--json", "--deadline", "1s")
    return capsys.readouterr().out


def test_failed_lists_what_failed_and_nothing_else(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = Faults((Fault.of("report", "wrong_count"),))
    with simulated(home, job=JOB, faults=wrong) as place:
        assert place.run() == 1
        capsys.readouterr()
        assert call(["status", "--failed", str(place.job)]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith("report 1: ")
        assert "COLLECTED" not in "".join(lines)
        assert call(["status", "--held", str(place.job)]) == 0
        assert capsys.readouterr().out == f"nothing is held (ledger {place.state})\n"


def test_of_nights_to_come_a_run_collects_nothing(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before: `run --now` in the future collected days of which nothing is known yet, for good."""
    text = "accounts: [abcd1234]\nproducts: [VERIFY-API]\nwindows: [{from: 2030-01-01}]\n"
    place.write_job(text)
    place.run("--now", "2030-02-01T06:30:00Z")
    assert place.bill() == []
    assert call(["plan", str(place.job), "--now", "2030-02-01T06:30:00Z"]) == 0
    assert "2030-01-01" in capsys.readouterr().out
