"""Keeps files that a person must look at, each with a note; they are no part of the data."""

import shutil
import stat
from collections.abc import Generator
from pathlib import Path

from orchestrator.collect import disk, safe_open
from orchestrator.collect.convert import convert, hash_in_steps
from orchestrator.collect.formats import output_format
from orchestrator.collect.formats.base import FileSubject
from orchestrator.collect.output_file import Converted
from orchestrator.collect.work_area import WorkFiles
from orchestrator.core.commands import typed
from orchestrator.core.model import Report
from orchestrator.core.settings import Format
from orchestrator.errors import CollectError
from orchestrator.fsync import sync_folder


def keep(
    files: WorkFiles, folders: disk.DurableDirectories, report: Report, reason: str
) -> Path | None:
    """Moves what has been fetched to the folder of kept files; where it stands now.

    The archive as it came, if it is still there; else the file made of it. What was kept of this
    report before gives way. Where nothing was fetched now, what is there stays, with a new note;
    where there is nothing at all, nothing happens.

    Raises:
        OutputError: the disk.
    """
    with disk.translate_os_errors(files.note, "keep"):
        source, kept_format = _fetched(files)
        if source is not None:
            folders.make(files.quarantine_folder)
            disk.remove(*files.in_quarantine())
            disk.sync_file(source)
            source.chmod(0o600)
            source.replace(files.quarantined(kept_format))
        place = quarantined_file(files)
        if place is None:
            return None
        with safe_open.create(files.note, private=True) as note:
            note.write(_note(report, place, reason).encode())
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


def _note(report: Report, place: Path, reason: str) -> str:
    promised = "unknown" if report.items_count is None else f"{report.items_count:,}"
    return (
        f"{place.name} is no part of the collected data.\n\n"
        f"Why:               {reason}\n"
        f"Series:            {report.series}\n"
        f"Window:            {report.window}\n"
        f"Report (API's id): {report.request_id}\n"
        f"Report (our id):   {report.id}\n"
        f"Records promised:  {promised}\n\n"
        f"{typed('status')} says what will be done about it, and what you can do.\n"
    )


def restore(
    files: WorkFiles, report: Report, wanted: Format, subject: FileSubject
) -> Generator[None, None, tuple[Converted, Format]]:
    """Makes the verified file of what is kept, whatever its count; in steps (see `convert`).

    What is kept stays until the report is published, so that a crash loses nothing. An archive
    becomes a file of the format wanted; what is kept in another format keeps that.

    Raises:
        CollectError: nothing is kept.
        CorruptArchive: its structure, packed bytes or CRC are wrong.
        OutputError: the disk.
    """
    place = quarantined_file(files)
    if place is None:
        waive, resubmit = (typed("resolve", report.id, way) for way in ("--waive", "--resubmit"))
        raise CollectError(
            f"report {report.request_id}: no file is kept aside in {files.quarantine_folder}; there"
            f" is nothing to accept: {waive} skips its period, {resubmit} buys it again"
        )
    kept_format = next(name for name in Format if place == files.quarantined(name))
    with disk.translate_os_errors(place, "read"):
        safe_open.refuse_links(files.quarantine_folder.parent, files.quarantine_folder)
        if kept_format is Format.ZIP and wanted is not Format.ZIP:
            by_account = report.series.includes_subaccounts
            with safe_open.read(place) as archive:
                converted = yield from convert(
                    archive,
                    files.part(wanted),
                    output_format(wanted),
                    None,
                    subject,
                    lenient=True,
                    by_account=by_account,
                )
            return converted, wanted
        part = files.part(kept_format)
        with safe_open.read(place) as file, safe_open.create(part) as copy:
            rows = yield from output_format(kept_format).count(file)
            file.seek(0)
            shutil.copyfileobj(file, copy, safe_open.READ_BLOCK)
        with safe_open.read(part) as copy:
            digest = yield from hash_in_steps(copy)
        return Converted(rows, part.stat().st_size, digest), kept_format
