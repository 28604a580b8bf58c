"""Writes how a run goes to a log: warnings at once, and one line of counts a minute."""

from collections.abc import Sequence
from typing import Final

import anyio

from orchestrator.core.events import Facts, ReportChanged, RunEvent
from orchestrator.reporting.logs import Log
from orchestrator.reporting.phrases import calendar_length, counted, length, size_words
from orchestrator.reporting.run_log import change_line
from orchestrator.reporting.run_stats import RunStats

EVERY_SECONDS: Final = 60.0  # Seconds between two lines of counts.


class LogDisplay:
    """Writes what happens to a log: notes at once, counts once a minute.

    Args:
        every_change: `notify` is told of every change of a report, so no note repeats one.
    """

    def __init__(self, log: Log, *, every_change: bool = False) -> None:
        self._log = log
        self._every_change = every_change

    def note(self, level: str, text: str, facts: Facts) -> None:
        """One line at once."""
        if not (self._every_change and "report" in (facts.get("type"), facts.get("of"))):
            self._log.write(level, text, facts)

    def notify(self, event: RunEvent) -> None:
        """A subscriber to the run's events: a line for every change of a report."""
        if isinstance(event, ReportChanged):
            self._log.write(*change_line(event))

    async def keep_up(self, stats: RunStats, jobs: Sequence[str]) -> None:
        """Says that the run begins, and then once a minute how it goes, until cancelled."""
        facts = {"type": "run_begun", "jobs": list(jobs)}
        self._log.write("info", f"run {', '.join(jobs)}: begun", facts)
        while True:
            await anyio.sleep(EVERY_SECONDS)
            self.tell(stats)

    def tell(self, stats: RunStats) -> None:
        """One line of counts."""
        total = stats.sum()
        remaining = stats.remaining()
        text = (
            f"{counted(total.collected, 'report')} collected ({counted(total.rows, 'row')}, "
            f"{size_words(total.size_bytes)}), {total.waiting + total.fetching:,} open, "
            f"{calendar_length(total.owed_seconds)} not asked for yet, "
            f"{counted(stats.requests(), 'request')}"
        )
        if remaining is not None:
            text += f", about {length(remaining)} left"
        facts = {
            "type": "run_progress",
            "collected": total.collected,
            "rows": total.rows,
            "bytes": total.size_bytes,
            "waiting": total.waiting,
            "fetching": total.fetching,
            "owed_seconds": round(total.owed_seconds),
            "requests": stats.requests(),
            "elapsed_seconds": round(stats.elapsed.total_seconds(), 1),
        }
        self._log.write("info", text, facts)

    def close(self) -> None:
        """Does nothing: a log needs no end."""
