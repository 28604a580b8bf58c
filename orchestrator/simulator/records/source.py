"""Draws the records: a pure function of seed, account, product, direction and time.

Time is cut into buckets of a day or an hour. The number of records in a bucket, and their content,
follow from a hash of the seed, the stream and the bucket's number; a window only selects. So it
does not matter how a span of time is chunked: disjoint chunks together are the whole span.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import shake_128
from struct import iter_unpack, unpack_from
from typing import Final

from orchestrator.simulator.records.bodies import BODIES, large_bodies
from orchestrator.simulator.records.columns import Schema, schema
from orchestrator.simulator.records.digest import RecordDigest
from orchestrator.simulator.records.draws import Draw
from orchestrator.simulator.settings import Settings

_DAY: Final = 86400
_HOUR: Final = 3600
_DAILY_BUCKETS_UP_TO: Final = 5000.0  # Records a day; with more of them a bucket is an hour.
_PIECE_ROWS_MAX: Final = 512  # The maximum number of records in one piece of a CSV file.
_PIECE_CHARS: Final = 1 << 18  # A piece of a CSV file ends once it is longer than this.
_TIME_MASK: Final = 0x5A17C0DE  # Hides the second in an id; any constant does.


@dataclass(frozen=True, slots=True)
class Query:
    """Selects records: by streams, a half-open window, and filters."""

    accounts: tuple[str, ...]  # the accounts of the records
    product: str  # the canonical name
    directions: tuple[str, ...]  # one or both; `("",)` for products that have none
    filters: tuple[tuple[str, str], ...]  # (name, value) pairs that must all hold
    start: int  # first second, since 1970
    end: int  # the first second after the window
    include_message: bool = False
    show_concatenated: bool = False
    # records that arrive after this second are left out; None is all records
    seen_at: int | None = None

    def within(self, start: int, end: int) -> Query:
        """The same query, its window cut to the part inside another window."""
        return replace(self, start=max(self.start, start), end=min(self.end, end))

    @property
    def schema(self) -> Schema:
        """The columns of these records."""
        return schema(
            self.product,
            self.directions[0],
            include_message=self.include_message,
            show_concatenated=self.show_concatenated,
        )


class Records:
    """Every record of a world."""

    def __init__(self, settings: Settings) -> None:
        self._seed = settings.seed
        self._per_day = settings.records_per_day
        self._factors = settings.product_factors
        self._lag = int(settings.arrival_lag.total_seconds())
        size = settings.bulk_body_bytes
        self._bodies = large_bodies(size) if size else BODIES

    def per_day(self, product: str) -> float:
        """The mean number of records a day, of one account and direction."""
        return self._per_day * self._factors.get(product, 1.0)

    def effort(self, query: Query) -> float:
        """About how many microseconds `count` takes, to decide whether it needs a thread."""
        days = max(0, query.end - query.start) / _DAY
        streams = len(query.accounts) * len(query.directions)
        rate = self.per_day(query.product)
        buckets = days * (24 if rate > _DAILY_BUCKETS_UP_TO else 1) + 2
        drawn = rate * days if query.filters or (query.seen_at is not None and self._lag) else 0.0
        return streams * (2 * buckets + 3 * drawn)

    def expected(self, query: Query) -> float:
        """The mean number of records, before filters."""
        days = max(0, query.end - query.start) / _DAY
        return len(query.accounts) * len(query.directions) * days * self.per_day(query.product)

    def count(self, query: Query) -> int:
        """How many records there are; fast without filters."""
        if query.filters or (self._lag and query.seen_at is not None):
            return sum(1 for _ in self.draws(query))
        return sum(
            self._count_stream(query, account, direction)
            for account in query.accounts
            for direction in query.directions
        )

    def draws(self, query: Query) -> Iterator[Draw]:
        """The draws of the records, ordered by account, direction and time."""
        wanted = [(query.schema.selectable.get(name), value) for name, value in query.filters]
        late_from = query.seen_at if self._lag else None
        lag = self._lag + 1
        for account in query.accounts:
            for direction in query.directions:
                for draw in self._stream(query, account, direction):
                    if late_from is not None and draw.time + (draw.c >> 32) % lag > late_from:
                        continue
                    if all(column and column(draw) == value for column, value in wanted):
                        yield draw

    def rows(self, query: Query) -> Iterator[list[str]]:
        """The records as lists of fields, unquoted, in the order of the schema's columns."""
        columns = query.schema.columns
        for draw in self.draws(query):
            yield [column(draw) for column in columns]

    def ids(self, query: Query) -> Iterator[str]:
        """The unique ids of the records."""
        return (draw.uid for draw in self.draws(query))

    def record_digest(self, query: Query) -> RecordDigest:
        """Count and digest of the records, to compare collected files with."""
        return RecordDigest().add_all(self.rows(query))

    def find(self, query: Query, record_ids: list[str]) -> Iterator[list[str]]:
        """Records by their ids, at any time; the query's window is ignored.

        An id holds its second, so a lookup draws one bucket.
        """
        columns = query.schema.columns
        for record_id in record_ids:
            try:
                moment = int(record_id[:8], 16) ^ _TIME_MASK
            except ValueError:
                continue
            for draw in self.draws(replace(query, start=moment, end=moment + 1)):
                if draw.uid == record_id:
                    yield [column(draw) for column in columns]

    # --- buckets ---------------------------------------------------------------------------------

    def _source(self, query: Query, account: str, direction: str) -> _Source:
        per_day = self.per_day(query.product)
        return _Source(f"{self._seed}\n{account}\n{query.product}\n{direction}\n", per_day)

    def _count_stream(self, query: Query, account: str, direction: str) -> int:
        source = self._source(query, account, direction)
        number = 0
        for bucket in source.buckets(query.start, query.end):
            opening = bucket * source.length
            if query.start <= opening and opening + source.length <= query.end:
                number += source.size(bucket)
            else:
                number += sum(1 for _ in source.times(bucket, query.start, query.end))
        return number

    def _stream(self, query: Query, account: str, direction: str) -> Iterator[Draw]:
        source = self._source(query, account, direction)
        bodies = self._bodies
        for bucket in source.buckets(query.start, query.end):
            for moment, a, b, c, d in source.times(bucket, query.start, query.end):
                digits = f"{moment ^ _TIME_MASK:08x}{a & 0xFFFFFFFF:08x}{b:016x}"
                uid = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
                yield Draw(account, direction, moment, uid, c, d, bodies)


