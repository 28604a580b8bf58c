"""The steps that may follow for a part of a debt: buy it, defer it, give it up, or wait."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from orchestrator.core.intervals import Window

ALWAYS: Final = Window(datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC))
"""The window of a probe of a series of which nothing is known."""


@dataclass(frozen=True, slots=True)
class Buy:
    """Ask for this chunk."""

    window: Window
    # nothing else of this window is to be open at the same time: a truncated one around it, or
    # `ALWAYS`
    probe: Window | None = None


@dataclass(frozen=True, slots=True)
class Defer:
    """Leave this window to a later run."""

    window: Window


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Ask for this window no more, until a person says so."""

    window: Window
    reason: str
    report_id: int | None = None


@dataclass(frozen=True, slots=True)
class WaitForOpen:
    """Wait for the open reports: the size of the next chunks depends on what they hold."""


Step = Buy | Defer | GiveUp | WaitForOpen
