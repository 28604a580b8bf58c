"""Runs long work on files in a thread, step by step, so that it can be cancelled between steps."""

import threading
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from anyio import CancelScope, CapacityLimiter, get_cancelled_exc_class, to_thread

STEP_BYTES: Final = 32 * 1024 * 1024
"""Bytes of CSV between two pauses: some tens of milliseconds (gzip: half a second)."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Done(Generic[Result]):
    value: Result


def _advance(steps: Generator[None, None, Result]) -> _Done[Result] | None:
    try:
        next(steps)
    except StopIteration as stop:  # it may not pass out of a thread into a coroutine
        return _Done(stop.value)
    return None


def in_steps(
    blocks: Iterable[bytes], take: Callable[[bytes], object]
) -> Generator[None, None, None]:
    """Passes on blocks of bytes; pauses every few dozen megabytes."""
    since_pause = 0
    for block in blocks:
        take(block)
        since_pause += len(block)
        if since_pause >= STEP_BYTES:
            since_pause = 0
            yield


async def in_thread(
    steps: Generator[None, None, Result], cores: CapacityLimiter | None = None
) -> Result:
    """Runs a generator to its end, each step in a thread; what it returns.

    Cancelled, it closes the generator, whose ``finally`` clauses run in a thread as well.
    """
    done: _Done[Result] | None = None
    try:
        while done is None:
            done = await to_thread.run_sync(_advance, steps, limiter=cores)
    finally:
        if done is None:
            with CancelScope(shield=True):
                await to_thread.run_sync(steps.close)
    return done.value


async def run_cancellable(work: Callable[[Callable[[], bool]], Result]) -> Result:
    """Runs in a thread what asks now and then whether it is cancelled, and then raises.

    Cancelled, it waits until the work has ended.
    """
    cancelled, ended = threading.Event(), threading.Event()
    state = threading.Lock()
    has_begun = False

    def run() -> Result:
        nonlocal has_begun
        with state:
            if cancelled.is_set():
                raise RuntimeError("cancelled before it has begun; nobody waits for it")
            has_begun = True
        try:
            return work(cancelled.is_set)
        finally:
            ended.set()

    try:
        return await to_thread.run_sync(run, abandon_on_cancel=True)
    except get_cancelled_exc_class():
        with state:
            cancelled.set()
        if has_begun:
            with CancelScope(shield=True):
                await to_thread.run_sync(ended.wait)
        raise
