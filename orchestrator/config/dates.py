"""Reads dates and times of a job file, in the job's time zone, into moments in UTC."""

import difflib
import re
import zoneinfo
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final
from zoneinfo import ZoneInfo

from orchestrator.config.messages import nearest, shown
from orchestrator.config.parsers import InvalidValue, mismatch, own_text
from orchestrator.core.calendar import first_instant, month_start
from orchestrator.errors import InputError

FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2100

_DATE: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_DATE_TIME: Final = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ] ?"
    r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(:(?P<second>[0-9]{2})(?P<fraction>[.,][0-9]+)?)?"
    r" ?(?P<offset>[Zz]|[+-][0-9]{2}(:?[0-9]{2})?)?"
)
_NO_ZONE: Final = re.compile(r"(utc|gmt)?\s*[+-]?\s*[0-9]{1,2}(:?[0-9]{2})?|z", re.IGNORECASE)
"""Offsets, such as ``GMT+1`` and ``+02:00``."""

_ABBREVIATION: Final = re.compile(r"[A-Z]{2,5}")
"""What is written on clocks, such as ``BST``; many zones share one."""

_WINDOWS_ZONE: Final = re.compile(r".+ (standard|daylight|summer) time", re.IGNORECASE)
"""How Windows names zones, such as ``GMT Standard Time``."""

_IANA: Final = "write the IANA name of a place in it, such as Europe/London or America/New_York"
_FORMS: Final = "write it as 2025-01-31, 2025-01-31T10:00 or 2025-01-31T10:00:00Z"


def zone(value: object) -> ZoneInfo:
    """A time zone by its IANA name, such as ``Europe/London``."""
    word = own_text(value)
    # Some systems hold these names, for whatever zone the machine stands in.
    if word not in ("localtime", "posixrules") and len(word) < 64:
        try:
            return ZoneInfo(word)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            pass
    raise mismatch(word, "a time zone", _nearest_zone(word))


def _nearest_zone(word: str) -> str:
    """The name that was meant, where that is sure; else what such a name looks like."""
    if word.lower() in ("utc", "zulu", "z"):
        return "write UTC"
    if _NO_ZONE.fullmatch(word.strip()):
        return f"an offset is no time zone, since it knows no summer time; {_IANA}"
    if _ABBREVIATION.fullmatch(word) or _WINDOWS_ZONE.fullmatch(word):
        return _IANA
    known = sorted(zoneinfo.available_timezones() - {"localtime", "posixrules"})
    wanted = word.lower().replace(" ", "_")
    for candidate in known:
        if wanted in (candidate.lower(), candidate.rpartition("/")[2].lower()):
            return f"did you mean {candidate}?"
    if any(candidate.lower().startswith(f"{wanted}/") for candidate in known):
        return "write the whole name, such as Europe/London"
    places = [candidate for candidate in known if "/" in candidate and "Etc/" not in candidate]
    guess = nearest(wanted, places)
    if guess is None:
        cities = {candidate.rpartition("/")[2].lower(): candidate for candidate in places}
        close = difflib.get_close_matches(wanted, list(cities), n=1, cutoff=0.8)
        guess = cities[close[0]] if close else None
    return f"did you mean {guess}?" if guess else _IANA


def moment(value: object, zone: ZoneInfo, *, is_end: bool = False) -> datetime:
    """A moment in UTC, whole seconds.

    A bare date is the first instant of that day in the zone. A clock time without an offset is in
    the zone too, and must exist there exactly once. Years from 1970 to 2100.

    Args:
        is_end: it ends a window: what a mistake is answered with must not end it earlier.
    """
    word = own_text(value).strip()
    if _DATE.fullmatch(word):
        return first_instant(_day(word, word, is_end=is_end), zone)
    found = _DATE_TIME.fullmatch(word)
    if not found:
        raise mismatch(word, "a date", _guess(word, is_end=is_end))
    if found["fraction"]:
        whole = word.replace(found["fraction"], "", 1)
        remedy = f"write {shown(whole)}"
        if is_end:
            remedy = "write the next whole second: a window ends at the first moment not wanted"
        raise InvalidValue(f"{shown(word)} has a fraction of a second", remedy)
    clock = _clock(word, found, is_end=is_end)
    if found["offset"]:
        return clock.replace(tzinfo=_offset(word, found["offset"])).astimezone(UTC)
    return _local(clock, zone)


