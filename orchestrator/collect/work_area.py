"""The work area: files of reports that are unfinished, or kept for a person. Always local.

It lies in two folders of the output directory, so that a rename into the data is atomic. Nothing
here is part of the collected data, and no published file is touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from orchestrator.collect import disk, layout, safe_open
from orchestrator.core.model import Report
from orchestrator.core.ports import Resume
from orchestrator.core.settings import Format
from orchestrator.presence import is_dir

_NAMES: Final = {
    layout.PARTIAL: re.compile(r"(\d+)_[A-Za-z0-9._%-]+\.(?:part|verified\.[a-z.]+)"),
    layout.QUARANTINE: re.compile(r"(\d+)_[A-Za-z0-9._%-]+\.(?:txt|" + layout.SUFFIXES + ")"),
}
"""How the files of reports are called in the folders of the work area."""


@lru_cache(maxsize=8)
def _folders(directory: Path) -> tuple[Path, Path]:
    """Those of unfinished files and of files that a person must look at."""
    return directory / layout.PARTIAL, directory / layout.QUARANTINE


@dataclass(frozen=True, slots=True)
class WorkFiles:
    """The paths of one report's files that are not published (yet)."""

    partial_folder: Path  # of unfinished files
    quarantine_folder: Path  # of files that a person must look at
    stem: str  # how their names begin: our number and the API's id of the report

    @classmethod
    def of(cls, directory: Path, report: Report) -> WorkFiles:
        """The paths for a report."""
        stem = f"{report.id}_{layout.safe(report.request_id or 'no-id')}"
        return cls(*_folders(directory), stem)

    @property
    def archive(self) -> Path:
        """The archive on its way from the API."""
        return self.partial_folder / f"{self.stem}.archive.part"

    @property
    def part_note(self) -> Path:
        """How much of a broken download is in `archive`, for the next run to go on from."""
        return self.partial_folder / f"{self.stem}.resume.part"

    def part(self, file_format: Format) -> Path:
        """The file that is being written."""
        return self.partial_folder / f"{self.stem}.{file_format.value}.part"

    def verified(self, file_format: Format) -> Path:
        """The checked file that waits for its final name."""
        return self.partial_folder / f"{self.stem}.verified.{file_format.value}"

    def unfinished(self) -> Iterator[Path]:
        """Every path of the report in the folder of unfinished files; most do not exist."""
        yield self.archive
        yield self.part_note
        for file_format in Format:
            yield self.part(file_format)
            yield self.verified(file_format)

    def quarantined(self, file_format: Format) -> Path:
        """The file kept for a person: the archive as it came (zip), or what was made of it."""
        return self.quarantine_folder / f"{self.stem}.{file_format.value}"

    @property
    def note(self) -> Path:
        """Why it is kept."""
        return self.quarantine_folder / f"{self.stem}.txt"

    def in_quarantine(self) -> Iterator[Path]:
        """Every path of the report in quarantine; most do not exist."""
        yield from map(self.quarantined, Format)
        yield self.note


# --- what earlier runs have left ------------------------------------------------------------------


def _files_in(directory: Path, name: str) -> Iterator[tuple[Path, int]]:
    """The files of reports in a folder of the work area, with our numbers of the reports.

    A folder that is not there is empty. Files that are not named like ours are left out.

    Raises:
        OSError: the disk, or a link leads there.
    """
    folder = directory / name
    safe_open.refuse_links(directory, folder)
    if is_dir(folder):
        for path in folder.iterdir():
            if match := _NAMES[name].fullmatch(path.name):
                yield path, int(match[1])


def reports_in(directory: Path, name: str) -> frozenset[int]:
    """Our numbers of the reports that have files in a folder of the work area.

    Args:
        directory: the output directory; it need not be there.
        name: of the folder: `layout.PARTIAL` or `layout.QUARANTINE`.

    Raises:
        OutputError: the disk.
    """
    with disk.translate_os_errors(directory / name, "read"):
        return frozenset(number for _, number in _files_in(directory, name))


