"""Which series a reading command is about, and where their files stand."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from orchestrator.collect.layout import WorkFiles, target_path
from orchestrator.core.lifecycle import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from orchestrator.core.model import Job, Report, Series
    from orchestrator.core.ports import LedgerReader
    from orchestrator.core.settings import Config


def series_of(store: LedgerReader, jobs: Sequence[Job]) -> Iterator[Series]:
    """The series of the jobs, each once, in the jobs' order; without jobs, all of the ledger."""
    if not jobs:
        yield from store.all_series()
        return
    seen: set[str] = set()
    for job in jobs:
        for entry in job.series:
            if entry.series.key not in seen:
                seen.add(entry.series.key)
                yield entry.series


def collected(store: LedgerReader, jobs: Sequence[Job]) -> Iterator[Report]:
    """The collected reports of the jobs' series, by series and time."""
    for series in series_of(store, jobs):
        yield from store.reports(series, (State.COLLECTED,))


def file_of(config: Config, report: Report) -> Path:
    """The absolute place of a collected report's file.

    Raises:
        OutputError: the ledger names a place outside the output directory.
    """
    assert report.target is not None
    return target_path(config.output.directory, report.target)


def quarantined_file(config: Config, report: Report) -> str:
    """The file that is kept aside of a report, as `from_here` has it; empty if there is none."""
    from orchestrator.collect.quarantine import kept  # noqa: PLC0415 - start-up time

    path = kept(WorkFiles.of(config.output.directory, report))
    return "" if path is None else from_here(path)


def from_here(path: Path) -> str:
    """A path as it can be used from the working directory, relative where that is shorter."""
    try:
        relative = os.path.relpath(path)
    except OSError:  # the working directory is gone
        return str(path)
    return min(relative, str(path), key=len)
