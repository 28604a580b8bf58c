"""Takes a download's stream: in handy pieces, with an eye on its length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.errors import CorruptArchive, TooLong, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.core.ports import Download

PIECE: Final = 1024 * 1024
"""Bytes gathered before they are handed to a thread: the hand-over costs as much as a write."""


class DownloadReader:
    """A stream that is being taken, from its beginning or from where an earlier one broke.

    Args:
        download: the stream.
        largest: more bytes than this cannot be right.
        on_bytes: told of every chunk that came.

    Attributes:
        received: bytes of the file that are here, those before the stream's start included.
        ended: nothing more will come.

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
        """The next bytes: at least `PIECE`, or whatever is left; what came before a break, too.

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
