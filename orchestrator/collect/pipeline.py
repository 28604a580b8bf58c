"""Takes a download, keeps it on the disk, and unpacks it, all at the same time.

Each stage has a thread of its own and works on another piece: read, keep, unpack, count, store.
Between them at most a few megabytes wait. A cancelled download ends once all that has come is
unpacked. Nothing here judges whether the archive is right.
"""

import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from threading import BoundedSemaphore, Thread
from typing import Any, BinaryIO, Final

from anyio import CancelScope, CapacityLimiter, to_thread

from orchestrator.collect import disk, safe_open
from orchestrator.collect.unpack import StreamingUnpacker
from orchestrator.core.ports import Download
from orchestrator.errors import CorruptArchive, TooLong, TransportError

PIECE: Final = 1024 * 1024
"""Bytes gathered before they are handed to a thread: the hand-over costs as much as a write."""

_MOST_WAITING: Final = 1
"""Pieces, and batches of CSV, that wait for a stage, besides the one that it works on: more would
only fill the memory."""

# Over all downloads: more threads than cores would only get in each other's way. A stage may have
# to wait for the next one, so each has a bound of its own.
_UNPACKING: Final = BoundedSemaphore(os.cpu_count() or 1)
_COUNTING: Final = BoundedSemaphore(os.cpu_count() or 1)
_STORING: Final = BoundedSemaphore(os.cpu_count() or 1)


class DownloadReader:
    """Reads a download, from its beginning or from where an earlier one broke.

    Args:
        largest: the size in bytes that the file cannot exceed.
        on_bytes: called with the size in bytes of every chunk.

    Attributes:
        received: bytes of the file that were received, with those before the start of the stream.
        ended: the stream has ended as it should.

    Raises:
        TooLong: more bytes are announced than can be right.
    """

    def __init__(
        self,
        download: Download,
        *,
        largest: int,
        on_bytes: Callable[[int], None],
    ) -> None:
        self._announced = download.length
        self._largest = largest
        self._on_bytes = on_bytes
        self._failure: TransportError | None = None
        self.received = download.start
        self.ended = False
        if self._announced is not None and self._announced > largest:
            raise TooLong(
                f"the download is {self._announced:,} bytes long, far too many for its records"
            )
        self._chunks = download.chunks()

    async def next(self) -> list[bytes]:
        """The next bytes: at least `PIECE`, or the rest; also what came before the stream broke.

        Raises:
            TransportError: the stream broke or ended early; nothing that came is held back.
            CorruptArchive: more bytes came than were announced.
            TooLong: more bytes came than can be right.
        """
        if self._failure is not None:
            raise self._failure
        pieces: list[bytes] = []
        held = 0
        try:
            while held < PIECE:
                chunk = await anext(self._chunks, None)
                if chunk is None:
                    self.ended = True
                    self._check_not_too_short()
                    break
                self.received += len(chunk)
                self._check_not_too_long()
                self._on_bytes(len(chunk))
                pieces.append(chunk)
                held += len(chunk)
        except TransportError as error:
            if not pieces:
                raise
            self.ended = False
            self._failure = error
        return pieces

    async def close(self) -> None:
        """Ends the stream here and now, not whenever it is collected as garbage."""
        await self._chunks.aclose()

    def _check_not_too_short(self) -> None:
        if self._announced is not None and self.received < self._announced:
            raise TransportError(
                f"the download ended after {self.received:,} of {self._announced:,} bytes",
                maybe_sent=True,
            )

    def _check_not_too_long(self) -> None:
        if self._announced is not None and self.received > self._announced:
            raise CorruptArchive(
                f"the download goes on behind the {self._announced:,} bytes announced"
            )
        if self.received > self._largest:
            raise TooLong(
                f"the download goes on behind {self._largest:,} bytes, far too many for its records"
            )


