"""Purchases are bounded in every mode, whatever the API answers; counted at the simulator."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import anyio
import pytest

from orchestrator.core import attempts
from orchestrator.core.model import Series
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.core.settings import ApiSettings, OnTimeout, OnUnknown, PollPolicy
from orchestrator.simulator import Fault, Settings
from tests.kit.stage import Stage, between, job, stage, with_faults

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.core.model import Job

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

JANUARY = between("2026-01-01", "2026-02-01")
SMS = Series.of("abcd1234", "SMS", "outbound")
FORTY = tuple(
    Series.of(account, "SMS", direction, {"country": country})
    for account in ("abcd1234", "ef567890", "cafe0002", "cafe0003")
    for direction in ("inbound", "outbound")
    for country in ("DE", "FR", "GB", "NO", "SE")
)
DAY = Settings(records_per_day=1.0)


def always(**how: object) -> Fault:
    return Fault.of("report", "truncated", **how)


async def runs(here: Stage, wanted: Job, number: int) -> list[int]:
    """So many runs, an hour apart; what the API was asked to make in each."""
    bought = [0]
    for _ in range(number):
        await here.run(wanted)
        bought.append(here.bought())
        await anyio.sleep(3600)
    return [later - sooner for sooner, later in pairwise(bought)]


def believing(here: Stage, file_records: int) -> None:
    """As if the API's files held so many records."""
    here.config = replace(here.config, api=replace(here.config.api, file_records=file_records))


def states(here: Stage) -> Counter[str]:
    return Counter(report.state.value for report in here.reports())


async def test_a_window_that_is_always_truncated_is_given_up_after_twelve(tmp_path: Path) -> None:
    """It was 187 reports in an hour."""
    async with stage(tmp_path, with_faults(DAY, always())) as here:
        believing(here, 10)
        wanted = job(JANUARY)
        assert await runs(here, wanted, 3) == [12, 0, 0]
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.FINDINGS
        ((one,),) = [series.given_up for series in end.unsettled]
        assert one.reason == (
            "12 reports of it were truncated, and none inside it was complete; ask the vendor why, "
            "or make `chunk` of the job smaller"
        )


@pytest.mark.timeout(180)
async def test_so_are_those_of_forty_series(tmp_path: Path) -> None:
    """It was 5,880 in an hour. In one run only so many are truncated again, of all together."""
    async with stage(tmp_path, with_faults(DAY, always(rows=3))) as here:
        believing(here, 1)
        bought = await runs(here, job(JANUARY, series=FORTY), 6)
        assert max(bought) <= attempts.MAX_TRUNCATED_A_RUN + len(FORTY), "and each once before"
        assert sum(bought) <= len(FORTY) * attempts.MAX_TRUNCATED
        assert bought[-1] == 0


async def test_where_every_other_one_is_truncated_a_person_decides_in_the_end(
    tmp_path: Path,
) -> None:
    """It was 7,000 in an hour."""
    faults = with_faults(DAY, always(rows=3, every=2), always(rows=3, first=1))
    async with stage(tmp_path, faults) as here:
        believing(here, 1)
        wanted = job(JANUARY)
        bought = await runs(here, wanted, 5)
        cut = states(here)["truncated"]
        assert cut <= attempts.MAX_TRUNCATED_A_SERIES + 1
        assert bought[-1] == 0
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.FINDINGS


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        pytest.param({}, "though it has 18 records and a file holds about 7,000,000", id="few"),
        pytest.param(
            {"counted": False}, "though it has 18 records and a file holds", id="by its file alone"
        ),
    ],
)
async def test_a_report_truncated_with_few_records_is_disputed(
    tmp_path: Path, how: dict[str, bool], reason: str
) -> None:
    async with stage(tmp_path, with_faults(DAY, always(**how))) as here:
        believing(here, ApiSettings().file_records)
        wanted = job(JANUARY)
        assert await runs(here, wanted, 2) == [1, 0]
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.FINDINGS
        ((one,),) = [series.disputed for series in end.unsettled]
        assert reason in one.reason
        assert [path.suffix for path in (here.output / ".aside").iterdir()].count(".csv") == 1


async def test_a_report_truncated_without_count_and_file_is_disputed(tmp_path: Path) -> None:
    faults = with_faults(DAY, always(counted=False), Fault.of("download", "refuse", status=404))
    async with stage(tmp_path, faults) as here:
        assert await runs(here, job(JANUARY), 2) == [1, 0]
        (one,) = here.reports()
        assert one.state.value == "disputed"
        assert "no count of its records" in one.reason


