"""Runs jobs: takes the ledger's lock, collects what is missing, and sums up.

`run` neither prints nor changes anything of the process around it. It installs signal handlers only
where that is asked for.
"""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import partial
from typing import Unpack

import anyio
from anyio import to_thread

from orchestrator.app.ledger_writing import WritableLedger, writing_ledger
from orchestrator.app.notifications import Announcement
from orchestrator.app.rebuild import rebuild_ledger as rebuild
from orchestrator.app.run_request import Display, GuardedDisplay, RunOptions, RunRequest
from orchestrator.app.run_summary import summarise, write_success
from orchestrator.app.run_work import execute, prepare
from orchestrator.app.setup import (
    ShiftedClock,
    SystemClock,
    credentials_of,
    refuse_shifted_clock,
    run_in_new_loop,
)
from orchestrator.app.shutdown import Shutdown, StoppedBeforeRun, drained, listen_for_signals
from orchestrator.config import Inputs
from orchestrator.core import policy
from orchestrator.core.events import RunEvent
from orchestrator.core.ports import Clock
from orchestrator.core.settings import Credentials
from orchestrator.engine.editions import Renewal
from orchestrator.reporting.summary import RunSummary
from orchestrator.texts import hider


async def run(
    inputs: Inputs,
    *,
    credentials: Mapping[str, Credentials] | None = None,
    clock: Clock | None = None,
    deadline: timedelta | None = None,
    lock_wait: timedelta = timedelta(),
    retry_failed: bool = False,
    rebuild_ledger: bool = False,
    again: Sequence[Renewal] = (),
    display: Display | None = None,
    on_event: Callable[[RunEvent], None] | None = None,
    verbose: bool = False,
    handle_signals: bool = False,
    notify: bool = False,
    started: float | None = None,
) -> RunSummary:
    """Collects what the jobs want and is not collected yet.

    Goes on with what is open, asks for what is missing, waits, downloads and verifies. What is
    collected or asked for is never bought again.

    A cancellation stops the run as a signal does: requests in flight are finished, downloads get
    `engine.drain.GRACE` and keep what has come, and open reports are left for the next run. Then
    the cancellation goes on. A second one, while the run stops, shortens that to `HURRY`.

    Args:
        credentials: by name, those that the jobs use; None: they are looked up.
        clock: the wall clock; None: this machine's.
        deadline: how long after `started` the run stops by itself; None: it works to its end.
        lock_wait: how long to wait for another run on the same ledger.
        retry_failed: ask again for what earlier runs have given up.
        rebuild_ledger: make the ledger from the manifest first; it is lost.
        again: buy newer editions of these, and nothing else; see `choose_editions`.
        display: shows the run to a person; None: nothing is shown.
        on_event: called with each event of the run; it must return at once.
        verbose: every line goes to the display; else lines of one cause are counted.
        handle_signals: SIGINT, SIGTERM and SIGHUP stop the run in order; only in the main thread.
        notify: tell those whom the config names (`notify`, `ping`, `metrics`) how the run begins
            and ends; a cancellation is told as an interrupt. What cannot be told is a warning.
        started: when the command began, by `time.monotonic`; None: now.

    Returns:
        What came of it; `RunSummary.code` is the exit code that the command would have.

    Raises:
        InputError: credentials are missing, or ledger and files do not belong together.
        LedgerLocked: another run is active on the ledger.
        LedgerError: the ledger cannot be read or written.
        OutputError: the disk cannot be written.
        StoppedBeforeRun: a signal came while the run waited for the lock.
    """
    if isinstance(clock, ShiftedClock):
        refuse_shifted_clock(inputs.config)
    clock, shown = clock or SystemClock(), GuardedDisplay(display)
    subscribers = [] if on_event is None else [on_event]
    async with contextlib.AsyncExitStack() as stack:
        announcement: Announcement | None = None
        if notify:
            announcement = await stack.enter_async_context(
                Announcement(
                    [job.path for job in inputs.jobs],
                    inputs.config,
                    clock,
                    lambda text: shown.note("warning", text, {}),
                    handle_signals=handle_signals,
                )
            )
        if credentials is None:
            credentials = credentials_of(inputs)
        if announcement is not None:
            secrets = (each.api_secret.reveal() for each in credentials.values())
            announcement.begin(inputs.config, hider(secrets))
            subscribers.append(announcement.notify)
        summary = await _run(
            RunRequest(
                inputs=inputs,
                credentials=credentials,
                clock=clock,
                started=time.monotonic() if started is None else started,
                deadline=deadline,
                lock_wait=lock_wait,
                retry_failed=retry_failed,
                rebuild_ledger=rebuild_ledger,
                again=tuple(again),
                display=shown,
                subscribers=subscribers,
                verbose=verbose,
                handle_signals=handle_signals,
            )
        )
        if announcement is not None:
            announcement.end(summary)
    return summary


async def _run(request: RunRequest) -> RunSummary:
    shutdown = Shutdown()
    try:
        summary = await drained(shutdown, lambda: _run_under_lock(request, shutdown))
    except BaseExceptionGroup as group:
        error = policy.most_telling(group)
        raise error from error.__cause__
    if summary is None:
        assert shutdown.drain.signal is not None, "else the cancellation or an error is raised"
        raise StoppedBeforeRun(shutdown.drain.signal)
    return summary


def run_sync(inputs: Inputs, **options: Unpack[RunOptions]) -> RunSummary:
    """`run` for programs without an event loop; Ctrl-C stops it as a cancellation does.

    Raises:
        RuntimeError: an event loop runs in this thread; use ``await run(...)`` there.
    """
    return run_in_new_loop(partial(run, inputs, **options), "run")


async def _run_under_lock(request: RunRequest, shutdown: Shutdown) -> RunSummary | None:
    """The whole run; None where it was stopped before it had the lock."""
    summary: RunSummary | None = None

    def inform(text: str) -> None:
        request.note("info", text, type="stopping")

    async with anyio.create_task_group() as tasks:
        if request.handle_signals:
            await tasks.start(listen_for_signals, shutdown, inform, request.display.close)
        async with contextlib.AsyncExitStack() as stack:
            writable: WritableLedger | None = None
            with shutdown.waiting():
                writable = await stack.enter_async_context(_ledger(request))
            if writable is not None:
                if request.deadline is not None:
                    deadline = (request.deadline, request.started, inform)
                    tasks.start_soon(shutdown.at_deadline, *deadline)
                now = request.clock.now()
                begun = await writable.ledger.read(lambda reader: reader.point())
                await prepare(request, writable.ledger, now)
                executed = await execute(request, writable, shutdown.drain, now)
                summary = await summarise(request, writable.ledger, executed, shutdown.why, begun)
                if summary.code is policy.ExitCode.DONE:
                    config = request.inputs.config
                    summary = await to_thread.run_sync(write_success, config, summary)
        tasks.cancel_scope.cancel()
    return summary


def _ledger(request: RunRequest) -> AbstractAsyncContextManager[WritableLedger]:
    config = request.inputs.config

    def make_ledger() -> None:
        rebuilt = rebuild(config, request.inputs.jobs, request.credentials, request.clock.now())
        for level, text in rebuilt.words():
            request.note(level, text)

    return writing_ledger(
        config,
        request.clock,
        request.wait,
        first=make_ledger if request.rebuild_ledger else None,
        announce=request.note,
        check_later=True,
    )
