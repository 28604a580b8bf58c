"""What the watcher knows of the reports it watches, and of the lists that it asks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio

from orchestrator.core.durations import OpenReport
from orchestrator.engine.polling.missing_reports import Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from orchestrator.core.model import RemoteReport, Report
    from orchestrator.engine.key_session import KeySession
    from orchestrator.engine.polling.missing_reports import Gone, LeftOpen
    from orchestrator.errors import ApiError

    Outcome = RemoteReport | Gone | LeftOpen | ApiError

LATE: Final = 60.0
"""Seconds that a new report may take to show up in lists."""

DISTRUST_AFTER: Final = 3
"""So many lists in a row that cannot be had, or reports that they lack, and they are left."""

_TRIES: Final = 3
"""So many times each list of an account is asked before none of them is worth another."""

_AGAIN: Final = 900.0
"""Seconds until lists that were left are tried again for new reports; each time twice as many."""

_STALE: Final = 30.0
"""Seconds that a list may go on showing a report as open that has ended."""

_FORGOTTEN: Final = 300.0
"""Seconds until one report that a list keeps showing so is not held against it any more."""

_LIES: Final = 2
"""So many reports that a list shows so, and it is left."""

_KEPT: Final = 8
"""So many reports that are known to have ended are looked for in lists."""

_CHECK: Final = 30.0
"""Seconds between two checks of a list, at the least; there are ever fewer."""


@dataclass(slots=True, eq=False)
class ListSource:
    """Which account's list shows the reports of an account: its own, or that of the key.

    The API does not say (vendor's reference); the first list that shows one of ours is asked from
    then on.

    Attributes:
        candidates: the accounts whose list may show them, the next one to ask first.
        proven: whether the first one has shown a report of ours.
    """

    candidates: list[str]
    proven: bool = False
    tried: int = 0
    left: list[str] = field(default_factory=list)
    again_at: float = 0.0
    pause: float = _AGAIN

    @property
    def asked(self) -> str | None:
        """The account whose list is asked; None: no list is of use."""
        return self.candidates[0] if self.candidates else None

    def shown(self, asked: str) -> None:
        """This list has shown a report: it is the one to ask from now on."""
        if not self.proven or asked != self.asked:
            self.candidates = [asked, *(other for other in self.candidates if other != asked)]
            self.proven = True

    def showed_nothing(self, asked: str, in_time: int, now: float) -> None:
        """This list has shown no report of ours: the next one is tried.

        Args:
            asked: the account whose list it is.
            in_time: so many it should have shown by now: they are older than `LATE`.
            now: of the loop.
        """
        if self.proven or asked != self.asked:
            return
        self.tried += 1
        if in_time >= DISTRUST_AFTER or (in_time and self.tried >= _TRIES * len(self.candidates)):
            self.leave(asked, now)
        else:
            self.candidates = [*self.candidates[1:], *self.candidates[:1]]

    def leave(self, asked: str, now: float) -> None:
        """This list cannot be had, or cannot be trusted."""
        if asked not in self.candidates:
            return
        self.candidates.remove(asked)
        self.left.append(asked)
        self.proven = False
        self.tried = 0
        if not self.candidates:
            self.again_at = now + self.pause
            self.pause *= 2

    def forgive(self, now: float) -> None:
        """What failed once may work by now: lists that were left are tried again, in the end."""
        if now >= self.again_at:
            self.candidates, self.left = self.left, []


@dataclass(slots=True)
class CallbackReliability:
    """Whether callbacks come: how many of the latest ends they have told, about."""

    told: float = 0.0

    def ended(self, *, told: bool) -> None:
        """A report has ended; whether a callback has told so."""
        self.told = 0.9 * self.told + 0.1 * told

    @property
    def is_firm(self) -> bool:
        """Whether they mostly come."""
        return self.told > 0.5


@dataclass(slots=True, eq=False)
class PolledReport:
    """A report that somebody waits for. Times are those of the loop.

    Attributes:
        born: when its id was known.
        size: how long it will take, compared with most of its product.
        seen_at: when it was last seen open.
        recheck_at: when to look at it by itself although a list shows it open.
        is_known: whether it was seen open, or has only just been born: not yet, for one of an
            earlier run that may have ended long ago.
        looked_at: when it was last looked at by itself.
        due: when to do so again, where no list answers for it; not reckoned yet if that is not
            after `seen_at` and `looked_at`.
        group: where it is watched; None: not any more.
        listed: whether lists show it, as far as is known.
        was_shown: whether a list has shown it.
        received_at: when the API took the request, by its clock, as lists show it.
        not_found: the looks in a row that were answered by 404.
        not_whole: those that said SUCCESS, and lacked what that needs.
        unanswered: so many looks in a row had no answer.
        rung: a callback has come that nobody has looked after.
        told: it is being looked at because of a callback.
        callbacks_muted_until: no callback brings a look before that.
    """

    report: Report
    request_id: str
    born: float
    size: float
    seen_at: float
    recheck_at: float
    is_known: bool
    looked_at: float = -math.inf
    due: float = -math.inf
    group: PollGroup | None = None
    listed: bool = True
    was_shown: bool = False
    received_at: datetime | None = None
    looks: int = 0
    not_found: Row = field(default_factory=Row)
    not_whole: Row = field(default_factory=Row)
    unanswered: int = 0
    rung: bool = False
    told: bool = False
    rings: int = 0
    callbacks_muted_until: float = 0.0
    outcome: Outcome | None = None
    ended: anyio.Event = field(default_factory=anyio.Event)

    @property
    def in_vain(self) -> int:
        """So many looks in a row told nothing: 404, or a SUCCESS that is not whole."""
        return self.not_found.looks or self.not_whole.looks

    def was_seen(self) -> None:
        """The API has shown it: whatever row of 404s there was is broken."""
        if self.not_found.looks:
            self.not_found = Row()

    @property
    def open(self) -> OpenReport:
        """As it was last seen."""
        return self.open_at(self.seen_at)

    def open_at(self, moment: float) -> OpenReport:
        """As it was at a moment, by all that is known; before it was born its age is negative."""
        return OpenReport(self.report.series.product, moment - self.born, self.size)


class KnownFinal(NamedTuple):
    """A report that has ended, whatever lists show.

    Attributes:
        seen_at: when that was seen, by the loop.
        received_at: when the API took the request, by its clock; None: lists do not say.
    """

    seen_at: float
    received_at: datetime | None


@dataclass(slots=True, eq=False)
class PollGroup:
    """The reports for which one list call answers; without one to ask, each is looked at by itself.

    Attributes:
        asked: the account whose list is asked; None: none is of use.
        looked_at: when the list was last asked.
        jitter: of the time until it is asked again, in [0, 1).
        due: when something is to be looked at, as reckoned at `reckoned_at`; None: not reckoned.
        list_due: when the list is to be asked, as reckoned then.
        foreseen: ends that were foreseen; the latest weigh most.
        came: ends that came instead.
        quiet: so many looks in a row saw nothing end.
        failed: so many in a row could not be had while other calls could.
        shown: so many of ours it has shown, each time counted.
        lacked: so many of ours it never did.
        known_ends: reports that were seen ended by themselves, until the list shows it.
        lies: those that the list showed as open long after, or as ended while they were open.
        claims: those that it shows as ended, but not so that it could be taken.
        begun: when it was made.
        checked_at: when what the list showed was last found to be right.
    """

    session: KeySession
    asked: str | None
    looked_at: float
    jitter: float
    watched: dict[str, PolledReport] = field(default_factory=dict)
    changed: anyio.Event = field(default_factory=anyio.Event)
    due: float | None = None
    list_due: float = math.inf
    reckoned_at: float = 0.0
    foreseen: float = 4.0
    came: float = 4.0
    quiet: int = 0
    failed: int = 0
    shown: int = 0
    lacked: int = 0
    known_ends: dict[str, KnownFinal] = field(default_factory=dict)
    lies: set[str] = field(default_factory=set)
    claims: set[str] = field(default_factory=set)
    begun: float = field(default_factory=anyio.current_time)
    checked_at: float = field(default_factory=anyio.current_time)

    def add(self, one: PolledReport) -> None:
        """Watches a report here, and nowhere else."""
        if one.group is self:
            return
        # Those that have just been bought are not worth a reckoning each: they are counted later.
        is_news = one.group is not None or not one.is_known or len(self.watched) <= 1
        if one.group is not None:
            one.group.drop(one)
        if len(self.watched) == 1:  # so far the other one was looked at by itself
            (other,) = self.watched.values()
            self.looked_at = max(self.looked_at, other.seen_at)
        one.group = self
        self.watched[one.request_id] = one
        if is_news:
            self.wake()

    def drop(self, one: PolledReport) -> None:
        """Watches it no longer."""
        one.group = None
        self.watched.pop(one.request_id, None)
        if len(self.watched) <= 1:  # nobody is left, or one that is looked at by itself
            self.wake()

    def wake(self) -> None:
        """Has it reckoned anew when to look."""
        self.due = None
        self.changed.set()

    def learn(self, foreseen: float, came: int) -> None:
        """How many ends were foreseen at a look, and how many came."""
        self.foreseen = 0.9 * self.foreseen + foreseen
        self.came = 0.9 * self.came + came

    @property
    def wrong_by(self) -> float:
        """So many ends come for each that is foreseen."""
        return min(8.0, max(1 / 8, (self.came + 0.5) / (self.foreseen + 0.5)))

    def listed(self) -> list[PolledReport]:
        """The reports for which a list call answers; a lone one is looked at by itself, if it can.

        A part of the API may fail alone: where looks at it have no answer, the list may.
        """
        if self.asked is None:
            return []
        listed = [one for one in self.watched.values() if one.listed]
        return listed if len(listed) > 1 or any(one.unanswered > 1 for one in listed) else []

    def alone(self) -> Iterator[PolledReport]:
        """The others."""
        in_list = bool(self.listed())
        return (one for one in self.watched.values() if not (in_list and one.listed))

    # --- whether the list can be trusted ----------------------------------------------------------

    def saw_by_itself(self, one: PolledReport, now: float, *, ended: bool) -> None:
        """What a look at one report says of the list that has shown it."""
        if self.asked is None or not (one.was_shown and one.listed):
            return
        if not ended:
            if one.request_id in self.claims:
                self.lies.add(one.request_id)
            else:
                self.checked_at = now
        elif len(self.known_ends) < _KEPT:
            self.known_ends[one.request_id] = KnownFinal(now, one.received_at)
        self.claims.discard(one.request_id)

    def compare(self, shown: dict[str, RemoteReport], asked_at: float) -> bool:
        """Holds what the list shows against what is known; whether it shows an end as open.

        Args:
            shown: by request id.
            asked_at: when the list was asked for.
        """
        is_suspect = False
        for request_id, known in list(self.known_ends.items()):
            remote = shown.get(request_id)
            is_open = remote is not None and (remote.status is None or not remote.status.is_final)
            behind = asked_at - known.seen_at
            if is_open and behind < _FORGOTTEN:
                is_suspect = True
                if behind >= _STALE:
                    self.lies.add(request_id)
                continue
            del self.known_ends[request_id]
            self.lies.discard(request_id)
            if not is_open and remote is not None:
                self.checked_at = asked_at
        return is_suspect

    @property
    def lies_often(self) -> bool:
        """Whether it shows more than one report otherwise than it is."""
        return len(self.lies) >= _LIES

    def to_check(
        self, still_open: Sequence[PolledReport], *, is_suspect: bool, quiet: bool
    ) -> PolledReport | None:
        """Of the reports that the list has just shown as open, one to look at by itself.

        Args:
            still_open: these reports.
            is_suspect: whether it has just shown an end as open; see `compare`.
            quiet: whether looks that see nothing end are a reason to check.
        """
        now = self.looked_at
        often = 4 if quiet and self.quiet > 1 else 2
        is_time = now - self.checked_at >= max(_CHECK, (now - self.begun) / often)
        if not still_open or not (is_time or is_suspect):
            return None
        return max(still_open, key=lambda one: (now - one.born) / one.size)
