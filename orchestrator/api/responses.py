"""Reads the body of an answer: whole with a bound, or as a stream."""

from collections.abc import AsyncGenerator
from typing import Final

import anyio
from aiohttp import ClientResponse

from orchestrator.api import encodings, ranges
from orchestrator.api.transport import BELOW_HTTP, transport_error
from orchestrator.core.ports import Resume, Within
from orchestrator.errors import ServerFault, TooLarge, TransportError

_PIECE: Final = 256 * 1024  # Bytes that are read at once

SLOWEST: Final = 1024
"""Bytes a second below which a download of unknown length has failed.

Without it, a server that sends a byte now and then would keep a download slot for ever.
"""

PATIENCE_SECONDS: Final = 600.0  # Seconds between two judgements of a download's speed


class Stream:
    """A download in progress; implements `core.ports.Download`. Its pieces can be taken once.

    Args:
        within: how long it may take.
        useless: why the body is not what was asked for; then the stream breaks at once.
    """

    def __init__(
        self,
        response: ClientResponse,
        call: str,
        within: Within,
        *,
        start: int = 0,
        useless: str = "",
    ) -> None:
        self._response = response
        self._call = call
        self.start = start
        self._useless = useless
        labels = encodings.codings(response.headers)
        self._is_labelled = bool(labels)
        self._decoder = encodings.Decoder(labels, encodings.is_zip)
        self._raw = response.content.iter_chunked(_PIECE)
        self._begin: list[bytes] = []
        self._failure: Exception | None = None
        self._pace = _Pace(
            within,
            None if self._useless else response.content_length,
            can_go_on=bool(self.validator),
        )

    async def begin(self) -> None:
        """Takes the first bytes, which tell whether the body is encoded; a failure is kept."""
        if self._useless or self.start:
            return
        try:
            while not self._begin and (piece := await self._next()):
                self._begin += self._decoder.feed(piece)
        except (TransportError, encodings.EncodingError) as error:
            self._failure = error

    @property
    def is_plausible(self) -> bool:
        """Whether its first bytes may be those of an archive, not of a page; after `begin`."""
        return self.start > 0 or not self._begin or encodings.is_zip(self._begin[0])

    @property
    def length(self) -> int | None:
        coming = self._response.content_length
        if coming is None or self._useless or self._decoder.decodes:
            return None
        return self.start + coming

    @property
    def validator(self) -> str | None:
        """See `ranges.validator`; a body with a coding cannot be gone on with."""
        if self._useless or self._is_labelled or self._decoder.decodes:
            return None
        return ranges.validator(self._response.headers)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The bytes, in pieces of at most 256 KiB."""
        if self._useless:
            raise self._broken(f"{self._useless}; the file is fetched from its beginning")
        for piece in self._begin:
            yield piece
        try:
            if self._failure is not None:
                raise self._failure
            while piece := await self._next():
                if self.start:
                    yield piece
                    continue
                for block in self._decoder.feed(piece):
                    yield block
            expected = self._response.content_length
            if expected is not None and self._pace.received != expected:
                raise self._broken(f"{self._pace.received} of {expected} bytes came")
            for block in self._decoder.finish():
                yield block
        except encodings.EncodingError as error:
            raise self._broken(str(error)) from None

    async def _next(self) -> bytes:
        """The next bytes as they come; none at the end."""
        asked = anyio.current_time()
        try:
            piece = await anext(self._raw, b"")
        except BELOW_HTTP as error:
            failure = transport_error(error, self._call)
            raise failure from failure.__cause__
        if piece:
            slow = self._pace.judge(len(piece), anyio.current_time() - asked)
            if slow:
                raise self._broken(f"{slow}; the server or the network is too slow")
        return piece

    def _broken(self, problem: str) -> TransportError:
        return TransportError(f"{self._call}: {problem}", call=self._call, maybe_sent=True)


class _Pace:
    """Measures how fast a body comes, and judges whether that is fast enough.

    Args:
        within: how long it may take.
        expected: bytes that are to come; None where it is not said.
        can_go_on: whether the beginning is of use if the rest does not come.

    Attributes:
        received: number of bytes that came.
    """

    def __init__(self, within: Within, expected: int | None, *, can_go_on: bool) -> None:
        self.received = 0
        self._life = within.life.total_seconds()
        self._patience = within.patience.total_seconds() if can_go_on else self._life
        self._expected = expected
        self._waited = 0.0  # seconds, for the server only
        self._judged_at = 0.0
        self._judged_received = 0

    def judge(self, size_bytes: int, waited: float) -> str:
        """Notes a piece and the seconds that it was waited for; why that is too slow, or empty."""
        self.received += size_bytes
        self._waited += waited
        took = self._waited - self._judged_at
        if self._waited > self._patience:
            return f"not whole after {self._waited / 3600:.1f} hours"
        if took <= PATIENCE_SECONDS:
            return ""
        came = self.received - self._judged_received
        self._judged_at, self._judged_received = self._waited, self.received
        if self._expected is None:
            is_useless = came < SLOWEST * took
        else:
            remaining = (self._expected - self.received) * took / came
            is_useless = self._waited + remaining > self._life
        return f"only {came:,} bytes in {took / 60:.0f} minutes" if is_useless else ""


def resumed(response: ClientResponse, call: str, within: Within, resume: Resume) -> Stream:
    """The stream of an answer 206 or 416 to a request for the rest of a file."""
    useless = ranges.partial_response_problem(response.status, response.headers, resume)
    if not useless and encodings.codings(response.headers):
        useless = "the server sends the rest of the file encoded"
    start = 0 if useless else resume.offset
    return Stream(response, call, within, start=start, useless=useless)


async def read_bounded(response: ClientResponse, call: str, limit: int) -> bytes:
    """The body of an answer, decoded, if it has at most `most` bytes, a number of whole MiB.

    Raises:
        TooLarge: it is longer.
        ServerFault: it comes encoded, and cannot be decoded.
    """
    labels = encodings.codings(response.headers)
    decoder = encodings.Decoder(labels, encodings.is_json)
    body = bytearray()
    try:
        async for piece in response.content.iter_chunked(_PIECE):
            for block in decoder.feed(piece):
                body += block
                _check_size(response, call, len(body), limit)
        for block in decoder.finish():
            body += block
            _check_size(response, call, len(body), limit)
    except encodings.EncodingError as error:
        raise ServerFault(f"{call}: the answer cannot be read: {error}", call=call) from None
    unknown = [label for label in labels if label not in {"gzip", "x-gzip", "deflate"}]
    if unknown and not encodings.is_json(bytes(body[:64])):
        raise ServerFault(
            f"{call}: the answer is compressed ({', '.join(unknown)}), which was not asked for",
            call=call,
        )
    return bytes(body)


def _check_size(response: ClientResponse, call: str, size_bytes: int, limit: int) -> None:
    if size_bytes > limit:
        response.close()
        raise TooLarge(
            f"{call}: answered more than {limit // 1024**2} MiB; no such answer is that long",
            call=call,
        )
