"""What a run, a day and a month may ask for, in records and in money; counted at the bill."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import anyio
import pytest

from orchestrator.core.intervals import Window
from orchestrator.core.keys import ByPeriod
from orchestrator.core.model import Series
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.core.settings import Limits, Prices
from orchestrator.simulator import Settings
from tests.kit.stage import NOW, Stage, between, job, stage, utc

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.core.model import Job

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

ACCOUNTS = ("abcd1234", "ef567890", "cafe0002", "cafe0003")
PRODUCTS = (
    "VERIFY-API",
    "NUMBER-INSIGHT",
    "VOICE-CALL",
    "VERIFY-V2",
    "NUMBER-INSIGHT-V2",
    "AMD",
    "VOICE-TTS",
    "IN-APP-VOICE",
    "WEBSOCKET-CALL",
    "ASR",
    "CONVERSATION-EVENT",
    "CONVERSATION-MESSAGE",
    "NETWORK-API-EVENT",
    "SMS-TRAFFIC-CONTROL",
    "VOICE-FAILED",
)
SIXTY = tuple(Series.of(account, product) for account in ACCOUNTS for product in PRODUCTS)
SMS = Series.of("abcd1234", "SMS", "outbound")
QUARTER = between("2025-11-01", "2026-02-01")
MONTH = between("2026-01-01", "2026-02-01")
HOUR = timedelta(hours=1)


def charged(here: Stage) -> int:
    return here.sim.world.charged()


def newest_hour(here: Stage, *several: Series) -> int:
    """The records of the smallest chunk of each series: what may be asked for unseen."""
    hour = Window(utc("2026-02-01") - HOUR, utc("2026-02-01"))
    return sum(here.truth(series, hour).rows for series in several)


async def test_sixty_series_of_which_nothing_is_known_stay_within_ten_thousand(
    tmp_path: Path,
) -> None:
    """It was 172,800."""
    limits = Limits(max_records=ByPeriod(10_000))
    async with stage(tmp_path, Settings(records_per_day=2880.0), limits=limits) as here:
        end = await here.run(job(MONTH, series=SIXTY))
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert 2_000 < charged(here) <= 10_000
        assert end.stopped.startswith("limits.max_records is 10,000, ")


async def test_a_hundred_are_a_hundred(tmp_path: Path) -> None:
    """It was 173."""
    settings = Settings(records_per_day=173.0)
    async with stage(tmp_path, settings, limits=Limits(max_records=ByPeriod(100))) as here:
        await here.run(job(MONTH, series=(SMS,)))
        assert 0 < charged(here) <= 100


async def until_done(here: Stage, wanted: Job, most: int) -> list[int]:
    """What each run has bought, until one exits 0."""
    bought = []
    for _ in range(most):
        before = charged(here)
        end = await here.run(wanted)
        bought.append(charged(here) - before)
        if exit_code(end.remains) is ExitCode.DONE:
            return bought
    return bought


async def test_five_runs_of_a_day_spend_one_budget(tmp_path: Path) -> None:
    """Run until it exits 0: it was five budgets."""
    limits = Limits(max_records=ByPeriod(600, 600))
    async with stage(tmp_path, Settings(records_per_day=20.0), limits=limits) as here:
        wanted = job(QUARTER)
        bought = await until_done(here, wanted, 5)
        assert sum(bought) <= 600
        end = await here.run(wanted)
        assert "limits.max_records" in end.stopped
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        await anyio.sleep(timedelta(days=1).total_seconds())
        (next_day,) = await until_done(here, wanted, 1)
        assert 300 < next_day <= 660


async def test_a_month_has_its_own_bound(tmp_path: Path) -> None:
    limits = Limits(max_records=ByPeriod(day=400, month=700))
    async with stage(tmp_path, Settings(records_per_day=20.0), limits=limits) as here:
        for _ in range(5):
            await here.run(job(QUARTER))
            await anyio.sleep(timedelta(days=1).total_seconds())
        assert 500 < charged(here) <= 770


async def test_a_clock_that_is_wrong_gives_no_second_budget(tmp_path: Path) -> None:
    """Days are those of the API's clock; ours is a day ahead, then two behind."""
    limits = Limits(max_records=ByPeriod(day=300))
    async with stage(tmp_path, Settings(records_per_day=20.0), limits=limits) as here:
        right = here.clock
        for wrong in (timedelta(), timedelta(days=1), timedelta(days=-2)):
            here.clock = Shifted(right, wrong)  # type: ignore[assignment]
            await here.run(job(QUARTER))
        assert charged(here) <= 330


