"""Writes the manifest: as a whole, and appended to as a run goes.

Every line is a JSON object whose last field, ``check``, is the CRC-32 of all bytes of the file up
to that field: a line that was changed, lost or doubled is known, and which one it is.
"""

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Final

from orchestrator.collect import disk, layout, safe_open
from orchestrator.collect.manifest_entries import (
    ColumnListEntry,
    Entry,
    GivenUpEntry,
    MarkEntry,
    ReportEntry,
    ResolvedEntry,
    SeriesEntry,
)
from orchestrator.collect.stores.base import OutputStore
from orchestrator.core.file_columns import columns_as_json
from orchestrator.core.intervals import Window
from orchestrator.core.ledger_records import to_ms
from orchestrator.core.lifecycle import State
from orchestrator.core.model import LedgerPoint, Report, Series
from orchestrator.fsync import sync_folder

VERSION: Final = 2
"""Of the form in which manifests are written."""

CHECK_BYTES: Final = len(b',"check":"00000000"}\n')


@dataclass(frozen=True, slots=True)
class Written:
    """A manifest that was written as a whole."""

    entries: int  # how many it has
    size_bytes: int  # of the file
    crc: int  # its CRC-32


def write_manifest(
    store: OutputStore, entries: Iterable[Entry], made_at: datetime, point: LedgerPoint
) -> Written:
    """Replaces the manifest of a store.

    The entries are written as they come, in constant memory. The old manifest stands until the
    new one is complete; if `entries` raises, it stays.

    Raises:
        OutputError: the store refuses it.
    """
    with store.replace(layout.MANIFEST) as file:
        header = _body(
            "header",
            version=VERSION,
            made_at=made_at,
            ledger=point.ledger,
            generation=point.generation,
            **_reached(point),
        )
        return _write(file, header, entries)


def _write(file: BinaryIO, header: bytes, entries: Iterable[Entry]) -> Written:
    line, crc = sealed(header, 0)
    size_bytes = file.write(line)
    count = 0
    for entry in entries:
        line, crc = sealed(entry_body(entry), crc)
        size_bytes += file.write(line)
        count += 1
    line, crc = sealed(_body("end", lines=count + 1), crc)
    size_bytes += file.write(line)
    return Written(count, size_bytes, crc)


class ManifestJournal:
    """Appends to a manifest as a run goes, so that a lost ledger loses nothing that was bought.

    Args:
        size_bytes: up to the end of its last line; what follows is cut off.
        crc: its CRC-32 up to there.
    """

    def __init__(self, store: OutputStore, size_bytes: int, crc: int) -> None:
        self._end = store.append_to(layout.MANIFEST, size_bytes)
        self._crc = crc

    def append(self, bodies: Iterable[bytes], point: LedgerPoint) -> None:
        """Appends what a transaction has changed; returns once that is synced.

        Raises:
            OutputError: the store refuses it. Nothing more is appended from then on.
        """
        crc = self._crc
        lines = []
        for body in (*bodies, _body("reached", **_reached(point))):
            line, crc = sealed(body, crc)
            lines.append(line)
        self._end.append(b"".join(lines))
        self._crc = crc

    def close(self) -> None:
        """Lets go of the file; may be called again."""
        self._end.close()


def put_aside(store: OutputStore, directory: Path) -> Path:
    """Moves a manifest that was changed to the work area, so that a person can look at it; where.

    Raises:
        OutputError: the disk.
    """
    kept = directory / layout.QUARANTINE / f"{layout.MANIFEST}.changed"
    with disk.translate_os_errors(directory / layout.MANIFEST, "keep"):
        disk.DurableDirectories(directory).make(kept.parent)
        with store.open(layout.MANIFEST) as file, safe_open.create(kept, private=True) as copy:
            copy.writelines(safe_open.read_blocks(file))
        disk.sync_file(kept)
        sync_folder(kept.parent)
        store.delete(layout.MANIFEST)
    return kept


# --- its lines ------------------------------------------------------------------------------------


def sealed(body: bytes, crc: int) -> tuple[bytes, int]:
    """A line with its check, and the CRC-32 of the file up to its end.

    Args:
        body: the line's object without its closing brace.
        crc: of the file up to its beginning.
    """
    crc = zlib.crc32(body, crc)
    check = b',"check":"%08x"}\n' % crc
    return body + check, zlib.crc32(check, crc)


