"""Machine and API go by different clocks: nothing is asked for before it is over by both."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from orchestrator.core.model import AbsoluteWindow, CalendarWord, Series, Span, Unit
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.simulator import Fault, Settings
from tests.kit.stage import NOW, between, job, stage, utc, with_faults

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from tests.kit.stage import Stage

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

SMALL = Settings(records_per_day=24.0)
NIGHTLY = job(CalendarWord.YESTERDAY)
"""The stage's clock shows noon of 2026-03-01."""


def set_clocks(here: Stage, ours: datetime, theirs: datetime) -> None:
    here.clock.start += ours - here.clock.now()  # type: ignore[union-attr]
    here.sim.clock.set(theirs)


def warnings(here: Stage) -> list[str]:
    return [note for note in here.seen.notes if "this machine's clock is" in note]


@pytest.mark.parametrize("hours", [13, 24, 24 * 40], ids=["13 h", "a day", "40 days"])
async def test_a_machine_ahead_of_the_api_asks_for_no_day_that_is_not_over(
    tmp_path: Path, hours: int
) -> None:
    """Before: yesterday was bought and counted as collected while half of it was to come."""
    async with stage(tmp_path, SMALL, ahead=-timedelta(hours=hours)) as here:
        end = await here.run(NIGHTLY)
        assert exit_code(end.remains) is ExitCode.DONE
        now = here.sim.clock.now()
        for report in here.reports():
            assert report.window.end <= now - NIGHTLY.settle
        assert len(warnings(here)) == 1
        assert f"clock is {hours * 3600:,} seconds ahead of the API's" in warnings(here)[0]
        assert end.now <= now
        # The machine is set right: every day up to the API's yesterday is there, each once.
        here.clock.start -= timedelta(hours=hours)  # type: ignore[union-attr]
        await anyio.sleep(timedelta(days=2).total_seconds())
        end = await here.run(NIGHTLY)
        assert exit_code(end.remains) is ExitCode.DONE
        assert here.sim.world.paid_twice() == {}
        series = NIGHTLY.series[0].series
        windows = sorted((one.window for one in here.reports()), key=lambda one: one.start)
        assert here.collected(series) == sum(
            (here.truth(series, window) for window in windows[1:]),
            here.truth(series, windows[0]),
        )


async def test_a_machine_behind_the_api_asks_for_less_and_says_so(tmp_path: Path) -> None:
    async with stage(tmp_path, SMALL, ahead=timedelta(hours=20)) as here:
        end = await here.run(NIGHTLY)
        assert exit_code(end.remains) is ExitCode.DONE
        assert [one.window.end for one in here.reports()] == [utc("2026-03-01")]
        (words,) = warnings(here)
        assert words.startswith("warning: this machine's clock is 72,000 seconds behind the API's")
        assert "the earlier of both counts, this machine's" in words


@pytest.mark.parametrize("seconds", [-55, 0, 55])
async def test_a_few_seconds_are_no_warning_and_cost_no_day(tmp_path: Path, seconds: int) -> None:
    async with stage(tmp_path, SMALL, ahead=timedelta(seconds=seconds)) as here:
        await here.run(NIGHTLY)
        assert warnings(here) == []
        assert [one.window.end for one in here.reports()] == [utc("2026-03-01")]


async def test_a_run_at_the_very_moment_gets_its_day(tmp_path: Path) -> None:
    """The ``Date`` header cuts the second: that must not cost the day."""
    async with stage(tmp_path, SMALL) as here:
        sharp = NOW.replace(hour=1, microsecond=400_000)
        set_clocks(here, sharp, sharp)
        assert exit_code((await here.run(NIGHTLY)).remains) is ExitCode.DONE
        assert [one.window.end for one in here.reports()] == [utc("2026-03-01")]


