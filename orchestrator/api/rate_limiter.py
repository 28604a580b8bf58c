"""Limits the requests a second of one API key: turns by priority, and slower after a 429."""

import heapq
import math
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import anyio
from anyio.lowlevel import checkpoint

from orchestrator.core.ports import Priority
from orchestrator.core.slots import Slot
from orchestrator.errors import Throttled, TransportError

PAUSE_INITIAL: Final = timedelta(seconds=1)
"""First pause after a 429 that does not say how long; it doubles with each 429 in a row."""

PAUSE_MAX: Final = timedelta(seconds=60)
"""Longest pause that is chosen here; `Retry-After` may ask for a longer one."""

PATIENCE: Final = 50
"""Turns after which a waiting poll goes before every create: a backfill must see its ends."""

CALLBACK_EVERY: Final = 5
"""Turns of which at most one goes to a poll after a callback, where others wait."""

_BEFORE_SUBMITS: Final = -1.0  # order of what goes before all creates
_INSTANT: Final = 1e-6  # seconds; a loop's timers may fire early by their resolution
_FLOOR: Final = 1 / 16  # of the full rate, after four 429s in a row; the lowest rate
_STEP: Final = 1 / 50  # of the full rate, added for each success: 25 from half to full


@dataclass(order=True, slots=True)
class _Ticket:
    priority: int
    order: float
    number: int
    slot: Slot | None = field(compare=False)
    turns: int = field(compare=False)
    changed: anyio.Event | None = field(compare=False, default=None)
    is_done: bool = field(compare=False, default=False)


class KeyRateLimiter:
    """Gives turns to the requests of one API key, never closer together than ``1 / rate``.

    Implements `core.ports.RateLimiter`. A `Throttled` raised inside a turn pauses the whole key
    for its `retry_after` (without one: 1 s, doubled each time, up to 60 s), and halves the rate, to
    1/16 at the least. Each turn without error gives back 1/50 of the full rate. A 429 for a request
    that was sent before the latest slow-down counts as part of that one.

    Attributes:
        rate: requests a second at present.
        throttled: how many of them ended in `Throttled`.
    """

    def __init__(self, requests_per_second: float) -> None:
        """Begins at the full rate.

        Args:
            requests_per_second: the full rate; `math.inf` for no limit.

        Raises:
            ValueError: the rate is not above zero.
        """
        if not requests_per_second > 0:
            raise ValueError(
                f"a rate of {requests_per_second} requests a second lets no request through"
            )
        self.turns = 0
        self.throttled = 0
        self._full = requests_per_second
        self.rate = requests_per_second
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
    def waiting(self) -> int:
        """How many wait for a turn."""
        return sum(not ticket.is_done for queue in self._queues.values() for ticket in queue)

    def close(self, reason: str) -> None:
        self._closed = reason
        for queue in self._queues.values():
            for ticket in queue:
                if ticket.changed is not None:
                    ticket.changed.set()

    @asynccontextmanager
    async def turn(
        self, priority: Priority, order: float = 0.0, slot: Slot | None = None
    ) -> AsyncIterator[None]:
        """Waits for a turn; the request is made inside. Cancelled while waiting, it costs none."""
        await checkpoint()
        await self._wait(priority, order, slot)
        self.turns += 1
        slow_downs = self._slow_downs
        try:
            yield
        except Throttled as complaint:
            self.throttled += 1
            self._slow_down(complaint.retry_after, is_news=slow_downs == self._slow_downs)
            raise
        finally:
            if slot is not None:
                slot.release()
        if slow_downs == self._slow_downs:
            self._in_a_row = 0
            if self.rate < self._full:
                self.rate = min(self._full, self.rate + self._full * _STEP)

    async def _wait(self, priority: Priority, order: float, slot: Slot | None) -> None:
        # There is no task that hands out turns: whoever is first in the queue waits for the clock,
        # the others to become first. So nothing is lost whoever is cancelled, and when.
        self._tickets += 1
        ticket = _Ticket(int(priority), order, self._tickets, slot, self.turns)
        pool = None if slot is None else slot.pool
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
                # It may be another's turn by now: a slot was taken, or a poll has waited long.
                self._wake_first()
            if slot is not None:
                slot.take()
            self._next_at = max(self._next_at, now) + 1 / self.rate
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
        """Whose turn is next; those that must wait for a slot are passed over."""
        self._hurry_old_polls()
        self._hurry_a_callback()
        first: _Ticket | None = None
        for queue in self._queues.values():
            while queue and queue[0].is_done:
                heapq.heappop(queue)
            if not queue or (first is not None and first < queue[0]):
                continue
            slot = queue[0].slot
            if slot is None or slot.is_free:
                first = queue[0]
            else:
                slot.pool.when_free(self._wake_first)
        return first

    def _hurry_old_polls(self) -> None:
        latest = self.turns - PATIENCE
        while self._polls and (self._polls[0].is_done or self._polls[0].turns <= latest):
            ticket = self._polls.popleft()
            if not ticket.is_done and ticket.slot is None:
                ticket.priority, ticket.order = int(Priority.SUBMIT), -math.inf
                heapq.heapify(self._queues[None])

    def _hurry_a_callback(self) -> None:
        """Lets one poll after a callback go before the creates, if the last was long enough ago."""
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
            if math.isfinite(self.rate):
                self.rate = max(self.rate / 2, self._full * _FLOOR)
        pause = retry_after
        if pause is None:
            if not is_news:
                return
            pause = min(PAUSE_MAX, PAUSE_INITIAL * 2 ** min(self._in_a_row - 1, 10))
        gap = 1 / self.rate
        self._next_at = max(self._next_at, anyio.current_time() + max(pause.total_seconds(), gap))
