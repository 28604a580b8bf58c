"""Takes a download's stream into a file: constant memory, written off the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from anyio import to_thread

from orchestrator.errors import CorruptArchive, TransportError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from orchestrator.core.ports import Download

PIECE: Final = 1024 * 1024
"""Bytes gathered before they are handed to a thread: the hand-over costs as much as a write."""


class Spool(Protocol):
    """Where the bytes go; called in threads, one call at a time."""

    def write(self, pieces: Sequence[bytes]) -> None:
        """Appends."""
        ...


async def receive(
    download: Download, spool: Spool, *, largest: int | None, on_bytes: Callable[[int], None]
) -> list[bytes]:
    """Takes a stream to its end and checks its length.

    Args:
        download: the stream.
        spool: takes all but the last piece, in pieces of at least `PIECE` bytes.
        largest: more bytes than this cannot be right; None where nobody can say.
        on_bytes: told of every chunk that came.

    Returns:
        The last piece, not written yet: all there is, where a download is small.

    Raises:
        TransportError: the stream broke or ended early.
        CorruptArchive: more bytes came than were announced, or than can be right.
        OutputError: the disk.
    """
    announced = download.length
    if announced is not None and largest is not None and announced > largest:
        raise CorruptArchive(
            f"the download is {announced:,} bytes long, far too many for its records"
        )
    pieces: list[bytes] = []
    held = received = 0
    chunks = download.chunks()
    try:
        async for chunk in chunks:
            received += len(chunk)
            _check_not_too_long(received, announced, largest)
            on_bytes(len(chunk))
            pieces.append(chunk)
            held += len(chunk)
            if held >= PIECE:
                await to_thread.run_sync(spool.write, pieces)
                pieces, held = [], 0
    finally:
        await _close(chunks)
    if announced is not None and received < announced:
        raise TransportError(
            f"the download ended after {received:,} of {announced:,} bytes", maybe_sent=True
        )
    return pieces


def _check_not_too_long(received: int, announced: int | None, largest: int | None) -> None:
    if announced is not None and received > announced:
        raise CorruptArchive(f"the download goes on behind the {announced:,} bytes announced")
    if largest is not None and received > largest:
        raise CorruptArchive(
            f"the download goes on behind {largest:,} bytes, far too many for its records"
        )


async def _close(chunks: AsyncIterator[bytes]) -> None:
    """Ends an asynchronous generator here and now, not whenever it is collected as garbage."""
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()
