"""Reads the entries under ``windows``."""

from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from orchestrator.config import dates
from orchestrator.config.document import Findings, KeyPath
from orchestrator.config.job_entries import WindowEntry, calendar_word
from orchestrator.config.sections import entry
from orchestrator.core.model import AbsoluteWindow, LastWindow, Span, WindowSpec

_Ends = tuple[datetime, datetime | None]

_FORMS: Final = "write {from: DATE, to: DATE}, {last: 7 days} or a word such as yesterday"


def window(
    findings: Findings, path: KeyPath, value: object, zone: ZoneInfo, now: datetime | None
) -> WindowSpec | None:
    """One window in any of its forms; None if something in it is wrong.

    A window that begins after `now` gets a warning; None leaves that out.
    """
    if value is None or isinstance(value, str):
        return findings.read(path, calendar_word, value)
    read = entry(WindowEntry, findings, path, value, zone=zone)
    if read is None:
        return None
    assert isinstance(value, dict)
    match read.start, read.end, read.last:
        case None, None, None:
            findings.mistake(path, "is empty", _FORMS)
        case None, None, Span() as last:
            return LastWindow(last)
        case _, _, Span():
            remedy = "make two windows of it, or keep one of the two"
            findings.mistake(path, "last stands together with from or to", remedy)
        case None, _, _:
            findings.mistake(path, "to stands without from", "add from")
        case datetime() as start, end, _ if _is_sound(findings, path, value, (start, end), zone):
            if now is not None and start > now:
                what = f"{value['from']} lies in the future: there is nothing to collect yet"
                findings.warning((*path, "from"), what, "check the date")
            return AbsoluteWindow(start, end)
        case _:
            pass  # _is_sound has told what is wrong
    return None


def _is_sound(
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
