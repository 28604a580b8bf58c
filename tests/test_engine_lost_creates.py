"""Creates whose answer tells little: what was made is known again, and nothing is paid twice."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.lifecycle import CreateUnknown
from orchestrator.core.model import Span, Unit
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.core.settings import ApiSettings, PollPolicy
from orchestrator.engine.drain import Drain
from orchestrator.simulator import Fault, Settings
from tests.kit.stage import between, job, stage, with_faults
from tests.kit.virtual_time import VirtualClock

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.core.lifecycle import Event
    from orchestrator.core.model import Report

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

MONTH = between("2026-01-01", "2026-02-01")
QUARTER = between("2025-11-01", "2026-02-01")
SMALL = Settings(records_per_day=1.0)


@pytest.mark.parametrize("form", ["wrapped", "date", "status", "types", "bare"])
async def test_an_odd_answer_to_a_create_with_its_id_is_followed_at_once(
    tmp_path: Path, form: str
) -> None:
    odd = with_faults(SMALL, Fault.of("create", "odd", form=form, status=202))
    async with stage(tmp_path, odd) as here:
        end = await here.run(job(MONTH))
        assert exit_code(end.remains) is ExitCode.DONE
        assert here.states() == {"collected": 1}
        assert len(here.sim.world.reports()) == 1
        assert not any("not known" in note for note in here.seen.notes)
        here.assert_all_is_well(job(MONTH))


# --- lists that tell less than they should --------------------------------------------------------

DAYS = job(between("2026-01-01", "2026-02-10"), chunk=Span(1, Unit.DAYS))
NTH = pytest.mark.parametrize("nth", [1, 3, 38])


@pytest.mark.parametrize("made", [True, False], ids=["made", "not made"])
@pytest.mark.parametrize("fault", ["newest", "swells"])
@NTH
async def test_lists_that_are_cut_or_too_large_are_asked_for_by_date(
    tmp_path: Path, fault: str, nth: int, *, made: bool
) -> None:
    """Of forty reports in twenty seconds a list shows ten; one was lost, or never made."""
    faults = [
        Fault.of("create", "reset", made=made, nth=nth),
        Fault.of("list", fault, most=10),
    ]
    settings = with_faults(SMALL, *faults)
    async with stage(tmp_path, settings, requests_per_second=2.0) as here:
        end = await here.run(DAYS)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(DAYS)
        assert here.bought() == 40
        assert not any("does not answer" in note for note in here.seen.notes)


@pytest.mark.parametrize("made", [True, False], ids=["made", "not made"])
async def test_a_list_that_keeps_reports_of_ours_back_proves_nothing(
    tmp_path: Path, *, made: bool
) -> None:
    """It shows the latest one alone, whatever dates are asked for."""
    faults = [
        Fault.of("create", "reset", made=made, nth=3),
        Fault.of("list", "newest", most=1),
    ]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        end = await here.run(DAYS)
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert here.states() == {"collected": 39, "held": 1}
        assert here.bought() == 39 + made


@pytest.mark.parametrize("hours", [-7, 7])
async def test_a_time_that_is_hours_off_hides_no_report(tmp_path: Path, hours: int) -> None:
    faults = [
        Fault.of("create", "reset", made=True, nth=2),
        Fault.of("list", "received", by=hours * 3600),
    ]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        end = await here.run(job(QUARTER))
        assert exit_code(end.remains) is ExitCode.DONE
        assert here.bought() == 3
        here.assert_all_is_well(job(QUARTER))


async def test_without_its_dates_a_strangers_report_is_not_adopted(tmp_path: Path) -> None:
    faults = [
        Fault.of(
            "create", "twin", field="date_end", value="2026-01-20T00:00:00Z", lost=True, made=False,
            nth=2,
        ),
        Fault.of("list", "omits", field="date_end"),
        Fault.of("status", "omits", field="date_end"),
    ]  # fmt: skip
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        end = await here.run(job(QUARTER))
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert here.states() == {"collected": 2, "held": 1}
        held = next(report for report in here.reports() if report.state.value == "held")
        (stranger,) = [one for one in here.sim.world.reports() if one.stranger]
        assert "does not repeat its dates" in held.reason
        assert f"`orchestrator resolve {held.id} --adopt {stranger.request_id}`" in held.reason


async def test_dates_that_the_list_leaves_out_are_asked_for(tmp_path: Path) -> None:
    faults = [
        Fault.of(
            "create", "twin", field="date_end", value="2026-01-20T00:00:00Z", lost=True, nth=2
        ),
        Fault.of("list", "omits", field="date_end"),
    ]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        end = await here.run(job(QUARTER))
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(job(QUARTER))


# --- time -----------------------------------------------------------------------------------------


async def test_the_wait_for_absence_does_not_shrink_with_the_pauses_between_looks(
    tmp_path: Path,
) -> None:
    faults = [
        Fault.of("create", "reset", made=True, nth=2),
        Fault.of("list", "late", seconds=540),
    ]
    quick = PollPolicy(timedelta(milliseconds=50), timedelta(milliseconds=300))
    async with stage(tmp_path, with_faults(SMALL, *faults), poll=quick) as here:
        end = await here.run(job(QUARTER))
        assert exit_code(end.remains) is ExitCode.DONE
        assert here.bought() == 3
        here.assert_all_is_well(job(QUARTER))


@pytest.mark.parametrize("told", [True, False], ids=["told", "not told"])
async def test_a_clock_half_an_hour_ahead_that_is_set_right_pays_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, told: bool
) -> None:
    """Killed in its first create, maybe before any answer had told the API's time."""
    monkeypatch.setattr(ApiSettings, "is_on_this_machine", property(lambda _: False))
    faults = [
        Fault.of("create", "reset", made=True, nth=1),
        Fault.of("list", "late", seconds=540),
    ]
    if not told:
        faults.append(Fault.of("status", "date", text="today", until=10))
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        assert isinstance(here.clock, VirtualClock)
        here.clock.start += timedelta(minutes=30)
        drain = Drain()

        def stop(_report: Report, event: Event | None) -> None:
            if isinstance(event, CreateUnknown):
                drain.begin(15)

        here.seen.on_change = stop
        await here.run(job(MONTH), drain=drain)
        assert here.states() == {"submitting": 1}
        assert bool(here.reports()[0].server_ahead) is told
        here.clock.start -= timedelta(minutes=30)
        here.seen.on_change = None
        end = await here.run(job(MONTH))
        assert exit_code(end.remains) is ExitCode.DONE
        assert here.bought() == 1
        here.assert_all_is_well(job(MONTH))


