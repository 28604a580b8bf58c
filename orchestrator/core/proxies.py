"""Chooses the forward proxy for a request, if there is one."""

import ipaddress
from dataclasses import dataclass

from orchestrator.core.hosts import is_this_machine
from orchestrator.core.settings import Secret


@dataclass(frozen=True, slots=True)
class Proxy:
    """A forward proxy."""

    address: str  # ``http://HOST:PORT`` or ``https://HOST:PORT``, never with credentials
    source: str  # what names it: ``api.proxy``, or a variable of the environment
    # the value of ``Proxy-Authorization``; None: no credentials were given
    authorization: Secret | None = None

    def __str__(self) -> str:
        """Its host and port."""
        return self.address.partition("://")[2]


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxy, and where it is not used. Plain http never is: it goes to this machine only."""

    proxy: Proxy | None = None  # None: every connection is direct
    # entries of ``NO_PROXY``: hosts with their subdomains, networks, ``*``
    exempt: tuple[str, ...] = ()
    for_loopback: bool = False  # whether addresses of this machine are asked through it too

    def towards(self, scheme: str, host: str, port: int | None) -> Proxy | None:
        """The proxy for an address; None: it is connected to directly."""
        host = host.strip("[]").rstrip(".").lower()
        if self.proxy is None or scheme != "https":
            return None
        if not self.for_loopback and is_this_machine(host):
            return None
        if any(_covers(entry.strip().lower(), host, port or 443) for entry in self.exempt):
            return None
        return self.proxy


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _covers(entry: str, host: str, port: int) -> bool:
    """Whether an entry of ``NO_PROXY`` names the host: itself, a domain above it, its network."""
    if entry == "*":
        return True
    address = _ip(host)
    if address is not None and "/" in entry:
        try:
            return address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    name, colon, number = entry.rpartition(":")
    # An IPv6 address has several colons, and stands in brackets where a port follows.
    if colon and number.isdecimal() and (":" not in name or name.endswith("]")):
        if int(number) != port:
            return False
        entry = name
    entry = entry.strip("[]")
    if address is not None:
        return _ip(entry) == address
    entry = entry.removeprefix("*").strip(".")
    return bool(entry) and (host == entry or host.endswith(f".{entry}"))
