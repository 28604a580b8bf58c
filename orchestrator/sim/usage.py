"""The records of ``REPORTS-USAGE``: one for each report and synchronous query of the world."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from orchestrator.sim.draws import stamp
from orchestrator.sim.moments import write_moment

if TYPE_CHECKING:
    from orchestrator.sim.reports import Charge

PRICE_PER_RECORD: Final = 0.0002


def usage_row(
    charge: Charge,
    *,
    master: str,
    job_type: str,
    received: float,
    started: float | None,
    ended: float,
) -> list[str]:
    """One record, its fields in the order of the product's columns."""
    request = {
        **charge.body,
        "date_start": write_moment(charge.date_start),
        "date_end": write_moment(charge.date_end),
    }
    return [
        charge.account_id,
        charge.request_id,
        charge.key,
        master,
        "REPORTS",
        charge.product,
        job_type,
        json.dumps(request),
        charge.status,
        "TRUE" if charge.charged else "FALSE",
        str(charge.rows),
        str(PRICE_PER_RECORD),
        str(charge.charged),
        f"{charge.charged * PRICE_PER_RECORD:.4f}",
        "EUR",
        stamp(int(received)),
        "" if started is None else stamp(int(started)),
        stamp(int(ended)),
    ]
