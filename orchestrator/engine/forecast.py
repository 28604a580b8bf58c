"""Expects records and duration of reports from history, and puts the longest series first."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Final

from orchestrator.core.durations import DurationModel
from orchestrator.core.intervals import Window
from orchestrator.core.model import Job, JobSeries, Series, Unit

Entry = tuple["Job", "JobSeries", tuple["Job", ...]]
"""A series of a job, and the earlier jobs of the command that hold it too."""

_UNITS: Final = {
    Unit.HOURS: timedelta(hours=1),
    Unit.DAYS: timedelta(days=1),
    Unit.WEEKS: timedelta(weeks=1),
    Unit.MONTHS: timedelta(days=30),
}


@dataclass(frozen=True, slots=True)
class Forecast:
    """Records and seconds to expect."""

    record_rates: Mapping[str, float]  # records a second, by the series' key; see `Histories`
    pace: DurationModel  # how long reports take

    def rows(self, series: Series, window: Window) -> int | None:
        """The records that a report of a series will probably hold; None: unknown."""
        density = self.record_rates.get(series.key)
        return None if density is None else round(density * window.length.total_seconds())

    def longest_first(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Within each account of each job, the series whose reports take longest come first.

        So the last report of an account is a short one, and does not end long after the others.
        Of what is not known nobody can say that it is short: it comes first of all.
        """
        for _, together in groupby(
            entries, lambda entry: (entry[0].name, entry[1].series.account_id)
        ):
            yield from sorted(together, key=self._seconds, reverse=True)

    def _seconds(self, entry: Entry) -> float:
        job, asked, _ = entry
        density = self.record_rates.get(asked.series.key)
        if density is None:
            return float("inf")
        length = job.chunk.count * _UNITS[job.chunk.unit]
        rows = round(density * length.total_seconds())
        if job.target_rows is not None:
            rows = min(rows, job.target_rows)
        return self.pace.expected(asked.series.product, rows)
