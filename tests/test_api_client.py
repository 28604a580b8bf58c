"""The client against small real servers: what it sends, and what each answer becomes."""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from aiohttp import web

from orchestrator.api import VonageReports, open_session
from orchestrator.core.vonage import Status
from orchestrator.errors import (
    ApiError,
    InputError,
    NotFound,
    Rejected,
    ServerFault,
    Throttled,
    Unauthorized,
)
from tests.kit.clients import (
    KEY,
    MINUTE,
    REPORT,
    SECRET,
    SERIES,
    TOKEN,
    WINDOW,
    cancel,
    client_of,
    create,
    every_call,
    list_,
    status,
)
from tests.kit.servers import http_server, raw_server
from tests.kit.virtual_time import VirtualClock


def gzipped(data: bytes, level: int = 9) -> bytes:
    """`data` in gzip, the same at any time, since the names of the tests hold it."""
    return gzip.compress(data, level, mtime=0)


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from orchestrator.core.ports import ReportsApi

pytestmark = [pytest.mark.anyio]


def problem(status: int, name: str, **members: Any) -> web.Response:
    body = {"type": f"https://developer.vonage.com/api-errors#{name}", **members}
    return web.json_response(body, status=status, content_type="application/problem+json")


async def refused(
    call: Callable[[ReportsApi], Awaitable[object]], response: web.Response
) -> ApiError:
    """The error that a call ends in if this is the answer."""

    async def answer(request: web.Request) -> web.Response:
        return response

    async with http_server(answer) as url, client_of(url) as api:
        with pytest.raises(ApiError) as caught:
            await call(api)
    return caught.value


# --- what is sent ---------------------------------------------------------------------------------


async def test_every_call_is_one_request_with_the_key_in_its_own_header() -> None:
    asked: list[tuple[str, str, dict[str, str], str]] = []

    async def answer(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Basic {TOKEN}"
        assert request.headers["Accept-Encoding"] == "identity"
        asked.append(
            (request.method, request.path, dict(request.query), (await request.read()).decode())
        )
        is_list = request.method == "GET" and request.path == "/v2/reports"
        is_look = request.method == "GET" and not is_list
        one = {**REPORT, "request_id": "ri3p58f-1/2?3"} if is_look else REPORT
        return web.json_response({"reports": [REPORT]} if is_list else one)

    noon = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    async with http_server(answer) as url, client_of(url) as api:
        created = await api.create(SERIES, WINDOW, "https://example.com/hook")
        await api.status("ri3p58f-1/2?3")
        listed = await api.list("abcd1234", [Status.PENDING, Status.SUCCESS], noon, noon)
        await api.cancel("r-1")
    assert (created.request_id, created.status) == ("r-1", Status.PENDING)
    assert [report.request_id for report in listed] == ["r-1"]
    body = asked[0][3]
    assert json.loads(body) == {
        **SERIES.body,
        "date_start": "2026-01-01T00:00:00Z",
        "date_end": "2026-02-01T00:00:00Z",
        "callback_url": "https://example.com/hook",
    }
    query = {
        "account_id": "abcd1234",
        "status": "PENDING,SUCCESS",
        "date_from": "2026-03-01T12:00:00Z",
        "date_to": "2026-03-01T12:00:01Z",
    }
    assert asked == [
        ("POST", "/v2/reports", {}, body),
        ("GET", "/v2/reports/ri3p58f-1/2?3", {}, ""),
        ("GET", "/v2/reports", query, ""),
        ("DELETE", "/v2/reports/r-1", {}, ""),
    ]


async def test_a_base_url_with_a_path_keeps_it() -> None:
    paths: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.json_response(REPORT)

    async with http_server(answer) as url, client_of(f"{url}/proxy/") as api:
        await api.status("r-1")
    assert paths == ["/proxy/v2/reports/r-1"]


@pytest.mark.virtual
async def test_the_clock_of_the_server_is_compared_with_ours() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response(
            REPORT, status=500, headers={"Date": "Sun, 01 Mar 2026 12:05:00 GMT"}
        )

    async with http_server(answer) as url, client_of(url) as api:
        assert api.server_ahead == timedelta()
        await anyio.sleep(120)
        with pytest.raises(ServerFault):
            await api.status("r-1")
        assert api.server_ahead == timedelta(minutes=3)


# --- lists ----------------------------------------------------------------------------------------


def entries(number: int) -> list[dict[str, Any]]:
    return [{**REPORT, "request_id": f"r-{n}"} for n in range(number)]


@pytest.mark.parametrize("number", [3, 4000], ids=["read at once", "read in a thread"])
async def test_a_list_gives_the_wanted_reports_and_nothing_that_holds_the_secret(
    number: int,
) -> None:
    listed = [*entries(number), {**REPORT, "request_id": "r-last", "country": SECRET}]

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"reports": listed})

    async with http_server(answer) as url, client_of(url) as api:
        every = await api.list("abcd1234", [Status.PENDING])
        some = await api.list("abcd1234", [Status.PENDING], only={"r-1", "r-2", "r-last", "x"})
    assert [one.request_id for one in every] == [f"r-{n}" for n in range(number)]
    assert [one.request_id for one in some] == ["r-1", "r-2"]


