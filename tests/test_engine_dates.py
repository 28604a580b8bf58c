"""422 for the dates of a window: what could be had is had, with few refused creates."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from orchestrator.core.intervals import Window, union
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Series, Span, Unit
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.engine import resolve
from orchestrator.simulator import Fault, Settings
from tests.kit.stage import NOW, Stage, between, job, stage, utc, with_faults

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.engine.run import RunEnd

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

SMS = Series.of("abcd1234", "SMS", "outbound")
SMALL = Settings(records_per_day=1.0)
EDGE = NOW - timedelta(days=396)  # 2025-01-29T12:00: about thirteen months


def limited(**how: object) -> Fault:
    return Fault.of("create", "range", **how)


def had(here: Stage) -> tuple[Window, ...]:
    return union(one.window for one in here.reports() if one.state is State.COLLECTED)


def refused(here: Stage) -> int:
    return here.states().get("absent", 0)


def given_up(end: RunEnd) -> tuple[Window, ...]:
    return union(one.window for series in end.unsettled for one in series.given_up)


@pytest.mark.parametrize("words", ["parameters", "start", "detail", "title"])
async def test_a_month_over_the_border_is_had_from_the_border_on(
    tmp_path: Path, words: str
) -> None:
    """Three of its months lie before it, and are given up month by month: the API refuses them.

    It was: the whole month of the border is given up, though half of it is there.
    """
    faults = with_faults(SMALL, limited(oldest=396, words=words))
    async with stage(tmp_path, faults) as here:
        wanted = job(between("2024-10-01", "2025-06-01"))
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.FINDINGS
        ((start, last),) = [(one.start, one.end) for one in had(here)]
        assert last == utc("2025-06-01")
        assert EDGE <= start <= EDGE + timedelta(days=1)
        assert given_up(end) == (Window(utc("2024-10-01"), start),)
        assert refused(here) <= 20
        assert here.sim.world.paid_twice() == {}


async def test_a_border_that_nobody_knows_of_is_found_to_the_day(tmp_path: Path) -> None:
    """The API keeps a hundred days, where its documents say thirteen months."""
    async with stage(tmp_path, with_faults(SMALL, limited(oldest=100))) as here:
        end = await here.run(job(between("2025-11-01", "2026-02-01")))
        border = NOW - timedelta(days=100)
        ((one),) = had(here)
        assert border <= one.start <= border + timedelta(days=1)
        assert given_up(end) == (Window(utc("2025-11-01"), one.start),)


@pytest.mark.parametrize("words", ["parameters", "start", "detail"])
async def test_a_range_too_long_costs_a_few_refused_creates_and_nothing_else(
    tmp_path: Path, words: str
) -> None:
    async with stage(tmp_path, with_faults(SMALL, limited(longest=31, words=words))) as here:
        wanted = job(between("2025-02-10", "2026-02-01"), chunk=Span(13, Unit.MONTHS))
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)
        assert refused(here) <= 6


async def test_what_one_chunk_taught_of_lengths_holds_for_the_others(tmp_path: Path) -> None:
    """A year of weeks, and a day is all that the API takes: not each week is tried in vain."""
    async with stage(tmp_path, with_faults(SMALL, limited(longest=1))) as here:
        here.config = replace(here.config, limits=replace(here.config.limits, in_flight=4))
        wanted = job(between("2025-10-01", "2026-02-01"), chunk=Span(1, Unit.WEEKS))
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(wanted)
        assert refused(here) <= 20


async def test_a_border_and_a_longest_range_together(tmp_path: Path) -> None:
    faults = with_faults(SMALL, limited(oldest=396, longest=20))
    async with stage(tmp_path, faults) as here:
        end = await here.run(job(between("2024-12-01", "2025-06-01"), chunk=Span(3, Unit.MONTHS)))
        (one,) = had(here)
        assert EDGE <= one.start <= EDGE + timedelta(days=1)
        assert one.end == utc("2025-06-01")
        assert given_up(end) == (Window(utc("2024-12-01"), one.start),)


async def test_where_no_dates_pass_the_series_is_left_and_nothing_given_up(tmp_path: Path) -> None:
    async with stage(tmp_path, with_faults(SMALL, limited(longest=0))) as here:
        wanted = job(between("2025-02-10", "2026-02-01"))
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.FINDINGS
        assert refused(here) <= 220
        (one,) = end.unsettled
        assert one.refused is not None


async def test_the_how_to_followed_to_the_letter_when_it_is_too_old(tmp_path: Path) -> None:
    """`resolve 17 --waive` for each that is given up: exit 0, and nothing lost that was there."""
    async with stage(tmp_path, with_faults(SMALL, limited(oldest=396))) as here:
        wanted = job(between("2024-12-01", "2025-06-01"))
        end = await here.run(wanted)
        numbers = {one.report_id for series in end.unsettled for one in series.given_up}
        async with here.world() as world:
            for report in here.reports():
                if report.id in numbers:
                    await resolve.waive(report, world.ledger)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE
        (one,) = had(here)
        assert one.start <= EDGE + timedelta(days=1)
        assert one.end == utc("2025-06-01")


async def test_the_how_to_followed_to_the_letter_when_the_job_was_wrong(tmp_path: Path) -> None:
    """Refused for something else: mend the job, `run --retry-failed`. It lost six months."""
    refusing = replace(limited(oldest=30), until=600.0)
    async with stage(tmp_path, with_faults(SMALL, refusing)) as here:
        half_year = between("2025-08-01", "2026-02-01")
        end = await here.run(job(half_year, chunk=Span(6, Unit.MONTHS)))
        assert exit_code(end.remains) is ExitCode.FINDINGS
        assert given_up(end)
        await anyio.sleep(600)
        mended = job(half_year)
        end = await here.run(mended, retry_failed=True)
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(mended)
