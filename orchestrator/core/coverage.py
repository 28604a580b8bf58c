"""Decides whether lists of reports prove that nothing was created at a moment. Pure.

A list that does not show a report proves nothing by itself: it may lag behind, hold the newest ten
alone, leave an account out, or take its dates for those of another zone. It proves something
once it shows that it reaches across the moment, or that nothing is missing in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from itertools import pairwise
from typing import Final

from orchestrator.core.ledger_records import Owner
from orchestrator.core.model import Report

FEW: Final = 5  # Entries; no API is expected to cut its lists shorter than this

CREATE_TAKES: Final = timedelta(minutes=2)
"""Longest time from the intent until a create happens: its timeout, and what a server may still
work after its gateway has given up."""

CLOCK_SLACK: Final = timedelta(minutes=10)
"""How far a time that the API gives a report may differ from its ``Date`` header."""

_DATE_SLACK: Final = timedelta(minutes=1)
"""How far our clock and a ``Date`` header may have moved apart since it was read."""

_ANY_CLOCK: Final = timedelta(days=1)
"""How far our clock may have been off where no ``Date`` had been seen."""

_WIDEST: Final = timedelta(hours=2)
"""Longest moment that is asked for by its dates; a wider one would list too much."""

_ORDER_SLACK: Final = timedelta(minutes=1)
"""How far two neighbours of a sorted list may be out of order."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When the API may have taken a create, by its clock."""

    earliest: datetime
    latest: datetime

    @property
    def is_narrow(self) -> bool:
        """Whether it can be asked for by its dates."""
        return self.latest - self.earliest <= _WIDEST


def moment_of(intended_at: datetime, ahead_then: timedelta, ahead_now: timedelta) -> Moment:
    """The moment of a create.

    Args:
        intended_at: when its intent was written, by our clock as it stood then.
        ahead_then: the API's clock less ours at that time; zero: it was not known.
        ahead_now: the same by now; zero: it is not known. Where it differs, one of the clocks was
            set meanwhile, maybe between the reading and the intent.
    """
    if not ahead_then:
        slack, readings = _ANY_CLOCK, (timedelta(), ahead_now)
    else:
        slack, readings = _DATE_SLACK, (ahead_then, ahead_now or ahead_then)
    return Moment(
        intended_at + min(readings) - slack, intended_at + max(readings) + CREATE_TAKES + slack
    )


class Relation(Enum):
    """How an entry of a list stands to the create that is looked for, by the order of events."""

    STRANGER = "stranger"
    """It is not ours."""
    OURS = "ours"
    """Ours, and which came first is not known."""
    EARLIER = "earlier"
    """Ours: its id was known before this create was asked for."""
    LATER = "later"
    """Ours, of the same account and key: asked for after this create had ended."""


def relation(intent: Report, owner: Owner | None, *, same_account: bool) -> Relation:
    """How a listed report stands to the create of `intent`.

    Args:
        owner: the row that has the id of the listed report; None: none of ours.
    """
    if owner is None:
        return Relation.STRANGER
    if (
        owner.report_id < intent.id
        and owner.submitted_at is not None
        and owner.submitted_at <= intent.intended_at
    ):
        return Relation.EARLIER
    if (
        owner.report_id > intent.id
        and owner.intended_at >= intent.intended_at + CREATE_TAKES
        and owner.api_key == intent.api_key
        and same_account
    ):
        return Relation.LATER
    return Relation.OURS


@dataclass(frozen=True, slots=True)
class Entry:
    """A listed report: how it stands to the create, and when the API says that it took it."""

    relation: Relation
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One list answer."""

    entries: Sequence[Entry]
    said: int | None = None  # how many the API says that there are; None where it does not say
    unread: int = 0  # how many more there are that could not be read

    @property
    def size(self) -> int:
        """How many entries it has."""
        return len(self.entries) + self.unread

    @property
    def shows_later(self) -> bool:
        """Whether it is so fresh that it shows a report of ours that was asked for later."""
        return any(entry.relation is Relation.LATER for entry in self.entries)

    @property
    def shows_ours(self) -> bool:
        """Whether it shows any report of ours."""
        return any(entry.relation is not Relation.STRANGER for entry in self.entries)

    def is_whole(self, longest: int) -> bool:
        """Whether nothing of the range that was asked for can be missing in it.

        Args:
            longest: entries of the longest list that this API has answered: so many it shows.
        """
        return (
            not self.unread
            and (self.said is None or self.said <= self.size)
            and self.size < max(FEW, longest)
        )

    def reaches_across(self, moment: Moment) -> bool:
        """Whether it shows a report from before the moment, and lacks none since then."""
        return self.is_in_order and any(
            entry.relation is Relation.EARLIER
            or (
                entry.received_at is not None and entry.received_at <= moment.earliest - CLOCK_SLACK
            )
            for entry in self.entries
        )

    @property
    def is_in_order(self) -> bool:
        """Whether its entries are sorted by their times, so that what it lacks lies at its ends."""
        times = [entry.received_at for entry in self.entries if entry.received_at is not None]
        if 2 * len(times) < len(self.entries):
            return False
        steps = [later - sooner for sooner, later in pairwise(times)]
        return all(step >= -_ORDER_SLACK for step in steps) or all(
            step <= _ORDER_SLACK for step in steps
        )


def covers(page: Page, moment: Moment, longest: int) -> bool:
    """Whether a list that reaches from before a moment until now would show what was made then.

    It must show a report of ours of the same account and key that was asked for later: so it
    shows such reports, and is fresh. And it must show one from before, or be whole.
    """
    if page.unread or not page.shows_later:
        return False
    return page.is_whole(longest) or page.reaches_across(moment)


def tiles_cover(tiles: Sequence[Page], longest: int, *, shows_later: bool, heeds: bool) -> bool:
    """Whether lists that were asked for by date would show what was made in their time.

    Args:
        shows_later: another list of the same account shows a later report of ours.
        heeds: a list that was asked for by date has shown a report of ours: dates mean here what
            they mean to us.
    """
    return bool(tiles) and shows_later and heeds and all(tile.is_whole(longest) for tile in tiles)


@dataclass(frozen=True, slots=True)
class UnknownCreate:
    """A create with unknown outcome, at one search for its report."""

    report: Report
    moment: Moment
    age: timedelta
    now: datetime
    rate: float = 1.0  # seconds of the API's clock for each of ours; 1 but at a simulator