async def test_the_loop_goes_on_while_a_large_list_is_read() -> None:
    body = json.dumps({"reports": entries(30_000)}).encode()
    read_in: list[threading.Thread] = []

    class Ids:
        def __contains__(self, _request_id: object) -> bool:
            read_in.append(threading.current_thread())
            return False

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    async with http_server(answer) as url, client_of(url) as api:
        await api.list("abcd1234", [Status.PENDING], only=Ids())
    assert set(read_in) != {threading.current_thread()}
    assert len(read_in) == 30_000


async def test_a_large_list_that_is_none_is_named_as_a_small_one_is() -> None:
    error = await refused(list_, web.Response(body=b"[" + b"1," * 200_000 + b"1]"))
    assert isinstance(error, ServerFault)
    assert "not a list of reports: JSON, but a list where an object belongs" in str(error)


# --- what is answered -----------------------------------------------------------------------------


@every_call
@pytest.mark.parametrize("status_code", [401, 403])
async def test_a_key_that_is_not_accepted(
    call: Callable[[ReportsApi], Awaitable[object]], status_code: int
) -> None:
    error = await refused(call, problem(status_code, "forbidden", title="No", detail="not yours"))
    assert isinstance(error, Unauthorized)
    assert error.status == status_code
    assert error.problem is not None
    assert error.problem.detail == "not yours"
    assert "key00001" in str(error)


async def test_the_words_of_a_refusal() -> None:
    error = await refused(
        create,
        problem(
            422,
            "invalid-request-parameters",
            title="Invalid",
            detail="The request is invalid",
            invalid_parameters=[{"name": "network", "reason": "unknown"}],
        ),
    )
    assert str(error) == (
        "POST /v2/reports for abcd1234 SMS outbound, 2026-01-01 to 2026-02-01: the API refuses the"
        " request (HTTP 422 Invalid: The request is invalid (network: unknown)); what it names"
        " must change first"
    )
    assert error.call == "POST /v2/reports for abcd1234 SMS outbound, 2026-01-01 to 2026-02-01"


@every_call
@pytest.mark.parametrize(
    ("response", "retry_after"),
    [
        (lambda: web.Response(status=429, headers={"Retry-After": "7"}), timedelta(seconds=7)),
        (lambda: web.Response(status=429, text="<html>slow down"), None),
        (lambda: problem(403, "rate-limit", title="Slow down"), None),
    ],
    ids=["429 with Retry-After", "429 with HTML", "403 by type"],
)
async def test_too_many_requests(
    call: Callable[[ReportsApi], Awaitable[object]],
    response: Callable[[], web.Response],
    retry_after: timedelta | None,
) -> None:
    error = await refused(call, response())
    assert isinstance(error, Throttled)
    assert error.retry_after == retry_after


