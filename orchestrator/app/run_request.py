"""What a run is asked for, and what shows it to a person."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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


class GuardedDisplay:
    """Passes all on to a display, if there is one. Its errors end no run.

    Attributes:
        error: the first of them; None while there is none.
    """

    def __init__(self, display: Display | None) -> None:
        self._display = display
        self.error: Exception | None = None

    @property
    def is_seen(self) -> bool:
        """Whether somebody sees what is noted."""
        return self._display is not None and self.error is None

    def note(self, level: str, text: str, facts: Facts) -> None:
        """See `Display`."""
        with self._guarded() as display:
            if display is not None:
                display.note(level, text, facts)

    async def keep_up(self, stats: RunStats, jobs: Sequence[str]) -> None:
        """See `Display`."""
        with self._guarded() as display:
            if display is not None:
                await display.keep_up(stats, jobs)

    def close(self) -> None:
        """See `Display`."""
        with self._guarded() as display:
            if display is not None:
                display.close()

    @contextmanager
    def _guarded(self) -> Iterator[Display | None]:
        try:
            yield self._display
        except Exception as error:  # noqa: BLE001 - of a program that shows a run as it likes
            self.error = self.error or error


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
    display: GuardedDisplay
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
