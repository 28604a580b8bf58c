"""What a small report costs the client: `python benchmarks/small_reports.py --reports 2000`.

Runs the command line against `orchestrator simulate`, each a process of its own, without a rate
limit, and prints the client's CPU time a report, its peak memory, and reports a second.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ACCOUNTS = ("abcd1234", "ef567890", "cafe0002", "cafe0003")


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.yaml")
        simulator = subprocess.Popen(
            [
                *(sys.executable, "-m", "orchestrator", "simulate", "--rate", "0"),
                *("--speed", "1000", "--records-per-day", "1", "--write-config", str(config)),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert simulator.stdout is not None
            json.loads(simulator.stdout.readline())
            _measure(Path(folder), config, options.reports)
        finally:
            simulator.terminate()
            simulator.wait()


def _measure(folder: Path, config: Path, reports: int) -> None:
    days = reports // len(ACCOUNTS)
    end = dt.date(2026, 10, 1)
    job = folder / "job.yaml"
    job.write_text(
        f"accounts: [{', '.join(ACCOUNTS)}]\n"
        "products: [{product: SMS, direction: outbound}]\n"
        f"windows: [{{from: {end - dt.timedelta(days=days)}, to: {end}}}]\n"
        "chunk: 1 day\n",
        encoding="utf-8",
    )
    command = [
        *(sys.executable, "-m", "orchestrator", "run", str(job)),
        *("--config", str(config), "--json", "--quiet"),
    ]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    answer = json.loads(process.stdout.read())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - begun
    cpu = usage.ru_utime + usage.ru_stime
    collected = answer["collected"]["reports"]
    print(f"exit code {process.returncode}, {collected} reports, {answer['requests']} requests")
    print(f"{seconds:.1f} s, {collected / seconds:.0f} reports a second")
    print(f"{cpu / collected * 1000:.2f} ms of CPU a report, {usage.ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
