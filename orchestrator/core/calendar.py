"""Computes local dates and the moments where they begin: months, midnights, daylight saving."""

import calendar
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

_SECOND: Final = timedelta(seconds=1)


def add_months(moment: datetime, months: int) -> datetime:
    """The same day and time `months` calendar months later, the day clamped to the month's end.

    Works in the moment's own zone; for UTC moments that is the API's way of counting.
    """
    year, month0 = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, calendar.monthrange(year, month0 + 1)[1])
    return moment.replace(year=year, month=month0 + 1, day=day)


def month_start(day: date, months: int = 0) -> date:
    """The first of the day's month, or of the month so many months later."""
    year, month0 = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month0 + 1, 1)


@lru_cache(maxsize=4096)
def first_instant(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a local date, in UTC.

    Where midnight does not exist it is the moment the clocks jump over it; where it occurs
    twice, the earlier one; a date that the zone skipped altogether begins where the next does.
    """
    wall = datetime.combine(day, time(), zone)
    instant = wall.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return instant
    # Midnight lies in a gap. Find its edge: the first second whose wall clock shows this date.
    low, high = instant - timedelta(days=1, hours=2), instant
    while high - low > _SECOND:
        middle = low + (high - low) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).date() >= day:
            high = middle
        else:
            low = middle
    return high


def local_date(moment: datetime, zone: ZoneInfo) -> date:
    """The date that the wall clock shows at that moment."""
    return moment.astimezone(zone).date()


def last_midnight(moment: datetime, zone: ZoneInfo) -> datetime:
    """The latest first instant of a local date that is not later than `moment`."""
    day = local_date(moment, zone)
    start = first_instant(day, zone)
    while start > moment:
        # The clocks went back over midnight: the wall shows a date that began after this moment,
        # or the date was skipped.
        day -= timedelta(days=1)
        start = first_instant(day, zone)
    following = first_instant(day + timedelta(days=1), zone)
    while following <= moment:
        day += timedelta(days=1)
        start, following = following, first_instant(day + timedelta(days=1), zone)
    return start
