"""A run from its lock to its last word: puts everything together and calls the engine."""

from __future__ import annotations

import contextlib
import itertools
import random
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

import anyio
from anyio import to_thread

from orchestrator.api import KeyRateLimiter
from orchestrator.app import callbacks, editions, overlaps
from orchestrator.app.files import quarantined_file
from orchestrator.app.garbage import rare_collections
from orchestrator.app.ledger_reading import series_of
from orchestrator.app.ledger_writing import WritableLedger, writing_ledger
from orchestrator.app.manifest_check import refuse_unknown_files
from orchestrator.app.plan import double_purchase_warnings
from orchestrator.app.rebuild import rebuild_ledger
from orchestrator.app.setup import open_sessions
from orchestrator.app.shutdown import SignalHandler
from orchestrator.collect.cleanup import clear_kept, kept, sweep, unfinished
from orchestrator.collect.collector import FileCollector
from orchestrator.collect.disk import translate_os_errors
from orchestrator.collect.layout import series_folder
from orchestrator.collect.safe_open import refuse_links
from orchestrator.core import policy
from orchestrator.core.commands import JOB, typed
from orchestrator.core.intervals import intersect, union
from orchestrator.core.lifecycle import OPEN, State
from orchestrator.core.policy import ExitCode
from orchestrator.engine.drain import Drain
from orchestrator.engine.editions import renew
from orchestrator.engine.run import RunContext, RunEnd, run
from orchestrator.errors import OrchestratorError
from orchestrator.reporting.line_folding import LineFolding
from orchestrator.reporting.loop_lag import LoopLagMonitor
from orchestrator.reporting.phrases import counted
from orchestrator.reporting.run_stats import RunStats
from orchestrator.reporting.summary import CollectedTotals, Others, RunSummary, UnfinishedSeries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime
    from pathlib import Path

    from orchestrator.config import Inputs
    from orchestrator.core.intervals import Window
    from orchestrator.core.model import Failure, FieldValue
    from orchestrator.core.ports import Clock, Ledger, LedgerReader
    from orchestrator.core.settings import Config, Credentials
    from orchestrator.engine.editions import Renewal, RenewalsEnd
    from orchestrator.engine.key_session import KeySession
    from orchestrator.engine.run import SeriesEnd


_COUNTED_EVERY_SECONDS: Final = 60.0
"""How often the lines are counted that were not told, since others of their cause were."""

_WARNINGS: Final = 20
"""So many warnings about what is bought twice are said one by one."""


