"""The order of work: what takes longest first within an account, by what was collected before."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from orchestrator.core.durations import DurationModel, ReportDuration
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Series, Span, Unit
from orchestrator.core.settings import Limits
from orchestrator.engine.drain import Drain
from orchestrator.engine.forecast import Forecast
from orchestrator.ledger.sqlite import connect
from orchestrator.ledger.store import Store
from orchestrator.simulator import Settings
from tests.kit.stage import between, job, stage, utc

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.core.lifecycle import Event
    from orchestrator.core.model import Report
    from tests.kit.stage import Stage

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

SHORT = Series.of("abcd1234", "SMS", "inbound")
LONG = Series.of("abcd1234", "SMS", "outbound")
NEW = Series.of("abcd1234", "VERIFY-API")
OTHER = Series.of("ef567890", "SMS", "outbound")
PACE = DurationModel(
    {"SMS": [ReportDuration(rows, 10 + rows / 100) for rows in range(0, 2000, 100)]}
)


def order(*asked: Series, record_rates: dict[str, float]) -> list[Series]:
    entries = [(whole, entry, ()) for whole in [job(series=asked)] for entry in whole.series]
    found = Forecast(record_rates, PACE).longest_first(entries)
    return [entry.series for _, entry, _ in found]


def test_the_longest_come_first_within_an_account_and_accounts_keep_their_order() -> None:
    record_rates = {SHORT.key: 0.001, LONG.key: 0.1, OTHER.key: 5.0}
    assert order(SHORT, LONG, OTHER, record_rates=record_rates) == [LONG, SHORT, OTHER]


def test_what_nobody_knows_may_be_the_longest() -> None:
    record_rates = {SHORT.key: 0.001, LONG.key: 0.1}
    assert order(SHORT, LONG, NEW, record_rates=record_rates) == [NEW, LONG, SHORT]


def test_without_a_history_the_order_is_that_of_the_file() -> None:
    assert order(SHORT, NEW, LONG, record_rates={}) == [SHORT, NEW, LONG]


def test_a_target_of_rows_bounds_what_a_report_takes() -> None:
    whole = replace(job(series=(SHORT, LONG)), target_rows=10)
    entries = [(whole, entry, ()) for entry in whole.series]
    found = Forecast({SHORT.key: 0.1, LONG.key: 5.0}, PACE).longest_first(entries)
    assert [entry.series for _, entry, _ in found] == [SHORT, LONG]


async def test_a_run_learns_the_order_from_the_ledger(tmp_path: Path) -> None:
    settings = Settings(
        records_per_day=2.0,
        product_factors={"VERIFY-API": 30.0},
        processing_time_per_row=timedelta(milliseconds=50),
    )
    both = (LONG, NEW)  # by the file's order VERIFY-API, with thirty times the records, is last
    async with stage(tmp_path, settings, limits=Limits(in_flight=2)) as here:
        await here.run(job(between("2025-01-01", "2025-03-01"), series=both))
        submitted: list[str] = []

        def note(report: Report, _event: Event | None) -> None:
            if report.state is State.SUBMITTED:
                submitted.append(report.series.product)

        here.seen.on_change = note
        await here.run(job(between("2025-03-01", "2025-05-01"), series=both))
        assert submitted == ["VERIFY-API", "VERIFY-API", "SMS", "SMS"]
        here.assert_all_is_well(job(between("2025-01-01", "2025-05-01"), series=both))


async def test_densities_are_of_what_was_collected(tmp_path: Path) -> None:
    async with stage(tmp_path, Settings(records_per_day=24.0)) as here:
        await here.run(job(between("2025-01-01", "2025-01-11"), chunk=Span(1, Unit.DAYS)))
        found = record_rates(here, LONG, SHORT)
        rows = sum(report.rows or 0 for report in here.reports())
        days = (utc("2025-01-11") - utc("2025-01-01")).total_seconds()
        assert found == {LONG.key: pytest.approx(rows / days)}


def record_rates(here: Stage, *series: Series) -> dict[str, float]:
    connection = connect(here.config.state, read_only=True)
    try:
        return Store(connection).histories().record_rates(series)
    finally:
        connection.close()


async def test_what_an_earlier_run_left_open_is_looked_at_at_once(tmp_path: Path) -> None:
    """However young it is: it may have ended in the very moment in which that run was killed."""
    year = job(between("2025-01-01", "2026-01-01"))
    async with stage(tmp_path, Settings(records_per_day=1.0)) as here:
        drain = Drain()

        def stop(report: Report, _event: Event | None) -> None:
            if report.state is State.SUBMITTED and report.id == 5:
                drain.begin(15)

        here.seen.on_change = stop
        await here.run(year, drain=drain)
        assert here.states()["submitted"] == 5
        here.seen.on_change = None
        begun = anyio.current_time()
        await here.run(year)
        first = next(at for at, _, place in here.sim.call_times if at > begun and place == "list")
        assert first - begun < 3.0  # behind the creates of the rest
        here.assert_all_is_well(year)
