"""Reads the address of a forward proxy from its text, which may hold a password."""

import base64
import re
from typing import Final
from urllib.parse import unquote, urlsplit

from orchestrator.config.messages import shown
from orchestrator.config.parsers import InvalidValue
from orchestrator.core.proxies import Proxy
from orchestrator.core.settings import Secret

NO_PROXY: Final = "none"  # What `api.proxy` says to connect directly, whatever the environment says

KEY: Final = "api.proxy"

_FORM: Final = "http://HOST:PORT, with USER:PASSWORD@ before HOST where it asks for them"


def parse_proxy(text: str, source: str) -> Proxy:
    """A proxy from its address; ``http://`` may be left out.

    Raises:
        InvalidValue: it is none. What holds an @ may hold a password and is not shown.
    """
    problem = f"{'this' if '@' in text else shown(text)} is not the address of a proxy"
    if "://" not in text:
        text = f"http://{text}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")
    except ValueError:
        raise InvalidValue(problem, f"write {_FORM}") from None
    if parts.scheme.startswith("socks"):
        raise InvalidValue(
            "a SOCKS proxy is named, and only HTTP proxies are spoken to", f"write {_FORM}"
        )
    at_fault = parts.query or parts.fragment or parts.path.strip("/") or re.search(r"[\s\\]", text)
    if parts.scheme not in ("http", "https") or not host or at_fault:
        raise InvalidValue(problem, f"write {_FORM}")
    where = f"[{host}]" if ":" in host else host
    port = port or (443 if parts.scheme == "https" else 80)
    address = f"{parts.scheme}://{where}:{port}"
    if parts.username is None and parts.password is None:
        return Proxy(address, source)
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    token = base64.b64encode(pair.encode()).decode()
    return Proxy(address, source, Secret(f"Basic {token}"))
