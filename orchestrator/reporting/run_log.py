"""Passes on what people should read of a run: its messages, and reports that end badly."""

from collections.abc import Callable

from orchestrator.core.commands import adopt_or_decide
from orchestrator.core.events import (
    BytesReceived,
    DebtKnown,
    Facts,
    Message,
    ReportChanged,
    RequestMade,
    RunEvent,
)
from orchestrator.core.lifecycle import State
from orchestrator.core.local_dates import chunk_text
from orchestrator.reporting.json_fields import chunk_fields
from orchestrator.reporting.run_stats import ENDED_BADLY


class RunLog:
    """Subscribes to the run's events, and passes each on that is a line for people."""

    def __init__(self, write: Callable[[str, str, Facts], None]) -> None:
        self._write = write

    def notify(self, event: RunEvent) -> None:
        """Writes the line of an event, if it has one."""
        match event:
            case Message():
                self._write(event.level, event.text, event.facts)
            case ReportChanged(report, changed_by):
                # What was held before this run is no news.
                is_news = report.state is not State.HELD or changed_by is not None
                if _is_bad(report.state) and is_news:
                    self._write(*change_line(event))
            case DebtKnown() | BytesReceived() | RequestMade():
                pass


def _is_bad(state: State) -> bool:
    return state in ENDED_BADLY or state is State.HELD


def change_line(change: ReportChanged) -> tuple[str, str, Facts]:
    """The line of a report that has changed: level, text, facts."""
    report, state = change.report, change.report.state
    reason = report.reason or ("no reason was given" if _is_bad(state) else "")
    text = f"report {report.id} ({chunk_text(report)}): {state.value}"
    # Not in the reason, which the ledger keeps: the config, and with it the command, may move.
    ways = ""
    if state is State.HELD and "orchestrator resolve" not in reason:
        ways = f"; {adopt_or_decide(report.id)}"
    facts = {
        "type": "report",
        "report": report.id,
        "request_id": report.request_id,
        "state": state.value,
        "cause": None if change.event is None else type(change.event).__name__,
        "reason": report.reason,
        "job": report.job,
        **chunk_fields(report),
        "rows": report.rows,
        "bytes": report.size_bytes,
        "path": report.target,
    }
    return (
        "warning" if _is_bad(state) else "info",
        f"{text}: {reason}{ways}" if reason else text,
        facts,
    )
