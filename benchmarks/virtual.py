"""A client against the simulator in virtual time: hours pass in a minute, over real sockets."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio

from benchmarks.bound import least_makespan
from benchmarks.worlds import NOW, tally_folder
from orchestrator.sim import Simulator, WorldClock, serve
from tests.kit.virtual_time import VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.worlds import Case
    from orchestrator.sim.reports import Report
    from orchestrator.sim.settings import ApiKey

    Client = Callable[[Simulator, Case, Path], Awaitable[None]]
    """Fetches every report of a case from a simulator; leaves its CSV files in a folder."""

_MEMORY: Final = Path("/dev/shm")


@dataclass(slots=True)
class Outcome:
    """What a client did.

    Attributes:
        makespan: from its start to its end, in seconds of virtual time.
        bound: the least there could be, see `least_makespan`; None with several keys.
        calls: requests by kind, those that got 429 too.
        call_times: (time, key, kind) of each.
        throttled: how many got 429.
        waits: from ready at the server to the first request for the file, for each report.
        paid: reports that the server made.
        is_right: the files hold exactly the records they should.
        paid_twice: records that stand in more than one paid report.
        seconds: of real time.
    """

    case: Case
    makespan: float
    bound: float | None
    calls: Counter[str]
    call_times: list[tuple[float, str, str]]
    throttled: int
    waits: list[float]
    paid: int
    is_right: bool
    paid_twice: int
    seconds: float

    @property
    def ratio(self) -> float:
        """The makespan over the bound."""
        return self.makespan / self.bound if self.bound else 0.0

    @property
    def looks(self) -> int:
        """Requests that are neither create nor download."""
        return self.calls.total() - self.calls["create"] - self.calls["download"]

    @property
    def looks_share(self) -> float:
        """Of all requests, those that are neither create nor download."""
        return self.looks / max(1, self.calls.total())


def measure(case: Case, client: Client) -> Outcome:
    """Runs a client on a case, in a loop and a folder of their own."""
    # Where there is memory for it: virtual time passes no faster on a slow disk's clock, and
    # twenty thousand syncs are what a benchmark would otherwise wait for.
    where = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=where) as folder:
        return anyio.run(
            partial(_measured, case, client, Path(folder)),
            backend_options={"loop_factory": VirtualLoop},
        )


async def _measured(case: Case, client: Client, folder: Path) -> Outcome:
    began = time.perf_counter()
    async with serve(case.settings(), clock=WorldClock(NOW)) as simulator:
        downloads = _Downloads(simulator)
        start = anyio.current_time()
        await client(simulator, case, folder)
        makespan = anyio.current_time() - start
        reports = simulator.world.reports()
        return Outcome(
            case=case,
            makespan=makespan,
            bound=_bound(case, reports) if case.keys == 1 else None,
            calls=Counter(simulator.calls),
            call_times=list(simulator.call_times),
            throttled=simulator.throttled,
            waits=downloads.waits(reports),
            paid=len(reports),
            is_right=tally_folder(folder) == case.truth(),
            paid_twice=len(simulator.world.paid_twice()),
            seconds=time.perf_counter() - began,
        )


def _bound(case: Case, reports: tuple[Report, ...]) -> float:
    """With the durations that were drawn, in the order in which the client created."""
    durations = [report.duration for report in reports]
    return least_makespan(durations, gap=case.gap, concurrency=case.concurrency)


@dataclass(slots=True)
class _Downloads:
    """Notes when each file is first asked for, by the world's clock."""

    simulator: Simulator
    asked_at: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        world = self.simulator.world
        file = world.file

        def noted(key: ApiKey, file_id: str) -> Report:
            self.asked_at.setdefault(file_id, world.clock.epoch())
            return file(key, file_id)

        world.file = noted  # type: ignore[method-assign]

    def waits(self, reports: tuple[Report, ...]) -> list[float]:
        """Seconds from the report's end to that, for those that were asked for."""
        return [
            self.asked_at[report.file_id] - report.ended
            for report in reports
            if report.file_id in self.asked_at and report.ended is not None
        ]
