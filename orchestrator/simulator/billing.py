"""What reports cost: the records of ``REPORTS-USAGE``, and the records that were paid for twice."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from orchestrator.core.products import PRODUCTS
from orchestrator.simulator.dates import write_moment
from orchestrator.simulator.records.draws import stamp
from orchestrator.simulator.records.source import Records
from orchestrator.simulator.reports import Report
from orchestrator.simulator.requests import Request

PRICE_PER_RECORD: Final = 0.0002  # In EUR; an example, not the vendor's price.


@dataclass(frozen=True, slots=True)
class Charge:
    """What one report or one synchronous query was charged for."""

    request_id: str
    api_key: str
    account_id: str
    product: str
    body: Mapping[str, str | bool]
    date_start: datetime
    date_end: datetime
    rows: int  # records in the file or the page
    charged: int  # records to pay for: `rows`, or 0 where the product is free
    status: str

    @staticmethod
    def of(
        request_id: str, api_key: str, request: Request, rows: int, status: str = "SUCCESS"
    ) -> "Charge":
        """The charge for so many records that a request has brought."""
        entry = PRODUCTS.get(request.product)
        return Charge(
            request_id, api_key, request.account_id, request.product, request.echo,
            request.start, request.end, rows, 0 if entry and entry.free else rows, status,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """One ended report, or one synchronous query.

    Times are seconds since 1970; `started` is None for a report that was never processed.
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
            charge.api_key,
            charge.api_key,
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


def paid_twice(records: Records, paid: Iterable[Report]) -> Mapping[str, tuple[str, ...]]:
    """Unique ids of records in more than one of these settled reports, with the reports' ids.

    Only reports of one account, product and direction whose windows overlap are drawn again.
    """
    streams: dict[tuple[str, str, str], list[Report]] = defaultdict(list)
    for report in paid:
        query = report.query
        for account in query.accounts:
            for direction in query.directions:
                streams[account, query.product, direction].append(report)
    doubles: dict[str, set[str]] = defaultdict(set)
    for first, second in {pair for reports in streams.values() for pair in _overlapping(reports)}:
        start = max(first.query.start, second.query.start)
        end = min(first.query.end, second.query.end)
        shared = _ids(records, first, start, end) & _ids(records, second, start, end)
        for record_id in shared:
            doubles[record_id] |= {first.request_id, second.request_id}
    return {record_id: tuple(sorted(ids)) for record_id, ids in doubles.items()}


def _overlapping(reports: list[Report]) -> Iterator[tuple[Report, Report]]:
    """Pairs of reports whose windows overlap."""
    active: list[Report] = []
    for report in sorted(reports, key=lambda report: (report.query.start, report.number)):
        active = [other for other in active if other.query.end > report.query.start]
        for other in active:
            yield other, report
        active.append(report)


def _ids(records: Records, report: Report, start: int, end: int) -> set[str]:
    """The ids of the records in a report's file from `start` up to `end`."""
    if report.final_status == "SUCCESS":
        return {draw.uid for draw in records.draws(report.query.within(start, end))}
    in_file = islice(records.draws(report.query), report.rows)
    return {draw.uid for draw in in_file if start <= draw.time < end}
