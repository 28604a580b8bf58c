"""Turns numbers, times and the states of reports into English.

A state becomes what happened, and what happens next or what the user can do about it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from itertools import islice
from typing import Final, assert_never
from zoneinfo import ZoneInfo

from orchestrator.core.attempts import MAX_FAILED
from orchestrator.core.column_drift import ColumnDrift, is_full
from orchestrator.core.commands import JOB, refetch_or_pay, typed
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.local_dates import default_zone, moment_text, window_text, zone_of
from orchestrator.core.model import Report
from orchestrator.core.policy import HOLD_FOR
from orchestrator.core.windows import Later
from orchestrator.texts import short

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86400
_NAMED: Final = 5  # Columns that are named one by one.

# --- numbers, sizes and times ---------------------------------------------------------------------


def counted(number: int, noun: str) -> str:
    """``1 report``, ``1,234 reports``; a noun in -y or of its own plural: ``series``."""
    if number == 1 or noun == "series":
        return f"{number:,} {noun}"
    plural = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"
    return f"{number:,} {plural}"


def left_out_words(waived: int, erased: int) -> str:
    """How many windows a person has had skipped or erased; empty if none."""
    return " and ".join(
        f"{counted(number, 'window')} {what}"
        for number, what in ((waived, "skipped as you decided"), (erased, "erased on purpose"))
        if number
    )


def but_for(waived: int, erased: int) -> str:
    """What follows a word that all is collected, where a person has windows skipped or erased."""
    lacking = left_out_words(waived, erased)
    return f", but for {lacking}" if lacking else ""


def size_words(size_bytes: int) -> str:
    """``512 B``, ``1.4 kB``, ``2.0 GB``: powers of a thousand."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    size = float(size_bytes)
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 999.95:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} TB"


def time_words(span: timedelta) -> str:
    """``12 seconds``, ``12 minutes``, ``3.5 hours``, ``2.1 days``."""
    minutes = span / timedelta(minutes=1)
    if minutes < 1.5:
        return counted(round(minutes * 60), "second")
    if minutes < 90:
        return counted(round(minutes), "minute")
    if minutes < 36 * 60:
        return f"{minutes / 60:.1f} hours"
    return f"{minutes / 60 / 24:.1f} days"


def length(span: timedelta | float) -> str:
    """A span of time in its two largest units: ``31 s``, ``2 min 05 s``, ``3 h 20 min``."""
    seconds = round(span.total_seconds() if isinstance(span, timedelta) else span)
    if seconds < _MINUTE:
        return f"{seconds} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min {seconds % _MINUTE:02} s"
    if seconds < _DAY:
        return f"{seconds // _HOUR} h {seconds % _HOUR // _MINUTE:02} min"
    return f"{seconds // _DAY} d {seconds % _DAY // _HOUR} h"


def calendar_length(seconds: float) -> str:
    """Time that is to be collected, in days or hours: ``31 d``, ``12 h``; ``0`` for none."""
    if seconds <= 0:
        return "0"
    if seconds < _DAY:
        return f"{seconds / _HOUR:.0f} h"
    return f"{seconds / _DAY:,.0f} d"


def moment_words(moment: datetime) -> str:
    """``2026-03-01 06:30 UTC``, in the time zone of the jobs, whose name is added."""
    return f"{moment.astimezone(default_zone()):%Y-%m-%d %H:%M %Z}"


def windows_words(windows: Iterable[Window], zone: ZoneInfo, limit: int = 2) -> str:
    """The first windows in words, and how many more there are; ``nothing`` where there are none."""
    named: list[str] = []
    more = 0
    for window in windows:
        if len(named) < limit:
            named.append(window_text(window, zone))
        else:
            more += 1
    text = ", ".join(named) or "nothing"
    return f"{text} and {more:,} more" if more else text


def numbers_words(ids: Sequence[int], number: int | None = None) -> str:
    """The first five numbers, and how many more there are: ``81, 82, 83, 84, 85 and 13 more``.

    Args:
        ids: the numbers; the first of them suffice.
        number: how many there are in all; None: `ids` are all.
    """
    named = ids[:5]
    more = (len(ids) if number is None else number) - len(named)
    text = ", ".join(map(str, named))
    return f"{text} and {more:,} more" if more > 0 else text


