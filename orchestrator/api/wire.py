"""The wire format, pure: what is sent and what comes back, as JSON, in every dialect of the API.

Source of the dialects: the vendor's reference pages of 2020 to 2026 and its 2021 definition,
which disagree on names and places of fields; all of them are read.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NoReturn
from unicodedata import category

from orchestrator.core import products
from orchestrator.core.model import Listing, RemoteReport, Status

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from orchestrator.core.intervals import Window
    from orchestrator.core.model import FieldValue, Series

ECHOED_FIELDS: Final = frozenset(
    {"account_id", "product", "direction"}
    | products.BOOLEAN_FIELDS
    | products.COMMON_FIELDS
    | {field for product in products.PRODUCTS.values() for field in product.fields}
)
"""The fields of an answer that can be an echo of the request; whatever else it has is not read."""

MOST_PARTS: Final = 1_500_000
"""Commas and brackets in an answer: more than the longest list of real reports has."""

_WRAPPERS: Final = ("report", "request", "request_params", "data")
"""Members in which an answer may wrap the report that it tells of."""

_LONGEST_ID: Final = 256
_LONGEST_WORD: Final = 64
_LONGEST_URL: Final = 8192
_FIRST_DATE: Final = datetime(1900, 1, 1, tzinfo=UTC)
_LAST_DATE: Final = datetime(2200, 1, 1, tzinfo=UTC)
_DATE: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:[.,](\d{1,9}))?(Z|z|[+-]\d{2}:?\d{2})", re.ASCII
)
_COUNT: Final = re.compile(r"\d{1,15}", re.ASCII)
_TRUTHS: Final = frozenset({"true", "false"})
_STATUSES: Final = {status.value: status for status in Status}


class WireError(ValueError):
    """An answer is not what the call promises; the text says what it is instead."""


class TooManyParts(WireError):
    """An answer has more than `MOST_PARTS` values."""


# --- what is sent ---------------------------------------------------------------------------------


def utc_text(moment: datetime) -> str:
    """A moment as the API takes it: UTC, whole seconds, ``Z``."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"


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


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object of an answer.

    Raises:
        WireError: it is not JSON as the standard has it (NaN is not), no object, one that names a
            key twice, or one of more than `MOST_PARTS` values: two bytes of JSON may become a
            hundred in memory.
    """
    # Counts those inside texts too, which is why the bound is a generous one.
    if sum(map(body.count, (b",", b"[", b"{"))) > MOST_PARTS:
        raise TooManyParts(f"JSON of more than {MOST_PARTS:,} values")
    try:
        answer = json.loads(
            body.decode("utf-8-sig"), parse_constant=_no_constant, object_pairs_hook=_no_key_twice
        )
    except WireError:
        raise
    except RecursionError:
        raise WireError("JSON that is nested too deeply") from None
    except UnicodeDecodeError:
        raise WireError("bytes that are not UTF-8") from None
    except ValueError:
        raise WireError(_what_else(body)) from None
    if not isinstance(answer, dict):
        raise WireError(f"JSON, but {_kind(answer)} where an object belongs")
    return answer


def read_report(answer: object) -> RemoteReport:
    """A report object as a `RemoteReport`.

    Raises:
        WireError: there is no request_id, or a field that must be relied on has a wrong shape.
    """
    if not isinstance(answer, dict):
        raise WireError(f"JSON, but {_kind(answer)} where an object belongs")
    request_id = _request_id(answer)
    nested = answer.get("request_params")
    if nested is not None and not isinstance(nested, dict):
        raise WireError(f"a report whose request_params is {_kind(nested)}")
    word, is_word_in_status = _status_word(answer)
    request = answer
    if nested is not None or is_word_in_status:
        request = {name: value for name, value in answer.items() if name != "status"}
        request.update((name, value) for name, value in (nested or {}).items() if value is not None)
    return RemoteReport(
        request_id=request_id,
        status=_status(word),
        status_word=word,
        echo=_read_echo(request),
        date_start=_read_date(request, "date_start"),
        date_end=_read_date(request, "date_end"),
        received_at=_read_date(answer, "receive_time"),
        items_count=_read_count(answer.get("items_count")),
        download_url=_read_download_url(answer),
        callback_url=_read_text(request, "callback_url"),
    )


def read_created(answer: Mapping[str, Any]) -> RemoteReport:
    """The report in the answer to a create, of which only the id must be readable.

    It was paid: an odd date or status beside its id must not have it forgotten.

    Raises:
        WireError: there is no request_id at any of the places where one may stand.
    """
    told = _created_in(answer)
    request_id = _request_id(told)
    try:
        return read_report(told)
    except WireError:
        return RemoteReport(request_id, status=None, status_word="", echo={})


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


def _request_id(answer: Mapping[str, Any]) -> str:
    request_id = answer.get("request_id")
    if request_id is None:
        raise WireError("a JSON object without request_id")
    if not isinstance(request_id, str) or not _is_plain_id(request_id):
        raise WireError("a JSON object whose request_id cannot be one")
    return request_id


def read_list(answer: Mapping[str, Any], only: Container[str] | None = None) -> Listing:
    """The reports of a list answer; entries that cannot be read as a report are left out.

    Args:
        answer: the JSON object.
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
    return Listing(reports, said, unread)