async def test_where_the_api_cannot_be_asked_at_first_each_create_waits_for_its_time(
    tmp_path: Path,
) -> None:
    """Down for an hour, and 13 hours behind: what may not be sent yet is left, not bought."""
    down = [Fault.of(at, "hang", seconds=100, until=3600.0) for at in ("status", "list", "create")]
    async with stage(tmp_path, with_faults(SMALL, *down), ahead=-timedelta(hours=13)) as here:
        began = anyio.current_time()
        both = job(
            CalendarWord.YESTERDAY,
            AbsoluteWindow(utc("2026-02-01"), utc("2026-02-10")),
            chunk=Span(1, Unit.DAYS),
        )
        end = await here.run(both)
        assert anyio.current_time() - began > 3600
        assert exit_code(end.remains) is ExitCode.UNFINISHED, "yesterday is left for later"
        assert max(one.window.end for one in here.reports()) == utc("2026-02-10")
        assert here.states() == {"collected": 9}
        assert [note for note in here.seen.notes if "left for later" in note]
        assert len(warnings(here)) == 1
        await anyio.sleep(timedelta(hours=1).total_seconds())
        assert exit_code((await here.run(both)).remains) is ExitCode.DONE
        assert max(one.window.end for one in here.reports()) == utc("2026-03-01")


async def test_a_clock_that_jumps_ahead_during_the_run_changes_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path, SMALL) as here:

        def jump(*_: object) -> None:
            here.clock.start += timedelta(days=1)  # type: ignore[union-attr]

        here.seen.on_change = jump
        await here.run(job(CalendarWord.YESTERDAY, CalendarWord.TODAY, chunk=Span(1, Unit.HOURS)))
        for report in here.reports():
            assert report.window.end <= here.sim.clock.now() - timedelta(hours=1)


async def test_a_clock_that_is_set_back_during_the_run_keeps_nothing_waiting(
    tmp_path: Path,
) -> None:
    """The API is asked again for its time, which has not changed."""
    async with stage(tmp_path, SMALL) as here:
        jumped = False

        def jump(*_: object) -> None:
            nonlocal jumped
            if not jumped:
                here.clock.start -= timedelta(days=3)  # type: ignore[union-attr]
            jumped = True

        here.seen.on_change = jump
        wanted = job(between("2026-02-20", "2026-03-01"), chunk=Span(1, Unit.DAYS))
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(wanted)


async def test_keys_whose_servers_differ_each_go_by_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One key's server is 13 hours behind: the other's day is not kept back for that."""
    from orchestrator.api import VonageReports

    note = VonageReports._note_date

    def late(self: VonageReports, response: object) -> None:
        note(self, response)  # type: ignore[arg-type]
        if self.api_key == "beta0001" and self._server_ahead is not None:
            self._server_ahead -= timedelta(hours=13)

    monkeypatch.setattr(VonageReports, "_note_date", late)
    async with stage(tmp_path, SMALL) as here:
        theirs = job(
            CalendarWord.YESTERDAY,
            name="theirs",
            series=(Series.of("beta0001", "SMS", "outbound"),),
            credentials="beta",
        )
        end = await here.run(NIGHTLY, theirs)
        assert exit_code(end.remains) is ExitCode.DONE
        assert {one.api_key: one.window.end for one in here.reports()} == {
            "abcd1234": utc("2026-03-01"),
            "beta0001": utc("2026-02-28"),
        }


async def test_answers_without_a_date_leave_our_clock_alone_to_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestrator.api import VonageReports

    monkeypatch.setattr(VonageReports, "_note_date", lambda *_: None)
    async with stage(tmp_path, SMALL) as here:
        assert exit_code((await here.run(NIGHTLY)).remains) is ExitCode.DONE
        assert [one.window.end for one in here.reports()] == [utc("2026-03-01")]


async def test_a_settling_time_is_kept_by_the_api_s_clock(tmp_path: Path) -> None:
    """Half an hour ahead, at half past one by our clock: the day is over, but not settled."""
    async with stage(tmp_path, SMALL, ahead=-timedelta(minutes=31)) as here:
        set_clocks(here, NOW.replace(hour=1, minute=30), NOW.replace(hour=0, minute=59))
        assert exit_code((await here.run(NIGHTLY)).remains) is ExitCode.DONE
        assert here.reports() == []
        await anyio.sleep(60)
        await here.run(NIGHTLY)
        assert [one.window.end for one in here.reports()] == [utc("2026-03-01")]
