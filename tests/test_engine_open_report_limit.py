"""A server-side limit on open reports: found, kept to, and felt for again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from orchestrator.core.model import Span, Unit
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.core.settings import Limits, PollPolicy
from orchestrator.engine.open_report_limit import OpenReportLimit
from orchestrator.errors import Problem, Throttled
from orchestrator.simulator import Fault, Faults, Settings
from tests.kit.stage import Watching, between, job, stage, with_faults

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

DAILY = job(between("2025-01-01", "2025-04-11"), chunk=Span(1, Unit.DAYS))  # 100 chunks


@pytest.mark.parametrize(
    ("kind", "wasted"),
    [("rate-limit", 12), ("too-many-open-reports", 10)],
    ids=["like-rate", "own"],
)
async def test_a_limit_on_open_reports_is_found_and_respected(
    tmp_path: Path, kind: str, wasted: int
) -> None:
    settings = Settings(records_per_day=1.0, max_open=12, max_open_type=kind)
    async with stage(tmp_path, settings) as here:
        end = await here.run(DAILY)
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(DAILY)
        assert here.sim.world.turned_away <= wasted
        assert here.sim.calls["create"] == 100 + here.sim.world.turned_away
        assert any("no more than about 1" in note for note in here.seen.notes)
        # As fast as twelve at a time can be: 100 reports of 17 s, give or take half.
        assert here.clock.now().timestamp() - end.now.timestamp() < 100 / 12 * 25.5 + 60


async def test_a_limit_keeps_nothing_but_creates_waiting(tmp_path: Path) -> None:
    """Looks and downloads go on at the full rate while the server is full."""
    settings = Settings(records_per_day=1.0, max_open=5)
    async with stage(tmp_path, settings) as here:
        await here.run(DAILY)
        refused = here.sim.world.turned_away
        assert refused <= 14
        here.assert_all_is_well(DAILY)


async def test_a_storm_of_429_is_the_rate_and_no_limit_on_reports(tmp_path: Path) -> None:
    storm = with_faults(
        Settings(records_per_day=1.0),
        *(
            Fault.of(place, "refuse", status=429, after=3.0, until=30.0)
            for place in ("create", "list", "status", "download")
        ),
    )
    async with stage(tmp_path, storm) as here:
        end = await here.run(DAILY)
        assert exit_code(end.remains) is ExitCode.DONE
        assert not any("open reports" in note for note in here.seen.notes)


async def test_a_key_that_others_use_as_well_is_not_taken_for_a_full_server(
    tmp_path: Path,
) -> None:
    """Every fifth call of each kind is refused: what is open at a time is no cause of that."""
    shared = replace(
        Settings(records_per_day=1.0),
        faults=Faults(
            tuple(
                Fault.of(place, "refuse", status=429, probability=0.2)
                for place in ("create", "list", "status", "download")
            ),
            seed=2,
        ),
    )
    async with stage(tmp_path, shared) as here:
        end = await here.run(DAILY)
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(DAILY)
        assert not any("open reports" in note for note in here.seen.notes)
        assert here.clock.now() - end.now < timedelta(minutes=10), "the gate's pauses, no more"


async def test_strangers_who_fill_the_server_are_waited_for(tmp_path: Path) -> None:
    """Creates are refused though none of ours is open: asked ever more rarely, never given up."""
    full = with_faults(
        Settings(records_per_day=1.0), Fault.of("create", "refuse", status=429, until=600.0)
    )
    async with stage(tmp_path, full, limits=Limits(in_flight=10)) as here:
        end = await here.run(job(between("2025-01-01", "2025-03-01")))
        assert exit_code(end.remains) is ExitCode.DONE
        assert here.sim.calls["create"] < 40


@pytest.mark.parametrize("kind", ["rate-limit", "too-many-open-reports"])
async def test_a_server_that_stays_full_is_left_to_the_next_run(tmp_path: Path, kind: str) -> None:
    settings = with_faults(
        Settings(records_per_day=1.0, max_open=2, max_open_type=kind),
        Fault.of("report", "stuck", first=2),
    )
    patient = PollPolicy(timeout=timedelta(minutes=20))
    async with stage(tmp_path, settings, poll=patient) as here:
        with anyio.fail_after(6 * 3600):
            end = await here.run(DAILY)
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert here.states()["submitted"] == 2
        assert any("refused every create of key abcd1234 for" in note for note in here.seen.notes)


async def test_an_api_that_throttles_everything_is_left_to_the_next_run(tmp_path: Path) -> None:
    deaf = with_faults(
        Settings(records_per_day=1.0),
        *(
            Fault.of(place, "refuse", status=429, after=8.0)
            for place in ("create", "list", "status", "download")
        ),
    )
    patient = PollPolicy(timeout=timedelta(minutes=20))
    async with stage(tmp_path, deaf, poll=patient) as here:
        with anyio.fail_after(6 * 3600):
            end = await here.run(DAILY)
        assert exit_code(end.remains) is ExitCode.UNFINISHED


class TestLimit:
    """What is learned, without a server."""

    OWN = Throttled(
        "full", problem=Problem(status=429, type="https://example.com/errors#too-many-open")
    )
    RATE = Throttled("429")

    async def test_one_refusal_is_the_rate(self) -> None:
        limit = OpenReportLimit("abcd1234", Watching())
        assert not limit.is_reached(self.RATE)
        assert not limit.is_suspect
        assert not limit.is_reached(self.RATE)
        assert limit.is_suspect

    async def test_creates_refused_while_other_calls_pass_are_the_limit(self) -> None:
        limit = OpenReportLimit("abcd1234", Watching())
        with limit.slot() as one, limit.slot() as two, limit.slot() as refused:
            one.take()
            two.take()
            refused.take()
            assert not limit.is_reached(self.RATE)
            assert not limit.is_reached(self.RATE)
            limit.probe_passed()
            assert limit.is_reached(self.RATE)
            assert limit.most == 2

    @pytest.mark.parametrize("was_known", [False, True])
    async def test_creates_refused_as_other_calls_are_are_the_rate(self, was_known: bool) -> None:
        limit = OpenReportLimit("abcd1234", Watching())
        with limit.slot() as one:
            one.take()
            if was_known:
                assert limit.is_reached(self.OWN)
            limit.is_reached(self.RATE)
            limit.probe_passed()
            limit.probe_throttled()
            assert not limit.is_reached(self.RATE)
            assert limit.is_reached(self.OWN), "its own type leaves no doubt"
            await anyio.sleep(301)
            assert limit.is_reached(self.RATE), "long ago, for others"

    async def test_a_create_that_works_clears_the_suspicion(self) -> None:
        limit = OpenReportLimit("abcd1234", Watching())
        limit.is_reached(self.RATE)
        limit.is_reached(self.RATE)
        limit.probe_passed()
        limit.created()
        assert not limit.is_reached(self.RATE)
        assert limit.most is None

    async def test_the_limit_is_raised_again_and_ever_more_rarely(self) -> None:
        limit = OpenReportLimit("abcd1234", Watching())
        with limit.slot() as one, limit.slot() as two, limit.slot() as refused:
            one.take()
            two.take()
            refused.take()
            limit.is_reached(self.OWN)
            assert limit.most == 2
            ends = []
            for _ in range(3):
                number = 0
                while limit.most == 2:
                    limit.ended()
                    number += 1
                ends.append(number)
                limit.is_reached(self.OWN)
            assert ends == [2, 4, 8]

    async def test_who_waits_for_room_hears_that_the_run_does_without(self) -> None:
        limit = OpenReportLimit("abcd1234", Watching(), timedelta(seconds=10))
        woken = []
        with limit.slot() as one:
            one.take()
            limit.is_reached(self.OWN)
            limit.when_free(lambda: woken.append(limit.gave_up))
            await anyio.sleep(11)
            limit.is_reached(self.OWN)
            assert woken == ["the API has refused every create of key abcd1234 for 0:00:11"]
            assert limit.is_free
