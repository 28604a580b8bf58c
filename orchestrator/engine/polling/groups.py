"""Which reports are watched together: those of a key for which one account's list answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from orchestrator.engine.polling.state import ListSource, PolledReport, PollGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from orchestrator.core.events import RunEvents
    from orchestrator.engine.key_session import KeySession

_KEYS_OWN: Final = 3
"""With so many accounts under a key, the list of the key's own account may show them all."""


class PollGroups:
    """Every watched report in its group, and what is known of each account's lists.

    Args:
        jitter: a random number in [0, 1).
        events: told of lists that are not asked any more.
        begin: starts to look after a new group; it must call `close` in the end.
    """

    def __init__(
        self,
        *,
        jitter: Callable[[], float],
        events: RunEvents,
        begin: Callable[[PollGroup], None],
    ) -> None:
        self._jitter = jitter
        self._events = events
        self._begin = begin
        self._lists: dict[tuple[str, str], ListSource] = {}
        self._accounts: dict[str, int] = {}
        self._groups: dict[tuple[str, str | None], PollGroup] = {}

    @property
    def watched(self) -> list[PolledReport]:
        """Every report that somebody waits for."""
        return [one for group in self._groups.values() for one in group.watched.values()]

    def close(self, group: PollGroup) -> None:
        """Nobody looks after this group any more."""
        key = (group.session.api_key, group.asked)
        if self._groups.get(key) is group:
            del self._groups[key]

    def lists_of(self, one: PolledReport, session: KeySession) -> ListSource:
        """What is known of the lists that may show a report."""
        account, key = one.report.series.account_id, session.api_key
        lists = self._lists.get((key, account))
        if lists is None:
            accounts = self._accounts[key] = self._accounts.get(key, 0) + 1
            candidates = [account] if account == key else [account, key]
            if accounts >= _KEYS_OWN:
                candidates.reverse()
            lists = self._lists[key, account] = ListSource(candidates)
        if lists.asked is None:
            lists.forgive(anyio.current_time())
        return lists

    def put(self, one: PolledReport, session: KeySession) -> None:
        """Has a report watched where it belongs by now."""
        asked = self.lists_of(one, session).asked if one.listed else None
        key = (session.api_key, asked)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = PollGroup(
                session, asked, anyio.current_time(), self._jitter()
            )
            self._begin(group)
        group.add(one)

    def sort(self, ones: Iterable[PolledReport], session: KeySession) -> None:
        """`put` for those of these that are still watched."""
        for one in ones:
            if one.group is not None:
                self.put(one, session)

    def leave_list(self, group: PollGroup, why: str) -> None:
        """No more of this list: another one that may show the reports, or none."""
        assert group.asked is not None
        ones = list(group.watched.values())
        for one in {one.report.series.account_id: one for one in ones}.values():
            lists = self.lists_of(one, group.session)
            lists.leave(group.asked, anyio.current_time())
            if lists.asked is None:
                self.tell(one, why)
        self.sort(ones, group.session)

    def tell(self, one: PolledReport, why: str) -> None:
        """Tells that no list of a report's account is asked any more."""
        self._events.message(
            "info",
            f"account {one.report.series.account_id}: not asking for lists any more: {why}; each "
            "report is looked at by itself",
        )
