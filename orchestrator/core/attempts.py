"""What is bought next, after reports that came to nothing: again, smaller, later, or not at all.

Purchases are counted by overlap: a chunk has had as many as reports have come to nothing over it
since a person last had a say (`--retry-failed`, `resolve --resubmit`, `cancel`), whatever their
borders were, by the order of events and not by clocks. Every ending counts that cost a purchase,
or may have: `counts` says which. Truncated reports also say that chunks there must be smaller, and
have bounds of their own: of a window, of a series in one run, and of a series in all.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from orchestrator.core import lifecycle
from orchestrator.core.chunks import BEFORE_SPLIT, cut, failures_over, last_line
from orchestrator.core.debt import Debt
from orchestrator.core.intervals import Window, intersect, subtract, union
from orchestrator.core.lifecycle import Event
from orchestrator.core.model import Failure, Span, Unit
from orchestrator.core.next_steps import ALWAYS, Buy, Defer, GiveUp, Step, WaitForOpen
from orchestrator.core.proofs import Proof
from orchestrator.core.refused_dates import RefusedDates
from orchestrator.core.settings import PollPolicy

MAX_FAILED_A_RUN: Final = 3
"""Maximum number of reports that may fail over a chunk in one run; the next run goes on."""

MAX_FAILED: Final = BEFORE_SPLIT + 1  # Failed reports over a chunk after which it is given up

MAX_PURCHASES: Final = 12
"""Maximum number of purchases of one moment that come to nothing, the truncated ones included."""

MAX_TRUNCATED: Final = 12
"""Truncated reports of a window, without a complete one inside, after which a person decides.

Also the maximum of reports of one series that may be truncated again in one run: reports inside
windows that were truncated already.
"""

MAX_TRUNCATED_A_SERIES: Final = 3 * MAX_TRUNCATED
"""Maximum number of truncated reports of a series in one run.

