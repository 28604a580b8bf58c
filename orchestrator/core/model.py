"""The values that all packages share: what is asked for, what the API answers, what is stored.

All are frozen. They hold no rule about what is done with them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Self
from zoneinfo import ZoneInfo

from orchestrator.core import products
from orchestrator.core.file_columns import ColumnChanges
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.vonage import FILE_PROMISED, Status
from orchestrator.texts import field_text

FieldValue = str | bool
"""A field of a request: booleans as booleans, everything else as text."""


@dataclass(frozen=True)
class Series:
    """What is asked of the API without dates: account, product, direction and filters.

    Two series are one if their canonical bodies are: `VOICE` counts as `VOICE-CALL`, and a
    field left out counts as given with the API's default. Build it with `Series.of`.
    """

    account_id: str  # 8 characters; the account whose records are asked for
    product: str
    direction: str | None  # ``inbound``, ``outbound``, or None where the request carries none
    # the other fields of the body, defaults filled in, sorted by name
    fields: tuple[tuple[str, FieldValue], ...]

    @classmethod
    def of(
        cls,
        account_id: str,
        product: str,
        direction: str | None = None,
        fields: Mapping[str, FieldValue] = MappingProxyType({}),
    ) -> Series:
        """A series in canonical form."""
        name = products.canonical_name(product)
        values = {**products.defaults(name, direction), **fields}
        return cls(account_id, name, direction, tuple(sorted(values.items())))

    @classmethod
    def from_body(cls, body: Mapping[str, FieldValue]) -> Series:
        """The series whose `body` this is."""
        fields = dict(body)
        account_id, product = str(fields.pop("account_id")), str(fields.pop("product"))
        direction = fields.pop("direction", None)
        return cls.of(account_id, product, None if direction is None else str(direction), fields)

    @cached_property
    def body(self) -> dict[str, FieldValue]:
        """The request body without dates and callback URL."""
        body: dict[str, FieldValue] = {"account_id": self.account_id, "product": self.product}
        if self.direction is not None:
            body["direction"] = self.direction
        body.update(self.fields)
        return body

    @cached_property
    def key(self) -> str:
        """The identity: SHA-256 of the canonical JSON body, in hex."""
        return hashlib.sha256(canonical_json(self.body)).hexdigest()

    @cached_property
    def kind(self) -> str:
        """What it has in common with the like series of other accounts: SHA-256, in hex."""
        body = {name: value for name, value in self.body.items() if name != "account_id"}
        return hashlib.sha256(canonical_json(body)).hexdigest()

    @cached_property
    def filters(self) -> dict[str, FieldValue]:
        """The fields that differ from the API's defaults: what a person would call the filter."""
        defaults = products.defaults(self.product, self.direction)
        return {name: value for name, value in self.fields if defaults.get(name) != value}

    @property
    def includes_subaccounts(self) -> bool:
        """Whether it asks for the records of the account's subaccounts too."""
        return self.body.get("include_subaccounts") is True

    @cached_property
    def filter_id(self) -> str:
        """``all``, or the first 8 hex digits of the SHA-256 of the fields, for a folder's name."""
        if not self.filters:
            return "all"
        return hashlib.sha256(canonical_json(dict(self.fields))).hexdigest()[:8]

    def __str__(self) -> str:
        """For people: ``abcd1234 SMS outbound status=delivered``."""
        parts = [self.account_id, self.product]
        if self.direction:
            parts.append(self.direction)
        parts += [f"{name}={field_text(value)}" for name, value in self.filters.items()]
        return " ".join(parts)


