"""What is under way in a run: the queue of each API key, and what is done about each series.

Keeps state and wakes who waits for a change; decides nothing.
"""

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Final

import anyio

from orchestrator.core.intervals import Window
from orchestrator.core.model import Series
from orchestrator.core.refused_dates import RefusedDates
from orchestrator.engine.forecast import Entry
from orchestrator.engine.key_session import KeySession

FOUND_AT_A_TIME: Final = 1000
"""Reports of earlier runs that are followed at a time under each API key.

They have slots of their own: what is stuck at the API does not keep this run from asking for what
is owed. The number bounds memory; one list call answers for all of them.
"""


@dataclass(slots=True, eq=False)
class KeyQueue:
    """The work of one API key."""

    session: KeySession
    slots: anyio.Semaphore
    found_slots: anyio.Semaphore  # of the reports that earlier runs have left open
    # what earlier runs have left open is still being read from the ledger
    is_searching: bool = False
    is_feeding: bool = False  # the debt of a series is being handed out
    # set when what is open is known, or fills all its slots
    may_buy: anyio.Event = field(default_factory=anyio.Event)
    entries: list[Entry] = field(default_factory=list)
    # the series whose debt is to be looked at, and whether only for what is urgent
    todo: deque[tuple[Entry, bool]] = field(default_factory=deque)
    changed: anyio.Event = field(default_factory=anyio.Event)


@dataclass(slots=True, eq=False)
class SeriesProgress:
    """What a run is doing about one series."""

    # the windows that were handed out and whose coroutines have not ended
    claims: dict[object, Window] = field(default_factory=dict)
    # the windows of the reports that failed in this run
    failed: list[Window] = field(default_factory=list)
    # the windows of the reports that were truncated in this run
    truncated: list[Window] = field(default_factory=list)
    # what the API refused in this run for its dates
    dates: RefusedDates = field(default_factory=RefusedDates)
    # the records that could still be asked for when the debt was looked at last
    room: int | None = None
    is_postponed: bool = False  # something waits for a claim to end
    has_left_open: bool = False  # a report was left open for the next run


@dataclass(slots=True)
class RunProgress:
    """The queues of all keys, and the progress of all series."""

    in_flight: int  # reports of this run that may be under way at a time under each key
    queues: dict[str, KeyQueue] = field(default_factory=dict)
    # by key of a series, the queues that ask for it
    entries_of: dict[str, list[tuple[KeyQueue, Entry]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _series: dict[str, SeriesProgress] = field(default_factory=lambda: defaultdict(SeriesProgress))
    _claims: int = 0

    def queue_of(self, session: KeySession) -> KeyQueue:
        """The queue of a key; a new one the first time."""
        if session.api_key not in self.queues:
            self.queues[session.api_key] = KeyQueue(
                session,
                slots=anyio.Semaphore(self.in_flight),
                found_slots=anyio.Semaphore(FOUND_AT_A_TIME),
            )
        return self.queues[session.api_key]

    def of(self, series: Series) -> SeriesProgress:
        """The progress of a series."""
        return self._series[series.key]

    @property
    def is_busy(self) -> bool:
        """Whether anything is under way that may leave something to do to any key."""
        return bool(self._claims) or any(
            queue.is_searching or queue.is_feeding or queue.todo for queue in self.queues.values()
        )

    def claim(self, series: Series, claim: object, window: Window) -> None:
        """From now on a coroutine is to come that works on this window."""
        self.of(series).claims[claim] = window
        self._claims += 1

    def release(self, series: Series, claim: object) -> None:
        """The coroutine of a claim has ended."""
        del self.of(series).claims[claim]
        self._claims -= 1

    def look_again(self, series: Series) -> None:
        """Puts a series into every queue that asks for it; see `wake_all`."""
        for queue, entry in self.entries_of.get(series.key, ()):
            queue.todo.append((entry, False))

    def wake_all(self) -> None:
        """Wakes every queue that has something to do; all of them once nothing is under way."""
        is_busy = self.is_busy
        for queue in self.queues.values():
            if queue.todo or not is_busy:
                queue.changed.set()
