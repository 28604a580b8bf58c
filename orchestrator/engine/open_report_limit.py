"""How many open reports the server takes from one key: found when it refuses more, and kept to."""

from __future__ import annotations

import math
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import anyio

from orchestrator.core import vonage
from orchestrator.engine.slots import Waiters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.core.events import RunEvents
    from orchestrator.errors import Throttled

_SUSPECT: Final = 2
"""So many creates in a row are refused before a harmless call shows whether it is the rate."""

_RECENTLY: Final = 300.0
"""Seconds after another call was refused in which a create's refusal is for the rate as well."""

_PATIENCE: Final = 16
"""The room is tried again at the latest when it was emptied so many times."""

PAUSE_INITIAL: Final = 1.0
PAUSE_MAX: Final = 60.0
"""Seconds; between creates while the server refuses them though it has none of ours open."""


class OpenReportLimit:
    """The server's room for open reports of one key.

    The vendor tells of no such limit. A 429 for a create is taken for the rate at first, and slows
    the key. Where creates are refused again and again while a harmless call is let through, or the
    problem's type says that it is not the rate, the server is full: from then on a create waits
    until a report has ended, and its refusal slows nothing else. Where calls that create nothing
    are refused as well, it is the rate after all. The room is taken to grow by one after so many
    reports have ended as it holds, by twice as many after each time that was wrong.

    Args:
        api_key: for words.
        events: is told what was found.
        patience: how long creates may be refused, while nothing ends, before the run does without.

    Attributes:
        most: open reports that the server takes; None: no limit was met.
        gave_up: why no more creates are sent in this run, in words; empty while they are.
    """

    def __init__(
        self, api_key: str, events: RunEvents, patience: timedelta = timedelta.max
    ) -> None:
        self.most: int | None = None
        self.gave_up = ""
        self._patience_with_all = patience
        self._stuck_since: float | None = None
        self._api_key = api_key
        self._events = events
        self._seats: set[OpenReportSlot] = set()
        self._waiting = Waiters()
        self._resting = 0
        self._refusals = 0
        self._rate_is_fine = False
        self._rate_refused_at = -math.inf
        self._ended = 0
        self._patience = 1
        self._pause = PAUSE_INITIAL

    @contextmanager
    def slot(self) -> Iterator[OpenReportSlot]:
        """The place of one report among the open ones; left at the end at the latest."""
        slot = OpenReportSlot(self)
        try:
            yield slot
        finally:
            slot.leave()

    # --- what the server says ---------------------------------------------------------------------

    @property
    def is_suspect(self) -> bool:
        """Whether a call that creates nothing should show if it is the rate that is too high."""
        return self.most is None and self._refusals >= _SUSPECT and not self._rate_is_fine

    def probe_passed(self) -> None:
        """Such a call was let through."""
        self._rate_is_fine = True

    def probe_throttled(self) -> None:
        """A call that creates nothing was refused: others use this key, or the server is slow."""
        self._rate_refused_at = anyio.current_time()
        self._rate_is_fine = False

    def created(self) -> None:
        """The server has taken a report."""
        self._refusals = 0
        self._rate_is_fine = False
        self._pause = PAUSE_INITIAL
        self._stuck_since = None

    def is_full(self, refusal: Throttled) -> bool:
        """Whether this refusal of a create is for want of room; False: it is for the rate.

        The seat of that create has been left already.
        """
        self._refusals += 1
        self._lose_patience()
        kind = refusal.problem.type if refusal.problem is not None else ""
        says_so = "#" in kind and not kind.endswith(vonage.RATE_LIMIT_TYPE)
        if not says_so and not self._may_be_full():
            return False
        known, self.most = self.most, max(1, len(self._seats))
        if known is None:
            self._events.message(
                "info",
                f"key {self._api_key}: the API takes no more than about {self.most} open reports "
                "at once; the others wait until one has ended",
            )
        elif known > self.most:
            self._patience = min(_PATIENCE, 2 * self._patience)
        self._ended = 0
        return True

    def _may_be_full(self) -> bool:
        if anyio.current_time() - self._rate_refused_at < _RECENTLY:
            return False
        return self.most is not None or self._rate_is_fine

    def _lose_patience(self) -> None:
        now = anyio.current_time()
        if self._stuck_since is None:
            self._stuck_since = now
        stuck = timedelta(seconds=round(now - self._stuck_since))
        if stuck >= self._patience_with_all and not self.gave_up:
            self.gave_up = f"the API has refused every create of key {self._api_key} for {stuck}"
            self._events.message("error", f"{self.gave_up}; nothing more is asked for in this run")
            self._waiting.tell()  # those who wait for room wait in vain

    async def rest(self) -> None:
        """After a refusal: where none of ours is open, nobody tells when there is room again."""
        if self._seats or self.gave_up:
            return
        pause, self._pause = self._pause, min(PAUSE_MAX, 2 * self._pause)
        self._resting += 1
        try:
            await anyio.sleep(pause)
        finally:
            self._resting -= 1
            self._waiting.tell()

    # --- seats ------------------------------------------------------------------------------------

    @property
    def has_room(self) -> bool:
        """Whether one more report may be created now."""
        if self.gave_up:
            return True  # they come to their turn to hear that it is over
        return not self._resting and (self.most is None or len(self._seats) < self.most)

    def take(self, slot: OpenReportSlot) -> None:
        """Takes a seat, room or not: a report that is found open has one already."""
        self._seats.add(slot)

    def leave(self, slot: OpenReportSlot, *, ended: bool) -> None:
        """Gives a seat up, if it was taken; `ended`: the server has had the report until now."""
        if slot not in self._seats:
            return
        self._seats.discard(slot)
        if ended:
            self._stuck_since = None
        if ended and self.most is not None:
            self._ended += 1
            if self._ended >= self._patience * self.most:
                self.most += 1
                self._ended = 0
        self._waiting.tell()

    def when_free(self, wake: Callable[[], None]) -> None:
        """Calls `wake` once, when there may be room."""
        self._waiting.add(wake)


class OpenReportSlot:
    """The place of one report among those that are open at the server: `core.ports.Place`."""

    def __init__(self, room: OpenReportLimit) -> None:
        self._room = room

    @property
    def pool(self) -> OpenReportLimit:
        """What it is one of."""
        return self._room

    @property
    def is_free(self) -> bool:
        """Whether there is room for a report more."""
        return self._room.has_room

    def take(self) -> None:
        """Takes it, room or not. Taken again, it changes nothing."""
        self._room.take(self)

    def give_back(self) -> None:
        """Gives it up, if it was taken: nothing was created."""
        self.leave()

    def leave(self, *, ended: bool = False) -> None:
        """Gives it up, if it was taken; `ended`: the server has had the report until now."""
        self._room.leave(self, ended=ended)

    def when_free(self, wake: Callable[[], None]) -> None:
        """Calls `wake` once, when there may be room."""
        self._room.when_free(wake)
