"""A folder with a config and a job beside a real simulator, for tests of whole commands."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from anyio.from_thread import start_blocking_portal

from orchestrator.app.compare import Finding, compare
from orchestrator.cli.main import call
from orchestrator.cli.simulating import config_text, python_command
from orchestrator.config import load_inputs
from orchestrator.core import clocks
from orchestrator.simulator import Settings, Simulator, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from anyio.from_thread import BlockingPortal

SMALL = Settings(speed=400.0, rate=None, sync_rate=None, records_per_day=2.0)
"""Reports are finished within a tenth of a second, and hold a few dozen records."""

JOB = """\
name: job
accounts: [abcd1234, {id: beta0001, credentials: beta}]
products:
  - {product: SMS, direction: [outbound, inbound], include_message: true}
  - VERIFY-API
windows: [{from: 2026-01-01, to: 2026-05-01}]
"""
"""Six series, four reports each."""

REPORTS = 24


@dataclass
class Place:
    """A folder of a user, and the simulator that its config points to."""

    directory: Path
    simulator: Simulator
    portal: BlockingPortal

    @property
    def job(self) -> Path:
        return self.directory / "job.yaml"

    @property
    def state(self) -> Path:
        return self.directory / "state" / "ledger.db"

    def write_job(self, text: str) -> None:
        self.job.write_text(text, encoding="utf-8")

    def write_config(self, *, poll_timeout: str = "1m", more: str = "") -> None:
        """A config that is as quick as the simulator."""
        lines = config_text(self.simulator.base_url, self.simulator.settings).splitlines()
        lines = [line for line in lines if not line.startswith(("retry:", "poll:"))]
        lines += [
            "retry: {attempts: 3, wait_initial: 10ms, wait_max: 50ms}",
            f"poll: {{interval_initial: 20ms, interval_max: 30ms, timeout: {poll_timeout}}}",
            more,
        ]
        path = self.directory / "config.yaml"
        path.touch(mode=0o600)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def run(self, *options: str) -> int:
        """`orchestrator run job.yaml …` in this process; its exit code."""
        return call(["run", str(self.job), *options])

    def check(self) -> int:
        """`orchestrator check job.yaml`; its exit code."""
        return call(["check", str(self.job)])

    def process(self, *arguments: str) -> subprocess.Popen[str]:
        """An orchestrator of its own process, which takes signals."""
        return subprocess.Popen(
            python_command(list(arguments)),
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )

    def bill(self) -> list[Any]:
        """What the simulator has charged."""
        return list(self.portal.call(self.simulator.world.bill))

    def bought(self) -> int:
        """How many reports were bought, those apart that are free and prove lists."""
        return sum(charge.product != "REPORTS-USAGE" for charge in self.bill())

    def calls(self, place: str) -> int:
        """How often an endpoint was called."""
        return self.simulator.calls[place]

    def buy(self, body: dict[str, Any], api_key: str) -> None:
        """Another report of this body, behind the orchestrator's back, and the wait for it."""
        settings = self.simulator.settings
        secret = next(key.api_secret for key in settings.keys if key.api_key == api_key)
        token = base64.b64encode(f"{api_key}:{secret}".encode()).decode()
        request = urllib.request.Request(
            f"{self.simulator.base_url}/v2/reports",
            data=json.dumps(body).encode(),
            headers={"Authorization": f"Basic {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200
        self.portal.call(self.simulator.clock.advance, timedelta(hours=1))

    def compare(self, now: datetime | None = None) -> Finding:
        """The collected files beside the truth and the bill."""
        return compare(
            load_inputs([self.job], env={}),
            self.simulator.settings,
            self.simulator.base_url,
            now or datetime.now(UTC),
        )

    def is_the_truth(self, now: datetime | None = None) -> bool:
        """Whether the files hold exactly the truth, and each record was charged once."""
        finding = self.compare(now)
        assert finding.records > 0
        assert finding.differences == []
        return True


@contextmanager
def simulated(
    directory: Path, settings: Settings = SMALL, *, job: str = JOB, **changes: Any
) -> Iterator[Place]:
    """A place whose simulator lives in a thread for as long as the context lasts.

    Its clock runs off at once; no run in this process is to warn of that.
    """
    tolerance = patch.object(clocks, "CLOCK_TOLERANCE", timedelta(days=10_000))
    with tolerance, start_blocking_portal() as portal:
        server = portal.wrap_async_context_manager(serve(replace(settings, **changes)))
        with server as simulator:
            place = Place(directory, simulator, portal)
            place.write_config()
            place.write_job(job)
            yield place
