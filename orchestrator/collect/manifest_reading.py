"""Parses the lines of a manifest, of version 1 and of version 2. Pure."""

import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from orchestrator.collect.layout import edition_of, is_inside
from orchestrator.collect.manifest_entries import (
    ColumnListEntry,
    Entry,
    GivenUpEntry,
    MarkEntry,
    ReportEntry,
    ResolvedEntry,
    SeriesEntry,
)
from orchestrator.collect.manifest_writing import CHECK_BYTES, VERSION
from orchestrator.core.file_columns import ColumnChanges, FileColumns, columns_from_json
from orchestrator.core.intervals import Window
from orchestrator.core.ledger_records import from_ms
from orchestrator.core.lifecycle import State
from orchestrator.core.model import GivenUp, LedgerPoint, Report, Series

Made = TypeVar("Made")

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MAX_MS: Final = 253_402_300_799_999  # The last millisecond of the year 9999, since 1970.
_MAX_SECONDS: Final = 366 * 24 * 60 * 60  # Of the difference of two clocks: a year.
_STATES: Final = {state.value: state for state in State}


class BadLine(ValueError):
    """A line that does not say what it must; `key` names the place in it."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(problem)
        self.key = key


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a manifest."""

    version: int  # of its form
    made_at: datetime  # when it was written as a whole
    events: int  # how many events the ledger had seen then
    point: LedgerPoint | None  # which ledger, and how far it had got; None in version 1
    fingerprint: str = ""  # of the ledger, in version 1


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


def checked(raw: bytes, crc: int) -> int:
    """The CRC-32 of a file of version 2 up to the end of this line.

    Args:
        crc: of the file up to its beginning.

    Raises:
        BadLine: it is not the line that was written here.
    """
    crc = zlib.crc32(raw[:-CHECK_BYTES], crc)
    check = b',"check":"%08x"}\n' % crc
    if raw[-CHECK_BYTES:] != check:
        raise BadLine(
            "check",
            "this is not the line that was written here: it was changed, or lines before it were "
            "lost or doubled",
        )
    return zlib.crc32(check, crc)


def parse_header(fields: Mapping[str, Any]) -> Header:
    """The header that a first line is.

    Raises:
        BadLine: it is none, or of another version.
    """
    if fields.get("kind") != "header":
        raise BadLine("kind", "the first line is not a manifest's header")
    version = fields.get("version")
    if version not in (1, VERSION) or isinstance(version, bool):
        raise BadLine(
            "version", f"this manifest has version {version!r}, this program reads 1 and {VERSION}"
        )
    made_at = _get_moment(fields, "made_at")
    if version == 1:
        fingerprint = fields.get("ledger", "")
        return Header(1, made_at, _get_count(fields, "events"), None, str(fingerprint))
    point = parse_point(fields, _get_text(fields, "ledger"), _get_count(fields, "generation"))
    return Header(VERSION, made_at, point.events, point)


def parse_point(fields: Mapping[str, Any], ledger: str, generation: int) -> LedgerPoint:
    """How far a ledger had got, of a header or a ``reached`` line.

    Raises:
        BadLine: something is missing, or is not what it must be.
    """
    return LedgerPoint(
        ledger=ledger,
        generation=generation,
        changes=_get_count(fields, "changes"),
        events=_get_count(fields, "events"),
        last_event=_get_text(fields, "last_event"),
    )


def end_count(fields: Mapping[str, Any]) -> int | None:
    """The lines that an end line counts; None for other lines.

    Raises:
        BadLine: an end line without a number.
    """
    return _get_count(fields, "lines") if fields.get("kind") == "end" else None


def parse_entry(fields: Mapping[str, Any]) -> Entry:  # noqa: PLR0911 - one arm a kind
    """The entry of a line.

    Raises:
        BadLine: something is missing, or is not what it must be.
    """
    match fields.get("kind"):
        case "file":
            return _file_entry(fields)
        case "report":
            return _report_entry(fields)
        case "column_list":
            return ColumnListEntry(_get_count(fields, "number"), _get_file_columns(fields))
        case "given_up":
            return _given_up_entry(fields)
        case "series":
            return SeriesEntry(series=_series(fields), retried=_get_count(fields, "retried"))
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
            what = (
                f"{other!r} is no kind of line here; maybe a newer version of orchestrator wrote it"
            )
            raise BadLine("kind", what)


