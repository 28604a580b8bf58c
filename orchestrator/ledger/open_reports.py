"""Reads the open reports, which a run still has work with: those that expire first, first."""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from orchestrator.core.intervals import merge
from orchestrator.core.lifecycle import OPEN, State
from orchestrator.core.model import Report, Series
from orchestrator.ledger.reports import ReportTable
from orchestrator.ledger.series import SeriesTable

_OPEN: Final = ", ".join(sorted(f"'{state.value}'" for state in OPEN))

OpenPosition = tuple[int | None, int]
"""Where an open report stands in their order: when it was ready, in milliseconds, and its id."""

FIRST: Final[OpenPosition] = (0, 0)
"""Before all of them."""


@dataclass(frozen=True, slots=True)
class OpenReports:
    """Reads the open reports of one connection, in memory that does not grow with their number.

    Calls without a docstring are those of `LedgerReader`.
    """

    db: sqlite3.Connection
    series: SeriesTable
    reports: ReportTable

    def open_positions(
        self,
        keys: frozenset[str] | None = None,
        after: OpenPosition = FIRST,
        api_keys: frozenset[str] = frozenset(),
    ) -> Iterator[OpenPosition]:
        """The open reports of these series, or bought with these API keys, by expiry; lazy.

        Args:
            keys: of the series; None: of all of them.
            after: only those behind this position in that order.
            api_keys: those of any series that they bought, as well.
        """

        def is_wanted(series_id: int, report_id: int) -> bool:
            if keys is None or (keys and self.series.series_numbered(series_id).key in keys):
                return True
            return bool(api_keys) and self._bought_with(report_id) in api_keys

        ready_at, number = after
        if ready_at is not None:
            ready = self.db.execute(
                "SELECT ready_at, id, series_id FROM report INDEXED BY report_open"
                " WHERE is_open = 1 AND ready_at IS NOT NULL AND (ready_at, id) > (?, ?)"
                " ORDER BY ready_at, id",
                (ready_at, number),
            )
            for moment, report_id, series_id in ready:
                if is_wanted(series_id, report_id):
                    yield moment, report_id
            number = 0
        others = self.db.execute(
            "SELECT id, series_id FROM report INDEXED BY report_open"
            " WHERE is_open = 1 AND ready_at IS NULL AND id > ? ORDER BY id",
            (number,),
        )
        for report_id, series_id in others:
            if is_wanted(series_id, report_id):
                yield None, report_id

    def _bought_with(self, report_id: int) -> str:
        (api_key,) = self.db.execute(
            "SELECT api_key FROM report WHERE id = ?", (report_id,)
        ).fetchone()
        return str(api_key)

    def open_page(
        self,
        keys: frozenset[str],
        after: OpenPosition,
        newest: int,
        most: int,
        api_keys: frozenset[str] = frozenset(),
    ) -> tuple[list[Report], OpenPosition | None]:
        """The next page of open reports, and the position of the last of them.

        Args:
            after: the position of the last report of the page before.
            newest: reports of higher numbers are left out.
            api_keys: those of any series that they bought, as well.

        Returns:
            The page, and None as the position where it is empty.
        """
        positions = self.open_positions(keys, after, api_keys)
        page = list(islice((at for at in positions if at[1] <= newest), most))
        return [self.reports.report(number) for _, number in page], page[-1] if page else None

    def waiting_for_a_person(self, keys: frozenset[str]) -> tuple[int, int]:
        excluded = {self.series.find_key(key) for key in keys}
        disputed = self.db.execute(
            "SELECT series_id, count(*) FROM report WHERE state = ? GROUP BY series_id",
            (State.DISPUTED.value,),
        )
        given_up = self.db.execute(
            "SELECT series_id, count(*) FROM given_up WHERE acknowledged = 0 GROUP BY series_id"
        )
        return (
            sum(number for series_id, number in disputed if series_id not in excluded),
            sum(number for series_id, number in given_up if series_id not in excluded),
        )

    def keys_of_open(self, keys: frozenset[str]) -> frozenset[str]:
        return frozenset(self._bought_with(number) for _, number in self.open_positions(keys))

    def unfinished(self, ids: Iterable[int]) -> frozenset[int]:
        # Of a truncated report a part may have been set aside before it has ended here.
        states = (State.SUBMITTED.value, State.READY.value, State.VERIFIED.value)
        return frozenset(
            number
            for number in ids
            if self.db.execute(
                "SELECT 1 FROM report WHERE id = ? AND state IN (?, ?, ?)", (number, *states)
            ).fetchone()
        )

    def done_with(self, ids: Iterable[int]) -> frozenset[int]:
        return frozenset(number for number in ids if self._is_done_with(number))

    def _is_done_with(self, number: int) -> bool:
        row = self.db.execute(
            "SELECT series_id, window_start, window_end FROM report"
            " WHERE id = ? AND is_open = 0 AND state NOT IN (?, ?)",
            (number, State.DISPUTED.value, State.WAIVED.value),
        ).fetchone()
        if row is None:
            return False
        series_id, start, end = row
        collected = self.db.execute(
            "SELECT window_start, window_end FROM report INDEXED BY report_state"
            " WHERE series_id = ? AND state IN (?, ?) AND window_start < ? AND window_end > ?"
            " ORDER BY window_start",
            (series_id, State.COLLECTED.value, State.ERASED.value, end, start),
        )
        return any(first <= start and end <= last for first, last in merge(collected))

    def number_open(self, series: Series) -> int:
        """The number of a series' open reports, editions among them."""
        (number,) = self.db.execute(
            "SELECT count(*) FROM report INDEXED BY report_state"  # noqa: S608 - only states
            f" WHERE series_id = ? AND state IN ({_OPEN})",
            (self.series.find(series),),
        ).fetchone()
        return int(number)
