"""Stopping on purpose, early or late; the next run goes on."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from orchestrator.core.lifecycle import State
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.core.ports import Priority
from orchestrator.engine.drain import Drain
from orchestrator.engine.run import run_jobs
from orchestrator.simulator import Fault, Settings
from tests.kit.stage import between, job, stage, with_faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from orchestrator.core.lifecycle import Event
    from orchestrator.core.model import Report
    from orchestrator.core.ports import RateLimiter, Resume, Within
    from orchestrator.core.slots import Slot
    from orchestrator.engine.run import RunEnd
    from tests.kit.stage import Stage

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

YEAR = between("2025-02-01", "2026-02-01")
SMALL = Settings(records_per_day=1.0)


async def run_and_drain(
    here: Stage, after: float, signal: int | None, hurry_after: float | None = None
) -> RunEnd:
    """A run that is told to stop after so many seconds."""
    drain = Drain()
    async with anyio.create_task_group() as tasks:

        async def stop() -> None:
            await anyio.sleep(after)
            drain.begin(signal)
            if hurry_after is not None:
                await anyio.sleep(hurry_after)
                drain.hurry()

        tasks.start_soon(stop)
        end = await here.run(job(YEAR), drain=drain)
        tasks.cancel_scope.cancel()
    return end


@pytest.mark.parametrize("after", [0.01, 0.1, 0.7, 1.9, 2.1, 5.3, 12.7, 18.0, 25.0])
async def test_a_drain_at_any_time_loses_nothing(tmp_path: Path, after: float) -> None:
    async with stage(tmp_path, SMALL) as here:
        end = await run_and_drain(here, after, 15)
        assert exit_code(end.remains) is ExitCode.TERMINATED
        assert "submitting" not in here.states(), "a create in flight is not cut"
        bought = len(here.sim.world.reports())
        end = await here.run(job(YEAR))
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(job(YEAR))
        assert len(here.sim.world.reports()) == 12 >= bought


async def test_a_deadline_leaves_the_rest_for_the_next_run(tmp_path: Path) -> None:
    async with stage(tmp_path, SMALL) as here:
        end = await run_and_drain(here, 1.0, None)
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert 0 < len(here.sim.world.reports()) < 12


async def test_a_slow_create_is_waited_for(tmp_path: Path) -> None:
    slow = with_faults(SMALL, Fault.of("create", "hang", seconds=30, nth=2))
    async with stage(tmp_path, slow) as here:
        end = await run_and_drain(here, 1.0, 2)
        assert exit_code(end.remains) is ExitCode.INTERRUPTED
        assert set(here.states()) == {"submitted"}


async def test_a_hurry_cuts_even_a_create_and_the_next_run_finds_it(tmp_path: Path) -> None:
    slow = with_faults(SMALL, Fault.of("create", "hang", seconds=30, made=True, nth=2))
    async with stage(tmp_path, slow) as here:
        began = anyio.current_time()
        await run_and_drain(here, 1.0, 2, hurry_after=1.0)
        assert anyio.current_time() - began == pytest.approx(7.0, abs=0.5)
        assert here.states()["submitting"] == 1
        end = await here.run(job(YEAR))
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(job(YEAR))
        assert len(here.sim.world.reports()) == 12


async def test_a_download_in_flight_is_finished(tmp_path: Path) -> None:
    slow = with_faults(SMALL, Fault.of("download", "hang", seconds=20))
    async with stage(tmp_path, slow) as here:
        drain = Drain()

        def stop_at_first_file(report: Report, _event: Event | None) -> None:
            if report.state is State.READY:
                drain.begin(15)

        here.seen.on_change = stop_at_first_file
        await here.run(job(YEAR), drain=drain)
        assert here.states().get("collected", 0) <= here.config.limits.downloads
        assert "verified" not in here.states()
        here.seen.on_change = None
        end = await here.run(job(YEAR))
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(job(YEAR))


async def test_what_was_open_is_followed_even_when_the_job_no_longer_wants_it(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, SMALL) as here:
        await run_and_drain(here, 1.0, 15)
        bought = len(here.sim.world.reports())
        assert bought > 1
        end = await here.run(job(between("2025-02-01", "2025-03-01")))
        assert exit_code(end.remains) is ExitCode.DONE
        assert here.states() == {"collected": bought}


async def test_a_drain_while_the_fate_of_a_create_is_unknown(tmp_path: Path) -> None:
    reset = with_faults(SMALL, Fault.of("create", "reset", nth=2))
    async with stage(tmp_path, reset) as here:
        await run_and_drain(here, 60.0, 15)
        assert here.states()["submitting"] == 1
        here.clock.start += timedelta(hours=1)  # type: ignore[union-attr]
        end = await here.run(job(YEAR))
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(job(YEAR))


# --- a download that takes its time ---------------------------------------------------------------

DAY = between("2026-01-01", "2026-01-02")
LARGE = Settings(records_per_day=6000.0, bulk_body_bytes=6000, ranges=True)
"""One archive of some hundred kilobytes, which goes on by Range."""

SIZE = 400_000


async def stop_in_download(
    here: Stage, *, signal: int | None, hurry_after: float | None = None
) -> tuple[RunEnd, float, list[int]]:
    """A run that is told to stop while its file comes; the seconds it still took; each start."""
    drain = Drain()
    starts: list[int] = []
    started = anyio.Event()
    begun_at = 0.0
    async with anyio.create_task_group() as tasks, here.world(drain) as world:
        session = world.sessions["default"]
        really = session.api.download

        def watched(url: str, resume: Resume | None, within: Within):  # type: ignore[no-untyped-def] # noqa: ANN202 - as the client's
            starts.append(resume.offset if resume else 0)
            started.set()
            return really(url, resume, within)

        async def stop() -> None:
            nonlocal begun_at
            await started.wait()
            await anyio.sleep(25.0)
            begun_at = anyio.current_time()
            drain.begin(signal)
            if hurry_after is not None:
                await anyio.sleep(hurry_after)
                drain.hurry()

        session.api.download = watched  # type: ignore[method-assign, assignment]
        tasks.start_soon(stop)
        end = await run_jobs(world, (job(DAY),), here.clock.now())
        tasks.cancel_scope.cancel()
    return end, anyio.current_time() - begun_at, starts


@pytest.mark.parametrize(
    ("signal", "hurry_after", "code", "most"),
    [
        (None, None, ExitCode.UNFINISHED, 10.5),
        (15, None, ExitCode.TERMINATED, 10.5),
        (15, 1.0, ExitCode.TERMINATED, 6.5),
        (15, 9.0, ExitCode.TERMINATED, 10.5),
    ],
    ids=["deadline", "a signal", "two signals", "a late second signal"],
)
async def test_a_slow_download_has_a_short_grace_and_the_next_run_goes_on_from_there(
    tmp_path: Path, signal: int | None, hurry_after: float | None, code: ExitCode, most: float
) -> None:
    """Before: at 1,000 bytes a second the run outlived its deadline by hours."""
    slow = with_faults(LARGE, Fault.of("download", "slow", rate=1000, nth=[1, 2]))
    async with stage(tmp_path, slow) as here:
        end, took, starts = await stop_in_download(here, signal=signal, hurry_after=hurry_after)
        assert exit_code(end.remains) is code
        assert took <= most
        assert starts == [0]
        assert here.states() == {"ready": 1}
        kept = {path.name.split(".", 1)[1] for path in (here.output / ".partial").iterdir()}
        assert kept == {"archive.part", "resume.part"}
        _, _, again = await stop_in_download(here, signal=signal)
        assert 20_000 <= again[0] <= 32_000, "what had come in half a minute"
        end = await here.run(job(DAY))
        assert exit_code(end.remains) is ExitCode.DONE
        assert here.sim.calls["download"] == 3
        here.assert_all_is_well(job(DAY))
        assert list((here.output / ".partial").iterdir()) == []
        assert len(here.sim.world.reports()) == 1


async def test_a_download_that_ends_within_the_grace_is_published(tmp_path: Path) -> None:
    async with stage(
        tmp_path, with_faults(LARGE, Fault.of("download", "slow", rate=SIZE / 25))
    ) as here:
        end, took, _ = await stop_in_download(here, signal=15)
        assert took < 10
        assert exit_code(end.remains) is ExitCode.TERMINATED
        assert here.states() == {"collected": 1}


async def test_a_truncated_file_that_the_drain_cuts_is_kept_by_the_next_run(tmp_path: Path) -> None:
    settings = replace(LARGE, max_rows=4000)
    slow = with_faults(settings, Fault.of("download", "slow", rate=1000, nth=1))
    async with stage(tmp_path, slow) as here:
        await stop_in_download(here, signal=15)
        assert here.states() == {"submitted": 1}
        await here.run(job(DAY))
        assert here.states()["truncated"] >= 1
        assert list((here.output / ".aside").glob("*.csv")), "it is paid"


@dataclass
class LastMoment:
    """A gate of which each turn for a create comes as the drain begins."""

    inner: RateLimiter
    drain: Drain

    @asynccontextmanager
    async def turn(
        self, priority: Priority, order: float = 0.0, place: Slot | None = None
    ) -> AsyncIterator[None]:
        async with self.inner.turn(priority, order, place):
            if priority is Priority.SUBMIT:
                self.drain.begin(15)
            yield

    def close(self, reason: str) -> None:
        self.inner.close(reason)


async def test_a_turn_that_comes_as_the_drain_begins_makes_no_create(tmp_path: Path) -> None:
    async with stage(tmp_path, SMALL) as here:
        drain = Drain()
        async with here.world(drain) as world:
            session = world.sessions["default"]
            session.rate_limiter = LastMoment(session.rate_limiter, drain)
            await run_jobs(world, (job(YEAR),), here.clock.now())
        assert here.states() == {}
        assert here.sim.calls["create"] == 0
