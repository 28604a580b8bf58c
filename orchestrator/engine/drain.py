"""Stopping on purpose: take no new work, finish what must not be cut, leave the rest."""

import math
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import anyio

from orchestrator.core.ports import Download
from orchestrator.errors import TransportError

GRACE: Final = timedelta(seconds=10)
"""How long a download may still take once the run is to stop; it keeps what has come until then."""

HURRY: Final = timedelta(seconds=5)
"""How long what is shielded may still take once somebody is in a hurry."""


@dataclass(slots=True, eq=False)
class Drain:
    """Whether the run is to stop, and how fast.

    `begin` cancels everything but what stands under a `shield`: creates in flight come to their
    end, and so does what is downloaded. What a download waits for, under `grace`, is cut after
    `GRACE`. `hurry` gives the shielded `HURRY`, and the downloads half of it: time to keep what
    has come.
    """

    begun: bool = False  # whether the run is to stop
    # the number of the signal that began it; None for a deadline, or if not begun
    signal: int | None = None
    # when it will begin at the latest, by the loop's clock: the deadline of the run
    ends_at: float = math.inf
    # of all the run's work; entered once, by the run
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    _shields: set[anyio.CancelScope] = field(default_factory=set)
    _graces: set[anyio.CancelScope] = field(default_factory=set)
    _cut_at: float = math.inf
    _hurried: bool = False

    def begin(self, signal: int | None = None) -> None:
        """Stops new work. Called again, it changes nothing."""
        if not self.begun:
            self.begun = True
            self.signal = signal
            self._cut_downloads_after(GRACE)
            self.scope.cancel("the run drains")

    def hurry(self) -> None:
        """Moves the deadline of everything shielded to `HURRY` from now."""
        self._hurried = True
        self._cut_downloads_after(HURRY / 2)
        for shield in self._shields:
            shield.deadline = min(shield.deadline, self._latest())

    def _cut_downloads_after(self, span: timedelta) -> None:
        self._cut_at = min(self._cut_at, anyio.current_time() + span.total_seconds())
        for grace in self._graces:
            grace.deadline = self._cut_at

    @contextmanager
    def grace(self) -> Iterator[anyio.CancelScope]:
        """A wait for the next piece of a download: cut a while after the run is to stop.

        See the scope's ``cancelled_caught``.
        """
        with anyio.CancelScope(deadline=self._cut_at) as scope:
            self._graces.add(scope)
            try:
                yield scope
            finally:
                self._graces.discard(scope)

    def _latest(self) -> float:
        return anyio.current_time() + HURRY.total_seconds() if self._hurried else math.inf

    @contextmanager
    def shield(self, timeout: timedelta | None = None) -> Iterator[anyio.CancelScope]:
        """Work that `begin` does not cancel; ends after `timeout`, or when hurried.

        Like `anyio.move_on_after`: see the scope's ``cancelled_caught``.
        """
        deadline = self._latest()
        if timeout is not None:
            deadline = min(deadline, anyio.current_time() + timeout.total_seconds())
        with anyio.CancelScope(shield=True, deadline=deadline) as scope:
            self._shields.add(scope)
            try:
                yield scope
            finally:
                self._shields.discard(scope)


@dataclass(slots=True)
class BriefDownload:
    """Passes a download on. Once the drain's grace is over, it breaks off like a connection.

    So whoever takes it keeps what has come, as after any other break; a cancellation would lose
    what is in their hands.
    """

    download: Download
    drain: Drain
    was_cut: bool = False

    @property
    def length(self) -> int | None:
        return self.download.length

    @property
    def start(self) -> int:
        return self.download.start

    @property
    def validator(self) -> str | None:
        return self.download.validator

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        async with aclosing(self.download.chunks()) as chunks:
            while True:
                piece: bytes | None = None
                with self.drain.grace() as grace:
                    piece = await anext(chunks, None)
                if grace.cancelled_caught:
                    self.was_cut = True
                    raise TransportError(
                        "cut, since the run is to stop; what has come is kept for the next run",
                        maybe_sent=True,
                    )
                if piece is None:
                    return
                yield piece
