"""Small real servers on 127.0.0.1, for tests that look at single requests and answers."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import anyio
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from anyio.abc import SocketStream


@asynccontextmanager
async def http_server(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[str]:
    """An aiohttp server that gives every request to `handler`; its base URL."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_server(
    answer: bytes, *, seen: list[bytes] | None = None, then_hang: bool = False
) -> AsyncIterator[str]:
    """A server that answers each connection's first request with these bytes, and closes it.

    With `then_hang` it stays connected and silent. What the requests were goes into `seen`.
    """

    async def talk(stream: SocketStream) -> None:
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            async with stream:
                request = await stream.receive()
                if seen is not None:
                    seen.append(request)
                if answer:
                    await stream.send(answer)
                if then_hang:
                    await anyio.sleep_forever()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with anyio.create_task_group() as group:
            group.start_soon(listener.serve, talk)
            yield f"http://127.0.0.1:{port}"
            group.cancel_scope.cancel()
