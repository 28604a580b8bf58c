"""Cuts windows into chunks: each small enough for one report, ending on a grid of the job's zone.

The grid depends on the zone and the chunk size alone, never on today or on what came before, so
that the same window is always cut in the same places.
"""

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Final, assert_never
from zoneinfo import ZoneInfo

from orchestrator.core import vonage
from orchestrator.core.calendar import (
    add_months,
    first_instant,
    last_midnight,
    local_date,
    month_start,
)
from orchestrator.core.intervals import Window, union
from orchestrator.core.model import Failure, Span, Unit
from orchestrator.core.volume import Sizing

BEFORE_SPLIT: Final = 8  # Failed reports over a chunk after which it is cut in half, once
SHRINK: Final = 4  # A truncated window is asked for again in chunks of at most this part of it

_SECOND: Final = timedelta(seconds=1)
_EPOCH: Final = date(1970, 1, 1)
_FIRST_MONDAY: Final = date(1970, 1, 5)


def ceiling(start: datetime) -> datetime:
    """The latest end that the API allows for a report that starts here."""
    return add_months(start, vonage.MAX_REPORT_MONTHS)


def next_line(moment: datetime, size: Span, zone: ZoneInfo) -> datetime:
    """The first grid line after `moment`.

    Lines are first instants of local dates, counted on from 1970-01-01 in steps of the size
    (weeks from Monday 1970-01-05); for hours, every so many real hours from each local day's
    first instant, the last piece of a day being as long as the day leaves it.
    """
    if size.unit is Unit.HOURS:
        midnight = last_midnight(moment, zone)
        step = timedelta(hours=size.count)
        line = midnight + ((moment - midnight) // step + 1) * step
        return min(line, next_line(moment, Span(1, Unit.DAYS), zone))
    day = local_date(moment, zone)
    line = first_instant(_grid_date(day, size, 1), zone)
    steps = 1
    while line <= moment:  # the zone skipped or repeated a date just here
        steps += 1
        line = first_instant(_grid_date(day, size, steps), zone)
    return line


def last_line(moment: datetime, size: Span, zone: ZoneInfo) -> datetime:
    """The last grid line not later than `moment`."""
    if size.unit is Unit.HOURS:
        midnight = last_midnight(moment, zone)
        step = timedelta(hours=size.count)
        return midnight + ((moment - midnight) // step) * step
    day = local_date(moment, zone)
    line = first_instant(_grid_date(day, size, 0), zone)
    steps = 0
    while line > moment:
        steps -= 1
        line = first_instant(_grid_date(day, size, steps), zone)
    return line


def _grid_date(day: date, size: Span, steps: int) -> date:
    """The date where the cell of the grid that holds `day` begins, or one so many cells on."""
    match size.unit:
        case Unit.DAYS:
            cell = (day - _EPOCH).days // size.count + steps
            return _EPOCH + timedelta(days=cell * size.count)
        case Unit.WEEKS:
            cell = (day - _FIRST_MONDAY).days // (7 * size.count) + steps
            return _FIRST_MONDAY + timedelta(days=cell * 7 * size.count)
        case Unit.MONTHS:
            months = (day.year - 1970) * 12 + day.month - 1
            return month_start(_EPOCH, (months // size.count + steps) * size.count)
        case Unit.HOURS:
            raise AssertionError("hours have no grid of dates")
    assert_never(size.unit)


_HOURS: Final = {Unit.HOURS: 1, Unit.DAYS: 24, Unit.WEEKS: 7 * 24, Unit.MONTHS: 28 * 24}
_FINER: Final = (
    *(Span(count, Unit.MONTHS) for count in (6, 3, 1)),
    *(Span(count, Unit.WEEKS) for count in (2, 1)),
    *(Span(count, Unit.DAYS) for count in (3, 1)),
    *(Span(count, Unit.HOURS) for count in (12, 6, 3, 1)),
)
"""Sizes that are tried in turn where a chunk would hold too many records."""


def _sizes(size: Span) -> tuple[Span, ...]:
    """A size, and those below it, largest first."""
    length = size.count * _HOURS[size.unit]
    return (size, *(finer for finer in _FINER if finer.count * _HOURS[finer.unit] < length))


def split(
    windows: Iterable[Window],
    size: Span,
    zone: ZoneInfo,
    cuts: Iterable[datetime] = (),
    fits: Callable[[Window], bool] | None = None,
) -> Iterator[Window]:
    """Chunks that cover the windows exactly, in order; they touch and never overlap.

    Lazy: memory does not grow with the number of chunks.

    Args:
        cuts: further moments to cut at, such as the borders of earlier failed reports.
        fits: whether a chunk is small enough. Where it is not, the grids of fewer months,
            weeks, days and hours are tried in turn, down to an hour, which is always taken.
    """
    fences = sorted(set(cuts))
    sizes = _sizes(size) if fits else (size,)
    for window in union(windows):
        start = window.start
        while start < window.end:
            fence = bisect_right(fences, start)
            stop = min(window.end, fences[fence]) if fence < len(fences) else window.end
            for candidate in sizes:
                chunk = Window(start, min(_chunk_end(start, candidate, zone), stop))
                if fits is None or fits(chunk):
                    break
            yield chunk
            start = chunk.end


def _chunk_end(start: datetime, size: Span, zone: ZoneInfo) -> datetime:
    end = next_line(start, size, zone)
    limit = ceiling(start)
    if end > limit:
        # A daylight-saving change made 13 local months longer than 13 months of UTC.
        end = max(last_midnight(limit, zone), start + timedelta(seconds=1))
    return end


def cut(
    owed: Sequence[Window],
    size: Span,
    zone: ZoneInfo,
    failures: Sequence[Failure],
    sizing: Sizing | None = None,
    *,
    borders: Collection[datetime] = (),
) -> Iterator[Window]:
    """Chunks as `split` cuts them, and smaller where reports were cut or kept failing.

    Args:
        sizing: how many records a chunk may hold; None, or nothing known yet: any number.
    """
    fits = sizing.fits if sizing is not None and not sizing.must_probe else None
    if not failures:
        yield from split(owed, size, zone, borders, fits)
        return
    for piece in split(owed, size, zone, {*_borders(failures), *borders}, fits):
        limit = min((piece.length, *_limits(piece, failures)))
        if len(failures_over(piece, failures)) == BEFORE_SPLIT:
            limit = min(limit, (piece.length + _SECOND) // 2)
        yield from even(piece, max(_whole(limit), _SECOND))


def _limits(piece: Window, failures: Sequence[Failure]) -> Iterator[timedelta]:
    """The longest that the chunks of a piece may be, for each truncated window around it.

    A quarter of it; half of what a file holds, by the records that the truncated one had. Where
    a smaller report of the series was truncated too, the rest may fare no better and shrinks with
    it, but by one step only: a burst in one minute must not cut a quiet month to pieces.
    """
    truncated = [failure for failure in failures if failure.truncated]
    shortest = min((failure.window.length for failure in truncated), default=timedelta())
    for failure in truncated:
        length = failure.window.length
        if failure.window.overlaps(piece):
            yield max(min(length, shortest) // SHRINK, length // SHRINK**2)
            if failure.rows:
                yield length * min(1.0, vonage.FILE_RECORDS / 2 / failure.rows)


def _borders(failures: Sequence[Failure]) -> set[datetime]:
    return {moment for failure in failures for moment in (failure.window.start, failure.window.end)}


def _whole(length: timedelta) -> timedelta:
    return timedelta(seconds=length // _SECOND)


def even(piece: Window, limit: timedelta) -> Iterator[Window]:
    """A window in pieces of a length, the last one shorter."""
    start = piece.start
    while start < piece.end:
        end = min(start + limit, piece.end)
        yield Window(start, end)
        start = end


def failures_over(chunk: Window, failures: Sequence[Failure]) -> list[Failure]:
    """The failed attempts over a chunk; truncated ones are none."""
    return [
        failure for failure in failures if not failure.truncated and failure.window.overlaps(chunk)
    ]
