"""A campaign of SIGKILLs: `orchestrator run` against `orchestrator simulate`, both of their own."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orchestrator
from orchestrator.cli.simulating import WorldOptions, python_command
from orchestrator.core.lifecycle import State
from orchestrator.core.policy import ExitCode
from orchestrator.ledger.sqlite import reading
from orchestrator.simulator import Truth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.core.model import Series
    from orchestrator.ledger.store import Store

_DAYS_A_ROUND: Final = 8
_KILLS_A_ROUND: Final = 7
_RUNS_TO_FINISH: Final = 12
_PATIENCE_SECONDS: Final = 120.0
_RATE: Final = 60.0
_SPEED: Final = 200.0
"""A lost create is looked for over ten minutes of the simulator's clock: three seconds."""

_JOB: Final = """\
name: torture
accounts: [abcd1234, ef567890]
products:
  - {{product: SMS, direction: [outbound, inbound], include_message: true}}
  - VERIFY-API
  - {{product: VOICE-CALL, direction: outbound}}
windows: [{{from: {first}, to: {last}}}]
chunk: {{max: 1 day}}
"""

_FAULTS: Final = """\
seed: {seed}
faults:
  - {{at: create, do: reset, made: true, probability: 0.03}}
  - {{at: create, do: reset, probability: 0.03}}
  - {{at: create, do: refuse, status: 503, made: true, probability: 0.02}}
  - {{at: create, do: refuse, status: 429, retry_after: 0.2, probability: 0.03}}
  - {{at: create, do: cut, probability: 0.02}}
  - {{at: create, do: html, status: 200, made: true, probability: 0.01}}
  - {{at: create, do: twin, probability: 0.02}}
  - {{at: list, do: refuse, status: 500, probability: 0.05}}
  - {{at: list, do: lacks, newest: 2, probability: 0.05, times: 2}}
  - {{at: list, do: late, seconds: 200, probability: 0.1}}
  - {{at: list, do: stale, seconds: 100, probability: 0.1}}
  - {{at: status, do: reset, probability: 0.05}}
  - {{at: download, do: cut, probability: 0.05}}
  - {{at: download, do: bad_crc, probability: 0.03}}
  - {{at: download, do: redirect, to: file, probability: 0.05}}
  - {{at: download, do: refuse, status: 503, probability: 0.03}}
  - {{at: report, do: outcome, status: FAILED, probability: 0.02}}
  - {{at: report, do: cancelled, seconds: 4, probability: 0.01}}
  - {{at: report, do: callback, copies: 0, forged: SUCCESS, probability: 0.1}}
  - {{at: report, do: callback, copies: 3, late: 1, probability: 0.2}}
  - {{at: server, do: restart, after: 9}}
  - {{at: server, do: restart, after: 40, seconds: 1}}
  - {{at: server, do: restart, after: 90, seconds: 0.3}}
"""
"""None of these costs a record twice: what fails or is cancelled is not charged."""


