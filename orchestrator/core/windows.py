"""Computes which time a job wants at a moment: relative windows, marks, settling, retention."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, assert_never
from zoneinfo import ZoneInfo

from orchestrator.core import products, vonage
from orchestrator.core.calendar import add_months, first_instant, local_date, month_start
from orchestrator.core.chunks import last_line, next_line
from orchestrator.core.intervals import Window, before, since, subtract, union
from orchestrator.core.local_dates import moment_text
from orchestrator.core.model import (
    AbsoluteWindow,
    CalendarWord,
    Job,
    LastWindow,
    Resolution,
    Series,
    Span,
    Unit,
    WindowSpec,
)

_DAY: Final = timedelta(days=1)

URGENT: Final = timedelta(hours=48)
"""Time before the end of retention in which windows are asked for before all others."""


def relative(spec: LastWindow | CalendarWord, now: datetime, zone: ZoneInfo) -> Window:
    """The window that a relative spec names, as seen from `now`; not clipped.

    `this_week` and `this_month` end with today's last moment: nothing later can be wanted yet.
    """
    today = local_date(now, zone)
    start, end = _dates(spec, today)
    return Window(first_instant(start, zone), first_instant(end, zone))


def _dates(spec: LastWindow | CalendarWord, today: date) -> tuple[date, date]:  # noqa: PLR0911 - one arm a word
    monday = today - timedelta(days=today.weekday())
    match spec:
        case LastWindow(span=Span(count=count, unit=Unit.MONTHS)):
            first = month_start(today, -count)
            last = month_start(first, 1) - _DAY
            return first.replace(day=min(today.day, last.day)), today
        case LastWindow(span=Span(count=count, unit=unit)):
            return today - (7 if unit is Unit.WEEKS else 1) * count * _DAY, today
        case CalendarWord.YESTERDAY:
            return today - _DAY, today
        case CalendarWord.TODAY:
            return today, today + _DAY
        case CalendarWord.LAST_WEEK:
            return monday - 7 * _DAY, monday
        case CalendarWord.THIS_WEEK:
            return monday, today + _DAY
        case CalendarWord.LAST_MONTH:
            return month_start(today, -1), month_start(today)
        case CalendarWord.THIS_MONTH:
            return month_start(today), today + _DAY
    assert_never(spec)


def resolve(job: Job, now: datetime, previous: Resolution) -> Resolution:
    """What the job's relative windows have become for a series once this run has resolved them.

    Each begins no later than the mark, where the previous resolution ended: a night without a
    run, a crash or a changed zone leaves no gap. A job without relative windows keeps what its
    earlier versions resolved.
    """
    windows = previous.windows
    mark = previous.mark
    for spec in job.windows:
        if isinstance(spec, AbsoluteWindow):
            continue
        named = relative(spec, now, job.zone)
        start = named.start if previous.mark is None else min(named.start, previous.mark)
        windows = union(windows, (Window(start, named.end),))
        mark = named.end if mark is None else max(mark, named.end)
    return Resolution(windows, mark)


def backfilled(job: Job, now: datetime, previous: Resolution) -> tuple[Window, ...]:
    """The days that the relative windows reach back for, beyond what their words mean today.

    They are what earlier runs missed.
    """
    today = [
        relative(spec, now, job.zone)
        for spec in job.windows
        if not isinstance(spec, AbsoluteWindow)
    ]
    if not today or previous.mark is None:
        return ()
    return subtract(since(resolve(job, now, previous).windows, previous.mark), today)


def clip(job: Job, now: datetime) -> datetime:
    """Where every window ends today: records from later on may still be arriving.

    The last midnight of the job's zone (for chunks of hours, the last grid line) that is not
    later than `now` less the settling time.
    """
    return last_line(now - job.settle, _clip_grid(job), job.zone)


def _clip_grid(job: Job) -> Span:
    return job.chunk if job.chunk.unit is Unit.HOURS else Span(1, Unit.DAYS)


def wanted(job: Job, now: datetime, resolution: Resolution) -> tuple[Window, ...]:
    """Every moment that the job wants and may ask for by now; clipped."""
    edge = clip(job, now)
    absolute = []
    for spec in job.windows:
        if isinstance(spec, AbsoluteWindow):
            end = edge if spec.end is None else min(spec.end, edge)
            if spec.start < end:
                absolute.append(Window(spec.start, end))
    return union(absolute, before(resolution.windows, edge))


@dataclass(frozen=True, slots=True)
class Later:
    """A part of a job's window that is still settling."""

    label: str  # the window in the job's words
    window: Window  # what is not asked for yet
    available_at: datetime  # when the first part of it may be asked for


def later(job: Job, now: datetime) -> tuple[Later, ...]:
    """The parts of the windows that lie behind the clip.

    A window without an end has none: what it will want tomorrow is not late today.
    """
    edge = clip(job, now)
    lines = []
    for spec in job.windows:
        if isinstance(spec, AbsoluteWindow):
            if spec.end is None:
                continue
            window = Window(spec.start, spec.end)
        else:
            window = relative(spec, now, job.zone)
        rest = since((window,), edge)
        if rest:
            first = next_line(rest[0].start, _clip_grid(job), job.zone)
            lines.append(
                Later(describe(spec, job.zone), rest[0], min(first, window.end) + job.settle)
            )
    return tuple(lines)


def describe(spec: WindowSpec, zone: ZoneInfo) -> str:
    """A window in the words of the job file."""
    match spec:
        case AbsoluteWindow(start=start, end=end):
            text = f"from {moment_text(start, zone)}"
            return text if end is None else f"{text} to {moment_text(end, zone)}"
        case LastWindow(span=span):
            return f"last {span}"
        case CalendarWord():
            return spec.value
    assert_never(spec)


def retention_edge(series: Series, now: datetime) -> datetime:
    """The oldest moment of which the API still has records of this series."""
    product = products.PRODUCTS.get(series.product)
    if product is not None and product.retention is not None:
        edge = now - product.retention
    else:
        edge = add_months(now, -vonage.RETENTION_MONTHS)
    return edge.replace(microsecond=0)


def urgent_band(series: Series, now: datetime) -> Window:
    """The windows that overlap this one go first: their records will soon be deleted."""
    edge = retention_edge(series, now)
    return Window(edge, edge + URGENT)
