"""Runs jobs: takes the ledger's lock, collects what is missing, and sums up.

`run` neither prints nor changes anything of the process around it. It installs signal handlers only
where that is asked for.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import time
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypedDict, Unpack

import anyio
from anyio import to_thread

from orchestrator.api import KeyRateLimiter
from orchestrator.app import callbacks, editions, overlaps, run_summary
from orchestrator.app.ledger_writing import writing_ledger
from orchestrator.app.manifest_check import refuse_unknown_files
from orchestrator.app.plan import double_purchase_warnings
from orchestrator.app.rebuild import rebuild_ledger as rebuild
from orchestrator.app.setup import (
    ShiftedClock,
    SystemClock,
    credentials_of,
    open_sessions,
    refuse_shifted_clock,
    run_in_new_loop,
    with_credentials_of_open,
)
from orchestrator.app.shutdown import Shutdown, StoppedBeforeRun, drained, listen_for_signals
from orchestrator.collect.collector import FileCollector
from orchestrator.collect.disk import translate_os_errors
from orchestrator.collect.layout import series_folder
from orchestrator.collect.safe_open import refuse_links
from orchestrator.collect.work_area import clear_kept, kept, sweep, unfinished
from orchestrator.core import policy
from orchestrator.core.commands import JOB, typed
from orchestrator.core.events import BytesReceived, RunEvents
from orchestrator.engine import run as engine_run
from orchestrator.engine.editions import renew
from orchestrator.engine.run import RunContext, RunEnd
from orchestrator.errors import OrchestratorError
from orchestrator.reporting.line_folding import LineFolding
from orchestrator.reporting.loop_lag import LoopLagMonitor
from orchestrator.reporting.phrases import counted
from orchestrator.reporting.run_log import RunLog
from orchestrator.reporting.run_stats import RunStats
from orchestrator.reporting.summary import CollectedTotals, RunSummary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime
    from pathlib import Path

    from orchestrator.api.callback_server import CallbackServer
    from orchestrator.app.ledger_writing import WritableLedger
    from orchestrator.config import Inputs
    from orchestrator.core.model import FieldValue
    from orchestrator.core.ports import Clock, Ledger, LedgerReader
    from orchestrator.core.settings import Credentials
    from orchestrator.engine.drain import Drain
    from orchestrator.engine.editions import Renewal, RenewalsEnd
    from orchestrator.engine.key_session import KeySession
    from orchestrator.reporting.loop_lag import LoopLag

_COUNT_SECONDS: Final = 60.0
"""How often the lines are counted that were not shown, since others of their cause were."""

_MAX_WARNINGS: Final = 20
"""Warnings about double purchases that are shown one by one; the rest are counted."""


class Display(Protocol):
    """What shows a run to whoever watches."""

    def note(self, level: str, text: str, facts: Mapping[str, FieldValue | float | None]) -> None:
        """Shows a line at once. Level: ``debug``, ``info``, ``warning`` or ``error``."""
        ...

    async def keep_up(self, stats: RunStats, jobs: Sequence[str]) -> None:
        """Shows the progress until cancelled, or returns where there is nothing to draw."""
        ...

    def close(self) -> None:
        """Gives the terminal back; the process is about to end at once."""
        ...


class NoDisplay:
    """A `Display` that shows nothing."""

    def note(self, level: str, text: str, facts: Mapping[str, FieldValue | float | None]) -> None:
        """Shows nothing."""

    async def keep_up(self, stats: RunStats, jobs: Sequence[str]) -> None:
        """Shows nothing."""

    def close(self) -> None:
        """Has nothing to give back."""


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
    verbose: bool = False,
    handle_signals: bool = False,
    started: float | None = None,
) -> RunSummary:
    """Collects what the jobs want and is not collected yet.

    Goes on with what is open, asks for what is missing, waits, downloads and verifies. What is
    collected or asked for is never bought again.

    A cancellation stops the run as a signal does: requests in flight are finished, downloads get
    `engine.drain.GRACE` and keep what has come, and open reports are left for the next run. Then
    the cancellation goes on. A second one, while the run stops, shortens that to `HURRY`.

    Args:
        inputs: see `load`.
        credentials: by name, those that the jobs use; None: they are looked up.
        clock: the wall clock; None: this machine's.
        deadline: how long after `started` the run stops by itself; None: it works to its end.
        lock_wait: how long to wait for another run on the same ledger.
        retry_failed: ask again for what earlier runs have given up.
        rebuild_ledger: make the ledger from the manifest first; it is lost.
        again: buy newer editions of these, and nothing else; see `choose_editions`.
        display: shows the run to a person; None: nothing is shown.
        verbose: every line goes to the display; else lines of one cause are counted.
        handle_signals: SIGINT, SIGTERM and SIGHUP stop the run in order; only in the main thread.
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
    if credentials is None:
        credentials = with_credentials_of_open(inputs, credentials_of(inputs))
    request = _Request(
        inputs=inputs,
        credentials=credentials,
        clock=clock or SystemClock(),
        started=time.monotonic() if started is None else started,
        deadline=deadline,
        lock_wait=lock_wait,
        retry_failed=retry_failed,
        rebuild_ledger=rebuild_ledger,
        again=tuple(again),
        display=display or NoDisplay(),
        verbose=verbose,
        handle_signals=handle_signals,
    )
    shutdown = Shutdown()
    try:
        summary = await drained(shutdown, lambda: _run(request, shutdown))
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


