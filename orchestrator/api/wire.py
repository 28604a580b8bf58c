"""Turns our values into the JSON of requests, and the JSON of answers into our values. Pure.

The vendor's reference pages of 2020 to 2026 and its definition of 2021 disagree on names and places
of fields; all of them are read.
"""

import re
from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, ParamSpec, TypeVar

from orchestrator.api.bounded_json import WireError, first_object, kind_of, parse_object
from orchestrator.core import products
from orchestrator.core.intervals import Window
from orchestrator.core.model import FieldValue, RemoteReport, ReportList, Series
from orchestrator.core.vonage import Status
from orchestrator.texts import printable, utc_text

P = ParamSpec("P")
T = TypeVar("T")

ECHOED_FIELDS: Final = frozenset(
    {"account_id", "product", "direction"}
    | products.BOOLEAN_FIELDS
    | products.COMMON_FIELDS
    | {field for product in products.PRODUCTS.values() for field in product.fields}
)
"""Fields of an answer that can repeat the request; other fields are not read as such."""

_WRAPPERS: Final = ("report", "request", "request_params", "data")
"""Members in which an answer may wrap its report object."""

_MAX_ID: Final = 256  # characters
_MAX_STATUS_WORD: Final = 64  # characters
_MAX_URL: Final = 8192  # characters
_FIRST_DATE: Final = datetime(1900, 1, 1, tzinfo=UTC)
_LAST_DATE: Final = datetime(2200, 1, 1, tzinfo=UTC)
_DATE: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,18}))?)? ?"
    r"(Z|z|[+-]\d{2}(?::?\d{2})?)",
    re.ASCII,
)
_HOURS_ONLY: Final = len("+00")
_COUNT: Final = re.compile(r"(\d{1,15}|\d{1,3}(?:,\d{3}){1,4})(?:\.0{1,9})?", re.ASCII)
"""A whole number, as programs write it for people too: ``1,234``, ``8.0``."""
_TRUTHS: Final = frozenset({"true", "false"})
_STATUSES: Final = {status.value: status for status in Status}


# --- what is sent ---------------------------------------------------------------------------------


def create_body(series: Series, window: Window, callback_url: str | None) -> dict[str, FieldValue]:
    """The body of ``POST /v2/reports``: every field spelled out, none left to the API's defaults.

    ``date_start`` is inclusive and ``date_end`` exclusive, as our windows are.
    """
    body = {
        **series.body,
        "date_start": utc_text(window.start),
        "date_end": utc_text(window.end),
    }
    if callback_url is not None:
        body["callback_url"] = callback_url
    return body


# --- what comes back ------------------------------------------------------------------------------


def read_report(answer: object) -> RemoteReport:
    """A report object as a `RemoteReport`.

    Only the id must be readable; any other field that cannot be read is absent, and listed in
    `RemoteReport.unreadable`.

    Raises:
        WireError: there is no request_id.
    """
    if not isinstance(answer, dict):
        raise WireError(f"JSON, but {kind_of(answer)} where an object belongs")
    request_id = _read_id(answer)
    reader = _Reader()
    nested = reader.read("request_params", _object, answer, "request_params")
    word, is_word_in_status = reader.read("request_status", _status_word, answer) or (
        "",
        False,
    )
    request = answer
    if nested is not None or is_word_in_status:
        request = {name: value for name, value in answer.items() if name != "status"}
        request.update((name, value) for name, value in (nested or {}).items() if value is not None)
    return RemoteReport(
        request_id=request_id,
        status=_status(word),
        status_word=word,
        echo=_read_echo(request, reader),
        date_start=reader.read("date_start", _read_date, request, "date_start"),
        date_end=reader.read("date_end", _read_date, request, "date_end"),
        received_at=reader.read("receive_time", _read_date, answer, "receive_time"),
        items_count=reader.read("items_count", _read_count, answer.get("items_count")),
        download_url=_read_download_url(answer, reader),
        callback_url=reader.read("callback_url", _read_text, request, "callback_url"),
        unreadable=reader.unreadable,
    )