@every_call
async def test_what_is_not_there(call: Callable[[ReportsApi], Awaitable[object]]) -> None:
    assert isinstance(await refused(call, problem(404, "not-found", title="Gone")), NotFound)


@pytest.mark.parametrize("status_code", [400, 405, 409, 413, 418, 422])
async def test_a_request_that_is_refused(status_code: int) -> None:
    error = await refused(cancel, problem(status_code, "invalid-abort-operation"))
    assert isinstance(error, Rejected)
    assert error.status == status_code
    assert not error.names_a_date


@every_call
@pytest.mark.parametrize("status_code", [500, 502, 503, 504])
async def test_a_server_that_fails(
    call: Callable[[ReportsApi], Awaitable[object]], status_code: int
) -> None:
    response = web.Response(status=status_code, text="<h1>oops</h1>", headers={"Retry-After": "30"})
    error = await refused(call, response)
    assert isinstance(error, ServerFault)
    assert error.retry_after == timedelta(seconds=30)
    assert error.problem is None


@pytest.mark.parametrize("call", [create, status, list_])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>maintenance</html>", "a page of HTML or XML"),
        (b'{"request_id": "r-', "JSON that is cut or broken"),
        (b"[" * 100_000, "JSON that is nested too deeply"),
        (b"", "nothing"),
        (b"[]", "JSON, but a list where an object belongs"),
        (b'{"hello": "world"}', "a JSON object without"),
    ],
    ids=["html", "cut", "deep", "empty", "list", "other object"],
)
async def test_a_success_that_cannot_be_read_is_a_fault_of_the_server(
    call: Callable[[ReportsApi], Awaitable[object]], body: bytes, words: str
) -> None:
    error = await refused(call, web.Response(body=body, content_type="application/json"))
    assert isinstance(error, ServerFault)
    promised = "a list of reports" if call is list_ else "a report"
    assert f"answered something that is not {promised}: {words}" in str(error)


@every_call
async def test_a_redirect_is_not_followed(
    call: Callable[[ReportsApi], Awaitable[object]],
) -> None:
    error = await refused(
        call, web.Response(status=307, headers={"Location": "https://evil.test/v2/reports?x=1"})
    )
    assert isinstance(error, ServerFault)
    assert "redirects to evil.test (HTTP 307)" in str(error)


@pytest.mark.parametrize(
    ("call", "most"), [(status, "1 MiB"), (list_, "32 MiB")], ids=["status", "list"]
)
async def test_an_answer_without_end_is_not_read_to_its_end(
    call: Callable[[ReportsApi], Awaitable[object]], most: str
) -> None:
    sent: list[int] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b"[" * 1024**2)
            sent.append(1)
        return response

    async with http_server(answer) as url, client_of(url) as api:
        with pytest.raises(ServerFault, match=f"answered more than {most}"):
            await call(api)
    assert len(sent) < 50


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_a_created_report_is_known_by_its_id_whatever_else_the_answer_says(
    status: int,
) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        report = {"request_id": "r-1", "receive_time": "soon", "request_status": ["x"]}
        return web.json_response({"report": report}, status=status)

    async with http_server(answer) as url, client_of(url) as api:
        assert (await api.create(SERIES, WINDOW, None)).request_id == "r-1"


