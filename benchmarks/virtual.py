"""A client against the simulator in virtual time: hours pass in a minute, over real sockets."""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio

from benchmarks.outcomes import Watch, outcome
from benchmarks.worlds import NOW, tally_folder
from orchestrator.simulator import Simulator, WorldClock, serve
from tests.kit.virtual_time import VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.outcomes import Outcome
    from benchmarks.worlds import Case

    Client = Callable[[Simulator, Case, Path], Awaitable[None]]
    """Fetches every report of a case from a simulator; leaves its CSV files in a folder."""

_MEMORY: Final = Path("/dev/shm")


def measure(case: Case, client: Client) -> Outcome:
    """Runs a client on a case, in a loop and a folder of their own."""
    # In memory where there is some: no virtual time passes for the disk, but ours would.
    where = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=where) as folder:
        return anyio.run(
            partial(_measured, case, client, Path(folder)),
            backend_options={"loop_factory": VirtualLoop},
        )


async def _measured(case: Case, client: Client, folder: Path) -> Outcome:
    began = time.perf_counter()
    async with serve(case.settings(), clock=WorldClock(NOW)) as simulator:
        watch = Watch(case, simulator)
        start = anyio.current_time()
        await client(simulator, case, folder)
        makespan = anyio.current_time() - start
        return outcome(
            case,
            watch.seen(),
            makespan=makespan,
            is_right=tally_folder(folder) == case.truth(),
            seconds=time.perf_counter() - began,
        )
