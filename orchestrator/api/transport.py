"""The connection: how sessions are opened, and what a failure below HTTP means to us."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Final

import aiohttp

import orchestrator
from orchestrator.api.reasons import certificate_words, system_words, tls_words
from orchestrator.errors import TransportError

if TYPE_CHECKING:
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

KEEP_ALIVE_SECONDS: Final = 4
"""How long an idle connection is used again.

Shorter than the 5 s after which the hastiest common servers close it: a create that meets a
connection being closed is a create of which nobody knows whether it happened.
"""

# Not sent, whatever went wrong: the connection was never there, or the address is none.
_SURELY_NOT_SENT: Final = (
    aiohttp.ClientConnectorError,  # refused, unreachable, DNS, TLS, certificate
    aiohttp.ClientConnectorCertificateError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,  # a proxy refused to make the connection
    aiohttp.ServerFingerprintMismatch,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
    UnicodeError,  # a host that is no name: ``a..b``
)

# Their texts hold the URL, whose query may be a signature; the first one's repr holds headers.
_INDISCREET: Final = (
    aiohttp.ClientResponseError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
    aiohttp.RedirectClientError,
)

BELOW_HTTP: Final = (aiohttp.ClientError, OSError, UnicodeError)
"""Every exception by which aiohttp, the sockets and TLS report a failure; timeouts included.

Looking up the address of a host that cannot be one, such as ``a..b``, raises a UnicodeError.
"""


def open_session() -> aiohttp.ClientSession:
    """A session for all calls of all keys; whoever opens it closes it. Needs a running loop.

    It holds no credentials: they are a header of each request. Certificates are always verified.
    Nothing is read from the environment (no ``.netrc``, whose password would go to any host that
    it names, and no ``HTTP_PROXY``), and cookies are not kept. The pool has no limit of its own:
    the gate and the limits bound what is in flight, and a create must not wait in a second queue
    once its intent is written.
    """
    connector = aiohttp.TCPConnector(
        limit=0,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
        socket_factory=_socket_with_keep_alive,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"orchestrator/{orchestrator.__version__}"},
        trust_env=False,
        raise_for_status=False,
    )


async def send_once(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Middleware: a request is sent once.

    aiohttp sends a GET or DELETE (never a POST) again by itself if the connection breaks. That
    would be a second request in one turn of the gate, so the error is put in a wrapping that it
    does not know.
    """
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _SentOnce from error


class _SentOnce(aiohttp.ClientConnectionError):
    """Carries the error of `send_once` as its cause."""


def transport_error(error: BaseException, call: str, *, elsewhere: bool = False) -> TransportError:
    """The error for a failure below HTTP; its cause is set, where that keeps no secret.

    Raise it ``from`` its own ``__cause__``.
    """
    if isinstance(error, _SentOnce) and error.__cause__ is not None:
        error = error.__cause__
    mapped = TransportError(
        f"{call}: {_words(error)}",
        call=call,
        maybe_sent=not isinstance(error, _SURELY_NOT_SENT),
        elsewhere=elsewhere,
    )
    mapped.__cause__ = None if isinstance(error, _INDISCREET) else error
    return mapped


def _words(error: BaseException) -> str:  # noqa: C901, PLR0911, PLR0912 - a table, one row a class
    match error:
        case aiohttp.ClientConnectorCertificateError():
            why = certificate_words(error.certificate_error)
            return (
                f"the certificate of {error.host} is not accepted ({why}); check the address, the"
                " clock and the certificates of this machine"
            )
        case aiohttp.ServerFingerprintMismatch():
            return f"the certificate of {error.host} is not the expected one"
        case aiohttp.ClientConnectorSSLError():
            why = tls_words(error.os_error)
            return f"no TLS connection to {error.host}:{error.port} ({why}); check the address"
        case aiohttp.ClientConnectorDNSError():
            return f"the name {error.host} is not found; check the address and the network"
        case aiohttp.ClientConnectorError(os_error=OSError(errno=errno.ECONNREFUSED)):
            return f"{error.host}:{error.port} refuses the connection; is the server up?"
        case aiohttp.ClientConnectorError():
            why = system_words(error.os_error)
            return f"no connection to {error.host}:{error.port} ({why}); check the network"
        case aiohttp.ConnectionTimeoutError():
            return "no connection in time; check the address and the network"
        case aiohttp.ClientHttpProxyError():
            return f"the proxy does not make the connection (HTTP {error.status})"
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError() | ValueError():
            return "the address is no valid URL"
        case aiohttp.ServerDisconnectedError():
            return "the server closed the connection without an answer"
        case aiohttp.ClientPayloadError():
            return "the answer was cut off"
        case aiohttp.ClientResponseError():
            return "the answer is not HTTP as it should be"
        case TimeoutError():
            return "no answer in time"
        case ConnectionResetError() | BrokenPipeError() | aiohttp.ClientOSError():
            return "the connection broke"
        case _:
            return f"the connection failed ({type(error).__name__})"


def _socket_with_keep_alive(address: aiohttp.AddrInfoType) -> socket.socket:
    # A peer that vanished without a word is noticed by the kernel, during long downloads too.
    family, kind, protocol, _, _ = address
    connection = socket.socket(family, kind, protocol)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return connection
