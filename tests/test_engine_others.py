"""Open reports that no named job holds, and jobs that share a window: what is paid is followed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from orchestrator.core.lifecycle import State
from orchestrator.core.model import Series, Span, Unit
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.core.settings import Limits, PollPolicy
from orchestrator.engine import progress, scheduler
from orchestrator.engine.create import ReportCreator
from orchestrator.engine.drain import Drain
from orchestrator.engine.follow import Follower
from orchestrator.simulator import ApiKey, Fault, Settings
from tests.kit.stage import between, job, stage, with_faults

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.core.lifecycle import Event
    from orchestrator.core.model import Job, Report
    from tests.kit.stage import Stage

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

SMALL = Settings(records_per_day=1.0)
YEAR = between("2025-02-01", "2026-02-01")
BACKFILL = job(YEAR, name="backfill", series=(Series.of("abcd1234", "VERIFY-API"),))
NIGHTLY = job(between("2026-02-01", "2026-02-02"), name="nightly")


async def stop_after(here: Stage, wanted: Job, created: int) -> None:
    """A run of a job that drains once so many reports are submitted."""
    drain = Drain()
    number = 0

    def count(report: Report, _event: Event | None) -> None:
        nonlocal number
        number += report.state is State.SUBMITTED
        if number >= created:
            drain.begin(15)

    here.seen.on_change = count
    await here.run(wanted, drain=drain)
    here.seen.on_change = None


async def test_a_nightly_run_collects_what_a_stopped_backfill_has_paid_for(tmp_path: Path) -> None:
    async with stage(tmp_path, SMALL) as here:
        await stop_after(here, BACKFILL, 3)
        open_before = here.states()["submitted"]
        assert open_before >= 3
        end = await here.run(NIGHTLY)
        assert exit_code(end.remains) is ExitCode.DONE
        assert end.others.open == {}
        assert here.states() == {"collected": open_before + 1}, "and nothing more of the backfill"
        await here.run(BACKFILL)
        here.assert_all_is_well(BACKFILL, NIGHTLY)
        assert len(here.sim.world.reports()) == 13


async def test_a_renamed_job_with_a_new_filter_does_not_forget_what_is_open(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, SMALL) as here:
        await stop_after(here, BACKFILL, 3)
        narrower = Series.of("abcd1234", "VERIFY-API", None, {"country": "GB"})
        renamed = job(between("2026-02-01", "2026-02-02"), name="new", series=(narrower,))
        end = await here.run(renamed)
        assert exit_code(end.remains) is ExitCode.DONE
        assert set(here.states()) == {"collected"}


async def test_what_stays_open_of_another_job_is_unfinished_and_named(tmp_path: Path) -> None:
    stuck = with_faults(SMALL, Fault.of("report", "stuck", product="VERIFY-API"))
    async with stage(tmp_path, stuck) as here:
        await stop_after(here, BACKFILL, 2)
        number = here.states()["submitted"]
        end = await here.run(NIGHTLY)
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert end.unsettled == ()
        assert end.others.open == {State.SUBMITTED: number}
        assert end.others.jobs == ("backfill",)
        assert end.others.series == 1


async def test_what_is_disputed_of_another_job_is_not_this_command_s(tmp_path: Path) -> None:
    wrong = with_faults(SMALL, Fault.of("report", "wrong_count", product="VERIFY-API", nth=1))
    async with stage(tmp_path, wrong) as here:
        await stop_after(here, BACKFILL, 1)
        end = await here.run(NIGHTLY)
        assert here.states()["disputed"] == 1
        assert exit_code(end.remains) is ExitCode.DONE


async def test_a_key_that_is_refused_for_another_job_s_reports_needs_a_person(
    tmp_path: Path,
) -> None:
    gone = [
        Fault.of(at, "refuse", status=403, account="ef567890", after=600.0)
        for at in ("status", "list", "download")
    ]
    slow = replace(SMALL, processing_time=timedelta(hours=2))
    async with stage(tmp_path, with_faults(slow, *gone)) as here:
        theirs = job(YEAR, name="theirs", series=(Series.of("ef567890", "VERIFY-API"),))
        await stop_after(here, theirs, 1)
        await anyio.sleep(3600)
        end = await here.run(NIGHTLY)
        assert exit_code(end.remains) is ExitCode.FINDINGS
        assert end.others.refused != ()
        assert here.states()["collected"] == 1


async def test_stuck_reports_keep_nothing_new_waiting(tmp_path: Path) -> None:
    """Fifteen stuck ones and five slots: the new chunk is bought at once, the run ends in time."""
    stuck = with_faults(SMALL, Fault.of("report", "stuck", product="VERIFY-API"))
    poll = PollPolicy(timeout=timedelta(hours=2))
    limits = Limits(in_flight=5)
    async with stage(tmp_path, stuck, poll=poll, limits=Limits(in_flight=20)) as here:
        backfill = job(
            between("2025-02-01", "2025-02-16"),
            name="backfill",
            series=(BACKFILL.series[0].series,),
            chunk=Span(1, Unit.DAYS),
        )
        await stop_after(here, backfill, 15)
        assert here.states() == {"submitted": 15}
        object.__setattr__(here.config, "limits", limits)
        began = anyio.current_time()
        collected_at = 0.0

        def note(report: Report, _event: Event | None) -> None:
            nonlocal collected_at
            if report.state is State.COLLECTED:
                collected_at = anyio.current_time()

        here.seen.on_change = note
        end = await here.run(NIGHTLY)
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert here.states() == {"submitted": 15, "collected": 1}
        assert collected_at - began < 600
        assert anyio.current_time() - began < 2.1 * 3600


async def test_with_all_their_places_taken_the_wait_is_counted_from_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "FOUND_AT_A_TIME", 5)
    stuck = with_faults(SMALL, Fault.of("report", "stuck", product="VERIFY-API", first=11))
    poll = PollPolicy(timeout=timedelta(hours=2))
    async with stage(tmp_path, stuck, poll=poll) as here:
        await stop_after(here, BACKFILL, 12)
        assert here.states() == {"submitted": 12}
        began = anyio.current_time()
        end = await here.run(NIGHTLY)
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert here.states() == {"submitted": 11, "collected": 2}, "the last one got its look"
        passed = timedelta(seconds=anyio.current_time() - began)
        assert passed < timedelta(hours=2) + 3 * scheduler.LEAST_PATIENCE


async def test_a_drain_while_a_found_report_waits_for_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "FOUND_AT_A_TIME", 1)
    async with stage(tmp_path, SMALL) as here:
        await stop_after(here, BACKFILL, 12)
        drain = Drain()
        async with anyio.create_task_group() as tasks:

            async def stop() -> None:
                await anyio.sleep(1.0)
                drain.begin(15)

            tasks.start_soon(stop)
            end = await here.run(NIGHTLY, drain=drain)
        assert exit_code(end.remains) is ExitCode.TERMINATED
        end = await here.run(NIGHTLY)
        assert exit_code(end.remains) is ExitCode.DONE
        assert here.states() == {"collected": 13}


# --- two jobs that share a window -----------------------------------------------------------------

SHARED = Series.of("ef567890", "SMS", "outbound")
FIRST = job(YEAR, name="first", series=(SHARED,))
SECOND = job(YEAR, name="second", series=(SHARED,), credentials="beta")


def keys(first: str, *, sees: bool = True) -> Settings:
    return Settings(
        records_per_day=1.0,
        keys=(
            ApiKey("abcd1234", first, ("ef567890",) if sees else ()),
            ApiKey("beta0001", "right", ("ef567890",)),
        ),
    )


@pytest.mark.parametrize(
    ("secret", "sees"), [("wrong", True), ("right", False)], ids=["key", "account"]
)
async def test_what_the_first_job_s_key_cannot_have_the_second_buys(
    tmp_path: Path, secret: str, *, sees: bool
) -> None:
    async with stage(tmp_path, keys("right", sees=sees)) as here:
        here.settings = keys(secret)
        end = await here.run(FIRST, SECOND)
        assert set(here.states()) == {"absent", "collected"}
        assert here.states()["collected"] == 12
        assert {one.api_key for one in here.reports() if one.state is State.COLLECTED} == {
            "beta0001"
        }
        here.assert_all_is_well(FIRST)
        assert exit_code(end.remains) is ExitCode.DONE, "all that both want is there"


async def test_a_key_that_is_refused_in_the_middle_leaves_the_rest_to_the_second_job(
    tmp_path: Path,
) -> None:
    refused = [Fault.of("create", "refuse", status=403, nth=[*range(4, 30)], account="ef567890")]
    async with stage(
        tmp_path, with_faults(keys("right"), *refused), limits=Limits(in_flight=1)
    ) as here:
        three = SECOND.series[0].series
        end = await here.run(FIRST, SECOND)
        # The fault strikes both keys: each asks once, nobody asks in a loop.
        assert exit_code(end.remains) is ExitCode.FINDINGS
        assert here.states() == {"collected": 3, "absent": 2}
        assert {one.api_key for one in here.reports() if one.state is State.ABSENT} == {
            "abcd1234",
            "beta0001",
        }
        assert here.collected(three).rows > 0


async def test_a_first_job_whose_key_is_well_keeps_what_both_want(tmp_path: Path) -> None:
    async with stage(tmp_path, keys("right")) as here:
        end = await here.run(FIRST, SECOND)
        assert exit_code(end.remains) is ExitCode.DONE
        assert {one.api_key for one in here.reports()} == {"abcd1234"}
        assert len(here.sim.world.reports()) == 12


async def test_a_second_job_that_is_refused_leaves_the_first_alone(tmp_path: Path) -> None:
    async with stage(tmp_path, keys("right")) as here:
        here.settings = Settings(
            records_per_day=1.0,
            keys=(here.settings.keys[0], ApiKey("beta0001", "wrong", ("ef567890",))),
        )
        longer = job(
            between("2025-01-01", "2026-02-01"),
            name="second",
            series=(SHARED,),
            credentials="beta",
        )
        end = await here.run(FIRST, longer)
        assert exit_code(end.remains) is ExitCode.FINDINGS
        assert here.states() == {"collected": 12, "absent": 1}
        assert [one.job.name for one in end.unsettled] == ["second"]


# --- exit codes -----------------------------------------------------------------------------------


async def test_a_revoked_key_is_not_hidden_by_a_backfill_at_its_deadline(tmp_path: Path) -> None:
    async with stage(tmp_path, keys("right")) as here:
        here.settings = Settings(
            records_per_day=1.0, keys=(ApiKey("abcd1234", "wrong"), here.settings.keys[1])
        )
        mine = job(YEAR, name="mine", series=(Series.of("abcd1234", "VERIFY-API"),))
        drain = Drain()

        def at_deadline(report: Report, _event: Event | None) -> None:
            if report.state is State.SUBMITTED:
                drain.begin()

        here.seen.on_change = at_deadline
        end = await here.run(mine, SECOND, drain=drain)
        assert end.remains.unfinished
        assert end.remains.needs_person
        assert exit_code(end.remains) is ExitCode.FINDINGS


@pytest.mark.parametrize(
    ("owner", "method", "state"),
    [
        (Follower, "_watch", State.DISPUTED),
        (Follower, "_reconcile", State.HELD),
        (ReportCreator, "create", None),
    ],
    ids=["watching", "reconciling", "creating"],
)
async def test_a_bug_in_one_report_s_coroutine_stays_with_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    method: str,
    state: State | None,
) -> None:
    """The others go on, and the run ends with 70."""
    real = getattr(owner, method)

    async def odd(self: object, subject: object, *rest: object, **more: object) -> object:
        if subject.series.product == "VERIFY-API":  # type: ignore[attr-defined]
            raise KeyError("nobody thought of this")
        return await real(self, subject, *rest, **more)

    monkeypatch.setattr(owner, method, odd)
    lost = with_faults(SMALL, Fault.of("create", "reset", made=True, product="VERIFY-API", nth=1))
    settings = lost if method == "_reconcile" else SMALL
    async with stage(tmp_path, settings) as here:
        one = job(
            between("2026-01-01", "2026-02-01"), name="odd", series=(BACKFILL.series[0].series,)
        )
        fine = job(YEAR, name="fine")
        end = await here.run(one, fine)
        assert exit_code(end.remains) is ExitCode.BUG
        assert [repr(bug) for bug in end.bugs] == ["KeyError('nobody thought of this')"]
        assert here.states()["collected"] == 12
        others = [report for report in here.reports() if report.state is not State.COLLECTED]
        assert [report.state for report in others] == ([] if state is None else [state])
        assert [note for note in here.seen.notes if "This is a bug of ours" in note]
