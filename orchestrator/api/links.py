"""Addresses: where the API is, and where its links may lead."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from yarl import URL

from orchestrator.errors import FileRefused, InputError


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

    Args:
        base: of the API.
        at: what it is relative to.
        target: the link.

    Raises:
        FileRefused: it is no http address, or would send a paid file in the clear.
    """

    def refused(why: str) -> FileRefused:
        call = f"GET {path_of(target)}"
        words = f"{call}: the API's link {why}"
        return FileRefused(words, status=None, call=call, elsewhere=True)

    try:
        url = at.join(URL(target.strip())).with_fragment(None)
        _check_host(url)
    except (ValueError, TypeError):
        raise refused("is no address") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise refused("is no address on the web")
    if url.scheme == "http" and not (is_local(base) and is_local(url)):
        raise refused(f"leads to {url.host} without TLS; it is not followed")
    return url.with_user(None)


def no_address(call: str) -> FileRefused:
    """The error for a link whose host or port turns out to be none."""
    return FileRefused(
        f"{call}: the API's link is no address", status=None, call=call, elsewhere=True
    )


def _check_host(url: URL) -> None:
    """Raises ValueError where no name can be looked up, such as ``a..b``."""
    (url.raw_host or "").encode("idna")
    _ = url.host, url.port


def path_of(link: str) -> str:
    """What of a link may be shown: its query may be a signature."""
    try:
        return URL(link).raw_path or "/"
    except ValueError:
        return "the file"


def is_local(url: URL) -> bool:
    """Whether an address is this machine's own."""
    return _is_this_machine(url.host or "")


@lru_cache(maxsize=64)
def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