def read_created(answer: Mapping[str, Any]) -> RemoteReport:
    """The report in the answer to a create, of which only the id must be readable.

    It was paid: an odd date or status beside its id must not make us forget it.

    Raises:
        WireError: there is no request_id at any of the places where one may stand.
    """
    return read_report(_created_in(answer))


def _created_in(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object that has the id: the answer itself, or one that it wraps."""
    if answer.get("request_id") is not None:
        return answer
    wrapped = [answer.get(name) for name in _WRAPPERS]
    reports = answer.get("reports")
    if isinstance(reports, list) and len(reports) == 1:
        wrapped += reports
    for inner in wrapped:
        if isinstance(inner, dict) and inner.get("request_id") is not None:
            return inner
    return answer


def parse_created(body: bytes) -> dict[str, Any]:
    """Parses the answer to a create, whatever follows its object or stands in its texts.

    Raises:
        WireError: there is no object, or the bytes that are not UTF-8 may be part of its id.
    """
    try:
        return parse_object(body)
    except WireError:
        answer = first_object(body)
        if answer is None or "\ufffd" in str(_created_in(answer).get("request_id")):
            raise
        return answer


class _Reader:
    """Reads fields, and remembers those that cannot be read."""

    def __init__(self) -> None:
        self.unreadable: dict[str, str] = {}

    def read(self, name: str, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """What `read` returns; None where it finds the field of this name unreadable."""
        try:
            return read(*args, **kwargs)
        except WireError as wrong:
            self.unreadable[name] = str(wrong)
            return None


def read_list(answer: Mapping[str, Any], only: Container[str] | None = None) -> ReportList:
    """The reports of a list answer; entries that cannot be read as a report are left out.

    Args:
        only: the ids that matter; the others' entries are not even read. None: every entry does.

    Raises:
        WireError: there is no list of reports.
    """
    entries = answer.get("reports")
    if not isinstance(entries, list):
        raise WireError("a JSON object without a list of reports")
    reports = []
    unread = 0
    for entry in entries:
        if only is not None and not _is_of(entry, only):
            continue
        try:
            reports.append(read_report(entry))
        except WireError:
            unread += 1
    said: int | None = None
    with suppress(WireError):
        said = _read_count(answer.get("items_count"))
    return ReportList(reports, said, unread)


def is_of_another(only: Container[str], fields: Mapping[str, Any]) -> bool:
    """Whether an object in a list answer is about a report whose id is not in `only`."""
    value = fields.get("request_id")
    return isinstance(value, str) and value.strip(" ") not in only and "reports" not in fields


def _is_of(entry: object, ids: Container[str]) -> bool:
    try:
        return isinstance(entry, dict) and _read_id(entry) in ids
    except WireError:
        return False


def _object(fields: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, dict):
        raise WireError(f"{name} is {kind_of(value)}")
    return value


def _read_id(answer: Mapping[str, Any]) -> str:
    value = answer.get("request_id")
    if value is None:
        raise WireError("a JSON object without request_id")
    if not isinstance(value, str) or not _is_plain_id(text := value.strip(" ")):
        raise WireError("a JSON object whose request_id cannot be one")
    return text


def _is_plain_id(text: str) -> bool:
    # Opaque, but it stands in URLs, logs and the names of files.
    return (
        0 < len(text) <= _MAX_ID
        and text.isprintable()
        and " " not in text  # the only space that counts as printable
        and text not in {".", ".."}
    )


def _status(word: str) -> Status | None:
    return _STATUSES.get(word.upper())


def _status_word(answer: Mapping[str, Any]) -> tuple[str, bool]:
    """The report's status as the API put it, and whether it came from the plain ``status``.

    The plain ``status`` is normally the message filter, echoed: ``failed`` is a filter of SMS,
    ``FAILED`` is a report's status. Where the echo is nested in ``request_params``, the plain one
    is the report's, in whatever case.
    """
    word = answer.get("request_status")
    if word is not None:
        if not isinstance(word, str):
            raise WireError(f"request_status is {kind_of(word)}")
        return printable(word.strip())[:_MAX_STATUS_WORD], False
    plain = answer.get("status")
    if isinstance(plain, str):
        is_nested = isinstance(answer.get("request_params"), dict)
        word = plain.strip().upper() if is_nested else plain
        if word in Status.__members__:
            return word, True
    return "", False


def _read_echo(request: Mapping[str, Any], reader: _Reader) -> dict[str, FieldValue]:
    echo: dict[str, FieldValue] = {}
    for name in sorted(ECHOED_FIELDS.intersection(request)):
        plain = request[name]
        if plain is None:
            continue
        if type(plain) is str and plain.isprintable() and name not in products.BOOLEAN_FIELDS:
            echo[name] = plain
            continue
        value = reader.read(name, _echoed, request, name)
        if value is not None:
            echo[name] = value
    if "product" in echo:
        echo["product"] = products.canonical_name(str(echo["product"]))
    return echo


def _echoed(request: Mapping[str, Any], name: str) -> FieldValue:
    value = request[name]
    if isinstance(value, list) and value and all(isinstance(item, str | int) for item in value):
        value = ",".join(map(str, value))  # as we write several values of a field
    if not isinstance(value, str | bool | int | float) or value != value:  # noqa: PLR0124 - NaN
        raise WireError(f"{name} is {kind_of(value)}")
    text = str(value).lower() if isinstance(value, bool) else printable(str(value))
    if name in products.BOOLEAN_FIELDS and (truth := text.lower()) in _TRUTHS:
        return truth == "true"
    return text


def _read_date(fields: Mapping[str, Any], name: str) -> datetime | None:
    value = fields.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise WireError(f"{name} is not a date with an offset")
    try:
        return _moment(value)
    except WireError as wrong:
        raise WireError(f"{name} {wrong}") from None


@lru_cache(maxsize=1024)
def _moment(text: str) -> datetime:
    """A date as a moment in UTC. Cached: each poll repeats the dates of the one before.

    A leap second, and midnight at the end of a day, are the moment after.

    Raises:
        WireError: there is no such moment, in words; such texts are not remembered.
    """
    match = _DATE.fullmatch(text.strip())
    if match is None:
        raise WireError("is not a date with an offset")
    day, hour, minute, second, fraction, offset = match.groups()
    offset = offset.upper()
    offset = f"{offset}:00" if len(offset) == _HOURS_ONLY else offset
    more = timedelta()
    if second == "60":
        second, fraction, more = "59", "0", timedelta(seconds=1)
    if (hour, minute, second) == ("24", "00", "00"):
        hour, more = "00", timedelta(days=1)
    try:
        local = datetime.fromisoformat(
            f"{day}T{hour}:{minute}:{second or '00'}.{(fraction or '0')[:6]:0<6}{offset}"
        )
        moment = local.astimezone(UTC) + more
    except (ValueError, OverflowError):
        raise WireError("is no date of the calendar") from None
    if not _FIRST_DATE <= moment < _LAST_DATE:  # sums with it must stay dates
        raise WireError(f"is in the year {moment.year}")
    return moment


def _read_count(value: object) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise WireError(f"items_count is {kind_of(value)} that is no count")
    match = _COUNT.fullmatch(str(value).strip())
    if match is None:
        raise WireError("items_count is no count")
    return int(match[1].replace(",", ""))


def _read_text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise WireError(f"{name} is {kind_of(value)}")
    text = (value or "").strip()
    if len(text) > _MAX_URL or not text.isprintable():
        raise WireError(f"{name} is no address")
    return text or None


def _read_download_url(answer: Mapping[str, Any], reader: _Reader) -> str | None:
    plain = reader.read("download_url", _read_text, answer, "download_url")
    if plain is not None:
        return plain
    links = reader.read("_links", _object, answer, "_links") or {}
    link = links.get("download_report")
    if isinstance(link, str):
        return reader.read("download_report", _read_text, links, "download_report")
    link = reader.read("download_report", _object, links, "download_report") or {}
    return reader.read("href", _read_text, link, "href")
