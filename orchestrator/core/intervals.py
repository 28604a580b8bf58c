"""Interval arithmetic on windows of time, whose end is exclusive: union, difference, length.

A *span set* here is a tuple of windows that is normal: sorted, disjoint, no two touching. Every
function takes windows in any order and returns span sets.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from orchestrator.texts import utc_text

Moment = TypeVar("Moment", int, datetime)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A half-open span of time ``[start, end)``: aware, in UTC, whole seconds, never empty.

    Raises:
        ValueError: where one of these does not hold.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for moment in (self.start, self.end):
            if moment.tzinfo is not UTC or moment.microsecond:
                raise ValueError(f"{moment!r} is not a whole second of UTC")
        if self.start >= self.end:
            raise ValueError(f"the window from {self.start} to {self.end} is empty")

    @classmethod
    def of_epoch(cls, start: int, end: int) -> Window:
        """The window between two counts of seconds since 1970-01-01T00:00:00Z."""
        return cls(datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC))

    @property
    def epoch(self) -> tuple[int, int]:
        """Start and end in seconds since 1970-01-01T00:00:00Z."""
        return int(self.start.timestamp()), int(self.end.timestamp())

    @property
    def length(self) -> timedelta:
        """End less start."""
        return self.end - self.start

    def overlaps(self, other: Window) -> bool:
        """Whether a moment lies in both; windows that only touch do not overlap."""
        return self.start < other.end and other.start < self.end

    def __str__(self) -> str:
        """Both ends in UTC; the clock is left out where both are midnight."""
        midnight = all(
            (moment.hour, moment.minute, moment.second) == (0, 0, 0)
            for moment in (self.start, self.end)
        )
        length = len("2026-03-01") if midnight else None
        return f"{utc_text(self.start)[:length]} to {utc_text(self.end)[:length]}"


def coalesce(ordered: Iterable[Window]) -> Iterator[Window]:
    """Merges windows that overlap or touch; takes them ordered by start, and streams.

    Memory does not grow with the number of windows taken in.
    """
    for start, end in merge((window.start, window.end) for window in ordered):
        yield Window(start, end)


def merge(ordered: Iterable[tuple[Moment, Moment]]) -> Iterator[tuple[Moment, Moment]]:
    """As `coalesce`, of starts and ends of any kind that can be ordered."""
    windows = iter(ordered)
    first = next(windows, None)
    if first is None:
        return
    begin, last = first
    for start, end in windows:
        if start > last:
            yield begin, last
            begin, last = start, end
        elif end > last:
            last = end
    yield begin, last


class Overlaps:
    """Counts which of many windows overlap another, in a time that hardly grows with their number.

    Args:
        windows: in any order; they may overlap each other.
    """

    def __init__(self, windows: Iterable[Window]) -> None:
        many = tuple(windows)
        self._starts = sorted(window.start for window in many)
        self._ends = sorted(window.end for window in many)

    def of(self, window: Window) -> int:
        """The number of those that overlap a window."""
        # Those that end before it have begun before its end, too.
        return bisect_left(self._starts, window.end) - bisect_right(self._ends, window.start)


def union(*many: Iterable[Window]) -> tuple[Window, ...]:
    """Every moment that lies in any of the windows."""
    return tuple(coalesce(sorted(window for windows in many for window in windows)))


def subtract(windows: Iterable[Window], taken: Iterable[Window]) -> tuple[Window, ...]:
    """Every moment of `windows` that lies in none of `taken`."""
    remaining: list[Window] = []
    holes = union(taken)
    at = 0
    for window in union(windows):
        start = window.start
        while at < len(holes) and holes[at].end <= start:
            at += 1
        hole = at
        while hole < len(holes) and holes[hole].start < window.end:
            if start < holes[hole].start:
                remaining.append(Window(start, holes[hole].start))
            start = max(start, holes[hole].end)
            hole += 1
        if start < window.end:
            remaining.append(Window(start, window.end))
    return tuple(remaining)


def intersect(windows: Iterable[Window], others: Iterable[Window]) -> tuple[Window, ...]:
    """Every moment that lies in both."""
    windows = union(windows)
    return subtract(windows, subtract(windows, others))


def before(windows: Iterable[Window], moment: datetime) -> tuple[Window, ...]:
    """The part of `windows` that lies before `moment`."""
    return tuple(
        window if window.end <= moment else Window(window.start, moment)
        for window in union(windows)
        if window.start < moment
    )


def since(windows: Iterable[Window], moment: datetime) -> tuple[Window, ...]:
    """The part of `windows` that lies at `moment` or after it."""
    return tuple(
        window if window.start >= moment else Window(moment, window.end)
        for window in union(windows)
        if window.end > moment
    )


def total(windows: Iterable[Window]) -> timedelta:
    """The time that the windows cover together."""
    return sum((window.length for window in union(windows)), timedelta())
