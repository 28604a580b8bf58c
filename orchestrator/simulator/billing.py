"""Which records were paid for more than once: the question that the whole program is about."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from orchestrator.simulator.records.source import Records
    from orchestrator.simulator.reports import Report


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
    found: dict[str, set[str]] = defaultdict(set)
    for first, second in {pair for reports in streams.values() for pair in _overlapping(reports)}:
        start = max(first.query.start, second.query.start)
        end = min(first.query.end, second.query.end)
        shared = _ids(records, first, start, end) & _ids(records, second, start, end)
        for record_id in shared:
            found[record_id] |= {first.request_id, second.request_id}
    return {record_id: tuple(sorted(ids)) for record_id, ids in found.items()}


def _overlapping(reports: list[Report]) -> Iterator[tuple[Report, Report]]:
    """Pairs of reports that share a moment."""
    active: list[Report] = []
    for report in sorted(reports, key=lambda one: (one.query.start, one.number)):
        active = [other for other in active if other.query.end > report.query.start]
        for other in active:
            yield other, report
        active.append(report)


def _ids(records: Records, report: Report, start: int, end: int) -> set[str]:
    """The ids of the records of a time that a report's file holds."""
    if report.word == "SUCCESS":
        return {draw.uid for draw in records.draws(report.query.within(start, end))}
    in_file = islice(records.draws(report.query), report.rows)
    return {draw.uid for draw in in_file if start <= draw.time < end}
