"""The command `demo`: the whole way, and that it would notice a wrong record."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.app.files import from_here
from orchestrator.cli.commands.demo import _next_steps, job_text
from orchestrator.cli.main import call
from orchestrator.cli.simulating import WorldOptions, python_command
from tests.kit.cli_worlds import simulated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kit.cli_worlds import Place

QUICK = ["--rate", "2000", "--speed", "500", "--records-per-day", "0.3"]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No config from outside."""
    monkeypatch.delenv("ORCHESTRATOR_CONFIG", raising=False)


def test_it_collects_the_truth_and_the_folder_can_be_used_on(tmp_path: Path) -> None:
    place = tmp_path / "demo"
    done = subprocess.run(
        python_command(["demo", str(place), *QUICK]),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert " records match the simulator: none is missing" in done.stdout
    assert "Each was charged exactly once: " in done.stdout
    assert "abcd1234  SMS" in done.stdout
    assert "beta0001  NUMBER-INSIGHT" in done.stdout
    assert f"The files are under {from_here(place / 'reports')}." in done.stdout
    assert " simulate --port " in done.stdout
    assert (
        "\nThe job reaches back further than the real API keeps records, hence the warning; the "
        "simulator\nkeeps them all, so that the comparison is whole.\n\nComparing every record "
    ) in done.stderr
    # Nothing is owed any more, so the simulator is not even needed.
    assert call(["run", str(place / "demo.yaml"), "--quiet"]) == 0


def test_the_next_steps_work_as_typed_where_only_the_path_of_the_program_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "my env" / "bin" / "orchestrator"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(program), "demo"])
    monkeypatch.setenv("PATH", str(tmp_path))
    _next_steps(tmp_path / "demo", WorldOptions(), "http://127.0.0.1:81")
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith(f"  '{program}' ")] == [
        f"  '{program}' files demo.yaml  # every file, its window, rows and hash",
        f"  '{program}' status demo.yaml # where every report stands",
        f"  '{program}' run demo.yaml    # nothing is missing, so nothing is bought",
        f"  '{program}' simulate --port 81 --speed 1 --rate 5 --records-per-day 20",
    ]


def test_without_a_script_the_next_steps_name_the_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    python = str(tmp_path / "python3")
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "__main__.py"), "demo"])
    monkeypatch.setattr(sys, "executable", python)
    monkeypatch.setenv("PATH", str(tmp_path))
    _next_steps(tmp_path / "demo", WorldOptions(), "http://127.0.0.1:81")
    assert f"\n  {python} -m orchestrator run demo.yaml    # " in capsys.readouterr().out


def test_the_next_steps_have_the_bare_name_where_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "orchestrator"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    _next_steps(tmp_path / "demo", WorldOptions(), "http://127.0.0.1:81")
    assert "\n  orchestrator run demo.yaml    # nothing is missing" in capsys.readouterr().out


def test_a_directory_that_holds_something_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").touch()
    assert call(["demo", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"error: {tmp_path} is not empty; give a new directory, or none\n"
    )


def test_the_job_that_is_shipped_is_the_one_of_the_repository() -> None:
    assert job_text() == (Path(__file__).parents[1] / "jobs" / "demo.yaml").read_text("utf-8")


# --- what the comparison would notice -------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with simulated(tmp_path) as place:
        assert place.run("--quiet") == 0
        assert place.is_the_truth()
        yield place


def a_file(place: Place) -> Path:
    return next(place.directory.glob("reports/*/report_product=VERIFY-API/*/*/*.csv"))


def test_a_record_that_is_missing_is_noticed(place: Place) -> None:
    path = a_file(place)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    (difference,) = place.compare().differences
    assert " VERIFY-API: " in difference
    assert " records in the files, " in difference


def test_a_record_that_is_changed_is_noticed(place: Place) -> None:
    path = a_file(place)
    # The last character of the last field, which stands before a quote and a line break.
    content = path.read_bytes()
    path.write_bytes(content[:-3] + b"~" + content[-2:])
    (difference,) = place.compare().differences
    assert difference.endswith(" records in both, but not the same ones")


def test_a_report_bought_twice_is_noticed(place: Place) -> None:
    charge = place.bill()[0]
    body = {
        **charge.body,
        "date_start": charge.date_start.isoformat(),
        "date_end": charge.date_end.isoformat(),
    }
    place.buy(body, charge.api_key)
    differences = place.compare().differences
    assert f"{charge.charged:,} records were charged twice" in differences
    assert len(differences) == 2
