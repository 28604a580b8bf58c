"""The port `Collector`: from a download, over the local work area, to a file in the store."""

import io
import os
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from anyio import CancelScope, CapacityLimiter, get_cancelled_exc_class, to_thread

from orchestrator.collect import disk, inflate, layout, quarantine, safe_open
from orchestrator.collect.archive_fetch import ArchiveFetch
from orchestrator.collect.cancellable_thread import run_cancellable
from orchestrator.collect.disk_reserve import DiskReserve
from orchestrator.collect.echo_check import refutes
from orchestrator.collect.formats import output_format
from orchestrator.collect.formats.base import FileSubject
from orchestrator.collect.output_file import Converted
from orchestrator.collect.pipeline import DownloadReader
from orchestrator.collect.stores import output_store
from orchestrator.collect.stores.base import OutputStore
from orchestrator.collect.work_area import PartialDownload, PartialFolder, WorkFiles
from orchestrator.core.commands import refetch_or_pay, typed
from orchestrator.core.echo import EchoDifference
from orchestrator.core.lifecycle import VerifiedFile
from orchestrator.core.model import Report
from orchestrator.core.ports import Download, Resume
from orchestrator.core.settings import Format, OutputSettings
from orchestrator.errors import CorruptArchive, TooLong, TransportError


