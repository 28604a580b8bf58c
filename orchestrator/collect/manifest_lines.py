"""What the manifest says, line by line: the entries, and their JSON forms. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from orchestrator.collect.layout import is_inside
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.model import GivenUp, Identity, Series

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VERSION: Final = 2
"""Of the manifest's form that is written; 1 is read as well."""

Made = TypeVar("Made")

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A collected file.

    Attributes:
        path: relative to the output directory, with forward slashes.
        api_key: the key that bought it; never the secret.
        job: the name of the job that bought it.
        report: the ledger's number of its report; 0 where that is not known (version 1).
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
    report: int = 0


@dataclass(frozen=True, slots=True)
class ReportEntry:
    """A report without a file: open, disputed, waived or given up; or no longer one of these.

    Attributes:
        report: the ledger's number of it; what a later line says of it counts.
        state: the word of `core.lifecycle.State`; what is finished at the API is ``submitted``.
        request_id: None where the answer to its create was lost.
    """

    report: int
    series: Series
    window: Window
    state: State
    request_id: str | None
    api_key: str
    job: str
    intended_at: datetime
    reason: str = ""
    edition: int = 1
    replaces: int | None = None


@dataclass(frozen=True, slots=True)
class GivenUpEntry:
    """All that is given up of a series, waived windows among it; a later line takes its place."""

    series: Series
    given_up: tuple[GivenUp, ...]


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


Entry = FileEntry | ReportEntry | GivenUpEntry | ResolvedEntry | MarkEntry


@dataclass(frozen=True, slots=True)
class Header:
    """The first line.

    Attributes:
        version: of the form.
        identity: of the ledger as it was when the manifest was made; the id is empty in version 1.
        fingerprint: tells one state of the ledger from another.
    """

    version: int
    identity: Identity
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Commit:
    """The last line of what was appended after one or more commits of the ledger.

    Attributes:
        generation: of the ledger.
        events: the number of its latest event.
        lines: how many lines of the block it ends, itself not counted.
        sha256: of the hash before, in hex, and the bytes of those lines.
    """

    generation: int
    events: int
    lines: int
    sha256: str


class BadLine(ValueError):
    """A line that does not say what it must; `key` names the place in it."""

    def __init__(self, key: str, what: str) -> None:
        super().__init__(what)
        self.key = key


# --- writing --------------------------------------------------------------------------------------


def header_line(made_at: datetime, identity: Identity, fingerprint: str) -> bytes:
    """The first line.

    Args:
        made_at: when the manifest was made.
        identity: of the ledger it was made of.
        fingerprint: tells one state of that ledger from another.
    """
    return _line(
        {
            "kind": "header",
            "version": VERSION,
            "made_at": _moment(made_at),
            "ledger_id": identity.id,
            "generation": identity.generation,
            "events": identity.events,
            "replaces": identity.replaces,
            "ledger": fingerprint,
        }
    )


def commit_line(commit: Commit) -> bytes:
    """The line that ends a block of appended lines."""
    return _line(
        {
            "kind": "commit",
            "generation": commit.generation,
            "events": commit.events,
            "lines": commit.lines,
            "sha256": commit.sha256,
        }
    )


def chained(before: str, block: bytes) -> str:
    """The hash of a block of appended lines: it vouches for all that stands before as well."""
    return hashlib.sha256(before.encode() + block).hexdigest()


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
                f'"job":{_text(entry.job)},"collected_at":"{_moment(entry.collected_at)}",'
                f'"report":{entry.report:d},{last}'
            )
            return text.encode("utf-8", "surrogatepass")
        case ReportEntry():
            return _line(
                {
                    "kind": "report",
                    "report": entry.report,
                    "state": entry.state.value,
                    "date_start": _moment(entry.window.start),
                    "date_end": _moment(entry.window.end),
                    "request_id": entry.request_id,
                    "api_key": entry.api_key,
                    "job": entry.job,
                    "intended_at": _moment(entry.intended_at),
                    "reason": entry.reason,
                    "edition": entry.edition,
                    "replaces": entry.replaces,
                    "body": series.body,
                }
            )
        case GivenUpEntry():
            entries = [_given_up_fields(one) for one in entry.given_up]
            return _line({"kind": "given_up", "windows": entries, "body": series.body})
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