class _Source:
    """The random numbers of one stream, bucket by bucket.

    Args:
        name: of the stream: all that its numbers follow from.
        per_day: the mean number of its records.
    """

    def __init__(self, name: str, per_day: float) -> None:
        self.length = _DAY if per_day <= _DAILY_BUCKETS_UP_TO else _HOUR  # seconds of a bucket
        self._expected = per_day * self.length / _DAY
        self._hash = shake_128(name.encode())

    def buckets(self, start: int, end: int) -> range:
        """The buckets that hold a part of a window."""
        return range(start // self.length, -(-end // self.length))

    def _numbers(self, bucket: int, size_bytes: int) -> bytes:
        of_bucket = self._hash.copy()
        of_bucket.update(b"%d" % bucket)
        return of_bucket.digest(size_bytes)

    def size(self, bucket: int) -> int:
        """How many records the bucket holds: half to one and a half of the mean number."""
        first, second = unpack_from("<II", self._numbers(bucket, 8))
        return int(self._expected * (0.5 + first / 2**32) + second / 2**32)

    def times(self, bucket: int, start: int, end: int) -> Iterator[tuple[int, int, int, int, int]]:
        """The bucket's records in the window, by time: the second, and four numbers of 64 bits.

        The i-th of n records lies in the i-th of n equal parts of the bucket, so the records of a
        short window are drawn without the others.
        """
        size, length = self.size(bucket), self.length
        opening = bucket * length
        first = max(0, (start - opening) * size // length - 1)
        last = min(size, (end - opening) * size // length + 2)
        if first >= last:
            return
        numbers = memoryview(self._numbers(bucket, 8 + 32 * last))[8 + 32 * first :]
        for place, (a, b, c, d) in enumerate(iter_unpack("<QQQQ", numbers), first):
            moment = opening + (place * length + c % length) // size
            if start <= moment < end:
                yield moment, a, b, c, d


# --- CSV ------------------------------------------------------------------------------------------


def csv_pieces(
    names: tuple[str, ...], quoted: tuple[int, ...], rows: Iterator[list[str]]
) -> Iterator[bytes]:
    """A report's CSV in pieces: header first, every field quoted, LF line ends, UTF-8.

    Changes the lists that `rows` yields. The size of a piece is bounded, except for one record.
    """
    lines = ['"' + '","'.join(names) + '"\n']
    size = 0
    for fields in rows:
        for place in quoted:
            if '"' in fields[place]:
                fields[place] = fields[place].replace('"', '""')
        line = '"' + '","'.join(fields) + '"\n'
        lines.append(line)
        size += len(line)
        if size >= _PIECE_CHARS or len(lines) >= _PIECE_ROWS_MAX:
            yield "".join(lines).encode()
            lines.clear()
            size = 0
    if lines:
        yield "".join(lines).encode()
