"""Lets long work on files in a thread be cancelled."""

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, TypeVar

from anyio import CancelScope, from_thread, get_cancelled_exc_class, to_thread

STEP_BYTES: Final = 32 * 1024 * 1024
"""Bytes of CSV between two looks: some tens of milliseconds (gzip: half a second)."""

Result = TypeVar("Result")


def each_block(blocks: Iterable[bytes], take: Callable[[bytes], object]) -> None:
    """Passes on blocks of bytes; looks every few dozen megabytes whether it is cancelled.

    In a thread of anyio that is so once whoever waits for the thread is.
    """
    since_look = 0
    for block in blocks:
        take(block)
        since_look += len(block)
        if since_look >= STEP_BYTES:
            since_look = 0
            check_cancelled()


def check_cancelled() -> None:
    """Raises where whoever waits for this thread is cancelled."""
    with suppress(RuntimeError):  # no thread of anyio: nobody can cancel it
        from_thread.check_cancelled()


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