class Shifted:
    """A clock that is wrong."""

    def __init__(self, right: object, by: timedelta) -> None:
        self._right = right
        self._by = by

    def now(self) -> object:
        return self._right.now() + self._by  # type: ignore[attr-defined]


async def test_money_is_bounded_by_the_price_of_each_product(tmp_path: Path) -> None:
    limits = Limits(max_cost=ByPeriod(Decimal(2)))
    async with stage(tmp_path, Settings(records_per_day=50.0), limits=limits) as here:
        prices = Prices(Decimal("0.001"), {"SMS": Decimal("0.01")}, "EUR")
        here.config = replace(here.config, prices=prices)
        other = Series.of("abcd1234", "VERIFY-API")
        end = await here.run(job(QUARTER, series=(SMS, other)))
        cost = sum(
            (prices.of(one.product) or Decimal(0)) * one.charged for one in here.sim.world.bill()
        )
        assert Decimal(1) < cost <= Decimal("2.2")
        assert end.stopped.startswith("limits.max_cost is 2.00 EUR, ")


async def test_what_is_open_counts_in_the_next_run(tmp_path: Path) -> None:
    """Asked for and not there yet: its upper estimate is spent."""
    settings = Settings(records_per_day=20.0)
    async with stage(tmp_path, settings, limits=Limits(max_records=ByPeriod(day=400))) as here:
        await here.run(job(between("2026-01-20", "2026-02-01")))
        seen = charged(here)
        slow = replace(settings, processing_time=timedelta(days=2))
        here.sim.world.settings = slow
        bought = await until_done(here, job(QUARTER), 3)
        assert seen + sum(bought) <= 440


# --- over many seeds ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
async def test_no_run_goes_beyond_its_budget(tmp_path: Path, seed: int) -> None:
    """Without history: by one smallest chunk of each unknown series at most; with it: by a tenth.

    Some series, some of them known, of any density; the next run, with history, goes on.
    """
    drawn = random.Random(seed)
    several = tuple(drawn.sample(SIXTY, drawn.choice([1, 2, 5, 12])))
    factors = {one.product: drawn.choice([0.0, 0.1, 1.0, 5.0, 30.0]) for one in several}
    settings = Settings(
        seed=seed, records_per_day=drawn.choice([5.0, 40.0, 200.0]), product_factors=factors
    )
    most = drawn.choice([100, 1_000, 5_000])
    async with stage(tmp_path, settings, limits=Limits(max_records=ByPeriod(most))) as here:
        wanted = job(MONTH, series=several)
        first, *later = await until_done(here, wanted, 4)
        assert first <= most * 1.1 + newest_hour(here, *several)
        assert all(one <= most * 1.1 + newest_hour(here, *several) for one in later)
        assert here.sim.world.paid_twice() == {}


@pytest.mark.parametrize("seed", [3, 5, 12, 21, 25, 33, 41, 57])
async def test_with_history_no_run_goes_beyond_by_more_than_a_tenth(
    tmp_path: Path, seed: int
) -> None:
    drawn = random.Random(seed)
    several = tuple(drawn.sample(SIXTY, drawn.choice([1, 3, 10])))
    factors = {one.product: drawn.choice([0.1, 1.0, 5.0]) for one in several}
    settings = Settings(seed=seed, records_per_day=100.0, product_factors=factors)
    most = drawn.choice([500, 2_000, 20_000])
    async with stage(tmp_path, settings) as here:
        await here.run(job(between("2026-01-18", "2026-02-01"), series=several, name="known"))
        here.config = replace(here.config, limits=Limits(max_records=ByPeriod(most)))
        bought = await until_done(here, job(QUARTER, series=several), 3)
        assert max(bought) <= most * 1.1
        rest = Window(QUARTER.start, utc("2026-01-18"))
        wanted = sum(here.truth(one, rest).rows for one in several)
        assert sum(bought) >= min(wanted, most * len(bought)) * 0.5, "and most of it is used"


async def test_now_is_what_the_tests_above_believe() -> None:
    assert utc("2026-03-01") + timedelta(hours=12) == NOW
