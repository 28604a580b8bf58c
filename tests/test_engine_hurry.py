"""Somebody in a hurry: what is shielded is cut, and nothing that is paid is forgotten for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio
import pytest

from orchestrator.collect.collector import FileCollector
from orchestrator.core.lifecycle import State
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.engine.drain import Drain
from orchestrator.engine.run import run_jobs
from orchestrator.simulator import Settings
from tests.kit.stage import between, job, stage

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.core.lifecycle import VerifiedFile
    from orchestrator.core.model import Report
    from orchestrator.core.ports import Download
    from orchestrator.engine.run import RunEnd
    from tests.kit.stage import Stage

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

MONTH = job(between("2026-01-01", "2026-02-01"))
SMALL = Settings(records_per_day=1.0)
LONG = 60.0


@dataclass
class Hasty:
    """Two signals, a second apart, from inside of what is shielded."""

    drain: Drain

    async def wait(self) -> None:
        self.drain.begin(2)
        self.drain.hurry()
        await anyio.sleep(LONG)


class SlowToFetch(FileCollector):
    """Takes its time for each file; the signals come meanwhile."""

    hasty: Hasty

    async def fetch(self, report: Report, download: Download) -> VerifiedFile:
        await self.hasty.wait()
        return await super().fetch(report, download)


class SlowToPublish(FileCollector):
    """The same, when a file is verified."""

    hasty: Hasty

    async def publish(self, report: Report) -> bool:
        await self.hasty.wait()
        return await super().publish(report)


async def run_hastily(here: Stage, slow: type[SlowToFetch | SlowToPublish]) -> RunEnd:
    drain = Drain()
    async with here.world(drain) as world:
        collector = slow(here.config.output)
        collector.hasty = Hasty(drain)
        return await run_jobs(replace(world, collector=collector), (MONTH,), here.clock.now())


@pytest.mark.parametrize(
    ("slow", "state"),
    [(SlowToFetch, State.READY), (SlowToPublish, State.VERIFIED)],
    ids=["download", "publish"],
)
async def test_what_is_cut_is_done_by_the_next_run(
    tmp_path: Path, slow: type[SlowToFetch | SlowToPublish], state: State
) -> None:
    async with stage(tmp_path, SMALL) as here:
        end = await run_hastily(here, slow)
        assert exit_code(end.remains) is ExitCode.INTERRUPTED
        assert here.states() == {state.value: 1}
        assert exit_code((await here.run(MONTH)).remains) is ExitCode.DONE
        here.assert_all_is_well(MONTH)
        assert len(here.sim.world.reports()) == 1


async def test_a_truncated_file_that_was_cut_is_kept_by_the_next_run(tmp_path: Path) -> None:
    async with stage(tmp_path, replace(SMALL, max_rows=25)) as here:
        await run_hastily(here, SlowToFetch)
        assert here.states() == {"submitted": 1}
        await here.run(MONTH)
        assert here.states()["truncated"] == 1
        assert list((here.output / ".aside").glob("*.csv")), "it is paid"
