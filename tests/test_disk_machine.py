"""The machine under a run: a clock that jumps, a loop that stalls, a power cord that is pulled."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from orchestrator.api import VonageReports
from orchestrator.core.lifecycle import State
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.ledger.sqlite import SqliteLedger
from orchestrator.simulator import Fault, Settings
from tests.kit.stage import between, job, stage, with_faults
from tests.kit.virtual_time import VirtualClock, VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.core.lifecycle import Event
    from orchestrator.core.model import Report
    from tests.kit.stage import Stage

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

QUARTER = between("2025-11-01", "2026-02-01")
SMALL = Settings(records_per_day=1.0)
LOST = Fault.of("create", "reset", made=True, nth=2)
NOT_MADE = Fault.of("create", "reset", nth=2)

JUMPS = {
    "a second back": timedelta(seconds=-1),
    "an hour back": timedelta(hours=-1),
    "a week back": timedelta(days=-7),
    "to 1970": timedelta(days=-56 * 365),
    "an hour on": timedelta(hours=1),
    "a week on": timedelta(days=7),
    "ten years on": timedelta(days=3650),
}


class PowerCut(BaseException):
    """The process is no more."""


def jump(here: Stage, by: timedelta) -> None:
    """Puts our clock to another time; the server's stays right."""
    assert isinstance(here.clock, VirtualClock)
    here.clock.start += by


async def until_done(here: Stage, most: int = 3) -> None:
    """Runs as cron would, at the next nights; in the end all must be well."""
    for _ in range(most):
        end = await here.run(job(QUARTER))
        if exit_code(end.remains) is ExitCode.DONE:
            break
    assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
    here.assert_all_is_well(job(QUARTER))


# --- a clock that jumps ---------------------------------------------------------------------------


@pytest.mark.parametrize("by", JUMPS.values(), ids=JUMPS)
@pytest.mark.parametrize("at", [1, 3, 5, 7, 9])
async def test_a_clock_that_jumps_during_a_run_neither_loses_nor_buys_twice(
    tmp_path: Path, by: timedelta, at: int
) -> None:
    changes = 0

    def watch(_report: Report, _event: Event | None) -> None:
        nonlocal changes
        changes += 1
        if changes == at:
            jump(here, by)

    async with stage(tmp_path, SMALL) as here:
        here.seen.on_change = watch
        end = await here.run(job(QUARTER))
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(job(QUARTER))
        assert here.bought() == 3
        assert anyio.current_time() < 600, "no wait hangs on the wall clock"


@pytest.mark.parametrize("by", JUMPS.values(), ids=JUMPS)
async def test_a_create_that_was_lost_is_found_though_the_clock_jumps_meanwhile(
    tmp_path: Path, by: timedelta
) -> None:
    def watch(report: Report, event: Event | None) -> None:
        if event is None and report.id == 2:
            jump(here, by)

    async with stage(tmp_path, with_faults(SMALL, LOST)) as here:
        here.seen.on_change = watch
        await until_done(here)
        assert here.bought() == 3
        assert anyio.current_time() < 3 * 3600, "no wait hangs on the wall clock"


@pytest.mark.parametrize("by", JUMPS.values(), ids=JUMPS)
async def test_a_report_that_the_list_shows_late_is_not_bought_again_though_the_clock_jumps(
    tmp_path: Path, by: timedelta
) -> None:
    """Ten minutes must really pass before what lists lack counts as absent."""

    def watch(report: Report, event: Event | None) -> None:
        if event is None and report.id == 2:
            jump(here, by)

    late = Fault.of("list", "lacks", newest=2, until=240.0)
    async with stage(tmp_path, with_faults(SMALL, LOST, late)) as here:
        here.seen.on_change = watch
        await until_done(here)
        assert here.bought() == 3
        assert anyio.current_time() < 3 * 3600


@pytest.mark.parametrize("by", JUMPS.values(), ids=JUMPS)
async def test_a_clock_that_jumps_between_two_runs_changes_nothing_that_is_had(
    tmp_path: Path, by: timedelta
) -> None:
    """The first run is cut in the middle; the next one has another time of day."""

    class Dying(SqliteLedger):
        commits = 0

        def commit(self) -> None:
            type(self).commits += 1
            super().commit()
            if type(self).commits == 9:
                raise PowerCut

    async with stage(tmp_path, SMALL) as here:
        here.ledger_class = Dying
        try:
            await here.run(job(QUARTER))
        except* PowerCut:
            pass
        here.ledger_class = SqliteLedger
        assert any(one.state.is_open for one in here.reports())
        jump(here, by)
        if by < -timedelta(days=40):
            # Nothing of the job lies in the past of that clock; what is open is followed.
            await here.run(job(QUARTER))
            jump(here, -by)
        await until_done(here)
        assert here.bought() == 3
        assert anyio.current_time() < 3 * 3600


