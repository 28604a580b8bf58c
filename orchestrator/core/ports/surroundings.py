"""What surrounds the engine in its process: the clock, the callback receiver, the observer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from datetime import datetime

    from orchestrator.core.debt import Debt
    from orchestrator.core.lifecycle import Event
    from orchestrator.core.model import FieldValue, Report


class Clock(Protocol):
    """The wall clock. Waiting and measuring go through anyio, whose loop it agrees with."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...


class Callbacks(Protocol):
    """Our own receiver of callbacks. It tells that somebody called, never what was said."""

    def new_address(self) -> str:
        """A callback URL for one report: unguessable, and no secret is in it."""
        ...

    def listen(self, callback_url: str, ring: Callable[[], None]) -> AbstractContextManager[None]:
        """While entered, `ring` is called in the event loop when that address is called.

        A call that came before, in this process, rings at once. Repeated calls ring again, but
        not without bound. An address of another receiver never rings.
        """
        ...


class Observer(Protocol):
    """Who watches a run: the progress display, the log. Must not block and must not fail."""

    def wanted(self, debt: Debt) -> None:
        """A series' debt is known, as the run begins."""
        ...

    def changed(self, report: Report, event: Event | None) -> None:
        """A report took an event; None: it was found open, or its intent was just written."""
        ...

    def received(self, report: Report, size_bytes: int) -> None:
        """`size_bytes` more bytes of a report's archive have come."""
        ...

    def note(self, level: str, text: str, **facts: FieldValue | float | None) -> None:
        """Something a person should read: ``info``, ``warning`` or ``error``.

        ``debug``: only for one who wants to see each step.
        """
        ...


class NullObserver:
    """The `Observer` of what nobody watches."""

    def wanted(self, debt: Debt) -> None:
        """Not told."""

    def changed(self, report: Report, event: Event | None) -> None:
        """Not told."""

    def received(self, report: Report, size_bytes: int) -> None:
        """Not told."""

    def note(self, level: str, text: str, **facts: FieldValue | float | None) -> None:
        """Not told."""
