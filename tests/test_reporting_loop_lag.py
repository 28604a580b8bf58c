"""The pulse of the event loop: what a stall looks like, in quantiles and in words."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.lowlevel import checkpoint

from orchestrator.reporting.loop_lag import LoopLag, LoopLagMonitor

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_was_seen_at_first() -> None:
    assert LoopLagMonitor().stalls() == LoopLag(0, 0.0, 0.0, 0.0)
    assert LoopLagMonitor().stalls().words == ""


@pytest.mark.parametrize("late_ms", [0.0, 0.05, 0.1, 0.11, 1.0, 19.9, 3.3])
def test_a_quantile_is_at_most_a_tenth_too_high_and_never_too_low(late_ms: float) -> None:
    loop_lag = LoopLagMonitor()
    for _ in range(100):
        loop_lag.record(late_ms / 1000)
    loop_lag.record(0.0199)  # a worse one, so that the maximum does not hide the bucket's end
    stalls = loop_lag.stalls()
    assert late_ms <= stalls.p50_ms <= max(0.1, late_ms * 1.1000001)
    assert stalls.beats == 101


def test_beats_that_a_stall_swallowed_count_as_late_as_they_would_have_come() -> None:
    loop_lag = LoopLagMonitor(interval=0.02)
    for _ in range(50):
        loop_lag.record(0.0)
    loop_lag.record(1.0)
    stalls = loop_lag.stalls()
    assert stalls.beats == 50 + 51
    assert stalls.max_ms == pytest.approx(1000)
    assert stalls.p50_ms <= 22
    assert stalls.p999_ms == pytest.approx(1000)


def test_one_slow_turn_in_many_thousands_is_the_maximum_and_no_quantile() -> None:
    loop_lag = LoopLagMonitor(interval=10.0)
    for _ in range(5000):
        loop_lag.record(0.001)
    loop_lag.record(2.0)
    stalls = loop_lag.stalls()
    assert stalls.p999_ms == pytest.approx(1.0, rel=0.1)
    assert stalls.max_ms == 2000
    assert stalls.words == ""


@pytest.mark.parametrize("late", [-1.0, 1e-9, 3600.0, 1e9])
def test_any_lateness_has_a_bucket(late: float) -> None:
    loop_lag = LoopLagMonitor(interval=1e9)
    loop_lag.record(late)
    stalls = loop_lag.stalls()
    assert stalls.max_ms == max(0.0, late * 1000)
    assert 0.0 <= stalls.p999_ms <= stalls.max_ms


def test_a_stall_of_a_day_is_counted_in_no_time() -> None:
    loop_lag = LoopLagMonitor()
    began = time.process_time()
    loop_lag.record(86400.0)
    assert time.process_time() - began < 1
    assert loop_lag.stalls().max_ms == 86_400_000


def test_the_words_tell_what_it_means() -> None:
    stalls = LoopLag(beats=1000, p50_ms=1.0, p999_ms=81.4, max_ms=1234.5)
    assert stalls.words == (
        "the event loop stalled: one turn in a thousand came 81 ms late or more, the worst 1,234 "
        "ms; requests went out that much later, nothing else suffers; the machine is short of "
        "CPU, or its disk is slow"
    )


@pytest.mark.parametrize(
    "stalls",
    [LoopLag(1000, 1.0, 50.0, 900.0), LoopLag(999, 60.0, 800.0, 900.0)],
    ids=["fast enough", "too few to tell"],
)
def test_there_are_no_words_where_nothing_is_to_be_said(stalls: LoopLag) -> None:
    assert stalls.words == ""


def test_as_json_it_is_rounded_to_a_tenth_of_a_millisecond() -> None:
    assert LoopLag(7, 0.123, 4.567, 8.9).as_json == {
        "beats": 7,
        "stall_p50_ms": 0.1,
        "stall_p999_ms": 4.6,
        "stall_max_ms": 8.9,
    }


@pytest.mark.anyio
async def test_a_callback_that_blocks_the_loop_is_seen() -> None:
    loop_lag = LoopLagMonitor(interval=0.005)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(loop_lag.beat)
        await checkpoint()
        await checkpoint()
        time.sleep(0.08)  # noqa: ASYNC251 - it is meant to block
        await anyio.sleep(0.005)
        tasks.cancel_scope.cancel()
    stalls = loop_lag.stalls()
    assert stalls.max_ms >= 70
    assert stalls.beats >= 10


@pytest.mark.anyio
@pytest.mark.virtual
async def test_a_loop_that_nothing_holds_up_is_never_late() -> None:
    loop_lag = LoopLagMonitor()
    with anyio.move_on_after(300):
        await loop_lag.beat()
    stalls = loop_lag.stalls()
    assert stalls.beats == pytest.approx(300 / 0.02, rel=0.01)
    assert stalls.max_ms < 0.001


def test_a_run_whose_loop_stalls_says_so_in_a_line_of_its_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestrator.reporting import loop_lag
    from tests.kit.cli_worlds import simulated

    monkeypatch.setattr(loop_lag, "_MIN_BEATS", 1)
    monkeypatch.setattr(loop_lag, "WARNING_MS", -1.0)
    with simulated(tmp_path) as place:
        assert place.run("--log-format", "json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (line,) = [one for one in lines if "the event loop stalled" in one["event"]]
    assert line["level"] == "info"
    assert line["beats"] > 0
    assert line["stall_max_ms"] == lines[-1]["event_loop"]["stall_max_ms"]


def test_a_run_without_a_receiver_tells_of_its_loop_and_of_no_callbacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.kit.cli_worlds import simulated

    with simulated(tmp_path) as place:
        assert place.run("--json", "--quiet") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["callbacks"] is None
    assert set(answer["event_loop"]) == {"beats", "stall_p50_ms", "stall_p999_ms", "stall_max_ms"}
    assert answer["event_loop"]["beats"] > 0