@dataclass
class Outcome:
    """What a campaign found.

    Attributes:
        kills: processes that were killed while they ran.
        runs: all of them, the killed ones included.
        exits: how the others ended.
        reports: rows of the ledger that are collected.
        records: how many there are in truth.
        lost: records in truth and not in the files.
        twice: records in the files and not (or not so often) in truth.
        paid_twice: records that stand in more than one paid report.
        wrong: everything else that is not as it must be, in words.
    """

    kills: int = 0
    runs: int = 0
    exits: Counter[int] = field(default_factory=Counter)
    reports: int = 0
    records: int = 0
    lost: int = 0
    twice: int = 0
    paid_twice: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, nothing came or was paid twice, and nothing else is wrong."""
        return not (self.lost or self.twice or self.paid_twice or self.wrong)

    def __str__(self) -> str:
        exits = ", ".join(f"{number} x exit {code}" for code, number in sorted(self.exits.items()))
        return (
            f"kills {self.kills}, runs {self.runs} ({exits}), reports {self.reports:,}, records "
            f"{self.records:,}: lost {self.lost}, twice {self.twice}, paid twice {self.paid_twice} "
            f"({self.seconds:.0f} s)"
        )


class Campaign:
    """Kills and runs in one folder, against one simulator.

    Args:
        folder: new and empty.
        kills: how many.
        seed: of the faults and of the moments of death.
        say: is told of the progress.
    """

    def __init__(
        self, folder: Path, kills: int, seed: int, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self._folder = folder
        self._kills = kills
        self._random = random.Random(seed)
        self._say = say
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        self._last = self._first = today - timedelta(days=3)
        self._lasted = 3.0
        (folder / "faults.yaml").write_text(_FAULTS.format(seed=seed), encoding="utf-8")
        self._world = WorldOptions(
            speed=_SPEED, rate=_RATE, records_per_day=3.0, faults=folder / "faults.yaml"
        )
        self.outcome = Outcome()

    def go(self) -> Outcome:
        """All of it: rounds of kills, each ended by runs that may finish; then the accounts."""
        began = time.monotonic()
        with self._simulator() as base_url:
            while self.outcome.kills < self._kills and not self.outcome.wrong:
                self._more_days()
                for _ in range(min(_KILLS_A_ROUND, self._kills - self.outcome.kills)):
                    self._run_and_kill()
                self._finish()
                self._say(f"kills {self.outcome.kills}, runs {self.outcome.runs}")
            self._compare(base_url)
        self.outcome.seconds = time.monotonic() - began
        return self.outcome

    # --- processes ----------------------------------------------------------------------------

    def _start(self, *arguments: str, **streams: Any) -> subprocess.Popen[bytes]:
        root = str(Path(orchestrator.__file__).parents[1])
        return subprocess.Popen(
            python_command(list(arguments)),
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": root},
            **streams,
        )

    @contextmanager
    def _simulator(self) -> Iterator[str]:
        arguments = [*self._world.arguments(), "--write-config", "config.yaml"]
        with (
            (self._folder / "simulator.log").open("wb") as log,
            self._start(
                *arguments,
                "--until-input-ends",
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            ) as process,
        ):
            assert process.stdout is not None
            try:
                base_url = json.loads(process.stdout.readline())["base_url"]
                self._complete_config()
                yield base_url
            finally:
                process.kill()

    def _complete_config(self) -> None:
        """Callbacks, and more looks: ten of the longest intervals are ten minutes at this speed."""
        config = self._folder / "config.yaml"
        text = config.read_text("utf-8")
        assert "interval_max: 1s" in text
        text = text.replace("interval_max: 1s", "interval_max: 300ms")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        text += f"callback: {{listen: '127.0.0.1:{port}', public_url: 'http://127.0.0.1:{port}/hook'}}\n"
        config.write_text(text, "utf-8")

    def _run(self) -> subprocess.Popen[bytes]:
        self.outcome.runs += 1
        with (self._folder / "run.log").open("ab") as log:
            return self._start("run", "job.yaml", "--log-format", "text", stdout=log, stderr=log)

    def _run_and_kill(self) -> None:
        process = self._run()
        try:
            code = process.wait(self._random.uniform(0.2, self._lasted * 1.1))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            self.outcome.kills += 1
        else:
            # It was quicker than its death: give it more to do.
            self._ended(code)
            self._more_days()

    def _finish(self) -> None:
        """Runs that nobody kills, until everything is collected."""
        for _ in range(_RUNS_TO_FINISH):
            began = time.monotonic()
            process = self._run()
            try:
                code = process.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                self.outcome.wrong.append(
                    f"a run did not end within {_PATIENCE_SECONDS:.0f} s: {self._last_words()}"
                )
                return
            self._ended(code)
            if code == ExitCode.DONE:
                self._lasted = max(1.5, min(8.0, time.monotonic() - began))
                return
            if self.outcome.wrong:
                return
        self.outcome.wrong.append(f"not done after {_RUNS_TO_FINISH} runs: {self._last_words()}")

    def _ended(self, code: int) -> None:
        self.outcome.exits[code] += 1
        if code not in (ExitCode.DONE, ExitCode.UNFINISHED):
            self.outcome.wrong.append(f"a run ended with exit code {code}: {self._last_words()}")

    def _last_words(self) -> str:
        return (self._folder / "run.log").read_text("utf-8", "replace")[-3000:]

    def _more_days(self) -> None:
        """The job wants some days more, before those it wanted already."""
        self._first -= timedelta(days=_DAYS_A_ROUND)
        text = _JOB.format(first=f"{self._first:%Y-%m-%d}", last=f"{self._last:%Y-%m-%d}")
        (self._folder / "job.yaml").write_text(text, encoding="utf-8")

    # --- the accounts -------------------------------------------------------------------------

    def _compare(self, base_url: str) -> None:
        ledger = self._folder / "state" / "ledger.db"
        with sqlite3.connect(ledger) as connection:
            (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
            if verdict != "ok" or connection.execute("PRAGMA foreign_key_check").fetchall():
                self.outcome.wrong.append(f"the ledger is damaged: {verdict}")
        connection.close()
        named: set[str] = set()
        with reading(ledger) as store:
            for series in list(store.all_series()):
                self._compare_series(store, series, named)
        bill = _bill(base_url)
        self.outcome.paid_twice = len(bill["paid_twice"])
        for ids in list({tuple(ids) for ids in bill["paid_twice"].values()})[:5]:
            self.outcome.wrong.append(f"paid twice: reports {ids}")
        output = self._folder / "reports"
        strays = {
            str(path.relative_to(output))
            for path in output.glob("report_account=*/**/*")
            if path.is_file()
        } - named
        if strays:
            self.outcome.wrong.append(f"files that no collected report names: {sorted(strays)[:5]}")

    def _compare_series(self, store: Store, series: Series, named: set[str]) -> None:
        files: Counter[tuple[str, ...]] = Counter()
        truth: Counter[tuple[str, ...]] = Counter()
        for report in store.reports(series):
            if report.state is State.COLLECTED and report.target is not None:
                self.outcome.reports += 1
                named.add(report.target)
                path = self._folder / "reports" / report.target
                with path.open(encoding="utf-8", newline="") as stream:
                    rows = csv.reader(stream)
                    next(rows)
                    files.update(tuple(row) for row in rows)
        body = {name: value for name, value in series.body.items() if value is not False}
        wanted = Truth(self._world.settings(), body, self._first, self._last)
        truth.update(tuple(row) for row in wanted.rows())
        self.outcome.records += truth.total()
        self.outcome.lost += (truth - files).total()
        self.outcome.twice += (files - truth).total()


def _bill(base_url: str) -> dict[str, Any]:
    """The simulator's bill; it may be just restarting."""
    patience = time.monotonic() + 10
    while True:
        try:
            with urllib.request.urlopen(f"{base_url}/_sim/bill", timeout=60) as answer:
                bill: dict[str, Any] = json.load(answer)
                return bill
        except OSError:
            if time.monotonic() > patience:
                raise
            time.sleep(0.2)