def _given_up_fields(given_up: GivenUp) -> dict[str, Any]:
    return {
        "date_start": _moment(given_up.window.start),
        "date_end": _moment(given_up.window.end),
        "report": given_up.report_id,
        "reason": given_up.reason,
        "at": _moment(given_up.at),
        "waived": given_up.acknowledged,
    }


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


def parse_header(fields: Mapping[str, Any]) -> Header:
    """What the first line says.

    Raises:
        BadLine: it is no header, or of another version.
    """
    if fields.get("kind") != "header":
        raise BadLine("kind", "the first line is not a manifest's header")
    version = fields.get("version")
    if version not in (1, VERSION):
        raise BadLine(
            "version",
            f"this manifest has version {version!r}, this program reads 1 and {VERSION}",
        )
    _get_moment(fields, "made_at")
    fingerprint = fields.get("ledger")
    events = _get_count(fields, "events")
    identity = Identity("", 0, events)
    if version == VERSION:
        replaces = fields.get("replaces")
        identity = Identity(
            _get_text(fields, "ledger_id"),
            _get_count(fields, "generation"),
            events,
            replaces if isinstance(replaces, str) else "",
        )
    return Header(int(version), identity, fingerprint if isinstance(fingerprint, str) else "")


def parse_commit(fields: Mapping[str, Any]) -> Commit | None:
    """What a line says that ends a block of appended ones; None for other lines.

    Raises:
        BadLine: something is missing.
    """
    if fields.get("kind") != "commit":
        return None
    return Commit(
        _get_count(fields, "generation"),
        _get_count(fields, "events"),
        _get_count(fields, "lines"),
        _get_text(fields, "sha256"),
    )


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
        case "report":
            return _report_entry(fields)
        case "given_up":
            return _given_up_entry(fields)
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
        report=_get_count(fields, "report") if "report" in fields else 0,
    )


def _report_entry(fields: Mapping[str, Any]) -> ReportEntry:
    request_id, replaces = fields.get("request_id"), fields.get("replaces")
    if request_id is not None:
        request_id = _get_text(fields, "request_id")
    if replaces is not None:
        replaces = _get_count(fields, "replaces")
    reason = fields.get("reason")
    return ReportEntry(
        report=_get_count(fields, "report"),
        series=_series(fields),
        window=_window(fields.get("date_start"), fields.get("date_end"), "date_start"),
        state=_converted(lambda: State(fields.get("state")), "state"),
        request_id=request_id,
        api_key=_get_text(fields, "api_key"),
        job=_get_text(fields, "job"),
        intended_at=_get_moment(fields, "intended_at"),
        reason=reason if isinstance(reason, str) else "",
        edition=_get_count(fields, "edition"),
        replaces=replaces,
    )


def _given_up_entry(fields: Mapping[str, Any]) -> GivenUpEntry:
    series = _series(fields)
    listed = fields.get("windows")
    if not isinstance(listed, list):
        raise BadLine("windows", "not a list")
    given_up = []
    for number, one in enumerate(listed):
        if not isinstance(one, dict):
            raise BadLine(f"windows[{number}]", "not a JSON object")
        report = one.get("report")
        given_up.append(
            GivenUp(
                id=0,
                series=series,
                window=_window(one.get("date_start"), one.get("date_end"), f"windows[{number}]"),
                report_id=None if report is None else _get_count(one, "report"),
                reason=_get_text(one, "reason"),
                at=_get_moment(one, "at"),
                acknowledged=one.get("waived") is True,
            )
        )
    return GivenUpEntry(series, tuple(given_up))


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
