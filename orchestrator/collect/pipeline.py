"""Takes a download, keeps it on the disk, and unpacks it, all at the same time.

Each stage has a thread of its own and works on another piece: read, keep, unpack, store. Between
them at most a few megabytes wait. Cancellation takes effect between two pieces. Nothing here
judges whether the archive is right.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from anyio import CapacityLimiter, create_memory_object_stream, create_task_group, to_thread
from anyio.streams.memory import MemoryObjectSendStream

from orchestrator.collect import disk, safe_open
from orchestrator.collect.unpack import StreamingUnpacker
from orchestrator.core.ports import Download
from orchestrator.errors import CorruptArchive, TooLong, TransportError

PIECE: Final = 1024 * 1024
"""Bytes gathered before they are handed to a thread: the hand-over costs as much as a write."""


class DownloadReader:
    """Reads a download, from its beginning or from where an earlier one broke.

    Args:
        download: the stream.
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
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()

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


class ArchiveFile:
    """Writes an archive to the disk as it arrives. Called in threads, one call at a time.

    Args:
        path: of the file; an existing one is replaced, unless `size_bytes` says to go on with it.
        size_bytes: size of its beginning, which is there already and stays.
        reserve: called with the number of bytes before they are written; may raise `NoRoom`.
    """

    def __init__(
        self, path: Path, size_bytes: int = 0, *, reserve: Callable[[int], None] | None = None
    ) -> None:
        self._path = path
        self._reserve = reserve
        self._file: BinaryIO | None = None
        self.size_bytes = size_bytes

    def write(self, pieces: Sequence[bytes]) -> None:
        """Appends.

        Raises:
            NoRoom: they may not be written.
            OutputError: the disk.
        """
        size_bytes = sum(map(len, pieces))
        if self._reserve is not None:
            self._reserve(size_bytes)
        with disk.translate_os_errors(self._path, "write"):
            if self._file is None:
                make = safe_open.append if self.size_bytes else safe_open.create
                self._file = make(self._path)
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
            with disk.translate_os_errors(self._path, "write"):
                self._file.close()


async def fetch_archive(
    reader: DownloadReader,
    first: list[bytes],
    archive: ArchiveFile,
    unpacker: StreamingUnpacker,
    cores: CapacityLimiter,
) -> None:
    """Reads a download to its end, and writes and unpacks it on the way.

    Args:
        reader: reads the download.
        first: the pieces that it has read already.
        archive: the file to which the archive is written as it arrives.
        unpacker: unpacks it on the way.
        cores: bounds the threads that work at a time.

    Raises:
        TransportError: the stream broke; all that came has been written and unpacked.
        CorruptArchive: more bytes came than can be right.
        NoRoom: they would leave too little room on the disk.
        OutputError: the disk.
    """
    to_unpack, packed = create_memory_object_stream[list[bytes]](0)
    to_store, unpacked = create_memory_object_stream[list[bytes]](0)

    async def unpack() -> None:
        async for pieces in packed:
            batches = unpacker.unpack(pieces)
            while batch := await to_thread.run_sync(next, batches, None, limiter=cores):
                await to_store.send(batch)
        to_store.close()

    async def store() -> None:
        async for batch in unpacked:
            await to_thread.run_sync(unpacker.store, batch, limiter=cores)

    failure: Exception | None = None
    with to_unpack, packed, to_store, unpacked:
        try:
            async with create_task_group() as stages:
                stages.start_soon(unpack)
                stages.start_soon(store)
                try:
                    await _read(reader, first, archive, to_unpack, cores)
                except TransportError as error:
                    failure = error
                to_unpack.close()
        except ExceptionGroup as group:
            failure = group.exceptions[0]
    if failure is not None:
        raise failure


async def _read(
    reader: DownloadReader,
    first: list[bytes],
    archive: ArchiveFile,
    to_unpack: MemoryObjectSendStream[list[bytes]],
    cores: CapacityLimiter,
) -> None:
    pieces = first
    while True:
        await to_thread.run_sync(archive.write, pieces, limiter=cores)
        await to_unpack.send(pieces)
        if reader.ended:
            return
        pieces = await reader.next()
