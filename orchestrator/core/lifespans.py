"""Decides when a report or a file is surely gone at the API. Pure.

A single 404 proves nothing: gateways answer so, replicas lag, links expire. It takes a row of polls
that lasts until the end of the life that the API promises, by the API's own clock.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from orchestrator.core import vonage
from orchestrator.core.proofs import Proof

LAST_LOOKS: Final = 3
"""Polls in a row that must fail after the end of a life before it counts as over."""

UNKNOWN_FOR: Final = timedelta(hours=1)
"""Time in which every poll must meet a 404 before the API counts as not knowing a report."""

UNKNOWN_LOOKS: Final = 10  # Minimum number of polls in that time

EMPTY_LOOKS: Final = 3
"""Polls in a row that must say "0 records, no link" before that counts as an empty file."""

EMPTY_FOR: Final = timedelta(seconds=60)
"""Minimum time that they must span: count and link may be filled in after the status."""

_CREATE: Final = timedelta(minutes=2)
"""Longest time that a create takes: its timeout, and what the two clocks may differ by."""


@dataclass(frozen=True, slots=True)
class NotFoundRow:
    """An unbroken row of polls of one report that were all answered by 404."""

    looks: int  # number of polls
    # from the first of them to the last, by the API's clock; None: unknown
    lasted: timedelta | None
    # how many of them came after the life of the report, and of its file if it ever had one, was
    # over by the API's clock
    after_its_life: int = 0
    # the API has called the report finished before: it cannot be unknown there
    was_finished: bool = False
    others_shown: bool = False  # meanwhile the API showed other reports of the same key
    list_lacks_it: bool = False  # a list that covers the moment of its create does not show it

    @property
    def is_long(self) -> bool:
        """Whether it has lasted so long that the API may not know the report at all."""
        return (
            self.looks >= UNKNOWN_LOOKS and self.lasted is not None and self.lasted >= UNKNOWN_FOR
        )


def proof_of_loss(row: NotFoundRow) -> Proof | None:
    """What a row of 404s proves of a report; None: nothing, and it stays open."""
    if row.after_its_life >= LAST_LOOKS:
        return Proof.REPORT_LIFE_OVER
    if row.is_long and not row.was_finished and row.others_shown and row.list_lacks_it:
        return Proof.UNKNOWN_TO_THE_API
    return None


def by_the_api(ours: datetime, ahead_then: timedelta, ahead_now: timedelta) -> datetime:
    """A moment of our clock by the API's: the later of two readings, so that no life ends early.

    Args:
        ours: by our clock, which may have been set since.
        ahead_then: the API's clock less ours when the report was asked for; zero: not known then.
        ahead_now: the same by now.
    """
    return ours + max(ahead_then, ahead_now)


def by_a_fast_clock(
    ours: datetime, asked: datetime, ahead_then: timedelta, now: datetime, ahead_now: timedelta
) -> datetime:
    """A moment of our clock by that of a simulator, which may run at another speed.

    Args:
        asked: when the report was asked for, by our clock.
        ahead_then: the simulator's clock less ours at that moment.
        ahead_now: the simulator's clock less ours by now.
    """
    share = (ours - asked) / (now - asked) if now > asked else 0.0
    return ours + ahead_then + (ahead_now - ahead_then) * min(1.0, max(0.0, share))


def is_report_life_over(submitted: datetime, now: datetime) -> bool:
    """Whether the API has forgotten a report; both moments by its clock."""
    return now - submitted >= vonage.REPORT_LIFE


def is_file_life_over(finished: datetime, now: datetime) -> bool:
    """Whether a file need not be tried any more; both moments by the API's clock."""
    return now - finished >= vonage.FILE_LIFE


def covers(received: Iterable[datetime | None], earliest: datetime, latest: datetime) -> bool:
    """Whether a list demonstrably covers the moment of a create: it shows older and newer ones.

    Args:
        received: when the API took the reports that the list shows, by its clock.
        earliest: when ours was asked for at the earliest, by the same clock.
        latest: and at the latest.
    """
    moments = [moment for moment in received if moment is not None]
    return any(moment <= earliest for moment in moments) and any(
        moment >= latest + _CREATE for moment in moments
    )