@pytest.mark.parametrize(
    ("label", "body"),
    [
        ("gzip", gzipped(json.dumps(REPORT).encode())),
        ("identity, GZIP", gzipped(json.dumps(REPORT).encode())),
        ("", gzipped(json.dumps(REPORT).encode())),
        ("gzip, gzip", gzipped(gzipped(json.dumps(REPORT).encode()))),
        ("deflate", zlib.compress(json.dumps(REPORT).encode())),
        ("deflate", zlib.compress(json.dumps(REPORT).encode(), wbits=-15)),
        ("deflate, gzip", gzipped(zlib.compress(json.dumps(REPORT).encode()))),
        ("gzip", json.dumps(REPORT).encode()),
        ("br", b"  " + json.dumps(REPORT).encode()),
        ("zstd", json.dumps(REPORT).encode()),
        ("aws-chunked", json.dumps(REPORT).encode()),
        ("deflate", json.dumps(REPORT).encode()),
    ],
)
async def test_an_answer_that_comes_encoded_is_read_whatever_its_label(
    label: str, body: bytes
) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, headers={"Content-Encoding": label} if label else {})

    async with http_server(answer) as url, client_of(url) as api:
        assert (await api.status("r-1")).request_id == "r-1"


@pytest.mark.parametrize(
    ("label", "body", "words"),
    [
        ("br", b"\x0b\x02\x80", "is compressed (br), which was not asked for"),
        ("gzip", gzipped(b"{}")[:-8], "its gzip coding is cut off"),
        ("gzip", gzipped(b"{}")[:10] + b"\xff" * 20, "its gzip coding is damaged"),
        ("deflate", b"?" * 20, "its deflate coding is damaged"),
    ],
    ids=["br", "cut", "damaged", "deflate"],
)
async def test_an_answer_that_cannot_be_decoded_is_a_fault_of_the_server(
    label: str, body: bytes, words: str
) -> None:
    error = await refused(status, web.Response(body=body, headers={"Content-Encoding": label}))
    assert isinstance(error, ServerFault)
    assert words in str(error)


async def test_no_bomb_is_unpacked() -> None:
    """A gigabyte of JSON in a megabyte: what is read has the bound of any answer."""
    bomb = gzipped(b'{"a": "' + b"a" * (64 << 20), 1)
    error = await refused(status, web.Response(body=bomb, headers={"Content-Encoding": "gzip"}))
    assert "answered more than 1 MiB" in str(error)


async def test_an_error_whose_body_breaks_off_is_still_that_error() -> None:
    answer = b"HTTP/1.1 429 Slow\r\nRetry-After: 3\r\nContent-Length: 500\r\n\r\n{"
    async with raw_server(answer) as url, client_of(url) as api:
        with pytest.raises(Throttled) as caught:
            await api.status("r-1")
    assert caught.value.retry_after == timedelta(seconds=3)


async def test_a_secret_that_the_server_repeats_is_not_passed_on() -> None:
    error = await refused(
        create, problem(401, "unauthorized", title=f"bad {SECRET}", detail=f"Basic {TOKEN}")
    )
    assert SECRET not in str(error)
    assert TOKEN not in str(error)
    assert "bad ***" in str(error)


# --- where it may be sent -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base_url", "words"),
    [
        ("http://api.nexmo.com", "would send the secret in the clear; write https://…"),
        ("ftp://api.nexmo.com", "is no address on the web"),
        ("api.nexmo.com", "is no address on the web"),
        ("https://user:pw@api.nexmo.com", "api.base_url holds credentials"),
        ("http://[::1", "api.base_url is no address"),
    ],
)
async def test_an_address_that_cannot_be_used_is_refused(base_url: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        async with client_of(base_url):
            pass
    assert words in str(caught.value)
    assert "user:pw" not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "[::1]", "localhost", "api.localhost"])
async def test_plain_http_to_this_machine_is_fine(host: str) -> None:
    async with client_of(f"http://{host}:8080") as api:
        assert api.api_key == "key00001"


async def test_the_session_itself_holds_no_credentials_and_reads_no_environment() -> None:
    async with open_session() as session:
        assert session.auth is None
        assert "Authorization" not in session.headers
        assert not session.trust_env
        VonageReports(session, "https://api.nexmo.com", KEY, MINUTE, VirtualClock())
        assert "Authorization" not in session.headers
