"""Reads and writes dates as the API does, and adds calendar months.

The simulator's own arithmetic: it must not use the client's, so that no mistake is shared.
"""

import calendar
import math
import re
from datetime import UTC, datetime
from typing import Final

_FORM: Final = re.compile(
    r"\d{4}-\d\d-\d\dT(?!24)\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)", re.ASCII
)

OFFSETS: Final = ("+0000", "+00:00", "Z")
"""How the API writes UTC; sources disagree, so all three occur."""


def parse_moment(text: str) -> datetime:
    """``yyyy-mm-ddThh:mm:ss[.sss]`` with ``Z`` or an offset, as a moment in UTC.

    Raises:
        ValueError: it is not of that form, or no such moment exists.
    """
    if not _FORM.fullmatch(text):
        raise ValueError(f"'{text}' is not of the form yyyy-mm-ddThh:mm:ss[.sss]±hh:mm")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"'{text}' is not a moment of the calendar") from None


def write_moment(moment: datetime, offset: str = "+0000") -> str:
    """A moment of UTC in the API's form; milliseconds only where there are any."""
    text = moment.isoformat(timespec="seconds")[:19]
    if moment.microsecond:
        text += f".{moment.microsecond // 1000:03}"
    return text + offset


def months_later(moment: datetime, months: int) -> datetime:
    """The same day and time some calendar months later, the day clamped to the month's end."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


def first_second(moment: datetime) -> int:
    """The first whole second, since 1970, that does not lie before the moment."""
    return math.ceil(moment.timestamp())
