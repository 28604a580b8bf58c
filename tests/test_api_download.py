"""Downloads: bytes as they come, redirects, and who gets to see the key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from aiohttp import web

from orchestrator.errors import (
    ApiError,
    FileRefused,
    NotFound,
    ServerFault,
    Throttled,
    TransportError,
)
from tests.kit.clients import client_of
from tests.kit.servers import http_server, raw_server

if TYPE_CHECKING:
    from orchestrator.api import VonageReports

pytestmark = [pytest.mark.anyio]

ARCHIVE = bytes(range(256)) * 8192


async def fetch(api: VonageReports, link: str) -> bytes:
    body = bytearray()
    async with api.download(link) as download:
        async for piece in download.chunks():
            body += piece
    return bytes(body)


class Host:
    """A server of a table of answers by path; remembers which requests carried the key."""

    def __init__(self) -> None:
        self.answers: dict[str, web.Response | tuple[int, str]] = {}
        self.signed: list[tuple[str, bool]] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.signed.append((request.path, "Authorization" in request.headers))
        assert request.headers["Accept-Encoding"] == "identity"
        answer = self.answers.get(request.path)
        if isinstance(answer, tuple):
            return web.Response(status=answer[0], headers={"Location": answer[1]}, body=b"gone on")
        return answer or web.Response(body=ARCHIVE)


@pytest.mark.parametrize(
    "link", ["{url}/v3/media/f1", "/v3/media/f1"], ids=["absolute", "relative"]
)
async def test_the_file_comes_in_pieces_of_bounded_size(link: str) -> None:
    host = Host()
    async with (
        http_server(host) as url,
        client_of(url) as api,
        api.download(link.format(url=url)) as download,
    ):
        assert download.length == len(ARCHIVE)
        pieces = [piece async for piece in download.chunks()]
    assert b"".join(pieces) == ARCHIVE
    assert max(map(len, pieces)) <= 256 * 1024
    assert host.signed == [("/v3/media/f1", True)]


async def test_a_file_without_a_length_is_taken_to_its_end() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(ARCHIVE)
        return response

    async with http_server(answer) as url, client_of(url) as api:
        async with api.download(f"{url}/f") as download:
            assert download.length is None
        assert await fetch(api, f"{url}/f") == ARCHIVE


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_on_the_own_host_keeps_the_key(status: int) -> None:
    host = Host()
    host.answers["/a"] = (status, "/b?sig=1")
    async with http_server(host) as url, client_of(url) as api:
        assert await fetch(api, f"{url}/a") == ARCHIVE
    assert host.signed == [("/a", True), ("/b", True)]


async def test_another_host_never_sees_the_key_and_no_way_back_brings_it_again() -> None:
    own, foreign = Host(), Host()
    async with http_server(own) as url, http_server(foreign) as other, client_of(url) as api:
        own.answers["/a"] = (302, f"{other}/b")
        foreign.answers["/b"] = (302, f"{url}/c")
        assert await fetch(api, f"{url}/a") == ARCHIVE
        assert await fetch(api, f"{other}/direct") == ARCHIVE
    assert own.signed == [("/a", True), ("/c", False)]
    assert foreign.signed == [("/b", False), ("/direct", False)]


async def test_credentials_in_a_link_are_not_used() -> None:
    host = Host()
    async with http_server(host) as url, client_of("http://127.0.0.1:9") as api:
        assert await fetch(api, url.replace("http://", "http://u:p@") + "/f") == ARCHIVE
    assert host.signed == [("/f", False)]


@pytest.mark.parametrize(("hops", "arrives"), [(3, True), (4, False)])
async def test_three_hops_are_followed_and_no_more(hops: int, arrives: bool) -> None:
    host = Host()
    host.answers.update({f"/{hop}": (302, f"/{hop + 1}") for hop in range(hops)})
    async with http_server(host) as url, client_of(url) as api:
        if arrives:
            assert await fetch(api, f"{url}/0") == ARCHIVE
        else:
            with pytest.raises(ServerFault, match="redirects more than 3 times"):
                await fetch(api, f"{url}/0")
    assert len(host.signed) == 4


@pytest.mark.parametrize(
    ("base_url", "link", "words"),
    [
        ("http://127.0.0.1:9", "http://files.test/f?sig=x", "leads to files.test without TLS"),
        ("https://api.nexmo.com", "http://api.nexmo.com/f", "leads to api.nexmo.com without TLS"),
        ("https://api.nexmo.com", "http://127.0.0.1:1/f", "leads to 127.0.0.1 without TLS"),
        ("https://api.nexmo.com", "file:///etc/passwd", "is no address on the web"),
        ("https://api.nexmo.com", "http://[::1", "is no address"),
        ("https://api.nexmo.com", "https://a..b/f", "is no address"),
        ("https://api.nexmo.com", "https://.b/f", "is no address"),
        ("https://api.nexmo.com", f"https://{'a' * 64}.b/f", "is no address"),
        ("https://api.nexmo.com", "https://xn--zzzzz99999999.com/f", "is no address"),
        ("https://api.nexmo.com", "https://1.2.3.4.5/f", "is no address"),
        ("https://api.nexmo.com", "https://files.test:99999/f", "is no address"),
        ("https://api.nexmo.com", "https://files.test:x/f", "is no address"),
    ],
)
async def test_a_link_that_must_not_be_followed(base_url: str, link: str, words: str) -> None:
    async with client_of(base_url) as api:
        with pytest.raises(FileRefused) as caught:
            await fetch(api, link)
    assert words in str(caught.value)
    assert "sig" not in str(caught.value)
    assert caught.value.status is None
    assert caught.value.elsewhere


async def test_a_redirect_must_say_where() -> None:
    host = Host()
    host.answers["/f"] = (302, "")
    async with http_server(host) as url, client_of(url) as api:
        with pytest.raises(ServerFault, match="does not say where"):
            await fetch(api, f"{url}/f")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, FileRefused),
        (401, FileRefused),
        (403, FileRefused),
        (404, NotFound),
        (410, NotFound),
        (429, Throttled),
        (500, ServerFault),
        (204, ServerFault),
        (206, ServerFault),
        (304, ServerFault),
    ],
)
async def test_what_the_api_answers_instead_of_a_file(status: int, error: type[ApiError]) -> None:
    host = Host()
    host.answers["/f"] = web.Response(status=status)
    async with http_server(host) as url, client_of(url) as api:
        with pytest.raises(error):
            await fetch(api, f"{url}/f")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, FileRefused),
        (401, FileRefused),
        (403, FileRefused),
        (404, NotFound),
        (410, NotFound),
        (429, ServerFault),
        (503, ServerFault),
    ],
)
async def test_what_another_host_answers_is_no_word_about_the_key(
    status: int, error: type[ApiError]
) -> None:
    host = Host()
    host.answers["/f"] = web.Response(status=status)
    async with http_server(host) as url, client_of("http://127.0.0.1:9") as api:
        with pytest.raises(ApiError) as caught:
            await fetch(api, f"{url}/f?signature=abc")
    assert type(caught.value) is error
    assert caught.value.elsewhere
    assert "signature" not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
    ],
    ids=["length", "chunked"],
)
async def test_a_file_that_ends_too_soon_is_a_broken_stream(answer: bytes) -> None:
    got = b""
    async with raw_server(answer) as url, client_of(url) as api:
        with pytest.raises(TransportError, match="the answer was cut off"):
            async with api.download(f"{url}/f") as download:
                async for piece in download.chunks():
                    got += piece
    assert got in {b"", b"12345"}


@pytest.mark.virtual
async def test_a_slow_file_may_take_hours_but_not_stand_still_for_the_timeout() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(240):
            await anyio.sleep(30)
            await response.write(bytes(40_000))
        await anyio.sleep_forever()
        return response

    got = b""
    async with http_server(answer) as url, client_of(url) as api:
        with pytest.raises(TransportError, match="no answer in time"):
            async with api.download(f"{url}/f") as download:
                async for piece in download.chunks():
                    got += piece
        assert len(got) == 240 * 40_000
        assert anyio.current_time() == pytest.approx(240 * 30 + 60, abs=1)


@pytest.mark.virtual
async def test_a_file_that_drips_is_not_waited_for_without_end() -> None:
    """A byte a second is no standstill, but it would take a download's place for good."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await anyio.sleep(1)
            await response.write(b"x")

    async with http_server(answer) as url, client_of(url) as api:
        with pytest.raises(TransportError) as caught:
            await fetch(api, f"{url}/f")
        assert anyio.current_time() == pytest.approx(601, abs=2)
    assert str(caught.value) == (
        "GET /f: only 601 bytes in 10 minutes; the server or the network is too slow"
    )


async def test_an_error_of_whoever_takes_the_pieces_passes_untouched() -> None:
    """A full disk is an OSError too, but none of the connection."""
    async with http_server(Host()) as url, client_of(url) as api:
        with pytest.raises(OSError, match="disk full"):
            async with api.download(f"{url}/f") as download:
                async for _ in download.chunks():
                    raise OSError(28, "disk full")


async def test_a_compressed_file_is_not_unpacked() -> None:
    host = Host()
    host.answers["/f"] = web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    async with http_server(host) as url, client_of(url) as api:
        with pytest.raises(ServerFault, match="compressed"):
            await fetch(api, f"{url}/f")


async def test_a_host_that_refuses_the_connection_surely_got_nothing() -> None:
    async with raw_server(b"") as url:
        pass
    async with client_of(url) as api:
        with pytest.raises(TransportError, match="refuses the connection") as caught:
            await fetch(api, f"{url}/f")
    assert not caught.value.maybe_sent
