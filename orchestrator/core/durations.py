"""Learns how long reports take, and expects from it when open reports end. Pure.

It answers two questions. How long will a report take? A line through the latest reports of its
product tells: a base, and seconds for each record. How many of the open reports will have ended
after some time? A life table of each product tells: of the reports that were open at an age, how
many ended at that age. The tables cover whatever makes reports slow, such as a queue at the server
or a busy hour, and they forget.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean, linear_regression, median
from typing import Final, NamedTuple


class ReportDuration(NamedTuple):
    """How long one report took."""

    rows: int
    seconds: float  # from when its id was known to when it was seen finished


class OpenReport(NamedTuple):
    """A report that is watched."""

    product: str
    # seconds since its id was known, when it was last seen open; negative: it was not yet
    age: float
    size: float = 1.0  # how long it will take, compared with most of its product


UNKNOWN_SECONDS: Final = 30.0
"""Seconds that a report is expected to take while nothing is known of its product."""

_MAX_LATEST: Final = 200
"""Reports of a product through which the line is drawn: more would keep old times in it."""

_FIT_SHARE: Final = 8
"""The line is drawn again once one in this many of its reports is new: each time would be slow."""

_MIN_ENDS: Final = 5  # Ends from which on a life table expects better than doubling pauses do

_MAX_ENDS: Final = 100.0
"""Ends in a life table; at more, everything in it is halved, so that it forgets."""

_BORDERS: Final = tuple(2 ** (quarter / 4) for quarter in range(-4, 69))
"""Ages in seconds where the cells of a life table meet: from half a second to a day and a half."""

_MAX_SIZE: Final = 8.0
"""Times the median of its product that a report is expected to take at most; and one over it at
least, so that one wrong estimate does not put off polls for hours."""


class _HazardTable:
    """Of the reports that were open at an age, how many ended at that age: rates, cell by cell."""

    def __init__(self) -> None:
        cells = len(_BORDERS) + 1
        self._ends = [0.0] * cells
        self._time = [0.0] * cells
        self._total_ends = 0.0
        self._rates: list[float] = []
        self._cumulative: list[float] = []

    @property
    def is_known(self) -> bool:
        return self._total_ends >= _MIN_ENDS

    def saw(self, start: float, end: float, *, ended: bool) -> None:
        """Learns that a report was open from one age to another, and has ended there or not."""
        self._cumulative = []
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
            self._total_ends += 1
            if self._total_ends > _MAX_ENDS:
                self._ends = [number / 2 for number in self._ends]
                self._time = [time / 2 for time in self._time]
                self._total_ends /= 2

    def risk(self, age: float) -> float:
        """The cumulative hazard at an age: minus the logarithm of the share that is still open."""
        if age <= 0:
            return 0.0
        if not self._cumulative:
            self._accumulate()
        cell = bisect_right(_BORDERS, age)
        border = _BORDERS[cell - 1] if cell else 0.0
        return self._cumulative[cell] + (age - border) * self._rates[cell]

    def _accumulate(self) -> None:
        self._rates = [self._rate(cell) for cell in range(len(self._ends))]
        self._cumulative = [0.0]
        for rate, (start, end) in zip(self._rates, pairwise((0.0, *_BORDERS)), strict=False):
            self._cumulative.append(self._cumulative[-1] + (end - start) * rate)

    def _rate(self, cell: int) -> float:
        """Ends per second; where little was seen, an end after a quarter more of the age."""
        guess = max(1.0, _BORDERS[min(cell, len(_BORDERS) - 1)] / 4)
        return (self._ends[cell] + 0.25) / (self._time[cell] + 0.25 * guess)


@dataclass(slots=True)
class _Product:
    """What is known of one product: its life table, its latest reports, and a line through them."""

    table: _HazardTable = field(default_factory=_HazardTable)
    latest: deque[ReportDuration] = field(default_factory=lambda: deque(maxlen=_MAX_LATEST))
    base: float = 0.0  # seconds that a report without records takes
    row_seconds: float = 0.0  # seconds for each record
    median_seconds: float = UNKNOWN_SECONDS
    new_reports: int = 0  # how many came since the line was drawn

    def learn(self, duration: ReportDuration) -> None:
        self.latest.append(duration)
        self.new_reports += 1
        if self.new_reports * _FIT_SHARE >= len(self.latest):
            self._fit()

    def _fit(self) -> None:
        """Draws the line: seconds = base + row_seconds * rows."""
        self.new_reports = 0
        self.median_seconds = max(1.0, median(report.seconds for report in self.latest))
        # A report that was not polled for hours would bend the line.
        most = _MAX_SIZE * self.median_seconds
        seconds = [min(most, report.seconds) for report in self.latest]
        rows = [report.rows for report in self.latest]
        mean_rows, mean_seconds = fmean(rows), fmean(seconds)
        is_level = min(rows) == max(rows)
        self.row_seconds = 0.0 if is_level else max(0.0, linear_regression(rows, seconds).slope)
        self.base = mean_seconds - self.row_seconds * mean_rows
        if self.base < 0:  # a report without records takes no negative time
            self.base, self.row_seconds = 0.0, mean_seconds / mean_rows

    def seconds(self, rows: int | None) -> float:
        return (
            self.median_seconds if rows is None else max(1.0, self.base + self.row_seconds * rows)
        )


class DurationModel:
    """Learns how long reports take, as they end.

    Args:
        past: how long the latest reports of earlier runs took, by product, the latest first.
    """

    def __init__(self, past: Mapping[str, Sequence[ReportDuration]] | None = None) -> None:
        self._products: dict[str, _Product] = {}
        self._any = _HazardTable()
        for product, reports in (past or {}).items():
            latest = reports[:_MAX_LATEST][::-1]  # what is learned last weighs most
            for duration in latest:
                self.took(product, duration)
            for duration in latest:
                size = self.size(product, duration.rows)
                self._teach(product, 0.0, max(0.0, duration.seconds) / size, ended=True)

    # --- how long a report takes ------------------------------------------------------------------

    def expected(self, product: str, rows: int | None) -> float:
        """Seconds that a report will take; `rows`: the records expected, None if it is unknown."""
        history = self._products.get(product)
        return UNKNOWN_SECONDS if history is None else history.seconds(rows)

    def size(self, product: str, rows: int | None) -> float:
        """How long a report will take, compared with most of its product: from 1/8 to 8."""
        history = self._products.get(product)
        if history is None or rows is None:
            return 1.0
        size = history.seconds(rows) / history.median_seconds
        return min(_MAX_SIZE, max(1 / _MAX_SIZE, size))

    def took(self, product: str, duration: ReportDuration) -> None:
        """Learns that a report ended well, and how long that took."""
        # A clock that was set back in between makes it negative.
        self._product(product).learn(duration._replace(seconds=max(0.0, duration.seconds)))

    def _product(self, product: str) -> _Product:
        history = self._products.get(product)
        if history is None:
            history = self._products[product] = _Product()
        return history

    # --- how many will have ended -----------------------------------------------------------------

    @property
    def is_known(self) -> bool:
        """Whether enough reports have ended to expect anything."""
        return self._any.is_known

    def saw(self, report: OpenReport, age: float, *, ended: bool) -> None:
        """Learns that a report that was open at `report.age` is open, or has ended, at `age`.

        Nobody knows when it ended in between: half-way is as good as any moment.
        """
        last = (report.age + age) / 2 if ended else age
        self._teach(report.product, report.age / report.size, last / report.size, ended=ended)

    def _teach(self, product: str, start: float, end: float, *, ended: bool) -> None:
        for table in (self._any, self._product(product).table):
            table.saw(start, end, ended=ended)

    def ends(self, reports: Iterable[OpenReport], seconds: float) -> float:
        """How many of these have probably ended, so many seconds after they were seen open."""
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
            history = self._products.get(product)
            table = self._any
            if history is not None and history.table.is_known:
                table = history.table
            prospects.append((table, age, size, table.risk(age / size)))
        return prospects


_Prospect = tuple[_HazardTable, float, float, float]
"""The life table of a report, its age and size, and the cumulative hazard at that age."""


def _ends(prospects: Iterable[_Prospect], seconds: float) -> float:
    return -sum(
        math.expm1(outlived - table.risk((age + seconds) / size))
        for table, age, size, outlived in prospects
    )
