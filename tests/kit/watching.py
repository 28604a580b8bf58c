"""A watcher at work against the simulator, without ledger or files: who is told what, and when."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

import anyio

from orchestrator.core.durations import DurationModel
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Report, Series
from orchestrator.core.ports import Priority
from orchestrator.core.vonage import Status
from orchestrator.engine.polling.missing_reports import Gone, LeftOpen
from orchestrator.engine.polling.watcher import Watcher
from orchestrator.simulator import ApiKey, Fault, Faults, Settings
from tests.kit.stage import NOW, Stage, stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from anyio.abc import TaskGroup

    from orchestrator.core.model import RemoteReport
    from orchestrator.core.ports import Callbacks
    from orchestrator.core.settings import PollPolicy
    from orchestrator.engine.key_session import KeySession

HOUR: Final = timedelta(hours=1)


def lasting(
    least: float, most: float, *faults: Fault, subaccounts: int = 3, **rest: Any
) -> Settings:
    """A world whose empty reports take so many seconds, drawn evenly between the two.

    The accounts under its key are ``sub00000`` and so on.
    """
    accounts = tuple(f"sub{number:05}" for number in range(subaccounts))
    mean = (least + most) / 2
    return Settings(
        keys=(ApiKey("abcd1234", "Simulated-Secret-1", accounts),),
        records_per_day=0.0,
        pending_time=timedelta(),
        processing_time=timedelta(seconds=mean),
        processing_jitter=(most - least) / 2 / mean,
        faults=Faults(faults),
        **rest,
    )


@dataclass
class Scene:
    """What a test has at hand.

    Attributes:
        told: seconds from a report's end at the server to when the watcher told of it, by id.
        failed: what the watcher raised instead, by id.
        unended: what it told of reports without an end, by id.
        lists: when lists were asked for, of which account, from when on, and how many came.
    """

    stage: Stage
    watcher: Watcher
    tasks: TaskGroup
    session: KeySession
    told: dict[str, float] = field(default_factory=dict)
    failed: dict[str, BaseException] = field(default_factory=dict)
    unended: dict[str, Gone | LeftOpen] = field(default_factory=dict)
    lists: list[tuple[float, str, float, int]] = field(default_factory=list)
    remotes: dict[str, RemoteReport] = field(default_factory=dict)
    bought: int = 0

    @property
    def calls(self) -> dict[str, int]:
        """How many lists and single looks there were."""
        return {kind: self.stage.sim.calls[kind] for kind in ("list", "status")}

    @property
    def looks(self) -> int:
        """Both together."""
        return sum(self.calls.values())

    @property
    def waits(self) -> list[float]:
        """`told`, the shortest first."""
        return sorted(self.told.values())

    async def buy(
        self, account: str, *, callbacks: Callbacks | None = None, hours: int = 1
    ) -> Report:
        """A new report of some hours that nobody else asks for, at the key's turn."""
        self.bought += hours
        number = self.bought
        series = Series.of(account, "SMS", "outbound")
        window = Window(NOW - (number + 1) * HOUR, NOW - (number + 1 - hours) * HOUR)
        address = None if callbacks is None else callbacks.new_address()
        create = partial(self.session.api.create, series, window, address)
        intended = self.stage.clock.now()
        remote = await self.session.turn(create, Priority.SUBMIT)
        return Report(
            id=number,
            series=series,
            window=window,
            state=State.SUBMITTED,
            api_key=self.session.api_key,
            job="job",
            intended_at=intended,
            callback_url=address,
            request_id=remote.request_id,
            submitted_at=self.stage.clock.now(),
        )

    async def wait(self, report: Report, rows: int | None = None) -> None:
        """Until the watcher tells of its end; `rows`: the records that are expected."""
        assert report.request_id is not None
        try:
            outcome = await self.watcher.final(report, self.session, rows)
        except Exception as error:  # noqa: BLE001 - a test asks for it
            self.failed[report.request_id] = error
            return
        if isinstance(outcome, Gone | LeftOpen):
            self.unended[report.request_id] = outcome
            return
        world = self.stage.sim.world
        ended = next(one.ended for one in world.reports() if one.request_id == report.request_id)
        assert ended is not None, "told of an end that has not come"
        self.remotes[report.request_id] = outcome
        self.told[report.request_id] = world.clock.epoch() - ended

    async def watch(
        self,
        accounts: Sequence[str],
        *,
        in_flight: int = 100,
        callbacks: Callbacks | None = None,
    ) -> None:
        """Buys a report of each of these accounts, in this order, and waits for all of them."""
        places = anyio.CapacityLimiter(in_flight)

        async def follow(report: Report, borrower: object) -> None:
            await self.wait(report)
            places.release_on_behalf_of(borrower)

        async with anyio.create_task_group() as lives:
            for account in accounts:
                borrower = object()
                await places.acquire_on_behalf_of(borrower)
                report = await self.buy(account, callbacks=callbacks)
                lives.start_soon(follow, report, borrower)

    def assert_all_were_told(self, number: int) -> None:
        """Each of them once, and right: the watcher watches nothing any more."""
        assert not self.failed
        assert not self.unended
        assert len(self.told) == number
        assert {remote.status for remote in self.remotes.values()} == {Status.SUCCESS}
        assert all(remote.download_url for remote in self.remotes.values())


@asynccontextmanager
async def watching(
    folder: Path,
    settings: Settings,
    *,
    poll: PollPolicy | None = None,
    pace: DurationModel | None = None,
    callbacks: Callbacks | None = None,
) -> AsyncIterator[Scene]:
    """A scene; at its end the tasks of the watcher must end by themselves."""
    async with stage(folder, settings, poll=poll) as here, here.world(callbacks=callbacks) as world:
        session = world.sessions["default"]
        listed = here.sim.world.listed
        async with anyio.create_task_group() as tasks:
            watcher = Watcher(world, tasks, pace or DurationModel())
            scene = Scene(here, watcher, tasks, session)

            def spied(key: Any, account: str, start: Any, end: Any, *rest: Any) -> Any:
                found = listed(key, account, start, end, *rest)
                now = here.clock.now()
                back = (now - start).total_seconds()
                scene.lists.append((anyio.current_time(), account, back, len(found)))
                return found

            cast("Any", here.sim.world).listed = spied
            yield scene
