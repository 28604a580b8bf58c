"""The gate: so many requests a second for one API key, by priority, slower after a complaint."""

from __future__ import annotations

import heapq
import math
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import anyio
from anyio.lowlevel import checkpoint

from orchestrator.core.ports import Priority
from orchestrator.errors import Throttled, TransportError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from orchestrator.core.ports import Slot

PAUSE_INITIAL: Final = timedelta(seconds=1)
"""The first pause where the API does not say how long; it doubles with each complaint in a row."""

PAUSE_MAX: Final = timedelta(seconds=60)
"""The longest pause that the gate thinks up itself; `Retry-After` may ask for more."""

PATIENCE: Final = 50
"""A poll that so many turns went by goes before every submit: a backfill wants to see its ends."""

CALLBACK_EVERY: Final = 5
"""Of so many turns one at most goes to a look after a callback, where others wait."""

_BEFORE_SUBMITS: Final = -1.0  # the order of what goes before all submits
_INSTANT: Final = 1e-6  # seconds; a loop's timers may fire early by their resolution
_FLOOR: Final = 1 / 16  # of the full rate: four complaints in a row; below it nothing would move
_STEP: Final = 1 / 50  # of the full rate, for each success: half to full takes 25 of them


@dataclass(order=True, slots=True)
class _Ticket:
    priority: int
    order: float
    number: int
    place: Slot | None = field(compare=False)
    turns: int = field(compare=False)
    changed: anyio.Event | None = field(compare=False, default=None)
    is_done: bool = field(compare=False, default=False)


