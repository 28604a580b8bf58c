"""What the watcher knows of the reports it watches, and of the lists that it asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio

from orchestrator.core.pace import Open

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from orchestrator.core.model import RemoteReport, Report
    from orchestrator.engine.desk import Desk
    from orchestrator.errors import ApiError

LATE: Final = 60.0
"""Seconds that a new report may take to show up in lists."""

_TRIES: Final = 3
"""So many times each list of an account is asked before none of them is worth another."""


@dataclass(slots=True, eq=False)
class Lists:
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

    @property
    def asked(self) -> str | None:
        """The account whose list is asked; None: no list is of use."""
        return self.candidates[0] if self.candidates else None

    def shown(self, asked: str) -> None:
        """This list has shown a report: it is the one to ask from now on."""
        self.candidates = [asked, *(other for other in self.candidates if other != asked)]
        self.proven = True

    def showed_nothing(self, asked: str, *, in_time: bool) -> None:
        """This list has shown no report of ours: the next one is tried.

        Args:
            asked: the account whose list it is.
            in_time: it should have by now: some are older than `LATE`.
        """
        if self.proven or asked != self.asked:
            return
        self.tried += 1
        if in_time and self.tried >= _TRIES * len(self.candidates):
            self.candidates = []
        else:
            self.candidates = [*self.candidates[1:], *self.candidates[:1]]

    def leave(self, asked: str) -> None:
        """This list cannot be had, or cannot be trusted."""
        self.candidates = [other for other in self.candidates if other != asked]
        self.proven = False
        self.tried = 0


@dataclass(slots=True, eq=False)
class Watched:
    """A report that somebody waits for. Times are those of the loop.

    Attributes:
        since: when its id was known, by our clock.
        born: the same, by the loop's.
        size: how long it will take, compared with most of its product.
        seen_at: when it was last seen open.
        due: when to look at it by itself, where no list answers for it; not reckoned yet if that
            is not after `seen_at`.
        doubt_at: when to look at it by itself although a list shows it open.
        group: where it is watched; None: not any more.
        listed: whether lists show it, as far as is known.
        rung: a callback has come that nobody has looked after.
        quiet_until: no callback brings a look before that.
    """

    report: Report
    request_id: str
    since: datetime
    born: float
    size: float
    seen_at: float
    doubt_at: float
    due: float = 0.0
    group: Group | None = None
    listed: bool = True
    looks: int = 0
    not_found: int = 0
    rung: bool = False
    rings: int = 0
    quiet_until: float = 0.0
    outcome: RemoteReport | ApiError | None = None
    ended: anyio.Event = field(default_factory=anyio.Event)

    @property
    def open(self) -> Open:
        """As it was last seen."""
        return self.open_at(self.seen_at)

    def open_at(self, moment: float) -> Open:
        """As it was at a moment, by all that is known."""
        return Open(self.report.series.product, max(0.0, moment - self.born), self.size)


@dataclass(slots=True, eq=False)
class Group:
    """The reports for which one list call answers; without one to ask, each is looked at by itself.

    Attributes:
        asked: the account whose list is asked; None: none is of use.
        looked_at: when the list was last asked.
        jitter: of the time until it is asked again, in [0, 1).
        foreseen: ends that were foreseen; the latest weigh most.
        came: ends that came instead.
        quiet: so many looks in a row saw nothing end.
        failed: so many in a row could not be had while other calls could.
        lies: so many reports had ended while the list showed them open.
        shown: so many of ours it has shown.
        lacked: so many of ours it never did.
    """

    desk: Desk
    asked: str | None
    looked_at: float
    jitter: float
    watched: dict[str, Watched] = field(default_factory=dict)
    changed: anyio.Event = field(default_factory=anyio.Event)
    foreseen: float = 4.0
    came: float = 4.0
    quiet: int = 0
    failed: int = 0
    lies: int = 0
    shown: int = 0
    lacked: int = 0

    def add(self, one: Watched) -> None:
        """Watches a report here, and nowhere else."""
        if one.group is not None:
            one.group.drop(one)
        one.group = self
        self.watched[one.request_id] = one
        if len(self.watched) <= 2:  # nobody looks, or somebody looks at the other alone
            self.changed.set()

    def drop(self, one: Watched) -> None:
        """Watches it no longer."""
        one.group = None
        self.watched.pop(one.request_id, None)
        if not self.watched:
            self.changed.set()

    def learn(self, foreseen: float, came: int) -> None:
        """How many ends were foreseen at a look, and how many came."""
        self.foreseen = 0.9 * self.foreseen + foreseen
        self.came = 0.9 * self.came + came

    @property
    def wrong_by(self) -> float:
        """So many ends come for each that is foreseen."""
        return min(8.0, max(1 / 8, (self.came + 0.5) / (self.foreseen + 0.5)))

    def listed(self) -> list[Watched]:
        """The reports for which a list call answers; a lone one is looked at by itself."""
        if self.asked is None:
            return []
        listed = [one for one in self.watched.values() if one.listed]
        return listed if len(listed) > 1 else []

    def alone(self) -> Iterator[Watched]:
        """The others."""
        in_list = bool(self.listed())
        return (one for one in self.watched.values() if not (in_list and one.listed))
