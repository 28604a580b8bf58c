"""The loader of `docs/how-to.md`, killed at random between runs that are killed at random.

Whatever was killed, a loader that goes by `files --since` alone never has a record twice and never
keeps what was replaced.
"""

from __future__ import annotations

import json
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.cli.main import call
from orchestrator.cli.simulating import python_command
from tests.kit.cli_worlds import Place, simulated

if TYPE_CHECKING:
    from collections.abc import Iterator

HOW_TO = Path(__file__).parents[1] / "docs" / "how-to.md"
JOB = """\
name: job
accounts: [abcd1234]
products: [VERIFY-API, {product: SMS, direction: outbound}]
windows: [{from: 2026-01-01, to: 2026-0%d-01}]
"""
ROUNDS = 12
LAST_MONTH = 9


def loader_script(directory: Path) -> Path:
    """The loader as the document has it, which calls the program under test."""
    code = re.search(r"```python loader\n(.*?)```", HOW_TO.read_text("utf-8"), re.DOTALL)
    assert code is not None
    program = json.dumps(python_command([]))
    script = directory / "loader.py"
    text = code[1].replace('["orchestrator", "files"', f'[*{program}, "files"')
    assert text != code[1]
    script.write_text(text, encoding="utf-8")
    return script


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with simulated(tmp_path, job=JOB % 3, records_per_day=0.4) as here:
        yield here


class Life:
    """Months of runs, newer editions and loads, in an order that a seed decides."""

    def __init__(self, place: Place, seed: int) -> None:
        self.place = place
        self.script = loader_script(place.directory)
        self.warehouse = place.directory / "warehouse.db"
        self.random = random.Random(seed)
        self.month = 3
        self.kills = 0
        self.seconds = {"load": 0.5, "run": 0.8}  # that a process lasts which nobody kills

    def load(self, *, kill: bool) -> None:
        process = subprocess.Popen(
            [sys.executable, self.script, self.place.job, self.warehouse],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        errors = self._end_of(process, "load", kill=kill)
        if errors is None:
            return
        if process.returncode:  # a file was replaced while it read: the document says, ask again
            assert "FileNotFoundError" in errors, errors

    def run(self, *options: str, kill: bool) -> None:
        process = self.place.process("run", str(self.place.job), "--quiet", *options)
        errors = self._end_of(process, "run", kill=kill)
        if errors is None:
            return
        assert process.returncode in (0, 2), errors  # 2: nothing to buy anew there

    def _end_of(self, process: subprocess.Popen[str], kind: str, *, kill: bool) -> str | None:
        """What a process says to its end; None if it was killed."""
        began = time.monotonic()
        if kill:
            time.sleep(self.seconds[kind] * self.random.uniform(0.3, 1.0))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                self.kills += 1
                return None
        _, errors = process.communicate(timeout=60)
        self.seconds[kind] = time.monotonic() - began
        return errors

    def step(self) -> None:
        kill = self.random.random() < 0.6
        match self.random.choice(["more", "again", "again", "load", "load"]):
            case "more":
                self.month = min(self.month + 1, LAST_MONTH)
                self.place.write_job(JOB % self.month)
                self.run(kill=kill)
            case "again":
                first = self.random.randrange(1, self.month)
                dates = ("--from", f"2026-0{first}-01", "--to", f"2026-0{first + 1}-01")
                self.run("--again", *dates, "--yes", kill=kill)
            case _:
                self.load(kill=kill)
        self.nothing_twice()

    def nothing_twice(self) -> None:
        """No part of time of a series stands in the warehouse under two reports."""
        if not self.warehouse.exists() or not self.place.state.exists():
            return
        with closing(sqlite3.connect(self.place.state)) as ledger:
            places = {
                number: (series, start)
                for number, series, start in ledger.execute(
                    "SELECT id, series_id, window_start FROM report"
                )
            }
        loaded = [places[report] for report in self.loaded()]
        assert len(loaded) == len(set(loaded))

    def loaded(self) -> dict[int, int]:
        """How many records the warehouse has, by report."""
        with closing(sqlite3.connect(self.warehouse, timeout=30)) as warehouse:
            tables = warehouse.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'record'")
            if tables.fetchone() == (0,):
                return {}
            return dict(
                warehouse.execute("SELECT report, count(*) FROM record GROUP BY report").fetchall()
            )


@pytest.mark.parametrize("seed", range(2))
def test_nothing_is_loaded_twice_and_no_replacement_is_missed(
    place: Place, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    life = Life(place, seed)
    for _ in range(ROUNDS):
        life.step()
    life.run(kill=False)
    life.load(kill=False)
    life.run("--again", "--from", "2026-01-01", "--to", "2026-02-01", "--yes", kill=False)
    life.load(kill=False)
    assert life.kills > 0, "else nothing was tried"
    capsys.readouterr()
    assert call(["files", str(place.job), "--json"]) == 0
    files: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    assert life.loaded() == {file["report"]: file["rows"] for file in files if file["rows"]}
    assert any(file["edition"] > 1 for file in files)
    before = life.loaded()
    life.load(kill=False)
    assert life.loaded() == before


def test_a_loader_begins_anew_where_a_ledger_was_made_from_an_older_manifest(place: Place) -> None:
    life = Life(place, 0)
    life.run(kill=False)
    manifest = place.directory / "reports" / "manifest.jsonl"
    old = manifest.read_bytes()
    life.run("--again", "--from", "2026-01-01", "--to", "2026-02-01", "--yes", kill=False)
    life.load(kill=False)
    manifest.write_bytes(old)
    for path in place.state.parent.glob("ledger.db*"):
        path.unlink()
    life.run("--rebuild-ledger", kill=False)
    with pytest.raises(AssertionError, match="lost when it was rebuilt; delete what you have load"):
        life.load(kill=False)
