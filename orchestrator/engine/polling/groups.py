"""Assigns each report to the group for which one account's list answers; it asks for nothing."""

from collections.abc import Callable, Iterable

import anyio

from orchestrator.engine.context import RunContext
from orchestrator.engine.key_session import KeySession
from orchestrator.engine.polling import parameters
from orchestrator.engine.polling.list_trust import ListSource
from orchestrator.engine.polling.reports import PolledReport, PollGroup


class PollGroups:
    """Every polled report in its group, and which account's list shows the reports of an account.

    Args:
        begin: starts to poll a new group; it must call `close` in the end.
    """

    def __init__(self, context: RunContext, begin: Callable[[PollGroup], None]) -> None:
        self._jitter = context.jitter
        self._events = context.events
        self._begin = begin
        self._sources: dict[tuple[str, str], ListSource] = {}
        self._accounts: dict[str, int] = {}
        self._groups: dict[tuple[str, str | None], PollGroup] = {}

    def __len__(self) -> int:
        """Returns how many reports are polled."""
        return sum(len(group.reports) for group in self._groups.values())

    def close(self, group: PollGroup) -> None:
        """Forgets a group that is no longer polled."""
        key = (group.session.api_key, group.account)
        if self._groups.get(key) is group:
            del self._groups[key]

    def source(self, report: PolledReport, session: KeySession) -> ListSource:
        """Returns which account's list shows a report."""
        account, key = report.stored.series.account_id, session.api_key
        source = self._sources.get((key, account))
        if source is None:
            accounts = self._accounts[key] = self._accounts.get(key, 0) + 1
            candidates = [account] if account == key else [account, key]
            if accounts >= parameters.KEY_LIST_ACCOUNTS:
                candidates.reverse()
            source = self._sources[key, account] = ListSource(candidates)
        source.retry(anyio.current_time())
        return source

    def put(self, report: PolledReport, session: KeySession) -> None:
        """Polls a report in the group where it belongs by now."""
        account = self.source(report, session).account if report.is_in_list else None
        key = (session.api_key, account)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = PollGroup(session, account, self._jitter())
            self._begin(group)
        group.add(report)

    def sort(self, reports: Iterable[PolledReport], session: KeySession) -> None:
        """Does the same for those of these reports that are still polled."""
        for report in reports:
            if report.group is not None:
                self.put(report, session)

    def leave_out(self, group: PollGroup, reason: str) -> None:
        """Asks for this list no more: for another one that may show its reports, or none."""
        assert group.account is not None
        reports = list(group.reports.values())
        for report in {report.stored.series.account_id: report for report in reports}.values():
            source = self.source(report, group.session)
            source.leave_out(group.account, anyio.current_time())
            if source.account is None:
                self.tell(report, reason)
        self.sort(reports, group.session)

    def tell(self, report: PolledReport, reason: str) -> None:
        """Tells that no list of a report's account is asked any more."""
        self._events.message(
            "info",
            f"account {report.stored.series.account_id}: not asking for lists any more: {reason}; "
            "each report is looked at by itself",
        )
