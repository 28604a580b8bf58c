"""Makes a checked file of one report's download, small or large; it does not publish it."""

import contextlib
import io
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from anyio import CapacityLimiter, to_thread

from orchestrator.collect import disk, inflate, safe_open
from orchestrator.collect.archive import read_member
from orchestrator.collect.cancellable_thread import check_cancelled
from orchestrator.collect.convert import convert
from orchestrator.collect.disk_reserve import DiskReserve
from orchestrator.collect.formats import output_format
from orchestrator.collect.formats.base import ColumnsDoNotFit, FileSubject
from orchestrator.collect.output_file import Converted
from orchestrator.collect.pipeline import PIECE, ArchiveFile, DownloadReader, fetch_archive
from orchestrator.collect.unpack import StreamingUnpacker
from orchestrator.collect.work_area import PartialDownload, PartialFolder, WorkFiles
from orchestrator.core.model import Report
from orchestrator.core.ports import Download, Resume
from orchestrator.core.settings import Format
from orchestrator.errors import CorruptArchive, OutputError, WrongCount


class ArchiveFetch:
    """Makes a checked file of one report's archive; the file has no final name yet.

    Either `from_memory`, of a small archive; or `stream`, which unpacks the archive while it
    arrives, and `from_stream` when all has arrived; or `from_disk`, of one that was refused.

    Args:
        kept: the beginning of the archive that an earlier run has kept, to go on from.
    """

    def __init__(
        self,
        report: Report,
        files: WorkFiles,
        file_format: Format,
        partial: PartialFolder,
        *,
        subject: FileSubject,
        reserve: DiskReserve,
        kept: PartialDownload | None = None,
    ) -> None:
        self._report = report
        self._subject = subject
        self._files = files
        self._part = files.part(file_format)
        self._format = output_format(file_format)
        self._partial = partial
        self._reserve = reserve
        self._kept_bytes = 0 if kept is None else kept.resume.offset
        self._archive = ArchiveFile(files.archive, self._kept_bytes, self._reserve_room)
        self._unpacker: StreamingUnpacker | None = None
        self._length = None if kept is None else kept.resume.length
        self._validator = None if kept is None else kept.resume.validator

    @property
    def resumable(self) -> Resume | None:
        """Where the archive would go on after its stream broke; None: it must begin anew."""
        offset = self._archive.size_bytes
        if self._validator is None or self._length is None or not 0 < offset < self._length:
            return None
        return Resume(offset, self._length, self._validator)

    def takes(self, download: Download, report: Report) -> bool:
        """Whether a download goes on where the one before it broke."""
        return (
            self.resumable is not None
            and self.resumable == _resume_of(download)
            and report.items_count == self._report.items_count
        )

    def from_memory(self, archive: bytes) -> Converted:
        """Makes the file of a small archive, which stays in memory unless it is refused.

        Raises:
            CorruptArchive: structure, packed bytes, CRC or count are wrong.
            OSError: the disk.
        """
        self._partial.prepare(self._files, self._report.id)
        try:
            converted = self._converted(io.BytesIO(archive))
            self._check_count(converted)
        except CorruptArchive:
            _write(self._files.archive, archive)
            raise
        if self._format.is_archive:
            _write(self._part, archive)
        return converted

    async def stream(
        self, download: Download, reader: DownloadReader, first: list[bytes], cores: CapacityLimiter
    ) -> None:
        """Writes and unpacks an archive while it arrives; see `fetch_archive`, also for its errors.

        After a `TransportError` it may be called again with the rest (`resumable`).
        """
        if self._unpacker is None:
            self._unpacker = await to_thread.run_sync(self._begin)
            self._length, self._validator = download.length, download.validator
            if self._kept_bytes:
                await to_thread.run_sync(self._catch_up, self._unpacker, limiter=cores)
        await fetch_archive(reader, first, self._archive, self._unpacker)

    def _reserve_room(self, size_bytes: int) -> None:
        """Called with a number of bytes before they are written.

        Raises:
            NoRoom: there is too little room for them.
        """
        self._reserve.check(self._report.id)
        self._reserve.wrote(self._report.id, size_bytes)

    def _begin(self) -> StreamingUnpacker:
        with disk.translate_os_errors(self._part, "write"):
            self._partial.prepare(self._files, self._report.id, keep=bool(self._kept_bytes))
            disk.remove(self._files.part_note)  # no longer true once more has come
            return StreamingUnpacker(
                self._part,
                self._format,
                self._report.items_count,
                self._subject,
                by_account=self._report.series.includes_subaccounts,
                inflater=inflate.fastest(),
                reserve=self._reserve_room,
            )

    def _catch_up(self, unpacker: StreamingUnpacker) -> None:
        """Unpacks what an earlier run has kept."""
        remaining = self._kept_bytes
        with (
            disk.translate_os_errors(self._files.archive, "read"),
            safe_open.read(self._files.archive) as archive,
        ):
            while remaining and (piece := archive.read(min(remaining, PIECE))):
                remaining -= len(piece)
                unpacker.take([piece])
                check_cancelled()

    def keep_for_next_run(self) -> None:
        """Keeps what has arrived, where the next run can go on with it; else removes it."""
        resume = self.resumable
        if resume is not None and self._unpacker is not None:
            with contextlib.suppress(OSError, OutputError):
                self._archive.close()
                self._unpacker.abandon()
                PartialDownload(resume, self._report.items_count).write(self._files)
                self._partial.may_now_hold(self._report.id)
                return
        self.clear(keep_archive=False)

    def from_disk(self) -> Converted:
        """Makes the file of an archive on the disk that was refused before.

        Raises:
            CorruptArchive: structure, packed bytes, CRC or count are wrong; the archive stays.
            OSError: the disk.
        """
        with safe_open.read(self._files.archive) as archive:
            converted = self._converted(archive)
        return self._accepted(converted)

    def from_stream(self) -> Converted:
        """Makes the file of what was streamed, once that agrees with the directory.

        Raises:
            CorruptArchive: structure, packed bytes, CRC or count are wrong.
            OSError: the disk.
        """
        assert self._unpacker is not None, "`stream` comes first"
        self._archive.close()
        with safe_open.read(self._files.archive) as archive:
            member = read_member(archive)
            inflate.check_size(member, self._report.items_count)
            converted = None
            if self._unpacker.agrees(member):
                try:
                    converted = self._unpacker.finish()
                except ColumnsDoNotFit as misfit:
                    self._subject = replace(self._subject, fallbacks=misfit.columns)
            if converted is None:
                self._unpacker.abandon()
                converted = self._converted(archive)
        return self._accepted(converted)

    def _converted(self, archive: BinaryIO) -> Converted:
        return convert(
            archive,
            self._part,
            self._format,
            self._report.items_count,
            self._subject,
            by_account=self._report.series.includes_subaccounts,
            reserve=partial(self._reserve.check, self._report.id),
        )

    def _accepted(self, converted: Converted) -> Converted:
        """Checks the count; the archive on the disk is removed, or becomes the file."""
        self._check_count(converted)
        if self._format.is_archive:
            self._files.archive.replace(self._part)
        else:
            self._files.archive.unlink()
        return converted

    def _check_count(self, converted: Converted) -> None:
        promised = self._report.items_count
        if promised is not None and converted.rows != promised:
            raise WrongCount(converted.rows, promised)

    def clear(self, keep_archive: bool) -> None:
        """Removes the files of a failed fetch, as far as the disk allows."""
        with contextlib.suppress(OSError, OutputError):
            self._archive.close()
        if self._unpacker is not None:
            with contextlib.suppress(OSError):
                self._unpacker.abandon()
        for path in self._files.unfinished():
            if not (keep_archive and path == self._files.archive):
                with contextlib.suppress(OSError):
                    disk.remove(path)
        self._partial.may_now_hold(self._report.id)


def _write(path: Path, content: bytes) -> None:
    with safe_open.create(path) as file:
        file.write(content)


def _resume_of(download: Download) -> Resume | None:
    if download.length is None or download.validator is None:
        return None
    return Resume(download.start, download.length, download.validator)
