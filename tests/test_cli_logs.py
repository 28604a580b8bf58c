"""What a run writes to standard error as JSON: every line is one of docs/logs.md."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.cli.main import call
from orchestrator.engine.collecting import Collecting
from orchestrator.simulator import Fault, Faults
from tests.kit.cli_worlds import Place, simulated
from tests.kit.log_page import COMMON, EVENTS

if TYPE_CHECKING:
    from pathlib import Path

ONE = """\
name: nightly
accounts: [abcd1234]
products: [VERIFY-API]
windows: [{from: 2026-01-01, to: 2026-03-01}]
"""

Lines = list[dict[str, Any]]


def lines_of(capsys: pytest.CaptureFixture[str]) -> Lines:
    """The lines on standard error, each held against its type; nothing else was said."""
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [json.loads(line) for line in captured.err.splitlines()]
    for line in lines:
        event = EVENTS[line["type"]]
        assert list(line)[: len(COMMON)] == COMMON, line
        fields = line.keys() - set(COMMON)
        assert event.fields - event.optional <= fields <= event.fields, line
    return lines


def run_json(place: Place, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, Lines]:
    capsys.readouterr()
    code = place.run("--log-format", "json", *options)
    return code, lines_of(capsys)


def states(lines: Lines, report: int) -> list[str]:
    return [
        line["state"] for line in lines if line["type"] == "report" and line["report"] == report
    ]


def test_every_change_of_a_report_is_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulated(tmp_path, job=ONE) as place:
        code, lines = run_json(place, capsys)
    assert code == 0
    assert states(lines, 1) == ["submitting", "submitted", "ready", "verified", "collected"]
    collected = [line for line in lines if line.get("state") == "collected"]
    assert [line["cause"] for line in collected] == ["Published"] * 2
    assert sum(line["rows"] for line in collected) == lines[-1]["collected"]["rows"]
    assert (lines[-1]["type"], lines[-1]["level"]) == ("run_ended", "info")
    assert {"run_begun", "message"} <= {line["type"] for line in lines}


def test_what_fails_is_a_warning_and_no_change_is_folded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = ONE + "chunk: {max: 1 week}\n"
    with simulated(
        tmp_path, job=job, faults=Faults((Fault.of("report", "outcome", status="FAILED"),))
    ) as place:
        code, lines = run_json(place, capsys, "--quiet")
    assert code == 75
    failed = [line for line in lines if line.get("state") == "failed"]
    assert len(failed) > 9
    assert {line["level"] for line in lines} == {"warning"}
    assert "folded" not in {line["type"] for line in lines}


def test_refusals_are_told_by_what_was_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse = Faults((Fault.of("create", "refuse", status=403),))
    with simulated(tmp_path, job=ONE, faults=refuse) as place:
        code, lines = run_json(place, capsys)
    assert code == 1
    (refused,) = [line for line in lines if line["type"] == "refused"]
    assert (refused["what"], refused["name"], refused["level"]) == (
        "account",
        "account abcd1234",
        "error",
    )


@pytest.mark.parametrize("options", [["--quiet"], ["--quiet", "--log-format", "json"]])
def test_in_quiet_a_run_that_went_well_says_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    with simulated(tmp_path, job=ONE) as place:
        assert place.run(*options) == 0
        assert place.run(*options) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--deadline", "soon"], 2, "Invalid value for '--deadline'"),
        (["--no-such-option"], 2, "No such option"),
        (["--quiet", "--verbose"], 2, "contradict each other"),
        (["--config", "none.yaml"], 2, "there is no such file"),
    ],
)
def test_errors_are_lines_of_the_chosen_format(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    told: str,
) -> None:
    (tmp_path / "job.yaml").write_text(ONE)
    assert call(["run", str(tmp_path / "job.yaml"), *arguments, "--log-format=json"]) == code
    (line,) = lines_of(capsys)
    assert (line["type"], line["exit_code"]) == ("error", code)
    assert told in line["event"]


def test_a_bug_and_what_libraries_warn_of_are_lines_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        logging.getLogger("some.library").warning("look at %s", "this")
        raise RuntimeError("a bug")

    monkeypatch.setattr(Collecting, "collect", broken)
    with simulated(tmp_path, job=ONE) as place:
        code, lines = run_json(place, capsys)
    assert code == 70
    by_type = {line["type"]: line for line in lines}
    assert "RuntimeError: a bug" in by_type["error"]["traceback"]
    assert (by_type["library"]["event"], by_type["library"]["source"]) == (
        "look at this",
        "some.library",
    )