def typed_moment(written: str, zone: ZoneInfo, *, is_end: bool = False) -> datetime:
    """As `moment`, of what was typed as an option: it is no key, which could be left out.

    Raises:
        InvalidValue: it is no moment.
    """
    word = written.strip()
    if not word:
        raise InvalidValue("is empty", _FORMS)
    if word.lower() == "now":
        raise mismatch(word, "a date", f"write {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    return moment(word, zone, is_end=is_end)


def option_moment(option: str, written: str, zone: ZoneInfo, *, is_end: bool = False) -> datetime:
    """The moment that an option of a command names; see `moment`.

    Raises:
        InputError: it names none.
    """
    try:
        return typed_moment(written, zone, is_end=is_end)
    except InvalidValue as error:
        raise InputError(f"{option}: {error.what}; {error.remedy}") from error


def exclusive_end_hint(value: object) -> str | None:
    """What ``to`` should rather be, where it ends in the last second or minute of a day."""
    word = value.strip() if isinstance(value, str) else ""
    found = _DATE_TIME.fullmatch(word)
    if not found or (found["hour"], found["minute"]) != ("23", "59"):
        return None
    if found["second"] not in (None, "59"):
        return None
    following = date.fromisoformat(found["date"]) + timedelta(days=1)
    return f"{following}T00:00:00{found['offset']}" if found["offset"] else str(following)


def loses_last_day(value: object) -> str | None:
    """The day after a bare ``to`` that is the last day of a month, which is then left out."""
    word = value.strip() if isinstance(value, str) else ""
    if not _DATE.fullmatch(word):
        return None
    following = date.fromisoformat(word) + timedelta(days=1)
    return str(following) if following.day == 1 else None


def period_of(word: str) -> tuple[date, date] | None:
    """The ends of what ``2026``, ``2026-03`` or ``2026-03-01`` names; None for any other text."""
    if not re.fullmatch(r"[0-9]{4}(-[0-9]{2}){0,2}", word):
        return None
    try:
        first = date.fromisoformat(f"{word}-01-01"[:10])
        if len(word) == len("2026"):
            return first, first.replace(year=first.year + 1)
        days = 1 if len(word) > len("2026-03") else monthrange(first.year, first.month)[1]
        return first, first + timedelta(days=days)
    except (ValueError, OverflowError):
        return None


def _day(word: str, whole: str, *, is_end: bool) -> date:
    year, month, day = (int(part) for part in word.split("-"))
    if not 1 <= month <= 12:
        likely = f"{year:04}-{min(max(month, 1), 12):02}-{day:02}"
        if is_end and month > 12:
            likely = f"{year + 1:04}-01-01"
        raise InvalidValue(f"{whole} is not a date (month {month})", _write(whole, word, likely))
    days = monthrange(max(year, 1), month)[1]
    if not 1 <= day <= days:
        likely = f"{year:04}-{month:02}-{min(max(day, 1), days):02}"
        if is_end and day > days:
            likely = str(date(year, month, days) + timedelta(days=1))
        what = f"{whole} is not a date (day {day} of a month that has {days})"
        raise InvalidValue(what, _write(whole, word, likely))
    if not FIRST_YEAR <= year <= LAST_YEAR:
        what = f"{whole} is not in the years {FIRST_YEAR} to {LAST_YEAR}"
        raise InvalidValue(what, "check the year")
    return date(year, month, day)


def _write(whole: str, part: str, likely: str) -> str:
    try:
        date.fromisoformat(likely)
    except ValueError:
        return "check the date"
    return f"write {whole.replace(part, likely, 1)}"


def _clock(word: str, found: re.Match[str], *, is_end: bool) -> datetime:
    day = _day(found["date"], word, is_end=is_end)
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"] or 0)
    if (hour, minute, second) == (24, 0, 0):
        following = day + timedelta(days=1)
        remedy = f"write {following}T00:00:00{found['offset'] or ''}"
        raise InvalidValue(f"{word} is not a time of day (hour 24)", remedy)
    for name, number, below in (("hour", hour, 24), ("minute", minute, 60), ("second", second, 60)):
        if number >= below:
            what = f"{word} is not a time of day ({name} {number})"
            raise InvalidValue(what, f"{name}s go from 00 to {below - 1}")
    return datetime(day.year, day.month, day.day, hour, minute, second)  # noqa: DTZ001  the zone or offset is put to it by the caller


def _offset(word: str, offset: str) -> timezone:
    if offset in "Zz":
        return UTC
    digits = offset[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    if hours > 14 or minutes > 59:
        raise InvalidValue(
            f"{word} has no real offset ({offset})", "offsets go from -12:00 to +14:00"
        )
    length = timedelta(hours=hours, minutes=minutes)
    return timezone(-length if offset[0] == "-" else length)


def _local(clock: datetime, zone: ZoneInfo) -> datetime:
    early = clock.replace(tzinfo=zone, fold=0)
    late = clock.replace(tzinfo=zone, fold=1)
    first, second = early.astimezone(UTC), late.astimezone(UTC)
    if first == second:
        return first
    if first.astimezone(zone).replace(tzinfo=None, fold=0) == clock:
        what = f"{clock.isoformat()} occurs twice in {zone.key}, where the clock is turned back"
        raise InvalidValue(what, f"write {early.isoformat()} or {late.isoformat()}")
    what = f"{clock.isoformat()} does not exist in {zone.key}, where the clock is turned forward"
    if (clock.hour, clock.minute, clock.second) == (0, 0, 0):
        raise InvalidValue(
            what, f"write {clock.date()} for that day's first moment, or add an offset"
        )
    raise InvalidValue(what, f"add an offset: {early.isoformat()} or {late.isoformat()}")


def _guess(word: str, *, is_end: bool) -> str:
    """What was probably meant by something that is no date."""
    if re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", word):
        first = date.fromisoformat(f"{word}-01")
        if is_end:
            after = month_start(first, 1)
            return f"write {after} to include {word}, {first} to end before it"
        return f"write {first}"
    loose = re.fullmatch(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})", word)
    loose = loose or re.fullmatch(r"([0-9]{4})([0-9]{2})([0-9]{2})", word)
    if loose:
        likely = f"{loose[1]}-{int(loose[2]):02}-{int(loose[3]):02}"
        remedy = _write(word, word, likely)
        return remedy if remedy != "check the date" else _FORMS
    if re.fullmatch(r"[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{4}", word):
        return f"write year-month-day, such as {word[-4:]}-01-31"
    if word.lower() == "now":
        return "leave the key out: without it the window goes up to now"
    return _FORMS
