"""Turns rows of the ledger into objects and back; one table of columns says how for a report.

A row that this program cannot have written is damage that SQLite itself cannot see: whatever
reading it raises comes out as a `LedgerError`.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from sqlite3 import Row
from typing import Any, Final, NamedTuple

from orchestrator.core import lifecycle
from orchestrator.core.file_columns import ColumnChanges
from orchestrator.core.intervals import Window
from orchestrator.core.ledger_records import Owner, from_ms, to_ms
from orchestrator.core.lifecycle import Event, State
from orchestrator.core.model import GivenUp, Report, Series, canonical_json
from orchestrator.errors import LedgerError
from orchestrator.ledger.sqlite_errors import way_back
from orchestrator.texts import MAX_REASON, short

_MILLISECOND: Final = timedelta(milliseconds=1)

_AS_JSON: Final = json.JSONEncoder(ensure_ascii=False).encode

_ACCEPTED: Final = "accepted by a person"
"""The finding of a file that was accepted where no reason was noted."""

_window = lru_cache(maxsize=8192)(Window.of_epoch)
"""Most series of a job were collected in the same windows."""

_OF_VERIFIED: Final = ("sha256", "rows", "size_bytes", "target", "columns", "source_sha256")
"""What the event tells by which a file was verified."""

OF_FILE: Final = (*_OF_VERIFIED, "finding", "column_list")
"""What is forgotten of a file that has to be fetched again."""

_WITH_FILE: Final = frozenset({State.VERIFIED, State.COLLECTED})
"""States in which everything about the file is known."""


# --- damage ---------------------------------------------------------------------------------------


ROW_ERRORS: Final = (
    ValueError, TypeError, AttributeError, ArithmeticError, OSError, RecursionError,
)  # fmt: skip
"""What reading a row may raise that this program has not written."""


class InvalidRow(ValueError):
    """A row says what this program never writes; the text tells what."""


def damaged(subject: str, error: Exception) -> LedgerError:
    """The error for a row that this program has not written; `subject` says what it holds."""
    why = f" ({error})" if isinstance(error, InvalidRow) else ""
    return LedgerError(
        f"the ledger holds {subject} that makes no sense{why}: it is damaged; {way_back()}"
    )


@contextmanager
def refuse_damaged(subject: str) -> Iterator[None]:
    """Turns what reading a row raises inside into a `LedgerError`."""
    try:
        yield
    except ROW_ERRORS as error:
        raise damaged(subject, error) from error


# --- reports --------------------------------------------------------------------------------------


class Column(NamedTuple):
    """A column of `report` that holds a field of `Report` of the same name."""

    name: str  # of both
    # makes the stored value of the field's; None: it is stored as it is, as None is
    store: Callable[[Any], Any] | None = None
    read: Callable[[Any], Any] | None = None  # the reverse


class _States(dict[str, State]):
    def __missing__(self, value: object) -> State:
        raise InvalidRow(f"{short(repr(value), 40)} is not a state")


_STATES: Final = _States({state.value: state for state in State})


def reason_text(reason: str) -> str:
    """A reason as it is stored: one line of bounded length, whoever has written it."""
    return short(reason, MAX_REASON)


def _read_reason(reason: str) -> str:
    # Earlier versions stored what the API said as it was.
    fits = len(reason) <= MAX_REASON + 1 and reason.isprintable()
    return reason if fits else reason_text(reason)


def column_changes_of(text: str) -> ColumnChanges:
    """What a file has otherwise than the API sent it, of its stored form."""
    return ColumnChanges.from_json(json.loads(text))


_FIELDS: Final = (
    Column("state", lambda state: state.value, _STATES.__getitem__),
    Column("api_key"),
    Column("job"),
    Column("intended_at", to_ms, from_ms),
    Column(
        "server_ahead",
        lambda ahead: round(ahead.total_seconds() * 1000),
        lambda milliseconds: milliseconds * _MILLISECOND,
    ),
    Column("callback_url"),
    Column("request_id"),
    Column("submitted_at", to_ms, from_ms),
    Column("ready_at", to_ms, from_ms),
    Column("items_count"),
    Column("download_url"),
    Column("rows"),
    Column("size_bytes"),
    Column("sha256"),
    Column("target"),
    Column("reason", reason_text, _read_reason),
    Column("changed_at", to_ms, from_ms),
    Column("edition"),
    Column("replaces"),
    Column("finding", reason_text),
    Column(
        "columns",
        lambda columns: _AS_JSON(columns.as_json),
        column_changes_of,
    ),
    Column("collected_change"),
    Column("removed_change"),
    Column("source_sha256"),
    Column("column_list"),
)
"""In the order of the fields of `Report`, of which they follow on id, series and window."""

_COLUMNS_BEFORE: Final = ("id", "series_id", "window_start", "window_end")

COLUMNS: Final = ", ".join((*_COLUMNS_BEFORE, *(column.name for column in _FIELDS)))
"""The columns of `report` that `report_of` takes, in its order."""

_STORE: Final = {column.name: column.store for column in _FIELDS}
_READ: Final = tuple(
    (at, column.read)
    for at, column in enumerate(_FIELDS, len(_COLUMNS_BEFORE))
    if column.read is not None
)


def values_of(report: Report, series_id: int) -> dict[str, Any]:
    """The columns of a report's row by name, without its number where it has none yet."""
    start, end = report.window.epoch
    return {
        **({"id": report.id} if report.id else {}),
        "series_id": series_id,
        "window_start": start,
        "window_end": end,
        **_values_of_state(report.state, report.replaces),
        **_stored({name: getattr(report, name) for name in _STORE}),
    }