@dataclass(slots=True)
class ArchiveFile:
    """Writes an archive to the disk as it arrives. Called in threads, one call at a time."""

    path: Path  # an existing file is replaced, unless `size_bytes` says to go on with it
    size_bytes: int  # of the beginning that is there already and stays; grows
    reserve: Callable[[int], None]  # called with numbers of bytes before; may raise `NoRoom`
    _file: BinaryIO | None = None
    _writeback: disk.WritebackFile | None = None

    def write(self, pieces: Sequence[bytes]) -> None:
        """Appends.

        Raises:
            NoRoom: they may not be written.
            OutputError: the disk.
        """
        size_bytes = sum(map(len, pieces))
        self.reserve(size_bytes)
        with disk.translate_os_errors(self.path, "write"):
            if self._file is None or self._writeback is None:
                make = safe_open.append if self.size_bytes else safe_open.create
                self._file = make(self.path)
                self._writeback = disk.WritebackFile(self._file)
            self._file.writelines(pieces)
            self.size_bytes += size_bytes
            self._writeback.wrote(size_bytes)

    def close(self) -> None:
        """Closes the file, if it was opened; may be called again.

        Raises:
            OutputError: the disk.
        """
        if self._file is not None:
            with disk.translate_os_errors(self.path, "write"):
                self._file.close()


async def fetch_archive(
    reader: DownloadReader,
    first: list[bytes],
    archive: ArchiveFile,
    unpacker: StreamingUnpacker,
) -> None:
    """Reads a download to its end, and writes and unpacks it on the way.

    Args:
        first: the pieces that it has read already.
        archive: the file to which the archive is written as it arrives.
        unpacker: unpacks it on the way.

    Raises:
        TransportError: the stream broke; all that came has been written and unpacked.
        CorruptArchive: more bytes came than can be right.
        NoRoom: they would leave too little room on the disk.
        OutputError: the disk.
    """
    stages = _Stages(archive, unpacker)
    broken: TransportError | None = None
    pieces = first
    try:
        while True:
            await to_thread.run_sync(stages.keep, pieces, limiter=stages.limiter)
            if reader.ended or stages.failure is not None:
                break
            pieces = await reader.next()
    except TransportError as error:
        broken = error
    finally:
        with CancelScope(shield=True):
            await to_thread.run_sync(stages.end, limiter=stages.limiter)
    if failure := stages.failure or broken:
        raise failure


class _Stages:
    """Unpacks, counts and stores an archive in threads, which hand over to each other directly.

    By way of the event loop each would wait for the others, which costs a third of the time.

    Attributes:
        failure: what went wrong in one of the threads; what comes afterwards is dropped.
        limiter: for waiting here; it takes no thread from others.
    """

    def __init__(self, archive: ArchiveFile, unpacker: StreamingUnpacker) -> None:
        self._archive = archive
        self._unpacker = unpacker
        self.failure: Exception | None = None
        self.limiter = CapacityLimiter(math.inf)
        # None is the end of each.
        self._packed, unpacked, counted = (Queue[Any](_MOST_WAITING) for _ in range(3))
        # Started by hand: they last, and only what `keep` and `end` wait for is work in hand.
        self._threads = [
            Thread(target=self._work, args=stage, daemon=True)
            for stage in (
                (self._packed, unpacker.unpack, _UNPACKING, unpacked),
                (unpacked, lambda batch: [unpacker.count(batch)], _COUNTING, counted),
                (counted, unpacker.store, _STORING, None),
            )
        ]
        for thread in self._threads:
            thread.start()

    def keep(self, pieces: Sequence[bytes]) -> None:
        """Writes the next bytes of the archive, and has them unpacked."""
        self._archive.write(pieces)
        self._unpacker.take_packed(pieces)
        self._packed.put(pieces)

    def end(self) -> None:
        """Returns when everything is unpacked and stored."""
        self._packed.put(None)
        for thread in self._threads:
            thread.join()

    def _work(
        self,
        queue: Queue[Any],
        work: Callable[[Any], Iterable[object] | None],
        cores: BoundedSemaphore,
        following: Queue[Any] | None,
    ) -> None:
        """Works on each item of a queue, and hands what is made of it to the following stage."""
        for item in iter(queue.get, None):
            if self.failure is None:
                try:
                    with cores:
                        for made in work(item) or ():
                            assert following is not None
                            following.put(made)
                except Exception as error:  # noqa: BLE001 - raised by `fetch_archive`
                    self.failure = error
        if following is not None:
            following.put(None)
