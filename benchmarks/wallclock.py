"""A spot check of virtual time: the same reports by real processes, on the wall clock."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import commands
from benchmarks.bound import quantile
from benchmarks.ours import ours
from benchmarks.sections import Section, Table
from benchmarks.simulator import simulator
from benchmarks.virtual import measure as measure_virtually
from benchmarks.worlds import rate_bound

if TYPE_CHECKING:
    from benchmarks.options import Options
    from benchmarks.outcomes import Outcome

SIZE: Final = 100

ABOUT: Final = """\
The rate-bound case of *Makespan* once by `orchestrator run` and a simulator as two processes on the
wall clock, and once in virtual time. The makespan of the process is from its start to its exit,
with the start of Python, the syncs of the disk and whatever else the machine does."""


def measure(options: Options) -> Section:
    """Runs one case in both ways."""
    (size,) = options.sizes or ((10,) if options.quick else (SIZE,))
    case = rate_bound(size)
    with tempfile.TemporaryDirectory() as folder, simulator(case) as server:
        real = commands.ours(case, server, Path(folder))
    virtual = measure_virtually(case, ours)
    return section(real, virtual)


def section(real: Outcome, virtual: Outcome) -> Section:
    """What was measured, in words."""
    columns = (
        *("clock", "reports", "makespan", "bound", "ratio", "creates", "downloads", "looks"),
        *("waits median", "429", "files right", "paid twice"),
    )
    apart = real.makespan - virtual.makespan
    return Section(
        title="Wall clock",
        about=ABOUT,
        tables=(
            Table(
                "wall clock and virtual time",
                columns,
                (_row("wall", real), _row("virtual", virtual)),
            ),
        ),
        remarks=(f"The wall clock is {apart:+.1f} s ({apart / virtual.makespan:+.1%}) off.",),
    )


def _row(clock: str, outcome: Outcome) -> tuple[str, ...]:
    return (
        clock,
        f"{outcome.case.reports:,}",
        f"{outcome.makespan:,.1f} s",
        f"{outcome.bound or 0:,.1f} s",
        f"{outcome.ratio:.3f}",
        f"{outcome.calls['create']:,}",
        f"{outcome.calls['download']:,}",
        f"{outcome.looks:,}",
        f"{quantile(outcome.waits, 0.5):.2f} s",
        f"{outcome.throttled:,}",
        "yes" if outcome.is_right else "NO",
        f"{outcome.paid_twice:,}",
    )
