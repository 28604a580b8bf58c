"""What stops a run from outside: signals, and the deadline."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import anyio

from orchestrator.engine.drain import GRACE, HURRY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import timedelta

    from anyio.abc import TaskStatus

    from orchestrator.engine.drain import Drain

_GRACE: Final = f"{GRACE.total_seconds():.0f} seconds"
_SECONDS: Final = f"{HURRY.total_seconds():.0f} seconds"


class SignalHandler:
    """Drains a run at the first signal, hurries it at the second, ends the process at the third.

    Args:
        drain: the run's.
        say: writes a line for whoever sent the signal.
        let_go: called before the process ends at once; gives the terminal back.

    Attributes:
        why: what began the drain, in words; empty if nothing did.
    """

    def __init__(
        self, drain: Drain, say: Callable[[str], None], let_go: Callable[[], None]
    ) -> None:
        self._drain = drain
        self._say = say
        self._let_go = let_go
        self._waiting: anyio.CancelScope | None = None
        self.why = ""

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """What comes before the run, and may be cancelled as a whole."""
        with anyio.CancelScope() as scope:
            if self._drain.begun:
                scope.cancel()
            self._waiting = scope
            try:
                yield
            finally:
                self._waiting = None

    async def listen(self, *, task_status: TaskStatus[None]) -> None:
        """Takes SIGINT, SIGTERM and SIGHUP until cancelled; started once it does.

        A SIGHUP counts as a SIGTERM, unless it is ignored already, as `nohup` has it.
        """
        heard = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            heard.append(signal.SIGHUP)
        with anyio.open_signal_receiver(*heard) as signals:
            task_status.started()
            number = 0
            async for received in signals:
                number += 1
                self._take(number, received)

    def _take(self, number: int, received: signal.Signals) -> None:
        match number:
            case 1:
                self._say(
                    f"{received.name}: stopping; requests in flight are finished, downloads have "
                    f"{_GRACE} and keep what has come, "
                    f"open reports are left for the next run; a second signal gives them {_SECONDS}"
                )
                self._begin(received.name, _number(received))
            case 2:
                self._say(
                    f"{received.name}: {_SECONDS} for what is in flight; a third signal ends it "
                    "at once"
                )
                self._drain.hurry()
            case _:
                self._let_go()
                os._exit(128 + _number(received))

    async def at_deadline(self, deadline: timedelta, started: float) -> None:
        """Drains at the deadline.

        Args:
            deadline: counted from `started`.
            started: by `time.monotonic`.
        """
        left = max(0.0, started + deadline.total_seconds() - time.monotonic())
        self._drain.ends_at = anyio.current_time() + left
        await anyio.sleep(left)
        if not self._drain.begun:
            self._say("the deadline has come: stopping; open reports are left for the next run")
            self._begin("the deadline has come", None)

    def _begin(self, why: str, number: int | None) -> None:
        if not self._drain.begun:
            self.why = why
            self._drain.begin(number)
            if self._waiting is not None:
                self._waiting.cancel()


def _number(received: signal.Signals) -> int:
    return int(signal.SIGTERM if received is signal.SIGHUP else received)
