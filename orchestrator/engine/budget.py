"""`limits.max_records`: a run stops asking before it has asked for more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from orchestrator.core import products
from orchestrator.core.lifecycle import State

if TYPE_CHECKING:
    from orchestrator.core.intervals import Window
    from orchestrator.core.lifecycle import Event
    from orchestrator.core.model import FieldValue, Report, Series
    from orchestrator.core.plan import Debt
    from orchestrator.core.ports import Observer

_UNPAID: Final = frozenset(
    {State.ABSENT, State.FAILED, State.ABORTED, State.CANCELLED, State.DISCARDED}
)
"""Where a report ends that has brought no records, as far as anybody knows."""


@dataclass(slots=True)
class _Asked:
    """A chunk that was handed out in this run."""

    records: int
    state: State | None = None


class Budget:
    """Counts what a run asks for, over all keys: what is expected until the true number is known.

    It observes the run: reports that are found open are not counted, they were asked for before.

    Args:
        most: records; None: any number.
        observer: is told of everything in turn.

    Attributes:
        stopped: why nothing more is asked for, in words; empty while there is room.
    """

    def __init__(self, most: int | None, observer: Observer) -> None:
        self.stopped = ""
        self._most = most
        self._observer = observer
        self._asked: dict[tuple[str, Window], _Asked] = {}
        self._spent = 0

    @property
    def asked(self) -> int:
        """The records asked for in this run: true numbers where they are known."""
        return self._spent + sum(one.records for one in self._asked.values())

    def take(self, series: Series, window: Window, expected: int | None) -> bool:
        """Takes what a chunk is expected to hold; False: it is too much, and the run's asking ends.

        What nobody can say counts as nothing until it is known. What is free does not count.
        """
        if self._most is None:
            return True
        product = products.PRODUCTS.get(series.product)
        if product is not None and product.free:
            return True
        asked, more = self.asked, expected or 0
        if not self.stopped and (asked + more > self._most or asked >= self._most):
            self._stop(series, window, more)
        if self.stopped:
            return False
        self._asked[series.key, window] = _Asked(more)
        return True

    def _stop(self, series: Series, window: Window, more: int) -> None:
        next_one = f"the next chunk ({series}, {window}) would be about {more:,} more"
        if more > (self._most or 0):
            next_one += ", which no run may ask for: raise the limit"
        self.stopped = (
            f"limits.max_records is {self._most:,}, {self.asked:,} records are asked for in this "
            f"run, and {next_one}"
        )
        self._observer.note("warning", f"nothing more is asked for: {self.stopped}")

    def settle(self, series: Series, window: Window) -> None:
        """A chunk's coroutine has ended: what was paid stays counted."""
        ended = self._asked.pop((series.key, window), None)
        if ended is not None and ended.state is not None and ended.state not in _UNPAID:
            self._spent += ended.records

    # --- the port `Observer` ------------------------------------------------------------------

    def wanted(self, debt: Debt) -> None:
        """See the port."""
        self._observer.wanted(debt)

    def changed(self, report: Report, event: Event | None) -> None:
        """See the port."""
        asked = self._asked.get((report.series.key, report.window))
        if asked is not None:
            asked.state = report.state
            counted = report.items_count if report.rows is None else report.rows
            if counted is not None:
                asked.records = counted
        self._observer.changed(report, event)

    def received(self, report: Report, size_bytes: int) -> None:
        """See the port."""
        self._observer.received(report, size_bytes)

    def note(self, level: str, text: str, **facts: FieldValue | float | None) -> None:
        """See the port."""
        self._observer.note(level, text, **facts)