def canonical_json(fields: Mapping[str, FieldValue]) -> bytes:
    """JSON with sorted keys, no white space, UTF-8: equal fields give equal bytes."""
    return json.dumps(
        fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


# --- what the job file says -----------------------------------------------------------------------


class Unit(Enum):
    """A unit of chunk sizes and of relative windows."""

    HOURS = "hours"
    DAYS = "days"
    WEEKS = "weeks"
    MONTHS = "months"


@dataclass(frozen=True, slots=True)
class Span:
    """A number of calendar units, such as ``2 weeks``. For `Unit.HOURS` the count divides 24."""

    count: int
    unit: Unit

    def __str__(self) -> str:
        """As it is written in a job file."""
        word = self.unit.value
        return f"{self.count} {word[:-1] if self.count == 1 else word}"


@dataclass(frozen=True, slots=True)
class AbsoluteWindow:
    """``{from: …, to: …}``; without `end` it goes up to the clip of each run."""

    start: datetime
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class LastWindow:
    """``{last: 7 days}``: whole days, weeks of 7 days or months, up to today's midnight."""

    span: Span


class CalendarWord(Enum):
    """A calendar word, as seen from the job's zone at the moment of the run."""

    YESTERDAY = "yesterday"
    TODAY = "today"
    LAST_WEEK = "last_week"
    THIS_WEEK = "this_week"
    LAST_MONTH = "last_month"
    THIS_MONTH = "this_month"


WindowSpec = AbsoluteWindow | LastWindow | CalendarWord


@dataclass(frozen=True, slots=True)
class JobSeries:
    """One series of a job, and the name of the credentials that ask for it."""

    series: Series
    credentials: str


@dataclass(frozen=True, slots=True)
class Job:
    """A job file, read and expanded."""

    name: str  # the identity of the job: its marks and resolved windows belong to it
    path: Path
    zone: ZoneInfo
    # in the order of the file: accounts outer, products inner; no series twice
    series: tuple[JobSeries, ...]
    windows: tuple[WindowSpec, ...]
    chunk: Span = Span(1, Unit.MONTHS)
    settle: timedelta = timedelta(hours=1)  # how long after their time records may still arrive
    callback_url: str | None = None  # passed on to the API as it is
    # the most records that one report should hold; None: size by time alone
    target_rows: int | None = None
    # what was younger than this when it was asked for is bought once more when it is so old, for
    # statuses that come late; None: nothing is
    refetch: timedelta | None = None


# --- what the API says ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RemoteReport:
    """A report object as the API answered it, whatever its dialect."""

    request_id: str
    status: Status | None  # None where the API used a word that is not known; `status_word` has it
    status_word: str  # the word itself
    # the request's fields as echoed (account_id, product, direction, filters), booleans as
    # booleans, product canonical; without dates and callback URL. Fields that the API left out, or
    # gave as null, are not in it.
    echo: Mapping[str, FieldValue]
    # the echoed start of the window, UTC; None where it is not echoed
    date_start: datetime | None = None
    date_end: datetime | None = None
    received_at: datetime | None = None  # when the API took the request, by its clock
    # rows in the file; means something only when the status is final
    items_count: int | None = None
    download_url: str | None = None  # where the file is; absolute, or relative to the API
    callback_url: str | None = None
    # the fields that are there and cannot be read, each with what is wrong with it; they count as
    # absent. What a proof needs of them is asked for once more.
    unreadable: Mapping[str, str] = field(default_factory=dict)


class ReportList(tuple[RemoteReport, ...]):  # noqa: SLOT001 - a tuple of any length has no slots
    """The reports of a list answer, in its order."""

    # how many the API says that there are; None where it does not say, or unreadably
    said: int | None
    unread: int  # entries that could not be read as a report and are left out

    def __new__(
        cls, reports: Iterable[RemoteReport] = (), said: int | None = None, unread: int = 0
    ) -> Self:
        """A listing of these reports."""
        listing = super().__new__(cls, reports)
        listing.said, listing.unread = said, unread
        return listing


# --- what the ledger holds ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Report:
    """One purchase at the API, as the ledger knows it: a row."""

    id: int
    series: Series
    window: Window
    state: State
    api_key: str  # the key that bought it; never the secret
    job: str  # the name of the job that bought it first
    intended_at: datetime  # when the intent was written, by our clock
    # the server's clock less ours, when the intent was written; zero: unknown
    server_ahead: timedelta = timedelta()
    callback_url: str | None = None  # what was sent along; None if nothing was
    request_id: str | None = None  # the API's name for it; None until it is known
    submitted_at: datetime | None = None  # when the id became known
    ready_at: datetime | None = None  # when we saw it finished
    items_count: int | None = None  # rows that the API says the file has
    download_url: str | None = None  # where the API says the file is
    rows: int | None = None
    size_bytes: int | None = None  # of the published file
    sha256: str | None = None  # of the published file, in hex
    # the published file, relative to the output directory, with forward slashes
    target: str | None = None
    reason: str = ""  # why it is in this state, in words; the API's own where there are any
    changed_at: datetime | None = None  # when the state last changed
    edition: int = 1  # from 1; a higher one was bought on purpose, over a collected report
    # our number of the report whose place it takes once it is collected
    replaces: int | None = None
    finding: str | None = None  # why a person had to accept its file; None where none had to
    columns: ColumnChanges | None = None  # what its file has otherwise than the API sent it
    # `LedgerPoint.changes` since which its file is collected; None: unknown
    collected_change: int | None = None
    removed_change: int | None = None  # the same, since which its file is collected no longer
    source_sha256: str | None = None  # of the archive that its file was made of; None: unknown
    # the number of `LedgerReader.column_list` of its file; None: unknown
    column_list: int | None = None

    @property
    def expires_at(self) -> datetime | None:
        """When the file may be gone: `vonage.FILE_PROMISED` after it was finished.

        We know only when we saw it finished, so the true moment is not later than this.
        """
        return self.ready_at + FILE_PROMISED if self.ready_at else None


@dataclass(frozen=True, slots=True)
class LedgerPoint:
    """Which ledger, and how far it had got when something was written about it."""

    ledger: str  # its identity: random, in hex, for its whole life; a rebuilt ledger keeps it
    generation: int  # from 1; one more each time it was rebuilt
    changes: int  # how many transactions have changed something that a manifest tells
    events: int  # the number of its latest event; 0 before the first
    # a checksum of that event, in hex: two copies of a ledger that went on by themselves have other
    # events under the same number
    last_event: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """What the relative windows of a job have become for one series, over all its runs."""

    windows: tuple[Window, ...] = ()  # normal (sorted, disjoint, not touching)
    # where the latest resolution ended; the next one begins no later than there
    mark: datetime | None = None


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A window that no run asks for until a person says so."""

    id: int
    series: Series
    window: Window
    report_id: int | None
    reason: str
    at: datetime
    acknowledged: bool = False  # the user waived it: it no longer makes a run exit 1


@dataclass(frozen=True, slots=True)
class Failure:
    """A report that came to nothing."""

    window: Window
    # the API cut its file; otherwise it failed, its file was lost, or it is unknown whether it was
    # created
    truncated: bool
    reason: str
    # for a truncated one: a smaller report inside its window has come back complete
    proved: bool = False
    report_id: int | None = None
    # for a truncated one: the records that it is known to have had; None: unknown
    rows: int | None = None
    # for a truncated one: it counts as a purchase. One does not where a person has had a say since,
    # or where all of its window has been collected: it only shapes chunks.
    counts: bool = True


@dataclass(frozen=True, slots=True)
class SeriesState:
    """All that the ledger knows of a series, as one job sees it."""

    resolution: Resolution = Resolution()  # what this job's relative windows have become so far
    # the windows that are not to be bought: of reports that have one, and given up. Normal.
    had: tuple[Window, ...] = ()
    # the reports that came to nothing and still count for what is bought next: the truncated ones,
    # and those that failed since the user last said `--retry-failed`
    failures: tuple[Failure, ...] = ()
    given_up: tuple[GivenUp, ...] = ()  # what no run asks for until it is told to
    disputed: tuple[Report, ...] = ()
    open: int = 0  # number of reports that a run still has work to do for, held ones among them
