"""Removes files for good, and waives disputed reports; the ledger keeps hashes and counts.

The ledger first says that a file is erased, then the store removes it, then the ledger notes that.
Where something ends in between, the next `erase` or `run` goes on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from anyio import to_thread

from orchestrator.app.ledger_reading import reading_ledger, refuse_missing_ledger
from orchestrator.app.ledger_writing import (
    TOGETHER,
    Announce,
    no_announcement,
    side_by_side,
    writing_ledger,
)
from orchestrator.app.manifest_check import files_elsewhere
from orchestrator.app.setup import SystemClock
from orchestrator.collect.collector import FileCollector
from orchestrator.collect.layout import PARTIAL, QUARANTINE
from orchestrator.collect.work_area import reports_in
from orchestrator.config import Inputs
from orchestrator.config.dates import option_moment
from orchestrator.core import lifecycle
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Report, Series
from orchestrator.core.policy import ExitCode
from orchestrator.core.ports import Ledger, LedgerReader
from orchestrator.core.settings import Config
from orchestrator.errors import InputError, OutputError
from orchestrator.ledger import ledger_exists
from orchestrator.reporting.phrases import counted


@dataclass(frozen=True, slots=True)
class Erasure:
    """What is to be erased, or was.

    Attributes:
        files: collected files that end at or before the moment.
        rows: their records.
        size_bytes: of them.
        disputed: reports over that time that waited for a person, and are waived.
        beside: reports over that time of which files are kept in the work area.
        kept_whole: collected files that reach beyond the moment, and stay.
        open: reports over that time that a run has to finish first; what they replace stays.
    """

    files: int = 0
    rows: int = 0
    size_bytes: int = 0
    disputed: int = 0
    beside: int = 0
    kept_whole: int = 0
    open: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to erase."""
        return not (self.files or self.disputed or self.beside)

    @property
    def code(self) -> ExitCode:
        """`ExitCode.UNFINISHED` where reports of that time are open, else `ExitCode.DONE`."""
        return ExitCode.UNFINISHED if self.open else ExitCode.DONE

    def __add__(self, other: Erasure) -> Erasure:
        """Both together."""
        return Erasure(*map(sum, zip(astuple(self), astuple(other), strict=True)))


def _choose(
    reader: LedgerReader, series: Series, before: datetime
) -> tuple[Erasure, list[int], list[int]]:
    """What is to be erased of a series: the reports with a file, and the disputed ones.

    The numbers alone, for there may be very many.
    """
    chosen: list[int] = []
    disputed: list[int] = []
    rows = size_bytes = kept_whole = still_open = 0
    for report in reader.reports(series):
        if report.window.start >= before:
            break
        if report.window.end > before:
            kept_whole += report.state is State.COLLECTED
        elif report.state.is_open:
            still_open += 1
        elif report.state is State.DISPUTED:
            disputed.append(report.id)
        elif report.state is State.COLLECTED and not _is_being_replaced(reader, report):
            chosen.append(report.id)
            rows += report.rows or 0
            size_bytes += report.size_bytes or 0
    counted_here = Erasure(
        files=len(chosen),
        rows=rows,
        size_bytes=size_bytes,
        disputed=len(disputed),
        kept_whole=kept_whole,
        open=still_open,
    )
    return counted_here, chosen, disputed


def _is_being_replaced(reader: LedgerReader, report: Report) -> bool:
    newer = reader.newer_edition(report)
    return newer is not None and reader.report(newer).state.is_open


def to_erase(inputs: Inputs, before: str | datetime) -> Erasure:
    """What `erase` would remove now. Reads the ledger; changes nothing.

    Raises:
        As `erase`.
    """
    erasure = Erasure()
    moments = _moments(inputs, before)
    _refuse_elsewhere(inputs.config)
    with reading_ledger(inputs.config) as reader:
        for series, until in moments.values():
            erasure += _choose(reader, series, until)[0]
        numbers = _in_work_area(inputs.config.output.directory)
        return replace(erasure, beside=len(_beside(reader, numbers, moments)))