Also the maximum that may be truncated again in all runs, until what they were for has been
collected or a person has had a say.
"""

MAX_TRUNCATED_A_RUN: Final = 10 * MAX_TRUNCATED
"""Maximum number of reports that may be truncated again in one run, of all series together."""

_SECOND: Final = timedelta(seconds=1)
_HOUR: Final = timedelta(hours=1)
_PROBE: Final = Span(1, Unit.DAYS)
_PROBE_LENGTH: Final = timedelta(days=1)


def counts(event: Event) -> bool:
    """Whether a report that ends so counts as a purchase that came to nothing.

    What frees its window does. But a create that was refused cost nothing, and what a person
    decided begins the count anew; one that nobody could find may have been paid all the same.
    """
    match event:
        case lifecycle.FoundAbsent():
            return True
        case lifecycle.Disputed():
            return event.cut
        case _:
            return event.proof not in {None, Proof.REFUSED, Proof.PERSON}


def begins_anew(event: Event) -> bool:
    """Whether a person has had a say, so that what came to nothing before no longer counts."""
    if isinstance(event, lifecycle.Resubmitted):
        return event.proof is Proof.PERSON
    return isinstance(event, lifecycle.Cancelled)


def pause(poll: PollPolicy, failed: int) -> timedelta:
    """How long to wait before a chunk is asked for again, after `failed` failures in this run."""
    return poll.interval_max * (1 << max(0, failed - 1))


def steps(
    debt: Debt,
    failures: Sequence[Failure],
    failed_now: Sequence[Window] = (),
    cut_now: Sequence[Window] = (),
    dates: RefusedDates | None = None,
) -> Iterator[Step]:
    """What to do about each piece of a debt, in order of time; lazy.

    Args:
        failed_now: the windows of the reports that failed in this run.
        cut_now: the windows of the reports that were truncated in this run.
        dates: what the API has refused in this run for its dates; None: nothing.
    """
    if not dates:
        yield from _steps(debt, failures, failed_now, cut_now, ())
        return
    inside: list[Buy] = []
    for step in _steps(debt, failures, failed_now, cut_now, dates.borders):
        if isinstance(step, Buy) and dates.touches(step.window):
            inside.append(step)
            continue
        yield from _pieces(inside, dates)
        inside = []
        yield from _pieces((step,), dates) if isinstance(step, Buy) else (step,)
    yield from _pieces(inside, dates)


def _pieces(chunks: Sequence[Buy], dates: RefusedDates) -> Iterator[Step]:
    """The pieces of chunks, the newest first: what is too old is known by what follows it."""
    for chunk in reversed(chunks):
        for piece in dates.pieces(chunk.window):
            if chunk.probe is not None and isinstance(piece, Buy):
                yield Buy(piece.window, chunk.probe)
            else:
                yield piece


def _steps(
    debt: Debt,
    failures: Sequence[Failure],
    failed_now: Sequence[Window],
    cut_now: Sequence[Window],
    borders: Collection[datetime],
) -> Iterator[Step]:
    exhausted = tuple(_exhausted(failures))
    if exhausted:
        for given_up in exhausted:
            for piece in intersect(debt.owed, (given_up.window,)):
                yield replace(given_up, window=piece)
        debt = replace(debt, owed=subtract(debt.owed, [step.window for step in exhausted]))
    again = cut_again(failures, cut_now)
    if len(cut_now) >= MAX_TRUNCATED_A_SERIES or again >= MAX_TRUNCATED:
        yield from (Defer(window) for window in debt.owed)
        return
    if debt.goes_by_steps:
        yield from _probe(debt, failures, failed_now)
        return
    chunks = cut(debt.owed, debt.job.chunk, debt.job.zone, failures, debt.sizing, borders=borders)
    if not failures:
        yield from (Buy(chunk) for chunk in chunks)
        return
    for chunk in chunks:
        yield _step(chunk, failures, failed_now)


def cut_again(failures: Sequence[Failure], windows: Sequence[Window]) -> int:
    """How many of these windows lie inside a larger one that was truncated."""
    truncated = [failure.window for failure in failures if failure.truncated]
    return sum(any(_is_inside(window, outer) for outer in truncated) for window in windows)


def _is_inside(window: Window, outer: Window) -> bool:
    return window != outer and outer.start <= window.start and window.end <= outer.end


def _exhausted(failures: Sequence[Failure]) -> Iterator[GiveUp]:
    """The truncated windows that are no longer bought in smaller pieces by themselves."""
    cut = [failure for failure in failures if failure.truncated and failure.counts]
    again = [failure for failure in cut if cut_again(failures, [failure.window])]
    remedy = "ask the vendor why, or make `chunk` of the job smaller"
    if len(again) >= MAX_TRUNCATED_A_SERIES:
        why = f"{len(again)} reports of the series were truncated again, in ever smaller pieces"
        for window in union(failure.window for failure in cut):
            yield GiveUp(window, f"{why}; {remedy}", again[-1].report_id)
        return
    for outer in cut:
        if outer.proved:
            continue
        inside = [
            failure
            for failure in cut
            if failure.window == outer.window or _is_inside(failure.window, outer.window)
        ]
        if len(inside) >= MAX_TRUNCATED:
            why = f"{len(inside)} reports of it were truncated, and none inside it was complete"
            yield GiveUp(outer.window, f"{why}; {remedy}", inside[-1].report_id)


def _probe(debt: Debt, failures: Sequence[Failure], failed_now: Sequence[Window]) -> Iterator[Step]:
    """The newest piece of a debt of which little is known: it tells most of what is to come."""
    assert debt.sizing is not None
    length = debt.sizing.step
    assert length is not None
    newest = debt.owed[-1]
    zone = debt.job.zone
    # A step of a day begins at midnight, others with the hour.
    line = last_line(newest.end - _SECOND, _PROBE, zone)
    if length != _PROBE_LENGTH:
        line = last_line(newest.end - length + _HOUR - _SECOND, Span(1, Unit.HOURS), zone)
    piece = Window(min(max(newest.start, line), newest.end - _SECOND), newest.end)
    *_, chunk = cut((piece,), debt.job.chunk, zone, failures, debt.sizing)
    match _step(chunk, failures, failed_now):
        case Buy(window):
            yield Buy(window, ALWAYS)
            yield WaitForOpen()
        case GiveUp() as step:
            yield step
            yield WaitForOpen()
        case step:
            yield step


def _step(chunk: Window, failures: Sequence[Failure], failed_now: Sequence[Window]) -> Step:
    for failure in failures:
        if failure.truncated and failure.window.length <= _SECOND and failure.window == chunk:
            reason = f"even one second of it is truncated ({failure.reason}): it cannot be had"
            return GiveUp(chunk, reason, failure.report_id)
    failed = failures_over(chunk, failures)
    spent = [
        failure
        for failure in failures
        if failure.window.overlaps(chunk) and (failure.counts or not failure.truncated)
    ]
    if len(failed) >= MAX_FAILED or len(spent) >= MAX_PURCHASES:
        last = spent[-1]
        reason = f"{len(spent)} reports came to nothing, the last: {last.reason}"
        return GiveUp(chunk, reason, last.report_id)
    if sum(window.overlaps(chunk) for window in failed_now) >= MAX_FAILED_A_RUN:
        return Defer(chunk)
    return Buy(chunk, _alone_in(chunk, failures))


def _alone_in(chunk: Window, failures: Sequence[Failure]) -> Window | None:
    """Where nothing else may be open while this chunk is; None: it need not be alone.

    One report at a time is asked for inside a truncated window, until one of them has come back
    complete: first of all truncated windows of the series together, later of each.
    """
    truncated = [failure for failure in failures if failure.truncated]
    unproved = [failure.window for failure in truncated if not failure.proved]
    around = [window for window in unproved if window.overlaps(chunk)]
    if not around:
        return None
    if len(unproved) == len(truncated):
        return Window(
            min(window.start for window in unproved), max(window.end for window in unproved)
        )
    return min(around, key=lambda window: window.length)
