"""Calls that get no complete answer: was the request heard, or surely not?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from aiohttp import web

from orchestrator.errors import TransportError
from tests.kit.clients import REPORT, client_of, create, every_call
from tests.kit.servers import http_server, raw_server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from orchestrator.core.ports import ReportsApi

pytestmark = [pytest.mark.anyio]


@every_call
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "the server closed the connection without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", "the answer was cut off"),
        (b"HTTP/1.1 200 OK\r\nContent-Len", "the server closed the connection without an answer"),
        (b"\x00\x01 not http\r\n\r\n", "the answer is not HTTP as it should be"),
    ],
    ids=["no answer", "cut body", "cut head", "not http"],
)
async def test_a_broken_answer_may_have_been_a_request_that_was_heard(
    call: Callable[[ReportsApi], Awaitable[object]], answer: bytes, words: str
) -> None:
    seen: list[bytes] = []
    async with raw_server(answer, seen=seen) as url, client_of(url) as api:
        with pytest.raises(TransportError) as caught:
            await call(api)
    assert caught.value.maybe_sent
    assert str(caught.value).endswith(words)
    assert len(seen) == 1, "aiohttp sent it again by itself"


@every_call
@pytest.mark.virtual
async def test_silence_ends_with_the_timeout_of_the_call(
    call: Callable[[ReportsApi], Awaitable[object]],
) -> None:
    async with raw_server(b"", then_hang=True) as url, client_of(url) as api:
        with pytest.raises(TransportError, match="no answer in time") as caught:
            await call(api)
        assert anyio.current_time() == pytest.approx(60, abs=1)
    assert caught.value.maybe_sent


@pytest.mark.virtual
async def test_an_answer_that_drips_ends_with_the_timeout_of_the_call() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b" ")
            await anyio.sleep(1)
        return response

    async with http_server(answer) as url, client_of(url) as api:
        with pytest.raises(TransportError, match="no answer in time") as caught:
            await api.status("r-1")
        assert anyio.current_time() == pytest.approx(60, abs=1)
    assert caught.value.maybe_sent


@every_call
async def test_a_refused_connection_surely_sent_nothing(
    call: Callable[[ReportsApi], Awaitable[object]],
) -> None:
    async with raw_server(b"") as url:
        pass
    async with client_of(url) as api:
        with pytest.raises(TransportError, match="refuses the connection") as caught:
            await call(api)
    assert not caught.value.maybe_sent


async def test_a_name_that_is_not_found_surely_sent_nothing() -> None:
    async with client_of("https://api.invalid") as api:
        with pytest.raises(TransportError, match=r"name api\.invalid is not found") as caught:
            await create(api)
    assert not caught.value.maybe_sent


async def test_a_server_without_tls_gets_no_request() -> None:
    seen: list[bytes] = []
    async with (
        raw_server(b"HTTP/1.1 200 OK\r\n\r\n", seen=seen) as url,
        client_of(url.replace("http://", "https://")) as api,
    ):
        with pytest.raises(TransportError, match="no TLS connection") as caught:
            await create(api)
    assert not caught.value.maybe_sent
    assert not any(b"Authorization" in request for request in seen)


@pytest.mark.virtual
async def test_a_connection_that_does_not_come_about_in_time_surely_sent_nothing() -> None:
    async with (
        raw_server(b"", then_hang=True) as url,
        client_of(url.replace("http://", "https://")) as api,
    ):
        with pytest.raises(TransportError, match="no connection in time") as caught:
            await create(api)
        assert anyio.current_time() == pytest.approx(15, abs=1)
    assert not caught.value.maybe_sent


async def test_a_create_on_a_connection_that_the_server_closed_is_sent_once() -> None:
    """A kept connection ends as the create goes out: unknown, and not sent again by itself."""
    requests: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        requests.append(request.method)
        if request.method == "POST":
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(REPORT)

    async with http_server(answer) as url, client_of(url) as api:
        await api.status("r-1")
        with pytest.raises(TransportError) as caught:
            await create(api)
    assert caught.value.maybe_sent
    assert requests == ["GET", "POST"]
