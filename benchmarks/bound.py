"""The least time in which anybody could fetch some reports, and small statistics.

The bound is list scheduling of creates and downloads under the rate limit and the server's
concurrency, in a given order of creates, without a single look: as if somebody whispered when each
report is ready.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_INSTANT: Final = 1e-9


def least_makespan(durations: Sequence[float], *, gap: float, concurrency: int | None) -> float:
    """From the first create to the last download asked for, in seconds.

    Creating first and then downloading is the best there is: take any schedule and swap a
    download with the create right after it. The create moves forward, so its report and all
    behind it are ready no later; the download moves back by one turn, so it is ready still; and
    the last turn, always a download, stays where it is. Repeated, all creates come first.
    Both orders are computed all the same, and the smaller is taken.

    Args:
        durations: how long the server works on each report, in the order of their creates.
        gap: seconds between two requests at the least: a token bucket of burst 1.
        concurrency: how many reports the server works on at once, first come, first served; None
            is all.
    """
    if not durations:
        return 0.0
    return min(
        creates_first(durations, gap=gap, concurrency=concurrency),
        downloads_first(durations, gap=gap, concurrency=concurrency),
    )


def creates_first(durations: Sequence[float], *, gap: float, concurrency: int | None) -> float:
    """The makespan if nothing is downloaded before all is created."""
    server = Server(concurrency)
    ready = sorted(server.admit(number * gap, taken) for number, taken in enumerate(durations))
    turn, last = len(durations) * gap, 0.0
    for moment in ready:
        last = max(turn, moment)
        turn = last + gap
    return last


def downloads_first(durations: Sequence[float], *, gap: float, concurrency: int | None) -> float:
    """The makespan if whatever is ready is downloaded at once, and the rest of the turns create."""
    server = Server(concurrency)
    waiting: list[float] = []
    created, turn, last = 0, 0.0, 0.0
    while created < len(durations) or waiting:
        if created < len(durations) and not (waiting and waiting[0] <= turn + _INSTANT):
            heapq.heappush(waiting, server.admit(turn, durations[created]))
            created += 1
        else:
            turn = last = max(turn, heapq.heappop(waiting))
        turn += gap
    return last


class Server:
    """Works on so many reports at once, first come, first served.

    Args:
        concurrency: None is all.
    """

    def __init__(self, concurrency: int | None) -> None:
        self._slots = math.inf if concurrency is None else concurrency
        self._busy_until: list[float] = []

    def admit(self, created: float, taken: float) -> float:
        """When a report is ready that was created then; called in the order of creates."""
        start = created
        if len(self._busy_until) >= self._slots:
            start = max(created, heapq.heappop(self._busy_until))
        heapq.heappush(self._busy_until, start + taken)
        return start + taken


def quantile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least this share of all do not exceed; 0 of nothing."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
