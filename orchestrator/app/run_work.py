"""The work of a run under the ledger's lock: what comes before it, and the engine with its display.

`app.run` takes the lock before, and `app.run_summary` sums up after.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
from anyio import to_thread

from orchestrator.api import KeyRateLimiter
from orchestrator.app import callbacks, editions
from orchestrator.app.ledger_writing import WritableLedger
from orchestrator.app.manifest_check import refuse_unknown_files
from orchestrator.app.plan import double_purchase_warnings
from orchestrator.app.run_request import RunRequest
from orchestrator.app.setup import open_sessions, output_of
from orchestrator.collect.collector import FileCollector
from orchestrator.collect.disk import translate_os_errors
from orchestrator.collect.layout import PARTIAL, QUARANTINE, series_folder
from orchestrator.collect.safe_open import refuse_links
from orchestrator.collect.work_area import (
    clear_quarantine,
    remove_unfinished,
    reports_in,
)
from orchestrator.config import Inputs
from orchestrator.core.commands import JOB, typed
from orchestrator.core.events import BytesReceived, RunEvents
from orchestrator.core.ports import Ledger, LedgerReader
from orchestrator.engine.context import RunContext
from orchestrator.engine.drain import Drain
from orchestrator.engine.editions import Renewal, RenewalsEnd, renew
from orchestrator.engine.key_session import KeySession
from orchestrator.engine.refetch import refetch
from orchestrator.engine.run import RunEnd, run_jobs
from orchestrator.errors import OrchestratorError, OutputError
from orchestrator.reporting.line_folding import LineFolding
from orchestrator.reporting.loop_lag import LoopLag, LoopLagMonitor
from orchestrator.reporting.phrases import counted
from orchestrator.reporting.run_log import RunLog
from orchestrator.reporting.run_stats import RunStats

if TYPE_CHECKING:
    from orchestrator.api.callback_server import CallbackServer


_COUNT_SECONDS: Final = 60.0
"""How often the lines are counted that were not shown, since others of their cause were."""

_MAX_WARNINGS: Final = 20
"""Warnings about double purchases that are shown one by one; the rest are counted."""


# --- prepare --------------------------------------------------------------------------------------


async def prepare(request: RunRequest, ledger: Ledger, now: datetime) -> None:
    """Refuses what must not be run, removes partial files that are not needed, and warns.

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
    partial_files = await to_thread.run_sync(reports_in, directory, PARTIAL)
    keep = await ledger.read(lambda reader: reader.unfinished(partial_files))
    await to_thread.run_sync(remove_unfinished, directory, keep)
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
class Executed:
    """What the work has left for the summary."""

    end: RunEnd
    renewed: RenewalsEnd | None  # how the newer editions stand, where these were asked for
    stats: RunStats
    loop_lag: LoopLag  # how late the event loop's turns came
    receiver: CallbackServer | None  # of callbacks; None without one
    unreachable: str  # why the API could not be reached; empty if it could


