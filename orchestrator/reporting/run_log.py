"""Passes on what people should read of a run: its messages, and reports that end badly."""

from collections.abc import Callable, Mapping

from orchestrator.core.events import BytesReceived, DebtKnown, Message, ReportChanged, RunEvent
from orchestrator.core.lifecycle import State
from orchestrator.core.local_dates import chunk_text
from orchestrator.core.model import FieldValue
from orchestrator.reporting.run_stats import ENDED_BADLY

Facts = Mapping[str, FieldValue | float | None]


class RunLog:
    """Subscribes to the run's events, and passes each on that is a line for people.

    Args:
        write: takes a line: level, text, facts.
    """

    def __init__(self, write: Callable[[str, str, Facts], None]) -> None:
        self._write = write

    def notify(self, event: RunEvent) -> None:
        """Writes the line of an event, if it has one."""
        match event:
            case Message():
                self._write(event.level, event.text, event.facts)
            case ReportChanged():
                self._write_change(event)
            case DebtKnown() | BytesReceived():
                pass

    def _write_change(self, change: ReportChanged) -> None:
        report, state = change.report, change.report.state
        # What was held before this run is no news.
        if state in ENDED_BADLY or (state is State.HELD and change.event is not None):
            self._write(
                "warning",
                f"report {report.id} ({chunk_text(report)}): {state.value}: "
                f"{report.reason or 'no reason was given'}",
                {"report": report.id, "request_id": report.request_id, "state": state.value},
            )
