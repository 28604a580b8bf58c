"""Slots: one of a limited number of things at once, taken at the very moment of its key's turn.

The rate limiter takes a slot with the turn of a request and gives it back when the turn ends. What
goes on beyond the turn, a download or an open report, keeps it until the block of `slot_of` ends.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Waiters:
    """Who wants to hear that a slot may be free; each is told once, and has to ask again."""

    def __init__(self) -> None:
        self._wakes: dict[Callable[[], None], None] = {}

    def add(self, wake: Callable[[], None]) -> None:
        """Calls `wake` at the next `tell`."""
        self._wakes[wake] = None

    def tell(self) -> None:
        """Wakes everybody; who took the last slot comes last.

        That one was the first to wait again. Woken first, a key with much to fetch would take
        every slot that is given back, and the others none.
        """
        wakes, self._wakes = list(self._wakes), {}
        for wake in (*wakes[1:], *wakes[:1]):
            wake()


class Pool(Protocol):
    """Where slots come from. Called by `Slot` alone, but for `when_free`."""

    @property
    def is_free(self) -> bool:
        """Whether a slot may be taken now."""

    def take(self) -> None:
        """Takes a slot."""

    def give_back(self) -> None:
        """Frees a slot, and wakes who waits for one."""

    def when_free(self, wake: Callable[[], None]) -> None:
        """Calls `wake` once, when a slot may be free."""


class Slot:
    """One slot of a pool, taken or not: the port `core.ports.Slot`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._is_taken = False
        self._is_kept = False

    @property
    def pool(self) -> Pool:
        """What it is one of."""
        return self._pool

    @property
    def is_free(self) -> bool:
        """Whether it may be taken now; True for one that is taken already."""
        return self._is_taken or self._pool.is_free

    def take(self) -> None:
        """Takes it. Taken again, it changes nothing."""
        if not self._is_taken:
            self._pool.take()
            self._is_taken = True

    def keep(self) -> None:
        """Keeps it beyond the turn for which it was taken, until the block of `slot_of` ends."""
        self._is_kept = True

    def release(self) -> None:
        """Frees it at the end of a turn, unless it is kept."""
        if not self._is_kept:
            self.give_back()

    def give_back(self) -> None:
        """Frees it, kept or not. Not taken, it changes nothing."""
        self._is_kept = False
        if self._is_taken:
            self._is_taken = False
            self._pool.give_back()

    def when_free(self, wake: Callable[[], None]) -> None:
        """Calls `wake` once, when it may be free."""
        self._pool.when_free(wake)


@contextmanager
def slot_of(pool: Pool) -> Iterator[Slot]:
    """A slot that nobody has taken yet; free again at the end of the block, whatever happened."""
    slot = Slot(pool)
    try:
        yield slot
    finally:
        slot.give_back()


class SlotPool:
    """A number of slots over all keys.

    Whoever waits for one holds nothing meanwhile, so no key waits in vain.

    Args:
        number: how many there are.
    """

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiters = Waiters()

    @property
    def free(self) -> int:
        """How many are free."""
        return self._free

    @property
    def is_free(self) -> bool:
        """Whether one is free."""
        return self._free > 0

    def slot(self) -> AbstractContextManager[Slot]:
        """See `slot_of`."""
        return slot_of(self)

    def take(self) -> None:
        """Takes a free slot."""
        assert self._free > 0, "whoever takes a slot has seen that it is free"
        self._free -= 1

    def give_back(self) -> None:
        """Frees a slot, and wakes everybody who waits for one."""
        self._free += 1
        self._waiters.tell()

    def when_free(self, wake: Callable[[], None]) -> None:
        """Calls `wake` once, when a slot is given back."""
        self._waiters.add(wake)
