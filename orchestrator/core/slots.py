"""Slots: one of a limited number of things at once, taken at the very moment of its key's turn.

The rate limiter takes a slot with the turn of a request and gives it back when the turn ends. What
goes on beyond the turn, a download or an open report, keeps it until the block of `slot` ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(eq=False)
class SlotPool:
    """A number of slots. Whoever waits for one holds nothing meanwhile, so no key waits in vain."""

    most: int | None = None  # how many there are; None: as many as are wanted
    taken: int = 0  # how many are taken; may be more than `most`, where that was learned later
    _wakes: dict[Callable[[], None], None] = field(default_factory=dict)

    @property
    def is_free(self) -> bool:
        """Whether a slot may be taken now."""
        return self.most is None or self.taken < self.most

    @contextmanager
    def slot(self) -> Iterator[Slot]:
        """A free slot; it is free again when the block ends, whatever happened."""
        slot = Slot(self)
        try:
            yield slot
        finally:
            slot.give_back()

    def when_free(self, wake: Callable[[], None]) -> None:
        """Calls `wake` once, when a slot may be free."""
        self._wakes[wake] = None

    def wake_all(self) -> None:
        """Wakes everybody; who took the last slot comes last.

        That one was the first to wait again. Woken first, a key with much to fetch would take
        every slot that is given back, and the others none.
        """
        wakes, self._wakes = list(self._wakes), {}
        for wake in (*wakes[1:], *wakes[:1]):
            wake()


@dataclass(slots=True, eq=False)
class Slot:
    """One slot of a pool, taken or not: what a request may need besides its turn."""

    pool: SlotPool
    _is_taken: bool = False
    _is_kept: bool = False

    @property
    def is_free(self) -> bool:
        """Whether it may be taken now; True for one that is taken already."""
        return self._is_taken or self.pool.is_free

    def take(self) -> None:
        """Takes it, free or not. Taken again, it changes nothing."""
        if not self._is_taken:
            self._is_taken = True
            self.pool.taken += 1

    def keep(self) -> None:
        """Keeps it beyond the turn for which it was taken, until the block of `slot` ends."""
        self._is_kept = True

    def release(self) -> None:
        """Frees it at the end of a turn, unless it is kept."""
        if not self._is_kept:
            self.give_back()

    def give_back(self) -> None:
        """Frees it, kept or not, and wakes who waits for one. Not taken, it changes nothing."""
        self._is_kept = False
        if self._is_taken:
            self._is_taken = False
            self.pool.taken -= 1
            self.pool.wake_all()