class KeyRateLimiter:
    """A token bucket of burst 1 for one API key: turns are never closer than ``1 / rate``.

    Implements `core.ports.Gate`. A `Throttled` that leaves a turn pauses the whole key, as long
    as its `retry_after` says (else 1 s, doubled each time, up to 60 s), and halves the rate, to
    1/16 at the least; each turn without error gives back 1/50 of the full rate. Complaints about
    requests that were sent before the latest slow-down count as that same complaint.

    Attributes:
        turns: how many turns were taken.
        throttled: how many of them ended in `Throttled`.
    """

    def __init__(self, requests_per_second: float) -> None:
        """A gate at its full rate.

        Args:
            requests_per_second: the full rate; `math.inf` for no limit.

        Raises:
            ValueError: the rate is not above zero.
        """
        if not requests_per_second > 0:
            raise ValueError(
                f"a gate of {requests_per_second} requests a second lets nobody through"
            )
        self.turns = 0
        self.throttled = 0
        self._full = requests_per_second
        self._rate = requests_per_second
        self._next_at = -math.inf
        self._queues: dict[object, list[_Ticket]] = {None: []}
        self._polls: deque[_Ticket] = deque()
        self._callbacks: deque[_Ticket] = deque()
        self._callback_at = -CALLBACK_EVERY
        self._tickets = 0
        self._slow_downs = 0
        self._in_a_row = 0
        self._closed = ""

    @property
    def rate(self) -> float:
        """Requests a second at present."""
        return self._rate

    @property
    def waiting(self) -> int:
        """How many wait for a turn."""
        return sum(not ticket.is_done for queue in self._queues.values() for ticket in queue)

    def close(self, reason: str) -> None:
        """Lets nobody through any more: who waits, and who comes, gets a `TransportError`."""
        self._closed = reason
        for queue in self._queues.values():
            for ticket in queue:
                if ticket.changed is not None:
                    ticket.changed.set()

    @asynccontextmanager
    async def turn(
        self, priority: Priority, order: float = 0.0, place: Slot | None = None
    ) -> AsyncIterator[None]:
        """Waits for a turn; the request is made inside. Cancelled while waiting, it costs none.

        Raises:
            TransportError: the gate has been closed; nothing was sent.
        """
        await checkpoint()
        await self._wait(priority, order, place)
        self.turns += 1
        slow_downs = self._slow_downs
        try:
            yield
        except Throttled as complaint:
            self.throttled += 1
            self._slow_down(complaint.retry_after, is_news=slow_downs == self._slow_downs)
            raise
        if slow_downs == self._slow_downs:
            self._in_a_row = 0
            if self._rate < self._full:
                self._rate = min(self._full, self._rate + self._full * _STEP)

    async def _wait(self, priority: Priority, order: float, place: Slot | None) -> None:
        # There is no task that hands out turns: whoever is first in the queue waits for the clock,
        # the others to become first. So nothing is lost whoever is cancelled, and when.
        self._tickets += 1
        ticket = _Ticket(int(priority), order, self._tickets, place, self.turns)
        pool = None if place is None else place.pool
        heapq.heappush(self._queues.setdefault(pool, []), ticket)
        if priority is Priority.POLL:
            self._polls.append(ticket)
        elif priority is Priority.CALLBACK:
            self._callbacks.append(ticket)
        try:
            while True:
                if self._closed:
                    raise TransportError(self._closed, maybe_sent=False)
                first = self._first() is ticket
                now = anyio.current_time()
                delay = self._next_at - now
                if first and delay <= _INSTANT:
                    break
                ticket.changed = anyio.Event()
                if first:
                    with anyio.move_on_after(delay):
                        await ticket.changed.wait()
                else:
                    await ticket.changed.wait()
                ticket.changed = None
                # It may not be for us any more: a place was taken, or a poll has grown old.
                self._wake_first()
            if place is not None:
                place.take()
            self._next_at = max(self._next_at, now) + 1 / self._rate
            if priority is Priority.CALLBACK:
                self._callback_at = self.turns
        finally:
            ticket.is_done = True
            self._wake_first()

    def _wake_first(self) -> None:
        first = self._first()
        if first is not None and first.changed is not None:
            first.changed.set()

    def _first(self) -> _Ticket | None:
        """Whose turn is next; those whose place is taken are passed over."""
        self._hurry_old_polls()
        self._hurry_a_callback()
        first: _Ticket | None = None
        for queue in self._queues.values():
            while queue and queue[0].is_done:
                heapq.heappop(queue)
            if not queue or (first is not None and first < queue[0]):
                continue
            place = queue[0].place
            if place is None or place.is_free:
                first = queue[0]
            else:
                place.when_free(self._wake_first)
        return first

    def _hurry_old_polls(self) -> None:
        latest = self.turns - PATIENCE
        while self._polls and (self._polls[0].is_done or self._polls[0].turns <= latest):
            ticket = self._polls.popleft()
            if not ticket.is_done and ticket.place is None:
                ticket.priority, ticket.order = int(Priority.SUBMIT), -math.inf
                heapq.heapify(self._queues[None])

    def _hurry_a_callback(self) -> None:
        """Lets one look after a callback go before the submits, if the last was long enough ago."""
        while self._callbacks and self._callbacks[0].is_done:
            self._callbacks.popleft()
        if self._callbacks and self.turns - self._callback_at >= CALLBACK_EVERY:
            ticket = self._callbacks[0]
            if ticket.priority == int(Priority.CALLBACK):
                ticket.priority, ticket.order = int(Priority.SUBMIT), _BEFORE_SUBMITS
                heapq.heapify(self._queues[None])

    def _slow_down(self, retry_after: timedelta | None, *, is_news: bool) -> None:
        if is_news:
            self._slow_downs += 1
            self._in_a_row += 1
            if math.isfinite(self._rate):
                self._rate = max(self._rate / 2, self._full * _FLOOR)
        pause = retry_after
        if pause is None:
            if not is_news:
                return
            pause = min(PAUSE_MAX, PAUSE_INITIAL * 2 ** min(self._in_a_row - 1, 10))
        gap = 1 / self._rate
        self._next_at = max(self._next_at, anyio.current_time() + max(pause.total_seconds(), gap))
