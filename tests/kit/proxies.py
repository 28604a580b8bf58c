"""A forward proxy, and TLS in front of a simulator: the surroundings of an API far away."""

from __future__ import annotations

import base64
import ssl
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSListener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import ByteStream

TLS = Path(__file__).parent / "tls"
PRIVATE_CA = TLS / "private_ca.pem"
HOST = "reports.test"
"""A name that no network knows, of the certificate that `tls_front` shows."""


@dataclass
class ForwardProxy:
    """What a proxy is to do, and what it was asked.

    Attributes:
        to_port: of this machine; every CONNECT ends there, whatever host it names.
        user: ``NAME:PASSWORD`` that it asks for; None: nothing.
        status: its answer to every CONNECT instead of 200.
        asked: the request line and the headers of each request.
    """

    to_port: int
    user: str | None = None
    status: int | None = None
    asked: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def targets(self) -> set[str]:
        """What it was asked to connect to."""
        return {request.split()[1] for request in self.asked}

    async def talk(self, stream: ByteStream) -> None:
        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                request = await self._request(stream)
                self.asked.append(request)
                status = self._status(request)
                if status != 200:
                    asks = 'Proxy-Authenticate: Basic realm="tests"\r\n' if status == 407 else ""
                    await stream.send(
                        f"HTTP/1.1 {status} No\r\n{asks}Content-Length: 0\r\n\r\n".encode()
                    )
                    return
                await stream.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await relay(stream, self.to_port)

    async def _request(self, stream: ByteStream) -> str:
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += await stream.receive(1)
        return request.decode()

    def _status(self, request: str) -> int:
        if self.status is not None:
            return self.status
        if self.user is None:
            return 200
        token = base64.b64encode(self.user.encode()).decode()
        return 200 if f"Proxy-Authorization: Basic {token}\r\n" in request else 407


async def relay(one: ByteStream, port: int) -> None:
    """Passes bytes between a stream and a port of this machine until either side ends."""

    async def pump(source: ByteStream, sink: ByteStream) -> None:
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            async for piece in source:
                await sink.send(piece)
        tasks.cancel_scope.cancel()

    async with (
        await anyio.connect_tcp("127.0.0.1", port) as other,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(pump, one, other)
        tasks.start_soon(pump, other, one)


@asynccontextmanager
async def forward_proxy(proxy: ForwardProxy) -> AsyncIterator[ForwardProxy]:
    """Lets it listen on 127.0.0.1."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        proxy.port = listener.extra(SocketAttribute.local_port)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, proxy.talk)
            yield proxy
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def tls_front(port: int) -> AsyncIterator[int]:
    """TLS with the certificate of `HOST` before a port of this machine; its own port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "reports_test.pem")

    async def talk(stream: ByteStream) -> None:
        async with stream:
            await relay(stream, port)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        own = listener.extra(SocketAttribute.local_port)
        wrapped = TLSListener(listener, context, standard_compatible=False)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wrapped.serve, talk)
            yield own
            tasks.cancel_scope.cancel()