def later_words(later: Later, now: datetime, zone: ZoneInfo) -> str:
    """What is still settling, and when it can be collected, in the job's local time.

    ``yesterday (2026-03-01) is not ready yet; it can be collected after 01:00``.
    """
    window = later.window
    first = window.start.astimezone(zone).date()
    last = (window.end - timedelta(seconds=1)).astimezone(zone).date()
    name = later.label
    if not name.startswith("from "):
        name += f" ({first})" if first == last else f" ({window_text(window, zone)})"
    at = later.available_at.astimezone(zone)
    is_today = at.date() == now.astimezone(zone).date()
    when = f"{at:%H:%M}" if is_today else f"{at:%Y-%m-%d %H:%M}"
    return f"{name} is not ready yet; it can be collected after {when}"


# --- columns --------------------------------------------------------------------------------------


def drift_lines(drifts: Iterable[ColumnDrift]) -> Iterator[str]:
    """What has changed in the columns of files: series with the same changes share a line."""
    alike: dict[tuple[object, ...], list[ColumnDrift]] = defaultdict(list)
    for drift in drifts:
        types = ((name, old, new) for name, (old, new, _) in drift.retyped.items())
        alike[(*drift.appeared, None, *drift.vanished, None, *types)].append(drift)
    for first, *others in alike.values():
        series = f"{first.series}{f' and {len(others):,} more series' if others else ''}"
        zone = zone_of(first.series)
        appeared = {name: f"since {moment_text(at, zone)}" for name, at in first.appeared.items()}
        vanished = {name: f"since {moment_text(at, zone)}" for name, at in first.vanished.items()}
        retyped = {
            name: f"{new}, not {old}, since {moment_text(at, zone)}"
            for name, (old, new, at) in first.retyped.items()
        }
        facts = [
            *_named("new in the files", appeared),
            *_named("missing", vanished),
            *_named("of another type", retyped),
        ]
        yield f"columns of {series}: {'; '.join(facts)}"


def _named(what: str, columns: Mapping[str, str]) -> Iterator[str]:
    """The first few columns, each with what is said of it."""
    if columns:
        named = [f"{short(name, 60)} ({fact})" for name, fact in islice(columns.items(), _NAMED)]
        least = "at least " if is_full(columns) else ""
        more = f" and {least}{len(columns) - _NAMED:,} more" if len(columns) > _NAMED else ""
        yield f"{what}: {', '.join(named)}{more}"


# --- reports --------------------------------------------------------------------------------------


class Fate(Enum):
    """What follows for the window of a report that brought no file."""

    GIVEN_UP = "given up"  # No run asks for it until a person says so
    WAIVED = "waived"  # The user skips it
    AGAIN = "again"  # It has been asked for again
    OWED = "owed"  # The next run asks for it, if a job still wants it


@dataclass(frozen=True, slots=True)
class Explanation:
    """The state of a report, in words."""

    what: str  # what happened, with the API's own words where there are any. Stands in JSON
    # what follows by itself, or what the user can do; empty if nothing. Stands in JSON
    then: str = ""

    def __str__(self) -> str:
        return f"{self.what}; {self.then}" if self.then else self.what


_CAME_TO_NOTHING: Final = {
    State.ABSENT: "was not created",
    State.DISCARDED: "discarded",
    State.TRUNCATED: "the API cut its file short, so records are missing",
    State.FAILED: "failed at the API",
    State.ABORTED: "aborted at the API, not by us",
    State.CANCELLED: "cancelled",
    State.EXPIRED: "the API deleted its file before it was downloaded",
    State.LOST: "the API no longer knows it",
}
"""What happened to a report that brought no file, and whose window may be asked for again."""


