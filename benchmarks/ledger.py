"""How cost grows with the ledger: ``python -m benchmarks ledger``.

Plans, looks and resumes on ledgers of ten thousand to a million reports.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

from benchmarks import plots
from benchmarks.large_ledgers import SECRET, Dataset
from benchmarks.options import Options
from benchmarks.sections import Figure, Section, show, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZES: Final = (10_000, 100_000, 1_000_000)
_FEW_OPEN: Final = 100
_PATIENCE_SECONDS: Final = 300.0
_MEGABYTE: Final = 2**20

ABOUT: Final = """\
Ledgers of so many collected reports (daily ones, at most a thousand a series, five events each; the
last hundred are open), and a manifest beside them, as runs would have left them. Each command is a
process of its own, and its time counts from the start of that process; memory is what was resident
at most. `plan` cuts as many chunks, of a ledger that knows nothing, with `--json`. `run` is timed
until its first request reaches the server: once with a hundred open reports, once with all open."""

REMARK: Final = (
    "a ledger above 64 MB is checked for damage beside the beginning of the run: looks and "
    "downloads do not wait for it, creates do; the file is in the page cache here"
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took."""

    seconds: float
    peak_bytes: int

    @property
    def megabytes(self) -> float:
        """Resident at most."""
        return self.peak_bytes / _MEGABYTE


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured at one size; `reports` are as many as the plan has chunks."""

    reports: int
    plan: Cost
    status: Cost
    resume: Cost
    resume_all_open: Cost
    manifest_seconds: float
    bytes_a_report: float


def measure(options: Options) -> Section:
    """Makes ledgers and times commands on them."""
    sizes = options.sizes or ((1_000,) if options.quick else SIZES)
    return section(rows(sizes))


def rows(sizes: Sequence[int]) -> list[Row]:
    """A row for each size, in folders that are removed one by one."""
    found = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            found.append(_row(Path(folder), size))
    return found


def _row(folder: Path, size: int) -> Row:
    empty = Dataset.of(folder / "empty", size)
    empty.write_job("http://127.0.0.1:9")
    plan = run_command("plan", str(empty.job), "--json")

    all_open = Dataset.of(folder / "open", size, size)
    all_open.make_ledger()
    all_open.make_manifest()
    resume_all_open = resume(all_open)
    _remove(all_open)

    full = Dataset.of(folder / "full", size, max(1, min(_FEW_OPEN, size // 10)))
    full.write_job("http://127.0.0.1:9")
    full.make_ledger()
    begun = time.perf_counter()
    full.make_manifest()
    manifest_seconds = time.perf_counter() - begun
    return Row(
        reports=full.reports,
        plan=plan,
        status=run_command("status", str(full.job)),
        resume=resume(full),
        resume_all_open=resume_all_open,
        manifest_seconds=manifest_seconds,
        bytes_a_report=full.state.stat().st_size / full.reports,
    )


def _remove(dataset: Dataset) -> None:
    for path in sorted(dataset.folder.rglob("*"), reverse=True):
        if path.is_file():
            path.unlink()


def run_command(*words: str) -> Cost:
    """A command to its end.

    Raises:
        RuntimeError: it did not end with 0.
    """
    begun = time.perf_counter()
    process = subprocess.Popen(_command(*words), stdout=subprocess.DEVNULL, env=_environment())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{words[0]} ended with {process.returncode}")
    scale = 1 if sys.platform == "darwin" else 1024
    return Cost(time.perf_counter() - begun, usage.ru_maxrss * scale)


def resume(dataset: Dataset) -> Cost:
    """From the start of `run` to its first request, which is not answered.

    Raises:
        TimeoutError: none came.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(_PATIENCE_SECONDS)
        dataset.write_job(f"http://127.0.0.1:{server.getsockname()[1]}")
        now = dataset.end + timedelta(days=1)
        begun = time.perf_counter()
        process = subprocess.Popen(
            _command("run", str(dataset.job), "--quiet", "--now", str(now)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )
        try:
            connection, _ = server.accept()
            with connection:
                connection.recv(1)
                return Cost(time.perf_counter() - begun, _peak(process.pid))
        finally:
            process.kill()
            process.wait()


def _peak(pid: int) -> int:
    """What was resident at most up to now; 0 where the machine has no ``/proc``."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "orchestrator", *words]


def _environment() -> dict[str, str]:
    return {**os.environ, SECRET: "no-secret"}


# --- what is said ---------------------------------------------------------------------------------


def section(measured: Sequence[Row]) -> Section:
    """What was measured, in words and a picture."""
    last = measured[-1]
    what = f"{last.reports:,}"
    figures = [
        _figure(f"plan of {what} chunks", last.plan, 20),
        _figure(f"status on a ledger of {what} reports", last.status, 2),
        _figure(f"run on it, to the first request, {_FEW_OPEN} open", last.resume, 5),
        _figure("the same, all open", last.resume_all_open, 5),
    ]
    drawn = {
        "plan": [(row.reports, row.plan.seconds) for row in measured],
        "status": [(row.reports, row.status.seconds) for row in measured],
        "run, to its first request": [(row.reports, row.resume.seconds) for row in measured],
        "the same, all open": [(row.reports, row.resume_all_open.seconds) for row in measured],
    }
    picture = plots.lines(
        "Cost by size of the ledger", "reports", "seconds", drawn, log_x=True, log_y=True
    )
    return Section(
        title="Large ledgers",
        about=ABOUT,
        tables=(table_of("seconds, and MB resident at most", [_cells(row) for row in measured]),),
        figures=figures,
        plots={"ledger": picture},
        remarks=(REMARK,),
    )


def _figure(what: str, cost: Cost, seconds: float) -> Figure:
    return Figure(
        what,
        f"≤ {seconds:g} s, ≤ 200 MB",
        f"{cost.seconds:.2f} s, {cost.megabytes:.0f} MB",
        cost.seconds <= seconds and cost.megabytes <= 200,
    )


def _cells(row: Row) -> dict[str, object]:
    return {
        "reports": row.reports,
        "plan, s": row.plan.seconds,
        "MB": row.plan.megabytes,
        "status, s": row.status.seconds,
        "MB ": row.status.megabytes,
        "run, to its first request, s": row.resume.seconds,
        "MB  ": row.resume.megabytes,
        "all open, s": row.resume_all_open.seconds,
        "MB   ": row.resume_all_open.megabytes,
        "manifest written, s": row.manifest_seconds,
        "bytes of ledger a report": row.bytes_a_report,
    }


def main() -> None:
    """Runs the benchmark at the usual sizes."""
    console = Console() if sys.stdout.isatty() else Console(width=180)
    show(measure(Options()), console)


if __name__ == "__main__":
    main()
