"""Decides whether a list of reports is used, checked by polling one report, or left out.

Pure: it is told what lists showed and when; it asks nothing and reads no clock.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Final, NamedTuple

from orchestrator.engine.polling import parameters

NOTHING_ANY_MORE: Final = "they show none of its reports any more"


class Advice(Enum):
    """What to do with a list."""

    USE = "use it"
    CHECK_ONE = "poll one of the reports that it shows as open"
    LEAVE_OUT = "do not ask for it any more"


class Verdict(NamedTuple):
    """What to do with a list, and why it is left out, in words."""

    advice: Advice
    reason: str = ""


_USE: Final = Verdict(Advice.USE)


class _EndedReport(NamedTuple):
    """A report that its own poll showed as ended."""

    seen_at: float
    # when the API took the request, by the API's clock; None: lists do not say
    received_at: datetime | None


class ListTrust:
    """Compares what one list shows with what single polls show. Times are those of the loop.

    Args:
        now: the list was right until then, as far as is known.
    """

    def __init__(self, now: float) -> None:
        self._begun_at = now
        self._right_at = now
        self._failures = 0
        self._shown = 0
        self._lacking = 0
        self._ended: dict[str, _EndedReport] = {}
        self._wrong: set[str] = set()
        self._unconfirmed: set[str] = set()
        self._contradicts = False

    # --- what the list showed ---------------------------------------------------------------------

    def failed(self, reason: str) -> Verdict:
        """The list could not be had, or was empty at once, while single polls were answered."""
        self._failures += 1
        if self._failures >= parameters.MAX_LIST_FAILURES:
            return Verdict(Advice.LEAVE_OUT, reason)
        return _USE

    @property
    def has_shown_reports(self) -> bool:
        """Whether the list has ever shown one of our reports."""
        return self._shown > 0

    def answered(self, finals: Mapping[str, bool], asked_at: float) -> None:
        """The list came: compares it with the reports that single polls showed as ended.

        Args:
            finals: by request id, of all that it shows, whether it shows the report as ended.
        """
        self._failures = 0
        self._contradicts = False
        for request_id, ended in list(self._ended.items()):
            is_final = finals.get(request_id)
            lag = asked_at - ended.seen_at
            if is_final is False and lag < parameters.LAG_FORGOTTEN_AFTER:
                self._contradicts = True
                if lag >= parameters.MAX_LIST_LAG:
                    self._wrong.add(request_id)
                continue
            del self._ended[request_id]
            self._wrong.discard(request_id)
            if is_final:
                self._right_at = asked_at

    def showed(self, number: int) -> None:
        """The list showed so many of our reports."""
        self._shown += number

    def lacked(self, number: int) -> None:
        """The list lacked so many of our reports that it should have shown."""
        self._lacking += number

    def showed_unconfirmed_end(self, request_id: str) -> None:
        """The list showed a report as ended, but so that its own poll must confirm it."""
        self._unconfirmed.add(request_id)

    def polled_by_itself(
        self, request_id: str, now: float, *, ended: bool, received_at: datetime | None
    ) -> None:
        """A poll of a report that the list has shown was answered."""
        if ended:
            if len(self._ended) < parameters.MAX_COMPARED:
                self._ended[request_id] = _EndedReport(now, received_at)
        elif request_id in self._unconfirmed:
            self._wrong.add(request_id)
        else:
            self._right_at = now
        self._unconfirmed.discard(request_id)

    @property
    def compared(self) -> Mapping[str, datetime | None]:
        """The ended reports that the next list should reach: their receive times, by request id."""
        return {request_id: ended.received_at for request_id, ended in self._ended.items()}

    # --- what follows -----------------------------------------------------------------------------

    def verdict(self, now: float, *, is_quiet: bool) -> Verdict:
        """What to do with the list after it was read.

        Args:
            is_quiet: it has shown no end for several polls, and callbacks would not have told.
        """
        is_lacking = self._lacking > parameters.MAX_LACKING_SHARE * self._shown
        if self._lacking >= parameters.MAX_LIST_FAILURES and is_lacking:
            return Verdict(Advice.LEAVE_OUT, "they lack reports that the API knows")
        if len(self._wrong) >= parameters.MAX_WRONG_REPORTS:
            return Verdict(Advice.LEAVE_OUT, "they do not show how reports really stand")
        growth = parameters.QUIET_CHECK_GROWTH if is_quiet else parameters.CHECK_GROWTH
        pause = max(parameters.MIN_CHECK_PAUSE, (now - self._begun_at) / growth)
        if self._contradicts or now - self._right_at >= pause:
            return Verdict(Advice.CHECK_ONE)
        return _USE


class ListSource:
    """Chooses the account whose list shows the reports of an account: its own, or the key's.

    The API does not say which (vendor's reference): the first list that shows a report of ours is
    asked from then on.

    Args:
        candidates: the accounts whose list may show them, the one to ask first in front.

    Attributes:
        is_proven: the list of `account` has shown a report of ours.
    """

    def __init__(self, candidates: list[str]) -> None:
        self._candidates = candidates
        self._left_out: list[str] = []
        self.is_proven = False
        self._tries = 0
        self._retry_at = 0.0
        self._retry_pause = parameters.LIST_RETRY_PAUSE

    @property
    def account(self) -> str | None:
        """The account whose list is asked; None: no list is of use."""
        return self._candidates[0] if self._candidates else None

    def showed(self, account: str) -> None:
        """This account's list has shown a report: it is the one to ask from now on."""
        if not self.is_proven or account != self.account:
            others = (other for other in self._candidates if other != account)
            self._candidates = [account, *others]
            self.is_proven = True

    def showed_nothing(self, account: str, due: int, now: float) -> None:
        """This account's list has shown no report of ours: the next one is tried.

        Args:
            due: how many it should have shown: they are older than `LIST_DELAY`.
        """
        if self.is_proven or account != self.account:
            return
        self._tries += 1
        tries = parameters.MAX_LIST_TRIES * len(self._candidates)
        if due >= parameters.MAX_LIST_FAILURES or (due and self._tries >= tries):
            self.leave_out(account, now)
        else:
            self._candidates = [*self._candidates[1:], account]

    def leave_out(self, account: str, now: float) -> None:
        """This account's list cannot be had, or cannot be trusted."""
        if account not in self._candidates:
            return
        self._candidates.remove(account)
        self._left_out.append(account)
        self.is_proven = False
        self._tries = 0
        if not self._candidates:
            self._retry_at = now + self._retry_pause
            self._retry_pause *= 2

    def retry(self, now: float) -> None:
        """Tries lists that were left out again, once no other is left and the pause is over."""
        if not self._candidates and now >= self._retry_at:
            self._candidates, self._left_out = self._left_out, []
