"""Declares the keys of the job file, what text each of them takes, and reads its windows."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from orchestrator.config import amounts, dates, parsers
from orchestrator.config.document import Findings, KeyPath
from orchestrator.config.messages import shown, suggestion
from orchestrator.config.sections import Slot, Slots, as_it_stands, entry, listed
from orchestrator.core.model import AbsoluteWindow, CalendarWord, LastWindow, Span, Unit, WindowSpec

MAX_SETTLE: Final = timedelta(days=30)
MIN_REFETCH: Final = timedelta(hours=1)
MAX_REFETCH: Final = timedelta(days=90)

_UTC: Final = ZoneInfo("UTC")
_MONTH: Final = Span(1, Unit.MONTHS)


def _duration(least: timedelta, most: timedelta) -> Callable[[object], timedelta]:
    return partial(parsers.duration, least=least, most=most)


@dataclass(frozen=True, slots=True)
class JobHead:
    """The top of a job file. Lists and `chunk` are read entry by entry, each on its own."""

    name: Annotated[str | None, parsers.name] = None
    credentials: Annotated[str, parsers.credentials_name] = "default"
    timezone: Annotated[ZoneInfo, dates.zone] = _UTC
    accounts: Annotated[list[Any], listed] = field(default_factory=list)
    products: Annotated[list[Any], listed] = field(default_factory=list)
    windows: Annotated[list[Any], listed] = field(default_factory=list)
    chunk: Annotated[object, as_it_stands] = None
    settle: Annotated[timedelta, _duration(timedelta(), MAX_SETTLE)] = timedelta(hours=1)
    refetch: Annotated[timedelta | None, _duration(MIN_REFETCH, MAX_REFETCH)] = None
    callback_url: Annotated[str | None, parsers.web_address] = None


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """``{id: abcd1234, …}``, or the id alone."""

    id: Annotated[str, parsers.account_id]
    credentials: Annotated[str | None, parsers.credentials_name] = None
    include_subaccounts: Annotated[bool | None, parsers.flag] = None


@dataclass(frozen=True, slots=True)
class ChunkEntry:
    """``{max: 1 month, target_rows: 5 million}``, or the span alone."""

    max: Annotated[Span, parsers.chunk_span] = _MONTH
    target_rows: Annotated[int | None, amounts.records] = None


def window_slots(zone: ZoneInfo) -> Slots:
    """The keys of a window: ``{from: …, to: …}`` or ``{last: …}``."""
    return {
        "from": Slot(partial(dates.moment, zone=zone), None),
        "to": Slot(partial(dates.moment, zone=zone, is_end=True), None),
        "last": Slot(parsers.last_span, None),
    }


_SPANS: Final = {"last 24h": "1 day", "last 24 hours": "1 day"}
"""What other tools name by a word, as the nearest window of whole days."""

_DATES: Final = {
    "year": "{from: 2025-01-01, to: 2026-01-01}",
    "quarter": "{from: 2025-01-01, to: 2025-04-01}",
}
"""Periods without a word here: `{last: 12 months}` would be other months than last year's."""


_WINDOW_FORMS: Final = "write {from: DATE, to: DATE}, {last: 7 days} or a word such as yesterday"


def calendar_word(value: object) -> CalendarWord:
    """One of the calendar words."""
    word = parsers.text(value)
    known = [word.value for word in CalendarWord]
    if word in known:
        return CalendarWord(word)
    what = f"{shown(word)} is not a calendar word"
    spaced = word.replace("_", " ").replace(":", " ").lower()
    if example := _DATES.get(spaced.rpartition(" ")[2]):
        raise parsers.InvalidValue(what, f"write its dates, such as {example}")
    if spaced in _SPANS:
        raise parsers.InvalidValue(what, f"write {{last: {_SPANS[spaced]}}}")
    if word[:2].isdigit():
        period = dates.period_of(word)
        remedy = f"write {{from: {period[0]}, to: {period[1]}}}" if period else _WINDOW_FORMS
        raise parsers.InvalidValue(f"{shown(word)} stands alone", remedy)
    if spaced.startswith("last ") and spaced[5:].strip()[:1].isdigit():
        raise parsers.InvalidValue(what, f"write {{last: {shown(spaced[5:].strip())}}}")
    raise parsers.InvalidValue(
        what, suggestion(word.replace(" ", "_"), known, f"write {', '.join(known)}")
    )


# --- windows --------------------------------------------------------------------------------------

_Ends = tuple[datetime, datetime | None]


def window(
    findings: Findings, path: KeyPath, value: object, zone: ZoneInfo, now: datetime | None
) -> WindowSpec | None:
    """One window in any of its forms; None if something in it is wrong.

    A window that begins after `now` gets a warning; None leaves that out.
    """
    if value is None or isinstance(value, str):
        return findings.read(path, calendar_word, value)
    read = entry(window_slots(zone), findings, path, value)
    if read is None:
        return None
    assert isinstance(value, dict)
    match read["from"], read["to"], read["last"]:
        case None, None, None:
            findings.mistake(path, "is empty", _WINDOW_FORMS)
        case None, None, Span() as last:
            return LastWindow(last)
        case _, _, Span():
            remedy = "make two windows of it, or keep one of the two"
            findings.mistake(path, "last stands together with from or to", remedy)
        case None, _, _:
            findings.mistake(path, "to stands without from", "add from")
        case datetime() as start, end, _ if _is_sound_window(
            findings, path, value, (start, end), zone
        ):
            if now is not None and start > now:
                what = f"{value['from']} lies in the future: there is nothing to collect yet"
                findings.warning((*path, "from"), what, "check the date")
            return AbsoluteWindow(start, end)
        case _:
            pass  # `_is_sound_window` has told what is wrong
    return None


def _is_sound_window(
    findings: Findings, path: KeyPath, written: dict[str, str], ends: _Ends, zone: ZoneInfo
) -> bool:
    """Whether `to` lies after `from`; tells of a `to` that was probably meant later."""
    start, end = ends
    where = (*path, "to")
    if end == start:
        what = f"{written['to']} is also where the window begins, so nothing lies in it"
        following = (start.astimezone(zone) + timedelta(days=1)).date()
        remedy = f"`to` is the first moment that is not wanted: for that day, write {following}"
        findings.mistake(where, what, remedy)
        return False
    if end is not None and end < start:
        what = f"{written['to']} lies before from: {written['from']}"
        findings.mistake(where, what, "exchange the two, or check the years")
        return False
    if better := dates.exclusive_end_hint(written.get("to")):
        lost = "second" if "23:59:59" in written["to"] else "minute"
        what = f"{written['to']} loses a {lost}, since `to` is the first moment not wanted"
        findings.warning(where, what, f"write {better}")
    elif next_day := dates.loses_last_day(written.get("to")):
        what = f"{written['to']} itself is not included, since `to` is exclusive"
        findings.warning(where, what, f"write {next_day} to include the last day of the month")
    return True
