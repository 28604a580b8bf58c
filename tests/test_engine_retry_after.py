"""Runs against an API that asks to wait: for as long as a run waits, and for longer."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from orchestrator.core.model import Series, Span, Unit
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.core.settings import PollPolicy
from orchestrator.engine.drain import Drain
from orchestrator.simulator import Fault, Settings
from tests.kit.stage import between, job, stage, with_faults

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

SMALL = Settings(records_per_day=1.0)
MONTH = between("2026-01-01", "2026-02-01")
DAILY = Span(1, Unit.DAYS)
DAYS_3 = 3 * 86_400
HOUR = 3600.0


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("as_date", [False, True], ids=["seconds", "date"])
async def test_one_files_retry_after_of_days_keeps_no_run_alive(
    tmp_path: Path, status: int, *, as_date: bool
) -> None:
    """Before: the run lived for 168 hours with its lock, while 30 of 31 files were there."""
    fault = Fault.of(
        "download", "refuse", status=status, retry_after=DAYS_3, as_date=as_date, nth=[7]
    )
    async with stage(tmp_path, with_faults(SMALL, fault)) as here:
        wanted = job(MONTH, chunk=DAILY)
        began = anyio.current_time()
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.UNFINISHED, here.seen.notes
        assert anyio.current_time() - began < HOUR
        assert here.states() == {"collected": 30, "ready": 1}
        assert any("asks to wait 3 days, 0:00:0" in note for note in here.seen.notes)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(wanted)
        assert len(here.sim.world.reports()) == 31


async def test_what_files_ask_for_together_is_not_more_than_the_run_waits(tmp_path: Path) -> None:
    """Each time five hours: after the first one the next would go past `poll.timeout`."""
    fault = Fault.of("download", "refuse", status=503, retry_after=5 * HOUR)
    async with stage(tmp_path, with_faults(SMALL, fault)) as here:
        wanted = job(between("2026-01-01", "2026-01-02"))
        began = anyio.current_time()
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert 5 * HOUR < anyio.current_time() - began < 5.5 * HOUR
        assert here.states() == {"ready": 1}


@pytest.mark.parametrize(
    ("at", "nth"),
    [("create", 1), ("create", 3), ("status", 1), ("status", 3), ("list", 1), ("list", 2)],
)
async def test_a_key_that_must_wait_for_days_is_left_to_the_next_run(
    tmp_path: Path, at: str, nth: int
) -> None:
    """Before: the run waited for a day in silence, with the lock held."""
    faults = [Fault.of(at, "refuse", status=429, retry_after=DAYS_3, nth=[nth], account="abcd1234")]
    if at == "status":
        faults = [
            Fault.of(at, "refuse", status=429, retry_after=DAYS_3, nth=[nth], product="SMS"),
            Fault.of("list", "refuse", status=403, account="abcd1234"),
        ]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        wanted = job(MONTH, chunk=DAILY)
        other = job(
            between("2026-01-01", "2026-01-11"),
            name="other",
            series=(Series.of("beta0001", "VERIFY-API"),),
            credentials="beta",
            chunk=DAILY,
        )
        began = anyio.current_time()
        end = await here.run(wanted, other)
        assert exit_code(end.remains) is ExitCode.UNFINISHED, here.seen.notes
        assert anyio.current_time() - began < HOUR
        (said,) = (note for note in here.seen.notes if "asks to wait" in note)
        assert said == (
            "warning: key abcd1234: the API asks to wait 3 days, 0:00:00 before the next request, "
            "longer than this run waits: nothing more is asked with it in this run; the next run "
            "goes on"
        )
        here.assert_all_is_well(other)
        end = await here.run(wanted, other)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted, other)


async def test_a_wait_that_the_run_has_time_for_is_said_aloud_and_made(tmp_path: Path) -> None:
    fault = Fault.of("create", "refuse", status=429, retry_after=2 * HOUR, nth=[3])
    async with stage(tmp_path, with_faults(SMALL, fault)) as here:
        wanted = job(MONTH, chunk=DAILY)
        began = anyio.current_time()
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)
        assert 2 * HOUR < anyio.current_time() - began < 3 * HOUR
        (said,) = (note for note in here.seen.notes if "asks to wait" in note)
        assert said == (
            "warning: key abcd1234: the API asks to wait 2:00:00 before the next request; this run "
            "waits so long"
        )


@pytest.mark.parametrize(
    ("at", "status"), [("create", 429), ("status", 429), ("download", 429), ("download", 503)]
)
async def test_a_wait_past_the_deadline_is_left_at_once(
    tmp_path: Path, at: str, status: int
) -> None:
    """Two hours are asked for, an hour is left: nobody waits for the deadline."""
    fault = Fault.of(at, "refuse", status=status, retry_after=2 * HOUR, nth=[1])
    async with stage(tmp_path, with_faults(SMALL, fault)) as here:
        wanted = job(between("2026-01-01", "2026-01-02"))
        drain = Drain()
        began = anyio.current_time()
        drain.ends_at = began + HOUR
        end = await here.run(wanted, drain=drain)
        assert anyio.current_time() - began < HOUR / 2
        assert exit_code(end.remains) is ExitCode.UNFINISHED, here.seen.notes
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(wanted)


async def test_an_api_that_is_probed_and_asks_to_wait_for_days_is_left(tmp_path: Path) -> None:
    """The breaker's own question is answered by a 429 of days."""
    faults = [
        Fault.of(at, "refuse", status=503, until=20.0) for at in ("create", "status", "list")
    ] + [Fault.of("status", "refuse", status=429, retry_after=DAYS_3)]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        began = anyio.current_time()
        end = await here.run(job(MONTH, chunk=DAILY))
        assert exit_code(end.remains) is ExitCode.UNFINISHED, here.seen.notes
        assert anyio.current_time() - began < HOUR


async def test_a_short_patience_is_minded(tmp_path: Path) -> None:
    fault = Fault.of("status", "refuse", status=429, retry_after=1200, nth=[1])
    poll = PollPolicy(timeout=timedelta(minutes=10))
    async with stage(tmp_path, with_faults(SMALL, fault), poll=poll) as here:
        began = anyio.current_time()
        end = await here.run(job(between("2026-01-01", "2026-01-02")))
        assert exit_code(end.remains) is ExitCode.UNFINISHED, here.seen.notes
        assert anyio.current_time() - began < 600
