"""Newer editions of collected reports: the old file stays current until the new one stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from orchestrator.core import lifecycle
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Series
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.engine.drain import Drain
from orchestrator.engine.editions import Renewal, RenewalsEnd, renew
from orchestrator.errors import InvalidTransition
from orchestrator.ledger.sqlite import SqliteLedger
from orchestrator.simulator import Fault, Settings
from tests.kit.ledgers import span
from tests.kit.stage import Stage, between, job, stage, with_faults
from tests.test_engine_crash import PowerCut, dying

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.core.lifecycle import Event
    from orchestrator.core.model import Job, Report

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

QUARTER = between("2025-11-01", "2026-02-01")
SMS = Series.of("abcd1234", "SMS", "outbound")
SMALL = Settings(records_per_day=1.0)


def current(here: Stage, wanted: Job) -> list[Renewal]:
    """Everything that is collected, to be bought anew."""
    return [
        Renewal(wanted, wanted.series[0], one)
        for one in here.reports()
        if one.state is State.COLLECTED
    ]


async def again(here: Stage, wanted: Job, drain: Drain | None = None) -> RenewalsEnd:
    renewals = current(here, wanted)
    async with here.world(drain) as world:
        return await renew(world, renewals)


async def test_newer_editions_take_the_place_of_the_old(tmp_path: Path) -> None:
    async with stage(tmp_path, SMALL) as here:
        wanted = job(QUARTER)
        await here.run(wanted)
        old = {one.window: one for one in here.reports()}
        end = await again(here, wanted)
        assert (len(end.collected), end.open, end.failed, end.not_asked) == (3, (), (), ())
        assert exit_code(end.remains) is ExitCode.DONE
        assert here.states() == {"superseded": 3, "collected": 3}
        assert here.collected(SMS) == here.truth(SMS, span("2025-11-01", "2026-02-01"))
        assert here.strays() == []
        for one in end.collected:
            before = old[one.window]
            assert (one.edition, one.replaces) == (2, before.id)
            assert before.target is not None
            assert one.target == before.target.replace(".csv", "_e2.csv")


async def test_afterwards_nothing_is_owed_and_a_third_edition_can_follow(tmp_path: Path) -> None:
    async with stage(tmp_path, SMALL) as here:
        wanted = job(QUARTER)
        await here.run(wanted)
        await again(here, wanted)
        bought = len(here.sim.world.reports())
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE
        assert len(here.sim.world.reports()) == bought
        third = await again(here, wanted)
        assert {one.edition for one in third.collected} == {3}
        assert here.states() == {"superseded": 6, "collected": 3}
        assert here.strays() == []


async def test_the_old_file_is_current_until_the_new_one_stands(tmp_path: Path) -> None:
    async with stage(tmp_path, SMALL) as here:
        wanted = job(between("2026-01-01", "2026-02-01"))
        await here.run(wanted)
        (old,) = here.reports()
        assert old.target is not None
        seen: list[tuple[State, bool, State]] = []

        def look(report: Report, event: Event | None) -> None:
            del event
            if report.replaces is not None:
                before = next(one for one in here.reports() if one.id == old.id)
                stands = (here.output / str(old.target)).exists()
                seen.append((report.state, stands, before.state))

        here.seen.on_change = look
        await again(here, wanted)
        assert seen[:-1] == [
            (state, True, State.COLLECTED)
            for state in (State.SUBMITTING, State.SUBMITTED, State.READY, State.VERIFIED)
        ]
        assert seen[-1] == (State.COLLECTED, True, State.SUPERSEDED)
        assert here.strays() == []


async def test_an_edition_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    settings = with_faults(SMALL, Fault.of("report", "outcome", status="FAILED", nth=4))
    async with stage(tmp_path, settings) as here:
        wanted = job(QUARTER)
        await here.run(wanted)
        end = await again(here, wanted)
        assert [one.state for one in end.failed] == [State.FAILED]
        assert exit_code(end.remains) is ExitCode.FINDINGS
        assert here.states() == {"superseded": 2, "collected": 3, "failed": 1}
        assert here.strays() == []
        bought = len(here.sim.world.reports())
        assert exit_code((await here.run(wanted)).remains) is ExitCode.DONE
        assert len(here.sim.world.reports()) == bought, "a failed edition owes nothing"


async def test_an_interrupted_edition_is_followed_by_the_next_plain_run(tmp_path: Path) -> None:
    async with stage(tmp_path, SMALL) as here:
        wanted = job(QUARTER)
        await here.run(wanted)
        drain = Drain()

        def stop(report: Report, event: Event | None) -> None:
            if report.replaces is not None and isinstance(event, lifecycle.Created):
                drain.begin(2)

        here.seen.on_change = stop
        end = await again(here, wanted, drain)
        assert exit_code(end.remains) is ExitCode.INTERRUPTED
        assert len(end.open) + len(end.not_asked) == 3
        assert len(end.open) >= 1
        here.seen.on_change = None
        assert exit_code((await here.run(wanted)).remains) is ExitCode.DONE
        renewed = [one for one in here.reports() if one.edition == 2]
        assert [one.state for one in renewed] == [State.COLLECTED] * len(end.open)
        assert here.strays() == []


async def test_no_second_edition_beside_one_that_is_open(tmp_path: Path) -> None:
    async with stage(tmp_path, SMALL) as here:
        wanted = job(between("2026-01-01", "2026-02-01"))
        await here.run(wanted)
        (old,) = here.reports()
        async with here.world() as world:

            async def record_intent(replaces: Report | None) -> Report:
                return await world.ledger.record_intent(
                    SMS,
                    old.window,
                    job="job",
                    api_key="abcd1234",
                    server_ahead=old.server_ahead,
                    callback_url=None,
                    replaces=replaces,
                )

            first = await record_intent(old)
            with pytest.raises(InvalidTransition, match=f"report {first.id} is a newer edition"):
                await record_intent(old)
            with pytest.raises(InvalidTransition, match="has it already"):
                await record_intent(None)


COMMITS = 14


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, COMMITS + 1))
async def test_death_at_any_commit_of_an_edition(tmp_path: Path, at: int, *, after: bool) -> None:
    """The next run finishes what was begun: one current file, the truth in it, no stray beside."""
    async with stage(tmp_path, SMALL) as here:
        wanted = job(between("2026-01-01", "2026-02-01"))
        await here.run(wanted)
        here.ledger_class = dying(at, after=after)
        try:
            await again(here, wanted)
        except* PowerCut:
            pass
        here.ledger_class = SqliteLedger
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE
        states = here.states()
        assert states["collected"] == 1
        assert states.keys() <= {"collected", "superseded", "absent"}
        assert here.collected(SMS) == here.truth(SMS, here.reports()[0].window)
        assert here.strays() == []
        assert len(here.sim.world.reports()) <= 2


async def test_the_campaign_reaches_the_end(tmp_path: Path) -> None:
    async with stage(tmp_path, SMALL) as here:
        wanted = job(between("2026-01-01", "2026-02-01"))
        await here.run(wanted)
        here.ledger_class = dying(COMMITS + 1, after=True)
        assert len((await again(here, wanted)).collected) == 1


@pytest.mark.parametrize(
    "how", [{"status": 400}, {"status": 401}, {"status": 403}, {"status": 422}]
)
async def test_an_edition_that_the_api_refuses_needs_a_person(
    tmp_path: Path, how: dict[str, int]
) -> None:
    """Before: exit code 75, and the same again for ever."""
    refused = Fault.of("create", "refuse", nth=2, **how)
    async with stage(tmp_path, with_faults(SMALL, refused)) as here:
        wanted = job(between("2026-01-01", "2026-02-01"))
        await here.run(wanted)
        end = await again(here, wanted)
        assert exit_code(end.remains) is ExitCode.FINDINGS
        assert (len(end.refused), end.not_asked) == (1, ())
        assert here.states() == {"collected": 1, "absent": 1}


async def test_editions_do_not_wait_beyond_the_deadline(tmp_path: Path) -> None:
    slow = Fault.of("create", "refuse", status=429, retry_after=3600, nth=2)
    async with stage(tmp_path, with_faults(SMALL, slow)) as here:
        wanted = job(between("2026-01-01", "2026-02-01"))
        await here.run(wanted)
        begun, drain = anyio.current_time(), Drain()
        drain.ends_at = begun + 600
        end = await again(here, wanted, drain)
        assert anyio.current_time() - begun < 60
        assert exit_code(end.remains) is ExitCode.UNFINISHED
