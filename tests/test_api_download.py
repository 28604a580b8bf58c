"""Downloads: bytes as they come, redirects, and who gets to see the key."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest
from aiohttp import web
from yarl import URL

from orchestrator.api import urls
from orchestrator.core.ports import Resume, Within
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


def gzipped(data: bytes, level: int = 9) -> bytes:
    """`data` in gzip, the same at any time, since the names of the tests hold it."""
    return gzip.compress(data, level, mtime=0)


if TYPE_CHECKING:
    from orchestrator.api import VonageReports

pytestmark = [pytest.mark.anyio]

ARCHIVE = bytes(range(256)) * 8192
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


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
    assert caught.value.is_about_file


@pytest.mark.parametrize(
    "to",
    [b"http://[::1", b"https://a..b/", b"\xff\xfe", b"http://\xff/", b"https://h:99999/"],
)
async def test_a_redirect_to_nowhere_is_the_files_own_affair(to: bytes) -> None:
    answer = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + to + b"\r\n\r\n"
    async with raw_server(answer) as url, client_of(url) as api:
        with pytest.raises(ApiError) as caught:
            await fetch(api, f"{url}/f")
    assert caught.value.is_about_file


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
    assert caught.value.is_about_file
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


ZIP = b"PK\x03\x04" + ARCHIVE


def raw_deflate(body: bytes) -> bytes:
    return zlib.compress(body, wbits=-zlib.MAX_WBITS)


@pytest.mark.parametrize(
    ("labels", "body"),
    [
        (["gzip"], gzipped(ZIP)),
        (["x-gzip"], gzipped(ZIP)),
        (["identity, gzip"], gzipped(ZIP)),
        (["gzip", "identity"], gzipped(ZIP)),
        (["gzip, gzip"], gzipped(gzipped(ZIP))),
        (["gzip", "gzip"], gzipped(gzipped(ZIP))),
        (["gzip"], gzipped(gzipped(ZIP))),
        (["gzip"], gzipped(ZIP[:999]) + gzipped(ZIP[999:])),
        (["gzip"], gzipped(ZIP) + bytes(100)),
        ([], gzipped(ZIP)),
        (["br"], gzipped(ZIP)),
        (["deflate"], zlib.compress(ZIP)),
        (["deflate"], raw_deflate(ZIP)),
        (["deflate, gzip"], gzipped(zlib.compress(ZIP))),
        (["gzip"], ZIP),
        (["deflate"], ZIP),
        (["br"], ZIP),
        (["zstd"], ZIP),
        (["nonsense;q=1, ,"], ZIP),
    ],
)
async def test_a_file_that_comes_encoded_is_decoded_whatever_its_label(
    labels: list[str], body: bytes
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.headers["Accept-Encoding"] == "identity"
        response = web.Response(body=body, headers={"ETag": '"1"'})
        for label in labels:
            response.headers.add("Content-Encoding", label)
        return response

    async with (
        http_server(answer) as url,
        client_of(url) as api,
        api.download(f"{url}/f") as download,
    ):
        assert download.validator is None, "what comes encoded cannot be gone on with"
        assert download.length in {None, len(ZIP)}
        pieces = [piece async for piece in download.chunks()]
    assert b"".join(pieces) == ZIP
    assert max(map(len, pieces)) <= 256 * 1024


async def test_a_plain_file_can_be_gone_on_with() -> None:
    host = Host()
    host.answers["/f"] = web.Response(body=ZIP, headers={"ETag": '"1"'})
    async with (
        http_server(host) as url,
        client_of(url) as api,
        api.download(f"{url}/f") as download,
    ):
        assert (download.length, download.validator) == (len(ZIP), '"1"')


async def test_the_rest_of_a_file_is_not_taken_where_it_is_encoded() -> None:
    headers = {
        "ETag": '"1"',
        "Content-Range": f"bytes 9-{len(ZIP) - 1}/{len(ZIP)}",
        "Content-Encoding": "gzip",
    }
    host = Host()
    host.answers["/f"] = web.Response(status=206, body=gzipped(ZIP[9:]), headers=headers)
    async with http_server(host) as url, client_of(url) as api:
        resume = Resume(9, len(ZIP), '"1"')
        with pytest.raises(TransportError, match="fetched from its beginning"):
            async with api.download(f"{url}/f", resume) as download:
                assert download.start == 0
                async for _ in download.chunks():
                    raise AssertionError("nothing is taken")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (gzipped(ZIP)[:-9], "its gzip coding is cut off"),
        (gzipped(ZIP)[:-8] + bytes(8), "its gzip coding is damaged"),
        (gzipped(bytes(100 << 20), 9), "unpacks to more than 200 times its size"),
    ],
    ids=["cut", "damaged", "bomb"],
)
async def test_a_file_that_cannot_be_decoded_is_a_broken_stream(body: bytes, words: str) -> None:
    host = Host()
    host.answers["/f"] = web.Response(body=body, headers={"Content-Encoding": "gzip"})
    async with http_server(host) as url, client_of(url) as api:
        with pytest.raises(TransportError, match=words):
            await fetch(api, f"{url}/f")


async def test_an_encoding_that_nobody_knows_is_left_to_who_takes_the_bytes() -> None:
    host = Host()
    host.answers["/f"] = web.Response(body=b"\x0b\x02", headers={"Content-Encoding": "br"})
    async with http_server(host) as url, client_of(url) as api:
        assert await fetch(api, f"{url}/f") == b"\x0b\x02"


async def test_a_file_in_chunks_with_a_trailer_is_whole() -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        b"4\r\nPK\x03\x04\r\n0\r\nX-Sum: 1\r\n\r\n"
    )
    async with raw_server(answer) as url, client_of(url) as api:
        assert await fetch(api, f"{url}/f") == b"PK\x03\x04"


@pytest.mark.parametrize("status", [200, 203, 204])
async def test_a_file_may_be_empty(status: int) -> None:
    host = Host()
    host.answers["/f"] = web.Response(status=status)
    async with http_server(host) as url, client_of(url) as api:
        assert await fetch(api, f"{url}/f") == b""


# --- links of other hosts -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "link",
    [
        "https://files.test/v3/media/f1",
        "http://api.nexmo.com/v3/media/f1",
        "https://a..b/v3/media/f1",
        "https://[::1/v3/media/f1",
        "https://files.test:99999/v3/media/f1",
        "https://u:p@files.test/gateway/v3/media/f1/",
        "//files.test/v3/media/f1#x",
        "files.test/v3/media/f1",
        "v3/media/f1",
        "/v3/media/f1",
        "  /v3/media/f1 ",
    ],
)
@pytest.mark.parametrize("below", ["", "/gateway"], ids=["root", "below a path"])
async def test_a_link_to_the_media_endpoint_is_asked_for_at_base_url(link: str, below: str) -> None:
    """That works behind a gateway, and whatever the host of the link is."""
    host = Host()
    host.answers[f"{below}/v3/media/f1"] = web.Response(body=ZIP)
    async with http_server(host) as url, client_of(url + below) as api:
        assert await fetch(api, link) == ZIP
    assert host.signed == [(f"{below}/v3/media/f1", True)]


async def test_the_signature_of_a_link_is_kept() -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path_qs)
        return web.Response(body=ZIP)

    async with http_server(answer) as url, client_of(url) as api:
        await fetch(api, "https://files.test/v3/media/a%20b?sig=x%2Fy+z%2B&until=1#z")
        await fetch(api, f"{url}/f?sig=x%2Fy+z%2B&&until=~%7e")
        await fetch(api, f"{url}/with a space?x=\u00e9")
    assert asked == [
        "/v3/media/a%20b?sig=x%2Fy+z%2B&until=1",
        "/f?sig=x%2Fy+z%2B&&until=~%7e",
        "/with%20a%20space?x=%C3%A9",
    ]


@pytest.mark.parametrize(
    "own", [404, 401, 503, 200], ids=["404", "401", "503", "a page for any address"]
)
async def test_what_base_url_does_not_have_is_asked_for_where_the_link_points(
    own: int,
) -> None:
    """Without the key; and from then on there first."""
    here, there = Host(), Host()
    async with http_server(here) as url, http_server(there) as other, client_of(url) as api:
        here.answers["/v3/media/f1"] = web.Response(status=own, text="<html>")
        there.answers["/v3/media/f1"] = web.Response(body=ZIP)
        there.answers["/v3/media/f2"] = web.Response(body=ZIP)
        assert await fetch(api, f"{other}/v3/media/f1") == ZIP
        assert await fetch(api, f"{other}/v3/media/f2") == ZIP
    assert here.signed == [("/v3/media/f1", True)]
    assert there.signed == [("/v3/media/f1", False), ("/v3/media/f2", False)]


@pytest.mark.parametrize(
    ("own", "theirs", "error"),
    [
        (404, 401, NotFound),
        (404, 404, NotFound),
        (403, 404, FileRefused),
        (404, 503, ServerFault),
        (503, 404, ServerFault),
        (429, 200, Throttled),
        (200, 404, NotFound),
    ],
)
async def test_of_two_failures_the_one_that_may_pass_is_told(
    own: int, theirs: int, error: type[ApiError]
) -> None:
    here, there = Host(), Host()
    async with http_server(here) as url, http_server(there) as other, client_of(url) as api:
        here.answers["/v3/media/f1"] = web.Response(status=own, text="<html>")
        there.answers["/v3/media/f1"] = web.Response(status=theirs)
        with pytest.raises(ApiError) as caught:
            await fetch(api, f"{other}/v3/media/f1")
    assert type(caught.value) is error
    assert caught.value.is_about_file is (error is not Throttled)


async def test_an_api_that_is_down_is_not_asked_elsewhere() -> None:
    there = Host()
    async with http_server(there) as other, client_of("http://127.0.0.1:9") as api:
        with pytest.raises(TransportError, match="refuses the connection"):
            await fetch(api, f"{other}/v3/media/f1")
    assert there.signed == []


@pytest.mark.parametrize(
    ("base", "link", "signed"),
    [
        ("https://api.nexmo.com", "https://api-eu.vonage.com/x", True),
        ("https://api.nexmo.com/below", "https://rest.nexmo.com/x", True),
        ("https://api.nexmo.com", "https://API.NEXMO.COM:443/x", True),
        ("https://api.nexmo.com", "https://api.nexmo.com.evil.test/x", False),
        ("https://api.nexmo.com", "https://evilnexmo.com/x", False),
        ("https://api.nexmo.com", "https://api.nexmo.com:8443/x", False),
        ("https://api.nexmo.com", "http://api-eu.vonage.com/x", False),
        ("https://gateway.test", "https://api.nexmo.com/x", False),
        ("http://127.0.0.1:80", "https://api.nexmo.com/x", False),
        ("https://gateway.test:8443", "https://gateway.test:8443/x", True),
        ("https://gateway.test:8443", "https://gateway.test/x", False),
    ],
)
def test_who_may_see_the_key(base: str, link: str, signed: bool) -> None:
    assert urls.may_sign(URL(base), URL(link)) is signed


# --- time -----------------------------------------------------------------------------------------


@pytest.mark.virtual
@pytest.mark.parametrize("form", ["headers", "provisional"])
async def test_a_head_that_never_ends_is_not_waited_for(form: str) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(b"" if form == "provisional" else b"HTTP/1.1 200 OK\r\n")
        while not request.transport.is_closing():
            line = b"X-1: x\r\n"
            if form == "provisional":
                line = b"HTTP/1.1 103 Early Hints\r\n" + line + b"\r\n"
            request.transport.write(line)
            await anyio.sleep(1)
        return web.Response()

    async with http_server(answer) as url, client_of(url) as api:
        with pytest.raises(TransportError, match="no answer in time"):
            await fetch(api, f"{url}/f")
        assert anyio.current_time() == pytest.approx(60, abs=2)
        with pytest.raises(TransportError, match="no answer in time"):
            await api.status("r-1")
        assert anyio.current_time() == pytest.approx(120, abs=3)


@pytest.mark.virtual
async def test_the_words_of_a_refusal_that_drip_are_not_waited_for() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=503, headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while True:
            await anyio.sleep(30)
            await response.write(b" ")

    async with http_server(answer) as url, client_of(url) as api:
        with pytest.raises(ServerFault):
            await fetch(api, f"{url}/f")
        assert anyio.current_time() == pytest.approx(60, abs=2)


def slow(total: int, rate: int, *, then: int | None = None) -> Handler:
    """A file of so many bytes at so many a second, with a validator; after an hour `then`."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"ETag": '"1"'})
        response.content_length = total
        await response.prepare(request)
        sent = 0
        for second in range(10**6):
            await anyio.sleep(10)
            piece = 10 * (rate if then is None or second < 360 else then)
            await response.write(bytes(min(piece, total - sent)))
            sent += piece
            if sent >= total or request.transport is None or request.transport.is_closing():
                break
        return response

    return answer


