"""Whole runs against the simulator, in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.core.lifecycle import State
from orchestrator.core.model import Series, Span, Unit
from orchestrator.core.policy import ExitCode, exit_code
from tests.kit.stage import between, job, stage

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

YEAR = between("2025-02-01", "2026-02-01")
FIVE = (
    Series.of("abcd1234", "SMS", "outbound"),
    Series.of("abcd1234", "SMS", "inbound", {"include_message": True}),
    Series.of("ef567890", "VOICE-CALL"),
    Series.of("ef567890", "VERIFY-API"),
    Series.of("cafe0002", "MESSAGES", "outbound", {"status": "delivered"}),
)


async def test_a_year_of_five_series_is_collected_exactly(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        year = job(YEAR, series=FIVE)
        end = await here.run(year)
        assert exit_code(end.remains) is ExitCode.DONE
        assert end.unsettled == ()
        assert here.states() == {"collected": 60}
        here.assert_all_is_well(year)


async def test_a_second_run_asks_for_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        year = job(YEAR)
        await here.run(year)
        bought = len(here.sim.world.reports())
        end = await here.run(year)
        assert exit_code(end.remains) is ExitCode.DONE
        assert len(here.sim.world.reports()) == bought == 12


async def test_two_keys_side_by_side(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        one = job(YEAR, name="one")
        other = job(
            YEAR,
            name="other",
            series=(Series.of("beta0001", "SMS", "inbound"),),
            credentials="beta",
        )
        end = await here.run(one, other)
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(one, other)
        keys = {report.api_key for report in here.reports()}
        assert keys == {"abcd1234", "beta0001"}


async def test_two_jobs_that_overlap_buy_each_moment_once(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        months = job(between("2025-10-01", "2026-01-01"), name="months")
        weeks = job(between("2025-12-01", "2026-02-01"), name="weeks", chunk=Span(1, Unit.WEEKS))
        end = await here.run(months, weeks)
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(job(between("2025-10-01", "2026-02-01")))


async def test_every_request_comes_at_the_rate_of_the_key(tmp_path: Path) -> None:
    """60 creates, 60 downloads and the looks, five a second: never a 429 of our own haste."""
    async with stage(tmp_path) as here:
        await here.run(job(YEAR, series=FIVE))
        assert not any("429" in note for note in here.seen.notes)
        assert (State.ABSENT, "NotCreated") not in here.seen.changes
