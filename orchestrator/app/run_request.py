"""What a run is asked for, and what shows it to a person."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypedDict

from orchestrator.config import Inputs
from orchestrator.core.events import Facts, RunEvent
from orchestrator.core.ports import Clock
from orchestrator.core.settings import Credentials
from orchestrator.engine.editions import Renewal
from orchestrator.reporting.run_stats import RunStats


class Display(Protocol):
    """What shows a run to whoever watches."""

    def note(self, level: str, text: str, facts: Facts) -> None:
        """Shows a line at once. Level: ``debug``, ``info``, ``warning`` or ``error``."""

    async def keep_up(self, stats: RunStats, jobs: Sequence[str]) -> None:
        """Shows the progress until cancelled, or returns where there is nothing to draw."""

    def close(self) -> None:
        """Gives the terminal back; the process is about to end at once."""


class NoDisplay:
    """A `Display` that shows nothing."""

    def note(self, level: str, text: str, facts: Facts) -> None:
        """Shows nothing."""

    async def keep_up(self, stats: RunStats, jobs: Sequence[str]) -> None:
        """Shows nothing."""

    def close(self) -> None:
        """Has nothing to give back."""


class RunOptions(TypedDict, total=False):
    """The options of `run`, by keyword; see there."""

    credentials: Mapping[str, Credentials] | None
    clock: Clock | None
    deadline: timedelta | None
    lock_wait: timedelta
    retry_failed: bool
    rebuild_ledger: bool
    again: Sequence[Renewal]
    display: Display | None
    on_event: Callable[[RunEvent], None] | None
    verbose: bool
    handle_signals: bool
    notify: bool
    started: float | None


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What `run` was asked for, with the defaults filled in."""

    inputs: Inputs
    credentials: Mapping[str, Credentials]
    clock: Clock
    started: float
    deadline: timedelta | None
    lock_wait: timedelta
    retry_failed: bool
    rebuild_ledger: bool
    again: tuple[Renewal, ...]
    display: Display
    subscribers: Sequence[Callable[[RunEvent], None]]
    verbose: bool
    handle_signals: bool

    def note(self, level: str, text: str, **facts: object) -> None:
        """Shows a line."""
        self.display.note(level, text, facts)

    @property
    def wait(self) -> timedelta:
        """How long to wait for the lock from now on: no longer than the deadline allows."""
        if self.deadline is None:
            return self.lock_wait
        passed = timedelta(seconds=time.monotonic() - self.started)
        return min(self.lock_wait, max(timedelta(), self.deadline - passed))
