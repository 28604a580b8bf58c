"""Reads values from the text of a file, strictly: flags, numbers, durations, names, addresses.

Each function takes what stands in the YAML tree and either returns the value or raises
`InvalidValue`.
"""

import re
import shlex
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final
from urllib.parse import urlsplit

from orchestrator.config.messages import shown, suggestion
from orchestrator.core.hosts import is_on_this_machine
from orchestrator.core.model import Span, Unit
from orchestrator.core.vonage import MAX_REPORT_MONTHS


class InvalidValue(ValueError):
    """A value that is not what belongs there: what is wrong, and what to write."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


def mismatch(word: str, kind: str, remedy: str) -> InvalidValue:
    """Says that a text is not of its kind: ``many is not a number of records``."""
    return InvalidValue(f"{shown(word)} is not {kind}", remedy)


def text(value: object) -> str:
    """Any text that is not empty, without control characters and at most 1,000 characters."""
    match value:
        case None | "":
            raise InvalidValue("is empty", "give it a value, or remove the key")
        case str() if not value.isprintable():
            raise InvalidValue(f"{shown(value)} holds {_unprintable(value)}", "type the value anew")
        case str() if len(value) > 1000:
            raise InvalidValue(f"{shown(value)} is longer than 1000 characters", "shorten it")
        case str():
            return value
        case list():
            raise InvalidValue("is a list", "write a single value")
        case _:
            raise InvalidValue("is a mapping of keys", "write a single value")


def _unprintable(word: str) -> str:
    """What a person cannot see in a text: often it came along with a copy from a web page."""
    letter = next(letter for letter in word if not letter.isprintable())
    if letter in "\r\n\t":
        return "a line break or a tab"
    name = unicodedata.name(letter, "a control character").lower()
    return f"{name} (U+{ord(letter):04X}), which cannot be seen"


_PLACEHOLDER: Final = re.compile(
    r"\{\{.*\}\}|\{%.*%\}|<[A-Za-z][\w .-]*>|\$\{.*\}|\$\(.*\)|\$[A-Za-z_]\w*|%[A-Za-z_]\w*%"
)
"""What template languages and shells put a value in the place of."""


def own_text(value: object) -> str:
    """As `text`, but a placeholder that nothing has filled in is refused."""
    word = text(value)
    if _PLACEHOLDER.fullmatch(word.strip()):
        raise InvalidValue(
            f"{shown(word)} is a placeholder that nothing has filled in",
            "write the value itself; only credentials may be variables",
        )
    return word


def holds_placeholder(word: str) -> bool:
    """Whether a part of a text is one that a template language or a shell would fill in."""
    return _PLACEHOLDER.search(word) is not None


_UNFILLED_SECRET: Final = re.compile(r"\{\{.*\}\}|\{%.*%\}|\$\(.*\)|\$[A-Z_][A-Z0-9_]*")
"""Narrower than `_PLACEHOLDER`, as a secret may hold any sign; a real one has small letters."""


def is_unfilled(secret: str) -> bool:
    """Whether what stands for a secret is surely a placeholder, and not the secret itself."""
    return _UNFILLED_SECRET.fullmatch(secret) is not None


def command_line(value: object) -> tuple[str, ...]:
    """A command and its arguments, quoted as for a shell; none is run, so no ``|`` and no ``>``."""
    word = text(value)
    try:
        parts = shlex.split(word)
    except ValueError:
        raise InvalidValue("has a quote without its end", "close it") from None
    if not parts:
        raise InvalidValue("is empty", "write a command, or remove the key")
    for part in parts:
        if part in ("|", "||", "&", "&&", ";", ">", ">>", "<"):
            what = f"needs a shell for {part}, and none runs it"
            raise InvalidValue(what, "put it into a script, and name that")
    return tuple(parts)


def flag(value: object) -> bool:
    """``true`` or ``false``, in any case."""
    word = text(value).lower()
    if word in ("true", "false"):
        return word == "true"
    guess = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}
    raise InvalidValue(
        f"{shown(word)} is neither true nor false",
        f"write {guess[word]}" if word in guess else "write true or false",
    )


def whole_number(value: object, least: int, most: int) -> int:
    """A whole number within bounds, both included."""
    word = text(value)
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", word):
        raise mismatch(word, "a whole number", f"write one from {least} to {most}")
    number = int(word)
    if not least <= number <= most:
        what = f"{number} is out of bounds"
        raise InvalidValue(what, f"write a whole number from {least} to {most}")
    return number


def positive_number(value: object, most: float) -> float:
    """A number above 0, with or without a decimal point."""
    word = text(value)
    if not re.fullmatch(r"[+-]?([0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9})", word):
        raise mismatch(word, "a number", f"write one above 0, at most {most:g}")
    number = float(word)
    if not 0 < number <= most:
        raise InvalidValue(f"{word} is out of bounds", f"write a number above 0, at most {most:g}")
    return number


_SIZE_UNITS: Final = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE_FORMS: Final = "200 MB, 1.5 GB or 0 B"
_MAX_SIZE_BYTES: Final = 10**15


def size(value: object) -> int:
    """A number of bytes: ``200 MB``, ``1.5 GB``; the units are powers of 1,000."""
    word = text(value).strip()
    parts = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) *([kKMGT]?B)", word)
    if parts is None:
        raise mismatch(word, "a size", f"write it as {_SIZE_FORMS}")
    size_bytes = int(Decimal(parts[1]) * _SIZE_UNITS[parts[2].upper()])
    if size_bytes > _MAX_SIZE_BYTES:
        raise InvalidValue(f"{shown(word)} is out of bounds", "write at most 1000 TB")
    return size_bytes


# --- time -----------------------------------------------------------------------------------------

_DURATION_UNITS: Final = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_DURATION_FORMS: Final = "500ms, 5s, 10m, 6h or 2d"


def duration(value: object, least: timedelta, most: timedelta) -> timedelta:
    """``500ms 5s 10m 6h 2d`` within bounds, both included."""
    word = text(value)
    found = re.fullmatch(r"([0-9]{1,9})(ms|s|m|h|d)", word)
    if not found:
        if re.fullmatch(r"[0-9]{1,9}", word):
            raise InvalidValue(f"{word} has no unit", f"write {word}s if seconds are meant")
        loose = re.fullmatch(r"([0-9]{1,9}) *(ms|[smhd])[a-z]*", word.lower())
        remedy = f"write {loose[1]}{loose[2]}" if loose else f"write it as {_DURATION_FORMS}"
        raise mismatch(word, "a duration", remedy)
    length = int(found[1]) * _DURATION_UNITS[found[2]]
    if not least <= length <= most:
        bounds = f"from {spelled_duration(least)} to {spelled_duration(most)}"
        raise InvalidValue(f"{word} is out of bounds", f"write a duration {bounds}")
    return length


def spelled_duration(length: timedelta) -> str:
    """The shortest form that `duration` reads: whole milliseconds, zero or more."""
    for unit in ("d", "h", "m", "s"):
        if length and not length % _DURATION_UNITS[unit]:
            return f"{length // _DURATION_UNITS[unit]}{unit}"
    return f"{length // _DURATION_UNITS['ms']}ms" if length else "0s"


def span(value: object, forms: str = "1 month, 2 weeks, 1 day or 12 hours") -> Span:
    """A number of calendar units: ``1 month``, ``2 weeks``; the number from 1.

    `forms` shows a reader how it is written.
    """
    word = text(value)
    found = re.fullmatch(r"([0-9]{1,6}) *([A-Za-z]+)", word.strip())
    if not found:
        if re.fullmatch(r"[1-9][0-9]{0,5}", word):
            raise InvalidValue(f"{word} has no unit", f"write {word} days if days are meant")
        raise mismatch(word, "a number of calendar units", f"write it as {forms}")
    count, unit = int(found[1]), found[2]
    singular = unit.removesuffix("s")
    if singular in ("year", "y"):
        raise InvalidValue(f"{word} is not in a unit known here", f"write {count * 12} months")
    units = {unit.value[:-1]: unit for unit in Unit}
    short = {"h": "hours", "d": "days", "w": "weeks"}
    if singular not in units:
        if unit in short:
            raise InvalidValue(
                f"{word} is a short form of a duration", f"write {count} {short[unit]}"
            )
        known = [name for unit in units for name in (unit, f"{unit}s")]
        remedy = suggestion(unit, known, f"write it as {forms}")
        raise mismatch(unit, "a calendar unit", remedy)
    if count == 0:
        raise InvalidValue(f"{word} is no time at all", f"write 1 {singular} or more")
    return Span(count, units[singular])


def _at_most(size: Span, ceilings: dict[Unit, int], what: str) -> Span:
    """The size, where it is within the ceiling of its unit; of one that is not it says `what`."""
    ceiling = ceilings[size.unit]
    if size.count > ceiling:
        raise InvalidValue(f"{size} is {what}", f"write {Span(ceiling, size.unit)} or less")
    return size


_CHUNK_CEILINGS: Final = {Unit.DAYS: 395, Unit.WEEKS: 56, Unit.MONTHS: MAX_REPORT_MONTHS}
"""13 calendar months hold at least 393 days; what is a little more is cut at the ceiling."""


def chunk_span(value: object) -> Span:
    """The size of a chunk: at most `vonage.MAX_REPORT_MONTHS`; hours divide 24."""
    size = span(value)
    if size.unit is Unit.HOURS:
        if size.count > 24 or 24 % size.count:
            below = max((n for n in range(1, 25) if 24 % n == 0 and n < size.count), default=1)
            days, rest = divmod(size.count, 24)
            fitting = Span(below, Unit.HOURS) if rest or not days else Span(days, Unit.DAYS)
            raise InvalidValue(f"{size} do not divide a day evenly", f"write {fitting}")
        return size
    what = f"more than one report may cover ({MAX_REPORT_MONTHS} months)"
    return _at_most(size, _CHUNK_CEILINGS, what)


_LAST_CEILINGS: Final = {Unit.DAYS: 3660, Unit.WEEKS: 522, Unit.MONTHS: 120}


def last_span(value: object) -> Span:
    """The size of a ``last`` window: whole days, weeks or months, at most ten years."""
    size = span(value, "7 days, 2 weeks or 3 months")
    if size.unit is Unit.HOURS:
        days = Span(-(-size.count // 24), Unit.DAYS)
        raise InvalidValue(f"{size} is not a number of whole days", f"write {days}")
    return _at_most(size, _LAST_CEILINGS, "more than ten years")


# --- names and addresses --------------------------------------------------------------------------


def name(value: object) -> str:
    """Letters, digits, dot, underscore and hyphen, beginning with a letter or digit."""
    word = own_text(value)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", word):
        fitting = re.sub(r"[^A-Za-z0-9._-]+", "-", word)[:100].strip("._-")
        raise mismatch(
            word,
            "a name (letters, digits, and . _ - between them)",
            f"write {fitting}" if fitting else "write one such as nightly",
        )
    return word


def credentials_name(value: object) -> str:
    """As `name`; what the file says is not repeated: a secret may stand in its place."""
    try:
        return name(value)
    except InvalidValue:
        what = "is not a name (letters, digits, and . _ - between them; nothing invisible)"
        raise InvalidValue(what, "write one such as default") from None


def account_id(value: object) -> str:
    """Eight letters or digits (vendor's reference), so it is never a path either."""
    word = own_text(value)
    if not re.fullmatch(r"[A-Za-z0-9]{8}", word):
        length = f"{len(word)} characters" if len(word) != 8 else "other characters"
        raise InvalidValue(
            f"{shown(word)} is not an account id (8 letters or digits; this has {length})",
            "copy it from the dashboard of the account",
        )
    return word


def web_address(value: object) -> str:
    """An ``http`` or ``https`` address with a host, and no credentials in it."""
    word = text(value)
    # What holds an @ may hold a password, however malformed it is; it is never shown.
    problem = f"{'this' if '@' in word else shown(word)} is not a web address"
    try:
        parts = urlsplit(word)
        host, _ = parts.hostname, parts.port
        with_user = "@" in parts.netloc
    except ValueError:
        raise InvalidValue(problem, "write one such as https://example.com/hook") from None
    if with_user:
        raise InvalidValue(
            "the address holds a user name or password", "remove what stands before the @"
        )
    if parts.scheme not in ("http", "https") or not host or re.search(r"[\s\\]", word):
        raise InvalidValue(problem, "write one such as https://example.com/hook")
    return word


def public_url(value: object) -> str:
    """An address that others can be sent to below: no query, no fragment, no slash at its end."""
    word = web_address(value)
    if "?" in word or "#" in word:
        raise InvalidValue(
            "the address holds a query or a fragment", "remove it from the ? or # on"
        )
    return word.rstrip("/")


def base_url(value: object) -> str:
    """An address without query and fragment, ``https`` unless on this machine; no slash at its end.

    Credentials go over this address, so plain ``http`` is only for a simulator beside us.
    """
    word = public_url(value)
    parts = urlsplit(word)
    if parts.scheme != "https" and not is_on_this_machine(word):
        remedy = f"write https{word.removeprefix('http')}"
        raise InvalidValue(f"{shown(word)} would send the credentials unencrypted", shown(remedy))
    return word


def listen_address(value: object) -> str:
    """``HOST:PORT``; an IPv6 host in brackets."""
    word = text(value)
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})", word)
    if not found or int(found[2]) > 65535:
        raise mismatch(word, "HOST:PORT", "write one such as 127.0.0.1:8080")
    return word


def variable(word: str) -> str | None:
    """The name in ``${NAME}``; None if the text is anything else."""
    found = re.fullmatch(r"\$\{([A-Za-z_][A-Za-z0-9_]{0,199})\}", word)
    return found[1] if found else None


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """The address of an object store, which stands where a path may."""

    text: str


_STORE_URL: Final = re.compile(
    r"(?:s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9._=+-]+)*/?"
)
_DOTS: Final = re.compile(r"/\.{1,2}(?:/|$)")


def store_url(word: str) -> StoreUrl:
    """The address of a bucket or container, and of a prefix in it."""
    if not _STORE_URL.fullmatch(word) or _DOTS.search(word):
        raise InvalidValue(
            # Not repeated: it may hold a password.
            "is no address of an object store",
            "write s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX, or a path",
        )
    return StoreUrl(word.rstrip("/"))
