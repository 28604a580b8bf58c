"""How many records to expect of a window, from what was collected around it.

Two questions, two answers. What will a window cost? The mean of what was seen near it
(`History.expected`). Will a report of it stay below so many records? That is judged by the densest
stretch seen near it, with a margin (`Sizing.fits`).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.core.intervals import Window
    from orchestrator.core.model import Job
    from orchestrator.core.settings import Limits

MARGIN: Final = 1.5
"""A chunk is to hold at most the target over this, by the densest stretch seen."""

SCARCE: Final = timedelta(days=7)
"""Less than this seen near a chunk says little of its other days: a Sunday nothing of a Monday."""

SCARCE_FACTOR: Final = 5.0
"""By which a little seen is multiplied; so is what was seen of the series' likes only."""

NEAR: Final = timedelta(days=45)
"""What was seen this near a chunk is what counts for it; the nearest, where there is nothing."""

_BUCKET: Final = timedelta(days=28)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Seen:
    """Records collected over a stretch of time.

    Attributes:
        window: from the first to the last moment.
        covered: how much of it was collected.
        rows: the records of that part.
    """

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
    """What the ledger has seen of a series, or of its likes.

    Attributes:
        seen: by start; stretches of different series may overlap.
        own: it is of the series itself.
    """

    seen: tuple[Seen, ...] = ()
    own: bool = True
    _known: dict[int, _Around] = field(default_factory=dict, repr=False, compare=False)

    def __bool__(self) -> bool:
        """Whether anything was seen at all."""
        return bool(self.seen)

    def expected(self, windows: Iterable[Window]) -> int | None:
        """The records that these windows will probably hold; None: nobody can say."""
        if not self.seen:
            return None
        return round(
            sum(
                around.mean * (length / _DAY)
                for window in windows
                for length, around in self._parts(window)
            )
        )

    def at_most(self, window: Window) -> float:
        """The records that a window will hardly exceed; 0 where nothing was seen."""
        return sum(
            around.densest
            * (length / _DAY)
            * (1.0 if self.own and around.covered >= SCARCE else SCARCE_FACTOR)
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
        near = [one for one in self.seen[first:last] if one.window.end > middle - reach]
        if not near and self.seen:
            near = self._nearest(middle)
        covered = sum((one.covered for one in near), timedelta())
        if not near or not covered:
            return _Around(0.0, 0.0, timedelta())
        return _Around(
            densest=max(one.a_day for one in near),
            mean=sum(one.rows for one in near) * (_DAY / covered),
            covered=covered,
        )

    def _nearest(self, moment: datetime) -> list[Seen]:
        """The stretches next to a moment, until they make a week."""

        def distance(one: Seen) -> timedelta:
            return max(one.window.start - moment, moment - one.window.end)

        found: list[Seen] = []
        covered = timedelta()
        for one in sorted(self.seen, key=distance):
            if covered >= SCARCE:
                break
            found.append(one)
            covered += one.covered
        return found

    @cached_property
    def _starts(self) -> list[datetime]:
        return [one.window.start for one in self.seen]

    @cached_property
    def _longest(self) -> timedelta:
        return max((one.window.length for one in self.seen), default=timedelta())


@dataclass(frozen=True)
class Sizing:
    """How a series' chunks are made so small that their reports hold at most so many records.

    Attributes:
        target: the most records that one report should hold.
        history: what has been seen; empty: a probe must come first.
    """

    target: int
    history: History

    @property
    def must_probe(self) -> bool:
        """Whether nothing is known, so that a small chunk has to come back before any other."""
        return not self.history

    def fits(self, window: Window) -> bool:
        """Whether a report of this window is unlikely to hold more than the target."""
        return self.history.at_most(window) * MARGIN <= self.target


def target(job: Job, limits: Limits) -> int | None:
    """The most records that a chunk of a job should hold; None: chunks are not sized by rows.

    A run that may ask for so many records in all must not cut chunks that hold more.
    """
    bounds = [one for one in (job.target_rows, limits.max_records) if one is not None]
    return min(bounds, default=None)