class RunOptions(TypedDict, total=False):
    """The options of `run`, by keyword; see there."""

    credentials: Mapping[str, Credentials] | None
    clock: Clock | None
    deadline: timedelta | None
    lock_wait: timedelta
    retry_failed: bool
    rebuild_ledger: bool
    again: Sequence[Renewal]
    display: Display | None
    verbose: bool
    handle_signals: bool
    started: float | None


@dataclass(frozen=True, slots=True)
class _Request:
    """What `run` was asked for, with the defaults filled in."""

    inputs: Inputs
    credentials: Mapping[str, Credentials]
    clock: Clock
    started: float
    deadline: timedelta | None
    lock_wait: timedelta
    retry_failed: bool
    rebuild_ledger: bool
    again: tuple[Renewal, ...]
    display: Display
    verbose: bool
    handle_signals: bool

    def note(self, level: str, text: str) -> None:
        """Shows a line."""
        self.display.note(level, text, {})

    @property
    def wait(self) -> timedelta:
        """How long to wait for the lock from now on: no longer than the deadline allows."""
        if self.deadline is None:
            return self.lock_wait
        passed = timedelta(seconds=time.monotonic() - self.started)
        return min(self.lock_wait, max(timedelta(), self.deadline - passed))


async def _run(request: _Request, shutdown: Shutdown) -> RunSummary | None:
    """The whole run; None where it was stopped before it had the lock."""
    summary: RunSummary | None = None

    def inform(text: str) -> None:
        request.note("info", text)

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
                await _prepare(request, writable.ledger, now)
                executed = await _execute(request, writable, shutdown.drain, now)
                summary = await _summarise(request, writable.ledger, executed, shutdown.why)
        tasks.cancel_scope.cancel()
    return summary


def _ledger(request: _Request) -> AbstractAsyncContextManager[WritableLedger]:
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


# --- prepare --------------------------------------------------------------------------------------


async def _prepare(request: _Request, ledger: Ledger, now: datetime) -> None:
    """Refuses what must not be run, removes partial files that nobody needs, and warns.

    Raises:
        InputError: the jobs owe what files hold that the ledger does not know.
        OutputError: the output directory cannot be read, or has a link where none may be.
    """
    inputs, directory = request.inputs, request.inputs.config.output.directory
    if request.again:
        await to_thread.run_sync(_refuse_links, directory, request.again)
    else:
        await ledger.read(
            lambda reader: refuse_unknown_files(
                inputs.config, reader, inputs.jobs, now, retry_failed=request.retry_failed
            )
        )
    partial_files = await to_thread.run_sync(unfinished, directory)
    keep = await ledger.read(lambda reader: reader.unfinished(partial_files))
    await to_thread.run_sync(sweep, directory, keep)
    for text in await ledger.read(lambda reader: _double_purchases(reader, inputs, now)):
        request.note("warning", text)


