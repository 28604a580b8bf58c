"""Tells what has changed of the collected files since a run or a time. Reads the ledger alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Final
from zoneinfo import ZoneInfo

from orchestrator.app.files import ReportFile, report_file
from orchestrator.app.ledger_reading import reading_ledger, series_of
from orchestrator.config import Inputs
from orchestrator.config.dates import typed_moment
from orchestrator.config.parsers import InvalidValue
from orchestrator.core.checkpoint import Checkpoint
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.model import LedgerPoint, Report, Series
from orchestrator.core.ports import LedgerReader
from orchestrator.errors import InputError
from orchestrator.ledger import ledger_exists
from orchestrator.reporting.summary import RunSummary

# Discarded ones too: what was erased and is to be bought again.
_EVER_COLLECTED: Final = (State.COLLECTED, State.SUPERSEDED, State.ERASED, State.DISCARDED)


class Change(Enum):
    """What became of a file."""

    ADDED = "added"
    """It is there now, and no older edition of it was there before."""
    REPLACED = "replaced"
    """It is there now, in the place of an older edition."""
    REMOVED = "removed"
    """It was there before, and is not any more."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """A change of one file.

    Attributes:
        report: our number of its report, which names it as long as the ledger is the same.
        series: account, product, direction and filters of its records.
        file: as it stands now; None where it was removed.
    """

    change: Change
    report: int
    series: Series
    window: Window
    file: ReportFile | None


class FileChanges:
    """The changes since a run or a time, in their order; each iteration reads the ledger.

    What is changed after `until` is left out, also while somebody reads: ask again, with `until` as
    `since`, and no change comes twice and none is missing.

    Args:
        inputs: whose series; without jobs, all of the ledger.
        since: as it was written.
        after: the last change that is left out, or the first moment that is not.
        until: how far the ledger has got now; None where there is no ledger yet.

    Attributes:
        since: as it was given.
        until: what to give as `since` the next time.
    """

    def __init__(
        self, inputs: Inputs, since: str, after: int | datetime, until: Checkpoint | None = None
    ) -> None:
        self.since = since
        self.until = since if until is None else str(until)
        self._inputs = inputs
        self._after = after
        self._up_to = 0 if until is None else until.changes

    def __iter__(self) -> Iterator[FileChange]:
        """The changes.

        Raises:
            LedgerError: the ledger cannot be read, or is damaged.
            OutputError: it names a place outside the output directory.
        """
        with reading_ledger(self._inputs.config) as reader:
            if isinstance(self._after, int):
                yield from self._by_number(reader, self._after)
            else:
                yield from self._by_time(reader, self._after)

    def _by_number(self, reader: LedgerReader, after: int) -> Iterator[FileChange]:
        wanted = None
        if self._inputs.jobs:
            wanted = {series.key for series in series_of(reader, self._inputs.jobs)}
        for report in reader.changed_files(after, self._up_to):
            if wanted is not None and report.series.key not in wanted:
                continue
            if report.state is State.COLLECTED:
                newer = _replaces_older(reader, report, after)
                yield self._change(Change.REPLACED if newer else Change.ADDED, report)
            elif _was_there(report, after) and (report.removed_change or 0) <= self._up_to:
                yield self._change(Change.REMOVED, report)

    def _by_time(self, reader: LedgerReader, after: datetime) -> Iterator[FileChange]:
        for series in series_of(reader, self._inputs.jobs):
            for report in reader.reports(series, _EVER_COLLECTED):
                is_there = report.state is State.COLLECTED
                if report.state is State.DISCARDED and report.removed_change is None:
                    continue
                number = (report.collected_change if is_there else report.removed_change) or 0
                if report.changed_at is None or report.changed_at < after or number > self._up_to:
                    continue
                if not is_there:
                    yield self._change(Change.REMOVED, report)
                elif report.replaces is not None:
                    yield self._change(Change.REPLACED, report)
                else:
                    yield self._change(Change.ADDED, report)

    def _change(self, change: Change, report: Report) -> FileChange:
        file = None
        if change is not Change.REMOVED:
            file = report_file(self._inputs.config, report)
        return FileChange(change, report.id, report.series, report.window, file)


def changed_files(inputs: Inputs, since: str) -> FileChanges:
    """The files that were added, replaced or removed since a run or a time.

    Args:
        inputs: jobs and config; without jobs, all of the ledger.
        since: the id of a run (`RunSummary.run`), an earlier `FileChanges.until`, or a date or a
            time, which without an offset is in the zone of the first job.

    Raises:
        InputError: `since` is none of these, or of another ledger; or the ledger is missing.
        LedgerError: it cannot be read, or is damaged.
    """
    if not ledger_exists(inputs.config.state):
        with reading_ledger(inputs.config):  # refuses where it is missing
            return FileChanges(inputs, since, _beginning(inputs, since, None, None))
    with reading_ledger(inputs.config) as reader:
        point = reader.point()
        after = _beginning(inputs, since, point, reader.rebuilt_at())
    return FileChanges(inputs, since, after, Checkpoint.of(point, datetime.now(UTC)))


def files_of_run(inputs: Inputs, summary: RunSummary) -> Iterator[ReportFile]:
    """The files that a run has collected and that are still there, in the order of their ends.

    Raises:
        LedgerError: the ledger cannot be read, or is damaged.
    """
    first, last = summary.changes
    with reading_ledger(inputs.config) as reader:
        for report in reader.changed_files(first, last):
            if report.state is State.COLLECTED:
                yield report_file(inputs.config, report)


def _beginning(
    inputs: Inputs, since: str, point: LedgerPoint | None, rebuilt_at: int | None
) -> int | datetime:
    """The last change that is left out, or the first moment that is not."""
    checkpoint = Checkpoint.parse(since)
    if checkpoint is None:
        zone = inputs.jobs[0].zone if inputs.jobs else ZoneInfo("UTC")
        try:
            return typed_moment(since, zone)
        except InvalidValue as error:
            raise InputError(
                f"--since: {error.what}; give the id of a run, the `until` of an earlier answer, "
                f"or a time: {error.remedy}"
            ) from error
    if point is None or checkpoint.ledger != point.ledger[:8]:
        problem = f"is of another ledger than {inputs.config.state}"
    elif checkpoint.generation == point.generation and checkpoint.changes > point.changes:
        problem = f"is later than all that {inputs.config.state} knows: this is an older copy"
    elif checkpoint.generation != point.generation and not (
        checkpoint.generation == point.generation - 1
        and rebuilt_at is not None
        and checkpoint.changes <= rebuilt_at
    ):
        problem = f"knows what {inputs.config.state} lost when it was rebuilt"
    else:
        return checkpoint.changes
    raise InputError(
        f"--since {since} {problem}; delete what you have loaded, and load all files anew, with "
        "--since 1970-01-01"
    )


def _was_there(report: Report, after: int) -> bool:
    """Whether a report's file was collected by then."""
    return (report.collected_change or 0) <= after


def _replaces_older(reader: LedgerReader, report: Report, after: int) -> bool:
    """Whether an older edition of a report was there by then."""
    while report.replaces is not None:
        report = reader.report(report.replaces)
        if _was_there(report, after):
            return True
    return False
