"""Checks addresses: the base URL of the API, and where links and redirects may lead."""

import re
from typing import Final

from yarl import URL

from orchestrator.core import vonage
from orchestrator.core.hosts import is_this_machine
from orchestrator.core.proxies import Proxies, Proxy
from orchestrator.errors import FileRefused, InputError
from orchestrator.texts import short

_MEDIA: Final = re.compile(
    r"(?:[^?#]*/)?(" + vonage.MEDIA_PATH + r"/(?!\.{1,2}/?$)[^/?#\s]+)/?(\?[^#]*)?(?:#.*)?",
    re.DOTALL,
)
"""A link to the media endpoint, at whatever host and below whatever path."""

_ENCODED: Final = re.compile(r"(?![^?#]*/\.{1,2}(?:[/?#]|$))[!#-;=?-\[\]_a-z~]*")
"""Nothing that would have to be quoted or resolved in an address."""

_HTTPS_PORT: Final = 443


def parse_base(base_url: str) -> URL:
    """The address that the config gives.

    Raises:
        InputError: it is none, holds credentials, or would send the secret in the clear.
    """
    try:
        url = URL(base_url)
        _check_host(url)
    except ValueError:
        raise InputError("api.base_url is no address; write https://…") from None
    if url.user is not None or url.password is not None:
        raise InputError("api.base_url holds credentials; give them under `credentials` instead")
    if url.scheme not in {"http", "https"} or not url.host:
        raise InputError(f"api.base_url: {base_url!r} is no address on the web; write https://…")
    if url.scheme == "http" and not is_local(url):
        raise InputError(
            f"api.base_url: {base_url!r} would send the secret in the clear; write https://…"
        )
    return url


def follow(base: URL, at: URL, target: str) -> URL:
    """Where a link or a redirect leads, if we go there.

    Raises:
        FileRefused: it is no http address, or would send a paid file in the clear.
    """
    try:
        text = target.strip()
        # What is written as addresses are is sent byte by byte: a signature may be over it.
        url = at.join(URL(text, encoded=_ENCODED.fullmatch(text) is not None)).with_fragment(None)
        _check_host(url)
        url = url.with_host(url.host.lower()) if url.host else url
    except (ValueError, TypeError):
        raise link_refused(f"GET {path_of(target)}", "is no address") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise link_refused(f"GET {path_of(target)}", "is no address on the web")
    if url.scheme == "http" and not (is_local(base) and is_local(url)):
        why = f"leads to {short(url.host)} without TLS; it is not followed"
        raise link_refused(f"GET {path_of(target)}", why)
    return url.with_user(None)


def at_base(base: URL, link: str) -> str | None:
    """The address at the API itself of the file to which a link leads; None: not that kind of link.

    Found in the text, so that a link whose host is none has one, too.
    """
    match = _MEDIA.fullmatch(link.strip())
    if match is None:
        return None
    path, query = match.groups()
    return f"{str(base.with_query(None)).rstrip('/')}/{path}{query or ''}"


def is_same(base: URL, own: str, link: str) -> bool:
    """Whether a link leads to this address anyway."""
    if own == link:
        return True
    try:
        return follow(base, base, link) == follow(base, base, own)
    except FileRefused:
        return False


def may_sign(base: URL, url: URL) -> bool:
    """Whether key and secret may go to an address: the API's own, or another of the vendor's.

    The latter only where the API is at the vendor's itself, as with the vendor's own SDK.
    """
    return url.origin() == base.origin() or (_is_vendor(base) and _is_vendor(url))


def _is_vendor(url: URL) -> bool:
    host = (url.raw_host or "").lower()
    return url.scheme == "https" and url.port == _HTTPS_PORT and host.endswith(vonage.HOST_SUFFIXES)


def link_refused(call: str, why: str) -> FileRefused:
    """The error for a link that is not followed."""
    return FileRefused(f"{call}: the API's link {why}", status=None, call=call, is_about_file=True)


def _check_host(url: URL) -> None:
    """Raises ValueError where no name can be looked up, such as ``a..b``."""
    (url.raw_host or "").encode("idna")
    _ = url.host, url.port


def path_of(link: str) -> str:
    """What of a link may be shown: its query may be a signature."""
    try:
        return short(URL(link).raw_path or "/")
    except ValueError:
        return "the file"


def proxy_towards(proxies: Proxies, url: URL) -> Proxy | None:
    """The proxy by which an address is asked; None: none."""
    return proxies.towards(url.scheme, url.raw_host or "", url.port)


def is_local(url: URL) -> bool:
    """Whether an address is this machine's own."""
    return is_this_machine(url.host or "")
