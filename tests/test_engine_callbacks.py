"""The watcher and callbacks: told of ends, too early, too often, too late or never."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

import anyio
import pytest

from orchestrator.core.model import Span, Unit
from orchestrator.core.settings import Limits
from orchestrator.engine.drain import Drain
from orchestrator.simulator import Fault
from tests.kit.stage import between, job, stage
from tests.kit.watching import lasting, watching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.kit.watching import Scene

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

OWN = "abcd1234"


@dataclass
class Bells:
    """A receiver of callbacks that a test rings by hand."""

    given: list[str] = field(default_factory=list)
    heard: dict[str, Callable[[], None]] = field(default_factory=dict)
    rung: int = 0

    def new_address(self) -> str:
        # Not of this machine: the simulator calls nobody there.
        self.given.append(f"https://hooks.example.com/{len(self.given)}")
        return self.given[-1]

    @contextmanager
    def listen(self, callback_url: str, ring: Callable[[], None]) -> Iterator[None]:
        self.heard[callback_url] = ring
        try:
            yield
        finally:
            del self.heard[callback_url]

    def ring(self, callback_url: str) -> None:
        """Somebody calls this address, whether anybody listens or not."""
        if callback_url in self.heard:
            self.rung += 1
            self.heard[callback_url]()


async def tell_ends(
    scene: Scene, bells: Bells, *, every: float = 0.5, late: float = 0.0, until: float = 1e9
) -> None:
    """Calls once for each report that has ended, as long as it is not yet that time."""
    told = set[str]()
    world = scene.stage.sim.world
    while anyio.current_time() < until:
        await anyio.sleep(every)
        now = world.clock.epoch()
        for report in world.reports():
            url = report.request.callback_url
            if report.ended is not None and now - report.ended >= late and url and url not in told:
                told.add(url)
                bells.ring(url)


async def tell_lies(bells: Bells, *, every: float, times: int = 10**9) -> None:
    """Calls every address there is, whatever has ended."""
    for _ in range(times):
        await anyio.sleep(every)
        for url in list(bells.heard):
            bells.ring(url)


async def watch(
    scene: Scene, bells: Bells, number: int, *callers: Callable[[], object], in_flight: int = 100
) -> None:
    """Reports of one account, while callers call."""
    async with anyio.create_task_group() as calling:
        for caller in callers:
            calling.start_soon(caller)  # type: ignore[arg-type]
        await scene.watch([OWN] * number, in_flight=in_flight, callbacks=bells)
        calling.cancel_scope.cancel()
    scene.assert_all_were_told(number)
    assert bells.heard == {}


async def test_told_ends_are_looked_at_at_once_and_hardly_anything_else(tmp_path: Path) -> None:
    bells = Bells()
    async with watching(tmp_path, lasting(20, 200, concurrency=20), callbacks=bells) as scene:
        await watch(scene, bells, 100, lambda: tell_ends(scene, bells))
        assert max(scene.waits[:90]) <= 2
        assert scene.looks <= 130


async def test_many_that_are_told_at_once_are_answered_by_one_list(tmp_path: Path) -> None:
    bells = Bells()
    async with watching(tmp_path, lasting(30, 200), callbacks=bells) as scene:
        await watch(scene, bells, 60, lambda: tell_ends(scene, bells, every=25.0))
        assert scene.calls["list"] <= 25
        assert scene.calls["status"] <= 20
        assert max(scene.waits) <= 30


@pytest.mark.parametrize(
    ("every", "times", "most_looks"),
    [(10.0, 1, 110), (2.0, 50, 190), (0.1, 10**9, 230)],
    ids=["once", "fifty times", "all the time"],
)
async def test_forged_calls_cost_a_bounded_number_of_looks(
    tmp_path: Path, every: float, times: int, most_looks: int
) -> None:
    """Of thirty reports that take two minutes; every look that brings nothing halves the next."""
    bells = Bells()
    async with watching(tmp_path, lasting(90, 120), callbacks=bells) as scene:
        await watch(scene, bells, 30, lambda: tell_lies(bells, every=every, times=times))
        assert bells.rung >= 30 * min(times, 40) * 0.7
        assert scene.looks <= most_looks
        assert max(scene.waits) <= 45


async def test_false_calls_for_one_report_do_not_hold_up_the_true_ones_for_others(
    tmp_path: Path,
) -> None:
    bells = Bells()

    async def harass() -> None:
        while True:
            await anyio.sleep(0.3)
            bells.ring(bells.given[0])

    stuck = Fault.of("report", "stuck", first=1)
    async with watching(tmp_path, lasting(100, 400, stuck), callbacks=bells) as scene:
        report = await scene.buy(OWN, callbacks=bells)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(scene.wait, report)
            tasks.start_soon(harass)
            tasks.start_soon(tell_ends, scene, bells)
            await scene.watch([OWN] * 20, in_flight=20, callbacks=bells)
            tasks.cancel_scope.cancel()
        assert max(scene.waits) <= 2


@pytest.mark.parametrize("late", [5.0, 900.0])
async def test_late_calls_cost_nothing(tmp_path: Path, late: float) -> None:
    bells = Bells()
    async with watching(tmp_path, lasting(20, 200), callbacks=bells) as scene:
        await watch(scene, bells, 60, lambda: tell_ends(scene, bells, late=late))
        assert scene.looks <= 75
        assert max(scene.waits) <= 65


async def test_when_calls_stop_coming_looks_by_the_clock_take_over(tmp_path: Path) -> None:
    """Within the longest interval; and then as often as if there had never been any."""
    bells = Bells()
    settings = lasting(20, 60, concurrency=20)
    async with watching(tmp_path, settings, callbacks=bells) as scene:
        await watch(scene, bells, 240, lambda: tell_ends(scene, bells, until=150.0), in_flight=60)
        reports = scene.stage.sim.world.reports()
        begin = min(report.created for report in reports)
        ends = [
            (report.ended - begin, scene.told[report.request_id])
            for report in reports
            if report.ended is not None
        ]
        heard = [wait for at, wait in ends if 60 <= at < 145]
        unheard = [wait for at, wait in ends if at >= 150]
        long_after = [wait for at, wait in ends if at >= 240]
        assert max(heard) <= 3
        assert max(unheard) <= 60 * 1.125 + 5
        assert median(long_after) <= 8


async def test_calls_that_come_before_the_end_only_are_not_relied_upon(tmp_path: Path) -> None:
    """Each report is called for once, too early: its end is found as if there were no callbacks."""
    bells = Bells()
    async with watching(tmp_path, lasting(30, 60, concurrency=10), callbacks=bells) as scene:
        early = lambda: tell_lies(bells, every=4.0, times=60)  # noqa: E731 - a caller, as the others
        await watch(scene, bells, 80, early, in_flight=30)
        assert median(scene.waits) <= 12


async def test_a_call_does_not_wait_behind_a_list_that_hangs(tmp_path: Path) -> None:
    bells = Bells()
    hangs = Fault.of("list", "hang", seconds=55, nth=[2, 3, 4, 5])
    async with watching(tmp_path, lasting(20, 200, hangs), callbacks=bells) as scene:
        await watch(scene, bells, 30, lambda: tell_ends(scene, bells))
        assert max(scene.waits) <= 4


async def test_what_a_stale_list_denies_is_asked_of_the_report_itself(tmp_path: Path) -> None:
    """A dozen callbacks at once, and the list shows all of them as open: one side is wrong."""
    bells = Bells()
    stale = Fault.of("list", "stale", seconds=1e9)
    async with watching(tmp_path, lasting(30, 200, stale), callbacks=bells) as scene:
        await watch(scene, bells, 60, lambda: tell_ends(scene, bells, every=10.0))
        assert max(scene.waits) <= 16
        assert scene.looks <= 130
        assert any("not asking for lists any more" in note for note in scene.stage.seen.notes)


async def test_a_call_after_nobody_waits_any_more_is_not_looked_after(tmp_path: Path) -> None:
    bells = Bells()
    async with watching(tmp_path, lasting(20, 200), callbacks=bells) as scene:
        report = await scene.buy(OWN, callbacks=bells)
        with anyio.move_on_after(5):
            async with anyio.create_task_group() as waiting:
                waiting.start_soon(scene.wait, report)
                await anyio.sleep(2)
                bells.ring(str(report.callback_url))  # looked after at once; the next one is not
                await anyio.sleep(1)
                bells.ring(str(report.callback_url))
        await anyio.sleep(600)
        assert scene.looks == 1
        assert scene.watcher.watched == 0


async def test_a_flood_of_calls_leaves_most_turns_to_creates(tmp_path: Path) -> None:
    """Who knows the addresses called each of them all the time: 350 creates became 78."""
    bells = Bells()
    everything = job(between("2025-02-10", "2026-02-10"), chunk=Span(1, Unit.DAYS))
    drain = Drain()
    settings = lasting(3_000, 4_000, concurrency=10_000)
    async with stage(tmp_path, settings, limits=Limits(in_flight=400)) as here:

        async def flood() -> None:
            began = anyio.current_time()
            while anyio.current_time() < began + 70:
                await anyio.sleep(0.2)
                for url in list(bells.heard):
                    bells.ring(url)
            drain.begin()

        async with anyio.create_task_group() as calling:
            calling.start_soon(flood)
            await here.run(everything, drain=drain, callbacks=bells)
        assert bells.rung > 10_000
        assert here.posts() >= 270
