"""Tells whether a host name or an address is this machine."""

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit


@lru_cache(maxsize=64)
def is_this_machine(host: str) -> bool:
    """Whether a host name or an address, without brackets, is this machine's own (RFC 6761)."""
    name = host.lower().removesuffix(".")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def is_on_this_machine(url: str) -> bool:
    """Whether an address of the web leads to this machine: there may be a simulator."""
    try:
        return is_this_machine(urlsplit(url).hostname or "")
    except ValueError:
        return False
