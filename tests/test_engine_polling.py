"""The watcher against the simulator: every end is told, and how many requests that takes."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

import anyio
import pytest

from orchestrator.core.durations import DurationModel, ReportDuration
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.core.proofs import Proof
from orchestrator.core.settings import PollPolicy
from orchestrator.engine.polling.missing_reports import Gone
from orchestrator.simulator import Fault
from tests.kit.stage import between, job, stage, with_faults
from tests.kit.watching import lasting, watching

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.core.model import Report
    from orchestrator.simulator import Settings
    from tests.kit.watching import Scene

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

OWN = "abcd1234"
SUBS = [f"sub{number:05}" for number in range(30)]
NO_LISTS = "not asking for lists any more"


def lists(do: str, **options: object) -> Fault:
    return Fault.of("list", do, **options)


def slow(*faults: Fault, **rest: object) -> Settings:
    return lasting(20, 200, *faults, subaccounts=30, **rest)


def told_of_lists(scene: Scene) -> list[str]:
    return [note for note in scene.stage.seen.notes if NO_LISTS in note]


# --- lists that can be trusted --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "accounts", "most_calls", "wait"),
    [
        pytest.param(slow(), [OWN] * 100, (27, 8), 6, id="one account"),
        pytest.param(lasting(1, 10), [OWN] * 100, (6, 3), 8, id="quick ones"),
        pytest.param(slow(concurrency=20), [OWN] * 100, (35, 10), 25, id="a queue at the server"),
        pytest.param(slow(list_under="key"), [OWN] * 100, (27, 8), 6, id="one, under its own key"),
        pytest.param(slow(list_under="key"), SUBS[:1] * 100, (30, 9), 6, id="another's, under key"),
        pytest.param(slow(list_under="key"), sorted(SUBS * 3), (28, 12), 6, id="30, under the key"),
        pytest.param(slow(list_under="both"), sorted(SUBS * 3), (38, 20), 9, id="30, under both"),
        pytest.param(slow(), sorted(SUBS * 3), (180, 180), 16, id="30, under their own"),
        pytest.param(slow(), SUBS, (4, 260), 16, id="30, one report each"),
        pytest.param(slow(), [OWN] * 10, (20, 5), 8, id="ten reports"),
        pytest.param(slow(), [OWN] * 2, (7, 6), 35, id="two reports"),
        pytest.param(slow(), [OWN], (0, 6), 20, id="a lone report"),
    ],
)
async def test_lists_answer_for_all_that_they_show(
    tmp_path: Path,
    settings: Settings,
    accounts: list[str],
    most_calls: tuple[int, int],
    wait: float,
) -> None:
    """At most so many lists, and so many single looks."""
    async with watching(tmp_path, settings) as scene:
        await scene.watch(accounts)
        scene.assert_all_were_told(len(accounts))
        assert scene.calls["list"] <= most_calls[0]
        assert scene.calls["status"] <= most_calls[1]
        assert median(scene.waits) <= wait
        assert told_of_lists(scene) == []


async def test_the_list_of_the_key_serves_accounts_that_are_shown_under_it(tmp_path: Path) -> None:
    """Two accounts find out; all that come later are asked for under the key at once."""
    async with watching(tmp_path, slow(list_under="key")) as scene:
        await scene.watch(sorted(SUBS * 3))
        asked = [account for _, account, _, _ in scene.lists]
        assert len(asked) - asked.count(OWN) <= 4


async def test_lists_reach_back_no_further_than_to_what_is_open(tmp_path: Path) -> None:
    """Ten minutes of quick reports: each list holds those of the last minutes."""
    async with watching(tmp_path, lasting(5, 30)) as scene:
        await scene.watch([OWN] * 60, in_flight=3)
        scene.assert_all_were_told(60)
        assert scene.lists[-1][0] > 360
        first, *others = scene.lists
        assert max(reach for _, _, reach, _ in others) <= 180
        assert max(shown for _, _, _, shown in others) <= 30
        assert first[2] > 600, "the server's clock is not known yet"


@pytest.mark.parametrize("by", [-7200.0, 7200.0])
async def test_a_server_whose_clock_is_set_loses_no_report(tmp_path: Path, by: float) -> None:
    fault = Fault.of("server", "clock", by=by, after=60.0)
    async with watching(tmp_path, slow(fault)) as scene:
        await scene.watch([OWN] * 40, in_flight=15)
        assert len(scene.told) == 40
        assert not scene.failed


# --- lists that cannot be had ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "most_lists"),
    [
        pytest.param(lists("refuse", status=403), 1, id="refused"),
        pytest.param(lists("refuse", status=401), 1, id="unauthorised"),
        pytest.param(lists("refuse", status=404), 1, id="not there"),
        pytest.param(lists("refuse", status=500), 4, id="failing"),
        pytest.param(lists("html", status=200), 4, id="HTML"),
        pytest.param(lists("shape", form="deep"), 4, id="not JSON"),
        pytest.param(lists("empty"), 5, id="empty"),
        pytest.param(lists("late", seconds=100), 5, id="late by more than a minute"),
    ],
)
async def test_without_lists_each_report_is_looked_at_by_itself(
    tmp_path: Path, fault: Fault, most_lists: int
) -> None:
    async with watching(tmp_path, slow(fault)) as scene:
        await scene.watch([OWN] * 60)
        scene.assert_all_were_told(60)
        assert scene.calls["list"] <= most_lists
        assert scene.calls["status"] <= 540
        assert max(scene.waits) <= 90
        assert len(told_of_lists(scene)) == 1


async def test_a_list_that_is_refused_for_one_account_is_left_for_that_one_alone(
    tmp_path: Path,
) -> None:
    fault = lists("refuse", status=403, account=SUBS[0])
    async with watching(tmp_path, slow(fault)) as scene:
        await scene.watch([SUBS[0], SUBS[1]] * 30)
        scene.assert_all_were_told(60)
        (note,) = told_of_lists(scene)
        assert f"account {SUBS[0]}: " in note
        assert sum(account == SUBS[1] for _, account, _, _ in scene.lists) >= 10
        assert scene.calls["status"] <= 30 * 7


async def test_lists_that_failed_for_a_while_are_asked_again_later(tmp_path: Path) -> None:
    async with watching(tmp_path, slow(lists("refuse", status=500, until=200.0))) as scene:
        await scene.watch([OWN] * 30)
        assert len(told_of_lists(scene)) == 1
        await anyio.sleep(900)
        before = scene.stage.sim.calls["status"]
        await scene.watch([OWN] * 30)
        scene.assert_all_were_told(60)
        assert scene.stage.sim.calls["status"] - before <= 6
        assert len(told_of_lists(scene)) == 1


async def test_lists_that_fail_now_and_then_are_kept(tmp_path: Path) -> None:
    async with watching(tmp_path, slow(lists("refuse", status=500, every=2))) as scene:
        await scene.watch([OWN] * 60)
        scene.assert_all_were_told(60)
        assert scene.calls["status"] <= 25
        assert told_of_lists(scene) == []


async def test_an_api_that_was_down_is_no_reason_to_distrust_its_lists(tmp_path: Path) -> None:
    down = [
        Fault.of(at, "refuse", status=503, after=60.0, until=1260.0)
        for at in ("create", "status", "list")
    ]
    async with watching(tmp_path, slow(*down)) as scene:
        await scene.watch([OWN] * 60)
        scene.assert_all_were_told(60)
        assert told_of_lists(scene) == []
        assert scene.calls["list"] + scene.calls["status"] <= 45
        assert max(scene.waits) <= 1260


async def test_single_calls_that_fail_alone_are_made_up_for_by_the_list(tmp_path: Path) -> None:
    async with watching(tmp_path, slow(Fault.of("status", "refuse", status=500))) as scene:
        await scene.watch([OWN] * 30)
        scene.assert_all_were_told(30)
        assert scene.looks <= 90


async def test_a_call_that_hangs_holds_up_the_others_for_its_own_time_only(
    tmp_path: Path,
) -> None:
    async with watching(tmp_path, slow(lists("hang", seconds=3600, nth=[2, 5]))) as scene:
        await scene.watch([OWN] * 50)
        scene.assert_all_were_told(50)
        assert max(scene.waits) <= 60 + 90


# --- lists that are wrong -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "most_looks", "longest"),
    [
        pytest.param(lists("late", seconds=30), 35, 30, id="late by half a minute"),
        pytest.param(lists("hides", share=0.1), 80, 70, id="lacking a tenth"),
        pytest.param(lists("hides", share=0.6), 300, 90, id="lacking most"),
        pytest.param(lists("lacks", newest=5), 90, 90, id="lacking the newest"),
        pytest.param(lists("stale", seconds=10), 40, 40, id="ten seconds old"),
        pytest.param(lists("stale", seconds=60), 120, 130, id="a minute old"),
        pytest.param(lists("stale", seconds=1e9), 300, 270, id="for ever as they began"),
        pytest.param(lists("word", status="PROCESSING"), 300, 270, id="for ever running"),
        pytest.param(lists("word", status="THINKING"), 300, 270, id="in words nobody knows"),
        pytest.param(lists("word", status="SUCCESS"), 450, 90, id="ended before it is so"),
        pytest.param(lists("word", status="FAILED"), 450, 90, id="failed, and they have not"),
        pytest.param(lists("omits", field="_links"), 100, 40, id="without links"),
        pytest.param(lists("omits", field="items_count"), 100, 40, id="without counts"),
        pytest.param(lists("omits", field="receive_time"), 40, 40, id="without times"),
        pytest.param(lists("shape", form="types", every=3), 60, 90, id="of strange shape"),
    ],
)
async def test_wrong_lists_cost_looks_and_lose_nothing(
    tmp_path: Path, fault: Fault, most_looks: int, longest: float
) -> None:
    """Nothing is believed that is not so: neither an end, nor for long that there is none."""
    async with watching(tmp_path, slow(fault)) as scene:
        await scene.watch([OWN] * 60)
        scene.assert_all_were_told(60)
        assert scene.looks <= most_looks
        assert max(scene.waits) <= longest


async def test_a_list_that_lags_by_minutes_is_found_out_and_left(tmp_path: Path) -> None:
    settings = slow(lists("stale", seconds=240), concurrency=50)
    async with watching(tmp_path, settings) as scene:
        await scene.watch([OWN] * 200)
        scene.assert_all_were_told(200)
        (note,) = told_of_lists(scene)
        assert "they do not show how reports really stand" in note
        last = [scene.told[one.request_id] for one in scene.stage.sim.world.reports()[-50:]]
        assert median(last) <= 40


async def test_what_lists_say_of_a_report_that_failed_is_asked_again(tmp_path: Path) -> None:
    fault = Fault.of("report", "outcome", status="FAILED", nth=[3, 8])
    async with watching(tmp_path, slow(fault)) as scene:
        await scene.watch([OWN] * 20)
        words = [remote.status_word for remote in scene.remotes.values()]
        assert (words.count("FAILED"), words.count("SUCCESS")) == (2, 18)
        assert told_of_lists(scene) == []


# --- old and stuck reports ------------------------------------------------------------------------


async def test_a_stuck_report_does_not_make_every_list_long(tmp_path: Path) -> None:
    """Once it is far older than the others it is looked at by itself, until the timeout."""
    settings = lasting(20, 60, Fault.of("report", "stuck", nth=1))
    async with watching(tmp_path, settings) as scene:
        async with anyio.create_task_group() as waiting:
            waiting.start_soon(wait_at_most, scene, await scene.buy(OWN), 2 * 3600.0)
            await scene.watch([OWN] * 90, in_flight=4)
            assert anyio.current_time() > 900
        assert anyio.current_time() == pytest.approx(2 * 3600.0, abs=5)
        scene.assert_all_were_told(90)
        late = [(reach, shown) for at, _, reach, shown in scene.lists if at > 700]
        assert len(late) >= 10
        assert max(reach for reach, _ in late) <= 240
        assert max(shown for _, shown in late) <= 30
        assert scene.watcher.watched == 0


async def wait_at_most(scene: Scene, report: Report, seconds: float) -> None:
    with anyio.move_on_after(seconds):
        await scene.wait(report)


async def test_reports_of_earlier_runs_are_looked_at_at_once_and_by_one_list(
    tmp_path: Path,
) -> None:
    """How long nobody looked at those that ended is no measure of how long they took."""
    pace = DurationModel({"SMS": [ReportDuration(0, 60.0)] * 50})
    async with watching(tmp_path, lasting(40, 80), pace=pace) as scene:
        old = [await scene.buy(OWN) for _ in range(20)]
        await anyio.sleep(5 * 3600)
        young = [await scene.buy(OWN) for _ in range(20)]
        await anyio.sleep(62)
        began = anyio.current_time()
        calls = scene.stage.sim.calls
        assert (calls["list"], calls["status"]) == (0, 0)
        async with anyio.create_task_group() as waiting:
            for report in old + young:
                waiting.start_soon(scene.wait, report)
            await anyio.sleep(2)
            assert calls["list"] == 1
            assert set(scene.told) >= {report.request_id for report in old}
        scene.assert_all_were_told(40)
        assert anyio.current_time() - began <= 40
        assert scene.looks <= 12
        assert pace.expected("SMS", None) == pytest.approx(60.0, abs=20)


async def test_reports_that_the_api_has_forgotten_are_told_as_such(tmp_path: Path) -> None:
    """After four days their ids answer 404, whatever lists still show."""
    async with watching(tmp_path, lasting(40, 80)) as scene:
        old = [await scene.buy(OWN) for _ in range(5)]
        await anyio.sleep(timedelta(days=5).total_seconds())
        async with anyio.create_task_group() as waiting:
            for report in old:
                waiting.start_soon(scene.wait, report)
        assert {one.proof for one in scene.unended.values() if isinstance(one, Gone)} == {
            Proof.REPORT_LIFE_OVER
        }
        assert len(scene.unended) == 5
        assert scene.calls["status"] == 15
        assert scene.calls["list"] == 0


# --- the end of a watch ---------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0.0, 1.0, 10.0, 50.0, 120.0])
async def test_nothing_is_watched_once_nobody_waits(tmp_path: Path, after: float) -> None:
    """Whoever waits is cancelled at any moment, looks that are under way or not."""
    async with watching(tmp_path, slow()) as scene:
        reports = [await scene.buy(OWN) for _ in range(10)]
        with anyio.move_on_after(after):
            async with anyio.create_task_group() as waiting:
                for report in reports:
                    waiting.start_soon(scene.wait, report)
        assert scene.watcher.watched == 0
        looks = scene.looks
        await anyio.sleep(600)
        assert scene.looks <= looks + 1


async def test_the_same_report_can_be_waited_for_again(tmp_path: Path) -> None:
    async with watching(tmp_path, slow()) as scene:
        report = await scene.buy(OWN)
        await wait_at_most(scene, report, 10)
        await scene.wait(report)
        scene.assert_all_were_told(1)


# --- whole runs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lists("hides", share=0.4), id="lacking some"),
        pytest.param(lists("stale", seconds=1e9), id="stale"),
        pytest.param(lists("word", status="SUCCESS"), id="ended before it is so"),
        pytest.param(lists("word", status="FAILED"), id="failed, and they have not"),
        pytest.param(lists("word", status="TRUNCATED"), id="truncated, and they are not"),
        pytest.param(lists("omits", field="_links"), id="without links"),
    ],
)
async def test_whatever_lists_say_all_is_collected_and_paid_once(
    tmp_path: Path, fault: Fault
) -> None:
    wanted = job(between("2025-02-01", "2026-02-01"))
    async with stage(tmp_path, with_faults(slow(), fault)) as here:
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)
        assert here.sim.calls["create"] == here.sim.calls["download"] == 12


async def test_looks_keep_to_the_intervals_of_the_config(tmp_path: Path) -> None:
    poll = PollPolicy(timedelta(seconds=30), timedelta(seconds=40))
    async with watching(tmp_path, slow(), poll=poll) as scene:
        await scene.watch([OWN] * 60)
        scene.assert_all_were_told(60)
        gaps = [later[0] - before[0] for before, later in pairwise(scene.lists)]
        assert min(gaps) >= 30 * 0.875
        assert max(gaps) <= 40 * 1.125 + 1
