"""Estimates the records of a window from what was collected around it. Pure.

The cost of a window is estimated by the mean of what was collected near it (`History.expected`).
Whether a report of it stays below a number of records is judged by the densest stretch near it,
with a margin (`Sizing.fits`).
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final

from orchestrator.core.intervals import Window
from orchestrator.core.model import Job

MARGIN: Final = 1.5
"""By which the target is divided: the densest stretch that was seen may not be the densest."""

SCARCE: Final = timedelta(days=7)
"""Collected time near a chunk below which its other days are uncertain: Sundays tell little of
Mondays."""

SCARCE_FACTOR: Final = 5.0
"""By which an estimate from less than `SCARCE`, or from similar series only, is multiplied."""

OF_A_DAY: Final = 3.0
"""By which the mean of a day is multiplied for a part of a day: noon is busier than midnight."""

STEP: Final = 4
"""Where records are limited and little was seen: the next chunk over all that was seen so far."""

NEAR: Final = timedelta(days=45)
"""How near to a chunk collected time must be to count for it; without any, the nearest counts."""

_BUCKET: Final = timedelta(days=28)  # estimates are cached for each of these
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
_CHANCE: Final = 3.0  # records that a chunk may have more by chance


@dataclass(frozen=True, slots=True)
class ObservedSpan:
    """Records collected over a stretch of time."""

    window: Window
    covered: timedelta
    rows: int

    @property
    def a_day(self) -> float:
        """Records a day."""
        return self.rows * (_DAY / self.covered)


@dataclass(frozen=True, slots=True)
class _Around:
    """What was seen near a stretch of time."""

    densest: float
    mean: float
    covered: timedelta


@dataclass(frozen=True)
class History:
    """What the ledger has seen of a series, or of its likes."""

    seen: tuple[ObservedSpan, ...] = ()  # by start; stretches of different series may overlap
    own: bool = True
    _known: dict[int, _Around] = field(default_factory=dict, repr=False, compare=False)

    def __bool__(self) -> bool:
        """Whether anything was seen at all."""
        return bool(self.seen)

    def expected(self, windows: Iterable[Window]) -> int | None:
        """The records that these windows will probably hold; None: unknown."""
        if not self.seen:
            return None
        return round(
            sum(
                around.mean * (length / _DAY)
                for window in windows
                for length, around in self._parts(window)
            )
        )

    def at_most(self, window: Window, margin: float = 1.0) -> float:
        """The records that a window will hardly exceed; 0 where nothing was seen.

        By `margin` is multiplied what enough was seen of; a little seen has a margin of its own.
        """
        return sum(
            around.densest
            * (length / _DAY)
            * (margin if self.own and around.covered >= SCARCE else SCARCE_FACTOR)
            for length, around in self._parts(window)
        )

    def _parts(self, window: Window) -> Iterator[tuple[timedelta, _Around]]:
        """The window in pieces, each with what was seen near it."""
        number = (window.start - _EPOCH) // _BUCKET
        start = window.start
        while start < window.end:
            end = min(window.end, _EPOCH + (number + 1) * _BUCKET)
            around = self._known.get(number)
            if around is None:
                around = self._known[number] = self._around(number)
            yield end - start, around
            start = end
            number += 1

    def _around(self, number: int) -> _Around:
        middle = _EPOCH + number * _BUCKET + _BUCKET / 2
        reach = _BUCKET / 2 + NEAR
        first = bisect_left(self._starts, middle - reach - self._longest)
        last = bisect_left(self._starts, middle + reach)
        near = [span for span in self.seen[first:last] if span.window.end > middle - reach]
        covered = sum((span.covered for span in near), timedelta())
        if covered < SCARCE and self.seen:
            near = self._nearest(middle)
            covered = sum((span.covered for span in near), timedelta())
        if not near or not covered:
            return _Around(0.0, 0.0, timedelta())
        return _Around(
            densest=max(span.a_day for span in near),
            mean=sum(span.rows for span in near) * (_DAY / covered),
            covered=covered,
        )

    def _nearest(self, moment: datetime) -> list[ObservedSpan]:
        """The stretches next to a moment, until they make a week."""

        def distance(span: ObservedSpan) -> timedelta:
            return max(span.window.start - moment, moment - span.window.end)

        nearest: list[ObservedSpan] = []
        covered = timedelta()
        for span in sorted(self.seen, key=distance):
            if covered >= SCARCE:
                break
            nearest.append(span)
            covered += span.covered
        return nearest

    @cached_property
    def covered(self) -> timedelta:
        """How much time was seen, all together."""
        return sum((span.covered for span in self.seen), timedelta())

    @cached_property
    def _starts(self) -> list[datetime]:
        return [span.window.start for span in self.seen]

    @cached_property
    def _longest(self) -> timedelta:
        return max((span.window.length for span in self.seen), default=timedelta())


@dataclass(frozen=True)
class Sizing:
    """How a series' chunks are made so small that their reports hold at most so many records."""

    target: int
    history: History  # what has been seen; empty: a probe must come first
    # the records are bounded by a budget: nothing is asked for that may go beyond it
    careful: bool = False

    @property
    def must_probe(self) -> bool:
        """Whether nothing is known, so that a small chunk has to come back before any other.

        What was seen of its likes alone says too little where a budget has to be kept.
        """
        return not self.history or (self.careful and not self.history.own)

    @property
    def step(self) -> timedelta | None:
        """How long the next chunk may be at most, and no other beside it; None: no such bound."""
        if self.must_probe:
            return _HOUR if self.careful else _DAY
        if self.careful and self.history.covered < SCARCE:
            return max(_HOUR, STEP * self.history.covered)
        return None

    def upper(self, window: Window) -> float:
        """The records that a report of this window will hardly exceed; 0 where nothing was seen."""
        if not self.history:
            return 0.0
        # What was seen in one report of a month says nothing of its weekdays.
        limit = self.history.at_most(window, MARGIN if window.length >= _DAY else OF_A_DAY)
        # A few records more or less are chance, the more so the less was seen.
        return limit + _CHANCE * max(1.0, window.length / max(self.history.covered, _HOUR))

    def fits(self, window: Window) -> bool:
        """Whether a report of this window is unlikely to hold more than the target."""
        if self.careful:
            return self.upper(window) <= self.target
        return self.history.at_most(window) * MARGIN <= self.target


def is_sized(job: Job, room: int | None) -> bool:
    """Whether records bound the chunks of a job's series, so that their history is of use."""
    return room is not None or job.target_rows is not None


def sizing(job: Job, history: History, room: int | None) -> Sizing | None:
    """How the chunks of a series are sized; None: by time alone.

    Args:
        room: the records of it that may still be asked for; None: any number.
    """
    if room is not None:
        target = room if job.target_rows is None else min(room, job.target_rows)
        return Sizing(target, history, careful=True)
    return None if job.target_rows is None else Sizing(job.target_rows, history)


def hardly_more(history: History, window: Window) -> int:
    """The records that a report of this window will hardly exceed, before it is counted."""
    return math.ceil(Sizing(0, history, careful=True).upper(window))
