"""How long a large plan takes, and how much memory: `python benchmarks/plan.py`.

Makes a job of many accounts in a temporary folder, runs `orchestrator plan --json` on it as a
process of its own, and prints seconds, peak memory and what came out.
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

ENTRY = "from orchestrator.cli.main import entry; entry()"
PRODUCTS = "[VERIFY-API, NUMBER-INSIGHT, VERIFY-V2, REPORTS-USAGE, WEBSOCKET-CALL]"


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--chunk", default="1 month")
    parser.add_argument("--human", action="store_true", help="without --json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder, "backfill.yaml")
        accounts = "".join(f"  - acct{number:04}\n" for number in range(options.accounts))
        job.write_text(
            f"accounts:\n{accounts}products: {PRODUCTS}\n"
            "windows:\n  - {from: 2023-03-01, to: 2026-03-01}\n"
            f"chunk: {{max: {options.chunk}}}\n",
            encoding="utf-8",
        )
        output = Path(folder, "plan.json")
        command = [sys.executable, "-c", ENTRY, "plan", str(job), "--now", "2026-03-05"]
        command += [] if options.human else ["--json"]
        begun = time.perf_counter()
        with output.open("wb") as out:
            process = subprocess.Popen(command, stdout=out)
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        code = os.waitstatus_to_exitcode(status)
        process.returncode = code
        print(f"exit code {code}, {seconds:.2f} s, {usage.ru_maxrss / 1024:.0f} MB resident")
        print(f"{output.stat().st_size / 1e6:.1f} MB of output")
        if not options.human:
            print(json.loads(output.read_bytes())["totals"])


if __name__ == "__main__":
    main()
