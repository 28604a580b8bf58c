"""What stops a run from outside: signals, the deadline, and the cancellation of its task."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any, Final, TypeVar

import anyio
from anyio.abc import TaskStatus
from anyio.lowlevel import checkpoint

from orchestrator.engine.drain import GRACE, HURRY, Drain

Result = TypeVar("Result")

_GRACE: Final = f"{GRACE.total_seconds():.0f} seconds"
_HURRY: Final = f"{HURRY.total_seconds():.0f} seconds"


class StoppedBeforeRun(Exception):
    """A signal came while the run waited for the ledger's lock; nothing was done."""

    def __init__(self, number: int) -> None:
        super().__init__("stopped while waiting for another run to end; nothing was done")
        self.signal = number


class Shutdown:
    """How a run is stopped, and why.

    Attributes:
        why: what began the drain, for people; empty if nothing did.
    """

    def __init__(self) -> None:
        self.drain = Drain()
        self.why = ""
        self._waiting: anyio.CancelScope | None = None

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """What comes before the run, and may be cancelled as a whole."""
        with anyio.CancelScope() as scope:
            if self.drain.begun:
                scope.cancel()
            self._waiting = scope
            try:
                yield
            finally:
                self._waiting = None

    def begin(self, why: str, number: int | None = None) -> None:
        """Begins the drain, by a signal of that number or without one. Again, it does nothing."""
        if not self.drain.begun:
            self.why = why
            self.drain.begin(number)
            if self._waiting is not None:
                self._waiting.cancel()

    async def at_deadline(
        self, deadline: timedelta, started: float, inform: Callable[[str], None]
    ) -> None:
        """Begins the drain at the deadline.

        Args:
            deadline: counted from `started`.
            started: by `time.monotonic`.
        """
        wait = max(0.0, started + deadline.total_seconds() - time.monotonic())
        self.drain.ends_at = anyio.current_time() + wait
        await anyio.sleep(wait)
        if not self.drain.begun:
            inform("the deadline has come: stopping; open reports are left for the next run")
            self.begin("the deadline has come")


# --- cancellation ---------------------------------------------------------------------------------


async def drained(shutdown: Shutdown, work: Callable[[], Awaitable[Result]]) -> Result:
    """Awaits `work` so that a cancellation drains it instead of cutting it off.

    The work is done in a task of its own, which no cancellation reaches: neither that of a scope
    of anyio nor that of a task of asyncio, which ignores shields. The first cancellation begins
    the drain, each further one hurries it; when the work has ended, the cancellation goes on.

    Raises:
        BaseException: what `work` raises, also where it was cancelled.
    """
    await checkpoint()  # who is cancelled already begins nothing
    ended = anyio.Event()
    results: list[Result] = []
    errors: list[BaseException] = []

    async def shielded() -> None:
        try:
            with anyio.CancelScope(shield=True):
                results.append(await work())
        except BaseException as error:  # noqa: BLE001 - raised below, without a group around it
            errors.append(error)
        finally:
            ended.set()

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shielded)
            try:
                await ended.wait()
            except anyio.get_cancelled_exc_class():
                shutdown.begin("cancelled")
                await _wait_to_the_end(ended, shutdown.drain)
                raise
    except anyio.get_cancelled_exc_class():
        if not errors:
            raise
    if errors:
        raise errors[0] from errors[0].__cause__
    return results[0]


async def _wait_to_the_end(ended: anyio.Event, drain: Drain) -> None:
    with anyio.CancelScope(shield=True):
        while not ended.is_set():
            try:
                await ended.wait()
            except anyio.get_cancelled_exc_class():  # of the task: a shield does not stop that one
                drain.hurry()


# --- signals --------------------------------------------------------------------------------------


async def listen_for_signals(
    shutdown: Shutdown,
    inform: Callable[[str], None],
    let_go: Callable[[], None],
    *,
    task_status: TaskStatus[None],
) -> None:
    """Takes SIGINT, SIGTERM and SIGHUP until cancelled; started once it does.

    The first drains the run, the second hurries it, the third ends the process at once. A SIGHUP
    counts as a SIGTERM, unless it is ignored already, as `nohup` has it.

    Args:
        inform: shows a line to whoever sent the signal.
        let_go: called before the process ends at once; gives the terminal back.
    """
    count = 0
    with _put_back(), anyio.open_signal_receiver(*_numbers()) as signals:
        task_status.started()
        async for received in signals:
            count += 1
            number = int(signal.SIGTERM if received is signal.SIGHUP else received)
            if count == 1:
                inform(
                    f"{received.name}: stopping; requests in flight are finished, downloads have "
                    f"{_GRACE} and keep what has come, "
                    f"open reports are left for the next run; a second signal gives them {_HURRY}"
                )
                shutdown.begin(received.name, number)
            elif count == 2:
                inform(
                    f"{received.name}: {_HURRY} for what is in flight; a third signal ends it "
                    "at once"
                )
                shutdown.drain.hurry()
            else:
                let_go()
                os._exit(128 + number)


@contextmanager
def _put_back() -> Iterator[None]:
    """Has signals handled again as before, at its end; asyncio leaves what is the default."""
    loop = asyncio.get_running_loop()
    of_loop = getattr(loop, "_signal_handlers", {})  # asyncio has no other way to tell them
    before = {number: (signal.getsignal(number), of_loop.get(number)) for number in _numbers()}
    try:
        yield
    finally:
        for number, (handler, handle) in before.items():
            if handle is not None:
                loop.add_signal_handler(number, handle._run)  # noqa: SLF001 - as above
            elif handler is not None:  # it was Python that installed it
                signal.signal(number, handler)


def _numbers() -> list[signal.Signals]:
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    return numbers


class HeldSignals:
    """Takes signals after a run has ended, when they must not change how it ended.

    The third ends the process at once, as during a run. In the main thread alone; elsewhere signals
    stay as they are.
    """

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self._received: list[signal.Signals] = []
        self._wake: Callable[[], object] | None = None

    def hold(self) -> None:
        """From now on signals are noted, and do nothing else."""
        if threading.current_thread() is threading.main_thread() and not self._before:
            self._before = {number: signal.signal(number, self._take) for number in _numbers()}

    def release(self) -> None:
        """Signals are handled again as they were."""
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _take(self, number: int, _frame: object) -> None:
        self._received.append(signal.Signals(number))
        if len(self._received) > 2:
            os._exit(128 + number)
        if self._wake is not None:
            self._wake()

    async def limit(self, scope: anyio.CancelScope, inform: Callable[[str], None]) -> None:
        """Cancels a scope `HURRY` after the first signal, and at once after the second."""
        loop, count = asyncio.get_running_loop(), 0
        while count < 2:
            changed = anyio.Event()
            self._wake = partial(loop.call_soon_threadsafe, changed.set)
            if len(self._received) == count:
                await changed.wait()
            count = len(self._received)
            if count == 1:
                inform(f"{self._received[0].name}: {_HURRY} for telling how the run ended")
                scope.deadline = anyio.current_time() + HURRY.total_seconds()
        self._wake = None
        scope.cancel()
