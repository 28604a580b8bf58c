"""Virtual time: an event loop that leaps to its next timer when nothing else can happen.

Days of polling pass in a second, over real sockets, and every run sees the same times. Use it by
the marker of ``tests/conftest.py``::

    pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

What it cannot see: bytes that another process or a thread of your own is about to send, and
threads started by hand. A thread that lasts must not be started through `to_thread.run_sync`:
it counts as work in flight, and holds time still.
"""

from __future__ import annotations

import asyncio
import fcntl
import selectors
import sys
import termios
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DAY_ONE: Final = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
"""Where a `VirtualClock` starts unless it is told otherwise: a Sunday noon."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop whose `time` stands still, but for leaps to the next timer."""

    def __init__(self) -> None:
        self._virtual_now = 0.0
        self.in_flight = 0
        """Pieces of work that threads have in hand; while there are any, nothing leaps."""
        super().__init__(_LeapingSelector(self))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual_now

    def leap(self, seconds: float) -> None:
        """Moves time on."""
        self._virtual_now += seconds

    def run_in_executor(self, *args: Any) -> Any:  # type: ignore[override]
        """As ever, and counts what is in flight."""
        self.in_flight += 1
        try:
            future = super().run_in_executor(*args)
        except BaseException:
            self.in_flight -= 1
            raise
        future.add_done_callback(self._landed)
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        """As ever: from Python 3.12 on there is a deadline, and no leap must be made to it."""
        self.in_flight += 1
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self.in_flight -= 1

    def _landed(self, _: object) -> None:
        self.in_flight -= 1


class _LeapingSelector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop
        self._stuck = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if self._loop.in_flight:
            return super().select(None)
        ready = super().select(0)
        # Loopback bytes are there as soon as they were sent; but while the kernel moves many, it
        # may put some off. Those that a paused reader holds up are waited for once.
        patience = 20
        while not ready and patience and (amount := self._under_way()) not in (0, self._stuck):
            ready = super().select(0.001)
            patience -= 1
            if not patience:
                self._stuck = amount
        if not ready:
            self._loop.leap(timeout)
        return ready

    def _under_way(self) -> int:
        amount = sum(
            _unacknowledged(key.fd) + (key.events & selectors.EVENT_WRITE) * _MANY
            for key in self.get_map().values()
        )
        return amount if amount > _MANY else 0  # a few are only acknowledged late


_MANY: Final = 8192


def _unacknowledged(socket_fd: int) -> int:
    try:
        answer = fcntl.ioctl(socket_fd, termios.TIOCOUTQ, bytes(4))
    except OSError:
        return 0  # a socket that only listens, or something else
    return int.from_bytes(answer, sys.byteorder)


_run_sync: Final = to_thread.run_sync


async def _counted_run_sync(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        return await _run_sync(function, *args, **options)
    loop.in_flight += 1
    try:
        return await _run_sync(function, *args, **options)
    finally:
        loop.in_flight -= 1


# anyio keeps threads of its own, which no loop can see. On other loops the wrapper does nothing.
to_thread.run_sync = _counted_run_sync  # type: ignore[assignment]

VIRTUAL: Final[tuple[str, Mapping[str, Any]]] = ("asyncio", {"loop_factory": VirtualLoop})
"""The value of ``anyio_backend`` that makes a test run in virtual time."""


class VirtualClock:
    """The wall clock of a loop: `core.ports.Clock`. Without a running loop it stands at `start`.

    It remembers the first loop it was asked in, so threads of that loop may ask it too.
    """

    def __init__(self, start: datetime = DAY_ONE) -> None:
        self.start = start
        self._loop: asyncio.AbstractEventLoop | None = None

    def now(self) -> datetime:
        """`start`, and the virtual time that has passed since the loop was made."""
        if self._loop is None:
            try:
                self._loop = asyncio.get_running_loop()
            except RuntimeError:
                return self.start
        return self.start + timedelta(seconds=self._loop.time())
