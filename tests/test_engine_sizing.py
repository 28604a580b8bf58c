"""Runs whose chunks are sized by rows, and runs that may ask for so many records only."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.keys import ByPeriod
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Series
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.core.settings import Limits
from orchestrator.simulator import Fault, Settings
from tests.kit.ledgers import span
from tests.kit.stage import Stage, between, job, stage, with_faults

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.core.model import Job, Report

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

QUARTER = between("2025-11-01", "2026-02-01")
NEWEST = span("2026-01-31", "2026-02-01")
SMS = Series.of("abcd1234", "SMS", "outbound")


def sized(one: Job, target_rows: int) -> Job:
    return replace(one, target_rows=target_rows)


def by_intent(here: Stage) -> list[Report]:
    return sorted(here.reports(), key=lambda report: report.id)


async def test_a_day_comes_first_and_alone_then_the_rest_is_sized(tmp_path: Path) -> None:
    """No report is truncated, where months would be: a file here holds 200 records."""
    async with stage(tmp_path, Settings(records_per_day=20.0, max_rows=200)) as here:
        wanted = sized(job(QUARTER), 200)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(wanted)
        first, *others = by_intent(here)
        assert first.window == NEWEST
        assert first.changed_at is not None
        assert all(one.intended_at >= first.changed_at for one in others)
        assert here.states().keys() == {"collected"}
        assert len(others) > 10


async def test_the_same_job_without_a_target_is_truncated(tmp_path: Path) -> None:
    """The other side of the test above: the sizes there are what helps."""
    async with stage(tmp_path, Settings(records_per_day=20.0, max_rows=200)) as here:
        await here.run(job(QUARTER))
        assert here.states()["truncated"] >= 3


async def test_what_was_collected_before_sizes_the_chunks_without_a_probe(tmp_path: Path) -> None:
    async with stage(tmp_path, Settings(records_per_day=20.0, max_rows=200)) as here:
        await here.run(sized(job(between("2026-01-01", "2026-02-01"), name="one"), 200))
        known = len(here.reports())
        await here.run(sized(job(between("2025-11-01", "2026-01-01"), name="two"), 200))
        bought = by_intent(here)[known:]
        assert max(one.window.length.days for one in bought) > 1
        assert [one.window.start for one in bought] == sorted(one.window.start for one in bought)
        assert here.states().keys() == {"collected"}


async def test_other_accounts_of_the_same_kind_spare_the_probe(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        await here.run(job(between("2026-01-01", "2026-02-01")))
        other = Series.of("ef567890", "SMS", "outbound")
        wanted = sized(job(between("2026-01-01", "2026-02-01"), series=(other,), name="two"), 5000)
        await here.run(wanted)
        assert [one.window.length.days for one in by_intent(here)] == [31, 31]


async def test_a_probe_that_fails_three_times_leaves_its_series_alone(tmp_path: Path) -> None:
    fails = Fault.of("report", "outcome", status="FAILED")
    async with stage(tmp_path, with_faults(Settings(records_per_day=1.0), fails)) as here:
        end = await here.run(sized(job(QUARTER), 5000))
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert here.states() == {"failed": 3}
        assert {one.window for one in here.reports()} == {NEWEST}


async def test_a_probe_that_never_ends_is_waited_for_once(tmp_path: Path) -> None:
    """Not day after day for six hours each: the next run goes on."""
    stuck = Fault.of("report", "stuck")
    async with stage(tmp_path, with_faults(Settings(records_per_day=1.0), stuck)) as here:
        end = await here.run(sized(job(QUARTER), 5000))
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert here.states() == {"submitted": 1}


# --- limits.max_records ---------------------------------------------------------------------------


async def test_a_run_stops_before_it_asks_for_too_much(tmp_path: Path) -> None:
    """About 20 records a day; 400 a run: each run goes on, none asks for much more, all ends."""
    async with stage(
        tmp_path, Settings(records_per_day=20.0), limits=Limits(max_records=ByPeriod(600))
    ) as here:
        wanted = job(QUARTER)
        before = 0
        ends = []
        for _ in range(12):  # the point of the test: run after run
            end = await here.run(wanted)
            ends.append(exit_code(end.remains))
            rows = sum(one.rows or 0 for one in here.reports())
            assert rows - before <= 600 * 1.1
            before = rows
            if ends[-1] is ExitCode.DONE:
                break
            assert end.stopped.startswith("limits.max_records is 600, ")
        assert ends[-1] is ExitCode.DONE
        assert ends[0] is ExitCode.UNFINISHED
        here.assert_all_is_well(wanted)


async def test_the_limit_is_one_for_all_keys(tmp_path: Path) -> None:
    async with stage(
        tmp_path, Settings(records_per_day=20.0), limits=Limits(max_records=ByPeriod(300))
    ) as here:
        other = Series.of("beta0001", "SMS", "inbound")
        one = job(QUARTER, name="one")
        two = job(QUARTER, name="two", series=(other,), credentials="beta")
        end = await here.run(one, two)
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert sum(report.rows or 0 for report in here.reports()) <= 330
        (note,) = [note for note in here.seen.notes if "max_records" in note]
        assert note.startswith("warning: not everything is asked for: limits.max_records is 300, ")


async def test_what_is_free_does_not_count(tmp_path: Path) -> None:
    async with stage(tmp_path, limits=Limits(max_records=ByPeriod(1))) as here:
        free = job(QUARTER, series=(Series.of("abcd1234", "REPORTS-USAGE"),))
        end = await here.run(free)
        assert exit_code(end.remains) is ExitCode.DONE


async def test_a_report_that_failed_gives_its_records_back(tmp_path: Path) -> None:
    settings = with_faults(
        Settings(records_per_day=20.0), Fault.of("report", "outcome", status="FAILED", nth=[2, 3])
    )
    async with stage(tmp_path, settings, limits=Limits(max_records=ByPeriod(5000))) as here:
        end = await here.run(job(QUARTER))
        assert exit_code(end.remains) is ExitCode.DONE
        assert end.stopped == ""
        assert State.FAILED in {one.state for one in here.reports()}
