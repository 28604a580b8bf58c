"""What a transaction has changed, of what a manifest holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from orchestrator.core.lifecycle import State

if TYPE_CHECKING:
    from orchestrator.core.model import Report

_FETCHING: Final = frozenset({State.SUBMITTED, State.READY, State.VERIFIED})
"""Between these a manifest does not tell: a lost ledger asks the API how the report stands."""


@dataclass(slots=True)
class Changes:
    """Collects what has changed until it is told, in the order in which it did.

    Attributes:
        reports: by our number, as they are now.
        resolutions: job and number of the series.
        given_up: numbers of entries, of those that are gone as well.
        series: numbers of those whose failures were forgiven.
        unsure: a part of the transaction was undone: `reports` may hold what is not so.
    """

    reports: dict[int, Report] = field(default_factory=dict)
    resolutions: dict[tuple[str, int], None] = field(default_factory=dict)
    given_up: dict[int, None] = field(default_factory=dict)
    series: dict[int, None] = field(default_factory=dict)
    unsure: bool = False

    def report(self, report: Report, before: State | None = None) -> None:
        """A report is now like this; `before` is the state from which it came."""
        if report.id in self.reports or not (before in _FETCHING and report.state in _FETCHING):
            self.reports[report.id] = report

    def __bool__(self) -> bool:
        """Whether there is anything that a manifest tells."""
        return bool(self.reports or self.resolutions or self.given_up or self.series)
