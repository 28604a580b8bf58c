"""Judges reports of which polls tell nothing: 404 to their ids, or a SUCCESS that lacks its link.

Neither is an end by itself. They are polled ever more rarely, and then left to the next run,
unless something proves that a report is gone. Nothing here asks the API.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from orchestrator.core import lifespans, vonage
from orchestrator.core.commands import pay_or_skip
from orchestrator.core.lifespans import NotFoundRow
from orchestrator.core.local_dates import chunk_text
from orchestrator.core.model import Report
from orchestrator.core.proofs import Proof
from orchestrator.engine.key_session import KeySession

_NO_TIME: Final = timedelta()
_MIN_LIFE_LEFT: Final = timedelta(hours=1)
"""Time that a file is tried after the vendor's promise is over: it may still be there."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A report that is proved to be gone."""

    reason: str
    proof: Proof


@dataclass(frozen=True, slots=True)
class LeftOpen:
    """A report that is left to the next run."""

    # what was seen, and what a person can do; empty: it has been said already of all reports of the
    # key
    warning: str


@dataclass(slots=True)
class Streak:
    """Polls of one report in a row that told the same nothing."""

    polls: int = 0
    since: datetime | None = None  # the first, by the API's clock; None: it has told no time
    since_loop: float = 0.0  # the first, by the loop's clock
    latest: datetime | None = None
    after_its_life: int = 0  # how many came after the report's life was over

    def count(self, server_now: datetime | None, now: float, *, is_over: bool = False) -> None:
        """Counts one more."""
        if not self.polls:
            self.since_loop = now
        self.polls += 1
        self.since = self.since or server_now
        self.latest = server_now
        self.after_its_life += is_over

    @property
    def lasted(self) -> timedelta | None:
        """From the first to the last, by the API's clock; None: it has told no time."""
        if self.since is None or self.latest is None:
            return None
        return self.latest - self.since

    @property
    def is_long(self) -> bool:
        """Whether this run has polled the report long enough."""
        return self.polls >= lifespans.UNKNOWN_LOOKS and (
            self.lasted is not None and self.lasted >= lifespans.UNKNOWN_FOR
        )

    def text(self) -> str:
        """How long, in words: ``for 1:02:00 (17 looks)``."""
        seconds = timedelta(seconds=round((self.lasted or _NO_TIME).total_seconds()))
        return f"for {seconds} ({self.polls} look{'s' if self.polls > 1 else ''})"


def is_forgotten(report: Report, session: KeySession, received_at: datetime | None = None) -> bool:
    """Whether the lives of a report, and of its file if it ever had one, are over by now.

    Args:
        session: of its key; the API's clock counts, and of several readings the latest.
        received_at: when the API took it, as the API itself has said.
    """
    now = session.api.server_now()
    if now is None:
        return False
    submitted = _reading(report.submitted_at or report.intended_at, report, session)
    if received_at is not None and received_at <= now:
        submitted = max(submitted, received_at)
    return lifespans.is_report_life_over(submitted, now) and (
        report.ready_at is None or is_file_gone(report, session, received_at)
    )


def is_file_gone(report: Report, session: KeySession, received_at: datetime | None = None) -> bool:
    """Whether the life of a finished report's file is over by now; arguments as above."""
    now = session.api.server_now()
    if now is None or report.ready_at is None:
        return False
    finished = _reading(report.ready_at, report, session)
    if received_at is not None and received_at <= now:
        finished = max(finished, received_at)
    return lifespans.is_file_life_over(finished, now)


def life_left(report: Report, session: KeySession) -> timedelta:
    """For how long a report's file can still be had, as far as the vendor promises it.

    Afterwards a short time, as long as it is tried all the same.
    """
    now = session.api.server_now()
    if now is None or report.ready_at is None:
        return vonage.FILE_PROMISED
    finished = _reading(report.ready_at, report, session)
    return max(finished + vonage.FILE_PROMISED - now, _MIN_LIFE_LEFT)


def _reading(ours: datetime, report: Report, session: KeySession) -> datetime:
    """A moment of a report's past by the API's clock."""
    api = session.api
    now = api.server_now()
    is_known = bool(report.server_ahead)  # exactly zero: it was asked for before any answer came
    if api.is_local and is_known and now is not None:
        return lifespans.by_a_fast_clock(
            ours,
            report.intended_at,
            report.server_ahead,
            now - api.server_ahead,
            api.server_ahead,
        )
    return lifespans.by_the_api(ours, report.server_ahead, api.server_ahead)


def judge(report: Report, streak: Streak, row: NotFoundRow) -> Gone | LeftOpen | None:
    """What follows from a streak of 404s; None: the report is polled again."""
    proof = lifespans.proof_of_loss(row)
    if proof is not None:
        reason = f"the API answers 404 to its id {streak.text()}: {proof.value}"
        return Gone(reason, proof)
    if not row.is_long:
        return None
    seen = f"has answered 404 to its id {streak.text()}, which does not prove that it is gone"
    return _stays_open(report, seen)


def left_without_link(report: Report, streak: Streak) -> LeftOpen:
    """What becomes of a report that has said SUCCESS, and given no link, for long."""
    return _stays_open(report, f"says SUCCESS and gives no link to a file {streak.text()}")


def _stays_open(report: Report, seen: str) -> LeftOpen:
    return LeftOpen(
        f"report {report.request_id} ({chunk_text(report)}): the API {seen}; it stays "
        f"open, and the next run looks again. {pay_or_skip(report.id)}"
    )