def changed_values(report: Report, state: State, event: Event, at: datetime) -> dict[str, Any]:
    """The columns of a report's row that an event changes, by name; `state` is the new state."""
    fields = {"reason": getattr(event, "reason", ""), "changed_at": at, **_facts(report, event, at)}
    if not state.is_open and state is not State.DISPUTED:
        # Of no use any more: a link, and an address with a token. A disputed report may still be
        # taken, and its file be fetched again.
        fields |= {"callback_url": None, "download_url": None}
    return {**_values_of_state(state, report.replaces), **_stored({"state": state, **fields})}


def _values_of_state(state: State, replaces: int | None) -> dict[str, int]:
    """The columns that follow from the state: indexes are partial on them.

    An edition has no window of its own until it is collected: what it replaces has it. Both change
    in one transaction, so every moment is had by one report and never by two. An edition that was
    erased keeps its window.
    """
    settled = replaces is None or state in (State.COLLECTED, State.ERASED)
    has_window = state.has_window and settled
    return {"is_open": int(state.is_open), "has_window": int(has_window)}


def _stored(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value if value is None or (store := _STORE[name]) is None else store(value)
        for name, value in fields.items()
    }


def _facts(report: Report, event: Event, at: datetime) -> Mapping[str, Any]:
    """The fields of a report that an event brings, besides those that every event does."""
    match event:
        case lifecycle.Created(request_id) | lifecycle.Adopted(request_id):
            return {"request_id": request_id, "submitted_at": at}
        case lifecycle.Finished(items_count, download_url):
            return {
                "items_count": items_count,
                "download_url": download_url,
                # The 72 hours of a file count from when it was first seen finished.
                "ready_at": report.ready_at or at,
            }
        case lifecycle.CutShort(items_count=items_count):
            return {"items_count": items_count}
        case lifecycle.Verified() | lifecycle.Accepted():
            # What a person has accepted is what the report was disputed for.
            is_accepted = isinstance(event, lifecycle.Accepted)
            finding = (report.reason or _ACCEPTED) if is_accepted else None
            return {"finding": finding, **{name: getattr(event, name) for name in _OF_VERIFIED}}
        case lifecycle.FileMissing() | lifecycle.Refetched():
            return dict.fromkeys(OF_FILE)
        case _:
            return {}


def report_of(row: Iterable[Any], series: Series) -> Report:
    """The report of the `COLUMNS` of a row; `series` is that of its `series_id`.

    Raises:
        LedgerError: this program has not written it.
    """
    values = list(row)
    number = values[0]
    try:
        for at, read in _READ:
            if (value := values[at]) is not None:
                values[at] = read(value)
        _, _, start, end, *fields = values
        report = Report(number, series, _window(start, end), *fields)
        if report.state in _WITH_FILE and None in (
            report.target,
            report.rows,
            report.size_bytes,
            report.sha256,
        ):
            raise InvalidRow("it has a file, of which nothing is known")
    except ROW_ERRORS as error:
        raise damaged(f"report {number}", error) from error
    return report


def owner_of(columns: Sequence[Any]) -> Owner:
    """The owner of a request id, of number, API key, and moments of intent and submission.

    Raises:
        LedgerError: this program has not written them.
    """
    number, api_key, intended_at, submitted_at = columns
    with refuse_damaged(f"report {number}"):
        submitted = None if submitted_at is None else from_ms(submitted_at)
        return Owner(number, api_key, from_ms(intended_at), submitted)


# --- series, given-up windows ---------------------------------------------------------------------


def body_text(series: Series) -> str:
    """The canonical body, as it is stored."""
    return canonical_json(series.body).decode()


def series_of(body: str) -> Series:
    """The series of a stored body.

    Raises:
        LedgerError: this program has not written it.
    """
    with refuse_damaged("a series"):
        fields = json.loads(body)
        if not isinstance(fields, dict) or not {"account_id", "product"} <= fields.keys():
            raise InvalidRow("it names no account and product")
        return Series.from_body(fields)


def given_up_of(row: Row, series: Series) -> GivenUp:
    """The given-up window of a row of `given_up`.

    Raises:
        LedgerError: this program has not written it.
    """
    with refuse_damaged("a window given up"):
        return GivenUp(
            id=row["id"],
            series=series,
            window=Window.of_epoch(row["window_start"], row["window_end"]),
            report_id=row["report_id"],
            reason=_read_reason(row["reason"]),
            at=from_ms(row["at"]),
            acknowledged=bool(row["acknowledged"]),
        )


# --- events ---------------------------------------------------------------------------------------


def event_facts(event: Event) -> str:
    """What an event says, as JSON; without the link of a file, which lets anybody have that."""
    if isinstance(event, lifecycle.Finished):
        event = replace(event, download_url=None)
    facts = {
        name: value for name in event.__match_args__ if (value := getattr(event, name)) is not None
    }
    facts.pop("file_columns", None)  # the report has it
    if isinstance(columns := facts.get("columns"), ColumnChanges):
        facts["columns"] = columns.as_json
    if "reason" in facts:
        facts["reason"] = reason_text(facts["reason"])
    return _AS_JSON(facts)


def file_facts(report: Report) -> str:
    """The name of a report's file, as JSON."""
    return _AS_JSON({"target": report.target})
