"""What a small report costs the client: ``python -m benchmarks small_reports``.

``python benchmarks/small_reports.py --reports 2000`` prints the same for another number.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final, Self

from rich.console import Console

from benchmarks import commands, plots
from benchmarks.options import Options
from benchmarks.sections import Figure, Section, show, table_of

if TYPE_CHECKING:
    from benchmarks.commands import Ended

ACCOUNTS: Final = ("abcd1234", "ef567890", "cafe0002", "cafe0003")
SIZE: Final = 10_000
ROUNDS: Final = 3
_EVERY_SECONDS: Final = 0.1

Run = tuple["Ended", list[tuple[float, float]]]
"""How a run ended, and (seconds, MB resident) on the way."""

ABOUT: Final = """\
`orchestrator run` against `orchestrator simulate`, each a process of its own, without a rate limit:
reports of one day and about one record, of four accounts, finished within milliseconds. CPU is user
and system time of the client's process, its start included. Memory is looked at ten times a second;
it is called flat if the median of the last quarter of the run is at most a twentieth above that of
the second quarter. The loop's stalls are what `run --json` tells of itself. Where there are several
rounds, the figures are those of the one whose CPU is the median."""


def measure(options: Options) -> Section:
    """Collects small reports, and says what they cost."""
    sizes, rounds = options.sizes or (SIZE,), ROUNDS
    if options.sizes or options.quick:
        sizes, rounds = options.sizes or (40,), 1
    # All files stay until the end: for minutes after thousands were deleted, ext4 spends a
    # millisecond on each new one, looking for a place that was not just freed.
    with tempfile.TemporaryDirectory() as folder:
        return section([[collect(size, Path(folder)) for _ in range(rounds)] for size in sizes])


def collect(reports: int, under: Path) -> Run:
    """One run, in a folder of its own that stays."""
    folder = Path(tempfile.mkdtemp(dir=under))
    config = folder / "config.yaml"
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
        with Memory() as memory:
            job = _job(folder, reports)
            ended = commands.run(job, {}, "--config", str(config), on_start=memory.watch)
    finally:
        simulator.terminate()
        simulator.communicate()
    return ended, memory.samples


def _job(folder: Path, reports: int) -> Path:
    end = dt.date(2026, 10, 1)
    start = end - dt.timedelta(days=reports // len(ACCOUNTS))
    job = folder / "job.yaml"
    job.write_text(
        f"accounts: [{', '.join(ACCOUNTS)}]\n"
        "products: [{product: SMS, direction: outbound}]\n"
        f"windows: [{{from: {start}, to: {end}}}]\n"
        "chunk: 1 day\n",
        encoding="utf-8",
    )
    return job


class Memory:
    """Looks at the resident memory of a process, for as long as the context lasts.

    Attributes:
        samples: (seconds, MB); empty where the machine has no ``/proc``.
    """

    def __init__(self) -> None:
        self.samples: list[tuple[float, float]] = []
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, pid: int) -> None:
        """Begins to look at this process."""
        self._thread = threading.Thread(target=self._look, args=(pid,))
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self, pid: int) -> None:
        begun = time.perf_counter()
        path = Path(f"/proc/{pid}/status")
        while not self._over.wait(_EVERY_SECONDS):
            try:
                lines = path.read_text("utf-8").splitlines()
            except OSError:
                return
            kilobytes = [line.split()[1] for line in lines if line.startswith("VmRSS")]
            if kilobytes:
                self.samples.append((time.perf_counter() - begun, int(kilobytes[0]) / 1024))


def growth(samples: list[tuple[float, float]]) -> float | None:
    """Memory in the last quarter of a run over that in the second; None of too few samples."""
    sizes = [size for _, size in samples]
    quarter = len(sizes) // 4
    if not quarter:
        return None
    return median(sizes[-quarter:]) / median(sizes[quarter : 2 * quarter])


def section(rounds: list[list[Run]]) -> Section:
    """What was measured, in words and a picture: some rounds of each size."""
    runs = [run for of_size in rounds for run in of_size]
    judged = [
        sorted(of_size, key=lambda run: run[0].cpu_seconds)[len(of_size) // 2] for of_size in rounds
    ]
    figures = []
    for ended, samples in judged:
        row = _row(ended, samples)
        what = f"{row['reports']:,} small reports"
        cpu, peak, grown = row["ms of CPU a report"], row["MB at most"], growth(samples)
        figures += [
            Figure(f"{what}: CPU of the client a report", "≤ 3 ms", f"{cpu:.2f} ms", cpu <= 3),
            Figure(f"{what}: resident memory", "≤ 150 MB", f"{peak:.0f} MB", peak <= 150),
            Figure(
                f"{what}: memory is flat",
                "≤ 1.05 times",
                "not told" if grown is None else f"{grown:.3f} times",
                None if grown is None else grown <= 1.05,
            ),
        ]
        stall = ended.answer.get("event_loop", {}).get("stall_p999_ms")
        if stall is not None:
            figures.append(
                Figure(f"{what}: stalls of the loop, p99.9", "≤ 50 ms", f"{stall} ms", stall <= 50)
            )
    drawn = {f"{_row(*run)['reports']:,} reports": run[1] for run in judged if run[1]}
    picture = plots.lines("Resident memory of a run", "seconds", "MB", drawn) if drawn else ""
    return Section(
        title="Small reports",
        about=ABOUT,
        tables=(table_of("without a rate limit", [_row(*run) for run in runs]),),
        figures=figures,
        plots={"small_reports": picture} if picture else {},
    )


def _row(ended: Ended, samples: list[tuple[float, float]]) -> dict[str, Any]:
    collected = ended.answer["collected"]["reports"]
    grown = growth(samples)
    stalls = ended.answer.get("event_loop", {})
    return {
        "exit code": ended.code,
        "reports": collected,
        "requests": ended.answer["requests"],
        "seconds": round(ended.seconds, 1),
        "reports a second": collected / ended.seconds,
        "ms of CPU a report": ended.cpu_seconds / max(1, collected) * 1000,
        "MB at most": ended.peak_bytes / 2**20,
        "growth": "" if grown is None else f"{grown:.3f} times",
        "stall p99.9": f"{stalls['stall_p999_ms']} ms" if stalls else "",
        "stall at most": f"{stalls['stall_max_ms']} ms" if stalls else "",
    }


def main() -> None:
    """Runs the benchmark for a number of reports of the caller's choice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=int, default=2000)
    options = parser.parse_args()
    console = Console() if sys.stdout.isatty() else Console(width=180)
    show(measure(Options(sizes=(options.reports,))), console)


if __name__ == "__main__":
    main()
