"""Creates of which nobody knows whether they happened: adopted, absent, held."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.model import Series
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.core.settings import OnUnknown, PollPolicy
from orchestrator.simulator import Fault, Settings
from tests.kit.stage import between, job, stage, with_faults

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

MONTH = between("2026-01-01", "2026-02-01")
QUARTER = between("2025-11-01", "2026-02-01")
SMALL = Settings(records_per_day=1.0)


async def test_a_lone_create_that_was_made_is_adopted(tmp_path: Path) -> None:
    async with stage(
        tmp_path, with_faults(SMALL, Fault.of("create", "reset", made=True, nth=1))
    ) as here:
        end = await here.run(job(MONTH))
        assert exit_code(end.remains) is ExitCode.DONE
        assert len(here.sim.world.reports()) == 1
        here.assert_all_is_well(job(MONTH))


async def test_a_lone_create_that_was_not_made_is_proved_absent_by_a_free_report(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, with_faults(SMALL, Fault.of("create", "reset", nth=1))) as here:
        end = await here.run(job(MONTH))
        assert exit_code(end.remains) is ExitCode.DONE
        assert here.states() == {"absent": 1, "collected": 1}
        assert here.bought() == 1
        assert len(here.sim.world.reports()) == 2
        here.assert_all_is_well(job(MONTH))


async def test_where_the_free_report_is_refused_it_is_held_and_a_person_is_told_at_once(
    tmp_path: Path,
) -> None:
    faults = [
        Fault.of("create", "reset", product="SMS", nth=1),
        Fault.of("create", "refuse", status=403, product="REPORTS-USAGE"),
    ]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        end = await here.run(job(MONTH))
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        (report,) = here.reports()
        assert report.state.value == "held"
        assert "refuses a free REPORTS-USAGE report" in report.reason
        assert "orchestrator" not in report.reason, "commands name a config, which may move"
        assert here.bought() == 0
        (note,) = [note for note in here.seen.notes if "cannot be proved" in note]
        for way in ("--adopt REQUEST_ID", "--waive", "--resubmit"):
            assert f"`orchestrator resolve 1 {way}`" in note

        # Another month brings a report that the list shows: now what it lacks is absent.
        end = await here.run(job(QUARTER))
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(job(QUARTER))


async def test_a_held_report_is_given_up_after_three_days_and_a_last_look(tmp_path: Path) -> None:
    faults = [
        Fault.of("create", "reset", nth=1),
        Fault.of("list", "refuse", status=403),
    ]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        await here.run(job(MONTH))
        here.leap(timedelta(hours=71))
        assert exit_code((await here.run(job(MONTH))).remains) is ExitCode.UNFINISHED
        here.leap(timedelta(hours=2))
        looks = here.sim.calls["list"]
        end = await here.run(job(MONTH))
        assert here.sim.calls["list"] > looks
        assert exit_code(end.remains) is ExitCode.FINDINGS
        ((one,),) = [series.given_up for series in end.unsettled]
        assert one.reason.startswith("unknown, maybe paid: looked for in vain for 72 hours")
        assert here.bought() == 0


async def test_the_last_look_may_find_it_after_all(tmp_path: Path) -> None:
    faults = [
        Fault.of("create", "reset", made=True, product="SMS", nth=1),
        Fault.of("create", "refuse", status=403, product="REPORTS-USAGE"),
        Fault.of("list", "late", seconds=72.5 * 3600),
    ]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        await here.run(job(MONTH))
        assert here.states() == {"held": 1}
        here.leap(timedelta(hours=73))
        await here.run(job(MONTH))
        (report,) = here.reports()
        assert report.request_id == here.sim.world.reports()[0].request_id
        assert here.bought() == 1


async def test_a_list_that_is_refused_proves_nothing(tmp_path: Path) -> None:
    faults = [
        Fault.of("create", "reset", made=True, nth=2),
        Fault.of("list", "refuse", status=403),
    ]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        end = await here.run(job(QUARTER))
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert here.states() == {"collected": 2, "held": 1}
        held = next(report for report in here.reports() if report.state.value == "held")
        assert "the API's list cannot be had" in held.reason
        assert len(here.sim.world.reports()) == 3


async def test_absence_is_believed_after_three_looks_over_ten_intervals(tmp_path: Path) -> None:
    async with stage(tmp_path, with_faults(SMALL, Fault.of("create", "reset", nth=2))) as here:
        await here.run(job(QUARTER))
        absent = next(report for report in here.reports() if report.state.value == "absent")
        assert absent.changed_at is not None
        assert absent.changed_at - absent.intended_at >= timedelta(minutes=10)
        here.assert_all_is_well(job(QUARTER))


async def test_a_report_that_the_list_shows_late_is_adopted_not_bought_again(
    tmp_path: Path,
) -> None:
    faults = [
        Fault.of("create", "reset", made=True, nth=3),
        Fault.of("list", "lacks", newest=1, until=400),
    ]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        end = await here.run(job(QUARTER))
        assert exit_code(end.remains) is ExitCode.DONE
        assert here.bought() == 3
        here.assert_all_is_well(job(QUARTER))


@pytest.mark.parametrize(
    ("echoed", "states", "code"),
    [
        ("HTTPS://Hooks.example.com:443/vonage/", {"collected": 3}, ExitCode.DONE),
        ("https://***", {"collected": 2, "held": 1}, ExitCode.UNFINISHED),
    ],
    ids=["rewritten", "masked"],
)
async def test_an_api_that_writes_callback_addresses_anew_is_not_paid_twice(
    tmp_path: Path, echoed: str, states: dict[str, int], code: ExitCode
) -> None:
    faults = [
        Fault.of("create", "reset", made=True, nth=1),
        Fault.of("report", "wrong_echo", field="callback_url", value=echoed),
    ]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        called = replace(job(QUARTER), callback_url="https://hooks.example.com/vonage")
        end = await here.run(called)
        assert exit_code(end.remains) is code
        assert len(here.sim.world.reports()) == 3
        assert here.states() == states


async def test_the_list_may_show_reports_under_the_key_alone(tmp_path: Path) -> None:
    settings = replace(
        with_faults(SMALL, Fault.of("create", "reset", made=True, nth=2)), list_under="key"
    )
    async with stage(tmp_path, settings) as here:
        wanted = job(QUARTER, series=(Series.of("ef567890", "VERIFY-API"),))
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(wanted)


@pytest.mark.parametrize("look", ["list", "probe"])
async def test_an_unknown_create_can_be_bought_anew_within_bounds(
    tmp_path: Path, look: str
) -> None:
    """It waits for the looks that absence takes, each time, and three times a run at most."""
    faults = [
        Fault.of("create", "refuse", status=503, product="SMS"),
        Fault.of("list", "refuse", status=403)
        if look == "list"
        else Fault.of("create", "refuse", status=403, product="REPORTS-USAGE"),
    ]
    quick = PollPolicy(timedelta(milliseconds=10), timedelta(milliseconds=100))
    async with stage(tmp_path, with_faults(SMALL, *faults), poll=quick) as here:
        here.config = replace(here.config, on_unknown=OnUnknown.RESUBMIT)
        began = here.clock.now()
        end = await here.run(job(MONTH))
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert here.states() == {"discarded": 3}
        assert here.clock.now() - began >= 3 * timedelta(minutes=10)
        for _ in range(4):
            end = await here.run(job(MONTH))
        assert exit_code(end.remains) is ExitCode.FINDINGS
        assert here.states()["discarded"] <= 10


async def test_an_unknown_create_that_can_be_bought_anew_is_collected_once(tmp_path: Path) -> None:
    faults = [
        Fault.of("create", "reset", product="SMS", nth=1),
        Fault.of("create", "refuse", status=403, product="REPORTS-USAGE"),
    ]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        here.config = replace(here.config, on_unknown=OnUnknown.RESUBMIT)
        end = await here.run(job(MONTH))
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(job(MONTH))
        assert here.states() == {"collected": 1, "discarded": 1}


@pytest.mark.parametrize(
    ("product", "first_made", "second_made"),
    [("SMS", False, True), ("VOICE-CALL", True, True), ("VOICE-CALL", True, False)],
)
async def test_a_list_that_leaves_a_field_out_makes_nobody_adopt_the_wrong_one(
    tmp_path: Path, product: str, *, first_made: bool, second_made: bool
) -> None:
    """Two directions, both creates unknown, and a list that does not say which is which."""
    faults = [
        Fault.of("list", "empty", until=60.0),
        Fault.of("list", "omits", field="direction"),
        Fault.of("create", "reset", made=first_made, product=product, nth=1),
        Fault.of("create", "reset", made=second_made, product=product, nth=2),
    ]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        wanted = job(
            MONTH,
            series=(
                Series.of("abcd1234", "VERIFY-API"),
                Series.of("abcd1234", product, "outbound"),
                Series.of("abcd1234", product, "inbound"),
            ),
        )
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)


@pytest.mark.parametrize("made", [True, False])
@pytest.mark.parametrize("status", [400, 404, 422])
async def test_a_refusal_without_words_proves_nothing(
    tmp_path: Path, status: int, *, made: bool
) -> None:
    """A gateway may answer so; before: taken for the API's refusal, and bought again later."""
    page = Fault.of("create", "html", status=status, made=made, nth=1)
    async with stage(tmp_path, with_faults(SMALL, page)) as here:
        end = await here.run(job(MONTH))
        assert exit_code(end.remains) is ExitCode.DONE
        assert here.bought() == 1
        here.assert_all_is_well(job(MONTH))