def _file_entry(fields: Mapping[str, Any]) -> ReportEntry:
    series = _series(fields)
    for name, value in (("account_id", series.account_id), ("product", series.product)):
        if fields.get(name, value) != value:
            raise BadLine(name, f"{fields[name]!r} is not what the body says, {value!r}")
    path = _get_path(fields)
    request_id = None
    if "report" not in fields or fields.get("request_id") is not None:
        request_id = _get_text(fields, "request_id")
    collected_at = _get_moment(fields, "collected_at")
    report = Report(
        id=_maybe(fields, "report", _get_count) or 0,
        series=series,
        window=_window(fields.get("date_start"), fields.get("date_end"), "date_start"),
        state=State.COLLECTED,
        api_key=_get_text(fields, "api_key"),
        job=_get_text(fields, "job"),
        intended_at=_maybe(fields, "intended_ms", _get_ms) or collected_at,
        server_ahead=timedelta(milliseconds=_maybe(fields, "ahead_ms", _get_milliseconds) or 0),
        request_id=request_id,
        submitted_at=_maybe(fields, "submitted_ms", _get_ms),
        ready_at=_maybe(fields, "ready_ms", _get_ms),
        rows=_get_count(fields, "rows"),
        size_bytes=_get_count(fields, "size_bytes"),
        sha256=_get_sha256(fields, "sha256"),
        target=path,
        changed_at=collected_at,
        edition=_maybe(fields, "edition", _get_count) or edition_of(path),
        replaces=_maybe(fields, "replaces", _get_count),
        finding=_maybe(fields, "finding", _get_text),
        columns=_maybe(fields, "columns", _get_columns),
        collected_change=_maybe(fields, "collected_change", _get_count),
        source_sha256=_maybe(fields, "source_sha256", _get_sha256),
        column_list=_maybe(fields, "column_list", _get_count),
    )
    return ReportEntry(report, foreign=_maybe(fields, "foreign", _get_counts) or ())


def _report_entry(fields: Mapping[str, Any]) -> ReportEntry:
    state = fields.get("state")
    if state not in _STATES:
        raise BadLine("state", f"{state!r} is not a state")
    report = Report(
        id=_get_count(fields, "report"),
        series=_series(fields),
        window=_window(fields.get("date_start"), fields.get("date_end"), "date_start"),
        state=_STATES[state],
        api_key=_get_text(fields, "api_key"),
        job=_get_text(fields, "job"),
        intended_at=_get_moment(fields, "intended_at"),
        server_ahead=_get_seconds(fields, "server_ahead"),
        callback_url=_maybe(fields, "callback_url", _get_text),
        request_id=_maybe(fields, "request_id", _get_text),
        submitted_at=_maybe(fields, "submitted_at", _get_moment),
        ready_at=_maybe(fields, "ready_at", _get_moment),
        items_count=_maybe(fields, "items_count", _get_count),
        rows=_maybe(fields, "rows", _get_count),
        size_bytes=_maybe(fields, "size_bytes", _get_count),
        sha256=_maybe(fields, "sha256", _get_text),
        target=_get_path(fields) if "path" in fields else None,
        reason=_maybe(fields, "reason", _get_text) or "",
        changed_at=_maybe(fields, "changed_at", _get_moment),
        edition=_maybe(fields, "edition", _get_count) or 1,
        replaces=_maybe(fields, "replaces", _get_count),
        finding=_maybe(fields, "finding", _get_text),
        columns=_maybe(fields, "columns", _get_columns),
        collected_change=_maybe(fields, "collected_change", _get_count),
        removed_change=_maybe(fields, "removed_change", _get_count),
        source_sha256=_maybe(fields, "source_sha256", _get_sha256),
        column_list=_maybe(fields, "column_list", _get_count),
    )
    return ReportEntry(report, _maybe(fields, "failed", _get_count))


