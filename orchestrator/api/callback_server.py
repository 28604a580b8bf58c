"""Receives the callbacks of the API during a run: a small web server.

It believes nothing of a call but the token in its path: a callback only says that a report is worth
a poll. Import it only where callbacks are configured, because aiohttp's server takes long to load.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import anyio
from aiohttp import web

from orchestrator.api.callback_urls import CallbackUrls, TokenBucket
from orchestrator.api.connection_errors import listen_words
from orchestrator.core.events import RunEvents
from orchestrator.core.settings import CallbackSettings

MAX_CONNECTIONS: Final = 100
"""Maximum number of open connections. One more closes the oldest, so that nobody can block it."""

MAX_BODY: Final = 64 * 1024
"""Maximum number of bytes of a body, which is read and thrown away. A report has about 1,000."""

BODY_SECONDS: Final = 5.0  # Seconds that a body may take
RATE: Final = 200.0  # Calls a second that are answered in full; beyond it: 429

BURST: Final = 1_000.0
"""Calls that may come at once: the reports of a hundred keys may end together."""

MANY_UNKNOWN: Final = 1_000  # Calls to unknown addresses after which a warning is written, once
_IDLE_SECONDS: Final = 15.0  # Seconds after which an idle connection is closed

_SHUTDOWN_SECONDS: Final = 1.0
_MAX_HEADER: Final = 4096  # bytes of a header line
_MAX_HEADERS: Final = 64
_MAX_TOKEN: Final = 1_000  # characters

_SILENT: Final = logging.getLogger("orchestrator.callbacks")
"""aiohttp's own messages go nowhere: what strangers send must not reach the log."""
_SILENT.disabled = True


@dataclass(slots=True)
class CallCounts:
    """Counts of the calls that came in."""

    received: int = 0
    unknown: int = 0  # calls to anything else, and anything but a POST
    # calls that were too many, too long, too slow or no HTTP, whatever they were for, and
    # connections that had to make room
    refused: int = 0


class CallbackServer(CallbackUrls):
    """Listens for callbacks. Made by `receiving`. Implements `core.ports.Callbacks`.

    A call to a known address is passed on before its body is read, whatever the body is.

    Attributes:
        address: where it listens: host and port.
    """

    def __init__(self, public_url: str, events: RunEvents) -> None:
        super().__init__(public_url)
        self.calls = CallCounts()
        self.address = ("", 0)
        self._events = events
        self._bucket = TokenBucket(RATE, BURST, anyio.current_time())
        self._has_failed = False

    # --- one call -----------------------------------------------------------------------------

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Handles one call: passes it on if it is ours, and answers with a status and no body."""
        is_known = self._ring(request)
        if is_known:
            self.calls.received += 1
        else:
            self._count_unknown()
        if not self._bucket.take(anyio.current_time()):
            self.calls.refused += 1
            return _answer(429, {"Retry-After": "1"})
        if not is_known:
            return _answer(404)
        status = await _drop_body(request)
        if status != 200:
            self.calls.refused += 1
        return _answer(status)

    def _ring(self, request: web.BaseRequest) -> bool:
        """Passes a call on; whether its address is one of ours."""
        path = request.raw_path.partition("?")[0]
        token = path.rstrip("/").rpartition("/")[2]
        if request.method != "POST" or not 0 < len(token) <= _MAX_TOKEN:
            return False
        try:
            return self.call(token)
        except Exception as error:  # noqa: BLE001 - the server would hide it
            if not self._has_failed:
                self._has_failed = True
                self._events.message(
                    "error", f"a callback could not be passed on ({type(error).__name__})"
                )
            return True

    def _count_unknown(self) -> None:
        self.calls.unknown += 1
        if self.calls.unknown == MANY_UNKNOWN:
            self._events.message(
                "warning",
                f"callbacks: {MANY_UNKNOWN:,} calls came for no report of this run; somebody "
                "guesses addresses, or others share callback.public_url; they cost nothing but "
                "their answers",
            )


async def _drop_body(request: web.BaseRequest) -> int:
    """Reads a body within its bounds and throws it away; the HTTP status to answer."""
    if (request.content_length or 0) > MAX_BODY:
        return 413
    if "Expect" in request.headers:
        return 200  # the caller has not sent the body yet, and it is not needed
    size = 0
    try:
        with anyio.move_on_after(BODY_SECONDS):
            async for piece in request.content.iter_any():
                size += len(piece)
                if size > MAX_BODY:
                    return 413
            return 200
    except web.RequestPayloadError:
        return 400
    return 408


def _answer(status: int, headers: dict[str, str] | None = None) -> web.Response:
    response = web.Response(status=status, headers={"Server": "callbacks", **(headers or {})})
    if status != 200:
        response.force_close()
    return response


# --- the server -----------------------------------------------------------------------------------


class _Connection(web.RequestHandler):
    """A connection. What is not HTTP gets an answer without a body, too."""

    __slots__ = ("_calls",)

    def __init__(self, server: web.Server, calls: CallCounts, **settings: Any) -> None:
        super().__init__(server, **settings)
        self._calls = calls

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,  # noqa: ARG002 - the base's signature
        message: str | None = None,  # noqa: ARG002 - the base's signature
    ) -> web.StreamResponse:
        self._calls.refused += 1
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        return _answer(status)


class _ConnectionServer(web.Server):
    """A web server with at most `MAX_CONNECTIONS` open connections."""

    def __init__(self, server: CallbackServer) -> None:
        super().__init__(
            server.answer,
            logger=_SILENT,
            access_log=None,
            keepalive_timeout=_IDLE_SECONDS,
            lingering_time=0.0,
            auto_decompress=False,  # what is thrown away need not be unpacked
            max_line_size=_MAX_HEADER,
            max_field_size=_MAX_HEADER,
            max_headers=_MAX_HEADERS,
        )
        self.calls = server.calls
        self._inside: dict[web.RequestHandler, asyncio.Transport] = {}

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, self.calls, loop=self._loop, **self._kwargs)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self._inside[handler] = transport
        if len(self._inside) > MAX_CONNECTIONS:
            oldest = next(iter(self._inside))
            self._inside.pop(oldest).abort()
            self.calls.refused += 1

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        self._inside.pop(handler, None)
        super().connection_lost(handler, exc)


@asynccontextmanager
async def receiving(
    settings: CallbackSettings, events: RunEvents
) -> AsyncIterator[CallbackServer | None]:
    """Runs a server for as long as the context lasts.

    Yields:
        The server; None where it cannot listen. That must not end a run, which can poll its
        reports.
    """
    server = CallbackServer(settings.public_url, events)
    runner = web.ServerRunner(_ConnectionServer(server), shutdown_timeout=_SHUTDOWN_SECONDS)
    host, port = settings.host_and_port
    try:
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port, reuse_address=True).start()
        except (OSError, UnicodeError) as error:
            events.message(
                "warning",
                f"callback.listen: {settings.listen} cannot be listened on "
                f"({listen_words(error)}); this run polls its reports",
            )
            yield None
            return
        server.address = runner.addresses[0][:2]
        events.message(
            "info",
            f"callbacks: listening on {_shown(server.address)} for {settings.public_url}",
        )
        yield server
    finally:
        with anyio.CancelScope(shield=True):
            await runner.cleanup()


def _shown(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