# --- answers that repeat an id, and creates that answer 503 and are made --------------------------


@pytest.mark.parametrize("made", [True, False], ids=["made", "not made"])
async def test_an_answer_that_repeats_an_id_of_ours_is_no_loop(
    tmp_path: Path, *, made: bool
) -> None:
    again = Fault.of("create", "repeats", made=made, product="SMS", nth=list(range(2, 99)))
    async with stage(tmp_path, with_faults(SMALL, again)) as here:
        end = await here.run(job(QUARTER))
        if made:
            assert exit_code(end.remains) is ExitCode.DONE
            assert here.bought() == 3
            return
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert here.states() == {"collected": 1, "held": 2}
        held = next(report for report in here.reports() if report.state.value == "held")
        assert "which is the name of report 1 already" in held.reason
        assert here.posts() == 3
        for _ in range(10):
            end = await here.run(job(QUARTER))
        assert exit_code(end.remains) is ExitCode.FINDINGS
        assert here.posts() <= 1 + 2 * 10
        assert here.bought() == 1


async def test_creates_that_answer_503_and_are_made_where_no_list_shows_them_are_bounded(
    tmp_path: Path,
) -> None:
    faults = [
        Fault.of("create", "refuse", status=503, made=True, product="SMS"),
        Fault.of("report", "unlisted", product="SMS"),
    ]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        await here.run(job(MONTH))
        assert here.bought() == 3
        for _ in range(5):
            end = await here.run(job(MONTH))
        assert exit_code(end.remains) is ExitCode.FINDINGS
        assert here.bought() <= 10
