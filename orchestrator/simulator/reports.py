"""One simulated report: its phases, its faults, and what the seed decides about it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from hashlib import blake2b

from orchestrator.simulator.faults.model import FaultOfReport, KindOfReport, first_of
from orchestrator.simulator.faults.reports import Hidden, Unlisted
from orchestrator.simulator.records.source import Query
from orchestrator.simulator.requests import Request
from orchestrator.simulator.settings import Settings


class Phase(Enum):
    """How far the work on a report has come."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    ENDED = "ENDED"


@dataclass(slots=True, eq=False)
class Report:
    """One simulated report."""

    number: int  # counts the world's reports from 0
    request_id: str
    file_id: str
    key: str  # the API key that created it
    request: Request
    query: Query  # the records it covers; narrowed to those that existed when processing began
    # created, started, ended: seconds since 1970 by the world's clock
    created: float
    duration: float  # how long it is `PROCESSING`, in seconds
    style: int  # picks a dialect where the world mixes them
    phase: Phase = Phase.PENDING
    started: float | None = None
    ended: float | None = None
    final_status: str | None = None  # None until it is settled
    rows: int | None = None  # records in its file; None until they are counted
    faults: list[FaultOfReport] = field(default_factory=list)  # what is wrong with it
    stranger: bool = False  # somebody else than the client under test created it
    aborted: bool = False  # somebody else cancelled it
    shown: tuple[str, bytes] = ("", b"")  # its status and its object in JSON, as last answered

    def fault(self, kind: type[KindOfReport]) -> KindOfReport | None:
        """The report's fault of this kind; None where it has none."""
        return first_of(self.faults, kind) if self.faults else None

    def is_hidden(self, now: float) -> bool:
        """Whether its id answers 404 at a moment, in seconds since 1970."""
        hidden = self.fault(Hidden)
        age = now - self.created
        return hidden is not None and hidden.late <= age < hidden.late + hidden.seconds

    def is_unlisted(self, now: float) -> bool:
        """Whether no list shows it at a moment, in seconds since 1970."""
        hidden = self.fault(Hidden)
        return self.fault(Unlisted) is not None or (
            hidden is not None and not hidden.listed and self.is_hidden(now)
        )

    @property
    def status(self) -> str:
        """The status word. An ended report must have been settled."""
        if self.phase is not Phase.ENDED:
            return self.phase.name
        assert self.final_status is not None
        return self.final_status

    @property
    def needs_settling(self) -> bool:
        """Whether its work has ended but its records are not counted yet."""
        return self.phase is Phase.ENDED and self.final_status is None

    @property
    def has_file(self) -> bool:
        """Whether there is something to download; settled reports only."""
        return self.final_status in ("SUCCESS", "TRUNCATED")

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
