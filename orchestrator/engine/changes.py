"""Writes every change of a report to the ledger, and tells the run's subscribers of it.

Nothing else in the engine applies an event to a report that a run follows.
"""

from __future__ import annotations

from orchestrator.core.events import ReportChanged, RunEvents
from orchestrator.core.lifecycle import Event
from orchestrator.core.model import Report
from orchestrator.core.ports import Ledger


class ReportChanges:
    """Changes reports. Raises what the `Ledger` raises; then nothing has changed.

    Args:
        ledger: where they are written.
        events: told of each change.
    """

    def __init__(self, ledger: Ledger, events: RunEvents) -> None:
        self._ledger = ledger
        self._events = events

    async def apply(self, report: Report, event: Event) -> Report:
        """Applies an event to a report."""
        return self._changed(await self._ledger.apply(report, event), event)

    async def apply_and_give_up(self, report: Report, event: Event, reason: str) -> Report:
        """Applies an event that ends a report, and gives its window up in the same transaction."""
        if report.replaces is not None:
            return await self.apply(report, event)  # the older edition still has the window
        return self._changed(await self._ledger.end_and_give_up(report, event, reason), event)

    def _changed(self, report: Report, event: Event) -> Report:
        self._events.notify(ReportChanged(report, event))
        return report
