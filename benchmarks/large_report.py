"""The memory that a large report takes: `python benchmarks/large_report.py --gigabytes 2`.

A simulator in a process of its own serves one report of that size (SMS with bodies of several
kilobytes); the command line collects it. Prints the client's peak memory and the time from the
first byte asked to the file under its name.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BODY_BYTES = 4096

SIMULATOR = """
import sys
from datetime import timedelta
import anyio
from orchestrator.sim import Settings, serve

async def main():
    settings = Settings(
        records_per_day=float(sys.argv[1]), bulk_body_bytes=int(sys.argv[2]), rate=None,
        processing_time_per_row=timedelta(), processing_time=timedelta(seconds=1),
    )
    async with serve(settings) as simulator:
        print(simulator.base_url, flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    options = parser.parse_args()
    rows = options.gigabytes * 1e9 / (BODY_BYTES + 150)
    with tempfile.TemporaryDirectory() as folder:
        simulator = subprocess.Popen(
            [sys.executable, "-c", SIMULATOR, str(rows), str(BODY_BYTES)],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert simulator.stdout is not None
            _measure(Path(folder), simulator.stdout.readline().strip())
        finally:
            simulator.terminate()
            simulator.wait()


def _measure(folder: Path, base_url: str) -> None:
    Path(folder, "config.yaml").write_text(
        f"api: {{base_url: '{base_url}', requests_per_second: 50, timeout: 300s}}\n"
        "poll: {interval_initial: 200ms, interval_max: 1s}\n"
        "credentials: {default: {api_key: abcd1234, api_secret: '${SECRET}'}}\n",
        encoding="utf-8",
    )
    job = folder / "job.yaml"
    job.write_text(
        "accounts: [abcd1234]\n"
        "products: [{product: SMS, direction: outbound, include_message: true}]\n"
        "windows: [{from: 2026-06-01, to: 2026-06-02}]\n",
        encoding="utf-8",
    )
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "run", str(job), "--json", "--quiet"],
        stdout=subprocess.PIPE,
        env={**os.environ, "SECRET": "Simulated-Secret-1"},
    )
    assert process.stdout is not None
    answer = json.loads(process.stdout.read())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    collected = answer["collected"]
    print(
        f"exit code {process.returncode}, {collected['rows']:,} rows, {collected['bytes']:,} bytes"
    )
    print(
        f"{usage.ru_maxrss / 1024:.0f} MB resident at most, "
        f"{usage.ru_utime + usage.ru_stime:.1f} s of CPU, "
        f"{time.perf_counter() - begun:.1f} s in all"
    )


if __name__ == "__main__":
    main()
