"""Moves an archive through its stations, each in a thread of its own: spool, unpack, store.

All stations work at the same time, on different pieces; between them at most a few megabytes
wait. Cancellation is heard between two pieces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio import create_memory_object_stream, create_task_group, to_thread

from orchestrator.errors import TransportError

if TYPE_CHECKING:
    from anyio import CapacityLimiter
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from orchestrator.collect.archive_file import ArchiveFile
    from orchestrator.collect.download_reader import DownloadReader
    from orchestrator.collect.unpack import StreamingUnpacker


async def pump(
    intake: DownloadReader,
    first: list[bytes],
    spool: ArchiveFile,
    one: StreamingUnpacker,
    cores: CapacityLimiter,
) -> None:
    """Takes a stream to its end.

    Args:
        intake: the stream.
        first: what has been taken of it already.
        spool: gets the archive as it comes.
        one: unpacks it on the way.
        cores: bounds the threads that work at a time.

    Raises:
        TransportError: the stream broke; all that came has been spooled and unpacked.
        CorruptArchive: more bytes came than can be right.
        NoRoom: they would leave too little room on the disk.
        OutputError: the disk.
    """
    failure: Exception | None = None
    to_unpack, packed = create_memory_object_stream[list[bytes]](0)
    to_store, unpacked = create_memory_object_stream[list[bytes]](0)
    with to_unpack, packed, to_store, unpacked:
        try:
            async with create_task_group() as stations:
                stations.start_soon(_unpack, one, packed, to_store, cores)
                stations.start_soon(_store, one, unpacked, cores)
                try:
                    await _take(intake, first, spool, to_unpack, cores)
                except TransportError as error:
                    failure = error
                to_unpack.close()
        except ExceptionGroup as group:
            failure = group.exceptions[0]
    if failure is not None:
        raise failure


async def _take(
    intake: DownloadReader,
    first: list[bytes],
    spool: ArchiveFile,
    to_unpack: MemoryObjectSendStream[list[bytes]],
    cores: CapacityLimiter,
) -> None:
    pieces = first
    while True:
        await to_thread.run_sync(spool.write, pieces, limiter=cores)
        await to_unpack.send(pieces)
        if intake.ended:
            return
        pieces = await intake.next()


async def _unpack(
    one: StreamingUnpacker,
    packed: MemoryObjectReceiveStream[list[bytes]],
    to_store: MemoryObjectSendStream[list[bytes]],
    cores: CapacityLimiter,
) -> None:
    async for pieces in packed:
        batches = one.unpack(pieces)
        while batch := await to_thread.run_sync(next, batches, None, limiter=cores):
            await to_store.send(batch)
    to_store.close()


async def _store(
    one: StreamingUnpacker, unpacked: MemoryObjectReceiveStream[list[bytes]], cores: CapacityLimiter
) -> None:
    async for batch in unpacked:
        await to_thread.run_sync(one.store, batch, limiter=cores)
