"""The least makespan there could be, and the small statistics beside it."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.bound import (
    Server,
    creates_first,
    downloads_first,
    least_makespan,
    quantile,
)
from benchmarks.keys import use
from benchmarks.small_reports import growth

if TYPE_CHECKING:
    from collections.abc import Callable

GAP = 0.2

durations = st.lists(st.floats(0, 20), min_size=1, max_size=12)
concurrencies = st.none() | st.integers(1, 4)


@pytest.mark.parametrize(
    ("taken", "concurrency", "least"),
    [
        ([], 1, 0.0),
        ([3.0], 1, 3.0),
        ([3.0, 3.0], 1, 6.0),
        ([3.0, 3.0], None, 3.2),
        ([3.0, 3.0, 3.0], 2, 6.0),
        ([0.0] * 5, None, 1.8),
        ([3.0, 1.0, 1.0], None, 3.0),
        ([1.0, 1.0], None, 1.2),
        ([2.0, 1.9, 1.8], None, 2.4),
    ],
    ids=[
        "nothing",
        "one",
        "one after the other",
        "side by side",
        "two of three at once",
        "only the limit counts",
        "the first is the last to be ready",
        "ready one turn after the other",
        "all ready at about the same moment: a turn each",
    ],
)
def test_small_cases_by_hand(taken: list[float], concurrency: int | None, least: float) -> None:
    assert least_makespan(taken, gap=GAP, concurrency=concurrency) == pytest.approx(least)


def test_downloading_at_once_can_delay_the_last_report() -> None:
    """The second create waits for the first report's download, and all wait for the second."""
    taken = [0.1, 10.0]
    assert downloads_first(taken, gap=GAP, concurrency=None) == pytest.approx(10.4)
    assert creates_first(taken, gap=GAP, concurrency=None) == pytest.approx(10.2)


@given(durations, concurrencies)
def test_it_is_never_below_the_limit_nor_below_the_servers_work(
    taken: list[float], concurrency: int | None
) -> None:
    least = least_makespan(taken, gap=GAP, concurrency=concurrency)
    assert least >= (2 * len(taken) - 1) * GAP - 1e-6
    assert least >= max(taken) - 1e-6
    assert least >= sum(taken) / (concurrency or len(taken)) - 1e-6


@given(durations, concurrencies)
def test_creating_first_is_never_worse(taken: list[float], concurrency: int | None) -> None:
    first = creates_first(taken, gap=GAP, concurrency=concurrency)
    assert first <= downloads_first(taken, gap=GAP, concurrency=concurrency) + 1e-6


@given(durations, concurrencies, st.data())
def test_no_client_is_faster(
    taken: list[float], concurrency: int | None, data: st.DataObject
) -> None:
    """Whatever it does at each of its turns: create, download something ready, or idle."""
    idles = st.floats(0, 3)
    made = _some_client(
        taken, concurrency, lambda: data.draw(st.booleans()), lambda: data.draw(idles)
    )
    assert least_makespan(taken, gap=GAP, concurrency=concurrency) <= made + 1e-6


def _some_client(
    taken: list[float],
    concurrency: int | None,
    prefers_create: Callable[[], bool],
    idles: Callable[[], float],
) -> float:
    server, ready, left = Server(concurrency), list[float](), list(taken)
    turn = last = 0.0
    while left or ready:
        turn += idles()
        if left and (prefers_create() or not ready or ready[0] > turn):
            heapq.heappush(ready, server.admit(turn, left.pop(0)))
        else:
            turn = last = max(turn, heapq.heappop(ready))
        turn += GAP
    return last


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1), (0.25, 1), (0.5, 2), (0.51, 3), (0.95, 4), (1.0, 4)]
)
def test_a_quantile_is_one_of_the_values(share: float, value: float) -> None:
    assert quantile([4, 1, 3, 2], share) == value


def test_a_quantile_of_nothing_is_zero() -> None:
    assert quantile([], 0.5) == 0.0


def test_use_counts_until_the_first_key_has_sent_its_last_create() -> None:
    """Two keys of one request a second; a's last create is at 2 s, and b's later."""
    calls = [
        (0.0, "a", "create"),
        (0.0, "b", "create"),
        (1.0, "a", "list"),
        (2.0, "a", "create"),
        (2.0, "b", "download"),
        (3.0, "b", "create"),
        (4.0, "a", "download"),
    ]
    used = use(calls, rate=1.0)
    assert (used.seconds, used.asked, used.useful, used.allowed) == (2.0, 5, 4, 6.0)
    assert used.share == pytest.approx(5 / 6)
    assert used.useful_share == pytest.approx(4 / 6)


def test_growth_compares_the_last_quarter_with_the_second() -> None:
    """The first quarter is the start, and does not count."""
    samples = [
        (float(number), size) for number, size in enumerate([1.0, 9, 50, 50, 60, 70, 55, 55])
    ]
    assert growth(samples) == pytest.approx(1.1)
    assert growth(samples[:3]) is None
