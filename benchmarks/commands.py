"""The command line as a user runs it: a folder with a job and a config, and a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from benchmarks.outcomes import outcome
from benchmarks.worlds import DIRECTION, END, PRODUCT, tally_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.outcomes import Outcome
    from benchmarks.simulator import Process
    from benchmarks.worlds import Case

SECRET: Final = "BENCHMARK_SECRET"
"""The variable that holds the secret of the API."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended.

    Attributes:
        code: its exit code.
        answer: what `--json` gave.
        seconds: on the wall clock, from its start to its end.
        cpu_seconds: user and system time.
        peak_bytes: resident memory at most.
    """

    code: int
    answer: dict[str, Any]
    seconds: float
    cpu_seconds: float
    peak_bytes: int


def ours(case: Case, server: Process, folder: Path) -> Outcome:
    """`orchestrator run` on a case, with default settings, against a simulator beside it.

    Raises:
        RuntimeError: the run did not end well.
    """
    ended = run(prepare(case, server, folder), {SECRET: server.api_secret})
    if ended.code:
        raise RuntimeError(f"the run ended with {ended.code}: {ended.answer}")
    is_right = tally_folder(folder) == case.truth()
    return outcome(
        case, server.seen(), makespan=ended.seconds, is_right=is_right, seconds=ended.seconds
    )


def prepare(case: Case, server: Process, folder: Path, output: str = "reports") -> Path:
    """Writes the config and the job of a case into a folder; the job."""
    job = folder / "job.yaml"
    job.write_text(
        f"accounts: [{server.api_key}]\n"
        f"products: [{{product: {PRODUCT}, direction: {DIRECTION}}}]\n"
        f"windows: [{{from: '{case.start.isoformat()}', to: '{END.isoformat()}'}}]\n"
        "chunk: {max: 1 hour}\n",
        encoding="utf-8",
    )
    (folder / "config.yaml").write_text(
        f"api: {{base_url: '{server.base_url}', requests_per_second: {case.rate:g}}}\n"
        f"credentials: {{default: {{api_key: {server.api_key}, api_secret: '${{{SECRET}}}'}}}}\n"
        f"output: {{directory: '{output}'}}\n",
        encoding="utf-8",
    )
    return job


def run(
    job: Path,
    environment: dict[str, str],
    *options: str,
    on_start: Callable[[int], None] | None = None,
) -> Ended:
    """`orchestrator run JOB --json --quiet`, to its end; `on_start` is told its process id."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "run", str(job), "--json", "--quiet", *options],
        stdout=subprocess.PIPE,
        env={**os.environ, **environment},
    )
    if on_start is not None:
        on_start(process.pid)
    assert process.stdout is not None
    with process.stdout as output:
        answer = output.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Ended(
        process.returncode,
        json.loads(answer or "{}"),
        time.perf_counter() - begun,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
    )
