"""The open reports: those that a run still has work with, in the order in which they are urgent."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from orchestrator.core.intervals import merge
from orchestrator.core.lifecycle import OPEN, State
from orchestrator.ledger import rows
from orchestrator.ledger.windows import WindowTables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.core.model import Report

_OPEN: Final = ", ".join(f"'{state.value}'" for state in sorted(OPEN, key=lambda one: one.value))

OpenPlace = tuple[int | None, int]
"""Where an open report stands in their order: when it was ready, in milliseconds, and its id."""

FIRST: Final[OpenPlace] = (0, 0)
"""Before all of them."""


class OpenReports(WindowTables):
    """Adds to the windows what is open. Nothing here grows with the number of open reports."""

    def open_places(
        self,
        keys: frozenset[str] | None = None,
        after: OpenPlace = FIRST,
        api_keys: frozenset[str] = frozenset(),
    ) -> Iterator[OpenPlace]:
        """The open reports of these series, or bought with these API keys, by expiry; lazy.

        Args:
            keys: of the series; None: of all of them.
            after: only those behind this place in that order.
            api_keys: those of any series that they bought, as well.
        """
        wanted = None if keys is None else {self._id_of_key(key) for key in keys}

        def is_wanted(series_id: int, report_id: int) -> bool:
            if wanted is None or series_id in wanted:
                return True
            return bool(api_keys) and self._bought_with(report_id) in api_keys

        ready_at, number = after
        if ready_at is not None:
            ready = self._db.execute(
                "SELECT ready_at, id, series_id FROM report INDEXED BY report_open"
                " WHERE is_open = 1 AND ready_at IS NOT NULL AND (ready_at, id) > (?, ?)"
                " ORDER BY ready_at, id",
                (ready_at, number),
            )
            for moment, report_id, series_id in ready:
                if is_wanted(series_id, report_id):
                    yield moment, report_id
            number = 0
        others = self._db.execute(
            "SELECT id, series_id FROM report INDEXED BY report_open"
            " WHERE is_open = 1 AND ready_at IS NULL AND id > ? ORDER BY id",
            (number,),
        )
        for report_id, series_id in others:
            if is_wanted(series_id, report_id):
                yield None, report_id

    def _bought_with(self, report_id: int) -> str:
        (api_key,) = self._db.execute(
            "SELECT api_key FROM report WHERE id = ?", (report_id,)
        ).fetchone()
        return str(api_key)

    def open_page(
        self,
        keys: frozenset[str],
        after: OpenPlace,
        newest: int,
        most: int,
        api_keys: frozenset[str] = frozenset(),
    ) -> tuple[list[Report], OpenPlace | None]:
        """So many of the open reports of `open_places` behind a place, and the last one's place.

        Args:
            keys: of the series.
            after: the place of the last one of the page before.
            newest: reports of higher numbers are left out.
            most: how many.
            api_keys: those of any series that they bought, as well.

        Returns:
            The place is None where nothing is left.
        """
        places = (place for place in self.open_places(keys, after, api_keys) if place[1] <= newest)
        page = list(islice(places, most))
        return [self.report(number) for _, number in page], page[-1] if page else None

    def waiting_for_a_person(self, keys: frozenset[str]) -> tuple[int, int]:
        """Disputed reports and given-up windows of all series but these: how many of each."""
        mine = {self._id_of_key(key) for key in keys}
        disputed = self._db.execute(
            "SELECT series_id, count(*) FROM report WHERE state = ? GROUP BY series_id",
            (State.DISPUTED.value,),
        )
        given_up = self._db.execute(
            "SELECT series_id, count(*) FROM given_up WHERE acknowledged = 0 GROUP BY series_id"
        )
        return (
            sum(number for series_id, number in disputed if series_id not in mine),
            sum(number for series_id, number in given_up if series_id not in mine),
        )

    def keys_of_open(self, keys: frozenset[str]) -> frozenset[str]:
        """The API keys that bought the open reports of these series."""
        return frozenset(self._bought_with(number) for _, number in self.open_places(keys))

    def newest(self) -> int:
        """The number of the latest report; 0 before the first."""
        (number,) = self._db.execute("SELECT coalesce(max(id), 0) FROM report").fetchone()
        return int(number)

    def unfinished(self, ids: Iterable[int]) -> frozenset[int]:
        """Those of these reports whose files in the making are still wanted."""
        # Of a truncated report a part may have been set aside before it has ended here.
        states = (State.SUBMITTED.value, State.READY.value, State.VERIFIED.value)
        return frozenset(
            number
            for number in ids
            if self._db.execute(
                "SELECT 1 FROM report WHERE id = ? AND state IN (?, ?, ?)", (number, *states)
            ).fetchone()
        )

    def done_with(self, ids: Iterable[int]) -> frozenset[int]:
        """Those of these reports that brought nothing, and whose windows others have collected.

        Not those that a person may still take, or does without: what came of them is all there is.
        """
        return frozenset(number for number in ids if self._is_done_with(number))

    def _is_done_with(self, number: int) -> bool:
        row = self._db.execute(
            "SELECT series_id, window_start, window_end FROM report"
            " WHERE id = ? AND is_open = 0 AND state NOT IN (?, ?)",
            (number, State.DISPUTED.value, State.WAIVED.value),
        ).fetchone()
        if row is None:
            return False
        series_id, start, end = row
        collected = self._db.execute(
            "SELECT window_start, window_end FROM report INDEXED BY report_state"
            " WHERE series_id = ? AND state = ? AND window_start < ? AND window_end > ?"
            " ORDER BY window_start",
            (series_id, State.COLLECTED.value, end, start),
        )
        return any(first <= start and end <= last for first, last in merge(collected))

    def unresolved_creates(self, report: Report) -> tuple[Report, ...]:
        """See the port `Ledger.rivals`."""
        cursor = self._db.execute(
            f"""
            SELECT {rows.COLUMNS} FROM report INDEXED BY report_unknown
            WHERE series_id IN (SELECT id FROM series WHERE account_id = ?)
            AND is_open = 1 AND request_id IS NULL AND id <> ? ORDER BY id
            """,  # noqa: S608 - names are ours
            (report.series.account_id, report.id),
        )
        return tuple(rows.report_of(row, self._series_of(row["series_id"])) for row in cursor)

    def report(self, report_id: int) -> Report:
        """The report of that number.

        Raises:
            KeyError: there is none.
        """
        return self._report_whose("id", report_id)

    def _report_whose(self, column: str, value: int | str) -> Report:
        row = self._db.execute(
            f"SELECT {rows.COLUMNS} FROM report WHERE {column} = ?",  # noqa: S608 - names are ours
            (value,),
        ).fetchone()
        if row is None:
            raise KeyError(value)
        return rows.report_of(row, self._series_of(row["series_id"]))

    def _number_open(self, series_id: int) -> int:
        """How many reports of a series are open, editions among them."""
        (number,) = self._db.execute(
            "SELECT count(*) FROM report INDEXED BY report_state"  # noqa: S608 - only states
            f" WHERE series_id = ? AND state IN ({_OPEN})",
            (series_id,),
        ).fetchone()
        return int(number)
