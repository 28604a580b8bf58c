"""The manifest: written from the ledger, held against it, and the ledger rebuilt from it."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from anyio import to_thread

from orchestrator.collect.disk import sync_folder
from orchestrator.collect.layout import MANIFEST, edition_of
from orchestrator.collect.manifest import (
    Entry,
    FileEntry,
    GivenUpEntry,
    ManifestJournal,
    MarkEntry,
    ReportEntry,
    ResolvedEntry,
    is_current,
    mistake_at,
    reach,
    read_manifest,
    write_manifest,
)
from orchestrator.core.commands import JOB, typed
from orchestrator.core.lifecycle import OPEN, State
from orchestrator.core.model import (
    Identity,
    Report,
    Resolution,
    SavedGivenUp,
    SavedResolution,
)
from orchestrator.errors import InputError, InvalidTransition, LedgerError
from orchestrator.ledger.sqlite import connect, reading
from orchestrator.ledger.store import Store
from orchestrator.ledger.words import explain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from orchestrator.collect.manifest import Reach
    from orchestrator.core.model import LedgerChange, Series
    from orchestrator.core.settings import Config

_UNFINISHED: Final = ".rebuild"

_KEPT: Final = OPEN | {State.DISPUTED, State.WAIVED}
"""Reports without a file that a manifest brings back: none of them is to be bought again."""

_PASSED_OVER: Final = frozenset({State.READY, State.VERIFIED})
"""Steps of a report that a manifest knows as submitted: its status is asked for anew."""


# --- does it belong to the ledger? ----------------------------------------------------------------


def refuse_other_manifest(config: Config, ledger: Identity) -> Reach | None:
    """Makes sure that the manifest in the output directory is of this ledger, and not of a later.

    What another ledger has bought, or this one has bought later, would be bought again.

    Returns:
        How far the manifest follows the ledger; None where there is no manifest.

    Raises:
        InputError: it is of another ledger, the ledger is older than it, or it cannot be read.
    """
    found = reach(config.output.directory)
    if found is None:
        return None
    manifest = config.output.directory / MANIFEST
    known = found.header.identity
    if known.id and known.id not in (ledger.id, ledger.replaces):
        if known.replaces == ledger.id:
            raise InputError(
                f"the ledger {config.state} was replaced by a rebuild: {manifest} is of the newer "
                "ledger, and what that one has bought would be bought again. Put the newer ledger "
                "back; or, if it is lost, move this one away and use "
                f"{typed('run', JOB, '--rebuild-ledger')}"
            )
        raise InputError(
            f"{manifest} belongs to another ledger than {config.state}: what that one has bought "
            "would be bought again, and its manifest would be lost. Point `state` at the ledger "
            "of these files, or `output.directory` at another directory"
        )
    is_older = found.events > ledger.events or found.generation > ledger.generation
    if (known.id == ledger.id or not known.id) and is_older:
        raise InputError(
            f"the ledger {config.state} is older than its files: it ends with event "
            f"{ledger.events:,}, and {manifest} follows it to event {found.events:,}. What was "
            "bought in between would be bought again. Put the newer ledger back, with its "
            "-wal file if it has one; or, if it is lost, move this one away and use "
            f"{typed('run', JOB, '--rebuild-ledger')}"
        )
    return found


# --- from the ledger ------------------------------------------------------------------------------


async def write_projection(config: Config, now: datetime) -> int:
    """Writes the manifest anew from the ledger, in a thread, unless it is as it would be.

    Returns:
        How many entries were written.

    Raises:
        LedgerError: the ledger cannot be read.
        OutputError: the disk.
    """
    return await to_thread.run_sync(write_now, config, now)


def write_now(config: Config, now: datetime) -> int:
    """As `write_projection`, in this thread."""
    with reading(config.state) as store:
        fingerprint = store.fingerprint()
        if is_current(config.output.directory, fingerprint):
            return 0
        directory = config.output.directory
        return write_manifest(directory, entries(store), now, store.identity(), fingerprint)


def entries(store: Store) -> Iterator[Entry]:
    """Everything that a ledger can be rebuilt from; lazy.

    Files; reports that are open, disputed or waived; what is given up; resolved windows; marks.
    """
    for series in store.all_series():
        for one in store.files(series):
            yield FileEntry(series, *one)
        given_up = store.given_up(series)
        last_straws = {one.report_id for one in given_up if one.report_id is not None}
        for report in store.reports(series, _KEPT):
            last_straws.discard(report.id)
            yield _report_entry(report)
        for number in sorted(last_straws):
            report = store.report(number)
            if report.state is not State.COLLECTED:
                yield _report_entry(report)
        if given_up:
            yield GivenUpEntry(series, given_up)
    for job, series, resolution in store.resolutions():
        yield from _resolution_entries(job, series, resolution)


def _resolution_entries(job: str, series: Series, resolution: Resolution) -> Iterator[Entry]:
    if resolution.windows:
        yield ResolvedEntry(job, series, resolution.windows)
    if resolution.mark is not None:
        yield MarkEntry(job, series, resolution.mark)


def _report_entry(report: Report) -> ReportEntry:
    return ReportEntry(
        report=report.id,
        series=report.series,
        window=report.window,
        state=State.SUBMITTED if report.state in _PASSED_OVER else report.state,
        request_id=report.request_id,
        api_key=report.api_key,
        job=report.job,
        intended_at=report.intended_at,
        reason=report.reason,
        edition=report.edition,
        replaces=report.replaces,
    )


def _file_entry(report: Report) -> FileEntry:
    assert report.target is not None
    assert report.rows is not None
    assert report.size_bytes is not None
    assert report.sha256 is not None
    return FileEntry(
        series=report.series,
        window=report.window,
        path=report.target,
        rows=report.rows,
        size_bytes=report.size_bytes,
        sha256=report.sha256,
        request_id=report.request_id or "",
        api_key=report.api_key,
        job=report.job,
        collected_at=report.changed_at or report.intended_at,
        report=report.id,
    )


@dataclass(slots=True)
class KeptManifest:
    """The port `Journal`: appends to the manifest what the ledger commits."""

    journal: ManifestJournal

    def write(self, changes: Sequence[LedgerChange], events: int) -> None:
        """See the port."""
        self.journal.append((entry for change in changes for entry in _entries_of(change)), events)


def _entries_of(change: LedgerChange) -> Iterator[Entry]:
    match change:
        case SavedResolution(job, series, resolution):
            yield ResolvedEntry(job, series, resolution.windows)
            if resolution.mark is not None:
                yield MarkEntry(job, series, resolution.mark)
        case SavedGivenUp(series, given_up):
            yield GivenUpEntry(series, given_up)
        case Report(state=State.COLLECTED):
            yield _file_entry(change)
        case Report() if change.state not in _PASSED_OVER:
            yield _report_entry(change)
        case Report():
            pass


def keep_manifest(config: Config, ledger: Identity, now: datetime) -> KeptManifest:
    """The manifest, ready to follow the ledger from here on; written anew where it lags behind.

    Call it under the run's lock, once the ledger's generation has begun.

    Args:
        config: where both are.
        ledger: as it is now.
        now: the present moment.

    Raises:
        InputError: see `refuse_other_manifest`.
        LedgerError: the ledger cannot be read.
        OutputError: the disk.
    """
    found = refuse_other_manifest(config, ledger)
    if found is None or found.header.identity.id != ledger.id or found.events != ledger.events:
        write_now(config, now)
    directory = config.output.directory
    return KeptManifest(ManifestJournal(directory, ledger.generation, ledger.events))


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
            store = Store(connection)
            connection.execute("BEGIN IMMEDIATE")
            found = reach(config.output.directory)
            if found is not None and found.header.identity.id:
                old = found.header.identity
                store.replace(Identity(old.id, found.generation, found.events))
            _fill(store, manifest, now)
            files = store.number_of(State.COLLECTED)
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


def _fill(store: Store, manifest: Path, now: datetime) -> None:
    windows: dict[tuple[str, str], Resolution] = {}
    for line, entry in read_manifest(manifest):
        try:
            _put(store, windows, entry, now)
        except (LedgerError, InvalidTransition) as error:
            raise mistake_at(manifest, line, str(error)) from error
    store.forget_changes()


def _put(
    store: Store, windows: dict[tuple[str, str], Resolution], entry: Entry, now: datetime
) -> None:
    match entry:
        case FileEntry():
            store.restore(_collected(entry), now)
        case ReportEntry():
            store.restore(_report(entry), now)
        case GivenUpEntry(series, given_up):
            store.restore_given_up(given_up, series)
        case ResolvedEntry(job=job, series=series):
            _keep(store, windows, job, series, Resolution(windows=entry.windows))
        case MarkEntry(job=job, series=series):
            _keep(store, windows, job, series, Resolution(mark=entry.mark))


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


def _collected(entry: FileEntry) -> Report:
    return Report(
        id=entry.report,
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


def _report(entry: ReportEntry) -> Report:
    return Report(
        id=entry.report,
        series=entry.series,
        window=entry.window,
        state=entry.state,
        api_key=entry.api_key,
        job=entry.job,
        intended_at=entry.intended_at,
        request_id=entry.request_id,
        submitted_at=entry.intended_at if entry.request_id is not None else None,
        reason=entry.reason,
        edition=entry.edition,
        replaces=entry.replaces,
        changed_at=entry.intended_at,
    )


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def missing_files(config: Config) -> int:
    """How many files that the ledger has as collected are not there."""
    with reading(config.state) as store:
        return sum(
            not (config.output.directory / str(report.target)).exists()
            for series in store.all_series()
            for report in store.reports(series, (State.COLLECTED,))
        )
