"""Sends the API's callbacks: one POST to `callback_url` when a report has ended, without retry."""

import contextlib
import math
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiohttp
import anyio

from orchestrator.core.hosts import is_on_this_machine
from orchestrator.simulator.faults.reports import Callback
from orchestrator.simulator.reports import Report
from orchestrator.simulator.world import World

_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)


class Callbacks:
    """Sends the callbacks of one world. It must never call another machine.

    `describe` settles a report and makes the object that ``GET`` would answer.
    """

    def __init__(
        self, world: World, describe: Callable[[Report], Awaitable[dict[str, Any]]]
    ) -> None:
        self._world = world
        self._describe = describe
        self._wake = anyio.Event()
        self._session: aiohttp.ClientSession | None = None
        world.on_change = self.wake
        world.clock.listeners.append(self.wake)

    def wake(self) -> None:
        """Makes `run` check again what is due."""
        self._wake.set()

    async def run(self) -> None:
        """Sends each callback when it is due, until cancelled."""
        async with (
            # One connection a call, as from an API of many machines: a kept one could be dead.
            aiohttp.ClientSession(
                timeout=_TIMEOUT, connector=aiohttp.TCPConnector(force_close=True)
            ) as session,
            anyio.create_task_group() as sending,
        ):
            self._session = session
            while True:
                self._wake = anyio.Event()
                self._world.advance()
                for report in _taken(self._world.forged_callbacks):
                    sending.start_soon(self._forge, report)
                for report in _taken(self._world.ended_with_callback):
                    sending.start_soon(self._send, report)
                await self._until_something_happens()

    async def _until_something_happens(self) -> None:
        change = self._world.next_change() if self._world.open_callbacks else math.inf
        seconds = None if math.isinf(change) else self._world.clock.loop_seconds_until(change)
        with anyio.move_on_after(math.inf if seconds is None else seconds):
            await self._wake.wait()

    async def _send(self, report: Report) -> None:
        url = report.request.callback_url or ""
        content = await self._describe(report)
        fault = report.fault(Callback)
        await anyio.sleep(fault.late if fault else 0.0)
        for _ in range(fault.copies if fault else 1):
            await self._post(url, content)

    async def _forge(self, report: Report) -> None:
        """Sends a callback whose status and link are false."""
        content = await self._describe(report)
        fault = report.fault(Callback)
        false = {"request_status": fault and fault.forged, "items_count": 1}
        link = {"download_report": {"href": "http://localhost:9/v3/media/forged"}}
        await self._post(report.request.callback_url or "", {**content, **false, "_links": link})

    async def _post(self, url: str, content: dict[str, Any]) -> None:
        if not is_on_this_machine(url):
            return
        assert self._session is not None
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with self._session.post(url, json=content, allow_redirects=False) as answer:
                await answer.read()


def _taken(reports: list[Report]) -> list[Report]:
    """Empties a list and returns its reports."""
    taken = reports[:]
    reports.clear()
    return taken
