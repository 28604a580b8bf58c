"""What surrounds the engine in its process: the clock and the receiver of callbacks."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The wall clock. Waiting and measuring go through anyio, whose loop it agrees with."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""


class Callbacks(Protocol):
    """Our own receiver of callbacks. It tells that somebody called, never what was said."""

    def new_address(self) -> str:
        """A callback URL for one report: unguessable, and no secret is in it."""

    def listen(self, callback_url: str, ring: Callable[[], None]) -> AbstractContextManager[None]:
        """While entered, `ring` is called in the event loop when that address is called.

        A call that came before, in this process, rings at once. Repeated calls ring again, but
        not without bound. An address of another receiver never rings.
        """
