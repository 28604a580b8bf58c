"""Going on with a broken download: asked for only with proof, taken only with proof."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from multidict import CIMultiDict

from orchestrator.api import ranges
from orchestrator.core.ports import Resume
from orchestrator.errors import ServerFault, TransportError
from tests.kit.clients import client_of
from tests.kit.servers import http_server

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = bytes(range(256)) * 40
ETAG = '"v1"'
REST = Resume(offset=1000, length=len(FILE), validator=ETAG)
DATE = "Sun, 01 Mar 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"ETag": '"abc"'}, '"abc"'),
        ({"ETag": ' "abc" '}, '"abc"'),
        ({"ETag": '""'}, '""'),
        ({"ETag": 'W/"abc"'}, None),
        ({"ETag": "abc"}, None),
        ({"ETag": '"a"b"'}, None),
        ({"ETag": '"ünsound"'}, None),
        ({"ETag": 'W/"abc"', "Last-Modified": "Sun, 01 Mar 2020 11:59:00 GMT", "Date": DATE}, None),
        ({"Last-Modified": "Sun, 01 Mar 2026 11:59:00 GMT"}, None),
        (
            {"Last-Modified": "Sun, 01 Mar 2026 11:59:00 GMT", "Date": DATE},
            "Sun, 01 Mar 2026 11:59:00 GMT",
        ),
        ({"Last-Modified": "Sun, 01 Mar 2026 11:59:01 GMT", "Date": DATE}, None),
        ({"Last-Modified": "yesterday", "Date": DATE}, None),
        ({"Last-Modified": "Sun, 01 Mar 2020 11:59:00 GMT", "Date": "today"}, None),
    ],
)
def test_only_a_strong_validator_is_a_proof(
    headers: Mapping[str, str], expected: str | None
) -> None:
    assert ranges.validator(CIMultiDict(headers)) == expected


def good(**changes: str) -> CIMultiDict[str]:
    headers = CIMultiDict(
        {
            "ETag": ETAG,
            "Content-Range": f"bytes 1000-{len(FILE) - 1}/{len(FILE)}",
            "Content-Length": str(len(FILE) - 1000),
        }
    )
    headers.update({name.replace("_", "-"): value for name, value in changes.items()})
    return headers


REFUSES = "the server refuses to go on at byte 1,000 (HTTP 416)"
OTHER_FILE = "the server goes on with a file that it does not show to be the same"
OTHER_PART = "the server sends another part of the file than was asked for"


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (206, good(), ""),
        (206, good(Content_Range=f"Bytes 1000-{len(FILE) - 1}/{len(FILE)}"), ""),
        (416, good(), REFUSES),
        (206, good(ETag='"v2"'), OTHER_FILE),
        (206, good(ETag='W/"v1"'), OTHER_FILE),
        (206, good(ETag=""), OTHER_FILE),
        (206, good(Content_Range=f"bytes 999-{len(FILE) - 1}/{len(FILE)}"), OTHER_PART),
        (206, good(Content_Range=f"bytes 1000-{len(FILE) - 2}/{len(FILE)}"), OTHER_PART),
        (206, good(Content_Range=f"bytes 1000-{len(FILE) - 1}/{len(FILE) + 1}"), OTHER_PART),
        (206, good(Content_Range=f"bytes 1000-{len(FILE) - 1}/*"), OTHER_PART),
        (206, good(Content_Range=""), OTHER_PART),
        (206, good(Content_Range="bytes " + "9" * 5000), OTHER_PART),
        (206, good(Content_Length="7"), OTHER_PART),
    ],
)
def test_the_rest_is_taken_only_if_it_surely_is_the_rest(
    status: int, headers: CIMultiDict[str], words: str
) -> None:
    assert ranges.partial_response_problem(status, headers, REST) == words


class Server:
    """Answers with one head, and remembers what was asked."""

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.answer = (status, body, headers)
        self.asked: list[tuple[str | None, str | None]] = []

    async def __call__(self, request: web.Request) -> web.Response:
        self.asked.append((request.headers.get("Range"), request.headers.get("If-Range")))
        status, body, headers = self.answer
        return web.Response(status=status, body=body, headers=headers)


@pytest.mark.anyio
async def test_a_first_download_asks_for_nothing_special_and_keeps_the_validator() -> None:
    server = Server(200, FILE, {"ETag": ETAG})
    async with http_server(server) as url, client_of(url) as api, api.download(url) as download:
        assert (download.start, download.length, download.validator) == (0, len(FILE), ETAG)
        assert b"".join([piece async for piece in download.chunks()]) == FILE
    assert server.asked == [(None, None)]


@pytest.mark.anyio
async def test_the_rest_is_asked_for_and_comes() -> None:
    server = Server(
        206, FILE[1000:], {name: value for name, value in good().items() if "L" not in name}
    )
    async with (
        http_server(server) as url,
        client_of(url) as api,
        api.download(url, REST) as download,
    ):
        assert Resume(download.start, download.length or 0, download.validator or "") == REST
        assert b"".join([piece async for piece in download.chunks()]) == FILE[1000:]
    assert server.asked == [("bytes=1000-", ETAG)]


@pytest.mark.anyio
async def test_a_server_that_sends_the_whole_file_is_believed() -> None:
    server = Server(200, FILE, {})
    async with (
        http_server(server) as url,
        client_of(url) as api,
        api.download(url, REST) as download,
    ):
        assert (download.start, download.length, download.validator) == (0, len(FILE), None)
        assert b"".join([piece async for piece in download.chunks()]) == FILE


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (416, {}, REFUSES),
        (
            206,
            {"ETag": '"v2"', "Content-Range": f"bytes 1000-{len(FILE) - 1}/{len(FILE)}"},
            OTHER_FILE,
        ),
        (206, {"ETag": ETAG, "Content-Range": f"bytes 0-{len(FILE) - 1}/{len(FILE)}"}, OTHER_PART),
        (206, {"ETag": ETAG, "Content-Type": "multipart/byteranges; boundary=x"}, OTHER_PART),
    ],
)
async def test_what_is_of_no_use_breaks_before_a_byte_of_it_is_taken(
    status: int, headers: Mapping[str, str], words: str
) -> None:
    async with (
        http_server(Server(status, FILE[1000:], headers)) as url,
        client_of(url) as api,
        api.download(f"{url}/f", REST) as download,
    ):
        assert (download.start, download.length, download.validator) == (0, None, None)
        with pytest.raises(TransportError) as caught:
            await anext(download.chunks())
    assert str(caught.value) == f"GET /f: {words}; the file is fetched from its beginning"


@pytest.mark.anyio
async def test_a_part_that_nobody_asked_for_is_no_file() -> None:
    async with http_server(Server(206, FILE, {"ETag": ETAG})) as url, client_of(url) as api:
        with pytest.raises(ServerFault, match="answered HTTP 206 instead of the file"):
            async with api.download(url):
                pass


@pytest.mark.anyio
async def test_the_question_goes_along_with_redirects() -> None:
    asked: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.headers.get("Range"))
        if request.path == "/a":
            return web.Response(status=302, headers={"Location": "/b"})
        return web.Response(status=206, body=FILE[1000:], headers={
            "ETag": ETAG, "Content-Range": f"bytes 1000-{len(FILE) - 1}/{len(FILE)}"
        })  # fmt: skip

    async with (
        http_server(answer) as url,
        client_of(url) as api,
        api.download(f"{url}/a", REST) as download,
    ):
        assert download.start == 1000
    assert asked == ["bytes=1000-", "bytes=1000-"]
