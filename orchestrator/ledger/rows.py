"""Rows of the ledger to objects and back."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core import lifecycle
from orchestrator.core.commands import JOB, typed
from orchestrator.core.intervals import Window
from orchestrator.core.ledger_records import from_ms, to_ms
from orchestrator.core.lifecycle import State
from orchestrator.core.model import GivenUp, Owner, Report, Series, canonical_json
from orchestrator.errors import LedgerError
from orchestrator.texts import MAX_REASON, short

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from sqlite3 import Row

    from orchestrator.core.lifecycle import Event

_MILLISECOND: Final = timedelta(milliseconds=1)

_AS_JSON: Final = json.JSONEncoder(ensure_ascii=False).encode
_STATES: Final = {state.value: state for state in State}

_WITH_FILE: Final = frozenset({State.VERIFIED.value, State.COLLECTED.value})

COLUMNS: Final = (
    "id, series_id, window_start, window_end, state, api_key, job, intended_at, server_ahead,"
    " callback_url, request_id, submitted_at, ready_at, items_count, download_url, rows,"
    " size_bytes, sha256, target, reason, changed_at, edition, replaces"
)
"""The columns of `report` that `report_of` takes, in its order."""


def _moment(value: int | None) -> datetime | None:
    return None if value is None else from_ms(value)


def body_text(series: Series) -> str:
    """The canonical body, as it is stored."""
    return canonical_json(series.body).decode()


SENSELESS: Final = (
    ValueError, TypeError, AttributeError, ArithmeticError, OSError, RecursionError,
)  # fmt: skip
"""What reading a row raises that no ledger of ours would hold."""


class InvalidRow(ValueError):
    """What a row says and no ledger of ours would, in words."""


def damaged(what: str, error: Exception) -> LedgerError:
    """Damage that SQLite itself cannot see."""
    why = f" ({error})" if isinstance(error, InvalidRow) else ""
    return LedgerError(
        f"the ledger holds {what} that makes no sense{why}: it is damaged; restore it "
        f"from a backup, or move it away and use {typed('run', JOB, '--rebuild-ledger')}"
    )


@contextmanager
def sensible(what: str) -> Iterator[None]:
    """Turns what reading rows raises inside, where they make no sense, into a `LedgerError`."""
    try:
        yield
    except SENSELESS as error:
        raise damaged(what, error) from error


def series_of(body: str) -> Series:
    """The series of a stored body.

    Raises:
        LedgerError: it is none.
    """
    try:
        fields = json.loads(body)
        if not isinstance(fields, dict) or not {"account_id", "product"} <= fields.keys():
            raise InvalidRow("it names no account and product")
        return Series.from_body(fields)
    except SENSELESS as error:
        raise damaged("a series", error) from error


def report_of(row: Sequence[Any], series: Series) -> Report:
    """The report of the `COLUMNS` of a row; `series` is that of its `series_id`.

    Raises:
        LedgerError: it is none.
    """
    try:
        return _report_of(row, series)
    except SENSELESS as error:
        raise damaged(f"report {row[0]}", error) from error


def _report_of(row: Sequence[Any], series: Series) -> Report:
    (number, _, start, end, state, api_key, job, intended_at, server_ahead, callback_url) = row[:10]
    (request_id, submitted_at, ready_at, items_count, download_url) = row[10:15]
    (records, size_bytes, sha256, target, reason, changed_at, edition, replaces) = row[15:]
    if state not in _STATES:
        raise InvalidRow(f"{short(repr(state), 40)} is not a state")
    if state in _WITH_FILE and None in (target, records, size_bytes, sha256):
        raise InvalidRow("it has a file, of which nothing is known")
    return Report(
        id=number,
        series=series,
        window=Window.of_epoch(start, end),
        state=_STATES[state],
        api_key=api_key,
        job=job,
        intended_at=from_ms(intended_at),
        server_ahead=server_ahead * _MILLISECOND,
        callback_url=callback_url,
        request_id=request_id,
        submitted_at=_moment(submitted_at),
        ready_at=_moment(ready_at),
        items_count=items_count,
        download_url=download_url,
        rows=records,
        size_bytes=size_bytes,
        sha256=sha256,
        target=target,
        reason=_shown(reason),
        changed_at=from_ms(changed_at),
        edition=edition,
        replaces=replaces,
    )


def owner_of(columns: Sequence[Any]) -> Owner:
    """The owner of a request id, of the columns that `Store.owners` asks for.

    Raises:
        LedgerError: it is none.
    """
    number, api_key, intended_at, submitted_at = columns
    try:
        return Owner(number, api_key, from_ms(intended_at), _moment(submitted_at))
    except SENSELESS as error:
        raise damaged(f"report {number}", error) from error


def given_up_of(row: Row, series: Series) -> GivenUp:
    """The given-up window of a row of `given_up`.

    Raises:
        LedgerError: it is none.
    """
    try:
        return _given_up_of(row, series)
    except SENSELESS as error:
        raise damaged("a window given up", error) from error


def _given_up_of(row: Row, series: Series) -> GivenUp:
    return GivenUp(
        id=row["id"],
        series=series,
        window=Window.of_epoch(row["window_start"], row["window_end"]),
        report_id=row["report_id"],
        reason=_shown(row["reason"]),
        at=from_ms(row["at"]),
        acknowledged=bool(row["acknowledged"]),
    )


def reason_text(reason: str) -> str:
    """A reason as it is stored: in one line of bounded length, whoever's words are in it."""
    return short(reason, MAX_REASON)


def _shown(reason: str) -> str:
    """A stored reason, as it may be shown: earlier versions stored what the API said as it was."""
    fits = len(reason) <= MAX_REASON + 1 and reason.isprintable()
    return reason if fits else reason_text(reason)


def event_facts(event: Event) -> str:
    """What an event says, as JSON."""
    facts = {
        name: value for name in event.__match_args__ if (value := getattr(event, name)) is not None
    }
    if "reason" in facts:
        facts["reason"] = reason_text(facts["reason"])
    return _AS_JSON(facts)


def without_link(event: Event) -> Event:
    """The event without the link of its file, which lets anybody have that: for what stays."""
    if isinstance(event, lifecycle.Finished):
        return replace(event, download_url=None)
    return event


def file_facts(report: Report) -> str:
    """The name of a report's file, as JSON."""
    return _AS_JSON({"target": report.target})


def forgotten(state: lifecycle.State) -> Mapping[str, None]:
    """The columns that a report in this state has no use for: links, and addresses with tokens.

    A disputed one may still be taken, and its file be had again.
    """
    if state.is_open or state is lifecycle.State.DISPUTED:
        return {}
    return {"callback_url": None, "download_url": None}


def changes(event: Event, report: Report, at: datetime) -> Mapping[str, Any]:
    """The columns of `report` that an event changes, the state apart."""
    columns: dict[str, Any] = {
        "reason": reason_text(getattr(event, "reason", "")),
        "changed_at": to_ms(at),
    }
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
        case lifecycle.FileMissing() | lifecycle.Refetched():
            columns |= {"sha256": None, "rows": None, "size_bytes": None, "target": None}
        case _:
            pass
    return columns
