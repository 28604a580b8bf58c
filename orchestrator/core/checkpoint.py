"""A moment in the life of a ledger as a word: the id of a run, and what `files --since` takes.

It says which ledger it is and how far that had got, and not only what time it was: clocks may be
wrong, and two changes may come in one second.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from orchestrator.core.model import LedgerPoint

_STAMP: Final = "%Y%m%dT%H%M%SZ"
_WORD: Final = re.compile(
    r"(?P<at>[0-9]{8}T[0-9]{6}Z)-(?P<ledger>[0-9a-f]{8})-(?P<generation>[0-9]{1,9})"
    r"-(?P<changes>[0-9]{1,18})(-(?P<run>[0-9a-f]{1,8}))?"
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a ledger had got."""

    at: datetime  # when that was, to the second; for people
    ledger: str  # the first 8 digits of `LedgerPoint.ledger`
    generation: int
    changes: int
    # tells runs apart that have changed nothing, in hex; empty where no run has ended here
    run: str = ""

    @classmethod
    def of(cls, point: LedgerPoint, at: datetime, run: str = "") -> Checkpoint:
        """The checkpoint of a ledger at this point."""
        return cls(
            at.replace(microsecond=0), point.ledger[:8], point.generation, point.changes, run
        )

    @classmethod
    def parse(cls, word: str) -> Checkpoint | None:
        """The reverse of `str`; None where the word is none."""
        match = _WORD.fullmatch(word)
        if match is None:
            return None
        try:
            at = datetime.strptime(match["at"], _STAMP).replace(tzinfo=UTC)
        except ValueError:
            return None
        generation, changes = int(match["generation"]), int(match["changes"])
        return cls(at, match["ledger"], generation, changes, match["run"] or "")

    def __str__(self) -> str:
        """Such as ``20261126T020311Z-3f9c12ab-1-1234-9e7c``."""
        at = self.at.astimezone(UTC).strftime(_STAMP)
        word = f"{at}-{self.ledger}-{self.generation}-{self.changes}"
        return f"{word}-{self.run}" if self.run else word
