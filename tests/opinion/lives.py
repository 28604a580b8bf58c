"""Plays a case: the deeds, then runs until nothing changes any more; and asks the oracle."""

from __future__ import annotations

import warnings
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import anyio

from orchestrator.simulator import WorldClock
from tests.kit.virtual_time import VIRTUAL
from tests.opinion import oracle
from tests.opinion.cases import Case, draw
from tests.opinion.front import Front, serving
from tests.opinion.scene import Scene
from tests.opinion.terminal import EPOCH, Terminal
from tests.simulation.lives import Played

if TYPE_CHECKING:
    from pathlib import Path

    from tests.opinion.terminal import Told

_PAUSES: Final = (60.0, 3600.0, 13 * 3600.0, 13 * 3600.0, 26 * 3600.0, 26 * 3600.0, 50 * 3600.0)
"""Between the last runs: together longer than anything at the API lives."""

_LAST_RUNS: Final = 14

_LAST_NEW_DAY: Final = 5
"""From this of the last runs on no job wants a new day any more."""


def play(seed: int, folder: Path) -> Played:
    """Plays the case of a seed in a new directory, in virtual time."""
    return play_case(draw(seed), folder)


def play_case(case: Case, folder: Path) -> Played:
    """Plays any case."""
    backend, options = VIRTUAL
    warnings.simplefilter("ignore", ResourceWarning)  # a killed run closes nothing
    return anyio.run(_play, case, folder, backend=backend, backend_options=dict(options))


async def _play(case: Case, folder: Path) -> Played:
    played = Played(case.seed, words=case.words())
    home = folder / "home"
    home.mkdir()
    front = Front(case.world, WorldClock(EPOCH + case.api_ahead), case.deviations, case.seed)
    async with serving(front):
        terminal = Terminal(home, front, EPOCH, is_remote=case.is_remote)
        scene = Scene(case, terminal, {job.name: job for job in case.jobs}, case.config)
        terminal.heard = lambda told: scene.broken.extend(oracle.of_a_command(scene, told))
        scene.began = scene.now
        scene.write()
        for deed in case.deeds:
            await deed.do(scene)
            if scene.broken:
                break
        else:
            await _settle(scene)
        for display_error in front.mishaps:
            raise display_error
        played.broken = list(dict.fromkeys(scene.broken))
        played.story = scene.story
        played.lives = sum(not one.stranger for one in front.world.all_reports())
        played.runs = len(terminal.told)
        for row in scene.rows():
            played.endings[row.state.value] = played.endings.get(row.state.value, 0) + 1
        played.struck = {one.kind: 1 for one in case.deviations}
    return played


async def _settle(scene: Scene) -> None:
    """Runs everything until no run changes anything; then all promises must be kept."""
    scene.terminal.ahead = timedelta()
    for number in range(_LAST_RUNS):
        if number == _LAST_NEW_DAY:
            for name, job in list(scene.jobs.items()):
                scene.change(name, replace(job, yesterday=False))
        told = await scene.run()
        if scene.broken:
            return
        if _is_settled(scene, told):
            scene.broken += oracle.of_the_end(scene, told)
            await _look_around(scene)
            if told.code == 1 and not scene.broken:
                await _take_ways_out(scene)
            return
        await anyio.sleep(_PAUSES[min(number, len(_PAUSES) - 1)])
    if oracle.is_kind(scene.case):
        scene.broken.append(f"NEVER ENDS after {_LAST_RUNS} last runs: {scene.states()}")
    scene.broken += oracle.of_the_end(scene, told)


async def _take_ways_out(scene: Scene) -> None:
    """What needs a person can be settled by one: first for free, in the end by doing without."""
    paths = [str(scene.path(job)) for job in scene.jobs.values()]
    config = str(scene.folder / "config.yaml")
    told = scene.terminal.told[-1]
    for how in ("refetch", "accept-file", "waive"):
        await scene.decide("resolve", "--all", f"--{how}", *paths, "--config", config)
        told = await scene.run()
        if scene.broken or told.code == 0:
            return
        if any(one["refused"] for one in told.answer.get("unsettled", ())):
            return  # the API has to be asked about, not a report
    if not any(row.state.is_open for row in scene.rows()):
        scene.broken.append(f"NO WAY OUT exit {told.code} after --waive: {scene.states()}")


async def _look_around(scene: Scene) -> None:
    """Every command that only reads: none may break, and what is collected must be as it was."""
    paths = [str(scene.path(job)) for job in scene.jobs.values()]
    await scene.type("status", *paths, "--json")
    await scene.type("files", *paths, "--json")
    await scene.type("plan", *paths, "--json")
    verified = await scene.type("verify", *paths, "--json")
    if verified.code != 0:
        scene.broken.append(f"VERIFY finds fault: exit {verified.code}: {verified.out[-500:]}")


def _is_settled(scene: Scene, told: Told) -> bool:
    """Whether the next run would do nothing."""
    if told.code == 0:
        return True
    if told.code == 2:
        return True
    return told.code == 1 and not any(row.state.is_open for row in scene.rows())