def _given_up_entry(fields: Mapping[str, Any]) -> GivenUpEntry:
    number = _get_count(fields, "number")
    if fields.get("gone") is True:
        return GivenUpEntry(number, None)
    acknowledged = fields.get("acknowledged")
    if not isinstance(acknowledged, bool):
        raise BadLine("acknowledged", f"{acknowledged!r} is neither true nor false")
    return GivenUpEntry(
        number,
        GivenUp(
            id=number,
            series=_series(fields),
            window=_window(fields.get("date_start"), fields.get("date_end"), "date_start"),
            report_id=_maybe(fields, "report", _get_count),
            reason=_maybe(fields, "reason", _get_text) or "",
            at=_get_moment(fields, "at"),
            acknowledged=acknowledged,
        ),
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
    except ValueError as error:  # of ours, in words
        raise BadLine(key, str(error)) from error


def _parse_moment(text: object) -> datetime:
    if not isinstance(text, str) or not text.endswith("Z"):
        raise ValueError(f"{text!r} is not a time in UTC such as 2024-01-31T00:00:00Z")
    try:
        return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"{text!r} is not a time of the calendar") from None


def _maybe(
    fields: Mapping[str, Any], key: str, get: Callable[[Mapping[str, Any], str], Made]
) -> Made | None:
    return None if fields.get(key) is None else get(fields, key)


def _get_path(fields: Mapping[str, Any]) -> str:
    path = _get_text(fields, "path")
    if not is_inside(path):
        raise BadLine("path", f"{path!r} does not stay in the output directory")
    return path


def _get_sha256(fields: Mapping[str, Any], key: str) -> str:
    sha256 = _get_text(fields, key)
    if not _SHA256.fullmatch(sha256):
        raise BadLine(key, f"{sha256!r} is not 64 hex digits")
    return sha256


def _get_text(fields: Mapping[str, Any], key: str) -> str:
    text = fields.get(key)
    if not isinstance(text, str) or not text:
        raise BadLine(key, "missing" if text is None else f"{text!r} is not text")
    return text


def _get_count(fields: Mapping[str, Any], key: str) -> int:
    count = fields.get(key)
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count < 2**63:
        raise BadLine(key, "missing" if count is None else f"{count!r} is not a count")
    return count


def _get_milliseconds(fields: Mapping[str, Any], key: str) -> int:
    number = fields[key]
    if not isinstance(number, int) or isinstance(number, bool) or abs(number) > _MAX_MS:
        raise BadLine(key, f"{number!r} is no number of milliseconds")
    return number


def _get_ms(fields: Mapping[str, Any], key: str) -> datetime:
    milliseconds = _get_milliseconds(fields, key)
    try:
        return from_ms(milliseconds)
    except (ValueError, OverflowError, OSError):
        raise BadLine(key, f"{milliseconds} is no time of the calendar") from None


def _get_counts(fields: Mapping[str, Any], key: str) -> tuple[tuple[str, int], ...]:
    counts = fields.get(key)
    if not isinstance(counts, dict):
        raise BadLine(key, f"{counts!r} is no counts by account")
    return tuple((account_id, _get_count(counts, account_id)) for account_id in counts)


def _get_columns(fields: Mapping[str, Any], key: str) -> ColumnChanges:
    columns = fields.get(key)
    if not isinstance(columns, dict):
        raise BadLine(key, f"{columns!r} is no object")
    return _converted(lambda: ColumnChanges.from_json(columns), key)


def _get_file_columns(fields: Mapping[str, Any]) -> FileColumns:
    return _converted(lambda: columns_from_json(fields.get("columns")), "columns")


def _get_seconds(fields: Mapping[str, Any], key: str) -> timedelta:
    seconds = fields.get(key)
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        raise BadLine(key, "missing" if seconds is None else f"{seconds!r} is no number of seconds")
    if not abs(seconds) < _MAX_SECONDS:
        raise BadLine(key, f"{seconds!r} is more than a year")
    return timedelta(seconds=seconds)
