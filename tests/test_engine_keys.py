"""Reports that another key bought, which is not at hand any more."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from orchestrator.core.lifecycle import FoundAbsent, State
from orchestrator.core.model import Series
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.core.settings import OnUnknown
from orchestrator.engine.drain import Drain
from orchestrator.engine.progress import RunProgress
from orchestrator.engine.reconcile import Judgement, Reconciler
from orchestrator.simulator import Fault, Settings
from tests.kit.stage import between, job, stage, with_faults

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.core.lifecycle import Event
    from orchestrator.core.model import Report
    from orchestrator.engine.forecast import Entry
    from orchestrator.engine.key_session import KeySession
    from tests.kit.stage import Stage

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

MONTH = between("2026-01-01", "2026-02-01")
SMALL = Settings(records_per_day=1.0)
THEIRS = job(MONTH, credentials="beta")
"""The same job, with credentials whose key sees nothing of the other's: 404, and 403."""


async def run_until(here: Stage, state: State) -> None:
    """A run that drains as soon as a report is in that state."""
    drain = Drain()

    def stop(report: Report, _event: Event | None) -> None:
        if report.state is state:
            drain.begin(15)

    here.seen.on_change = stop
    await here.run(job(MONTH), drain=drain)
    here.seen.on_change = None
    assert here.states() == {state.value: 1}


@pytest.mark.parametrize("state", [State.SUBMITTED, State.READY])
async def test_what_another_key_does_not_see_is_not_lost(tmp_path: Path, state: State) -> None:
    async with stage(tmp_path, SMALL) as here:
        await run_until(here, state)
        end = await here.run(THEIRS)
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert here.states() == {state.value: 1}
        words = "was bought with key abcd1234, and key beta0001 may not see it"
        notes = [note for note in here.seen.notes if words in note]
        assert notes
        assert all(note.count("`orchestrator resolve 1 --resubmit`") == 1 for note in notes)
        assert exit_code((await here.run(job(MONTH))).remains) is ExitCode.DONE
        here.assert_all_is_well(job(MONTH))
        assert len(here.sim.world.reports()) == 1


async def test_what_another_key_does_not_list_is_not_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lists may show other reports of the account, and not this one."""

    async def not_listed(*_: object) -> Judgement:
        return Judgement(FoundAbsent("3 lists do not show this one"))

    lost = with_faults(SMALL, Fault.of("create", "reset", made=True, nth=1))
    async with stage(tmp_path, lost) as here:
        await run_until(here, State.SUBMITTING)
        with monkeypatch.context() as patched:
            patched.setattr(Reconciler, "settle", not_listed)
            await here.run(THEIRS)
        assert here.states() == {"held": 1}
        await here.run(job(MONTH))
        here.assert_all_is_well(job(MONTH))
        assert len(here.sim.world.reports()) == 1


async def test_what_another_key_looked_for_in_vain_is_not_bought_anew(tmp_path: Path) -> None:
    """`on_unknown: resubmit` buys what was looked for, and a foreign key has seen nothing."""
    lost = with_faults(SMALL, Fault.of("create", "reset", made=True, nth=1))
    async with stage(tmp_path, lost) as here:
        here.config = replace(here.config, on_unknown=OnUnknown.RESUBMIT)
        await run_until(here, State.SUBMITTING)
        end = await here.run(THEIRS)
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert here.states() == {"held": 1}
        await here.run(job(MONTH))
        here.assert_all_is_well(job(MONTH))
        assert here.bought() == 1


async def test_a_series_is_looked_at_again_without_a_walk_over_all_series() -> None:
    class Unwalked(list["Entry"]):
        def __iter__(self) -> Iterator[Entry]:
            raise AssertionError("there may be tens of thousands")

    sms = Series.of("abcd1234", "SMS", "outbound")
    progress = RunProgress(in_flight=1)
    queues = [progress.queue_of(cast("KeySession", SimpleNamespace(api_key=key))) for key in "abc"]
    first, second, third = queues
    entry = cast("Entry", ())
    for queue in queues:
        queue.entries = Unwalked()
    progress.entries_of[sms.key] += [(first, entry), (second, entry)]
    progress.look_again(Series.of("abcd1234", "VERIFY-API"))
    assert [len(queue.todo) for queue in queues] == [0, 0, 0]
    progress.look_again(sms)
    assert [len(queue.todo) for queue in queues] == [1, 1, 0]
    progress.wake_all()
    assert [queue.changed.is_set() for queue in queues] == [True, True, False]
    first.todo.clear()
    second.todo.clear()
    progress.wake_all()
    assert third.changed.is_set(), "nothing is under way any more"
