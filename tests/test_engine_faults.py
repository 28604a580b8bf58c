"""Runs against an API that misbehaves: nothing lost, nothing paid twice, the rest goes on."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from orchestrator.api import VonageReports
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Series, Span, Unit
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.core.settings import Config, OnTimeout, PollPolicy, RetryPolicy
from orchestrator.engine.breaker import TRIPS_AFTER
from orchestrator.simulator import ApiKey, Fault, Settings
from tests.kit.stage import NOW, between, job, stage, utc, with_faults

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.core.model import RemoteReport

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

HALF_YEAR = between("2025-08-01", "2026-02-01")
SMALL = Settings(records_per_day=1.0)
TWO = (Series.of("abcd1234", "SMS", "outbound"), Series.of("ef567890", "VERIFY-API"))


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([Fault.of("create", "refuse", status=429, first=5)], id="429s"),
        pytest.param(
            [Fault.of("create", "refuse", status=429, retry_after=30, nth=[2, 5])],
            id="429 that says when",
        ),
        pytest.param(
            [Fault.of("create", "refuse", status=429, retry_after=30, as_date=True, nth=3)],
            id="429 with a date",
        ),
        pytest.param(
            [Fault.of("create", "refuse", status=403, rate_limit=True, nth=3)],
            id="403 that is a throttle",
        ),
        pytest.param([Fault.of("create", "refuse", status=503, nth=3)], id="503, not made"),
        pytest.param(
            [Fault.of("create", "refuse", status=503, made=True, nth=3)], id="503, but made"
        ),
        pytest.param([Fault.of("create", "reset", nth=3)], id="reset, not made"),
        pytest.param([Fault.of("create", "reset", made=True, nth=[3, 9])], id="reset, but made"),
        pytest.param([Fault.of("create", "cut", nth=3)], id="cut answer"),
        pytest.param(
            [Fault.of("create", "hang", seconds=100, made=True, nth=3)], id="timeout, but made"
        ),
        pytest.param(
            [Fault.of("create", "html", status=200, made=True, nth=3)], id="HTML, but made"
        ),
        pytest.param([Fault.of("create", "html", status=502, nth=3)], id="HTML, not made"),
        pytest.param([Fault.of("status", "refuse", status=500, every=2)], id="status: 500s"),
        pytest.param([Fault.of("list", "refuse", status=500, every=2)], id="list: 500s"),
        pytest.param([Fault.of("list", "refuse", status=403)], id="list: refused"),
        pytest.param([Fault.of("list", "empty")], id="list: empty"),
        pytest.param([Fault.of("list", "lacks", newest=3)], id="list: late"),
        pytest.param([Fault.of("list", "html", status=200, every=2)], id="list: HTML"),
        pytest.param([Fault.of("status", "word", status="THINKING", first=3)], id="new word"),
        pytest.param([Fault.of("download", "reset", nth=[1, 4])], id="download: reset"),
        pytest.param([Fault.of("download", "cut", nth=[2, 3])], id="download: cut"),
        pytest.param([Fault.of("download", "bad_crc", nth=[2, 3])], id="download: CRC"),
        pytest.param([Fault.of("download", "cut_file", nth=2)], id="download: half a ZIP"),
        pytest.param(
            [Fault.of("download", "refuse", status=429, nth=[1, 2, 3])], id="download: 429"
        ),
        pytest.param([Fault.of("download", "html", status=200, nth=2)], id="download: HTML"),
    ],
)
async def test_what_passes_costs_nothing_and_loses_nothing(
    tmp_path: Path, faults: list[Fault]
) -> None:
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        wanted = job(HALF_YEAR, series=TWO)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)
        assert here.states()["collected"] == 12


@pytest.mark.parametrize(
    ("fault", "state", "reason"),
    [
        pytest.param(
            Fault.of("report", "outcome", status="FAILED", nth=2),
            "failed",
            "the API says FAILED",
            id="failed",
        ),
        pytest.param(
            Fault.of("report", "outcome", status="ABORTED", nth=2),
            "aborted",
            "the API says ABORTED: cancelled there, not by us",
            id="aborted",
        ),
    ],
)
async def test_an_ending_without_a_file_is_followed_by_another_attempt(
    tmp_path: Path, fault: Fault, state: str, reason: str
) -> None:
    async with stage(tmp_path, with_faults(SMALL, fault)) as here:
        wanted = job(HALF_YEAR)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE
        assert here.states() == {"collected": 6, state: 1}
        (failed,) = (report for report in here.reports() if report.state.value == state)
        assert failed.reason.startswith(reason)
        again = next(
            report
            for report in here.reports()
            if report.window == failed.window and report.state is State.COLLECTED
        )
        assert failed.changed_at is not None
        assert again.intended_at - failed.changed_at >= timedelta(seconds=60)
        assert here.collected(wanted.series[0].series) == here.truth(
            wanted.series[0].series, Window(HALF_YEAR.start, HALF_YEAR.end or HALF_YEAR.start)
        )


async def test_attempts_are_three_a_run_then_halved_then_given_up(tmp_path: Path) -> None:
    always = with_faults(SMALL, Fault.of("report", "outcome", status="FAILED"))
    async with stage(tmp_path, always) as here:
        wanted = job(between("2026-01-01", "2026-02-01"))
        codes = []
        bought = []
        for _ in range(4):
            end = await here.run(wanted)
            codes.append(exit_code(end.remains))
            bought.append(len(here.sim.world.reports()))
        assert codes == [
            ExitCode.UNFINISHED,
            ExitCode.UNFINISHED,
            ExitCode.FINDINGS,
            ExitCode.FINDINGS,
        ]
        assert bought == [3, 6, 10, 10], "eight attempts, and one at each half"
        ((one, other),) = [series.given_up for series in end.unsettled]
        assert one.reason == "9 reports came to nothing, the last: the API says FAILED"
        assert one.window.end == other.window.start

        reports = {report.id for report in here.reports()}
        assert {one.report_id, other.report_id} <= reports, "`resolve` can name them"
        await here.run(wanted, retry_failed=True)
        assert len(here.sim.world.reports()) == 13, "counted anew, the month as a whole"


@pytest.mark.parametrize(
    ("nowhere", "code", "states"),
    [(1, ExitCode.DONE, {"collected": 1}), (3, ExitCode.UNFINISHED, {"ready": 1})],
    ids=["once", "always"],
)
async def test_a_link_that_was_renewed_is_followed_and_not_for_ever(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    nowhere: int,
    code: ExitCode,
    states: dict[str, int],
) -> None:
    looks = itertools.count(1)
    asked = VonageReports.status

    async def renewed(self: VonageReports, request_id: str) -> RemoteReport:
        answer = await asked(self, request_id)
        link = answer.download_url
        is_right = link is None or next(looks) > nowhere
        return answer if is_right else replace(answer, download_url=f"{link}-{looks}")

    monkeypatch.setattr(VonageReports, "status", renewed)
    async with stage(tmp_path, SMALL, retry=RetryPolicy(attempts=3)) as here:
        end = await here.run(job(between("2026-01-01", "2026-02-01")))
        assert exit_code(end.remains) is code, here.seen.notes
        assert here.states() == states
        assert here.sim.calls["download"] == min(nowhere + 1, 3)


async def test_a_file_that_is_there_a_moment_late_is_not_bought_again(tmp_path: Path) -> None:
    late = with_faults(SMALL, Fault.of("download", "refuse", status=404, first=2))
    async with stage(tmp_path, late) as here:
        end = await here.run(job(between("2026-01-01", "2026-02-01")))
        assert exit_code(end.remains) is ExitCode.DONE
        assert here.sim.calls["download"] == 3
        assert len(here.sim.world.reports()) == 1


async def test_a_truncated_window_is_asked_for_again_in_smaller_chunks(tmp_path: Path) -> None:
    """About 900 records a month, and a file holds 100 of them."""
    settings = Settings(records_per_day=30.0, max_rows=100)
    async with stage(tmp_path, settings) as here:
        wanted = job(between("2025-12-01", "2026-02-01"))
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        window = Window(utc("2025-12-01"), utc("2026-02-01"))
        series = wanted.series[0].series
        assert here.collected(series) == here.truth(series, window)
        assert here.states()["truncated"] == 3, "each month, and one quarter for both"
        kept = [path.name for path in (here.output / ".aside").iterdir()]
        assert len([name for name in kept if name.endswith(".csv")]) == 3


async def test_a_report_that_takes_too_long_can_be_replaced(tmp_path: Path) -> None:
    stuck = with_faults(SMALL, Fault.of("report", "stuck", nth=2))
    poll = PollPolicy(timeout=timedelta(hours=2), on_timeout=OnTimeout.REPLACE)
    async with stage(tmp_path, stuck, poll=poll) as here:
        wanted = job(HALF_YEAR)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(wanted)
        assert here.states() == {"collected": 6, "aborted": 1}
        (ended,) = (report for report in here.reports() if report.state is State.ABORTED)
        assert ended.reason == "not finished after 2:00:00; cancelled, to be bought anew"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        pytest.param(Fault.of("report", "wrong_count", nth=2), "records", id="count"),
        pytest.param(Fault.of("report", "bad_crc", nth=2), "after 8 downloads", id="CRC"),
    ],
)
async def test_what_stays_wrong_is_disputed_and_kept_aside(
    tmp_path: Path, fault: Fault, reason: str
) -> None:
    async with stage(tmp_path, with_faults(SMALL, fault)) as here:
        wanted = job(HALF_YEAR)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.FINDINGS
        assert here.states() == {"collected": 5, "disputed": 1}
        ((disputed,),) = [series.disputed for series in end.unsettled]
        assert reason in disputed.reason
        bought = len(here.sim.world.reports())
        await here.run(wanted, retry_failed=True)
        assert len(here.sim.world.reports()) == bought, "a person decides, not --retry-failed"


async def test_a_report_that_stays_stuck_is_left_to_the_next_run(tmp_path: Path) -> None:
    stuck = with_faults(SMALL, Fault.of("report", "stuck", nth=2))
    poll = PollPolicy(timeout=timedelta(hours=2))
    async with stage(tmp_path, stuck, poll=poll) as here:
        wanted = job(HALF_YEAR)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert here.states() == {"collected": 5, "submitted": 1}
        assert any("is not finished after 2:00:00" in note for note in here.seen.notes)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert len(here.sim.world.reports()) == 6


async def test_a_report_that_the_api_forgot_is_lost_whatever_lists_still_show(
    tmp_path: Path,
) -> None:
    """Two stuck reports of an account; after four days their ids answer 404."""
    stuck = with_faults(SMALL, Fault.of("report", "stuck", nth=[1, 2]))
    poll = PollPolicy(timeout=timedelta(hours=2))
    async with stage(tmp_path, stuck, poll=poll) as here:
        wanted = job(HALF_YEAR)
        await here.run(wanted)
        assert here.states() == {"collected": 4, "submitted": 2}
        await anyio.sleep(timedelta(days=5).total_seconds())
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE
        assert here.states() == {"collected": 6, "lost": 2}


async def test_a_key_that_is_not_accepted_stops_and_the_other_goes_on(tmp_path: Path) -> None:
    wrong = Settings(
        records_per_day=1.0,
        keys=(ApiKey("abcd1234", "right", ("ef567890",)), ApiKey("beta0001", "right")),
    )
    async with stage(tmp_path, wrong) as here:
        # The stage takes its secrets from the settings: give one key another.
        here.settings = Settings(
            records_per_day=1.0,
            keys=(ApiKey("abcd1234", "wrong", ("ef567890",)), ApiKey("beta0001", "right")),
        )
        mine = job(HALF_YEAR, name="mine")
        theirs = job(
            HALF_YEAR,
            name="theirs",
            series=(Series.of("beta0001", "VERIFY-API"),),
            credentials="beta",
        )
        end = await here.run(mine, theirs)
        assert exit_code(end.remains) is ExitCode.FINDINGS
        (refused,) = end.unsettled
        assert refused.job.name == "mine"
        assert refused.refused is not None
        assert here.states()["collected"] == 6
        absent = here.states()["absent"]
        assert absent <= 2, "one create finds out; not every chunk asks"


async def test_an_account_that_is_not_ours_stops_and_the_others_go_on(tmp_path: Path) -> None:
    async with stage(tmp_path, SMALL) as here:
        wanted = job(HALF_YEAR, series=(Series.of("beta0001", "VERIFY-API"), *TWO))
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.FINDINGS
        assert [series.series.account_id for series in end.unsettled] == ["beta0001"]
        assert here.states()["collected"] == 12


async def test_a_series_that_the_api_refuses_stops_and_the_others_go_on(tmp_path: Path) -> None:
    async with stage(tmp_path, SMALL) as here:
        wanted = job(HALF_YEAR, series=(Series.of("abcd1234", "NO-SUCH-PRODUCT"), *TWO))
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.FINDINGS
        assert [series.series.product for series in end.unsettled] == ["NO-SUCH-PRODUCT"]
        assert here.states()["collected"] == 12


async def test_an_api_out_of_reach_is_waited_for_and_the_next_run_goes_on(tmp_path: Path) -> None:
    """Nothing listens there: after hours the run ends, with hardly a row for each chunk."""
    async with stage(tmp_path, SMALL) as here:
        wanted = job(between("2025-12-01", "2026-01-15"), chunk=Span(1, Unit.DAYS))
        at = here.config.api.base_url
        here.config = _elsewhere(here.config, "http://127.0.0.1:9")
        began = anyio.current_time()
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        waited = anyio.current_time() - began
        assert timedelta(hours=6) <= timedelta(seconds=waited) <= timedelta(hours=6, minutes=15)
        assert here.states() == {}, "nothing is meant to be sent before the time is known"
        assert [note.split(":")[0] for note in here.seen.notes] == ["warning", "error"]
        here.config = _elsewhere(here.config, at)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(wanted)


@pytest.mark.parametrize("made", [False, True], ids=["not made", "made"])
async def test_an_api_that_is_down_for_an_hour_is_waited_for(tmp_path: Path, *, made: bool) -> None:
    """Few creates end as unknown, whatever number of chunks waits."""
    down = [
        Fault.of(at, "refuse", status=503, after=3.0, until=3600.0, made=made)
        for at in ("create", "status", "list", "download")
    ]
    async with stage(tmp_path, with_faults(SMALL, *down)) as here:
        wanted = job(between("2025-12-01", "2026-01-15"), chunk=Span(1, Unit.DAYS))
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)
        unknown = [change for change in here.seen.changes if change[1] == "CreateUnknown"]
        assert len(unknown) <= TRIPS_AFTER
        assert any("does not answer requests of key abcd1234" in note for note in here.seen.notes)
        assert any("answers requests of key abcd1234 again" in note for note in here.seen.notes)


@pytest.mark.parametrize("says", [{}, {"retry_after": 20}], ids=["says nothing", "says when"])
async def test_a_storm_of_429s_slows_the_key_and_not_the_other(
    tmp_path: Path, says: dict[str, int]
) -> None:
    """Five minutes of nothing but 429 for one key's account, on every call."""
    storm = [
        Fault.of(at, "refuse", status=429, account="abcd1234", until=300.0, **says)
        for at in ("create", "status", "list", "download")
    ]
    async with stage(tmp_path, with_faults(SMALL, *storm)) as here:
        mine = job(HALF_YEAR, name="mine")
        theirs = job(
            HALF_YEAR,
            name="theirs",
            series=(Series.of("beta0001", "VERIFY-API"),),
            credentials="beta",
        )
        end = await here.run(mine, theirs)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(mine, theirs)
        assert here.states()["absent"] <= 20, "the gate waits longer and longer"
        done = [report for report in here.reports() if report.api_key == "beta0001"]
        latest = max(report.changed_at or report.intended_at for report in done)
        assert latest - NOW < timedelta(minutes=2), "the other key is not held up"


async def test_one_endpoint_that_fails_alone_does_not_stop_the_others(tmp_path: Path) -> None:
    async with stage(tmp_path, with_faults(SMALL, Fault.of("list", "refuse", status=500))) as here:
        wanted = job(HALF_YEAR)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)


def _elsewhere(config: Config, base_url: str) -> Config:
    return replace(config, api=replace(config.api, base_url=base_url))
