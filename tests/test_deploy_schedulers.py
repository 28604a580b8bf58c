"""The tasks for Airflow, Dagster and Prefect, run by each that `make schedulers` installed."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import pytest

from tests.kit.home import enter
from tests.kit.hosts import JOB, Shell, host
from tests.test_deploy import NEEDS_PERSON, PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
FILES: Final = {
    "airflow": ROOT / "deploy" / "airflow" / "orchestrator_dag.py",
    "dagster": ROOT / "deploy" / "dagster" / "orchestrator_job.py",
    "prefect": ROOT / "deploy" / "prefect" / "orchestrator_flow.py",
}
PATIENCE: Final = 150.0
"""Seconds for a scheduler and its database to start, on a machine with other work."""

pytestmark = pytest.mark.timeout(200)

DRIVERS: Final = {
    "airflow": """
import subprocess, sys
subprocess.run(["airflow", "db", "migrate"], check=True, stdout=subprocess.DEVNULL)
import orchestrator_dag
done = orchestrator_dag.nightly.test()
sys.exit(done.state != "success")
""",
    "dagster": """
import sys
from orchestrator_job import nightly
sys.exit(not nightly.execute_in_process(raise_on_error=False).success)
""",
    "prefect": """
import os, sys
from prefect.blocks.system import Secret
for name in ("key", "secret"):
    value = os.environ.pop(f"VONAGE_API_{name.upper()}")
    Secret(value=value).save(f"vonage-api-{name}", overwrite=True)
from orchestrator_flow import nightly
sys.exit(not nightly(return_state=True).is_completed())
""",
}
"""Programs that let the scheduler run its task once in their process; 0: a success to it."""


def constants(path: Path) -> dict[str, Any]:
    """The values that a file sets at its top."""
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id.isupper()
    }


@pytest.mark.parametrize("path", FILES.values(), ids=list(FILES))
def test_the_task_starts_the_program_and_knows_which_codes_need_a_person(path: Path) -> None:
    assert constants(path) == {
        "PROGRAM": PROGRAM,
        "PLACE": "/srv/reports",
        "JOBS": ["nightly.yaml"],
        "NEEDS_PERSON": {int(code) for code in NEEDS_PERSON},
    }


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A host with a job that wants one month, and credentials in the environment alone."""
    with host(enter(tmp_path, monkeypatch)) as made:
        config = made.home / "config.yaml"
        text = re.sub(r"(?m)^credentials:\n(  .*\n)+", "", config.read_text("utf-8"))
        config.write_text(text, "utf-8")
        (made.home / "nightly.yaml").write_text(JOB.replace("END", "2026-02-01"), "utf-8")
        yield made


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the schedulers keep what they know; to begin anew takes them longer than a task."""
    return tmp_path_factory.mktemp("databases")


class Scheduler:
    """A scheduler that runs its task once, in a process of its own."""

    def __init__(self, name: str, shell: Shell, databases: Path, program: str = "") -> None:
        """Starts it with the real program, or with a shell script in its place."""
        python = ROOT / ".venv" / name / "bin" / "python"
        if not python.exists():
            pytest.skip(f"`make schedulers SCHEDULERS={name}` installs it")
        text = re.sub(r"(delay_seconds|to_wait)=1800", r"\1=0", FILES[name].read_text("utf-8"))
        text = text.replace("timedelta(minutes=30)", "timedelta()")
        if program:
            path = shell.host / "bin" / "program"
            path.write_text(f"#!/bin/sh\n{program}\n", "utf-8")
            path.chmod(0o755)
            text = text.replace(PROGRAM, str(path))
        (shell.host / FILES[name].name).write_text(shell.mapped(text), "utf-8")
        login = (shell.place.simulator.api_key, shell.place.simulator.api_secret)
        connection = {"conn_type": "generic", "login": login[0], "password": login[1]}
        self.output = shell.host / "output"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [python, "-c", DRIVERS[name]],
                cwd=shell.host,
                env={
                    **os.environ,
                    "PATH": f"{python.parent}:{os.environ['PATH']}",
                    "PYTHONPATH": str(shell.host),
                    "HOME": str(shell.host),
                    "AIRFLOW_HOME": f"{databases}/airflow",
                    "PREFECT_HOME": f"{databases}/prefect",
                    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": f"{PATIENCE}",
                    "AIRFLOW__CORE__DAGS_FOLDER": str(shell.host),
                    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                    "AIRFLOW_CONN_VONAGE_REPORTS": json.dumps(connection),
                    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
                    "VONAGE_API_KEY": login[0],
                    "VONAGE_API_SECRET": login[1],
                },
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def end(self) -> tuple[int, str]:
        """The exit code, and what was said."""
        code = self.process.wait(PATIENCE)
        return code, self.output.read_text("utf-8", errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.mark.parametrize("name", FILES)
def test_the_task_collects(name: str, shell: Shell, databases: Path) -> None:
    with Scheduler(name, shell, databases) as scheduler:
        code, said = scheduler.end()
    assert code == 0, said
    assert (shell.home / "reports" / "manifest.jsonl").is_file()
    assert shell.place.bought() == 1


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(("codes", "tries"), [("75 3 0", 3), ("2 0", 1)])
def test_only_what_another_try_may_help_is_tried_again(
    name: str, codes: str, tries: int, shell: Shell, databases: Path
) -> None:
    """The program ends with one code after the other."""
    log = shell.host / "tries"
    script = f"echo >> {log}; set -- {codes}; shift $(($(wc -l < {log}) - 1)); exit $1"
    with Scheduler(name, shell, databases, script) as scheduler:
        code, said = scheduler.end()
    assert (code, len(log.read_text().splitlines())) == (0 if codes[0] == "7" else 1, tries), said


@pytest.mark.parametrize("name", FILES)
def test_a_task_that_is_cancelled_stops_the_run_in_order(
    name: str, shell: Shell, databases: Path
) -> None:
    """The program is sent one SIGTERM, and may take its time."""
    log = shell.host / "log"
    script = f"trap 'echo stopping >> {log}; sleep 1; echo stopped >> {log}; exit 143' TERM\n"
    script += f"echo started >> {log}; while :; do sleep 0.1; done"
    with Scheduler(name, shell, databases, script) as scheduler:
        wait_for(log, "started")
        scheduler.process.send_signal(signal.SIGINT if name == "dagster" else signal.SIGTERM)
        if name == "airflow":  # begins anew: whoever cancels there marks it as failed as well
            wait_for(log, "stopped")
        else:
            scheduler.end()
        lines = log.read_text().split()
    assert (lines[:3] if name == "airflow" else lines) == ["started", "stopping", "stopped"]


def wait_for(log: Path, word: str) -> None:
    until = time.monotonic() + PATIENCE
    while not (log.exists() and word in log.read_text()):
        assert time.monotonic() < until, f"not {word}"
        time.sleep(0.1)
