"""Failures below HTTP: each exception of aiohttp has its place, and none tells a secret."""

from __future__ import annotations

import errno
import os
import ssl
import traceback
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import client_exceptions

from orchestrator.api.transport import BELOW_HTTP, transport_error
from orchestrator.errors import TransportError

PEER: Any = SimpleNamespace(host="api.test", port=443, ssl=True, is_ssl=True)
REQUEST: Any = SimpleNamespace(real_url="https://api.test/f?sig=hush", headers={"A": "hush"})
URL = "https://api.test/f?sig=hush"


def refused() -> OSError:
    return OSError(errno.ECONNREFUSED, "Connection refused")


def response_error(kind: type[aiohttp.ClientResponseError]) -> aiohttp.ClientResponseError:
    return kind(REQUEST, (), status=400, message="hush")


UNKNOWN, UNSENT = True, False
UploadAbortedError = getattr(client_exceptions, "UploadAbortedError", aiohttp.ClientError)  # newer

ROWS: list[tuple[BaseException, bool, str]] = [
    (aiohttp.ClientError(), UNKNOWN, "the connection failed (ClientError)"),
    (aiohttp.ClientConnectionError(), UNKNOWN, "the connection failed (ClientConnectionError)"),
    (aiohttp.ClientConnectionResetError(), UNKNOWN, "the connection broke"),
    (aiohttp.ClientOSError(errno.EPIPE, "pipe"), UNKNOWN, "the connection broke"),
    (
        aiohttp.ClientConnectorError(PEER, refused()),
        UNSENT,
        "api.test:443 refuses the connection; is the server up?",
    ),
    (
        aiohttp.ClientConnectorDNSError(PEER, OSError(None, "no such name")),
        UNSENT,
        "the name api.test is not found; check the address and the network",
    ),
    (
        aiohttp.ClientProxyConnectionError(PEER, OSError(errno.ENETUNREACH, "no network")),
        UNSENT,
        f"no connection to api.test:443 ({os.strerror(errno.ENETUNREACH)}); check the network",
    ),
    (
        client_exceptions.UnixClientConnectorError("/s", PEER, refused()),
        UNSENT,
        "api.test:443 refuses the connection; is the server up?",
    ),
    (
        aiohttp.ClientSSLError(PEER, OSError(errno.EHOSTDOWN, "odd")),
        UNSENT,
        f"no connection to api.test:443 ({os.strerror(errno.EHOSTDOWN)}); check the network",
    ),
    (
        aiohttp.ClientConnectorSSLError(PEER, ssl.SSLError(1, "wrong version")),
        UNSENT,
        "no TLS connection to api.test:443 (it was refused); check the address",
    ),
    (
        aiohttp.ClientConnectorCertificateError(PEER, ssl.SSLCertVerificationError()),
        UNSENT,
        (
            "the certificate of api.test is not accepted (it cannot be verified); check the"
            " address, the clock and the certificates of this machine"
        ),
    ),
    (
        aiohttp.ServerFingerprintMismatch(b"a", b"b", "api.test", 443),
        UNSENT,
        "the certificate of api.test is not the expected one",
    ),
    (
        aiohttp.ConnectionTimeoutError(f"Connection timeout to host {URL}"),
        UNSENT,
        "no connection in time; check the address and the network",
    ),
    (aiohttp.ServerConnectionError(), UNKNOWN, "the connection failed (ServerConnectionError)"),
    (aiohttp.ServerTimeoutError(), UNKNOWN, "no answer in time"),
    (aiohttp.SocketTimeoutError(), UNKNOWN, "no answer in time"),
    (
        aiohttp.ServerDisconnectedError(),
        UNKNOWN,
        "the server closed the connection without an answer",
    ),
    (aiohttp.ClientPayloadError("hush"), UNKNOWN, "the answer was cut off"),
    (
        response_error(aiohttp.ClientResponseError),
        UNKNOWN,
        "the answer is not HTTP as it should be",
    ),
    (response_error(aiohttp.ContentTypeError), UNKNOWN, "the answer is not HTTP as it should be"),
    (response_error(aiohttp.TooManyRedirects), UNKNOWN, "the answer is not HTTP as it should be"),
    (
        response_error(aiohttp.WSServerHandshakeError),
        UNKNOWN,
        "the answer is not HTTP as it should be",
    ),
    (
        response_error(aiohttp.ClientHttpProxyError),
        UNSENT,
        "the proxy does not make the connection (HTTP 400)",
    ),
    (aiohttp.InvalidURL(URL), UNSENT, "the address is no valid URL"),
    (aiohttp.InvalidUrlClientError(URL), UNSENT, "the address is no valid URL"),
    (aiohttp.InvalidUrlRedirectClientError(URL), UNSENT, "the address is no valid URL"),
    (aiohttp.NonHttpUrlClientError(URL), UNSENT, "the address is no valid URL"),
    (aiohttp.NonHttpUrlRedirectClientError(URL), UNSENT, "the address is no valid URL"),
    (aiohttp.RedirectClientError(URL), UNKNOWN, "the connection failed (RedirectClientError)"),
    (UploadAbortedError(), UNKNOWN, f"the connection failed ({UploadAbortedError.__name__})"),
    (TimeoutError(), UNKNOWN, "no answer in time"),
    (ConnectionResetError(), UNKNOWN, "the connection broke"),
    (BrokenPipeError(), UNKNOWN, "the connection broke"),
    (ssl.SSLError(1, "bad record"), UNKNOWN, "the connection failed (SSLError)"),
    (OSError(errno.ENETDOWN, "down"), UNKNOWN, "the connection failed (OSError)"),
]


def of_aiohttp(kind: type[BaseException]) -> set[type[BaseException]]:
    return {kind}.union(*map(of_aiohttp, kind.__subclasses__()))


@pytest.mark.parametrize(
    ("error", "maybe_sent", "words"), ROWS, ids=[type(row[0]).__name__ for row in ROWS]
)
def test_each_failure_says_what_happened_and_whether_the_request_may_have_been_heard(
    error: BaseException, maybe_sent: bool, words: str
) -> None:
    mapped = transport_error(error, "GET /v2/reports/r-1")
    assert isinstance(error, BELOW_HTTP)
    assert mapped.maybe_sent is maybe_sent
    assert str(mapped) == f"GET /v2/reports/r-1: {words}"
    assert mapped.call == "GET /v2/reports/r-1"


@pytest.mark.parametrize(
    "error", [row[0] for row in ROWS], ids=[type(row[0]).__name__ for row in ROWS]
)
def test_no_traceback_tells_what_the_request_held(error: BaseException) -> None:
    def fail() -> None:
        try:
            raise error
        except BELOW_HTTP as caught:
            mapped = transport_error(caught, "GET x")
            raise mapped from mapped.__cause__

    with pytest.raises(TransportError) as failure:
        fail()
    shown = "".join(traceback.format_exception(failure.value))
    assert "sig=hush" not in shown
    assert "hush" not in repr(failure.value)


@pytest.mark.parametrize(
    "kind",
    sorted(
        (kind for kind in of_aiohttp(aiohttp.ClientError) if kind.__module__.startswith("aiohttp")),
        key=str,
    ),
)
def test_every_exception_of_aiohttps_client_has_a_row(kind: type[BaseException]) -> None:
    assert kind in {type(row[0]) for row in ROWS}