def _is_of(entry: object, ids: Container[str]) -> bool:
    request_id = entry.get("request_id") if isinstance(entry, dict) else None
    return isinstance(request_id, str) and request_id in ids


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two values of one name nobody knows which is meant."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise WireError("JSON that names a key twice")
    return fields


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _what_else(body: bytes) -> str:
    start = body.lstrip()[:1]
    if not start:
        return "nothing"
    if start == b"<":
        return "a page of HTML or XML"
    return "JSON that is cut or broken" if start in b"{[" else "something that is not JSON"


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "an object"


def _is_plain_id(text: str) -> bool:
    # Opaque, but it stands in URLs, logs and the names of files.
    return (
        0 < len(text) <= _LONGEST_ID
        and text.isprintable()
        and " " not in text  # the only space that counts as printable
        and text not in {".", ".."}
    )


def _shown(text: str) -> str:
    """The text with controls and halves of characters escaped: ledger, log and terminal take it.

    Nothing that we send has any, so that what is compared with it differs all the same.
    """
    if text.isprintable():
        return text
    return "".join(
        _escaped(letter) if category(letter) in {"Cc", "Cs"} else letter for letter in text
    )


def _printable(text: str) -> str:
    """The text with all escaped that no terminal shows; it is compared with nothing of ours."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    return f"\\u{ord(letter):04x}"


def _status(word: str) -> Status | None:
    return _STATUSES.get(word.upper())


def _status_word(answer: Mapping[str, Any]) -> tuple[str, bool]:
    """The report's status as the API put it, and whether it came from the plain ``status``.

    The plain ``status`` is normally the message filter, echoed: ``failed`` is a filter of SMS,
    ``FAILED`` is a report's status.
    """
    word = answer.get("request_status")
    if word is not None:
        if not isinstance(word, str):
            raise WireError(f"a report whose request_status is {_kind(word)}")
        return _printable(word.strip())[:_LONGEST_WORD], False
    plain = answer.get("status")
    if isinstance(plain, str) and plain in Status.__members__:
        return plain, True
    return "", False


def _read_echo(request: Mapping[str, Any]) -> dict[str, FieldValue]:
    echo: dict[str, FieldValue] = {}
    for name in sorted(ECHOED_FIELDS.intersection(request)):
        value = request[name]
        if value is None:
            continue
        if isinstance(value, list | dict):
            raise WireError(f"a report whose {name} is {_kind(value)}")
        text = str(value).lower() if isinstance(value, bool) else _shown(str(value))
        if name in products.BOOLEAN_FIELDS and (truth := text.lower()) in _TRUTHS:
            echo[name] = truth == "true"
        else:
            echo[name] = text
    if "product" in echo:
        echo["product"] = products.canonical_name(str(echo["product"]))
    return echo


def _read_date(fields: Mapping[str, Any], name: str) -> datetime | None:
    value = fields.get(name)
    if value is None or value == "":
        return None
    try:
        return _moment(value)
    except (ValueError, TypeError) as wrong:
        words = str(wrong) if isinstance(wrong, WireError) else "is not a date with an offset"
        raise WireError(f"a report whose {name} {words}") from None


@lru_cache(maxsize=1024)
def _moment(text: str) -> datetime:
    """A date as a moment in UTC. Remembered: each look repeats the dates of the one before.

    Raises:
        WireError: there is no such moment, in words; such texts are not remembered.
    """
    match = _DATE.fullmatch(text)
    if match is None:
        raise WireError("is not a date with an offset")
    day, clock, fraction, offset = match.groups()
    try:
        local = datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6]:0<6}{offset.upper()}")
        moment = local.astimezone(UTC)
    except (ValueError, OverflowError):
        raise WireError("is no date of the calendar") from None
    if not _FIRST_DATE <= moment < _LAST_DATE:  # what is reckoned with it must stay a date
        raise WireError(f"is in the year {moment.year}")
    return moment


def _read_count(value: object) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise WireError(f"a report whose items_count is {_kind(value)} that is no count")
    if not _COUNT.fullmatch(text := str(value).strip()):
        raise WireError("a report whose items_count is no count")
    return int(text)


def _read_text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise WireError(f"a report whose {name} is {_kind(value)}")
    if value and (len(value) > _LONGEST_URL or not value.isprintable()):
        raise WireError(f"a report whose {name} is no address")
    return value or None


def _read_download_url(answer: Mapping[str, Any]) -> str | None:
    plain = _read_text(answer, "download_url")
    if plain is not None:
        return plain
    links = answer.get("_links")
    if links is None:
        return None
    if not isinstance(links, dict):
        raise WireError(f"a report whose _links is {_kind(links)}")
    link = links.get("download_report")
    if link is None:
        return None
    if not isinstance(link, dict):
        raise WireError(f"a report whose download_report is {_kind(link)}")
    return _read_text(link, "href")
