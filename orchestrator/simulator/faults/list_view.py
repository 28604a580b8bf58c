"""What a list call sees of the reports: all as they are, or late, stale, and lacking some."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from orchestrator.simulator.reports import Phase

if TYPE_CHECKING:
    from orchestrator.simulator.reports import Report


@dataclass(frozen=True, slots=True)
class ListView:
    """How a list differs from the truth.

    Attributes:
        late: world seconds after its request until a report shows.
        stale: every report shows as it was so many world seconds ago, or as it began.
        missing: the share of all reports that never show; the same ones through every such lens.
    """

    late: float = 0.0
    stale: float = 0.0
    missing: float = 0.0

    def shows(self, report: Report, now: float) -> bool:
        """Whether a report is in the list at all."""
        if now - report.created < self.late:
            return False
        if not self.missing:
            return True
        drawn = blake2b(report.request_id.encode(), digest_size=8).digest()
        return int.from_bytes(drawn, "big") >= self.missing * 2**64

    def phase(self, report: Report, now: float) -> Phase:
        """How far the work on a report has come, as the list has it."""
        at = now - self.stale
        if report.ended is not None and report.ended <= at:
            return Phase.ENDED
        if report.started is not None and report.started <= at:
            return Phase.PROCESSING
        return Phase.PENDING


CLEAR = ListView()
"""Nothing is hidden, nothing is late."""
