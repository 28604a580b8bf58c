"""Makes finished files when first asked for, keeps them in memory or on disk, and sends them."""

import io
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO, Final

import anyio
from aiohttp import web
from anyio import to_thread

from orchestrator.simulator import problems
from orchestrator.simulator import ranges as byte_ranges
from orchestrator.simulator.archive import write_archive
from orchestrator.simulator.calls import Call
from orchestrator.simulator.faults.bad_files import ARCHIVE_FORMS, CSV_FORMS
from orchestrator.simulator.faults.model import FaultOfReport, first_of
from orchestrator.simulator.faults.reports import BadCrc, Csv, CutFile, Gone, Part, Zip
from orchestrator.simulator.records.source import csv_pieces
from orchestrator.simulator.reports import Report, moment
from orchestrator.simulator.world import World

_IN_MEMORY_ROWS_MAX: Final = 500  # A file of more records lies on disk.
_MEMORY_BYTES_MAX: Final = 64 << 20  # Once so much is in memory, every file lies on disk.
_SLOW_PAUSE_SECONDS: Final = 10.0  # Between two pieces of a slow file, in the loop's time.
_PIECE_BYTES: Final = 1 << 18  # What one read of a file on disk sends at most.

Archive = bytes | Path
_Faults = tuple[FaultOfReport, ...]
_OF_CONTENT: Final = (BadCrc, Zip, Csv)  # The faults that change the bytes of an archive.


class Media:
    """The archives of one world. Large ones lie in a folder that goes when `close` is called."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._made: dict[tuple[object, ...], Archive] = {}
        self._in_memory = 0
        self._lock: dict[str, anyio.Lock] = {}

    def close(self) -> None:
        """Removes every file."""
        self._made.clear()
        if self._folder:
            self._folder.cleanup()
            self._folder = None

    async def answer(self, call: Call, report: Report) -> web.StreamResponse:
        """The download of a settled report.

        Raises:
            Refused: 404.
        """
        faults = (*call.file_faults, *report.faults)
        if not report.has_file or first_of(faults, Gone):
            raise problems.no_file()
        archive = await self._archive(report, faults)
        size = len(archive) if isinstance(archive, bytes) else archive.stat().st_size
        cut = first_of(faults, CutFile)
        if cut is not None:
            size = int(size * cut.share)
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f'attachment; filename="{report.archive_name}"',
        }
        start, end, status = 0, size, 200
        wrong = first_of(faults, Part)
        if self._world.settings.ranges or wrong:
            headers |= {"ETag": f'"{report.file_id}"', "Accept-Ranges": "bytes"}
            part = byte_ranges.answer(
                call.request.headers, size, headers["ETag"], wrong.form if wrong else None
            )
            start, end, status = part.start, part.end, part.status
            headers |= part.headers
        if isinstance(archive, bytes) and call.rate is None:
            return web.Response(body=archive[start:end], status=status, headers=headers)
        response = web.StreamResponse(status=status, headers=headers)
        file = io.BytesIO(archive) if isinstance(archive, bytes) else archive.open("rb")
        with suppress(ConnectionError), file:
            return await self._stream(call, response, file, start, end)
        return response

    async def _archive(self, report: Report, faults: _Faults) -> Archive:
        version = (
            report.request_id,
            *(fault for fault in faults if isinstance(fault, _OF_CONTENT)),
        )
        if version in self._made:
            return self._made[version]
        rows = report.rows or 0
        bulky = rows * max(1, self._world.settings.bulk_body_bytes // 400)
        if bulky <= _IN_MEMORY_ROWS_MAX and self._in_memory < _MEMORY_BYTES_MAX:
            memory = io.BytesIO()
            self._write(report, memory, self._pieces(report), faults)
            archive = memory.getvalue()
            self._in_memory += len(archive)
            self._made[version] = archive
            return archive
        async with self._lock.setdefault(report.request_id, anyio.Lock()):
            if version not in self._made:
                self._made[version] = await self._on_disk(report, faults, len(self._made))
        return self._made[version]

    async def _on_disk(self, report: Report, faults: _Faults, number: int) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="reports-simulator-")
        path = Path(self._folder.name) / f"{report.number}-{number}.zip"
        pieces = self._pieces(report)

        def write() -> None:
            with path.open("wb") as file:
                self._write(report, file, pieces, faults)

        await to_thread.run_sync(write)
        return path

    def _pieces(self, report: Report) -> Iterator[bytes]:
        names, quoted, rows = self._world.content(report)
        return csv_pieces(names, quoted, islice(rows, report.rows or 0))

    @staticmethod
    def _write(report: Report, file: IO[bytes], pieces: Iterable[bytes], faults: _Faults) -> None:
        made = moment(report.ended or report.created)
        csv, archive = first_of(faults, Csv), first_of(faults, Zip)
        if csv:
            pieces = [CSV_FORMS[csv.form](b"".join(pieces))]
        if archive:
            file.write(ARCHIVE_FORMS[archive.form](report.file_name, b"".join(pieces)))
        else:
            wrong_crc = first_of(faults, BadCrc) is not None
            write_archive(file, report.file_name, pieces, made, wrong_crc=wrong_crc)

    @staticmethod
    async def _stream(
        call: Call, response: web.StreamResponse, file: IO[bytes], start: int, end: int
    ) -> web.StreamResponse:
        response.content_length = end - start
        await response.prepare(call.request)
        stop = end if call.cut is None else start + int((end - start) * call.cut)
        file.seek(start)
        while start < stop:
            most = _PIECE_BYTES
            if call.rate is not None:
                await call.pause(_SLOW_PAUSE_SECONDS)
                most = max(1, int(call.rate * _SLOW_PAUSE_SECONDS))
            piece = file.read(min(most, stop - start))
            await response.write(piece)
            start += len(piece)
            if call.rate is not None and call.closing.is_set():
                break
        return response if call.cut is None else call.close_after(response)
