"""Keeps a run within `limits.max_records` and `limits.max_cost`: it stops before it buys more."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache, partial
from typing import Final

from orchestrator.core import spending
from orchestrator.core.events import ReportChanged, RunEvent, RunEvents
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import UNPAID, State
from orchestrator.core.local_dates import window_text, zone_of
from orchestrator.core.model import Series
from orchestrator.core.ports import Ledger, LedgerReader
from orchestrator.core.spending import Bound, Period
from orchestrator.core.volume import SCARCE_FACTOR

_HOUR: Final = timedelta(hours=1)


@dataclass(slots=True)
class _Asked:
    """A chunk that was handed out in this run."""

    records: int  # its upper estimate, until the API has counted them
    unknown: bool
    state: State | None = None
    counted: bool = False


def _bought(reader: LedgerReader, since: datetime, up_to: int) -> Counter[str]:
    """The records by product that have been asked for, as `Bought.at_most` counts them."""
    return reader.bought(since, up_to).at_most(cache(reader.histories().of))


class Budget:
    """Counts what a run asks for, over all keys: the upper estimate until the number is known.

    It subscribes to the run's events: what a report really holds takes the place of the estimate.

    Args:
        lacks_room: says why the disk has no room for more; empty while it has.

    Attributes:
        stopped: why not everything is asked for, in words; empty while there is room.
    """

    def __init__(
        self,
        bounds: Sequence[Bound],
        events: RunEvents,
        lacks_room: Callable[[], str] = str,
    ) -> None:
        self.stopped = ""
        self._bounds = tuple(bounds)
        self._events = events
        self._lacks_room = lacks_room
        self._is_full = False
        self._asked: dict[tuple[str, Window], _Asked] = {}
        self._product: dict[str, str] = {}
        self._spent: Counter[str] = Counter()
        self._before = {bound.key: Decimal(0) for bound in self._bounds}
        self._since: dict[Period, datetime] = {}
        self._over: set[str] = set()
        self._densest: float | None = None  # records an hour, of what nothing was known of
        self._newest: int | None = None

    @property
    def goes_by_days(self) -> bool:
        """Whether what earlier runs have asked for counts."""
        return any(bound.period is not Period.RUN for bound in self._bounds)

    # --- what earlier runs have spent ---------------------------------------------------------

    async def refresh(self, ledger: Ledger, now: datetime) -> None:
        """Reads what earlier runs have asked for in this day and month, by the API's clock."""
        for period in {bound.period for bound in self._bounds} - {Period.RUN}:
            start = period.start(now)
            if self._since.get(period) == start:
                continue
            self._since[period] = start
            if self._newest is None:
                self._newest = await ledger.read(lambda reader: reader.newest())
            records = await ledger.read(partial(_bought, since=start, up_to=self._newest))
            for bound in self._bounds:
                if bound.period is period:
                    self._before[bound.key] = bound.sum(records)

    # --- what may be asked for ----------------------------------------------------------------

    def room(self, series: Series) -> int | None:
        """The records of a series that may still be asked for now; None: any number."""
        asked = self.asked()
        rooms = (
            spending.room(bound, series.product, self._before[bound.key] + bound.sum(asked))
            for bound in self._bounds
        )
        return min((room for room in rooms if room is not None), default=None)

    def target(self, series: Series) -> int | None:
        """The records that one chunk of a series may hold; None: any number.

        All that there is room for, and a quarter of the whole where there is less: what is left in
        the end is not worth a file for each hour.
        """
        room, whole = self.room(series), spending.least_room(self._bounds, series.product)
        return None if room is None or whole is None else max(room, whole // 4)

    def asked(self) -> Counter[str]:
        """The records asked for in this run, by product; those that no bound is on are left out."""
        asked = self._spent.copy()
        for (key, _), chunk in self._asked.items():
            asked[self._product[key]] += chunk.records
        return asked

    @property
    def is_uncertain(self) -> bool:
        """Whether something is under way whose records are not counted, and may be fewer."""
        return any(not chunk.counted for chunk in self._asked.values())

    def take(self, series: Series, window: Window, upper: float | None) -> bool:
        """Takes what a chunk will hardly exceed; False: there is no room for it now.

        Of what nobody can say anything, one chunk is under way at a time until the first has come
        back; from then on as many as there is room for, if they are so dense. What is free does
        not count.
        """
        room = self.room(series)
        if room is None:
            return True
        records = self._guess(window, room) if upper is None else math.ceil(upper)
        if records is None or records > room or not room:
            return False
        self._product[series.key] = series.product
        self._asked[series.key, window] = _Asked(records, upper is None)
        return True

    def _guess(self, window: Window, room: int) -> int | None:
        if self._densest is not None:
            return math.ceil(SCARCE_FACTOR * max(1.0, self._densest * (window.length / _HOUR)))
        if any(chunk.unknown for chunk in self._asked.values()):
            return None
        return -(-room // 2)

    def stop(self, series: Series, window: Window, upper: float | None) -> None:
        """Nothing more of a series is asked for in this run: there is no room."""
        self._over.add(series.key)
        if self.stopped:
            return
        asked = self.asked()
        spent = {bound.key: self._before[bound.key] + bound.sum(asked) for bound in self._bounds}
        bound = min(
            (bound for bound in self._bounds if bound.each(series.product)),
            key=lambda bound: spending.room(bound, series.product, spent[bound.key]) or 0,
        )
        next_one = f"the next chunk ({series}, {window_text(window, zone_of(series))}) may be "
        if upper is None:
            next_one += "of any size: nothing like it was collected yet"
        else:
            more = math.ceil(upper) * bound.each(series.product)
            next_one += f"{bound.amount(more)} more"
            if more > bound.most:
                next_one += f", which no {bound.period.value} may ask for: raise the limit"
        self.stopped = (
            f"{bound.key} is {bound.limit}, {bound.amount(spent[bound.key])} are asked for "
            f"{bound.period.words}, and {next_one}"
        )
        self._events.message("warning", f"not everything is asked for: {self.stopped}")

    def is_over(self, series: Series) -> bool:
        """Whether nothing more of a series is asked for in this run."""
        if not self._is_full and (lacking := self._lacks_room()):
            self._is_full = True
            self.stopped = self.stopped or lacking
            self._events.message("warning", f"nothing more is asked for in this run: {lacking}")
        return self._is_full or series.key in self._over

    def settle(self, series: Series, window: Window) -> None:
        """A chunk's coroutine has ended: what was paid, or may be, stays counted."""
        ended = self._asked.pop((series.key, window), None)
        if ended is None or ended.state is None or ended.state in UNPAID:
            return
        self._spent[series.product] += ended.records
        if ended.unknown and ended.counted:
            self._densest = max(self._densest or 0.0, ended.records / (window.length / _HOUR))

    # --- what it subscribes to ----------------------------------------------------------------

    def notify(self, event: RunEvent) -> None:
        """Takes the state and the records of a report that this run asked for."""
        if not isinstance(event, ReportChanged):
            return
        report = event.report
        asked = self._asked.get((report.series.key, report.window))
        if asked is None:
            return
        asked.state = report.state
        counted = report.items_count if report.rows is None else report.rows
        if counted is not None:
            asked.records = counted
            asked.counted = True
