"""What the manifest says, line by line: the entries, and their JSON forms. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from orchestrator.collect.layout import is_inside
from orchestrator.core.intervals import Window
from orchestrator.core.model import Series

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VERSION: Final = 1
"""Of the manifest's form; a reader refuses others."""

Made = TypeVar("Made")

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A collected file.

    Attributes:
        path: relative to the output directory, with forward slashes.
        api_key: the key that bought it; never the secret.
        job: the name of the job that bought it.
    """

    series: Series
    window: Window
    path: str
    rows: int
    size_bytes: int
    sha256: str
    request_id: str
    api_key: str
    job: str
    collected_at: datetime


@dataclass(frozen=True, slots=True)
class ResolvedEntry:
    """What the relative windows of a job have become for a series, over all its runs."""

    job: str
    series: Series
    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True)
class MarkEntry:
    """Where the latest resolution of a job's relative windows ended for a series."""

    job: str
    series: Series
    mark: datetime


Entry = FileEntry | ResolvedEntry | MarkEntry


class BadLine(ValueError):
    """A line that does not say what it must; `key` names the place in it."""

    def __init__(self, key: str, what: str) -> None:
        super().__init__(what)
        self.key = key


# --- writing --------------------------------------------------------------------------------------


def header_line(made_at: datetime, events: int, ledger: str) -> bytes:
    """The first line.

    Args:
        made_at: when the manifest was made.
        events: how many events the ledger had seen.
        ledger: tells one state of the ledger from another.
    """
    return _line(
        {
            "kind": "header",
            "version": VERSION,
            "made_at": _moment(made_at),
            "events": events,
            "ledger": ledger,
        }
    )


def end_line(lines: int, sha256: str) -> bytes:
    """The last line: the number of lines before it, the header included, and their SHA-256."""
    return _line({"kind": "end", "lines": lines, "sha256": sha256})


def entry_line(entry: Entry) -> bytes:
    """The line of an entry."""
    series = entry.series
    match entry:
        case FileEntry():
            # A manifest may have a million of these: what does not differ is written once.
            first, last = _around(series)
            text = (
                f'{first}{_dates(entry.window)},"path":{_text(entry.path)},"rows":{entry.rows:d},'
                f'"size_bytes":{entry.size_bytes:d},"sha256":{_text(entry.sha256)},'
                f'"request_id":{_text(entry.request_id)},"api_key":{_text(entry.api_key)},'
                f'"job":{_text(entry.job)},"collected_at":"{_moment(entry.collected_at)}",{last}'
            )
            return text.encode("utf-8", "surrogatepass")
        case ResolvedEntry():
            windows = [[_moment(span.start), _moment(span.end)] for span in entry.windows]
            return _line(
                {"kind": "resolved", "job": entry.job, "windows": windows, "body": series.body}
            )
        case MarkEntry():
            return _line(
                {
                    "kind": "mark",
                    "job": entry.job,
                    "mark": _moment(entry.mark),
                    "body": series.body,
                }
            )


