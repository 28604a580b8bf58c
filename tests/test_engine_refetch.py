"""`refetch`: each day is collected exactly as often as it should be, whatever nights are missed."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.intervals import Window
from orchestrator.core.keys import ByPeriod
from orchestrator.core.lifecycle import State
from orchestrator.core.model import CalendarWord, Job, Series, Span, Unit
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.core.settings import Limits
from orchestrator.engine.refetch import MAX_FAILED_EDITIONS, early_reports, refetch
from orchestrator.engine.run import run_jobs
from orchestrator.ledger.sqlite import SqliteLedger
from orchestrator.simulator import Fault, Settings
from tests.kit.stage import Stage, job, stage, with_faults
from tests.test_engine_crash import PowerCut, dying

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.core.policy import RunOutcome

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

SMS = Series.of("abcd1234", "SMS", "outbound")
DAILY = Span(1, Unit.DAYS)
DAY = timedelta(days=1)
THREE_DAYS = timedelta(days=3)
SMALL = Settings(records_per_day=3.0)


def nightly(age: timedelta | None = THREE_DAYS) -> Job:
    return replace(job(CalendarWord.YESTERDAY, chunk=DAILY), refetch=age)


async def night(here: Stage, wanted: Job) -> RunOutcome:
    """One run, as the program makes it."""
    async with here.world() as context:
        end = await run_jobs(context, (wanted,), here.clock.now())
        refetched = await refetch(context, (wanted,), end)
    return end.remains if refetched is None else end.remains.and_also(refetched)


def asked_for(here: Stage) -> Counter[Window]:
    """How often each window was bought."""
    return Counter(
        Window(report.request.start, report.request.end)
        for report in here.sim.world.all_reports()
        if report.request.product != "REPORTS-USAGE"
    )


def should_be(here: Stage) -> dict[Window, int]:
    """By the rule: once, and once more if it was younger than three days and is so old now."""
    now = here.clock.now()
    return {
        report.window: 2 if report.window.end + THREE_DAYS <= now else 1
        for report in here.reports()
        if report.edition == 1 and report.intended_at < report.window.end + THREE_DAYS
    } | {
        report.window: 1
        for report in here.reports()
        if report.edition == 1 and report.intended_at >= report.window.end + THREE_DAYS
    }


@pytest.mark.timeout(300)
async def test_a_year_of_nights_with_missed_ones_buys_each_day_as_often_as_it_should(
    tmp_path: Path,
) -> None:
    dice = random.Random(7)
    async with stage(tmp_path, SMALL) as here:
        for _ in range(365):
            if dice.random() > 0.2:  # else nobody was there
                assert exit_code(await night(here, nightly())) is ExitCode.DONE
            here.leap(DAY)
        await night(here, nightly())
        bought = dict(asked_for(here))
        assert bought == should_be(here)
        assert {1, 2} >= set(bought.values())
        assert sum(bought.values()) > 550
        first = min(bought, key=lambda window: window.start).start
        last = max(bought, key=lambda window: window.end).end
        assert here.collected(SMS) == here.truth(SMS, Window(first, last))
        assert here.strays() == []


@pytest.mark.parametrize("seed", range(6))
async def test_crashes_and_a_key_that_comes_and_goes_buy_nothing_twice_too_often(
    tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    async with stage(tmp_path, SMALL) as here:
        for _ in range(40):
            age = dice.choice([None, THREE_DAYS, THREE_DAYS, 2 * THREE_DAYS])
            if dice.random() > 0.3:
                here.ledger_class = dying(dice.randrange(1, 12), after=dice.random() < 0.5)
            try:
                await night(here, nightly(age))
            except* PowerCut:
                pass  # the next night goes on
            finally:
                here.ledger_class = SqliteLedger
            here.leap(DAY)
        for _ in range(12):
            assert not (await night(here, nightly())).needs_person
            here.leap(DAY)
        bought = asked_for(here)
        # Three days and six days: once more for each age, if both were asked for.
        assert max(bought.values()) <= 3
        first = min(bought, key=lambda window: window.start).start
        last = max(bought, key=lambda window: window.end).end
        assert here.collected(SMS) == here.truth(SMS, Window(first, last))
        due = here.clock.now() - THREE_DAYS
        current = [one for one in here.reports() if one.state is State.COLLECTED]
        assert all(
            one.intended_at >= one.window.end + THREE_DAYS
            for one in current
            if one.window.end <= due - DAY
        )


async def test_without_the_key_nothing_is_bought_again(tmp_path: Path) -> None:
    async with stage(tmp_path, SMALL) as here:
        for _ in range(10):
            await night(here, nightly(None))
            here.leap(DAY)
        assert set(asked_for(here).values()) == {1}


async def test_editions_that_come_to_nothing_are_tried_three_times(tmp_path: Path) -> None:
    failing = Fault.of("report", "outcome", status="FAILED", nth=[2, 3, 4, 5, 6, 7])
    settings = with_faults(SMALL, failing)
    async with stage(tmp_path, settings) as here:
        await night(here, nightly())
        here.leap(4 * DAY)
        only_old = replace(nightly(), windows=())
        outcomes, told = [], []
        for _ in range(MAX_FAILED_EDITIONS + 2):
            outcome = await night(here, only_old)
            outcomes.append(exit_code(outcome))
            told.append(outcome.refetch)
            here.leap(timedelta(hours=1))
        words = "newer editions by `refetch`: 1 came to nothing; the old files stay"
        assert told == [words] * MAX_FAILED_EDITIONS + [""] * 2
        assert outcomes == [ExitCode.UNFINISHED] * MAX_FAILED_EDITIONS + [ExitCode.DONE] * 2
        assert here.states()["collected"] == 1


async def test_limits_hold_for_what_is_bought_again(tmp_path: Path) -> None:
    async with stage(tmp_path, SMALL) as here:
        for _ in range(3):
            await night(here, nightly())
            here.leap(DAY)
        here.leap(4 * DAY)
        async with here.world() as context:
            whole = await context.ledger.read(
                lambda reader: early_reports(reader, (nightly(),), here.clock.now())
            )
        assert len(whole.due) == 3
        room = (whole.due[0].current.rows or 0) + (whole.due[1].current.rows or 0)
        limits = Limits(max_records=ByPeriod(room))
        here.config = replace(here.config, limits=limits)
        only_old = replace(nightly(), windows=())
        outcome = await night(here, only_old)
        assert exit_code(outcome) is ExitCode.UNFINISHED
        assert outcome.refetch == (
            "newer editions by `refetch`: 1 without room in the limits; the old files stay"
        )
        assert here.states()["superseded"] == 2
        assert exit_code(await night(here, only_old)) is ExitCode.DONE
        assert here.states()["superseded"] == 3


async def test_the_limit_of_a_run_holds_for_new_and_old_windows_together(tmp_path: Path) -> None:
    async with stage(tmp_path, Settings(records_per_day=60.0)) as here:
        for _ in range(4):
            await night(here, nightly())
            here.leap(DAY)
        most = max(report.rows or 0 for report in here.reports()) * 7 // 4
        here.config = replace(here.config, limits=Limits(max_records=ByPeriod(most)))
        before = {report.id for report in here.reports()}
        assert exit_code(await night(here, nightly())) is ExitCode.UNFINISHED
        bought = [report.rows or 0 for report in here.reports() if report.id not in before]
        assert most // 4 < sum(bought) <= most