async def test_the_servers_clock_may_jump_during_a_run(tmp_path: Path) -> None:
    faults = [LOST, Fault.of("server", "clock", by=-7200.0, after=3.0)]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        await until_done(here)
        assert here.bought() == 3


# --- a loop that stalls ---------------------------------------------------------------------------


async def stall(every: float) -> None:
    """Ninety seconds pass, again and again, in which nothing of this process runs."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    while True:
        await anyio.sleep(every)
        loop.leap(90)


@pytest.mark.parametrize("every", [0.3, 0.7, 1.0, 2.5, 7.0, 40.0])
@pytest.mark.parametrize("seconds", [0.0, 0.5, 3.0], ids=lambda one: f"answers take {one} s")
async def test_a_loop_that_stalls_longer_than_any_timeout_neither_loses_nor_buys_twice(
    tmp_path: Path, every: float, seconds: float
) -> None:
    """Answers that came in time look late; creates become unknown, and are found."""
    slow = [
        Fault.of(at, "hang", seconds=seconds, made=True)
        for at in ("create", "list", "status", "download")
        if seconds
    ]
    async with stage(tmp_path, with_faults(SMALL, *slow)) as here:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stall, every)
            with anyio.fail_after(5 * 86400):
                for _ in range(5):
                    end = await here.run(job(QUARTER))
                    if exit_code(end.remains) is not ExitCode.UNFINISHED:
                        break
            tasks.cancel_scope.cancel()
        await until_done(here)
        assert here.bought() == 3


# --- a power cord that is pulled ------------------------------------------------------------------


class Steps:
    """Writes down, in order, the calls whose order decides what a power cut can take."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, output: Path) -> None:
        self.log: list[str] = []
        self._output = output
        self._wrap(monkeypatch, os, "fsync", self._synced)
        self._wrap(
            monkeypatch, Path, "replace", lambda path, target: f"rename {self._name(target)}"
        )
        self._wrap(monkeypatch, SqliteLedger, "commit", lambda ledger: "commit")
        self._wrap(monkeypatch, VonageReports, "create", lambda *_: "POST")

    def _wrap(
        self,
        monkeypatch: pytest.MonkeyPatch,
        owner: object,
        name: str,
        told: Callable[..., str],
    ) -> None:
        real = getattr(owner, name)

        def recorded(*arguments: Any) -> Any:
            self.log.append(told(*arguments))
            return real(*arguments)

        monkeypatch.setattr(owner, name, recorded)

    def _synced(self, descriptor: int) -> str:
        return f"sync {self._name(Path(f'/proc/self/fd/{descriptor}').readlink())}"

    def _name(self, path: Path) -> str:
        """The place of a path, without what differs from run to run."""
        if not path.is_relative_to(self._output):
            return "outside"
        inside = path.relative_to(self._output)
        if inside.parts[:1] == (".partial",):
            return "the file, unfinished"
        return "the output" if not inside.parts else ("a folder" if path.is_dir() else "the file")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads Linux's /proc")
async def test_every_step_is_on_the_disk_before_the_next_relies_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Intent, create, id; content, verified, name, folder, collected: in this order, and no other.

    Each commit is synced by SQLite (``synchronous=FULL``).
    """
    month = job(between("2026-01-01", "2026-02-01"))
    async with stage(tmp_path, SMALL) as here, here.world() as world:
        from orchestrator.engine.run import run_jobs

        steps = Steps(monkeypatch, here.output)

        def mark(report: Report, _event: Event | None) -> None:
            steps.log.append(f"= {report.state.value}")

        here.seen.on_change = mark
        await run_jobs(world, [month], here.clock.now())
        monkeypatch.undo()
    states = [f"= {state.value}" for state in State]
    told = steps.log
    begin = told.index("= submitting")
    assert told[begin - 1] == "commit", "the intent is on the disk"
    assert told[begin + 1] == "POST", "before anything is sent"
    submitted = told.index("= submitted")
    assert told[begin + 2 : submitted] == ["commit"], "and the id right after"
    verified, end = told.index("= verified"), told.index("= collected")
    assert told[verified - 1] == "commit"
    assert "sync the file, unfinished" in told[told.index("= ready") : verified - 1]
    work = told[verified + 1 : end]
    name = work.index("rename the file")
    assert work[name + 1 :] == ["sync a folder", "commit"]
    assert set(work[:name]) <= {"sync a folder", "sync the output", "sync outside"}
    assert [step for step in told if step.startswith("=")] == [
        one
        for one in states
        if one in ("= submitting", "= submitted", "= ready", "= verified", "= collected")
    ]