def _refuse_links(directory: Path, renewals: Sequence[Renewal]) -> None:
    """Nothing is bought anew for a folder that is a link: its files would stand elsewhere.

    Raises:
        OutputError: one is.
    """
    for folder in {directory / series_folder(renewal.current.series) for renewal in renewals}:
        with translate_os_errors(folder, "write"):
            refuse_links(directory, folder)


def _double_purchases(reader: LedgerReader, inputs: Inputs, now: datetime) -> list[str]:
    """Warnings of what the jobs are about to buy although another series has it."""
    warnings = double_purchase_warnings(inputs, reader, now)
    texts = list(itertools.islice(warnings, _MAX_WARNINGS))
    more = sum(1 for _ in warnings)
    if more:
        texts.append(f"and {more:,} more like these: {typed('plan', JOB)} has all")
    return texts


# --- execute --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Executed:
    """What the work has left for the summary.

    Attributes:
        end: how the jobs stand.
        renewed: how the newer editions stand, where these were asked for.
        stats: what was counted.
        display_error: the first error of what shows the run; None if there was none.
        loop_lag: how late the event loop's turns came.
        receiver: of callbacks; None without one.
        unreachable: why the API could not be reached; empty if it could.
    """

    end: RunEnd
    renewed: RenewalsEnd | None
    stats: RunStats
    display_error: Exception | None
    loop_lag: LoopLag
    receiver: CallbackServer | None
    unreachable: str


async def _execute(
    request: _Request, writable: WritableLedger, drain: Drain, now: datetime
) -> _Executed:
    """Does the work, with a display beside it, and writes the manifest whatever comes."""
    config, jobs, ledger = request.inputs.config, request.inputs.jobs, writable.ledger
    sessions: dict[str, KeySession] = {}
    folding = LineFolding(request.display.note)
    log = request.display.note if request.verbose else folding.note
    stats = RunStats(jobs, request.clock, lambda: _requests(sessions))
    events = RunEvents(stats.notify, RunLog(log).notify)
    loop_lag = LoopLagMonitor()
    async with (
        callbacks.open_receiver(config, jobs, events) as receiver,
        open_sessions(
            config, request.credentials, request.clock, events, config.poll.timeout
        ) as opened,
    ):
        sessions |= opened
        context = RunContext(
            ledger=ledger,
            collector=FileCollector(
                config.output,
                on_bytes=lambda report, size: events.notify(BytesReceived(report, size)),
            ),
            sessions=sessions,
            events=events,
            clock=request.clock,
            config=config,
            drain=drain,
            jitter=random.SystemRandom().random,
            callbacks=receiver,
        )
        try:
            async with anyio.create_task_group() as beside:
                beside.start_soon(request.display.keep_up, stats, [job.name for job in jobs])
                beside.start_soon(loop_lag.beat)
                beside.start_soon(_count_lines, folding)
                beside.start_soon(ledger.check)
                end, renewed = await _work(request, context, now)
                if not drain.begun:
                    await ledger.sound()
                beside.cancel_scope.cancel()
        except BaseException:
            # What stands at the end of a run that failed is worth a manifest too, if it can be
            # had; the error that ended the run is the one to hear about.
            with anyio.CancelScope(shield=True), contextlib.suppress(OrchestratorError):
                await _write_manifest(request, writable)
            raise
        await _write_manifest(request, writable)
        await _clear_quarantine(request, ledger)
        unreachable = [session.unreachable for session in sessions.values() if session.unreachable]
    folding.count_aloud()
    return _Executed(
        end,
        renewed,
        stats,
        events.failure,
        loop_lag.stalls(),
        receiver,
        unreachable[0] if unreachable else "",
    )