async def execute(
    request: RunRequest, writable: WritableLedger, drain: Drain, now: datetime
) -> Executed:
    """Does the work, with a display beside it, and writes the manifest whatever comes."""
    config, jobs, ledger = request.inputs.config, request.inputs.jobs, writable.ledger
    sessions: dict[str, KeySession] = {}
    folding = LineFolding(request.display.note)
    log = request.display.note if request.verbose else folding.note
    stats = RunStats(jobs, request.clock, lambda: _requests(sessions))
    events = RunEvents(stats.notify, RunLog(log).notify, *request.subscribers)
    loop_lag = LoopLagMonitor()
    async with (
        _failure_told(request, events),
        callbacks.open_receiver(config, jobs, events) as receiver,
        open_sessions(
            config, request.credentials, request.clock, events, config.poll.timeout
        ) as opened,
    ):
        sessions |= opened
        context = RunContext(
            ledger=ledger,
            collector=FileCollector(
                output_of(config),
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
                end, renewed = await _pay_debt_or_renew(request, context, now)
                if not drain.begun:
                    await ledger.sound()
                beside.cancel_scope.cancel()
        except BaseException:
            # What stands at the end of a run that failed is worth a manifest too, if it can be
            # had; the error that ended the run is the one to hear about.
            with anyio.CancelScope(shield=True), contextlib.suppress(OrchestratorError):
                await _write_manifest(request, writable)
            raise
        not_written = await _refused(_write_manifest(request, writable))
        kept_aside = await _refused(_clear_quarantine(request, ledger))
        not_removed = "; ".join(filter(None, (_not_removed_text(context), kept_aside)))
        remains = replace(end.remains, not_removed=not_removed, not_written=not_written)
        end = replace(end, remains=remains)
        unreachable = [session.unreachable for session in sessions.values() if session.unreachable]
    folding.count_aloud()
    return Executed(
        end,
        renewed,
        stats,
        loop_lag.stalls(),
        receiver,
        unreachable[0] if unreachable else "",
    )


@contextlib.asynccontextmanager
async def _failure_told(request: RunRequest, events: RunEvents) -> AsyncIterator[None]:
    """Tells at the end, once, that what watches the run has failed; by a log, if it cannot show."""
    try:
        yield
    finally:
        if error := events.failure or request.display.error:
            text = f"what watches the run (a display, on_event) failed, the run did not: {error!r}"
            request.note("warning", text)
            if not request.display.is_seen:
                logging.getLogger("orchestrator").warning(text, exc_info=error)


async def _pay_debt_or_renew(
    request: RunRequest, context: RunContext, now: datetime
) -> tuple[RunEnd, RenewalsEnd | None]:
    """Works off the debt, or buys newer editions."""
    if not request.again:
        jobs = request.inputs.jobs
        end = await run_jobs(context, jobs, now, retry_failed=request.retry_failed)
        refetched = await refetch(context, jobs, end)
        if refetched is not None:
            end = replace(end, remains=end.remains.and_also(refetched))
        return end, None
    renewals = await context.ledger.read(
        lambda reader: editions.still_current(reader, request.again)
    )
    renewed = await renew(context, renewals)
    for text in (*editions.failures(renewed), *editions.shrunk(renewed, renewals)):
        context.events.message("warning", text)
    return RunEnd(now, renewed.remains, unsettled=(), series=0), renewed


def _not_removed_text(context: RunContext) -> str:
    """How many files could not be removed, and why not the first, for people; empty if none."""
    if not context.not_removed:
        return ""
    number, first = len(context.not_removed), next(iter(context.not_removed.values()))
    return (
        f"{counted(number, 'file')} that {'is' if number == 1 else 'are'} erased, or replaced by a "
        f"newer edition, could not be removed, the first: {first}; the next run tries again"
    )


async def _count_lines(folding: LineFolding) -> None:
    while True:
        await anyio.sleep(_COUNT_SECONDS)
        folding.count_aloud()


async def _refused(work: Awaitable[None]) -> str:
    """What the disk or the store refuses of some work at the end, for people; empty if nothing.

    All is collected by then, and told whatever comes.
    """
    try:
        await work
    except OutputError as error:
        return f"{error}; the next run tries again"
    return ""


async def _write_manifest(request: RunRequest, writable: WritableLedger) -> None:
    # Not from a ledger that may be damaged: the old one may have to bring it back.
    if writable.ledger.is_sound:
        await writable.manifest.write(request.clock.now())


async def _clear_quarantine(request: RunRequest, ledger: Ledger) -> None:
    """Removes quarantined files whose time other reports have collected: personal data."""
    directory = request.inputs.config.output.directory
    quarantined = await to_thread.run_sync(reports_in, directory, QUARANTINE)
    if not quarantined:
        return
    done_with = await ledger.read(lambda reader: reader.done_with(quarantined))
    if done_with and ledger.is_sound:
        removed = await to_thread.run_sync(clear_quarantine, directory, done_with)
        text = f"{counted(removed, 'file')} kept aside removed: all of their time is collected now"
        request.note("info", text)


def _requests(sessions: Mapping[str, KeySession]) -> int:
    limiters = {id(session.rate_limiter): session.rate_limiter for session in sessions.values()}
    return sum(
        rate_limiter.turns
        for rate_limiter in limiters.values()
        if isinstance(rate_limiter, KeyRateLimiter)
    )
