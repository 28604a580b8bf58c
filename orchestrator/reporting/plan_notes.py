"""What is to be said of the debt at a run's begin: made-up days, and time beyond retention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.intervals import Window, union
from orchestrator.core.windows import retention_edge

if TYPE_CHECKING:
    from datetime import datetime

    from orchestrator.core.debt import Debt


class PlanNotes:
    """Gathers remarks over all series, in memory that does not grow with their number.

    Attributes:
        backfilled: by job, the time that earlier runs of it missed. Normal.
        forgotten: from the oldest moment asked for that the API no longer keeps, to where it
            still has records; None if there is no such time.
        forgotten_series: how many series reach back there.
    """

    def __init__(self) -> None:
        self.backfilled: dict[str, tuple[Window, ...]] = {}
        self.forgotten: Window | None = None
        self.forgotten_series = 0

    def add(self, debt: Debt, now: datetime) -> None:
        """Takes the debt of one more series, as it stands now."""
        if debt.backfilled:
            known = self.backfilled.get(debt.job.name, ())
            self.backfilled[debt.job.name] = union(known, debt.backfilled)
        if debt.forgotten:
            self.forgotten_series += 1
            start, end = debt.forgotten[0].start, retention_edge(debt.entry.series, now)
            if self.forgotten is not None:
                start = min(start, self.forgotten.start)
                end = max(end, self.forgotten.end)
            self.forgotten = Window(start, end)
