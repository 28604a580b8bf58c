"""Runs that are called back: by the simulator over real sockets, in virtual time."""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import anyio
import pytest
from aiohttp import web

from orchestrator.api.callback_server import CallbackServer, receiving
from orchestrator.core.lifecycle import State
from orchestrator.core.settings import CallbackSettings, PollPolicy
from orchestrator.engine.drain import Drain
from orchestrator.simulator import Fault, Settings
from tests.kit.servers import http_server
from tests.kit.stage import between, job, stage, with_faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from orchestrator.core.lifecycle import Event
    from orchestrator.core.model import Report

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

QUARTER = job(between("2025-10-01", "2026-01-01"))
"""Three reports."""


@dataclass
class Proxy:
    """A reverse proxy between the API and whatever receiver there is, as a user would have one.

    Attributes:
        public_url: what the receiver is told it is reached by.
        port: of the receiver; None: nobody is there.
        change: what becomes of a path on its way.
        seen: how often each path was called.
    """

    change: Callable[[str], str]
    port: int | None = None
    public_url: str = ""
    seen: Counter[str] = field(default_factory=Counter)

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        self.seen[request.path] += 1
        if self.port is None:
            return web.Response(status=502)
        url = f"http://127.0.0.1:{self.port}{self.change(request.path)}"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=await request.read()) as answer,
        ):
            return web.Response(status=answer.status)

    @asynccontextmanager
    async def receiver(self, events: Any) -> AsyncIterator[CallbackServer]:
        """A receiver on a port of its own, to which this proxy passes its calls on."""
        settings = CallbackSettings("127.0.0.1:0", self.public_url)
        async with receiving(settings, events) as receiver:
            assert receiver is not None
            self.port = receiver.address[1]
            try:
                yield receiver
            finally:
                self.port = None


@asynccontextmanager
async def proxy(change: Callable[[str], str] = lambda path: path) -> AsyncIterator[Proxy]:
    made = Proxy(change)
    async with http_server(made.pass_on) as url:
        made.public_url = f"{url}/vonage"
        yield made


@pytest.mark.parametrize(
    "change",
    [lambda path: path, lambda path: path.removeprefix("/vonage"), lambda path: "/other" + path],
    ids=["kept", "stripped", "another"],
)
async def test_each_report_has_an_address_of_its_own_and_is_called_at_it(
    tmp_path: Path, change: Callable[[str], str]
) -> None:
    async with stage(tmp_path) as here, proxy(change) as web_server:
        async with web_server.receiver(here.seen) as receiver:
            end = await here.run(QUARTER, callbacks=receiver)
        assert not end.unsettled
        here.assert_all_is_well(QUARTER)
        urls = {report.request.callback_url for report in here.sim.world.reports()}
        assert len(urls) == 3
        assert all(str(url).startswith(f"{web_server.public_url}/") for url in urls)
        assert receiver.calls.received == 3
        assert (receiver.calls.unknown, receiver.calls.refused) == (0, 0)


async def test_a_call_is_followed_by_a_look_at_once(tmp_path: Path) -> None:
    """Long before the next look by the clock would come."""
    rare = PollPolicy(
        interval_initial=PollPolicy().timeout / 2, interval_max=PollPolicy().timeout / 2
    )
    async with stage(tmp_path, poll=rare) as here, proxy() as web_server:
        async with web_server.receiver(here.seen) as receiver:
            await here.run(QUARTER, callbacks=receiver)
        here.assert_all_is_well(QUARTER)
        ended = [one.ended for one in here.sim.world.reports()]
        assert all(one is not None for one in ended)
        assert here.clock.now().timestamp() - max(one or 0.0 for one in ended) < 10


