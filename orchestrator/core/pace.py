"""How long reports take: what finished before says when to look at what is open.

Two questions. How long will a report take? Seconds and records of the latest reports of its product
say: a base, and so much a record. When is it worth a look? A life table says: of the reports that
were open at an age (in units of what was expected of them), how many ended at that age. Waiting in
the server's queue, a busy hour, a slow product: all of it is in the table, which forgets slowly.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Taken(NamedTuple):
    """How long one report took.

    Attributes:
        rows: records in its file.
        seconds: from when its id was known to when it was seen finished.
    """

    rows: int
    seconds: float


class Open(NamedTuple):
    """A report that is watched.

    Attributes:
        age: seconds since its id was known, when it was last seen open.
        expected: seconds that it was expected to take.
    """

    age: float
    expected: float


UNKNOWN_SECONDS: Final = 30.0
"""What a report is expected to take where nothing is known; looks correct it soon."""

_LATEST: Final = 200
"""So many reports of a product tell how long it takes."""

_ENOUGH: Final = 5
"""So many ends make a life table that is better than none."""

_MEMORY: Final = 400.0
"""So many ends weigh fully; then all of the past weighs half."""

_BORDERS: Final = tuple(2 ** (quarter / 4) for quarter in range(-24, 33))
"""Ages in units of what was expected, where the cells of the table meet: 1/64 to 256."""


@dataclass(slots=True)
class _Product:
    """What is known of one product: the latest reports, and a line through them."""

    latest: deque[Taken] = field(default_factory=lambda: deque(maxlen=_LATEST))
    base: float = 0.0
    a_row: float = 0.0
    unread: int = 0

    def fit(self) -> None:
        """Draws the line: seconds = base + a_row * rows."""
        self.unread = 0
        number = len(self.latest)
        mean_rows = sum(one.rows for one in self.latest) / number
        mean_seconds = sum(one.seconds for one in self.latest) / number
        spread = sum((one.rows - mean_rows) ** 2 for one in self.latest)
        together = sum((one.rows - mean_rows) * (one.seconds - mean_seconds) for one in self.latest)
        self.a_row = max(0.0, together / spread) if spread else 0.0
        self.base = mean_seconds - self.a_row * mean_rows
        if self.base < 0:
            # More records never take less time, and none take no negative one.
            self.base, self.a_row = 0.0, mean_seconds / mean_rows if mean_rows else 0.0

    def seconds(self, rows: int | None) -> float:
        if rows is None:
            return median(one.seconds for one in self.latest)
        return self.base + self.a_row * rows


class Pace:
    """Learns how long reports take, as they end.

    Args:
        past: how long the latest reports of earlier runs took, by product.
    """

    def __init__(self, past: Mapping[str, Sequence[Taken]] | None = None) -> None:
        self._products: dict[str, _Product] = {}
        cells = len(_BORDERS) + 1
        self._ends = [0.0] * cells
        self._time = [0.0] * cells
        self._sum = 0.0
        self._hazard: list[float] | None = None
        for product, reports in (past or {}).items():
            for taken in reports[:_LATEST]:
                self._learn(product, taken)
            if reports:
                self._products[product].fit()
        for product, reports in (past or {}).items():
            for taken in reports[:_LATEST]:
                expected = self.expected(product, taken.rows)
                self.saw(Open(0.0, expected), taken.seconds, ended=True)

    # --- how long a report takes ------------------------------------------------------------------

    def expected(self, product: str, rows: int | None) -> float:
        """Seconds that a report will take; `rows`: the records expected, None if nobody can say."""
        known = self._products.get(product)
        if known is None or not known.latest:
            return UNKNOWN_SECONDS
        return max(1.0, known.seconds(rows))

    def took(self, product: str, taken: Taken) -> None:
        """A report has ended; it was seen so long after its id was known."""
        known = self._learn(product, taken)
        known.unread += 1
        if known.unread >= min(len(known.latest), 20):
            known.fit()

    def _learn(self, product: str, taken: Taken) -> _Product:
        known = self._products.setdefault(product, _Product())
        known.latest.append(taken)
        return known

    # --- when to look -----------------------------------------------------------------------------

    @property
    def is_known(self) -> bool:
        """Whether enough has ended to foresee anything."""
        return self._sum >= _ENOUGH

    def saw(self, report: Open, age: float, *, ended: bool) -> None:
        """A report that was open at `report.age` is still open at `age` seconds, or has ended.

        When it ended in between nobody knows: half-way is as good as any.
        """
        last = (report.age + age) / 2 if ended else age
        start, end = report.age / report.expected, last / report.expected
        if ended or end > start:
            self._hazard = None
        cell = bisect_right(_BORDERS, start)
        while start < end:
            border = _BORDERS[cell] if cell < len(_BORDERS) else math.inf
            until = min(end, border)
            self._time[cell] += until - start
            start = until
            if start < end:
                cell += 1
        if ended:
            self._ends[cell] += 1
            self._sum += 1
            if self._sum > _MEMORY:
                self._forget()

    def _forget(self) -> None:
        self._ends = [number / 2 for number in self._ends]
        self._time = [time / 2 for time in self._time]
        self._sum /= 2

    def ends(self, reports: Iterable[Open], seconds: float) -> float:
        """How many of these will probably have ended, so long after they were last seen open."""
        return sum(
            -math.expm1(
                self._risk(one.age / one.expected) - self._risk((one.age + seconds) / one.expected)
            )
            for one in reports
        )

    def wait_for(self, reports: Sequence[Open], wanted: float, least: float, most: float) -> float:
        """Seconds, between `least` and `most`, until probably `wanted` of these have ended."""
        if self.ends(reports, most) <= wanted:
            return most
        low, high = least, most
        while high - low > max(0.25, low / 32):
            middle = (low + high) / 2
            if self.ends(reports, middle) < wanted:
                low = middle
            else:
                high = middle
        return high

    def _risk(self, age: float) -> float:
        """The risk of ending, added up to an age: minus the logarithm of who is left by then."""
        if self._hazard is None:
            self._hazard = self._add_up()
        cell = bisect_right(_BORDERS, age)
        border = _BORDERS[cell - 1] if cell else 0.0
        return self._hazard[cell] + (age - border) * self._rate(cell)

    def _add_up(self) -> list[float]:
        added = [0.0]
        for cell, (start, end) in enumerate(pairwise((0.0, *_BORDERS))):
            added.append(added[-1] + (end - start) * self._rate(cell))
        return added

    def _rate(self, cell: int) -> float:
        """Ends for each unit of age. A guess where little was seen: what is old takes longer."""
        guess = 1 / max(0.5, _BORDERS[min(cell, len(_BORDERS) - 1)])
        return (self._ends[cell] + 0.25) / (self._time[cell] + 0.25 / guess)
