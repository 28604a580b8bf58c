"""A gateway between us and the simulator that changes what the simulator answers."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web
from yarl import URL

from tests.kit.servers import http_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@dataclass
class Answer:
    """What the simulator has answered, to be changed in place."""

    method: str
    path: str
    status: int
    body: bytes
    content_type: str
    headers: dict[str, str]


@asynccontextmanager
async def meddling(base_url: str, change: Callable[[Answer], None]) -> AsyncIterator[str]:
    """The API at another address, where every answer is changed; yields that address."""
    async with aiohttp.ClientSession() as session:

        async def answer(request: web.Request) -> web.StreamResponse:
            kept = {
                name: value
                for name, value in request.headers.items()
                if name in ("Authorization", "Content-Type")
            }
            async with session.request(
                request.method,
                URL(base_url + request.raw_path, encoded=True),
                headers=kept,
                data=await request.read(),
            ) as response:
                said = Answer(
                    request.method,
                    request.raw_path,
                    response.status,
                    await response.read(),
                    response.content_type,
                    {},
                )
            if "json" in said.content_type:
                said.body = said.body.replace(base_url.encode(), url.encode())
            change(said)
            return web.Response(
                status=said.status,
                body=said.body,
                headers={**said.headers, "Content-Type": said.content_type},
            )

        async with http_server(answer) as url:
            yield url