class FileCollector:
    """The port `Collector`. Methods for different reports may run side by side.

    Args:
        output: where, and in which format.
        on_bytes: called in the event loop with the size in bytes of each chunk; must not block.
        store: where published files stand; None: where `output` says.

    Raises:
        InputError: its format needs a library that is not installed.
    """

    def __init__(
        self,
        output: OutputSettings,
        *,
        on_bytes: Callable[[Report, int], None] | None = None,
        store: OutputStore | None = None,
    ) -> None:
        self._store = store or output_store(output)
        self._output = output
        self._directory = output.directory
        self._format = output.format
        self._output_format = output_format(output.format)
        self._on_bytes = on_bytes or (lambda _report, _size_bytes: None)
        self._folders = disk.DurableDirectories(output.directory)
        self._partial = PartialFolder(self._folders)
        self._reserve = DiskReserve(output.directory, output.keep_free_bytes)
        # Threads that work hard, over all reports: more than cores would only get in each
        # other's way, and hold more memory.
        self._cores = CapacityLimiter(os.cpu_count() or 1)
        # Files that this process wrote and hashed need no second reading before their rename.
        self._fresh: dict[Path, Converted] = {}
        # Whether there may be files for a person; only the run under the ledger's lock makes any.
        self._has_quarantine: bool | None = None
        # What waits for the rest of its archive, by our number of the report.
        self._interrupted: dict[int, ArchiveFetch] = {}

    async def fetch(self, report: Report, download: Download) -> VerifiedFile:
        fetch = await self._fetch_of(report, download)
        keep_archive = False
        keep = False
        try:
            reader = DownloadReader(
                download,
                largest=inflate.largest_archive(report.items_count),
                on_bytes=lambda size_bytes: self._on_bytes(report, size_bytes),
            )
            try:
                if download.length is not None:
                    self._reserve.check(report.id, download.length - download.start)
                first = await reader.next()
                if reader.ended and not first and report.items_count == 0:
                    convert = partial(fetch.from_memory, _empty_archive(report))
                elif reader.ended and not download.start:
                    convert = partial(fetch.from_memory, b"".join(first))
                else:
                    await fetch.stream(download, reader, first, self._cores)
                    convert = partial(fetch.from_stream)
            finally:
                await reader.close()
            verified_file = await self._make(report, convert)
            keep = True
        except CorruptArchive as error:
            keep_archive = not isinstance(error, TooLong)
            raise
        except (TransportError, get_cancelled_exc_class()):
            if fetch.resumable is not None:
                self._interrupted[report.id] = fetch
                keep = True
            raise
        finally:
            if not keep:
                with CancelScope(shield=True):
                    await to_thread.run_sync(fetch.clear, keep_archive)
                self._reserve.ended(report.id)
        return verified_file

    async def recheck(self, report: Report) -> VerifiedFile | None:
        fetch = self._new_fetch(report)
        archive = self._files(report).archive
        with disk.translate_os_errors(archive, "read"):
            if not await to_thread.run_sync(safe_open.is_file, archive):
                return None
        try:
            return await self._make(report, fetch.from_disk)
        except CorruptArchive:
            return None

    async def empty(self, report: Report) -> VerifiedFile:
        fetch = self._new_fetch(report)
        return await self._make(report, partial(fetch.from_memory, _empty_archive(report)))

    async def _fetch_of(self, report: Report, download: Download) -> ArchiveFetch:
        """What goes on with the download that broke; or anew, where this one does not."""
        interrupted = self._interrupted.pop(report.id, None)
        if interrupted is None and self._partial.may_hold(report.id):
            interrupted = await to_thread.run_sync(self._kept_by_earlier_run, report)
        if interrupted is not None:
            if interrupted.takes(download, report):
                return interrupted
            with CancelScope(shield=True):
                await to_thread.run_sync(interrupted.clear, False)
        if download.start:
            raise TransportError(
                f"the download begins at byte {download.start:,}, and what stands before it is not"
                " here",
                maybe_sent=True,
            )
        return self._new_fetch(report)

    async def refutes(self, report: Report, differences: Sequence[EchoDifference]) -> bool:
        verified = self._files(report).verified(self._format)
        return await to_thread.run_sync(self._refutes, verified, differences, limiter=self._cores)

    def _refutes(self, verified: Path, differences: Sequence[EchoDifference]) -> bool:
        with disk.translate_os_errors(verified, "read"), safe_open.read(verified) as file:
            return refutes(self._output_format.blocks(file), differences)

    def resumable(self, report: Report) -> Resume | None:
        interrupted = self._interrupted.get(report.id) or self._kept_by_earlier_run(report)
        return None if interrupted is None else interrupted.resumable

    def _kept_by_earlier_run(self, report: Report) -> ArchiveFetch | None:
        """The download that an earlier run has set aside; None where there is none."""
        if not self._partial.may_hold(report.id):
            return None
        files = self._files(report)
        kept = PartialDownload.read(files)
        if kept is None or kept.items_count != report.items_count:
            return None
        return self._new_fetch(report, kept)

    async def release(self, report: Report) -> None:
        interrupted = self._interrupted.pop(report.id, None)
        if interrupted is not None:
            with CancelScope(shield=True):
                await to_thread.run_sync(interrupted.keep_for_next_run)
        self._reserve.ended(report.id)

    @property
    def lacks_room(self) -> str:
        return self._reserve.lacking

    async def _make(self, report: Report, convert: Callable[[], Converted]) -> VerifiedFile:
        return await to_thread.run_sync(self._converted, report, convert, limiter=self._cores)

    def _converted(self, report: Report, convert: Callable[[], Converted]) -> VerifiedFile:
        files = self._files(report)
        with disk.translate_os_errors(files.part(self._format), "write"):
            return self._settle(report, files, convert(), self._format)

    def _settle(
        self,
        report: Report,
        files: WorkFiles,
        converted: Converted,
        file_format: Format,
    ) -> VerifiedFile:
        """Marks the finished part as the verified file that waits for `publish`."""
        verified = files.verified(file_format)
        files.part(file_format).replace(verified)
        self._fresh[verified] = converted
        return VerifiedFile(
            rows=converted.rows,
            size_bytes=converted.size_bytes,
            sha256=converted.sha256,
            target=layout.target(report.series, report.window, file_format, report.edition),
            foreign=_foreign(report, converted.accounts),
            columns=converted.columns,
            file_columns=converted.file_columns,
            source_sha256=converted.source_sha256,
        )

    async def publish(self, report: Report) -> bool:
        if not self._store.is_remote:
            return await to_thread.run_sync(self._publish, report, bool)
        return await run_cancellable(partial(self._publish, report))

    def _publish(self, report: Report, is_cancelled: Callable[[], bool]) -> bool:
        assert report.target is not None, "a verified report has a target"
        assert report.sha256 is not None, "a verified report has a hash"
        files = self._files(report)
        file_format = layout.format_of(report.target)
        verified = files.verified(file_format)
        made = self._fresh.get(verified)
        fresh = made is not None and made.sha256 == report.sha256
        stands = self._store.put(
            verified,
            report.target,
            report.sha256,
            hashed=fresh,
            # An archive was moved as it came.
            synced=fresh and not output_format(file_format).is_archive,
            is_cancelled=is_cancelled,
        )
        self._fresh.pop(verified, None)
        if self._has_quarantine is None:
            with disk.translate_os_errors(files.quarantine_folder, "read"):
                self._has_quarantine = quarantine.is_there(files.quarantine_folder)
        if stands and self._has_quarantine:
            with disk.translate_os_errors(files.note, "clear"):
                disk.remove(*files.in_quarantine())
        return stands

    async def quarantine(self, report: Report, reason: str) -> None:
        self._has_quarantine = True
        files = self._files(report)
        fresh = [self._fresh.pop(files.verified(file_format), None) for file_format in Format]
        made = next(filter(None, fresh), None)
        await to_thread.run_sync(quarantine.keep, files, self._folders, report, reason, made)

    def kept(self, report: Report) -> Path | None:
        """The file that is kept aside of a report; None where there is none."""
        return quarantine.quarantined_file(self._files(report))

    async def accept(self, report: Report) -> VerifiedFile:
        return await to_thread.run_sync(self._accept, report, self._files(report))

    def _accept(self, report: Report, files: WorkFiles) -> VerifiedFile:
        with disk.translate_os_errors(files.part(self._format), "write"):
            self._folders.make(files.partial_folder)
            try:
                converted, made = self._restore(report, files)
                return self._settle(report, files, converted, made)
            finally:
                disk.remove(*map(files.part, Format))

    def _restore(self, report: Report, files: WorkFiles) -> tuple[Converted, Format]:
        """Makes the file of what is kept aside; where it cannot, says what can be done."""
        subject = FileSubject.of(report, self._output)
        try:
            return quarantine.restore(files, report, self._format, subject)
        except CorruptArchive as error:
            problem = error
        free = ""
        with suppress(CorruptArchive):
            if self._format is not Format.CSV:
                quarantine.restore(files, report, Format.CSV, subject)
                free = (
                    "with `output.format: csv` in the config "
                    f"{typed('resolve', report.id, '--accept-file')} takes it as it is (free), "
                )
        raise CorruptArchive(
            f"report {report.request_id}: {problem}; it cannot be accepted"
            f"{f' as {self._format.value}' if free else ''}: {free}{refetch_or_pay(report.id)}"
        ) from problem

    async def withdraw(self, report: Report) -> None:
        assert report.target is not None, "a report whose file is still to go has a target"
        await to_thread.run_sync(self._store.delete, report.target)

    async def discard(self, report: Report) -> None:
        interrupted = self._interrupted.pop(report.id, None)
        if interrupted is not None:
            await to_thread.run_sync(interrupted.clear, False)
        await to_thread.run_sync(self._discard, self._files(report))

    def _discard(self, files: WorkFiles) -> None:
        with disk.translate_os_errors(files.archive, "remove"):
            for folder in (files.partial_folder, files.quarantine_folder):
                safe_open.refuse_links(self._directory, folder)
            disk.remove(*files.unfinished(), *files.in_quarantine())

    def _new_fetch(self, report: Report, kept: PartialDownload | None = None) -> ArchiveFetch:
        return ArchiveFetch(
            report,
            self._files(report),
            self._format,
            self._partial,
            subject=FileSubject.of(report, self._output),
            reserve=self._reserve,
            kept=kept,
        )

    def _files(self, report: Report) -> WorkFiles:
        return WorkFiles.of(self._directory, report)


def _empty_archive(report: Report) -> bytes:
    """An archive with one CSV in it that has no byte, the same at any time."""
    name = f"report_{layout.safe(report.series.product)}.csv"
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"")
    return memory.getvalue()


def _foreign(report: Report, accounts: dict[str, int] | None) -> tuple[tuple[str, int], ...] | None:
    """The records of other accounts, the most first; None where they were not counted."""
    if accounts is None:
        return None
    others = [item for item in accounts.items() if item[0] != report.series.account_id]
    return tuple(sorted(others, key=lambda item: (-item[1], item[0])))