@pytest.mark.virtual
@pytest.mark.parametrize(
    ("server", "within", "ends", "words"),
    [
        pytest.param(
            slow(4_000_000, 1_100), Within(DAY, DAY), 3640, "", id="slow, but there in an hour"
        ),
        pytest.param(
            slow(10**9, 1_100), Within(3 * DAY, DAY), 610, "only 671,000 bytes", id="hopeless"
        ),
        pytest.param(
            slow(10**8, 10**4, then=1),
            Within(3 * DAY, DAY),
            4270,
            "only 610 bytes",
            id="hopeless after an hour",
        ),
        pytest.param(
            slow(10**9, 10**5), Within(DAY, HOUR), 3610, "not whole after 1.0 hours", id="patience"
        ),
        pytest.param(slow(900, 1), Within(HOUR, HOUR), 900, "", id="tiny and slow"),
    ],
)
async def test_a_slow_file_is_waited_for_while_it_can_be_had(
    server: Handler, within: Within, ends: int, words: str
) -> None:
    failure = ""
    async with http_server(server) as url, client_of(url) as api:
        try:
            async with api.download(f"{url}/f", None, within) as download:
                async for _ in download.chunks():
                    pass
        except TransportError as error:
            failure = str(error)
        assert anyio.current_time() == pytest.approx(ends, abs=15)
    assert bool(failure) is bool(words)
    assert words in failure
