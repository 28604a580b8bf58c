"""Writes how a run goes to a log: warnings at once, and one line of counts a minute."""

from collections.abc import Mapping, Sequence
from typing import Final

import anyio
from structlog.typing import FilteringBoundLogger

from orchestrator.core.model import FieldValue
from orchestrator.reporting.phrases import calendar_length, counted, length, size_words
from orchestrator.reporting.run_stats import RunStats

EVERY_SECONDS: Final = 60.0  # Seconds between two lines of counts.


class LogDisplay:
    """Writes what happens to a log: notes at once, counts once a minute.

    Args:
        log: where the lines go.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log

    def note(self, level: str, text: str, facts: Mapping[str, FieldValue | float | None]) -> None:
        """One line at once."""
        write = {"error": self._log.error, "warning": self._log.warning}.get(level, self._log.info)
        write(text, **facts)

    async def keep_up(self, stats: RunStats, jobs: Sequence[str]) -> None:
        """Says that the run begins, and then once a minute how it goes, until cancelled."""
        self._log.info(f"run {', '.join(jobs)}: begun", jobs=list(jobs))
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
        self._log.info(
            text,
            collected=total.collected,
            rows=total.rows,
            bytes=total.size_bytes,
            waiting=total.waiting,
            fetching=total.fetching,
            owed_seconds=round(total.owed_seconds),
            requests=stats.requests(),
            elapsed_seconds=round(stats.elapsed.total_seconds(), 1),
        )

    def close(self) -> None:
        """Does nothing: a log needs no end."""
