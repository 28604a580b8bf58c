"""What is bought next, after reports that came to nothing: again, smaller, later, or not at all.

Attempts are counted by overlap: a chunk has had as many as reports have failed over it since the
user last said `--retry-failed`, whatever their borders were. Truncated reports do not count: they
only say that chunks there must be smaller.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from orchestrator.core.intervals import Window
from orchestrator.core.model import Span, Unit
from orchestrator.core.splitter import last_line, split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from zoneinfo import ZoneInfo

    from orchestrator.core.plan import Debt
    from orchestrator.core.settings import PollPolicy
    from orchestrator.core.sizing import Sizing

PER_RUN: Final = 3
"""So many reports may fail over a chunk in one run; the next run goes on."""

BEFORE_SPLIT: Final = 8
"""After so many the chunk is cut in half, once."""

AT_MOST: Final = BEFORE_SPLIT + 1
"""After so many it is given up."""

SHRINK: Final = 4
"""A truncated window is asked for again in chunks of at most this part of it."""

ALWAYS: Final = Window(datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC))
"""The window of a probe of a series of which nothing is known."""

_SECOND: Final = timedelta(seconds=1)
_PROBE: Final = Span(1, Unit.DAYS)


@dataclass(frozen=True, slots=True)
class Failure:
    """A report that came to nothing.

    Attributes:
        window: what it was for.
        truncated: the API cut its file; otherwise it failed, or its file was lost.
        reason: in words.
        proved: for a truncated one: a smaller report inside its window has come back complete.
        report_id: our number of it.
    """

    window: Window
    truncated: bool
    reason: str
    proved: bool = False
    report_id: int | None = None


@dataclass(frozen=True, slots=True)
class Buy:
    """Ask for this chunk.

    Attributes:
        probe: nothing else of this window is to be open at the same time: a truncated one around
            it, or `ALWAYS`.
    """

    window: Window
    probe: Window | None = None


@dataclass(frozen=True, slots=True)
class Leave:
    """Not in this run any more."""

    window: Window


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Not by itself any more.

    Attributes:
        report_id: our number of the report that was the last straw.
    """

    window: Window
    reason: str
    report_id: int | None = None


@dataclass(frozen=True, slots=True)
class Await:
    """Nothing more until what is open has come back: the rest is cut by what it holds."""


Step = Buy | Leave | GiveUp | Await


def pause(poll: PollPolicy, failed: int) -> timedelta:
    """How long to wait before a chunk is asked for again, after so many failures in this run."""
    return poll.interval_max * (1 << max(0, failed - 1))


def steps(
    debt: Debt, failures: Sequence[Failure], failed_now: Sequence[Window] = ()
) -> Iterator[Step]:
    """What to do about each piece of a debt, in order of time; lazy.

    Args:
        debt: what is owed.
        failures: those of the series that count.
        failed_now: the windows of the reports that failed in this run.
    """
    if debt.must_probe:
        yield from _probe(debt, failures, failed_now)
        return
    chunks = cut(debt.owed, debt.job.chunk, debt.job.zone, failures, debt.sizing)
    if not failures:
        yield from (Buy(chunk) for chunk in chunks)
        return
    for chunk in chunks:
        yield _step(chunk, failures, failed_now)


def _probe(debt: Debt, failures: Sequence[Failure], failed_now: Sequence[Window]) -> Iterator[Step]:
    """The newest day of a debt of which nothing is known: the most telling of what is to come."""
    newest = debt.owed[-1]
    zone = debt.job.zone
    start = max(newest.start, last_line(newest.end - _SECOND, _PROBE, zone))
    (chunk,) = deque(cut((Window(start, newest.end),), debt.job.chunk, zone, failures), maxlen=1)
    match _step(chunk, failures, failed_now):
        case Buy(window):
            yield Buy(window, ALWAYS)
            yield Await()
        case GiveUp() as step:
            yield step
            yield Await()
        case step:
            yield step


def cut(
    owed: Sequence[Window],
    size: Span,
    zone: ZoneInfo,
    failures: Sequence[Failure],
    sizing: Sizing | None = None,
) -> Iterator[Window]:
    """Chunks as `splitter.split` cuts them, and smaller where reports were cut or kept failing.

    Args:
        owed: what to cover.
        size: the largest chunk.
        zone: where the grid's dates begin.
        failures: of the series, those that count.
        sizing: how many records a chunk may hold; None, or nothing known yet: any number.
    """
    fits = sizing.fits if sizing is not None and not sizing.must_probe else None
    if not failures:
        yield from split(owed, size, zone, fits=fits)
        return
    for piece in split(owed, size, zone, _borders(failures), fits):
        limit = min((piece.length, *_limits(piece, failures)))
        if len(_failed(piece, failures)) == BEFORE_SPLIT:
            limit = min(limit, (piece.length + _SECOND) // 2)
        yield from _even(piece, max(_whole(limit), _SECOND))


def _step(chunk: Window, failures: Sequence[Failure], failed_now: Sequence[Window]) -> Step:
    for failure in failures:
        if failure.truncated and failure.window.length <= _SECOND and failure.window == chunk:
            reason = f"even one second of it is truncated ({failure.reason}): it cannot be had"
            return GiveUp(chunk, reason, failure.report_id)
    failed = _failed(chunk, failures)
    if len(failed) >= AT_MOST:
        last = failed[-1]
        reason = f"{len(failed)} reports came to nothing, the last: {last.reason}"
        return GiveUp(chunk, reason, last.report_id)
    if sum(window.overlaps(chunk) for window in failed_now) >= PER_RUN:
        return Leave(chunk)
    unproved = [
        failure.window
        for failure in failures
        if failure.truncated and not failure.proved and failure.window.overlaps(chunk)
    ]
    return Buy(chunk, min(unproved, key=lambda window: window.length, default=None))


def _limits(piece: Window, failures: Sequence[Failure]) -> Iterator[timedelta]:
    """The longest that the chunks of a piece may be, for each truncated window around it.

    Where a part of that window was truncated too, the rest of it may fare no better and shrinks
    with it, but by one step only: a burst in one minute must not cut a quiet month to pieces.
    """
    truncated = [failure.window for failure in failures if failure.truncated]
    for window in truncated:
        if window.overlaps(piece):
            shortest = min(
                inner.length
                for inner in truncated
                if window.start <= inner.start and inner.end <= window.end
            )
            yield max(shortest // SHRINK, window.length // SHRINK**2)


def count(window: Window, failures: Sequence[Failure]) -> int:
    """How many attempts have failed over a window."""
    return len(_failed(window, failures))


def _failed(chunk: Window, failures: Sequence[Failure]) -> list[Failure]:
    return [one for one in failures if not one.truncated and one.window.overlaps(chunk)]


def _borders(failures: Sequence[Failure]) -> set[datetime]:
    return {moment for one in failures for moment in (one.window.start, one.window.end)}


def _whole(length: timedelta) -> timedelta:
    return timedelta(seconds=length // _SECOND)


def _even(piece: Window, limit: timedelta) -> Iterator[Window]:
    start = piece.start
    while start < piece.end:
        end = min(start + limit, piece.end)
        yield Window(start, end)
        start = end