class Display(Protocol):
    """What shows a run to whoever watches."""

    def note(self, level: str, text: str, facts: Mapping[str, FieldValue | float | None]) -> None:
        """Says something at once."""
        ...

    async def keep_up(self, stats: RunStats, jobs: Sequence[str]) -> None:
        """Shows the board until cancelled."""
        ...

    def close(self) -> None:
        """Lets go of the terminal."""
        ...


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What one `run` is to do.

    Attributes:
        inputs: jobs and config.
        credentials: those that the jobs use, resolved.
        clock: the wall clock.
        started: when the command began, by `time.monotonic`.
        deadline: counted from there; None if there is none.
        lock_wait: how long to wait for the ledger's lock.
        retry_failed: what was given up is debt again.
        rebuild: make the ledger from the manifest first.
        again: buy newer editions of these, and nothing else; empty: work off the debt.
        verbose: every line is told, single tries too; else equal causes are counted.
    """

    inputs: Inputs
    credentials: Mapping[str, Credentials]
    clock: Clock
    started: float = field(default_factory=time.monotonic)
    deadline: timedelta | None = None
    lock_wait: timedelta = timedelta()
    retry_failed: bool = False
    rebuild: bool = False
    again: tuple[Renewal, ...] = ()
    verbose: bool = False


async def execute(request: RunRequest, display: Display) -> RunSummary | ExitCode:
    """Does the whole run, and says what came of it.

    Returns:
        The ending; only an exit code where a signal came before the run had begun.

    Raises:
        OrchestratorError: see `writing_ledger` and `engine.run.run`; maybe in an exception group.
    """
    drain = Drain()
    signals = SignalHandler(drain, lambda text: display.note("info", text, {}), display.close)
    with rare_collections():
        run_summary = await _carry_out(request, display, drain, signals)
    if run_summary is not None:
        return run_summary
    assert drain.signal is not None, "only a signal ends the wait for the lock without an error"
    return ExitCode(128 + drain.signal)


async def _carry_out(
    request: RunRequest, display: Display, drain: Drain, signals: SignalHandler
) -> RunSummary | None:
    run_summary: RunSummary | None = None
    async with anyio.create_task_group() as tasks:
        await tasks.start(signals.listen)
        async with contextlib.AsyncExitStack() as stack:
            writing: WritableLedger | None = None
            with signals.waiting():
                writing = await stack.enter_async_context(_ledger(request, display))
            if writing is not None:
                if request.deadline is not None:
                    tasks.start_soon(signals.at_deadline, request.deadline, request.started)
                run_summary = await _under_lock(request, display, writing, drain, signals)
        tasks.cancel_scope.cancel()
    return run_summary


def _ledger(request: RunRequest, display: Display) -> AbstractAsyncContextManager[WritableLedger]:
    config = request.inputs.config
    wait = request.lock_wait
    if request.deadline is not None:
        passed = timedelta(seconds=time.monotonic() - request.started)
        wait = min(wait, max(timedelta(), request.deadline - passed))

    def rebuild() -> None:
        rebuilt = rebuild_ledger(
            config, request.inputs.jobs, request.credentials, request.clock.now()
        )
        for level, text in rebuilt.words():
            display.note(level, text, {})

    return writing_ledger(
        config,
        request.clock,
        wait,
        first=rebuild if request.rebuild else None,
        announce=lambda level, text: display.note(level, text, {}),
        check_later=True,
    )


async def _under_lock(
    request: RunRequest,
    display: Display,
    writing: WritableLedger,
    drain: Drain,
    signals: SignalHandler,
) -> RunSummary:
    config, jobs = request.inputs.config, request.inputs.jobs
    ledger = writing.ledger
    now = request.clock.now()
    if not request.again:
        await ledger.read(
            lambda store: refuse_unknown_files(
                config, store, jobs, now, retry_failed=request.retry_failed
            )
        )
    else:
        await to_thread.run_sync(_refuse_links, config.output.directory, request.again)
    found = await to_thread.run_sync(unfinished, config.output.directory)
    keep = await ledger.read(lambda store: store.unfinished(found))
    await to_thread.run_sync(sweep, config.output.directory, keep)
    for text in await ledger.read(lambda store: _bought_twice(store, request.inputs, now)):
        display.note("warning", text, {})
    sessions: dict[str, KeySession] = {}
    lines = LineFolding(display.note)
    log = display.note if request.verbose else lines.note
    stats = RunStats(jobs, request.clock, log, lambda: _requests(sessions))
    pulse = LoopLagMonitor()
    async with (
        callbacks.open_receiver(config, jobs, stats) as receiver,
        open_sessions(
            config, request.credentials, request.clock, stats, config.poll.timeout
        ) as opened,
    ):
        sessions |= opened
        world = RunContext(
            ledger=ledger,
            collector=FileCollector(config.output, on_bytes=stats.received),
            sessions=sessions,
            observer=stats,
            clock=request.clock,
            config=config,
            drain=drain,
            jitter=random.SystemRandom().random,
            callbacks=receiver,
        )
        try:
            async with anyio.create_task_group() as showing:
                showing.start_soon(display.keep_up, stats, [job.name for job in jobs])
                showing.start_soon(pulse.beat)
                showing.start_soon(_count_aloud, lines)
                showing.start_soon(ledger.check)
                end, verdict = await _work(request, world, ledger, now)
                if not drain.begun:
                    await ledger.sound()
                showing.cancel_scope.cancel()
        except BaseException:
            # What stands at the end of a run that failed is worth a manifest too, if it can be
            # had; the error that ended the run is the one to hear about.
            with anyio.CancelScope(shield=True), contextlib.suppress(OrchestratorError):
                await _write_manifest(request, writing)
            raise
        await _write_manifest(request, writing)
        await _clear_kept(config.output.directory, ledger, display)
        unreachable = [session.unreachable for session in sessions.values() if session.unreachable]
    lines.count_aloud()
    why = signals.why or (f"out of reach: {unreachable[0]}" if unreachable else end.stopped)
    if stats.display_error is not None:
        display.note("warning", f"the display failed, the run did not: {stats.display_error!r}", {})
    for text in await ledger.read(lambda store: overlaps.subaccount_warnings(store, jobs)):
        display.note("warning", text, {})
    whole = stats.sum()
    stalls = pulse.stalls()
    if stalls.words:
        display.note("info", stalls.words, stalls.as_json)
    if silence := callbacks.silence(receiver, config, whole.collected):
        display.note("warning", silence, {})
    in_all, left, others = await ledger.read(lambda store: _survey(store, request.inputs, end))
    return RunSummary(
        jobs=jobs,
        now=end.now,
        code=policy.exit_code(end.remains),
        lasted=timedelta(seconds=time.monotonic() - request.started),
        requests=stats.requests(),
        collected=CollectedTotals(whole.collected, whole.rows, whole.size_bytes),
        in_all=in_all,
        directory=str(config.output.directory),
        unfinished=left,
        plan_notes=stats.plan_notes,
        why_stopped=why,
        verdict="" if verdict is None else editions.verdict(verdict, why),
        callbacks=callbacks.numbers(receiver),
        event_loop=stalls,
        remains=end.remains,
        others=others,
        bugs=end.bugs,
    )


def _refuse_links(directory: Path, renewals: Sequence[Renewal]) -> None:
    """Nothing is bought anew for a folder that is a link: its files would stand elsewhere.

    Raises:
        OutputError: one is.
    """
    for folder in {directory / series_folder(one.current.series) for one in renewals}:
        with translate_os_errors(folder, "write"):
            refuse_links(directory, folder)


async def _count_aloud(lines: LineFolding) -> None:
    while True:
        await anyio.sleep(_COUNTED_EVERY_SECONDS)
        lines.count_aloud()


async def _write_manifest(request: RunRequest, writing: WritableLedger) -> None:
    # Not from a ledger that may be damaged: the old one may have to bring it back.
    if writing.ledger.is_sound:
        await writing.manifest.write(request.clock.now())


async def _clear_kept(directory: Path, ledger: Ledger, display: Display) -> None:
    """What was kept aside is personal data, and of no use once others have brought all of it."""
    found = await to_thread.run_sync(kept, directory)
    done_with = await ledger.read(lambda store: store.done_with(found)) if found else None
    if done_with and ledger.is_sound:
        removed = await to_thread.run_sync(clear_kept, directory, done_with)
        words = f"{counted(removed, 'file')} kept aside removed: all of their time is collected now"
        display.note("info", words, {})


async def _work(
    request: RunRequest, world: RunContext, ledger: Ledger, now: datetime
) -> tuple[RunEnd, RenewalsEnd | None]:
    """Works off the debt, or buys newer editions."""
    if not request.again:
        end = await run(world, request.inputs.jobs, now, retry_failed=request.retry_failed)
        return end, None
    renewals = await ledger.read(lambda store: editions.still_current(store, request.again))
    renewed = await renew(world, renewals)
    for text in (*editions.failures(renewed), *editions.shrunk(renewed, renewals)):
        world.observer.note("warning", text)
    return RunEnd(now, renewed.remains, unsettled=(), series=0), renewed


def _bought_twice(store: LedgerReader, inputs: Inputs, now: datetime) -> list[str]:
    """What the jobs are about to buy although another series has it, in words."""
    warnings = double_purchase_warnings(inputs, store, now)
    found = list(itertools.islice(warnings, _WARNINGS))
    more = sum(1 for _ in warnings)
    if more:
        found.append(f"and {more:,} more like these: {typed('plan', JOB)} has all")
    return found


def _requests(sessions: Mapping[str, KeySession]) -> int:
    gates = {id(session.rate_limiter): session.rate_limiter for session in sessions.values()}
    return sum(
        rate_limiter.turns
        for rate_limiter in gates.values()
        if isinstance(rate_limiter, KeyRateLimiter)
    )


def _survey(
    store: LedgerReader, inputs: Inputs, end: RunEnd
) -> tuple[CollectedTotals, tuple[UnfinishedSeries, ...], Others]:
    """What stands in all, what is left of every series that is not done, and of other jobs."""
    reports = rows = size_bytes = 0
    keys = set()
    for series in series_of(store, inputs.jobs):
        keys.add(series.key)
        number, its_rows, its_bytes = store.counts(series).get(State.COLLECTED, (0, 0, 0))
        reports += number
        rows += its_rows
        size_bytes += its_bytes
    left = tuple(_leftover(store, inputs.config, one) for one in end.unsettled)
    disputed, given_up = store.waiting_for_a_person(frozenset(keys))
    others = Others(
        open=end.others.open,
        series=end.others.series,
        jobs=end.others.jobs,
        refused=end.others.refused,
        disputed=disputed,
        given_up=given_up,
    )
    return CollectedTotals(reports, rows, size_bytes), left, others


def _leftover(store: LedgerReader, config: Config, end: SeriesEnd) -> UnfinishedSeries:
    counts = store.counts(end.series) if end.open else {}
    failures = store.failures(end.series) if end.owed else ()
    tried = intersect(end.owed, union(one.window for one in failures))
    of_it = [one for one in failures if any(one.window.overlaps(window) for window in tried)]
    return UnfinishedSeries(
        job=end.job,
        series=end.series,
        owed=end.owed,
        refused=end.refused,
        open={state: number for state, (number, _, _) in counts.items() if state in OPEN},
        given_up=end.given_up,
        disputed=end.disputed,
        tried=tried,
        attempts=max((_attempts(window, of_it) for window in tried), default=0),
        last_failure=of_it[-1].reason if of_it else "",
        kept={report.id: quarantined_file(config, report) for report in end.disputed},
    )


def _attempts(window: Window, failures: Sequence[Failure]) -> int:
    return sum(one.window.overlaps(window) for one in failures)
