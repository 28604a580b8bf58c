"""Polls lists and single reports, and ends the waiting for reports that are final.

Nothing else asks whether reports have ended at the API (`engine.collecting` asks how a finished one
stands, `engine.reconcile` looks for one that may not be there, `engine.cancel` asks until a cancel
has taken effect). A list is believed that a report is open, until a poll of the report by itself
says otherwise; and that it has ended well, if all is there that the ending needs. Whatever would
cost money is asked again. A 404 for a report, and a SUCCESS without a link, are no ends: see
`engine.polling.missing_reports`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Final

import anyio

from orchestrator.core import coverage, echo, lifespans, policy, vonage
from orchestrator.core.commands import pay_or_skip
from orchestrator.core.durations import ReportDuration
from orchestrator.core.lifespans import NotFoundRow
from orchestrator.core.matching import is_of_account
from orchestrator.core.model import RemoteReport, Report
from orchestrator.core.ports import Priority
from orchestrator.core.vonage import ALL_STATUSES, Status
from orchestrator.engine import outcomes
from orchestrator.engine.context import RunContext
from orchestrator.engine.key_session import KeySession
from orchestrator.engine.polling import missing_reports, parameters
from orchestrator.engine.polling.groups import PollGroups
from orchestrator.engine.polling.list_trust import NOTHING_ANY_MORE, Advice, Verdict
from orchestrator.engine.polling.missing_reports import LeftOpen
from orchestrator.engine.polling.reports import PolledReport, PollGroup
from orchestrator.engine.polling.schedule import PollSchedule
from orchestrator.errors import ApiError, NotFound, Unauthorized

_EMPTY_SECONDS: Final = lifespans.EMPTY_FOR.total_seconds()


class Poller:
    """Asks the API about reports, and finishes those that have ended."""

    def __init__(self, context: RunContext, groups: PollGroups, schedule: PollSchedule) -> None:
        self._context = context
        self._groups = groups
        self._schedule = schedule
        self._jitter = context.jitter
        self._server_ahead: dict[str, timedelta] = {}
        self._shown_at: dict[str, float] = {}
        self._unknown_statuses: set[str] = set()

    # --- lists ------------------------------------------------------------------------------------

    async def poll_list(self, group: PollGroup, priority: Priority) -> list[PolledReport]:
        """Asks for the list; returns the reports that are to be polled by themselves now."""
        listed = group.in_list()
        if not listed:
            return []
        assert group.account is not None
        since = self._since(group, listed)
        ids = {report.request_id for report in listed} | group.trust.compared.keys()
        asked_at = anyio.current_time()
        request = partial(group.session.api.list, group.account, ALL_STATUSES, since, only=ids)
        try:
            answer = await group.session.turn(request, priority)
        except ApiError as error:
            group.list_was_polled(self._jitter())
            if group.session.silent:
                self._leave_open(listed)
            else:
                await self._list_failed(group, error)
            return []
        now = anyio.current_time()
        expected = self._schedule.expected_ends(group.as_listed(listed), now - group.list_polled_at)
        group.list_was_polled(self._jitter())
        remotes = {remote.request_id: remote for remote in answer}
        if remotes:
            self._shown_at[group.session.api_key] = now
        # Those whose waiting ended meanwhile, or who are polled elsewhere by now, do not count.
        listed = [report for report in listed if report.group is group]
        if _is_suddenly_empty(group, listed, remotes):
            self._heed(group, group.trust.failed(NOTHING_ANY_MORE))
            return listed[:1]
        finals = {remote.request_id: outcomes.is_final(remote) for remote in answer}
        group.trust.answered(finals, asked_at)
        to_poll, still_open, ended = self._read(group, listed, remotes)
        group.history.polled(expected, ended)
        to_poll += self._handle_missing(
            group, [report for report in listed if report.request_id not in remotes]
        )
        is_quiet = group.history.polls_without_end > 1 and not self._schedule.callbacks_are_reliable
        verdict = group.trust.verdict(now, is_quiet=is_quiet)
        self._heed(group, verdict)
        if verdict.advice is Advice.CHECK_ONE and still_open:
            overdue = max(still_open, key=lambda report: report.age(now) / report.size)
            if overdue not in to_poll:
                to_poll.append(overdue)
        return to_poll

    def _since(self, group: PollGroup, listed: Sequence[PolledReport]) -> datetime:
        """From when on the list must reach, by the API's clock."""
        learned = self._server_ahead.get(group.session.api_key)
        now_ahead = group.session.api.server_ahead
        moments = [moment for moment in group.trust.compared.values() if moment is not None]
        for report in listed:
            if report.received_at is not None:
                moments.append(report.received_at)
                continue
            ahead = min(now_ahead, report.stored.server_ahead)
            if learned is not None:
                ahead = min(ahead, learned)
            moments.append(report.stored.intended_at + ahead)
        slack = coverage.CLOCK_SLACK if learned is None else parameters.LIST_TIME_SLACK
        return min(moments) - slack

    def _read(
        self,
        group: PollGroup,
        listed: Sequence[PolledReport],
        remotes: Mapping[str, RemoteReport],
    ) -> tuple[list[PolledReport], list[PolledReport], int]:
        """Takes what a list shows: what to poll by itself, what is open, how many ended."""
        assert group.account is not None
        to_poll: list[PolledReport] = []
        still_open: list[PolledReport] = []
        ended = 0
        now = group.list_polled_at
        for report in listed:
            remote = remotes.get(report.request_id)
            if remote is None:
                continue
            group.trust.showed(1)
            report.was_listed()
            self._groups.source(report, group.session).showed(group.account)
            if report.received_at is None and remote.received_at is not None:
                self._learn_clock(group.session, report, remote.received_at)
            if outcomes.is_final(remote):
                ended += 1
                if _is_complete(report, remote):
                    self._take(report, remote, now, ended=True)
                elif not report.polls_without_news:  # else its polls tell nothing, and are planned
                    group.trust.showed_unconfirmed_end(report.request_id)
                    to_poll.append(report)
            else:
                self._take(report, remote, now, ended=False)
                still_open.append(report)
        doubtful = (report for report in still_open if now >= report.recheck_at)
        to_poll += islice(doubtful, parameters.MAX_RECHECKS)
        return to_poll, still_open, ended

    def _learn_clock(
        self, session: KeySession, report: PolledReport, received_at: datetime
    ) -> None:
        report.was_received(received_at)
        ahead = received_at - report.stored.intended_at
        learned = self._server_ahead.get(session.api_key)
        self._server_ahead[session.api_key] = ahead if learned is None else min(learned, ahead)

    def _handle_missing(
        self, group: PollGroup, lacking: Sequence[PolledReport]
    ) -> list[PolledReport]:
        """What follows from reports that the list lacks; those to be polled by themselves."""
        assert group.account is not None
        now = group.list_polled_at
        by_account: dict[str, list[PolledReport]] = {}
        for report in lacking:
            by_account.setdefault(report.stored.series.account_id, []).append(report)
        to_poll: list[PolledReport] = []
        for reports in by_account.values():
            source = self._groups.source(reports[0], group.session)
            due = [report for report in reports if report.age(now) >= parameters.LIST_DELAY]
            if source.is_proven:
                # They should be there, and are not: whatever the reason, they must not be lost.
                group.trust.lacked(len(due))
                for report in due:
                    report.leave_list()
                to_poll += due
                continue
            source.showed_nothing(group.account, len(due), now)
            to_poll += [
                report for report in due if now - report.polled_at >= parameters.LIST_DELAY
            ] or reports[:1]
            if source.account is None:
                self._groups.tell(reports[0], "they show none of its reports")
        if lacking:
            self._groups.sort(list(group.reports.values()), group.session)
        return to_poll

    async def _list_failed(self, group: PollGroup, error: ApiError) -> None:
        """A list could not be had: if a report can be polled, it is the list's own fault."""
        reason = f"they cannot be had ({error})"
        if not policy.is_retryable(error):
            self._groups.leave_out(group, reason)
            return
        reports = group.reports.values()
        oldest = min(reports, key=lambda report: report.submitted_at, default=None)
        if oldest is not None and await self.poll_report(group.session, oldest):
            self._heed(group, group.trust.failed(reason))

    def _heed(self, group: PollGroup, verdict: Verdict) -> None:
        if verdict.advice is Advice.LEAVE_OUT:
            self._groups.leave_out(group, verdict.reason)

    # --- a report by itself -----------------------------------------------------------------------

    async def poll_report(
        self, session: KeySession, report: PolledReport, priority: Priority = Priority.POLL
    ) -> bool:
        """Asks about one report; returns whether the API answered."""
        if report.ended.is_set():
            return False
        is_answered = True
        try:
            remote = await session.turn(partial(session.api.status, report.request_id), priority)
        except NotFound:
            report.was_answered()
            await self._handle_not_found(report, session)
        except Unauthorized as error:
            report.finish(error)
        except ApiError as error:
            is_answered = False
            if session.silent:
                self._leave_open([report])
            elif report.was_not_answered():
                self._context.warn(f"report {report.request_id}: cannot be looked at now: {error}")
        else:
            self._shown_at[session.api_key] = anyio.current_time()
            report.was_shown()
            report.was_answered()
            self._take_own_answer(report, remote, session)
        report.was_polled(anyio.current_time())
        return is_answered

    def _leave_open(self, reports: Iterable[PolledReport]) -> None:
        """Nothing more is asked with their key in this run, as has been said already."""
        for report in reports:
            report.finish(LeftOpen(""))

    def _take_own_answer(
        self, report: PolledReport, remote: RemoteReport, session: KeySession
    ) -> None:
        group = report.group
        if group is None:
            return
        now = anyio.current_time()
        if group.account is not None and report.was_in_list and report.is_in_list:
            group.trust.polled_by_itself(
                report.request_id,
                now,
                ended=outcomes.is_final(remote),
                received_at=report.received_at,
            )
        has_ended = self._has_ended(report, remote, session)
        if report.group is not None:
            self._take(report, remote, now, ended=has_ended)

    def _has_ended(self, report: PolledReport, remote: RemoteReport, session: KeySession) -> bool:
        """Whether a report's own answer is its end, and says all that the end needs.

        Link and count may be filled in a moment after the status: what lacks is asked for again.
        """
        if not outcomes.is_final(remote):
            report.was_not_final()
            return False
        is_whole = outcomes.is_whole(remote)
        if is_whole and (remote.status in (Status.FAILED, Status.ABORTED) or _says_all(remote)):
            return True
        streak = report.was_incomplete(session.api.server_now())
        if is_whole:
            self._leave_list(report, session)
            return streak.polls > 1
        if outcomes.says_empty(remote):
            lasted = anyio.current_time() - streak.since_loop
            if streak.polls >= lifespans.EMPTY_LOOKS and lasted >= _EMPTY_SECONDS:
                return True
        elif streak.is_long:
            report.finish(missing_reports.left_without_link(report.stored, streak))
        self._leave_list(report, session)
        return False

    def _leave_list(self, report: PolledReport, session: KeySession) -> None:
        """Its polls tell nothing: they come ever more rarely, whatever lists are asked for."""
        if report.group is not None and report.is_in_list:
            report.leave_list()
            self._groups.sort([report], session)

    def _take(self, report: PolledReport, remote: RemoteReport, now: float, *, ended: bool) -> None:
        """Takes what the API says of a report."""
        if remote.status is None and remote.status_word not in self._unknown_statuses:
            self._unknown_statuses.add(remote.status_word)
            self._context.warn(
                f"the API calls report {report.request_id} {remote.status_word!r}, a status that "
                "is not known here; it counts as running",
            )
        age = report.age(now)
        if not report.is_unseen:  # else it may have ended hours before anybody polled it
            self._schedule.durations.saw(report.open_at(report.seen_open_at), age, ended=ended)
        if not ended:
            report.was_open(now)
            return
        if not report.is_unseen and remote.status is Status.SUCCESS:
            took = ReportDuration(remote.items_count or 0, age)
            self._schedule.durations.took(report.stored.series.product, took)
        if report.has_callback:
            self._schedule.ended(told_by_callback=report.polled_by_callback)
        if remote.unreadable:
            problems = "; ".join(remote.unreadable.values())
            self._context.warn(
                f"report {report.request_id}: the API's answer cannot be read in full: {problems}; "
                "such fields count as absent",
            )
        report.finish(remote)

    # --- 404 --------------------------------------------------------------------------------------

    async def _handle_not_found(self, report: PolledReport, session: KeySession) -> None:
        """What follows from one more 404: the report is gone, is left open, or is polled again."""
        api, streak = session.api, report.not_found
        is_over = missing_reports.is_forgotten(report.stored, session, report.received_at)
        now = anyio.current_time()
        streak.count(api.server_now(), now, is_over=is_over)
        if reason := session.may_not_see(report.stored):
            if streak.polls >= lifespans.LAST_LOOKS:
                report.finish(LeftOpen(f"{reason}; {pay_or_skip(report.stored.id)}"))
            return
        lasted = streak.lasted
        if lasted is not None and not api.is_local:  # a simulator's clock may be faster than ours
            # A single wrong `Date` makes no hour.
            lasted = min(lasted, timedelta(seconds=now - streak.since_loop))
        row = NotFoundRow(
            looks=streak.polls,
            lasted=lasted,
            after_its_life=streak.after_its_life,
            was_finished=report.stored.ready_at is not None,
            others_shown=self._shown_at.get(session.api_key, -1.0) >= streak.since_loop,
        )
        if row.is_long and lifespans.proof_of_loss(row) is None:
            is_lacking = await self._lists_lack(report.stored, session)
            row = replace(
                row, others_shown=row.others_shown or is_lacking, list_lacks_it=is_lacking
            )
        outcome = missing_reports.judge(report.stored, streak, row)
        if outcome is not None:
            report.finish(outcome)

    async def _lists_lack(self, report: Report, session: KeySession) -> bool:
        """Whether a list that covers the moment of the create lacks a report, and none shows it."""
        readings = (report.server_ahead, session.api.server_ahead)
        earliest = report.intended_at + min(readings)
        latest = lifespans.by_the_api(report.intended_at, *readings)
        is_covered = False
        for account in dict.fromkeys((report.series.account_id, report.api_key)):
            request = partial(session.api.list, account, ALL_STATUSES, earliest - vonage.LIST_REACH)
            try:
                listed = await session.turn(request, Priority.POLL)
            except ApiError:
                continue
            if any(remote.request_id == report.request_id for remote in listed):
                return False
            if listed.unread:
                continue  # an entry that cannot be read may be the report
            shown = (
                remote.received_at for remote in listed if is_of_account(report, remote, account)
            )
            is_covered |= lifespans.covers(shown, earliest, latest)
        return is_covered


def _is_suddenly_empty(
    group: PollGroup, listed: Sequence[PolledReport], remotes: Mapping[str, RemoteReport]
) -> bool:
    """Whether a list that has shown reports shows none, not even of those that are old enough."""
    now = group.list_polled_at
    return (
        group.trust.has_shown_reports
        and any(report.age(now) >= parameters.LIST_DELAY for report in listed)
        and not any(report.request_id in remotes for report in listed)
    )


def _says_all(remote: RemoteReport) -> bool:
    """Whether nothing is missing by which the file can be compared with what was asked for."""
    has_all = remote.items_count is not None and remote.download_url is not None
    return has_all and not remote.unreadable


def _is_complete(report: PolledReport, remote: RemoteReport) -> bool:
    """Whether a list says all that the ending needs, and nothing that would cost money."""
    return (
        remote.status is Status.SUCCESS
        and _says_all(remote)
        and echo.wrong_echo(report.stored, remote) is None
    )