async def _work(
    request: _Request, context: RunContext, now: datetime
) -> tuple[RunEnd, RenewalsEnd | None]:
    """Works off the debt, or buys newer editions."""
    if not request.again:
        jobs = request.inputs.jobs
        end = await engine_run.run(context, jobs, now, retry_failed=request.retry_failed)
        return end, None
    renewals = await context.ledger.read(
        lambda reader: editions.still_current(reader, request.again)
    )
    renewed = await renew(context, renewals)
    for text in (*editions.failures(renewed), *editions.shrunk(renewed, renewals)):
        context.events.message("warning", text)
    return RunEnd(now, renewed.remains, unsettled=(), series=0), renewed


async def _count_lines(folding: LineFolding) -> None:
    while True:
        await anyio.sleep(_COUNT_SECONDS)
        folding.count_aloud()


async def _write_manifest(request: _Request, writable: WritableLedger) -> None:
    # Not from a ledger that may be damaged: the old one may have to bring it back.
    if writable.ledger.is_sound:
        await writable.manifest.write(request.clock.now())


async def _clear_quarantine(request: _Request, ledger: Ledger) -> None:
    """Removes quarantined files whose time other reports have collected: personal data."""
    directory = request.inputs.config.output.directory
    quarantined = await to_thread.run_sync(kept, directory)
    if not quarantined:
        return
    done_with = await ledger.read(lambda reader: reader.done_with(quarantined))
    if done_with and ledger.is_sound:
        removed = await to_thread.run_sync(clear_kept, directory, done_with)
        text = f"{counted(removed, 'file')} kept aside removed: all of their time is collected now"
        request.note("info", text)


def _requests(sessions: Mapping[str, KeySession]) -> int:
    limiters = {id(session.rate_limiter): session.rate_limiter for session in sessions.values()}
    return sum(
        rate_limiter.turns
        for rate_limiter in limiters.values()
        if isinstance(rate_limiter, KeyRateLimiter)
    )


# --- summarise ------------------------------------------------------------------------------------


async def _summarise(
    request: _Request, ledger: Ledger, executed: _Executed, why_stopped: str
) -> RunSummary:
    """Adds up what stands now, and shows the last warnings."""
    config, jobs, end = request.inputs.config, request.inputs.jobs, executed.end
    if not why_stopped and executed.unreachable:
        why_stopped = f"out of reach: {executed.unreachable}"
    why_stopped = why_stopped or end.stopped
    stats = executed.stats
    if executed.display_error is not None:
        text = f"the display failed, the run did not: {executed.display_error!r}"
        request.note("warning", text)
    for text in await ledger.read(lambda reader: overlaps.subaccount_warnings(reader, jobs)):
        request.note("warning", text)
    if executed.loop_lag.words:
        request.display.note("info", executed.loop_lag.words, executed.loop_lag.as_json)
    totals = stats.sum()
    if silence := callbacks.silence(executed.receiver, config, totals.collected):
        request.note("warning", silence)
    renewed = executed.renewed
    return RunSummary(
        jobs=jobs,
        now=end.now,
        code=policy.exit_code(end.remains),
        lasted=timedelta(seconds=time.monotonic() - request.started),
        requests=stats.requests(),
        collected=CollectedTotals(totals.collected, totals.rows, totals.size_bytes),
        in_all=await ledger.read(lambda reader: run_summary.collected_totals(reader, jobs)),
        directory=str(config.output.directory),
        unfinished=await ledger.read(
            lambda reader: tuple(
                run_summary.unfinished_series(reader, config, series) for series in end.unsettled
            )
        ),
        plan_notes=stats.plan_notes,
        why_stopped=why_stopped,
        verdict="" if renewed is None else editions.verdict(renewed, why_stopped),
        callbacks=callbacks.numbers(executed.receiver),
        event_loop=executed.loop_lag,
        remains=end.remains,
        others=await ledger.read(lambda reader: run_summary.others(reader, jobs, end)),
        bugs=end.bugs,
    )
