"""Finds out by the records of a file whether a wrong echo of its request is a slip of the API.

An echo that differs from the request may be a slip of the API. The file settles it where every
record is what was asked for, and the records could not all be there if the echo were true.
"""

import codecs
import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from orchestrator.collect.cancellable_thread import check_cancelled
from orchestrator.collect.csv_records import RecordBlocks
from orchestrator.core.echo import EchoDifference, EchoValue, filters_nothing, same_value, truth
from orchestrator.errors import CorruptArchive

_STEP_ROWS: Final = 20_000  # Records between two looks: some tens of milliseconds.

_TIME_COLUMNS: Final = (
    "date_received", "call_date_start", "date_start", "start_time", "creation_date", "event_time",
    "queued_time",
)  # fmt: skip
"""Where a record says when it was: the first of these that its file has (by product)."""

_COLUMN_OF: Final[Mapping[str, tuple[str, ...]]] = {"status": ("status", "verify_status")}
"""The columns of a field whose name may differ from the field's."""


@dataclass(slots=True)
class _Check:
    """One difference, and what the records so far say of it."""

    column: int
    asked_for: Callable[[str], bool]  # whether a value is what was asked for
    # whether a value would stand in the file if the echo were true
    fits_answer: Callable[[str], bool]
    widens: bool  # the echo asks for more than we did; then our records alone refute it
    refuted: bool = False  # a record was seen that the echo rules out

    def takes(self, row: Sequence[str]) -> bool:
        """Whether a record is what was asked for."""
        value = row[self.column]
        self.refuted |= not self.fits_answer(value)
        return self.asked_for(value)


def refutes(blocks: Iterable[bytes], differences: Sequence[EchoDifference]) -> bool:
    """Whether a CSV shows that every difference of an echo is a slip of the API.

    A file that cannot be read as CSV, or has no column for a difference, refutes nothing.

    Args:
        differences: what the echo says otherwise than the request; not empty.
    """
    rows = _rows(blocks)
    try:
        checks = _checks(next(rows, []), differences)
        if checks is None:
            return False
        for number, row in enumerate(rows, 1):
            if not row:
                continue
            for check in checks:
                if not check.takes(row):
                    return False
            if number % _STEP_ROWS == 0:
                check_cancelled()
    except (csv.Error, IndexError, CorruptArchive):
        return False
    return all(check.refuted or check.widens for check in checks)


def _checks(header: Sequence[str], differences: Sequence[EchoDifference]) -> list[_Check] | None:
    """A check for each difference that only records can settle; None where one cannot be."""
    checks = []
    for difference in differences:
        if difference.field == "include_message":
            # The header alone tells it: bodies stand in a column of their own.
            if ("message_body" in header) is not truth(difference.asked or False):
                return None
            continue
        check = _check(header, difference)
        if check is None:
            return None
        checks.append(check)
    return checks


def _check(header: Sequence[str], difference: EchoDifference) -> _Check | None:
    field, asked, answered = difference.field, difference.asked, difference.answered
    if isinstance(answered, datetime):
        assert isinstance(asked, datetime), "both dates are always sent"
        return _check_of_time(header, field, asked, answered)
    column = _column(header, _COLUMN_OF.get(field, (field,)))
    if column is None or isinstance(asked, bool | datetime):
        return None
    return _Check(
        column,
        asked_for=lambda value: asked is None or _holds(field, asked, value),
        fits_answer=lambda value: _holds(field, answered, value),
        widens=asked is not None and filters_nothing(answered),
    )


def _check_of_time(
    header: Sequence[str], field: str, asked: datetime, answered: datetime
) -> _Check | None:
    column = _column(header, _TIME_COLUMNS)
    if column is None:
        return None
    is_start = field == "date_start"

    def inside(bound: datetime, value: str) -> bool:
        moment = _moment(value)
        return moment is not None and (moment >= bound if is_start else moment < bound)

    return _Check(
        column,
        asked_for=lambda value: inside(asked, value),
        fits_answer=lambda value: inside(answered, value),
        widens=answered < asked if is_start else answered > asked,
    )


def _column(header: Sequence[str], names: Iterable[str]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _holds(field: str, wanted: EchoValue, value: str) -> bool:
    """Whether a record's value is one that a filter wants, such as ``delivered,failed``."""
    return any(same_value(field, member, value) for member in str(wanted).split(","))


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC)


def _rows(blocks: Iterable[bytes]) -> Iterator[list[str]]:
    """The records of a CSV, the header among them."""
    decode = codecs.getincrementaldecoder("utf-8-sig")("replace").decode
    whole = RecordBlocks()
    for block in blocks:
        for records in whole.push(block):
            yield from csv.reader(io.StringIO(decode(records), newline=""), strict=True)
    yield from csv.reader(io.StringIO(decode(whole.rest(), final=True), newline=""), strict=True)
