"""What everything in a run works with, and how a run changes a report."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from orchestrator.core.events import ReportChanged, RunEvents
from orchestrator.core.lifecycle import Event
from orchestrator.core.model import Report
from orchestrator.core.ports import Callbacks, Clock, Collector, Ledger
from orchestrator.core.settings import Config
from orchestrator.engine.drain import Drain
from orchestrator.engine.key_session import KeySession
from orchestrator.errors import OutputError


@dataclass(frozen=True, slots=True)
class RunContext:
    """Everything a run works with; shared by all that works in it."""

    ledger: Ledger  # open, under the run's lock
    collector: Collector
    # by name of credentials; two names of one API key share a session
    sessions: Mapping[str, KeySession]
    events: RunEvents
    clock: Clock
    config: Config
    drain: Drain
    jitter: Callable[[], float]  # a random number in [0, 1)
    callbacks: Callbacks | None = None  # our own receiver; None: reports are only polled
    # why files that are no longer collected could not be removed, by our number of the report
    not_removed: dict[int, OutputError] = field(default_factory=dict)

    def warn(self, text: str) -> None:
        """Tells of what people should know."""
        self.events.message("warning", text)

    async def apply(self, report: Report, event: Event) -> Report:
        """Writes an event to the ledger, and tells of it: no report that is followed changes else.

        Raises what the `Ledger` raises; then nothing has changed.
        """
        changed = await self.ledger.apply(report, event)
        self.events.notify(ReportChanged(changed, event))
        return changed

    async def apply_and_give_up(self, report: Report, event: Event, reason: str) -> Report:
        """Applies an event that ends a report, and gives its window up in the same transaction."""
        if report.replaces is not None:
            return await self.apply(report, event)  # the older edition still has the window
        changed = await self.ledger.end_and_give_up(report, event, reason)
        self.events.notify(ReportChanged(changed, event))
        return changed