@pytest.mark.parametrize(
    "quirk",
    [
        {"forged": "SUCCESS"},
        {"forged": "FAILED"},
        {"copies": 0},
        {"copies": 5},
        {"late": 900.0},
        {"forged": "SUCCESS", "copies": 3, "late": 30.0},
    ],
    ids=str,
)
async def test_forged_repeated_late_and_lost_calls_cost_nothing_but_looks(
    tmp_path: Path, quirk: dict[str, Any]
) -> None:
    fault = Fault.of(at="report", do="callback", **quirk)
    settings = with_faults(Settings(records_per_day=1.0), fault)
    async with stage(tmp_path, settings) as here, proxy() as web_server:
        async with web_server.receiver(here.seen) as receiver:
            end = await here.run(QUARTER, callbacks=receiver)
        assert not end.unsettled
        here.assert_all_is_well(QUARTER)
        assert here.sim.calls["create"] == here.sim.calls["download"] == 3
        assert here.sim.calls["list"] + here.sim.calls["status"] <= 30
        assert receiver.calls.refused == 0


async def drained_when_all_are_open(here: Any, receiver: CallbackServer) -> None:
    drain = Drain()
    opened = 0

    def watch(report: Report, event: Event | None) -> None:
        nonlocal opened
        opened += report.state is State.SUBMITTED
        if opened == 3:
            drain.begin()

    here.seen.on_change = watch
    await here.run(QUARTER, drain=drain, callbacks=receiver)
    here.seen.on_change = None
    assert here.states() == {"submitted": 3}


async def test_the_next_run_hears_calls_for_reports_of_this_one(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, proxy() as web_server:
        async with web_server.receiver(here.seen) as first:
            await drained_when_all_are_open(here, first)
        async with web_server.receiver(here.seen) as second:
            end = await here.run(QUARTER, callbacks=second)
        assert not end.unsettled
        here.assert_all_is_well(QUARTER)
        assert (second.given, second.calls.received) == (0, 3)


async def test_a_run_that_nobody_reaches_any_more_goes_on_by_looking(tmp_path: Path) -> None:
    """The receiver has moved to another port and another public address; calls go to the old."""
    async with stage(tmp_path) as here, proxy() as old, proxy() as new:
        async with old.receiver(here.seen) as first:
            await drained_when_all_are_open(here, first)
        async with new.receiver(here.seen) as second:
            end = await here.run(QUARTER, callbacks=second)
        assert not end.unsettled
        here.assert_all_is_well(QUARTER)
        assert second.calls.received == 0
        assert sum(old.seen.values()) >= 1


async def test_without_a_receiver_the_next_run_goes_on_by_looking(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, proxy() as web_server:
        async with web_server.receiver(here.seen) as first:
            await drained_when_all_are_open(here, first)
        end = await here.run(QUARTER)
        assert not end.unsettled
        here.assert_all_is_well(QUARTER)


async def test_a_flood_of_guesses_does_not_keep_a_run_from_its_end(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, proxy() as web_server:
        async with (
            web_server.receiver(here.seen) as receiver,
            anyio.create_task_group() as strangers,
        ):
            strangers.start_soon(_guess, f"http://127.0.0.1:{receiver.address[1]}/guess")
            end = await here.run(QUARTER, callbacks=receiver)
            strangers.cancel_scope.cancel()
        assert not end.unsettled
        here.assert_all_is_well(QUARTER)
        assert receiver.calls.received == 3
        assert receiver.calls.unknown > 1000


async def _guess(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        while True:
            for _ in range(40):
                async with session.post(url, data=b"x" * 1000) as answer:
                    assert answer.status in (404, 429)
            await anyio.sleep(0.5)


async def test_nothing_that_is_told_holds_an_address(tmp_path: Path) -> None:
    async with stage(tmp_path) as here, proxy() as web_server:
        async with web_server.receiver(here.seen) as receiver:
            await here.run(QUARTER, callbacks=receiver)
        sent = [str(report.request.callback_url) for report in here.sim.world.reports()]
        tokens = [url.rpartition("/")[2] for url in sent]
        assert len(tokens) == 3
        told = "\n".join([*here.seen.notes, *(str(report.reason) for report in here.reports())])
        assert not [token for token in tokens if token in told]
