"""Reports of which looks tell nothing: 404 to their ids, or a SUCCESS that lacks its link.

Neither is an end by itself. They are looked at ever more rarely, and then left to the next run,
unless something proves that a report is no more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

from orchestrator.core import lifespans, vonage
from orchestrator.core.commands import pay_or_skip
from orchestrator.core.lifespans import NotFoundRow
from orchestrator.core.local_dates import chunk_text
from orchestrator.core.matching import is_of_account
from orchestrator.core.ports import Priority
from orchestrator.errors import ApiError

if TYPE_CHECKING:
    from datetime import datetime

    from orchestrator.core.model import Report
    from orchestrator.core.proofs import Proof
    from orchestrator.engine.key_session import KeySession

_NOTHING: Final = timedelta()
_LEAST_LIFE: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Gone:
    """A report that is proved to be no more.

    Attributes:
        reason: what was seen, in words.
        proof: what entitles us to buy its window again.
    """

    reason: str
    proof: Proof


@dataclass(frozen=True, slots=True)
class LeftOpen:
    """A report that is left to the next run: what was seen, and what a person can do, in words.

    No words: it has been said already of all reports of the key.
    """

    words: str


@dataclass(slots=True)
class Row:
    """Looks in an unbroken row that told the same nothing.

    Attributes:
        looks: how many.
        since: the first, by the API's clock; None: it has told no time.
        since_loop: the first, by the loop's clock.
        latest: the last, by the API's clock.
        after_its_life: how many came after the report's life was over.
    """

    looks: int = 0
    since: datetime | None = None
    since_loop: float = 0.0
    latest: datetime | None = None
    after_its_life: int = 0

    def count(self, now: datetime | None) -> None:
        """One more, at a moment of the API's clock."""
        if not self.looks:
            self.since_loop = anyio.current_time()
        self.looks += 1
        self.since = self.since or now
        self.latest = now

    @property
    def lasted(self) -> timedelta | None:
        """From the first to the last, by the API's clock; None: it has told no time."""
        if self.since is None or self.latest is None:
            return None
        return self.latest - self.since

    @property
    def is_long(self) -> bool:
        """Whether this run has looked long enough."""
        return self.looks >= lifespans.UNKNOWN_LOOKS and (
            self.lasted is not None and self.lasted >= lifespans.UNKNOWN_FOR
        )

    def words(self) -> str:
        """How long, in words: ``for 1:02:00 (17 looks)``."""
        seconds = timedelta(seconds=round((self.lasted or _NOTHING).total_seconds()))
        return f"for {seconds} ({self.looks} look{'s' if self.looks > 1 else ''})"


def is_forgotten(report: Report, session: KeySession, received_at: datetime | None = None) -> bool:
    """Whether the lives of a report, and of its file if it ever had one, are over by now.

    Args:
        report: whose.
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
    return max(finished + vonage.FILE_PROMISED - now, _LEAST_LIFE)


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


class MissingReports:
    """Judges rows of 404s; remembers when each key was last shown a report."""

    def __init__(self) -> None:
        self._shown: dict[str, float] = {}

    def showed(self, session: KeySession) -> None:
        """The API has just shown a report of the key."""
        self._shown[session.api_key] = anyio.current_time()

    async def judge(
        self, report: Report, row: Row, received_at: datetime | None, session: KeySession
    ) -> Gone | LeftOpen | None:
        """What follows from one more 404; it is counted here.

        Args:
            report: whose id was answered so.
            row: the 404s so far, this one not among them.
            received_at: when the API took the report, as lists have shown it.
            session: of the key that asked.

        Returns:
            None: it is looked at again.
        """
        row.count(session.api.server_now())
        row.after_its_life += is_forgotten(report, session, received_at)
        if blind := session.may_not_see(report):
            return LeftOpen(blind) if row.looks >= lifespans.LAST_LOOKS else None
        lasted = row.lasted
        if lasted is not None and not session.api.is_local:  # one wrong `Date` makes no hour
            lasted = min(lasted, timedelta(seconds=anyio.current_time() - row.since_loop))
        found = NotFoundRow(
            looks=row.looks,
            lasted=lasted,
            after_its_life=row.after_its_life,
            was_finished=report.ready_at is not None,
            others_shown=self._shown.get(session.api_key, -1.0) >= row.since_loop,
        )
        proof = lifespans.proof_of_loss(found)
        if proof is None and found.is_long:
            lacks = await self._lists_lack(report, session)
            shown = found.others_shown or lacks
            proof = lifespans.proof_of_loss(replace(found, others_shown=shown, list_lacks_it=lacks))
        if proof is not None:
            return Gone(f"the API answers 404 to its id {row.words()}: {proof.value}", proof)
        return LeftOpen(_left(report, row)) if found.is_long else None

    async def _lists_lack(self, report: Report, session: KeySession) -> bool:
        """Whether a list that covers the moment of the create lacks a report, and none shows it."""
        readings = (report.server_ahead, session.api.server_ahead)
        earliest = report.intended_at + min(readings)
        latest = lifespans.by_the_api(report.intended_at, *readings)
        account = report.series.account_id
        is_covered = False
        for asked in dict.fromkeys((account, report.api_key)):
            request = partial(
                session.api.list, asked, vonage.ALL_STATUSES, earliest - vonage.LIST_REACH
            )
            try:
                listed = await session.turn(request, Priority.POLL)
            except ApiError:
                continue
            if any(remote.request_id == report.request_id for remote in listed):
                return False
            if listed.unread:
                continue  # one of what cannot be read may be it
            shown = (one.received_at for one in listed if is_of_account(report, one, asked))
            is_covered |= lifespans.covers(shown, earliest, latest)
        return is_covered


def _left(report: Report, row: Row) -> str:
    seen = f"has answered 404 to its id {row.words()}, which does not prove that it is gone"
    return _stays_open(report, seen)


def left_without_link(report: Report, row: Row) -> str:
    """The words for a report that says SUCCESS, and gives no link, for long."""
    return _stays_open(report, f"says SUCCESS and gives no link to a file {row.words()}")


def _stays_open(report: Report, seen: str) -> str:
    return (
        f"report {report.request_id} ({chunk_text(report)}): the API {seen}; it stays "
        f"open, and the next run looks again. {pay_or_skip(report.id)}"
    )
