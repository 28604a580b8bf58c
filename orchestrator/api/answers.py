"""The bytes of an answer: read with a bound, or handed on as a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from orchestrator.api.transport import BELOW_HTTP, transport_error
from orchestrator.errors import ServerFault, TransportError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import ClientResponse

_PIECE: Final = 256 * 1024

SLOWEST: Final = 1024
"""Bytes a second below which a download has failed: at this pace the file expires before it ends.

Without it, a server that lets a byte drip now and then would hold a download's place for good.
"""

PATIENCE_SECONDS: Final = 600.0
"""How long a download may be slower than that."""


class Stream:
    """A file on its way: `core.ports.Download`. Its pieces can be taken once."""

    def __init__(self, response: ClientResponse, call: str) -> None:
        self._response = response
        self._call = call

    @property
    def length(self) -> int | None:
        """Bytes that the server says will come."""
        return self._response.content_length

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes, in pieces of at most 256 KiB."""
        received = 0
        waited = 0.0  # for the server; what the taker of the pieces needs is not its fault
        pieces = self._response.content.iter_chunked(_PIECE)
        while True:
            asked = anyio.current_time()
            try:
                piece = await anext(pieces, b"")
            except BELOW_HTTP as error:
                failure = transport_error(error, self._call)
                raise failure from failure.__cause__
            if not piece:
                break
            received += len(piece)
            waited += anyio.current_time() - asked
            if waited > PATIENCE_SECONDS and received < SLOWEST * waited:
                raise TransportError(
                    f"{self._call}: only {received:,} bytes in {waited / 60:.0f} minutes; the"
                    " server or the network is too slow",
                    call=self._call,
                    maybe_sent=True,
                )
            yield piece
        if self.length is not None and received != self.length:
            raise TransportError(
                f"{self._call}: {received} of {self.length} bytes came",
                call=self._call,
                maybe_sent=True,
            )


async def read_bounded(response: ClientResponse, call: str, most: int) -> bytes:
    """The body of an answer, if it has at most `most` bytes, a number of whole MiB.

    Raises:
        ServerFault: it is longer, or compressed.
    """
    refuse_encoding(response, call)
    body = bytearray()
    async for piece in response.content.iter_chunked(_PIECE):
        body += piece
        if len(body) > most:
            response.close()
            raise ServerFault(
                f"{call}: answered more than {most // 1024**2} MiB; no such answer is that long",
                call=call,
            )
    return bytes(body)


def refuse_encoding(response: ClientResponse, call: str) -> None:
    """Every call asks for uncompressed bytes: lengths can be checked, nothing swells on arrival.

    Raises:
        ServerFault: they come compressed all the same.
    """
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise ServerFault(f"{call}: the answer is compressed, which was not asked for", call=call)
