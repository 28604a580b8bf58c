"""Plays a case: run after run, interrupted, until all is settled; then every invariant."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio import lowlevel, to_thread

from orchestrator.api.callback_server import receiving
from orchestrator.collect.work_area import remove_unfinished
from orchestrator.core.lifecycle import State
from orchestrator.core.settings import CallbackSettings
from orchestrator.engine.drain import Drain
from orchestrator.ledger.sqlite import SqliteLedger
from tests.kit.stage import stage
from tests.kit.virtual_time import VIRTUAL
from tests.simulation import invariants
from tests.simulation.cases import WEATHER_SECONDS, CallCounts, Case, How, Stop, draw

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from orchestrator.core.ports import Callbacks
    from orchestrator.engine.run import RunEnd
    from tests.kit.stage import Stage

MEMORY: Final = Path("/dev/shm")
"""A file system in memory, where there is one: a sync costs nothing there."""

_RUNS_AT_MOST: Final = 16
_BETWEEN_RUNS: Final = 13 * 3600.0


class PowerCut(BaseException):
    """The process is no more: nothing catches it."""


@dataclass
class Played:
    """What came of a case.

    Attributes:
        lives: reports that the API made for us.
        runs: how many runs it took.
        endings: how many rows of the ledger ended in which state.
        struck: how often each kind of fault struck.
        broken: every invariant that does not hold, in words.
        seconds: of real time that it took.
        words: the case, for people, where it has words.
        story: what was done, and how it ended.
    """

    seed: int
    lives: int = 0
    runs: int = 0
    endings: dict[str, int] = field(default_factory=dict)
    struck: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0
    words: list[str] = field(default_factory=list)
    story: list[str] = field(default_factory=list)


def play(seed: int, folder: Path) -> Played:
    """Plays the case of a seed in a new directory, in virtual time."""
    backend, options = VIRTUAL
    return anyio.run(_play, draw(seed), folder, backend=backend, backend_options=dict(options))


async def _inline(function: Callable[..., Any], *args: Any, **_options: Any) -> Any:
    """Thread work done at once: so that a seed does the same every time."""
    await lowlevel.checkpoint()
    return function(*args)


async def _play(case: Case, folder: Path) -> Played:
    threaded = to_thread.run_sync
    to_thread.run_sync = _inline  # type: ignore[assignment]
    try:
        async with stage(
            folder,
            case.settings,
            limits=case.limits,
            poll=case.poll,
            retry=case.retry,
            requests_per_second=case.rate,
            ahead=case.ahead,
        ) as here:
            return await _live(case, here)
    finally:
        to_thread.run_sync = threaded


async def _live(case: Case, here: Stage) -> Played:
    played = Played(case.seed)
    began: list[float] = []
    port = _free_port()
    for number in range(_RUNS_AT_MOST):
        stop = case.stops[number] if number < len(case.stops) else None
        played.runs += 1
        began.append(anyio.current_time())
        if case.calls is CallCounts.ANOTHER_PORT:
            port = _free_port()
        end = await _run(case, here, stop, port)
        if end is not None:
            played.broken += invariants.of_an_ending(end)
        played.broken += invariants.of_tasks(asyncio.all_tasks())
        if stop is None and end is not None and _is_settled(here, end):
            break
        pause = case.pauses[number] if number < len(case.pauses) else _BETWEEN_RUNS
        if number >= len(case.stops) + 1:
            pause = max(pause, WEATHER_SECONDS)
        await anyio.sleep(pause)
    else:
        played.broken.append(f"does not settle: after {played.runs} runs {here.states()}")
    reports = here.sim.world.reports()
    played.lives = sum(not report.stranger for report in reports)
    played.endings = here.states()
    for fault, times in zip(
        case.settings.faults.faults, here.sim.world.injector.struck, strict=True
    ):
        name = f"{fault.at} {fault.do}"
        played.struck[name] = played.struck.get(name, 0) + times
    played.broken += invariants.of_the_end(case, here, began)
    return played


def _is_settled(here: Stage, end: RunEnd) -> bool:
    """Whether no further run would change anything, but for reports that the API never ends."""
    owed = any(one.owed for one in end.unsettled)
    if not (end.remains.unfinished or owed or end.remains.interrupted):
        return True
    if anyio.current_time() < WEATHER_SECONDS or owed:
        return False
    still_open = [report for report in here.reports() if report.state.is_open]
    return all(invariants.never_ends(here, report) for report in still_open)


async def _run(case: Case, here: Stage, stop: Stop | None, port: int) -> RunEnd | None:
    """One run, as the command line does it; None if it was killed."""
    _sweep(here)
    killed = stop if stop and stop.how in (How.KILLED_BEFORE, How.KILLED_AFTER) else None
    here.ledger_class = _dying(killed) if killed else SqliteLedger
    drain = Drain()
    end: RunEnd | None = None
    try:
        async with _called_back(case, here, port) as calls, anyio.create_task_group() as tasks:
            if stop and not killed:
                tasks.start_soon(_interrupt, drain, stop)
            end = await here.run(*case.jobs, drain=drain, callbacks=calls)
            tasks.cancel_scope.cancel()
    except* PowerCut:
        end = None
    return end


@asynccontextmanager
async def _called_back(case: Case, here: Stage, port: int) -> AsyncIterator[Callbacks | None]:
    """A receiver of callbacks for one run, where the case has one."""
    if case.calls is CallCounts.NOBODY_LISTENS:
        yield None
        return
    settings = CallbackSettings(f"127.0.0.1:{port}", f"http://127.0.0.1:{port}/hook")
    async with receiving(settings, here.seen) as receiver:
        yield receiver


def _free_port() -> int:
    """A port on which nobody listens just now; if somebody does later, the run only looks."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


async def _interrupt(drain: Drain, stop: Stop) -> None:
    await anyio.sleep(stop.after)
    drain.begin(15)
    if stop.how is How.HURRIED:
        await anyio.sleep(1)
        drain.hurry()


def _dying(stop: Stop) -> type[SqliteLedger]:
    commits = 0

    class Dying(SqliteLedger):
        def commit(self) -> None:
            nonlocal commits
            commits += 1
            if commits >= stop.commit and stop.how is How.KILLED_BEFORE:
                raise PowerCut
            super().commit()
            if commits >= stop.commit:
                raise PowerCut

    return Dying


def _sweep(here: Stage) -> None:
    if here.config.state.exists():
        unfinished = (State.READY, State.VERIFIED)
        keep = {report.id for report in here.reports() if report.state in unfinished}
        remove_unfinished(here.output, keep)
