"""Keeps files that a person must look at, each with a note, and restores those accepted."""

import hashlib
import json
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from orchestrator.collect import disk, safe_open
from orchestrator.collect.cancellable_thread import check_cancelled
from orchestrator.collect.convert import convert, write_csv
from orchestrator.collect.formats import output_format
from orchestrator.collect.formats.base import FileSubject, OutputFormat
from orchestrator.collect.output_file import Converted
from orchestrator.collect.work_area import WorkFiles
from orchestrator.core.commands import refetch_or_pay, typed
from orchestrator.core.file_columns import ColumnChanges, columns_as_json, columns_from_json
from orchestrator.core.model import Report
from orchestrator.core.settings import Format
from orchestrator.errors import CollectError
from orchestrator.fsync import sync_folder

_MAX_NOTE_BYTES: Final = 1024 * 1024

_MADE: Final = "How it was made:   "
"""Begins the line of a note that has what a kept file does not tell by itself, as JSON."""


def keep(
    files: WorkFiles,
    folders: disk.DurableDirectories,
    report: Report,
    reason: str,
    made: Converted | None = None,
) -> Path | None:
    """Moves what has been fetched to the folder of kept files; where it stands now.

    The archive as it came, if it is still there; else the file made of it. What was kept of this
    report before gives way. Where nothing was fetched now, what is there stays, with a new note;
    where there is nothing at all, nothing happens.

    Args:
        made: how the file was made that is kept; None: it is an archive, or that is unknown.

    Raises:
        OutputError: the disk.
    """
    with disk.translate_os_errors(files.note, "keep"):
        source, kept_format = _fetched(files)
        how = _noted(files) if source is None else ""
        if source is not None:
            folders.make(files.quarantine_folder)
            disk.remove(*files.in_quarantine())
            disk.sync_file(source)
            source.chmod(0o600)
            source.replace(files.quarantined(kept_format))
        place = quarantined_file(files)
        if place is None:
            return None
        if made is not None and source not in (None, files.archive):
            how = _how(made)
        with safe_open.create(files.note, private=True) as note:
            note.write(_note(report, place, reason, how).encode())
        disk.sync_file(files.note)
        sync_folder(files.quarantine_folder)
        disk.remove(*files.unfinished())
        return place


def _fetched(files: WorkFiles) -> tuple[Path | None, Format]:
    if safe_open.is_file(files.archive):
        return files.archive, Format.ZIP
    for file_format in Format:
        if safe_open.is_file(files.verified(file_format)):
            return files.verified(file_format), file_format
    return None, Format.ZIP


def quarantined_file(files: WorkFiles) -> Path | None:
    """The file that is kept of a report; None where there is none."""
    return next(filter(safe_open.is_file, map(files.quarantined, Format)), None)


def is_there(folder: Path) -> bool:
    """Whether there is a folder of kept files, which is none elsewhere under that name."""
    try:
        return stat.S_ISDIR(folder.lstat().st_mode)
    except FileNotFoundError:
        return False


def _how(made: Converted) -> str:
    return json.dumps(
        {
            "columns": None if made.columns is None else made.columns.as_json,
            "file_columns": columns_as_json(made.file_columns),
            "source_sha256": made.source_sha256,
        }
    )


def _noted(files: WorkFiles) -> str:
    """How a kept file was made, as its note has it; empty where that does not say.

    Raises:
        OSError: the disk. Without what it says, columns that are hashed would be hashed again.
    """
    try:
        with suppress(FileNotFoundError, ValueError), safe_open.read(files.note) as note:
            lines = note.read(_MAX_NOTE_BYTES).decode().splitlines()
            return next((line.removeprefix(_MADE) for line in lines if line.startswith(_MADE)), "")
    except OSError as error:
        if error.errno not in safe_open.NO_FILE:
            raise
    return ""


def _made(files: WorkFiles, report: Report) -> Converted:
    """How a kept file was made that is no archive; only what it does not tell by itself."""
    with suppress(ValueError, KeyError, TypeError):
        how = json.loads(_noted(files))
        columns = None if how["columns"] is None else ColumnChanges.from_json(how["columns"])
        listed = columns_from_json(how["file_columns"])
        return Converted(0, 0, "", None, columns, listed, how["source_sha256"])
    return Converted(0, 0, "", None, report.columns)  # kept by an earlier version


def _note(report: Report, place: Path, reason: str, how: str) -> str:
    line = f"{_MADE}{how}\n" if how else ""
    promised = "unknown" if report.items_count is None else f"{report.items_count:,}"
    return (
        f"{place.name} is no part of the collected data.\n\n"
        f"Why:               {reason}\n"
        f"Series:            {report.series}\n"
        f"Window:            {report.window}\n"
        f"Report (API's id): {report.request_id}\n"
        f"Report (our id):   {report.id}\n"
        f"Records promised:  {promised}\n"
        f"{line}\n"
        f"{typed('status')} says what will be done about it, and what you can do.\n"
    )


def restore(
    files: WorkFiles, report: Report, wanted: Format, subject: FileSubject
) -> tuple[Converted, Format]:
    """Makes the verified file of what is kept, whatever its count.

    What is kept stays until the report is published, so that a crash loses nothing. An archive
    becomes a file of the format wanted; what is kept in another format keeps that, and rules for
    columns that were not applied when it was made are applied now.

    Raises:
        CollectError: nothing is kept.
        CorruptArchive: its structure, packed bytes or CRC are wrong.
        OutputError: the disk.
    """
    place = quarantined_file(files)
    if place is None:
        raise CollectError(
            f"report {report.request_id}: no file is kept aside in {files.quarantine_folder}; there"
            f" is nothing to accept: {refetch_or_pay(report.id)}"
        )
    kept_format = next(name for name in Format if place == files.quarantined(name))
    with disk.translate_os_errors(place, "read"):
        safe_open.refuse_links(files.quarantine_folder.parent, files.quarantine_folder)
        if kept_format is Format.ZIP and wanted is not Format.ZIP:
            by_account = report.series.includes_subaccounts
            with safe_open.read(place) as archive:
                converted = convert(
                    archive,
                    files.part(wanted),
                    output_format(wanted),
                    None,
                    subject,
                    lenient=True,
                    by_account=by_account,
                )
            return converted, wanted
        made = _made(files, report)
        part = files.part(kept_format)
        subject = replace(subject, rules=subject.rules.without(made.columns))
        if subject.rules:
            kept = output_format(kept_format)
            with safe_open.read(place) as file:
                blocks = partial(_from_beginning, kept, file)
                again = write_csv(blocks, part, kept, subject, lenient=True)
            columns = _both(made.columns, again.columns)
            return replace(again, columns=columns, source_sha256=made.source_sha256), kept_format
        with safe_open.read(place) as file, safe_open.create(part) as copy:
            rows = output_format(kept_format).count(file)
            digest = hashlib.sha256()
            file.seek(0)
            for block in safe_open.read_blocks(file):
                digest.update(block)
                copy.write(block)
                check_cancelled()
        disk.sync_file(part)
        size_bytes, sha256 = part.stat().st_size, digest.hexdigest()
        return replace(made, rows=rows, size_bytes=size_bytes, sha256=sha256), kept_format


def _from_beginning(kept: OutputFormat, file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    return kept.blocks(file)


def _both(first: ColumnChanges | None, then: ColumnChanges | None) -> ColumnChanges | None:
    """What two conversions, one after the other, have changed."""
    if first is None or then is None:
        return first or then
    return ColumnChanges(
        first.dropped + then.dropped, first.hashed + then.hashed, then.without_type
    )
