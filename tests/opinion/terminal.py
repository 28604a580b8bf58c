"""The command line in virtual time: typed in this process, killed, signalled.

A command is the real one, from its arguments to its exit code. It runs in a thread, as click is
not asynchronous; what it hands to `anyio.run` runs in the loop in which the simulator lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import random
import shutil
import signal
import threading
import traceback
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import anyio
from anyio import lowlevel

from orchestrator.api import VonageReports
from orchestrator.app import setup
from orchestrator.cli.main import call
from orchestrator.core.settings import ApiSettings
from orchestrator.ledger.sqlite import SqliteLedger
from orchestrator.reporting.loop_lag import LoopLagMonitor
from tests.kit.virtual_time import VirtualLoop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
    from pathlib import Path

    from tests.opinion.front import Front

PATIENCE_SECONDS: Final = 48 * 3600.0
"""A command that takes longer, in virtual time, is ended, with the exit code `ENDLESS`."""

ENDLESS: Final = -1
BEYOND_WORDS: Final = -2
"""Exit codes that no command has: it did not end; it raised what its own last words let through."""


class PowerCut(BaseException):
    """The process is no more: nothing catches it."""


class How(Enum):
    """What happens to a command while it runs."""

    KILLED = "killed"
    KILLED_BEFORE_COMMIT = "killed before a commit"
    KILLED_AFTER_COMMIT = "killed after a commit"
    TERMINATED = "sent SIGTERM"
    INTERRUPTED_TWICE = "sent SIGINT twice"


@dataclass(frozen=True)
class Stop:
    """An interruption: `at` is a number of seconds, or of a commit (from 1)."""

    how: How
    at: float

    def __str__(self) -> str:
        unit = f"commit {self.at:.0f}" if "COMMIT" in self.how.name else f"{self.at:g} s"
        return f"{self.how.value} ({unit})"


@dataclass(frozen=True)
class Told:
    """What a command came to.

    Attributes:
        code: its exit code; None: it was killed.
        out: what it wrote to standard output.
        errors: what it wrote to standard error.
        at: what the machine's clock showed at its begin.
        api_at: what the API's clock showed then.
        began: seconds of the loop.
        ended: seconds of the loop.
        creates: how many creates it sent.
    """

    arguments: tuple[str, ...]
    code: int | None
    out: str
    errors: str
    at: datetime
    api_at: datetime
    began: float
    ended: float
    creates: int

    @property
    def answer(self) -> dict[str, Any]:
        """What it wrote with ``--json``; nothing where it wrote none."""
        try:
            found = json.loads(self.out)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def __str__(self) -> str:
        """For people."""
        lasted = timedelta(seconds=round(self.ended - self.began))
        ended = "killed" if self.code is None else f"exit {self.code}"
        ended = "does not end" if self.code == ENDLESS else ended
        return f"{' '.join(self.arguments)}: {ended} after {lasted}, {self.creates} creates"


@dataclass
class Terminal:
    """Where commands are typed, in a folder of their own.

    Attributes:
        folder: everything that a command may change; a killed one leaves it as it then stood.
        front: the API.
        start: what the machine's clock shows when the loop begins.
        ahead: how far the machine's clock is from there.
        told: every command, in order.
        is_remote: the API counts as the vendor's, not as a simulator on this machine.
        heard: is told of each command once it has ended.
    """

    folder: Path
    front: Front
    start: datetime
    ahead: timedelta = timedelta()
    told: list[Told] = field(default_factory=list)
    is_remote: bool = False
    heard: Callable[[Told], None] = lambda _: None
    _commits: int = 0
    _stop: Stop | None = None
    _task: asyncio.Task[Any] | None = None
    _signals: Any = None
    _image: Path | None = None
    _result: list[int | None] = field(default_factory=lambda: [None])

    def now(self) -> datetime:
        """What the machine's clock shows."""
        return self.start + self.ahead + timedelta(seconds=self._loop.time())

    async def type(
        self,
        *arguments: str,
        stop: Stop | None = None,
        meanwhile: tuple[float, Callable[[], None]] | None = None,
    ) -> Told:
        """Types a command, and waits for its end.

        Args:
            arguments: without the program's name.
            stop: what happens to it.
            meanwhile: after so many seconds this is done beside it.
        """
        self._loop = asyncio.get_running_loop()
        assert isinstance(self._loop, VirtualLoop)
        self._stop, self._commits, self._image, self._task = stop, 0, None, None
        at, api_at = self.now(), self.front.clock.now()
        began, creates = self._loop.time(), len(self.front.creates)
        output, errors = io.StringIO(), io.StringIO()
        with (
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(errors),
            self._in_place(),
        ):
            async with anyio.create_task_group() as beside:
                if stop is not None and "COMMIT" not in stop.how.name:
                    beside.start_soon(self._interrupt, stop)
                if meanwhile is not None:
                    beside.start_soon(_after, *meanwhile)
                beside.start_soon(self._lose_patience)
                code = await self._threaded(arguments)
                beside.cancel_scope.cancel()
        self._restore()
        told = Told(
            arguments,
            code,
            output.getvalue(),
            errors.getvalue(),
            at,
            api_at,
            began,
            self._loop.time(),
            len(self.front.creates) - creates,
        )
        self.told.append(told)
        self.heard(told)
        return told

    # --- the thread ------------------------------------------------------------------------------

    async def _threaded(self, arguments: Sequence[str]) -> int | None:
        """The command in a thread, for which time stands still but where it waits for the loop."""
        loop = self._loop
        assert isinstance(loop, VirtualLoop)
        ended = asyncio.Event()
        result = self._result = [None]

        def work() -> None:
            try:
                code = call(list(arguments))
                result[0] = code if result[0] is None else result[0]
            except BaseException as error:  # noqa: BLE001 - killed, or broken beyond its own words
                if self._image is None and result[0] is None:
                    traceback.print_exception(error)
                    result[0] = BEYOND_WORDS
            finally:
                loop.call_soon_threadsafe(ended.set)

        loop.in_flight += 1
        try:
            threading.Thread(target=work, daemon=True).start()
            await ended.wait()
        finally:
            loop.in_flight -= 1
        return None if self._image is not None else result[0]

    def _run(
        self, function: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any, **_: Any
    ) -> Any:
        """`anyio.run` of the command's thread: in the loop that is there already."""
        loop = self._loop
        assert isinstance(loop, VirtualLoop)
        came: Future[Any] = Future()

        def begin() -> None:
            loop.in_flight -= 1
            self._task = loop.create_task(function(*arguments))
            self._task.add_done_callback(end)

        def end(task: asyncio.Task[Any]) -> None:
            loop.in_flight += 1
            if task.cancelled():
                came.set_exception(PowerCut())
            elif (error := task.exception()) is not None:
                came.set_exception(error)
            else:
                came.set_result(task.result())

        loop.call_soon_threadsafe(begin)
        return came.result()

    # --- what befalls it -------------------------------------------------------------------------

    async def _interrupt(self, stop: Stop) -> None:
        await anyio.sleep(stop.at)
        if stop.how is How.KILLED:
            self._die()
            if self._task is not None:
                self._task.cancel()
            return
        number = signal.SIGTERM if stop.how is How.TERMINATED else signal.SIGINT
        for _ in range(2 if stop.how is How.INTERRUPTED_TWICE else 1):
            if self._signals is not None:
                self._signals.send_nowait(number)
            await anyio.sleep(1)

    async def _lose_patience(self) -> None:
        await anyio.sleep(PATIENCE_SECONDS)
        self._result[0] = ENDLESS
        self.front.dead = True
        if self._task is not None:
            self._task.cancel()

    def _commit(self, ledger: SqliteLedger) -> None:
        """A commit of the ledger, before or after which the process may die."""
        self._commits += 1
        stop = self._stop
        due = stop is not None and self._commits == stop.at and self._image is None
        if due and stop is not None and stop.how is How.KILLED_BEFORE_COMMIT:
            self._die()
        if self._image is not None:
            raise PowerCut
        _true_commit(ledger)
        if due and stop is not None and stop.how is How.KILLED_AFTER_COMMIT:
            self._die()
            raise PowerCut

    def _die(self) -> None:
        """Keeps what the disk holds at this moment; nothing that is sent from now on arrives."""
        if self._image is None:
            self.front.dead = True
            self._image = self.folder.with_name(self.folder.name + ".image")
            shutil.rmtree(self._image, ignore_errors=True)
            shutil.copytree(self.folder, self._image)

    def _restore(self) -> None:
        """After a death: what was done while the dead process was cleared away is undone."""
        self.front.dead = False
        if self._image is not None:
            shutil.rmtree(self.folder)
            self._image.rename(self.folder)

    # --- the machine -----------------------------------------------------------------------------

    @contextlib.contextmanager
    def _in_place(self) -> Iterator[None]:
        """Puts this machine in the place of the real one: clock, dice, signals, threads."""
        dice = random.Random(len(self.told))
        start = self.now

        def shifted(clock: setup.ShiftedClock) -> datetime:
            begun = vars(clock).setdefault("begun_in_the_loop", self._loop.time())
            at: datetime = clock._start
            return at + timedelta(seconds=self._loop.time() - begun)

        @contextlib.contextmanager
        def signals(*_: object) -> Iterator[AsyncIterator[int]]:
            send, receive = anyio.create_memory_object_stream[int](8)
            with send, receive:
                self._signals = send
                try:
                    yield receive
                finally:
                    self._signals = None

        async def beat(_: LoopLagMonitor) -> None:
            await anyio.sleep_forever()

        with (
            patch.object(anyio, "run", self._run),
            patch.object(anyio, "open_signal_receiver", signals),
            patch.object(anyio.to_thread, "run_sync", _inline),
            patch.object(random, "SystemRandom", lambda: dice),
            patch.object(setup.SystemClock, "now", lambda _: start()),
            patch.object(setup.ShiftedClock, "now", shifted),
            patch.object(LoopLagMonitor, "beat", beat),
            patch.object(SqliteLedger, "commit", self._commit_method()),
            _as_remote() if self.is_remote else contextlib.nullcontext(),
        ):
            yield

    def _commit_method(self) -> Callable[[SqliteLedger], None]:
        def commit(ledger: SqliteLedger) -> None:
            self._commit(ledger)

        return commit


@contextlib.contextmanager
def _as_remote() -> Iterator[None]:
    """Lets nothing know that the API is on this machine: both clocks count, as at the vendor's."""
    false = property(lambda _: False, lambda _, value: None)
    with (
        patch.object(ApiSettings, "is_on_this_machine", false),
        patch.object(VonageReports, "is_local", false, create=True),
    ):
        yield


_true_commit: Final = SqliteLedger.commit


async def _inline(function: Callable[..., Any], *args: Any, **_options: Any) -> Any:
    """Thread work done at once: so that a seed does the same every time."""
    await lowlevel.checkpoint()
    return function(*args)


async def _after(seconds: float, act: Callable[[], None]) -> None:
    await anyio.sleep(seconds)
    act()


EPOCH: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""When everything begins, by every clock that is right."""
