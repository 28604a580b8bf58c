"""What a user would run instead, on the same simulator, in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.bound import quantile
from benchmarks.ours import ours
from benchmarks.rival_gather import gather
from benchmarks.rival_script import script
from benchmarks.sections import Section, Table
from benchmarks.virtual import measure as measure_case
from benchmarks.worlds import lossy, rate_bound, server_bound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.options import Options
    from benchmarks.outcomes import Outcome
    from benchmarks.virtual import Client

SIZES: Final = (100, 1000)

CLIENTS: Final[Mapping[str, Client]] = {
    "orchestrator": ours,
    "asyncio.gather": gather,
    "script": script,
}

ABOUT: Final = """\
The cases of *Makespan*, each by three clients in one run: ours by polling alone; a plain `asyncio`
client ([rival_gather.py](rival_gather.py): a hundred coroutines, each looks at its own report every
five seconds, no limit of its own, waits ever longer after a 429); and the script that a vendor's
page begins with ([rival_script.py](rival_script.py): one report after the other, a look every five
seconds). Both try again where a connection breaks, as retry libraries do. Neither keeps a ledger,
checks what it downloads, or can go on after a crash. *Answers lost*: one create in a hundred makes
its report, which is paid for, and the connection breaks before the answer; whoever sends such a
create again pays for its records twice."""


def measure(options: Options) -> Section:
    """Runs every client on every case."""
    sizes = options.sizes or ((10,) if options.quick else SIZES)
    worlds = (rate_bound, server_bound, lossy)
    cases = options.chosen([make(size) for make in worlds for size in sizes])
    return section(
        [(name, measure_case(case, client)) for case in cases for name, client in CLIENTS.items()]
    )


def section(outcomes: Sequence[tuple[str, Outcome]]) -> Section:
    """What was measured, in words."""
    ours_of = {outcome.case: outcome for name, outcome in outcomes if name == "orchestrator"}
    columns = (
        *(
            "case",
            "reports",
            "client",
            "makespan",
            "times ours",
            "requests",
            "creates answered 429",
        ),
        *("looks", "429", "waits median", "p95", "records right", "paid twice"),
    )
    rows = tuple(_row(name, outcome, ours_of.get(outcome.case)) for name, outcome in outcomes)
    return Section(title="Rivals", about=ABOUT, tables=(Table("clients", columns, rows),))


def _row(name: str, outcome: Outcome, own: Outcome | None) -> tuple[str, ...]:
    return (
        outcome.case.name,
        f"{outcome.case.reports:,}",
        name,
        f"{outcome.makespan:,.0f} s",
        f"{outcome.makespan / own.makespan:.2f}" if own else "",
        f"{outcome.calls.total():,}",
        f"{outcome.calls['create'] - outcome.paid:,}",
        f"{outcome.looks:,}",
        f"{outcome.throttled:,}",
        f"{quantile(outcome.waits, 0.5):.1f} s",
        f"{quantile(outcome.waits, 0.95):.1f} s",
        "yes" if outcome.is_right else "NO",
        f"{outcome.paid_twice:,}",
    )