def entry_body(entry: Entry) -> bytes:  # noqa: PLR0911 - one arm a kind
    """The line of an entry, without its check."""
    match entry:
        case ReportEntry(report=Report(state=State.COLLECTED) as report, foreign=foreign):
            return _file_body(report, foreign)
        case ReportEntry(report=report, failed=failed):
            return _report_body(report, failed)
        case ColumnListEntry(number=number, columns=columns):
            return _body("column_list", number=number, columns=columns_as_json(columns))
        case GivenUpEntry(number=number, given_up=None):
            return _body("given_up", number=number, gone=True)
        case GivenUpEntry(number=number, given_up=given_up):
            assert given_up is not None
            return _body(
                "given_up",
                number=number,
                **_dates(given_up.window),
                report=given_up.report_id,
                reason=given_up.reason or None,
                at=given_up.at,
                acknowledged=given_up.acknowledged,
                body=given_up.series.body,
            )
        case SeriesEntry(series=series, retried=retried):
            return _body("series", retried=retried, body=series.body)
        case ResolvedEntry(job=job, series=series, windows=windows):
            spans = [(window.start, window.end) for window in windows]
            return _body("resolved", job=job, windows=spans, body=series.body)
        case MarkEntry(job=job, series=series, mark=mark):
            return _body("mark", job=job, mark=mark, body=series.body)


def moment_text(moment: datetime) -> str:
    """A moment as manifests have it: in UTC, with a ``Z``."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no offset")
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.isoformat()[: -len("+00:00")] + "Z"


_as_json: Final = json.JSONEncoder(
    separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=moment_text
).encode
_text: Final = json.encoder.encode_basestring


def _body(kind: str, **fields: Any) -> bytes:
    """A line without its check."""
    return _as_json({"kind": kind, **fields}).encode("utf-8", "surrogatepass")[:-1]


def _reached(point: LedgerPoint) -> dict[str, Any]:
    return {"changes": point.changes, "events": point.events, "last_event": point.last_event}


def _file_body(report: Report, foreign: Sequence[tuple[str, int]]) -> bytes:
    assert report.target is not None, "a collected report has a file"
    assert report.sha256 is not None, "a collected report has a file"
    # A manifest may have a million of these: what does not differ is written once.
    first, last = _around(report.series)
    request_id = "null" if report.request_id is None else _text(report.request_id)
    text = (
        f'{first}{_date_texts(report.window)},"path":{_text(report.target)},'
        f'"rows":{report.rows},"size_bytes":{report.size_bytes},"sha256":{_text(report.sha256)},'
        f'"request_id":{request_id},"api_key":{_text(report.api_key)},"job":{_text(report.job)},'
        f'"collected_at":"{moment_text(report.changed_at or report.intended_at)}",'
        f'"report":{report.id},"intended_ms":{to_ms(report.intended_at)},'
    )
    if report.submitted_at is not None:
        text += f'"submitted_ms":{to_ms(report.submitted_at)},'
    if report.ready_at is not None:
        text += f'"ready_ms":{to_ms(report.ready_at)},'
    if report.server_ahead:
        text += f'"ahead_ms":{round(report.server_ahead.total_seconds() * 1000)},'
    for name, number in (
        ("replaces", report.replaces),
        ("edition", report.edition if report.edition > 1 else None),
        ("collected_change", report.collected_change),
        ("column_list", report.column_list),
    ):
        if number is not None:
            text += f'"{name}":{number},'
    if report.source_sha256 is not None:
        text += f'"source_sha256":{_text(report.source_sha256)},'
    if report.finding is not None:
        text += f'"finding":{_text(report.finding)},'
    if report.columns is not None:
        text += f'"columns":{_as_json(report.columns.as_json)},'
    if foreign:
        text += f'"foreign":{_as_json(dict(foreign))},'
    return f"{text}{last}".encode("utf-8", "surrogatepass")


def _report_body(report: Report, failed: int | None) -> bytes:
    fields = {
        "report": report.id,
        "state": report.state.value,
        **_dates(report.window),
        "api_key": report.api_key,
        "job": report.job,
        "intended_at": report.intended_at,
        "server_ahead": report.server_ahead.total_seconds(),
        # By its address a report is known again whose id is not known; later it is of no use.
        "callback_url": report.callback_url if report.request_id is None else None,
        "request_id": report.request_id,
        "submitted_at": report.submitted_at,
        "ready_at": report.ready_at,
        "items_count": report.items_count,
        "rows": report.rows,
        "size_bytes": report.size_bytes,
        "sha256": report.sha256,
        "path": report.target,
        "reason": report.reason or None,
        "changed_at": report.changed_at,
        "edition": report.edition if report.edition > 1 else None,
        "replaces": report.replaces,
        "finding": report.finding,
        "columns": None if report.columns is None else report.columns.as_json,
        "collected_change": report.collected_change,
        "removed_change": report.removed_change,
        "source_sha256": report.source_sha256,
        "column_list": report.column_list,
        "failed": failed,
        "body": report.series.body,
    }
    return _body("report", **{name: value for name, value in fields.items() if value is not None})


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
    return _as_json(fields).removesuffix("}") + ",", body[1:-1]


@lru_cache(maxsize=8192)
def _date_texts(window: Window) -> str:
    return _as_json(_dates(window))[1:-1]


def _dates(window: Window) -> dict[str, datetime]:
    return {"date_start": window.start, "date_end": window.end}
