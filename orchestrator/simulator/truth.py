"""The records that a request must yield, drawn from the source without any report."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.simulator.dates import first_second, parse_moment
from orchestrator.simulator.records.digest import RecordDigest
from orchestrator.simulator.records.source import Records, csv_pieces
from orchestrator.simulator.requests import read_request
from orchestrator.simulator.settings import Settings

_SOME_DAY = datetime(2024, 1, 1, tzinfo=UTC)


class Truth:
    """All records of a request body in a window: arrived or not, retained or not, never cut.

    ``REPORTS-USAGE`` is refused: its records follow from what the world did, so see its bill.

    Args:
        body: as a client sends it, with or without dates.
        start: overrides `date_start`.
        end: overrides `date_end`. The window may be longer than that of one report.

    Raises:
        Refused: the body is not valid.
        ValueError: there is no window, or the product is ``REPORTS-USAGE``.
    """

    def __init__(
        self,
        settings: Settings,
        body: Mapping[str, Any],
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> None:
        begin = start or _moment(body, "date_start")
        stop = end or _moment(body, "date_end")
        dated = {**body, "date_start": "2024-01-01T00:00:00Z", "date_end": "2024-01-02T00:00:00Z"}
        request = read_request(dated, _SOME_DAY + timedelta(days=1), settings.extra_products)
        if request.product == "REPORTS-USAGE":
            raise ValueError("REPORTS-USAGE has no truth beforehand: look at the bill")
        self._records = Records(settings)
        self._query = replace(
            request.query(settings), start=first_second(begin), end=first_second(stop)
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The header row."""
        return self._query.schema.names

    def rows(self) -> Iterator[list[str]]:
        """The records, as fields, in the order in which one report would have them."""
        return self._records.rows(self._query)

    def csv(self) -> Iterator[bytes]:
        """The CSV of one report over the whole window, in pieces."""
        return csv_pieces(self.columns, self._query.schema.quoted, self.rows())

    def count(self) -> int:
        """How many records there are."""
        return self._records.count(self._query)

    def record_digest(self) -> RecordDigest:
        """Count and digest, in constant memory; compare it with the sum of the files' digests."""
        return self._records.record_digest(self._query)


def _moment(body: Mapping[str, Any], name: str) -> datetime:
    if not isinstance(body.get(name), str):
        raise ValueError(f"{name} is missing: give it in the body or beside it")  # noqa: TRY004 - missing, not of a wrong type
    return parse_moment(body[name])
