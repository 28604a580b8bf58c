"""One report as the world knows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.simulator.records.source import Query
    from orchestrator.simulator.requests import Request


class Phase(Enum):
    """How far the work on a report has come."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    ENDED = "ENDED"


@dataclass(frozen=True, slots=True)
class CallbackQuirk:
    """What is wrong with a report's callback: how often, how late in seconds, and a forged one."""

    copies: int = 1
    late: float = 0.0
    forged: str | None = None


@dataclass(slots=True)
class ReportFaults:
    """What a fault makes of a report or of one download of it.

    Attributes:
        outcome: the status word it ends with, known to the API's documents or not.
        stuck: the phase that it never leaves.
        cut_to: records in its file at most, where it is ``TRUNCATED`` by a fault.
        uncounted: no answer has an `items_count`.
        unlisted: no list shows it.
        count_by: added to `items_count` in every answer.
        echo: fields echoed with another value.
        wrong_crc: the archive's checksum is not that of its content.
        keep: the share of the archive that is there; None is all of it.
        gone: the download link answers 404.
        part: how a request for a part of the file is answered wrongly.
        evil: the name of another way to build the archive.
        oddity: the name of another way to write the CSV.
        link: the form of the link to the file, or the link itself.
        hidden: its id answers 404, from so many seconds after its request on for so long.
        hidden_in_lists: lists do not show it either meanwhile.
        late_file: its file answers 404 for so many seconds after its end.
        signed: each answer has a link of its own, good for so many seconds; and the HTTP status
            of a link that is no longer good.
        keeps_on: a cancel of it changes nothing, whatever it answers.
        cancelled_after: seconds from the request until somebody else cancels it.
        callback: what is wrong with its callback.
    """

    outcome: str | None = None
    stuck: Phase | None = None
    cut_to: int | None = None
    uncounted: bool = False
    unlisted: bool = False
    count_by: int = 0
    echo: dict[str, str | bool] = field(default_factory=dict)
    wrong_crc: bool = False
    keep: float | None = None
    gone: bool = False
    part: str | None = None
    evil: str | None = None
    oddity: str | None = None
    link: str | None = None
    hidden: tuple[float, float] = (0.0, 0.0)
    hidden_in_lists: bool = False
    late_file: float = 0.0
    signed: tuple[float, int] | None = None
    keeps_on: bool = False
    cancelled_after: float | None = None
    callback: CallbackQuirk = CallbackQuirk()

    def joined(self, other: ReportFaults) -> ReportFaults:
        """Both at once, where a download meets faults of its own."""
        return ReportFaults(
            wrong_crc=self.wrong_crc or other.wrong_crc,
            keep=other.keep if other.keep is not None else self.keep,
            gone=self.gone or other.gone,
            part=other.part or self.part,
            evil=other.evil or self.evil,
            oddity=other.oddity or self.oddity,
        )


@dataclass(slots=True, eq=False)
class Report:
    """A report, from its request to the day nobody remembers it.

    Attributes:
        number: counts the world's reports from 0.
        key: the API key that asked.
        query: the records asked for; narrowed to those that were there when work began.
        created, started, ended: seconds since 1970 by the world's clock.
        duration: how long it is ``PROCESSING``, in seconds.
        word: the final status; None until it is known.
        rows: records in its file; None until they are counted.
        style: picks a dialect where the world mixes them.
        stranger: somebody else with the same key asked for it.
        aborted: somebody else has cancelled it.
        shown: its status and its object in JSON, as it was answered last.
    """

    number: int
    request_id: str
    file_id: str
    key: str
    request: Request
    query: Query
    created: float
    duration: float
    style: int
    phase: Phase = Phase.PENDING
    started: float | None = None
    ended: float | None = None
    word: str | None = None
    rows: int | None = None
    report_faults: ReportFaults = field(default_factory=ReportFaults)
    stranger: bool = False
    aborted: bool = False
    shown: tuple[str, bytes] = ("", b"")

    def is_hidden(self, now: float) -> bool:
        """Whether its id answers 404 at a moment, in seconds since 1970."""
        after, seconds = self.report_faults.hidden
        return after <= now - self.created < after + seconds

    def is_unlisted(self, now: float) -> bool:
        """Whether no list shows it at a moment, in seconds since 1970."""
        return self.report_faults.unlisted or (
            self.report_faults.hidden_in_lists and self.is_hidden(now)
        )

    @property
    def status(self) -> str:
        """The status word. An ended report must have been settled."""
        if self.phase is not Phase.ENDED:
            return self.phase.name
        assert self.word is not None
        return self.word

    @property
    def needs_settling(self) -> bool:
        """Whether its work has ended but nobody has counted its records yet."""
        return self.phase is Phase.ENDED and self.word is None

    @property
    def has_file(self) -> bool:
        """Whether there is something to download; settled reports only."""
        return self.word in ("SUCCESS", "TRUNCATED")

    @property
    def file_name(self) -> str:
        """The CSV's name in the archive."""
        day = moment(self.created).strftime("%Y%m%d")
        return f"report_{self.request.product}_{self.request.account_id}_{day}.csv"

    @property
    def archive_name(self) -> str:
        """The archive's name, as downloads carry it."""
        return f"{self.request.product}_{self.request_id}.zip"


@dataclass(frozen=True, slots=True)
class Charge:
    """What one report or one synchronous query was charged for.

    Attributes:
        rows: records in the file or the page.
        charged: records to pay for: `rows`, or 0 where the product is free.
    """

    request_id: str
    key: str
    account_id: str
    product: str
    body: Mapping[str, str | bool]
    date_start: datetime
    date_end: datetime
    rows: int
    charged: int
    status: str


def moment(epoch: float) -> datetime:
    """Seconds since 1970 as a moment in UTC."""
    return datetime.fromtimestamp(epoch, UTC)
