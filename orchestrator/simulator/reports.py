"""One simulated report: its phases, its faults, and what the seed decides about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.simulator.records.source import Query
    from orchestrator.simulator.requests import Request
    from orchestrator.simulator.settings import Settings


class Phase(Enum):
    """How far the work on a report has come."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    ENDED = "ENDED"


@dataclass(frozen=True, slots=True)
class CallbackFault:
    """What is wrong with a report's callback.

    Attributes:
        copies: how often it is sent.
        late: seconds of the loop from the report's end until it is sent.
        forged: the status that a further, forged callback claims; None is no such callback.
    """

    copies: int = 1
    late: float = 0.0
    forged: str | None = None


@dataclass(slots=True)
class ReportFaults:
    """What faults have made of a report, or of one download of it.

    Attributes:
        outcome: the status it ends with, whether the API documents it or not.
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
        archive_form: the name of another way to build the archive.
        csv_form: the name of another way to write the CSV.
        link: the form of the link to the file, or the link itself.
        hidden: its id answers 404: from how many seconds after its create, for how many seconds.
        hidden_in_lists: lists do not show it either meanwhile.
        late_file: for how many seconds after its end its file answers 404.
        signed: for how many seconds the link of each answer is valid, and the HTTP status of a
            link that is no longer valid; None is one link for good.
        keeps_on: a cancel is answered with success and changes nothing.
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
    archive_form: str | None = None
    csv_form: str | None = None
    link: str | None = None
    hidden: tuple[float, float] = (0.0, 0.0)
    hidden_in_lists: bool = False
    late_file: float = 0.0
    signed: tuple[float, int] | None = None
    keeps_on: bool = False
    cancelled_after: float | None = None
    callback: CallbackFault = CallbackFault()

    def joined(self, other: ReportFaults) -> ReportFaults:
        """Combines them with the faults of one download."""
        return ReportFaults(
            wrong_crc=self.wrong_crc or other.wrong_crc,
            keep=other.keep if other.keep is not None else self.keep,
            gone=self.gone or other.gone,
            part=other.part or self.part,
            archive_form=other.archive_form or self.archive_form,
            csv_form=other.csv_form or self.csv_form,
        )


@dataclass(slots=True, eq=False)
class Report:
    """One simulated report.

    Attributes:
        number: counts the world's reports from 0.
        key: the API key that created it.
        query: the records it covers; narrowed to those that existed when processing began.
        created, started, ended: seconds since 1970 by the world's clock.
        duration: how long it is ``PROCESSING``, in seconds.
        word: the final status; None until it is known.
        rows: records in its file; None until they are counted.
        style: picks a dialect where the world mixes them.
        stranger: somebody else than the client under test created it.
        aborted: somebody else cancelled it.
        shown: its status and its object in JSON, as last answered.
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


class SeededRandom:
    """Draws the ids, durations and styles of one world's reports from its seed.

    Args:
        settings: the world's.
        began: when the world began, in seconds since 1970: part of every id.
    """

    def __init__(self, settings: Settings, began: float) -> None:
        self._settings = settings
        self._began = began

    def _drawn(self, purpose: str, number: int) -> bytes:
        return blake2b(
            f"{self._settings.seed}:{purpose}:{number}".encode(), digest_size=16
        ).digest()

    def style(self, number: int) -> int:
        """A number from 0 to 255; picks a dialect where the world mixes them."""
        return self._drawn("style", number)[0]

    def uuid(self, purpose: str, number: int) -> str:
        """An id; another world, or the same one begun at another moment, gives another."""
        text = self._drawn(f"{self._settings.salt}:{self._began}:{purpose}", number).hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def duration(self, rows: float, number: int) -> float:
        """How many seconds a report of about `rows` records is processed."""
        settings = self._settings
        mean = (
            settings.processing_time.total_seconds()
            + settings.processing_time_per_row.total_seconds() * rows
        )
        drawn = int.from_bytes(self._drawn("duration", number)[:4], "big") / 2**32
        return mean * (1 + settings.processing_jitter * (2 * drawn - 1))


def moment(epoch: float) -> datetime:
    """Seconds since 1970 as a moment in UTC."""
    return datetime.fromtimestamp(epoch, UTC)
