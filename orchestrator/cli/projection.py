"""The manifest: written from the ledger, and the ledger rebuilt from it."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING, Final

from anyio import to_thread

from orchestrator.collect.disk import sync_folder
from orchestrator.collect.layout import MANIFEST, edition_of
from orchestrator.collect.manifest import (
    Entry,
    FileEntry,
    MarkEntry,
    ResolvedEntry,
    events_known,
    is_current,
    read_manifest,
    write_manifest,
)
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Report, Resolution
from orchestrator.errors import InputError
from orchestrator.ledger.sqlite import connect, reading
from orchestrator.ledger.store import Store
from orchestrator.ledger.words import explain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from orchestrator.core.model import Series
    from orchestrator.core.settings import Config
    from orchestrator.ledger.sqlite import SqliteLedger

_UNFINISHED: Final = ".rebuild"


# --- from the ledger ------------------------------------------------------------------------------


async def write_projection(config: Config, now: datetime) -> int:
    """Writes the manifest anew from the ledger, in a thread, unless it is as it would be.

    Returns:
        How many entries were written.

    Raises:
        LedgerError: the ledger cannot be read.
        OutputError: the disk.
    """
    return await to_thread.run_sync(_write, config, now)


def _write(config: Config, now: datetime) -> int:
    with reading(config.state) as store:
        ledger = store.fingerprint()
        if is_current(config.output.directory, ledger):
            return 0
        return write_manifest(
            config.output.directory,
            entries(store),
            now,
            events=store.last_event(),
            ledger=ledger,
        )


async def refuse_older_ledger(config: Config, ledger: SqliteLedger) -> None:
    """A ledger that was set back does not know what was bought since: it would be bought again.

    Call it under the run's lock.

    Raises:
        InputError: the manifest beside the files was made from a later ledger.
    """
    known = await to_thread.run_sync(events_known, config.output.directory)
    last = await ledger.transact(lambda store: store.last_event())
    if known > last:
        raise InputError(
            f"the ledger {config.state} is older than its files: it ends with event {last:,}, and "
            f"{config.output.directory / MANIFEST} was made after event {known:,}. What was bought "
            "in between would be bought again. Put the newer ledger back; or, if it is lost, move "
            "this one away and use `orchestrator run --rebuild-ledger`"
        )


def entries(store: Store) -> Iterator[Entry]:
    """Everything that a ledger can be rebuilt from: files, resolved windows, marks; lazy."""
    for series in store.all_series():
        for one in store.files(series):
            yield FileEntry(series, *one)
    for job, series, resolution in store.resolutions():
        if resolution.windows:
            yield ResolvedEntry(job, series, resolution.windows)
        if resolution.mark is not None:
            yield MarkEntry(job, series, resolution.mark)


# --- to a ledger ----------------------------------------------------------------------------------


def rebuild_ledger(config: Config, now: datetime) -> int:
    """Makes a ledger from the manifest beside the files; how many files it knows then.

    It is made under another name and takes its own when it is complete: a half of it would let
    the other half be bought again. Call it under the run's lock.

    Raises:
        InputError: there is a ledger already, or the manifest cannot be used.
        LedgerError: the ledger cannot be written.
    """
    if config.state.exists():
        raise InputError(
            f"--rebuild-ledger: there is a ledger at {config.state} already; leave the option out, "
            "or move that file away first"
        )
    manifest = config.output.directory / MANIFEST
    unfinished = config.state.with_name(config.state.name + _UNFINISHED)
    _remove(unfinished)
    try:
        connection = connect(unfinished)
        try:
            connection.execute("BEGIN IMMEDIATE")
            files = _fill(Store(connection), read_manifest(manifest), now)
            connection.execute("COMMIT")
            # Everything into the one file that is about to be renamed.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("PRAGMA journal_mode = DELETE")
        finally:
            connection.close()
        os.replace(unfinished, config.state)  # noqa: PTH105 - its atomicity is the point
        sync_folder(config.state.parent)
    except sqlite3.Error as error:
        raise explain(error, config.state) from error
    finally:
        _remove(unfinished)
    return files


def _fill(store: Store, manifest: Iterable[Entry], now: datetime) -> int:
    files = 0
    windows: dict[tuple[str, str], Resolution] = {}
    for entry in manifest:
        match entry:
            case FileEntry():
                store.restore(_report(entry), now)
                files += 1
            case ResolvedEntry(job=job, series=series):
                _keep(store, windows, job, series, Resolution(windows=entry.windows))
            case MarkEntry(job=job, series=series):
                _keep(store, windows, job, series, Resolution(mark=entry.mark))
    return files


def _keep(
    store: Store,
    known: dict[tuple[str, str], Resolution],
    job: str,
    series: Series,
    part: Resolution,
) -> None:
    """Joins the two lines that a manifest has of one resolution."""
    before = known.get((job, series.key), Resolution())
    whole = Resolution(part.windows or before.windows, part.mark or before.mark)
    known[job, series.key] = whole
    store.remember(job, {series: whole})


def _report(entry: FileEntry) -> Report:
    return Report(
        id=0,
        series=entry.series,
        window=entry.window,
        state=State.COLLECTED,
        api_key=entry.api_key,
        job=entry.job,
        intended_at=entry.collected_at,
        request_id=entry.request_id,
        rows=entry.rows,
        size_bytes=entry.size_bytes,
        sha256=entry.sha256,
        target=entry.path,
        edition=edition_of(entry.path),
        changed_at=entry.collected_at,
    )


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def missing_files(config: Config) -> int:
    """How many files that the ledger has as collected are not there."""
    with reading(config.state) as store:
        return sum(
            not (config.output.directory / str(report.target)).exists()
            for series in store.all_series()
            for report in store.reports(series, (State.COLLECTED,))
        )
