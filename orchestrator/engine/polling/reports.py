"""Keeps the reports that somebody waits for, and the groups for which one list answers.

It asks nothing, and does not decide when to poll or whether a list is right.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import anyio

from orchestrator.core.durations import OpenReport
from orchestrator.core.model import RemoteReport, Report
from orchestrator.engine.key_session import KeySession
from orchestrator.engine.polling import parameters
from orchestrator.engine.polling.list_trust import ListTrust
from orchestrator.engine.polling.missing_reports import Gone, LeftOpen, Streak
from orchestrator.engine.polling.schedule import ListedReports, ListHistory, SingleReport
from orchestrator.errors import ApiError

Outcome = RemoteReport | Gone | LeftOpen | ApiError
"""What the waiting for a report may end with."""


@dataclass(slots=True, eq=False)
class PolledReport:
    """A report that somebody waits for. Times are those of the loop; its methods change fields."""

    stored: Report
    request_id: str
    submitted_at: float
    size: float  # how long it will take, compared with most of its product
    seen_open_at: float
    recheck_at: float  # when to poll it by itself although a list shows it open
    # whether it may have ended long ago: an earlier run left it, and it was not seen open since
    is_unseen: bool
    polled_at: float = -math.inf
    # when to poll it by itself, where no list answers for it; not planned yet if that is not after
    # `seen_open_at` and `polled_at`
    next_poll_at: float = -math.inf
    group: PollGroup | None = None  # where it is polled, as that says; None: not any more
    is_in_list: bool = True  # a list answers for it
    was_in_list: bool = False
    # when the API took the request, by its clock, as lists show it
    received_at: datetime | None = None
    polls: int = 0
    not_found: Streak = field(default_factory=Streak)  # the latest polls that were answered by 404
    # the latest polls that said SUCCESS, and lacked what that needs
    incomplete: Streak = field(default_factory=Streak)
    failures: int = 0  # latest polls in a row that had no answer
    callback_pending: bool = False  # whether a callback has come for which it was not polled yet
    polled_by_callback: bool = False  # whether it is being polled because of a callback
    callback_polls: int = 0
    callbacks_muted_until: float = 0.0  # before that no callback has it polled
    outcome: Outcome | None = None  # what its waiting ended with; None: it has not ended
    ended: anyio.Event = field(default_factory=anyio.Event)

    # --- how it stands ----------------------------------------------------------------------------

    def age(self, moment: float) -> float:
        """Seconds since its id was known; negative before that."""
        return moment - self.submitted_at

    def open_at(self, moment: float) -> OpenReport:
        """As it was at a moment, as far as is known."""
        return OpenReport(self.stored.series.product, self.age(moment), self.size)

    @property
    def has_callback(self) -> bool:
        """Whether a callback was asked for with it."""
        return self.stored.callback_url is not None

    @property
    def polls_without_news(self) -> int:
        """How many of the latest polls told nothing: 404, or a SUCCESS that is incomplete."""
        return self.not_found.polls or self.incomplete.polls

    @property
    def last_news_at(self) -> float:
        """When it was last seen open, or polled by itself."""
        return max(self.seen_open_at, self.polled_at)

    def as_single(self) -> SingleReport:
        """What its schedule needs."""
        return SingleReport(
            open=self.open_at(self.last_news_at),
            is_unseen=self.is_unseen and not self.polls,
            has_callback=self.has_callback,
            polls=self.polls,
            polls_without_news=self.polls_without_news,
        )

    # --- what was seen ----------------------------------------------------------------------------

    def was_shown(self) -> None:
        """The API has shown it: it is not missing."""
        if self.not_found.polls:
            self.not_found = Streak()

    def was_listed(self) -> None:
        """A list has shown it."""
        self.was_in_list = True
        self.was_shown()

    def was_received(self, received_at: datetime) -> None:
        """A list has said when the API took it."""
        self.received_at = received_at

    def was_open(self, now: float) -> None:
        """The API has shown it as open."""
        self.is_unseen = False
        self.seen_open_at = now

    def was_polled(self, now: float) -> None:
        """A poll of it is over, whatever came of it."""
        self.polls += 1
        self.polled_at = now
        self.next_poll_at = -math.inf
        pause = max(parameters.RECHECK_AFTER, self.age(now))
        self.recheck_at = max(self.recheck_at, now + pause)

    def was_answered(self) -> None:
        """A poll of it had an answer, if only 404."""
        self.failures = 0

    def was_not_answered(self) -> bool:
        """A poll of it had no answer; returns whether it is time to say so."""
        self.failures += 1
        return self.failures == parameters.WARN_AFTER_FAILURES

    def was_incomplete(self, server_now: datetime | None) -> Streak:
        """A poll of it said SUCCESS, and lacked what that needs; returns all such polls."""
        self.incomplete.count(server_now, anyio.current_time())
        return self.incomplete

    def was_not_final(self) -> None:
        """A poll of it said that it has not ended."""
        self.incomplete = Streak()

    # --- what follows -----------------------------------------------------------------------------

    def plan(self, next_poll_at: float) -> None:
        """Is polled by itself at this time, where no list answers for it."""
        self.next_poll_at = next_poll_at

    def leave_list(self) -> None:
        """No list answers for it any more."""
        self.is_in_list = False

    def finish(self, outcome: Outcome) -> None:
        """Wakes whoever waits for it; it is not polled any more."""
        if self.ended.is_set():
            return
        self.outcome = outcome
        self.ended.set()
        self.stop()

    def assign(self, group: PollGroup | None) -> None:
        """Is polled in this group from now on; for `PollGroup` alone."""
        self.group = group

    def stop(self) -> None:
        """Is not polled any more."""
        if self.group is not None:
            self.group.drop(self)

    def take_callback(self) -> bool:
        """A callback has come; returns whether it is news."""
        is_news = not self.callback_pending and not self.ended.is_set()
        self.callback_pending = self.callback_pending or is_news
        return is_news

    def begin_callback_poll(self, muted_until: float) -> None:
        """Is polled now because of a callback; further ones wait."""
        self.callback_pending = False
        self.polled_by_callback = True
        self.callbacks_muted_until = muted_until
        self.callback_polls += 1

    def end_callback_poll(self) -> None:
        """Has been polled because of a callback."""
        self.polled_by_callback = False


class PollGroup:
    """The reports for which one list answers; without a list, each is polled by itself.

    Args:
        account: the account whose list is asked; None: no list is of use.
    """

    def __init__(self, session: KeySession, account: str | None, jitter: float) -> None:
        now = anyio.current_time()
        self.session = session
        self.account = account
        self.reports: dict[str, PolledReport] = {}
        self.trust = ListTrust(now)
        self.history = ListHistory()
        self.jitter = jitter  # of the pause until the list is asked for again, in [0, 1)
        self.list_polled_at = now
        self._list_at = math.inf
        self._next_at: float | None = None
        self._planned_at = 0.0
        self._changed = anyio.Event()

    # --- its reports ------------------------------------------------------------------------------

    def add(self, report: PolledReport) -> None:
        """Has a report polled here, and nowhere else."""
        if report.group is self:
            return
        # A new plan for each new report would cost too much: the next plan counts them.
        is_urgent = report.group is not None or report.is_unseen or len(self.reports) <= 1
        report.stop()
        if len(self.reports) == 1:  # the other one was polled by itself so far
            (other,) = self.reports.values()
            self.list_polled_at = max(self.list_polled_at, other.seen_open_at)
        report.assign(self)
        self.reports[report.request_id] = report
        if is_urgent:
            self._replan()

    def drop(self, report: PolledReport) -> None:
        """Polls a report no longer."""
        report.assign(None)
        self.reports.pop(report.request_id, None)
        if len(self.reports) <= 1:  # none is left, or one that is polled by itself
            self._replan()

    def in_list(self) -> list[PolledReport]:
        """The reports for which a list is asked.

        A lone report is polled by itself, unless such polls have no answer: the list may have one.
        """
        if self.account is None:
            return []
        listed = [report for report in self.reports.values() if report.is_in_list]
        if len(listed) > 1 or any(report.failures > 1 for report in listed):
            return listed
        return []

    def alone(self) -> Iterator[PolledReport]:
        """The other reports."""
        uses_list = bool(self.in_list())
        return (report for report in self.reports.values() if not (uses_list and report.is_in_list))

    def as_listed(self, listed: Sequence[PolledReport]) -> ListedReports:
        """What the schedule needs of these reports; at least one."""
        sample = listed[:: 1 + len(listed) // parameters.SAMPLE_SIZE]
        return ListedReports(
            number=len(listed),
            unseen=sum(report.is_unseen for report in listed),
            have_callbacks=all(report.has_callback for report in listed),
            sample=[report.open_at(self.list_polled_at) for report in sample],
        )

    # --- its plan ---------------------------------------------------------------------------------

    def list_was_polled(self, jitter: float) -> None:
        """The list has been asked for, whatever came of it."""
        self.list_polled_at = anyio.current_time()
        self.jitter = jitter
        self._next_at = None

    def needs_plan(self, now: float, longest: float) -> bool:
        """Whether there is no plan, or one that is older than `longest` seconds."""
        return self._next_at is None or now - self._planned_at >= longest

    def plan(self, now: float, list_at: float, next_at: float) -> None:
        """Asks for the list at `list_at`, and for something at `next_at` at the earliest."""
        self._planned_at = now
        self._list_at = list_at
        self._next_at = next_at

    def seconds_left(self, now: float) -> float:
        """Seconds until something is to be polled, as planned."""
        return math.inf if self._next_at is None else self._next_at - now

    def is_list_due(self, now: float) -> bool:
        """Whether the list is to be asked for, as planned."""
        return self._list_at <= now

    def forget_plan(self) -> None:
        """Plans anew before anything else is polled."""
        self._next_at = None

    async def change_within(self, seconds: float) -> None:
        """Waits until a new plan is needed, for at most so long."""
        self._changed = anyio.Event()
        with anyio.move_on_after(seconds):
            await self._changed.wait()

    def _replan(self) -> None:
        self.forget_plan()
        self._changed.set()
