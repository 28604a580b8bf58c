"""The test kit's loop: time leaps, but never over work that is under way."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import anyio
import pytest
from aiohttp import ClientSession, web
from anyio import to_thread

from tests.kit.virtual_time import DAY_ONE, VirtualClock

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

HOUR = 3600.0


async def test_25_hours_of_polling_over_a_real_socket_take_seconds(
    virtual_clock: VirtualClock,
) -> None:
    asked: list[float] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(anyio.current_time())
        await anyio.sleep(2)
        return web.Response(body=b"x" * 100_000)

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    began = time.process_time()
    async with ClientSession() as session:
        while anyio.current_time() < 25 * HOUR:
            async with session.get(f"http://127.0.0.1:{runner.addresses[0][1]}/") as response:
                assert len(await response.read()) == 100_000
            await anyio.sleep(58)
    await runner.cleanup()
    assert asked == [60.0 * turn for turn in range(1500)]
    assert virtual_clock.now() == DAY_ONE + timedelta(hours=25)
    assert time.process_time() - began < 5


async def test_timers_fire_in_order_at_their_exact_times() -> None:
    seen: list[tuple[str, float]] = []

    async def note(name: str, after: float) -> None:
        await anyio.sleep(after)
        seen.append((name, anyio.current_time()))

    async with anyio.create_task_group() as group:
        group.start_soon(note, "month", 31 * 24 * HOUR)
        group.start_soon(note, "second", 1.0)
        group.start_soon(note, "hour", HOUR)
    assert seen == [("second", 1.0), ("hour", HOUR), ("month", 31 * 24 * HOUR)]


async def test_time_stands_still_while_a_thread_of_anyio_works() -> None:
    with anyio.fail_after(0.001):
        await to_thread.run_sync(time.sleep, 0.02)
    assert anyio.current_time() == 0


async def test_time_stands_still_while_the_executor_works() -> None:
    with anyio.fail_after(0.001):
        await asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.02)
    assert anyio.current_time() == 0


async def test_time_goes_on_after_a_thread_has_failed() -> None:
    with pytest.raises(ZeroDivisionError):
        await to_thread.run_sync(divmod, 1, 0)
    await anyio.sleep(HOUR)
    assert anyio.current_time() == HOUR


async def test_a_deadline_in_virtual_time_is_kept() -> None:
    with anyio.move_on_after(HOUR) as scope:
        await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert anyio.current_time() == HOUR


async def test_the_clock_answers_threads_too(virtual_clock: VirtualClock) -> None:
    await anyio.sleep(90)
    assert virtual_clock.now() == DAY_ONE + timedelta(seconds=90)
    assert await to_thread.run_sync(virtual_clock.now) == DAY_ONE + timedelta(seconds=90)
