"""The records of ``REPORTS-USAGE``: one for each report and synchronous query of the world."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from orchestrator.simulator.dates import write_moment
from orchestrator.simulator.records.draws import stamp

if TYPE_CHECKING:
    from orchestrator.simulator.reports import Charge

PRICE_PER_RECORD: Final = 0.0002


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """One report that has ended, or one synchronous query, and when it was.

    Times are seconds since 1970; `started` is None where no work was ever done.
    """

    charge: Charge
    job_type: str
    received: float
    started: float | None
    ended: float

    def row(self) -> list[str]:
        """The record, its fields in the order of the product's columns."""
        charge = self.charge
        request = {
            **charge.body,
            "date_start": write_moment(charge.date_start),
            "date_end": write_moment(charge.date_end),
        }
        return [
            charge.account_id,
            charge.request_id,
            charge.key,
            charge.key,
            "REPORTS",
            charge.product,
            self.job_type,
            json.dumps(request),
            charge.status,
            "TRUE" if charge.charged else "FALSE",
            str(charge.rows),
            str(PRICE_PER_RECORD),
            str(charge.charged),
            f"{charge.charged * PRICE_PER_RECORD:.4f}",
            "EUR",
            stamp(int(self.received)),
            "" if self.started is None else stamp(int(self.started)),
            stamp(int(self.ended)),
        ]