_as_json: Final = json.JSONEncoder(
    separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode
_text: Final = json.encoder.encode_basestring


def _line(fields: Mapping[str, Any]) -> bytes:
    return _as_json(fields).encode("utf-8", "surrogatepass") + b"\n"


@lru_cache(maxsize=64)
def _around(series: Series) -> tuple[str, str]:
    """How the lines of a series' files begin and end."""
    fields = {
        "kind": "file",
        "account_id": series.account_id,
        "product": series.product,
        "direction": series.direction,
        "filter": series.filters,
    }
    body = _as_json({"body": series.body})
    return _as_json(fields).removesuffix("}") + ",", body.removeprefix("{") + "\n"


@lru_cache(maxsize=8192)
def _dates(window: Window) -> str:
    return f'"date_start":"{_moment(window.start)}","date_end":"{_moment(window.end)}"'


def _moment(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no offset")
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.isoformat()[: -len("+00:00")] + "Z"


# --- reading --------------------------------------------------------------------------------------


def parse_line(raw: bytes) -> dict[str, Any]:
    """The JSON object of a line.

    Raises:
        BadLine: it is none.
    """
    try:
        fields = json.loads(raw.decode("utf-8", "surrogatepass"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadLine("", "not a line of JSON") from error
    if not isinstance(fields, dict):
        raise BadLine("", "not a JSON object")
    return fields


def _no_constant(word: str) -> None:
    raise ValueError(word)


def check_header(fields: Mapping[str, Any]) -> datetime:
    """When the manifest was made.

    Raises:
        BadLine: it is no header, or of another version.
    """
    if fields.get("kind") != "header":
        raise BadLine("kind", "the first line is not a manifest's header")
    if fields.get("version") != VERSION:
        raise BadLine(
            "version",
            f"this manifest has version {fields.get('version')!r}, this program reads {VERSION}",
        )
    return _get_moment(fields, "made_at")


def header_events(fields: Mapping[str, Any]) -> int:
    """How many events the ledger had seen when the manifest was made.

    Raises:
        BadLine: see `check_header`; or no such number.
    """
    check_header(fields)
    return _get_count(fields, "events")


def end_count(fields: Mapping[str, Any]) -> int | None:
    """The lines that an end line counts; None for other lines.

    Raises:
        BadLine: an end line without a number.
    """
    return _get_count(fields, "lines") if fields.get("kind") == "end" else None


def parse_entry(fields: Mapping[str, Any]) -> Entry:
    """The entry of a line.

    Raises:
        BadLine: something is missing, or is not what it must be.
    """
    match fields.get("kind"):
        case "file":
            return _file_entry(fields)
        case "resolved":
            return ResolvedEntry(
                job=_get_text(fields, "job"), series=_series(fields), windows=_windows(fields)
            )
        case "mark":
            return MarkEntry(
                job=_get_text(fields, "job"),
                series=_series(fields),
                mark=_get_moment(fields, "mark"),
            )
        case other:
            raise BadLine("kind", f"{other!r} is no kind of line")


def _file_entry(fields: Mapping[str, Any]) -> FileEntry:
    path = _get_text(fields, "path")
    if not is_inside(path):
        raise BadLine("path", f"{path!r} does not stay in the output directory")
    sha256 = _get_text(fields, "sha256")
    if not _SHA256.fullmatch(sha256):
        raise BadLine("sha256", f"{sha256!r} is not 64 hex digits")
    series = _series(fields)
    for name, told in (("account_id", series.account_id), ("product", series.product)):
        if fields.get(name, told) != told:
            raise BadLine(name, f"{fields[name]!r} is not what the body says, {told!r}")
    return FileEntry(
        series=series,
        window=_window(fields.get("date_start"), fields.get("date_end"), "date_start"),
        path=path,
        rows=_get_count(fields, "rows"),
        size_bytes=_get_count(fields, "size_bytes"),
        sha256=sha256,
        request_id=_get_text(fields, "request_id"),
        api_key=_get_text(fields, "api_key"),
        job=_get_text(fields, "job"),
        collected_at=_get_moment(fields, "collected_at"),
    )


def _series(fields: Mapping[str, Any]) -> Series:
    body = fields.get("body")
    if not isinstance(body, dict) or not all(
        isinstance(value, str | bool) for value in body.values()
    ):
        raise BadLine("body", "not the body of a request")
    for name in ("account_id", "product"):
        if not isinstance(body.get(name), str) or not body[name]:
            raise BadLine(f"body.{name}", "missing")
    if not isinstance(body.get("direction", ""), str):
        raise BadLine("body.direction", f"{body['direction']!r} is not text")
    return Series.from_body(body)


def _windows(fields: Mapping[str, Any]) -> tuple[Window, ...]:
    pairs = fields.get("windows")
    if not isinstance(pairs, list):
        raise BadLine("windows", "not a list")
    windows = []
    for number, pair in enumerate(pairs):
        key = f"windows[{number}]"
        if not isinstance(pair, list) or len(pair) != 2:
            raise BadLine(key, "not a pair of times")
        windows.append(_window(pair[0], pair[1], key))
    return tuple(windows)


def _window(start: object, end: object, key: str) -> Window:
    return _converted(lambda: Window(_parse_moment(start), _parse_moment(end)), key)


def _get_moment(fields: Mapping[str, Any], key: str) -> datetime:
    return _converted(lambda: _parse_moment(fields.get(key)), key)


def _converted(make: Callable[[], Made], key: str) -> Made:
    try:
        return make()
    except (ValueError, OverflowError) as error:
        raise BadLine(key, str(error)) from error


def _parse_moment(text: object) -> datetime:
    if not isinstance(text, str) or not text.endswith("Z"):
        raise ValueError(f"{text!r} is not a time in UTC such as 2024-01-31T00:00:00Z")
    return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)


def _get_text(fields: Mapping[str, Any], key: str) -> str:
    text = fields.get(key)
    if not isinstance(text, str) or not text:
        raise BadLine(key, "missing" if text is None else f"{text!r} is not text")
    return text


def _get_count(fields: Mapping[str, Any], key: str) -> int:
    count = fields.get(key)
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise BadLine(key, "missing" if count is None else f"{count!r} is not a count")
    return count
