"""Opens connections to the API, and turns failures below HTTP into `TransportError`."""

import errno
import socket
import ssl
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
from yarl import URL

from orchestrator.api import urls
from orchestrator.api.connection_errors import certificate_words, system_words, tls_words
from orchestrator.core.proxies import Proxies, Proxy
from orchestrator.core.settings import ApiSettings
from orchestrator.errors import TransportError
from orchestrator.version import __version__

KEEP_ALIVE_SECONDS: Final = 4
"""Seconds for which an idle connection is used again.

Less than the 5 s after which common servers close it: of a create on a connection that is being
closed nobody would know whether it happened.
"""

CONNECT_MAX: Final = timedelta(seconds=15)
"""Longest wait for a connection, name look-up and TLS included."""

# The request was surely not sent: there was no connection, or the address is invalid.
_SURELY_NOT_SENT: Final = (
    aiohttp.ClientConnectorError,  # refused, unreachable, DNS, TLS, certificate
    aiohttp.ClientConnectorCertificateError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,  # a proxy refused to make the connection
    aiohttp.ServerFingerprintMismatch,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
    UnicodeError,  # an invalid host name: ``a..b``
)

# Their texts hold the URL, whose query may be a signature; the first one's repr has headers.
_INDISCREET: Final = (
    aiohttp.ClientResponseError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
    aiohttp.RedirectClientError,
)

BELOW_HTTP: Final = (aiohttp.ClientError, OSError, UnicodeError)
"""Every exception by which aiohttp, the sockets and TLS report a failure; timeouts included.

Looking up an invalid host name, such as ``a..b``, raises a UnicodeError.
"""


def open_session(authorities: str = "") -> aiohttp.ClientSession:
    """A session for all calls of all keys; whoever opens it closes it. Needs a running loop.

    It holds no credentials: they are a header of each request. Certificates are always verified.
    aiohttp reads nothing from the environment: no ``.netrc``, whose password would go to any host
    that it names, and no proxy, which each request is given by `through`. Cookies are not kept.
    The pool has no limit of its own: the rate limiter and the slots bound what is in flight, and a
    create must not wait in a second queue once its intent is written.

    Args:
        authorities: certificates in PEM form that are trusted besides the machine's own.
    """
    connector = aiohttp.TCPConnector(
        limit=0,
        ssl=_trusting(authorities),
        keepalive_timeout=KEEP_ALIVE_SECONDS,
        socket_factory=_socket_with_keep_alive,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"orchestrator/{__version__}"},
        trust_env=False,
        raise_for_status=False,
    )


@lru_cache(maxsize=4)
def _trusting(authorities: str) -> ssl.SSLContext:
    # Not `create_default_context`, which writes the keys of every connection to SSLKEYLOGFILE.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    if authorities:
        context.load_verify_locations(cadata=authorities)
        # An authority that another one signed is trusted by itself too, as with curl.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.set_alpn_protocols(("http/1.1",))
    return context


def through(proxy: Proxy | None) -> dict[str, Any]:
    """What a request is given so that it goes by a proxy; nothing where there is none."""
    if proxy is None:
        return {}
    headers = {}
    if proxy.authorization is not None:
        headers["Proxy-Authorization"] = proxy.authorization.reveal()
    return {"proxy": URL(proxy.address), "proxy_headers": headers}


async def send_once(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Middleware: a request is sent once.

    aiohttp sends a GET or DELETE (never a POST) again by itself if the connection breaks. That
    would be a second request in one turn of the rate limiter, so the error is wrapped in one that
    aiohttp does not repeat for.
    """
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _SentOnce from error


class _SentOnce(aiohttp.ClientConnectionError):
    """Carries the error of `send_once` as its cause."""


async def reach(api: ApiSettings, proxies: Proxies) -> Proxy | None:
    """Asks the API's address for anything, without a key: any answer means that it is reachable.

    Returns:
        The proxy through which it was reached; None: directly.

    Raises:
        TransportError: no answer came, in the words of a run.
        InputError: `api.base_url` is no address.
    """
    base = urls.parse_base(api.base_url)
    proxy = urls.proxy_towards(proxies, base)
    timeout = aiohttp.ClientTimeout(
        total=api.timeout.total_seconds(),
        connect=min(api.timeout / 2, CONNECT_MAX).total_seconds(),
    )
    try:
        async with (
            open_session(api.authorities) as session,
            session.head(
                base,
                timeout=timeout,
                allow_redirects=False,
                auto_decompress=False,
                middlewares=(send_once,),
                **through(proxy),
            ),
        ):
            return proxy
    except BELOW_HTTP as error:
        failure = transport_error(error, "HEAD", proxy=proxy)
        raise failure from failure.__cause__


def transport_error(
    error: BaseException, call: str, *, proxy: Proxy | None = None, is_about_file: bool = False
) -> TransportError:
    """The error for a failure below HTTP; its cause is set, where that keeps no secret.

    Raise it ``from`` its own ``__cause__``.

    Args:
        error: what aiohttp raised.
        is_about_file: see `ApiError`.
    """
    if isinstance(error, _SentOnce) and error.__cause__ is not None:
        error = error.__cause__
    mapped = TransportError(
        f"{call}: {_words_of_proxy(error, proxy) or _words(error)}",
        call=call,
        maybe_sent=not isinstance(error, _SURELY_NOT_SENT),
        is_about_file=is_about_file,
    )
    mapped.__cause__ = None if isinstance(error, _INDISCREET) else error
    return mapped


def _words_of_proxy(error: BaseException, proxy: Proxy | None) -> str | None:
    """The words for what a proxy did; None: it was not the proxy."""
    if proxy is None:
        return None
    match error:
        case aiohttp.ClientHttpProxyError(status=407) if proxy.authorization is None:
            return (
                f"the proxy {proxy} asks for a user name and a password (HTTP 407); write them"
                f" into {proxy.source}: http://USER:PASSWORD@HOST:PORT"
            )
        case aiohttp.ClientHttpProxyError(status=407):
            return (
                f"the proxy {proxy} does not accept the user name and the password (HTTP 407);"
                f" check {proxy.source}"
            )
        case aiohttp.ClientHttpProxyError():
            return (
                f"the proxy {proxy} does not make the connection (HTTP {error.status}); let it"
                f" allow this address, or check {proxy.source}"
            )
        case aiohttp.ClientConnectorError() if _is_of(error, proxy):
            return f"the proxy: {_words(error).partition('; ')[0]}; check {proxy.source}"
        case _:
            return None


def _is_of(error: aiohttp.ClientConnectorError, proxy: Proxy) -> bool:
    """Whether the connection to the proxy itself failed, not one that it made for us."""
    url = URL(proxy.address)
    return (error.host, error.port) == (url.raw_host, url.port)


def _hint_at_authority(error: aiohttp.ClientConnectorCertificateError) -> str:
    # 18 to 21: signed by itself, or by an authority that is not known here.
    if getattr(error.certificate_error, "verify_code", 0) not in range(18, 22):
        return ""
    return ", or name the authority that signed it in api.ca_file"


def _words(error: BaseException) -> str:  # noqa: C901, PLR0911, PLR0912 - a table, one row a class
    match error:
        case aiohttp.ClientConnectorCertificateError():
            why = certificate_words(error.certificate_error)
            return (
                f"the certificate of {error.host} is not accepted ({why}); check the address, the"
                f" clock and the certificates of this machine{_hint_at_authority(error)}"
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
    # So the kernel notices a peer that vanished, also during long downloads.
    family, kind, protocol, _, _ = address
    connection = socket.socket(family, kind, protocol)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return connection
