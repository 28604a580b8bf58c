"""How long reports take: what finished before says when to look at what is open.

Two questions. How long will a report take? Seconds and records of the latest reports of its
product say: a base, and so much a record. When is it worth a look? A life table of each product
says: of the reports that were open at an age, how many ended at that age. Waiting in the server's
queue, a busy hour, a slow product: all of it is in the tables, which forget.
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


class ReportDuration(NamedTuple):
    """How long one report took.

    Attributes:
        rows: records in its file.
        seconds: from when its id was known to when it was seen finished.
    """

    rows: int
    seconds: float


class OpenReport(NamedTuple):
    """A report that is watched.

    Attributes:
        product: canonical.
        age: seconds since its id was known, when it was last seen open; negative: it was not yet.
        size: how long it will take, compared with most of its product.
    """

    product: str
    age: float
    size: float = 1.0


UNKNOWN_SECONDS: Final = 30.0
"""What a report is expected to take where nothing is known."""

_LATEST: Final = 200
"""So many reports of a product tell how long it takes."""

_FRESH: Final = 8
"""The line is drawn anew when one in so many of them is new."""

_ENOUGH: Final = 5
"""So many ends make a life table that is better than none."""

_MEMORY: Final = 100.0
"""So many ends weigh fully; then all of the past weighs half."""

_BORDERS: Final = tuple(2 ** (quarter / 4) for quarter in range(-4, 69))
"""Ages in seconds where the cells of a table meet: from half a second to a day and a half."""

_LARGEST: Final = 8.0
"""A report is taken to last at most so many times as long as most, and no less than one part."""


class _HazardTable:
    """Of the reports that were open at an age, how many ended at that age: rates, cell by cell."""

    def __init__(self) -> None:
        cells = len(_BORDERS) + 1
        self._ends = [0.0] * cells
        self._time = [0.0] * cells
        self._sum = 0.0
        self._rates: list[float] = []
        self._added: list[float] = []

    @property
    def is_known(self) -> bool:
        return self._sum >= _ENOUGH

    def saw(self, start: float, end: float, *, ended: bool) -> None:
        """A report was open from one age to another, and has ended there or not."""
        self._added = []
        start = max(0.0, start)
        cell = bisect_right(_BORDERS, start)
        while start < end:
            until = min(end, _BORDERS[cell]) if cell < len(_BORDERS) else end
            self._time[cell] += until - start
            start = until
            if start < end:
                cell += 1
        if ended:
            self._ends[cell] += 1
            self._sum += 1
            if self._sum > _MEMORY:
                self._ends = [number / 2 for number in self._ends]
                self._time = [time / 2 for time in self._time]
                self._sum /= 2

    def risk(self, age: float) -> float:
        """The risk of ending, added up to an age: minus the logarithm of who is left by then."""
        if age <= 0:
            return 0.0
        if not self._added:
            self._add_up()
        cell = bisect_right(_BORDERS, age)
        border = _BORDERS[cell - 1] if cell else 0.0
        return self._added[cell] + (age - border) * self._rates[cell]

    def _add_up(self) -> None:
        self._rates = [self._rate(cell) for cell in range(len(self._ends))]
        self._added = [0.0]
        for rate, (start, end) in zip(self._rates, pairwise((0.0, *_BORDERS)), strict=False):
            self._added.append(self._added[-1] + (end - start) * rate)

    def _rate(self, cell: int) -> float:
        """Ends a second. A guess where little was seen: a quarter longer than it has taken."""
        usual = max(1.0, _BORDERS[min(cell, len(_BORDERS) - 1)] / 4)
        return (self._ends[cell] + 0.25) / (self._time[cell] + 0.25 * usual)


@dataclass(slots=True)
class _Product:
    """What is known of one product: its life table, the latest reports, a line through them."""

    table: _HazardTable = field(default_factory=_HazardTable)
    latest: deque[ReportDuration] = field(default_factory=lambda: deque(maxlen=_LATEST))
    base: float = 0.0
    a_row: float = 0.0
    usual: float = UNKNOWN_SECONDS
    unread: int = 0

    def learn(self, taken: ReportDuration) -> None:
        self.latest.append(taken)
        self.unread += 1
        if self.unread * _FRESH >= len(self.latest):
            self._fit()

    def _fit(self) -> None:
        """Draws the line: seconds = base + a_row * rows."""
        self.unread = 0
        number = len(self.latest)
        self.usual = max(1.0, median(one.seconds for one in self.latest))
        # One that nobody looked at for hours would bend the line.
        most = _LARGEST * self.usual
        seconds = [min(most, one.seconds) for one in self.latest]
        mean_rows = sum(one.rows for one in self.latest) / number
        mean_seconds = sum(seconds) / number
        spread = sum((one.rows - mean_rows) ** 2 for one in self.latest)
        together = sum(
            (one.rows - mean_rows) * (lasted - mean_seconds)
            for one, lasted in zip(self.latest, seconds, strict=True)
        )
        self.a_row = max(0.0, together / spread) if spread else 0.0
        self.base = mean_seconds - self.a_row * mean_rows
        if self.base < 0:  # no records take no negative time
            self.base, self.a_row = 0.0, mean_seconds / mean_rows

    def seconds(self, rows: int | None) -> float:
        return self.usual if rows is None else max(1.0, self.base + self.a_row * rows)


class DurationModel:
    """Learns how long reports take, as they end.

    Args:
        past: how long the latest reports of earlier runs took, by product, the latest first.
    """

    def __init__(self, past: Mapping[str, Sequence[ReportDuration]] | None = None) -> None:
        self._products: dict[str, _Product] = {}
        self._any = _HazardTable()
        for product, reports in (past or {}).items():
            latest = reports[:_LATEST][::-1]  # what is learned last weighs most
            for taken in latest:
                self.took(product, taken)
            for taken in latest:
                size = self.size(product, taken.rows)
                self._teach(product, 0.0, max(0.0, taken.seconds) / size, ended=True)

    # --- how long a report takes ------------------------------------------------------------------

    def expected(self, product: str, rows: int | None) -> float:
        """Seconds that a report will take; `rows`: the records expected, None if nobody can say."""
        known = self._products.get(product)
        return UNKNOWN_SECONDS if known is None else known.seconds(rows)

    def size(self, product: str, rows: int | None) -> float:
        """How long a report will take, compared with most of its product: from 1/8 to 8."""
        known = self._products.get(product)
        if known is None or rows is None:
            return 1.0
        return min(_LARGEST, max(1 / _LARGEST, known.seconds(rows) / known.usual))

    def took(self, product: str, taken: ReportDuration) -> None:
        """A report has ended well; it was seen so long after its id was known."""
        # A clock that was set back in between makes it negative.
        self._product(product).learn(taken._replace(seconds=max(0.0, taken.seconds)))

    def _product(self, product: str) -> _Product:
        known = self._products.get(product)
        if known is None:
            known = self._products[product] = _Product()
        return known

    # --- when to look -----------------------------------------------------------------------------

    @property
    def is_known(self) -> bool:
        """Whether enough has ended to foresee anything."""
        return self._any.is_known

    def saw(self, report: OpenReport, age: float, *, ended: bool) -> None:
        """A report that was open at `report.age` is still open at `age` seconds, or has ended.

        When it ended in between nobody knows: half-way is as good as any.
        """
        last = (report.age + age) / 2 if ended else age
        self._teach(report.product, report.age / report.size, last / report.size, ended=ended)

    def _teach(self, product: str, start: float, end: float, *, ended: bool) -> None:
        for table in (self._any, self._product(product).table):
            table.saw(start, end, ended=ended)

    def ends(self, reports: Iterable[OpenReport], seconds: float) -> float:
        """How many of these will probably have ended, so long after they were last seen open."""
        return _ends(self._prospects(reports), max(0.0, seconds))

    def wait_for(
        self, reports: Iterable[OpenReport], wanted: float, least: float, most: float
    ) -> float:
        """Seconds, between `least` and `most`, until probably `wanted` of these have ended."""
        prospects = self._prospects(reports)
        if _ends(prospects, least) >= wanted:
            return least
        if _ends(prospects, most) <= wanted:
            return most
        low, high = least, most
        while high - low > max(0.25, low / 32):
            middle = (low + high) / 2
            if _ends(prospects, middle) < wanted:
                low = middle
            else:
                high = middle
        return high

    def _prospects(self, reports: Iterable[OpenReport]) -> list[_Prospect]:
        prospects = []
        for product, age, size in reports:
            known = self._products.get(product)
            table = known.table if known is not None and known.table.is_known else self._any
            prospects.append((table, age, size, table.risk(age / size)))
        return prospects


_Prospect = tuple[_HazardTable, float, float, float]
"""Where to look a report up; its age and size; the risk that it has outlived."""


def _ends(prospects: Iterable[_Prospect], seconds: float) -> float:
    return -sum(
        math.expm1(outlived - table.risk((age + seconds) / size))
        for table, age, size, outlived in prospects
    )