async def test_thirteen_dense_months_cost_one_truncated_report_each(tmp_path: Path) -> None:
    """What one month has taught holds for the others: no quarter of them is asked for."""
    async with stage(tmp_path, Settings(records_per_day=10.0, max_rows=45)) as here:
        wanted = job(between("2025-02-01", "2026-02-01"))
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        assert states(here)["truncated"] <= 14
        assert here.collected(SMS) == here.truth(
            SMS,
            replace(
                here.reports()[0].window,
                start=JANUARY.start.replace(year=2025, month=2),
                end=JANUARY.end or JANUARY.start,
            ),
        )


# --- creates without an end -----------------------------------------------------------------------


async def test_creates_that_fail_and_are_made_all_the_same_are_bounded(tmp_path: Path) -> None:
    """Answered by 5xx, made, and hidden from lists that show others: it was 143 in a day."""
    other = Series.of("abcd1234", "VERIFY-API")
    faults = with_faults(
        DAY,
        Fault.of("create", "refuse", status=503, made=True, product="SMS"),
        Fault.of("report", "unlisted", product="SMS"),
    )
    async with stage(tmp_path, faults) as here:
        wanted = job(JANUARY, series=(other, SMS))
        bought = await runs(here, wanted, 24)
        of_it = [one for one in here.sim.world.all_reports() if one.request.product == "SMS"]
        assert len(of_it) <= attempts.MAX_FAILED + 1, "eight, and one for each half"
        assert max(bought) <= attempts.MAX_FAILED_A_RUN + 1
        assert bought[-1] == 0


async def test_on_unknown_resubmit_is_bounded_too(tmp_path: Path) -> None:
    """Lists say nothing: it bought one day 13 times in 40 seconds."""
    faults = with_faults(
        DAY, Fault.of("create", "refuse", status=503, made=True), Fault.of("list", "empty")
    )
    async with stage(tmp_path, faults) as here:
        here.config = replace(here.config, on_unknown=OnUnknown.RESUBMIT)
        bought = await runs(here, job(between("2026-01-01", "2026-01-02")), 8)
        assert max(bought) <= attempts.MAX_FAILED_A_RUN + 1
        assert sum(bought) <= attempts.MAX_FAILED + 1
        assert bought[-1] == 0


async def test_on_timeout_replace_is_bounded_too(tmp_path: Path) -> None:
    poll = PollPolicy(timeout=timedelta(minutes=30), on_timeout=OnTimeout.REPLACE)
    async with stage(tmp_path, with_faults(DAY, Fault.of("report", "stuck")), poll=poll) as here:
        bought = await runs(here, job(JANUARY), 5)
        assert max(bought) <= attempts.MAX_FAILED_A_RUN + 1
        assert sum(bought) <= attempts.MAX_FAILED + 1
        assert bought[-1] == 0


async def test_answers_that_repeat_an_id_of_ours_are_bounded(tmp_path: Path) -> None:
    """It was 36."""
    other = Series.of("abcd1234", "VERIFY-API")
    faults = with_faults(DAY, Fault.of("create", "repeats", product="SMS", made=False))
    async with stage(tmp_path, faults) as here:
        await here.run(job(JANUARY, series=(other,), name="first"))
        creates = here.posts()
        await runs(here, job(JANUARY), 12)
        assert here.posts() - creates <= attempts.MAX_FAILED + 1


# --- by the order of events -----------------------------------------------------------------------


async def test_retry_failed_while_the_clock_is_a_month_ahead(tmp_path: Path) -> None:
    """Failures count again once the clock is right: it was three reports a run for ever."""
    failing = with_faults(DAY, Fault.of("report", "outcome", status="FAILED"))
    async with stage(tmp_path, failing) as here:
        wanted = job(JANUARY)
        month = timedelta(days=30)
        clock = here.clock
        here.clock = Ahead(clock, month)  # type: ignore[assignment]
        await here.run(wanted, retry_failed=True)
        here.clock = clock
        bought = await runs(here, wanted, 6)
        assert sum(bought) <= attempts.MAX_FAILED + 1
        assert bought[-1] == 0


class Ahead:
    """A clock that is wrong."""

    def __init__(self, right: object, by: timedelta) -> None:
        self._right = right
        self._by = by

    def now(self) -> object:
        return self._right.now() + self._by  # type: ignore[attr-defined]
