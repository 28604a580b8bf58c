"""What a ledger tells besides reports: who has an id, foreign records, and what has changed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Report, Series

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)

_FETCHING: Final = frozenset({State.SUBMITTED, State.READY, State.VERIFIED})
"""A manifest does not tell these apart: a rebuilt ledger asks the API how the report stands."""


def to_ms(moment: datetime) -> int:
    """Milliseconds since the epoch."""
    return (moment - _EPOCH) // _MILLISECOND


def from_ms(value: int) -> datetime:
    """The moment of a number of milliseconds since the epoch."""
    return datetime.fromtimestamp(value / 1000, UTC)  # exact: a double holds every millisecond


@dataclass(frozen=True, slots=True)
class Owner:
    """Which row of ours has a request id, and since when."""

    report_id: int  # our number of it; later rows have higher ones
    api_key: str
    intended_at: datetime  # when its intent was written, by our clock
    # when its id became known; None for one that was restored from a manifest
    submitted_at: datetime | None


@dataclass(frozen=True, slots=True)
class SubaccountRows:
    """The number of records of one account in one collected file of another."""

    series: Series  # of the file; with subaccounts
    window: Window
    report_id: int
    account_id: str
    rows: int


@dataclass(slots=True)
class LedgerChanges:
    """What transactions have changed of what a manifest holds, in the order of the changes."""

    reports: dict[int, Report] = field(default_factory=dict)  # by our number, as they are now
    # job and number of the series
    resolutions: dict[tuple[str, int], None] = field(default_factory=dict)
    # numbers of given-up entries, those that are gone included
    given_up: dict[int, None] = field(default_factory=dict)
    # numbers of the series whose failures no longer count
    series: dict[int, None] = field(default_factory=dict)
    # a part of the transaction was undone, so `reports` may hold what was not written: read them
    # again
    unsure: bool = False

    def report(self, report: Report, before: State | None = None) -> None:
        """Notes a report as it is now; `before` is its state before the change."""
        if report.id in self.reports or not (before in _FETCHING and report.state in _FETCHING):
            self.reports[report.id] = report

    def __bool__(self) -> bool:
        """Whether there is anything that a manifest holds."""
        return bool(self.reports or self.resolutions or self.given_up or self.series)

    def take(self) -> LedgerChanges:
        """Returns what is noted, and begins anew."""
        taken = replace(self)
        self.reports, self.resolutions, self.given_up, self.series = {}, {}, {}, {}
        self.unsure = False
        return taken