def remove_unfinished(directory: Path, keep: AbstractSet[int]) -> int:
    """Removes unfinished files that no report needs any more; returns how many.

    Only the run that holds the ledger's lock may call it, before it fetches anything. Files that
    are not named like ours are left alone, as are those in quarantine.

    Args:
        directory: the output directory; it need not be there.
        keep: our numbers of the reports whose unfinished files are still wanted.

    Raises:
        OutputError: the disk.
    """
    partial = directory / layout.PARTIAL
    with disk.translate_os_errors(partial, "clear"):
        unfinished = _files_in(directory, layout.PARTIAL)
        gone = [path for path, number in unfinished if number not in keep]
        if os.path.lexists(partial / layout.MANIFEST_PART):
            gone.append(partial / layout.MANIFEST_PART)
        return _remove_files(gone)


def clear_quarantine(directory: Path, done_with: AbstractSet[int]) -> int:
    """Removes from quarantine the files that are no longer needed; returns how many.

    Args:
        done_with: our numbers of the reports that need theirs no more.

    Raises:
        OutputError: the disk.
    """
    with disk.translate_os_errors(directory / layout.QUARANTINE, "clear"):
        quarantined = _files_in(directory, layout.QUARANTINE)
        return _remove_files(path for path, number in quarantined if number in done_with)


def _remove_files(paths: Iterable[Path]) -> int:
    """Removes files and links, no folders; how many there were."""
    return disk.remove(*(path for path in paths if path.is_symlink() or not is_dir(path)))


class PartialFolder:
    """The folder of unfinished files; knows of which reports it may hold files.

    Only the run that holds the ledger's lock writes there, so it is listed only once.
    """

    def __init__(self, folders: disk.DurableDirectories) -> None:
        self._folders = folders
        self._reports: set[int] | None = None

    def prepare(self, files: WorkFiles, report_id: int, *, keep: bool = False) -> None:
        """Makes the folder, and removes old files of a report; with `keep` they stay.

        Raises:
            OSError: the disk.
            OutputError: the disk, as it is read.
        """
        self._folders.make(files.partial_folder)
        if self.may_hold(report_id):
            if not keep:
                disk.remove(*files.unfinished())
            self._listed().discard(report_id)

    def may_hold(self, report_id: int) -> bool:
        """Whether files of a report may be there.

        Raises:
            OutputError: the disk.
        """
        return report_id in self._listed()

    def _listed(self) -> set[int]:
        if self._reports is None:
            self._reports = set(reports_in(self._folders.root, layout.PARTIAL))
        return self._reports

    def may_now_hold(self, report_id: int) -> None:
        """Files of a report may be there from now on."""
        if self._reports is not None:
            self._reports.add(report_id)


# --- downloads that broke -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PartialDownload:
    """The beginning of an archive on the disk."""

    resume: Resume  # where it goes on, and what proves that the file is still the same
    items_count: int | None  # what the API promised when it was fetched; it bounded what was taken

    def write(self, files: WorkFiles) -> None:
        """Puts the note beside the archive, once the archive itself is on the disk.

        Raises:
            OSError: the disk.
        """
        with safe_open.read(files.archive) as archive:
            if os.fstat(archive.fileno()).st_size != self.resume.offset:
                raise OSError("the archive is not as long as it should be")
            os.fsync(archive.fileno())
        note = {
            "offset": self.resume.offset,
            "length": self.resume.length,
            "validator": self.resume.validator,
            "items_count": self.items_count,
        }
        with safe_open.create(files.part_note, private=True) as file:
            file.write(json.dumps(note).encode())

    @classmethod
    def read(cls, files: WorkFiles) -> PartialDownload | None:
        """What an earlier run has kept of a report; None where there is none that can be used."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            with safe_open.read(files.part_note) as file:
                note = json.load(file)
            offset, length, validator = note["offset"], note["length"], note["validator"]
            items_count = note["items_count"]
            is_sound = (
                type(offset) is int
                and type(length) is int
                and isinstance(validator, str)
                and (items_count is None or type(items_count) is int)
                and 0 < offset < length
                and _is_ours(files.archive.lstat(), offset)
            )
            if is_sound:
                return cls(Resume(offset, length, validator), items_count)
        return None


def _is_ours(archive: os.stat_result, size_bytes: int) -> bool:
    """Whether it is a file of that size, and has no second name that may be somebody else's."""
    is_file = stat.S_ISREG(archive.st_mode) and archive.st_nlink == 1
    return is_file and archive.st_size == size_bytes