async def erase(
    inputs: Inputs,
    before: str | datetime,
    *,
    lock_wait: timedelta = timedelta(),
    announce: Announce = no_announcement,
) -> Erasure:
    """Removes the collected files of the jobs' series whose window ends at or before a moment.

    Also what the work area keeps of that time, and reports over it that wait for a person are
    waived. No run buys any of it again by itself.

    Args:
        before: a date or a time as in a job file, in the zone of the (first) job of each series;
            or an aware moment.
        lock_wait: how long to wait for another run on the same ledger.
        announce: called with level and text of what a person should know.

    Raises:
        InputError: `before` is no date, or ledger and files do not belong together, or the output
            directory has no files at all while the ledger knows some.
        LedgerLocked: another run is active on the ledger.
        LedgerError: the ledger cannot be read or written.
        OutputError: files could not be removed: the same call goes on with them.
    """
    config = inputs.config
    moments = _moments(inputs, before)
    refuse_missing_ledger(config)
    if not ledger_exists(config.state):
        return Erasure()
    # Before anything is written into a wrong directory.
    await to_thread.run_sync(_refuse_elsewhere, config)
    clock = SystemClock()
    erasure = Erasure()
    async with writing_ledger(config, clock, lock_wait, announce=announce) as writable:
        ledger = writable.ledger
        erasing = _Erasing(ledger, FileCollector(config.output), f"before {before}")
        if number := await erasing.remove(await ledger.superseded()):
            announce("info", f"{counted(number, 'file')} removed that an earlier command had left")
        for series, until in moments.values():
            counted_here, chosen, disputed = await ledger.read(
                partial(_choose, series=series, before=until)
            )
            erasure += counted_here
            await erasing.waive(disputed)
            await erasing.erase(chosen)
        numbers = await to_thread.run_sync(_in_work_area, config.output.directory)
        beside = await ledger.read(lambda reader: _beside(reader, numbers, moments))
        await erasing.discard(beside)
        await writable.manifest.write(clock.now())
    erasing.raise_failure()
    return replace(erasure, beside=len(beside))


class _Erasing:
    """Carries it out; goes on after a file that cannot be removed, unless none of a batch can."""

    def __init__(self, ledger: Ledger, collector: FileCollector, reason: str) -> None:
        self._ledger = ledger
        self._collector = collector
        self._reason = reason
        self._failures: list[OutputError] = []

    async def erase(self, ids: Sequence[int]) -> None:
        async for reports in self._applied(ids, lifecycle.Erased(self._reason)):
            # Read anew: as they are now.
            if not await self.remove(await self._reports([report.id for report in reports])):
                self.raise_failure()

    async def remove(self, reports: Sequence[Report]) -> int:
        """Removes files of which the ledger says that they are not collected; how many it could."""
        removed: list[Report] = []

        async def remove(report: Report) -> None:
            try:
                await self._collector.withdraw(report)
            except OutputError as error:
                self._failures.append(error)
            else:
                removed.append(report)

        await side_by_side(reports, remove)
        await side_by_side(removed, self._ledger.withdrawn)
        return len(removed)

    async def waive(self, ids: Sequence[int]) -> None:
        async for _ in self._applied(ids, lifecycle.Waived(f"erased: {self._reason}")):
            pass

    async def discard(self, reports: Sequence[Report]) -> None:
        """Removes what the work area keeps of reports."""
        for report in reports:
            try:
                await self._collector.discard(report)
            except OutputError as error:
                self._failures.append(error)

    def raise_failure(self) -> None:
        """Raises what went wrong, if anything did.

        Raises:
            OutputError: the first failure, and how many there are.
        """
        if self._failures:
            number = len(self._failures)
            raise OutputError(
                f"{counted(number, 'file')} could not be removed, the first: {self._failures[0]}; "
                f"the ledger no longer counts {'it' if number == 1 else 'them'} as collected, and "
                "the same command goes on"
            ) from self._failures[0]

    async def _applied(
        self, ids: Sequence[int], event: lifecycle.Event
    ) -> AsyncIterator[list[Report]]:
        """Applies an event to reports, in batches that share their commits."""

        async def apply(report: Report) -> None:
            await self._ledger.apply(report, event)

        for first in range(0, len(ids), TOGETHER):
            reports = await self._reports(ids[first : first + TOGETHER])
            await side_by_side(reports, apply)
            yield reports

    async def _reports(self, ids: Sequence[int]) -> list[Report]:
        return await self._ledger.read(lambda reader: list(reader.reports_numbered(ids)))


def _refuse_elsewhere(config: Config) -> None:
    """What is gone counts as removed: where a disk is not mounted, all would be kept for ever."""
    with reading_ledger(config) as reader:
        fact = files_elsewhere(config, reader)
    if fact:
        raise InputError(
            f"{fact}, so erase cannot remove them; mount or move the files there, or let "
            "output.directory be what it was"
        )


def _moments(inputs: Inputs, before: str | datetime) -> dict[str, tuple[Series, datetime]]:
    """Every series of the jobs with the moment up to which it is erased, by key of the series."""
    moments: dict[str, tuple[Series, datetime]] = {}
    for job in inputs.jobs:
        until = (
            before if isinstance(before, datetime) else option_moment("--before", before, job.zone)
        )
        for entry in job.series:
            moments.setdefault(entry.series.key, (entry.series, until))
    return moments


def _in_work_area(directory: Path) -> frozenset[int]:
    return reports_in(directory, QUARANTINE) | reports_in(directory, PARTIAL)


def _beside(
    reader: LedgerReader, numbers: frozenset[int], moments: dict[str, tuple[Series, datetime]]
) -> list[Report]:
    """The reports over the time that is erased whose files in the work area no run goes on with."""
    return [
        report
        for report in reader.reports_numbered(sorted(numbers))
        if report.series.key in moments
        and report.window.end <= moments[report.series.key][1]
        and not report.state.is_open
    ]
