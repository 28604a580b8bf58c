"""What follows for a piece of a debt: ask for it, defer it, give it up, or wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from orchestrator.core.intervals import Window

ALWAYS: Final = Window(datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC))
"""The window of a probe of a series of which nothing is known."""


@dataclass(frozen=True, slots=True)
class Buy:
    """Ask for this chunk.

    Attributes:
        probe: nothing else of this window is to be open at the same time: a truncated one around
            it, or `ALWAYS`.
    """

    window: Window
    probe: Window | None = None


@dataclass(frozen=True, slots=True)
class Defer:
    """Not in this run any more."""

    window: Window


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Not by itself any more.

    Attributes:
        report_id: our number of the report that was the last straw.
    """

    window: Window
    reason: str
    report_id: int | None = None


@dataclass(frozen=True, slots=True)
class WaitForOpen:
    """Nothing more until what is open has come back: the rest is cut by what it holds."""


Step = Buy | Defer | GiveUp | WaitForOpen
