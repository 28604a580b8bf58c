"""Rows of the ledger to objects and back."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core import lifecycle
from orchestrator.core.intervals import Window
from orchestrator.core.model import GivenUp, Report, Series, canonical_json
from orchestrator.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from sqlite3 import Row

    from orchestrator.core.lifecycle import Event

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def to_ms(moment: datetime) -> int:
    """Milliseconds since the epoch."""
    return (moment - _EPOCH) // _MILLISECOND


def from_ms(value: int) -> datetime:
    """The moment so many milliseconds since the epoch."""
    return _EPOCH + value * _MILLISECOND


def _moment(value: int | None) -> datetime | None:
    return None if value is None else from_ms(value)


def body_text(series: Series) -> str:
    """The canonical body, as it is stored."""
    return canonical_json(series.body).decode()


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """A row that no ledger of ours would hold is damage, which SQLite itself cannot see."""
    try:
        yield
    except (ValueError, TypeError, ArithmeticError, OSError) as error:
        raise LedgerError(
            f"the ledger holds {what} that makes no sense ({error}): it is damaged; restore it "
            "from a backup, or move it away and use `orchestrator run --rebuild-ledger`"
        ) from error


def series_of(body: str) -> Series:
    """The series of a stored body.

    Raises:
        LedgerError: it is none.
    """
    with _reading("a series"):
        fields = json.loads(body)
        if not isinstance(fields, dict) or not {"account_id", "product"} <= fields.keys():
            raise ValueError("it names no account and product")
        return Series.from_body(fields)


def report_of(row: Row, series: Series) -> Report:
    """The report of a row of `report`.

    Raises:
        LedgerError: it is none.
    """
    with _reading(f"report {row['id']}"):
        return _report_of(row, series)


def _report_of(row: Row, series: Series) -> Report:
    return Report(
        id=row["id"],
        series=series,
        window=Window.of_epoch(row["window_start"], row["window_end"]),
        state=lifecycle.State(row["state"]),
        api_key=row["api_key"],
        job=row["job"],
        intended_at=from_ms(row["intended_at"]),
        server_ahead=row["server_ahead"] * _MILLISECOND,
        callback_url=row["callback_url"],
        request_id=row["request_id"],
        submitted_at=_moment(row["submitted_at"]),
        ready_at=_moment(row["ready_at"]),
        items_count=row["items_count"],
        download_url=row["download_url"],
        rows=row["rows"],
        size_bytes=row["size_bytes"],
        sha256=row["sha256"],
        target=row["target"],
        reason=row["reason"],
        changed_at=from_ms(row["changed_at"]),
        edition=row["edition"],
        replaces=row["replaces"],
    )


def given_up_of(row: Row, series: Series) -> GivenUp:
    """The given-up window of a row of `given_up`.

    Raises:
        LedgerError: it is none.
    """
    with _reading("a window given up"):
        return _given_up_of(row, series)


def _given_up_of(row: Row, series: Series) -> GivenUp:
    return GivenUp(
        id=row["id"],
        series=series,
        window=Window.of_epoch(row["window_start"], row["window_end"]),
        report_id=row["report_id"],
        reason=row["reason"],
        at=from_ms(row["at"]),
        acknowledged=bool(row["acknowledged"]),
    )


def event_facts(event: Event) -> str:
    """What an event says, as JSON."""
    return json.dumps(
        {
            field.name: value
            for field in fields(event)
            if (value := getattr(event, field.name)) is not None
        },
        ensure_ascii=False,
    )


def file_facts(report: Report) -> str:
    """The name of a report's file, as JSON."""
    return json.dumps({"target": report.target}, ensure_ascii=False)


def changes(event: Event, report: Report, at: datetime) -> Mapping[str, Any]:
    """The columns of `report` that an event changes, the state apart."""
    columns: dict[str, Any] = {"reason": getattr(event, "reason", ""), "changed_at": to_ms(at)}
    match event:
        case lifecycle.Created(request_id) | lifecycle.Adopted(request_id):
            columns |= {"request_id": request_id, "submitted_at": to_ms(at)}
        case lifecycle.Finished(items_count, download_url):
            # The 72 hours of a file count from when it was first seen finished.
            ready_at = report.ready_at or at
            columns |= {
                "items_count": items_count,
                "download_url": download_url,
                "ready_at": to_ms(ready_at),
            }
        case lifecycle.CutShort(items_count=items_count):
            columns |= {"items_count": items_count}
        case lifecycle.Verified() | lifecycle.Accepted():
            columns |= {
                "sha256": event.sha256,
                "rows": event.rows,
                "size_bytes": event.size_bytes,
                "target": event.target,
            }
        case lifecycle.FileMissing():
            columns |= {"sha256": None, "rows": None, "size_bytes": None, "target": None}
        case _:
            pass
    return columns
