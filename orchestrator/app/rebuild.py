"""Makes a lost ledger anew from the manifest and the files (`run --rebuild-ledger`)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from orchestrator.app.ledger_reading import held_in_output
from orchestrator.app.manifest_check import listings, unknown_files
from orchestrator.collect import layout
from orchestrator.collect.disk import translate_os_errors
from orchestrator.collect.layout import Published
from orchestrator.collect.manifest import Reading, Survey, survey
from orchestrator.collect.manifest_entries import (
    ColumnListEntry,
    Entry,
    GivenUpEntry,
    MarkEntry,
    ReportEntry,
    ResolvedEntry,
    SeriesEntry,
)
from orchestrator.collect.safe_open import hash_of
from orchestrator.collect.stores import output_store
from orchestrator.collect.verify import count
from orchestrator.core.commands import JOB, typed
from orchestrator.core.lifecycle import OPEN, State, VerifiedFile
from orchestrator.core.model import Job, Report, Resolution, Series
from orchestrator.core.ports import Contradiction, LedgerRestore
from orchestrator.core.settings import Config, Credentials
from orchestrator.errors import CollectError, InputError, OutputError
from orchestrator.ledger import ledger_exists, restored_ledger
from orchestrator.reporting.phrases import counted

_NAMED: Final = 5

_FOUND: Final = frozenset({State.SUBMITTED, State.READY, State.VERIFIED})
"""Whose file may stand in its place, though a lost ledger did not come to say so."""


def _remedy() -> str:
    return (
        "restore manifest.jsonl from a backup; or move it away: "
        f"{typed('run', JOB, '--rebuild-ledger')} then takes up the files of the jobs that it can "
        "read, and knows nothing of what was open, given up or decided"
    )


@dataclass(slots=True)
class Rebuilt:
    """What a ledger was made of."""

    has_manifest: bool
    files: int = 0  # collected files that the manifest knows
    missing: int = 0  # of these, how many are not there
    open: int = 0  # reports that the run goes on with
    # files that only their places told of; they were read, and are collected
    taken_up: list[str] = field(default_factory=list)
    # files whose report is unknown and that could not be taken up, with the reason
    left: list[str] = field(default_factory=list)

    def words(self) -> Iterator[tuple[str, str]]:
        """What a person should know, as (level, text)."""
        if self.has_manifest:
            text = f"a ledger was made from the manifest: {counted(self.files, 'collected file')}"
        else:
            text = "a ledger was made without a manifest: nothing is known of what was open"
        if self.open:
            text += f", {counted(self.open, 'open report')}"
        if self.missing:
            text += f", {self.missing:,} of which are not there: see {typed('verify', JOB)}"
        yield "warning" if self.missing or not self.has_manifest else "info", text
        if self.taken_up:
            text = (
                f"{counted(len(self.taken_up), 'file')} that the manifest did not know, read and "
            )
            yield "warning", text + f"taken up as collected: {_some(self.taken_up)}"
        if self.left:
            text = f"{counted(len(self.left), 'file')} where collected files stand, of which "
            yield "warning", text + f"nothing is known: {_some(self.left)}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def rebuild_ledger(
    config: Config, jobs: Sequence[Job], credentials: Mapping[str, Credentials], now: datetime
) -> Rebuilt:
    """Makes a ledger from the manifest beside the files, and from the files themselves.

    It is made under another name and takes its own when it is complete: a half of it would let
    the other half be bought again. Call it under the run's lock.

    Args:
        jobs: whose files are taken up, where the manifest does not know them.

    Raises:
        InputError: there is a ledger already, the manifest cannot be used, or there is nothing
            that a ledger could be made of.
        LedgerError: the ledger cannot be written.
    """
    if ledger_exists(config.state):
        raise InputError(
            f"--rebuild-ledger: there is a ledger at {config.state} already; leave the option out, "
            "or move that file away first"
        )
    found = survey(store := output_store(config.output))
    if found.problem is not None:
        reading = Reading(store, _remedy())
        raise reading.mistake(found.problem.key, found.problem.what, found.problem.line)
    if not found.exists and held_in_output(config) is None:
        raise Reading(store, "there are no files either: leave --rebuild-ledger out").mistake(
            "", "there is no manifest", 0
        )
    # A manifest of version 1 does not say how far its ledger had got, only its latest event.
    events = 0
    if found.header is not None:
        events = found.header.events if found.point is None else found.point.events
    with restored_ledger(config.state, now, found.point, events) as restore:
        return _Rebuilding(config, restore, found, now).rebuild(jobs, credentials)


class _Rebuilding:
    def __init__(
        self, config: Config, restore: LedgerRestore, found: Survey, now: datetime
    ) -> None:
        self._config = config
        self._store = output_store(config.output)
        self._found = found
        self._now = now
        self._new = restore

    def rebuild(self, jobs: Sequence[Job], credentials: Mapping[str, Credentials]) -> Rebuilt:
        rebuilt = Rebuilt(self._found.exists)
        if self._found.exists:
            self._read(Reading(self._store, _remedy()))
        with translate_os_errors(self._config.output.place, "read"):  # not those of the ledger
            self._take_up(rebuilt, jobs, credentials)
            self._count(rebuilt)
        return rebuilt

    # --- from the manifest ------------------------------------------------------------------------

    def _read(self, manifest: Reading) -> None:
        try:
            for entry in manifest:
                self._put(entry, manifest.line, again=manifest.is_appended)
            self._new.check()
        except Contradiction as error:
            raise manifest.mistake(error.key, str(error), error.line) from error

    def _put(self, entry: Entry, line: int, *, again: bool) -> None:
        new = self._new
        match entry:
            case ReportEntry(report=report, failed=failed, foreign=foreign):
                new.put(report, line, failed=failed, foreign=foreign, again=again)
            case ColumnListEntry(number=number, columns=columns):
                new.put_columns(number, columns, line)
            case GivenUpEntry(number=number, given_up=given_up):
                new.give_up(number, given_up)
            case SeriesEntry(series=series, retried=retried):
                new.forgive(series, retried)
            case ResolvedEntry(job=job, series=series, windows=windows):
                known = new.reader.resolution(job, series)
                new.remember(job, series, Resolution(windows, known.mark))
            case MarkEntry(job=job, series=series, mark=mark):
                known = new.reader.resolution(job, series)
                new.remember(job, series, Resolution(known.windows, mark))

    # --- from the files ---------------------------------------------------------------------------

    def _take_up(
        self, rebuilt: Rebuilt, jobs: Sequence[Job], credentials: Mapping[str, Credentials]
    ) -> None:
        buyers: dict[str, tuple[Series, str, str]] = {}
        for job in jobs:
            for entry in job.series:
                key = credentials[entry.credentials].api_key
                buyers.setdefault(entry.series.key, (entry.series, job.name, key))
        every = {series.key: series for series in self._new.reader.all_series()}
        every |= {key: series for key, (series, _, _) in buyers.items()}
        folders = set()
        wanted = ((series, None) for series in every.values())
        for series, unknown in unknown_files(self._config, self._new.reader, wanted):
            folders.add(layout.series_folder(series))
            _, job_name, api_key = buyers.get(series.key, (series, "", ""))
            # Of two editions of one window the newer one is what was collected.
            for file in sorted(unknown(), key=lambda file: -file.edition):
                why = self._take_up_one(series, file, job_name, api_key)
                if why is None:
                    rebuilt.taken_up.append(file.target)
                else:
                    rebuilt.left.append(f"{file.target} ({why})")
        for folder, number in layout.folders_with_files(self._store):
            if folder not in folders:
                why = "neither the manifest nor these jobs know its series"
                rebuilt.left.append(f"{counted(number, 'file')} in {folder} ({why})")

    def _take_up_one(
        self, series: Series, file: Published, job_name: str, api_key: str
    ) -> str | None:
        """Takes a file up as collected; why that cannot be, where it cannot."""
        reader = self._new.reader
        owner = next(
            (
                report
                for report in reader.reports(series, _FOUND)
                if (report.window, report.edition) == (file.window, file.edition)
            ),
            None,
        )
        if owner is None and (holder := reader.holder_of(series, file.window)) is not None:
            return f"{holder} has a part of its time"
        if owner is None and not api_key:
            return "no job of this command has its series"
        try:
            read = self._look(file)
        except (CollectError, OutputError) as error:
            return str(error)
        if owner is not None:
            if owner.items_count not in (None, read.rows):
                return f"it holds {read.rows:,} records, and {owner.items_count:,} were promised"
            self._new.take_up(owner, read)
            return None
        self._new.put(
            Report(
                id=0,
                series=series,
                window=file.window,
                state=State.COLLECTED,
                api_key=api_key,
                job=job_name,
                intended_at=self._now,
                rows=read.rows,
                size_bytes=read.size_bytes,
                sha256=read.sha256,
                target=file.target,
                changed_at=self._now,
                edition=file.edition,
            ),
            0,
        )
        return None

    def _look(self, entry: Published) -> VerifiedFile:
        """Reads a file; under its final name it has always been whole.

        Raises:
            CollectError: it is not what its name says.
            OutputError: it cannot be read.
        """
        size_bytes = self._store.size(entry.target)
        if size_bytes is None:
            raise CollectError("it is no file")
        place = self._store.location(entry.target)
        with translate_os_errors(place, "read"), self._store.open(entry.target) as file:
            rows = count(file, entry.file_format)
            return VerifiedFile(hash_of(file), rows, size_bytes, entry.target)

    def _count(self, rebuilt: Rebuilt) -> None:
        taken_up = set(rebuilt.taken_up)
        reader = self._new.reader
        every = ((series, None) for series in reader.all_series())
        for series, listed in listings(self._config, every):
            rebuilt.open += sum(reader.number_in(series, state) for state in OPEN)
            # Not one by one: an object store would be asked a million times.
            there = {file.target for file in listed()}
            for report in reader.reports(series, (State.COLLECTED,)):
                if report.target not in taken_up:
                    rebuilt.files += 1
                    rebuilt.missing += report.target not in there
