"""So many things at once over all keys: a place is taken at the very moment of the key's turn."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Waiters:
    """Who wants to hear that something may be free; each is told once, and has to ask again."""

    def __init__(self) -> None:
        self._wakes: dict[Callable[[], None], None] = {}

    def add(self, wake: Callable[[], None]) -> None:
        """Calls `wake` at the next `tell`."""
        self._wakes[wake] = None

    def tell(self) -> None:
        """Wakes everybody; who took the last one comes last.

        That one was the first to wait again. Woken first, a key with much to fetch would take
        every place that is given back, and the others none.
        """
        wakes, self._wakes = list(self._wakes), {}
        for wake in (*wakes[1:], *wakes[:1]):
            wake()


class SlotPool:
    """A number of places. Whoever waits for one holds nothing meanwhile, so no key waits in vain.

    Args:
        number: how many there are.
    """

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting = Waiters()

    @property
    def free(self) -> int:
        """How many are free."""
        return self._free

    @contextmanager
    def claim(self) -> Iterator[PoolSlot]:
        """The right to take one place; given back at the end, if it was taken."""
        claim = PoolSlot(self)
        try:
            yield claim
        finally:
            claim.give_back()

    def take(self) -> None:
        """Takes a free place."""
        assert self._free > 0, "whoever takes a place has seen that it is free"
        self._free -= 1

    def give_back(self) -> None:
        """Frees a place, and wakes everybody who waits for one."""
        self._free += 1
        self._waiting.tell()

    def when_free(self, wake: Callable[[], None]) -> None:
        """Calls `wake` once, when a place is given back."""
        self._waiting.add(wake)


class PoolSlot:
    """One place of `SlotPool`, taken or not: the port `core.ports.Place`."""

    def __init__(self, places: SlotPool) -> None:
        self._places = places
        self._taken = False

    @property
    def pool(self) -> SlotPool:
        """What it is one of."""
        return self._places

    @property
    def is_free(self) -> bool:
        """Whether it may be taken now; True for one that is taken already."""
        return self._taken or self._places.free > 0

    def take(self) -> None:
        """Takes it. Taken again, it changes nothing."""
        if not self._taken:
            self._places.take()
            self._taken = True

    def give_back(self) -> None:
        """Frees it, if it was taken."""
        if self._taken:
            self._taken = False
            self._places.give_back()

    def when_free(self, wake: Callable[[], None]) -> None:
        """Calls `wake` once, when a place may be free."""
        self._places.when_free(wake)
