"""The bytes of an answer: read with a bound, or handed on as a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from orchestrator.api import ranges
from orchestrator.api.transport import BELOW_HTTP, transport_error
from orchestrator.errors import ServerFault, TooLarge, TransportError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import ClientResponse

    from orchestrator.core.ports import Resume

_PIECE: Final = 256 * 1024

SLOWEST: Final = 1024
"""Bytes a second below which a download has failed: at this pace the file expires before it ends.

Without it, a server that lets a byte drip now and then would hold a download's place for good.
"""

PATIENCE_SECONDS: Final = 600.0
"""How long a download may be slower than that."""


class Stream:
    """A file on its way: `core.ports.Download`. Its pieces can be taken once."""

    def __init__(
        self, response: ClientResponse, call: str, *, start: int = 0, useless: str = ""
    ) -> None:
        """A stream of an answer's body.

        Args:
            response: whose body it is.
            call: for error texts.
            start: where in the file it begins.
            useless: why the body is not what was asked for; then the stream breaks at once.
        """
        self._response = response
        self._call = call
        self._start = start
        self._useless = useless

    @property
    def length(self) -> int | None:
        """Bytes of the whole file, as the server says."""
        coming = self._response.content_length
        return None if coming is None or self._useless else self._start + coming

    @property
    def start(self) -> int:
        """Where in the file the bytes begin."""
        return self._start

    @property
    def validator(self) -> str | None:
        """See `ranges.validator`."""
        return None if self._useless else ranges.validator(self._response.headers)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes, in pieces of at most 256 KiB."""
        if self._useless:
            raise TransportError(
                f"{self._call}: {self._useless}; the file is fetched from its beginning",
                call=self._call,
                maybe_sent=True,
            )
        expected = self._response.content_length
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
        if expected is not None and received != expected:
            raise TransportError(
                f"{self._call}: {received} of {expected} bytes came",
                call=self._call,
                maybe_sent=True,
            )


def resumed(response: ClientResponse, call: str, resume: Resume) -> Stream:
    """The stream of an answer 206 or 416 to a request for the rest of a file."""
    useless = ranges.flaw(response.status, response.headers, resume)
    return Stream(response, call, start=0 if useless else resume.offset, useless=useless)


async def read_bounded(response: ClientResponse, call: str, most: int) -> bytes:
    """The body of an answer, if it has at most `most` bytes, a number of whole MiB.

    Raises:
        TooLarge: it is longer.
        ServerFault: it is compressed.
    """
    refuse_encoding(response, call)
    body = bytearray()
    async for piece in response.content.iter_chunked(_PIECE):
        body += piece
        if len(body) > most:
            response.close()
            raise TooLarge(
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
