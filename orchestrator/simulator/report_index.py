"""Finds reports by id, by file, by owner and by time of creation."""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from math import ceil, floor
from typing import Final

from orchestrator.simulator.faults.reports import Outcome
from orchestrator.simulator.reports import Phase, Report

STATUSES: Final = ("PENDING", "PROCESSING", "SUCCESS", "ABORTED", "FAILED", "TRUNCATED")
"""The statuses that the API documents."""

OPEN: Final = frozenset({Phase.PENDING.value, Phase.PROCESSING.value})
"""The statuses of a report that has not ended."""


@dataclass(slots=True)
class _Owned:
    """The reports of one account or one key: all by time of creation, and the open ones."""

    by_time: list[Report] = field(default_factory=list)
    open: dict[int, Report] = field(default_factory=dict)


class ReportIndex:
    """Every report ever created; no look-up goes through all of them."""

    def __init__(self) -> None:
        self.all: dict[str, Report] = {}  # every report by its id, oldest first
        self._files: dict[str, Report] = {}
        self._of_account: defaultdict[str, _Owned] = defaultdict(_Owned)
        self._of_key: defaultdict[str, _Owned] = defaultdict(_Owned)
        self._open_of_key: Counter[str] = Counter()

    def add(self, report: Report) -> None:
        """Adds a new report."""
        self.all[report.request_id] = report
        self._files[report.file_id] = report
        self._open_of_key[report.key] += 1
        for owned in self._owners(report):
            # At the end, unless the world's clock was set back.
            place = bisect_right(owned.by_time, report.created, key=_created)
            owned.by_time.insert(place, report)
            owned.open[report.number] = report

    def ended(self, report: Report) -> None:
        """Notes that a report is no longer open."""
        self._open_of_key[report.key] -= 1
        outcome = report.fault(Outcome)
        if outcome is not None and outcome.status not in STATUSES:
            return  # A list shows a report of an undocumented status whatever it asks for.
        for owned in self._owners(report):
            owned.open.pop(report.number, None)

    def _owners(self, report: Report) -> tuple[_Owned, _Owned]:
        return self._of_account[report.request.account_id], self._of_key[report.key]

    def count_open(self, api_key: str) -> int:
        """How many reports of a key have not ended."""
        return self._open_of_key[api_key]

    def report(self, request_id: str) -> Report | None:
        """The report with this id."""
        return self.all.get(request_id)

    def of_file(self, file_id: str) -> Report | None:
        """The report whose file has this id."""
        return self._files.get(file_id)

    def listed(
        self,
        first: float,
        last: float,
        *,
        account_id: str = "",
        api_key: str = "",
        statuses: Collection[str] = STATUSES,
    ) -> list[Report]:
        """The reports that an account or a key created between two seconds, oldest first.

        Where all `statuses` are open ones, it reads the open reports only.

        Args:
            first: seconds since 1970; a report's second is rounded down.
            last: the same, included.
            account_id: the account of the records; empty: not by account.
            api_key: the key that created it; empty: not by key. With both, either is enough.
            statuses: the statuses that the caller will keep.
        """
        owners = (self._of_account.get(account_id), self._of_key.get(api_key))
        by_number: dict[int, Report] = {}
        for owned in filter(None, owners):
            among: Iterable[Report]
            if OPEN.issuperset(statuses):
                among = (
                    report for report in owned.open.values() if first <= int(report.created) <= last
                )
            else:
                start = bisect_left(owned.by_time, float(ceil(first)), key=_created)
                end = bisect_left(owned.by_time, floor(last) + 1.0, key=_created)
                among = owned.by_time[start:end]
            by_number.update((report.number, report) for report in among)
        return [by_number[number] for number in sorted(by_number)]


def _created(report: Report) -> float:
    return report.created