def explain(  # noqa: C901, PLR0911 - one arm a state
    report: Report, fate: Fate, now: datetime, attempts: int = 0, kept: str = ""
) -> Explanation:
    """Explains why a report is in its state, and what to do about it.

    Args:
        fate: of its window; used only where the report brought no file.
        attempts: number of failed reports over its window that count.
        kept: path of the quarantined file of a disputed report; empty if there is none.
    """
    reason = f": {report.reason}" if report.reason else ""
    run = typed("run", JOB)
    match report.state:
        case State.SUBMITTING:
            return Explanation(
                f"asked for, but we do not know yet whether the API accepted it{reason}",
                f"{run} looks for it at the API before anything is bought again",
            )
        case State.SUBMITTED:
            return Explanation(
                f"not finished at the API, as {report.request_id}{reason}",
                f"{run} goes on waiting for it",
            )
        case State.READY:
            return _ready(report, now)
        case State.VERIFIED:
            return Explanation(
                "its file is downloaded and checked, but not yet under its final name",
                f"{run} finishes it",
            )
        case State.COLLECTED:
            return Explanation(
                f"collected: {counted(report.rows or 0, 'record')} in {report.target}"
            )
        case State.SUPERSEDED:
            return Explanation(f"a newer edition of the same window was collected{reason}")
        case State.ERASED:
            if report.target is not None:
                return Explanation(
                    f"erased on purpose, and its file {report.target} is not removed yet{reason}",
                    f"{run} removes it, and so does {typed('erase', JOB, '--before', 'DATE')}",
                )
            return Explanation(
                f"erased on purpose: its file held {counted(report.rows or 0, 'record')}{reason}",
                f"no run buys it again; {_resolve(report, '--resubmit')} does, and pays again",
            )
        case State.HELD:
            return Explanation(
                f"we asked for it and could not find out whether the API accepted it{reason}",
                f"{run} looks for it again, for {HOLD_FOR // timedelta(hours=1)} hours; or decide: "
                f"{_resolve(report, '--adopt', 'REQUEST_ID')} (free) if you find it at the API, "
                f"{_resolve(report, '--waive')} skips its period, "
                f"{_resolve(report, '--resubmit')} buys it again, and may pay twice",
            )
        case State.DISPUTED:
            came = (
                f"look at {kept}; {_resolve(report, '--accept-file')} takes it as it is; "
                if kept
                else "no file of it is kept; "
            )
            return Explanation(
                f"what came back is not what was asked for{reason}",
                f"it waits for you: {came}{refetch_or_pay(report.id)}, and pays again",
            )
        case State.WAIVED:
            return Explanation(
                f"skipped{reason}", f"{_resolve(report, '--resubmit')} buys it after all"
            )
        case (
            State.ABSENT | State.DISCARDED | State.TRUNCATED | State.FAILED | State.ABORTED
            | State.CANCELLED | State.EXPIRED | State.LOST
        ):  # fmt: skip
            return Explanation(
                f"{_CAME_TO_NOTHING[report.state]}{reason}", _after(report, fate, attempts)
            )
    assert_never(report.state)


def _resolve(report: Report, *options: str) -> str:
    return typed("resolve", report.id, *options)


def _ready(report: Report, now: datetime) -> Explanation:
    file, run, expires = "its file", typed("run", JOB), report.expires_at
    if report.items_count is not None:
        file += f" ({counted(report.items_count, 'record')})"
    if expires is None:
        return Explanation(f"finished: {file} waits at the API", f"{run} downloads it")
    waits, then = "waits", "downloads it; run it before then"
    if expires <= now:
        waits, then = "waited", "tries to download it all the same"
    return Explanation(
        f"finished: {file} {waits} at the API until {moment_words(expires)}", f"{run} {then}"
    )


def _after(report: Report, fate: Fate, attempts: int) -> str:
    match fate:
        case Fate.GIVEN_UP:
            free = ""
            if report.state in (State.EXPIRED, State.LOST):
                free = f"{_resolve(report, '--refetch')} looks at it again (free), "
            elif report.state is State.ABSENT:
                adopt = _resolve(report, "--adopt", "REQUEST_ID")
                free = f"{adopt} (free) if you find it at the API, "
            return (
                f"given up: {free}{_resolve(report, '--waive')} skips its period, "
                f"{_resolve(report, '--resubmit')} buys it again; "
                f"{typed('run', JOB, '--retry-failed')} asks again for all that was given up"
            )
        case Fate.WAIVED:
            return (
                f"skipped, as you decided; {_resolve(report, '--resubmit')} asks for it after all"
            )
        case Fate.AGAIN:
            return "its window has been asked for again"
        case Fate.OWED:
            tried = f" ({attempts} of at most {MAX_FAILED} attempts failed)" if attempts else ""
            return f"{typed('run', JOB)} asks for its window again if a job still wants it{tried}"
    assert_never(fate)
