"""Which requests go by a proxy: NO_PROXY as the field writes it, this machine, plain http."""

from __future__ import annotations

import pytest

from orchestrator.core.proxies import Proxies, Proxy

PROXY = Proxy("http://proxy.corp:3128", "HTTPS_PROXY")


@pytest.mark.parametrize(
    ("entry", "host", "is_exempt"),
    [
        ("*", "api.nexmo.com", True),
        ("nexmo.com", "api.nexmo.com", True),
        (".nexmo.com", "api.nexmo.com", True),
        ("*.nexmo.com", "api.nexmo.com", True),
        ("API.Nexmo.com", "api.nexmo.com", True),
        ("api.nexmo.com", "api.nexmo.com.", True),
        ("api.nexmo.com:443", "api.nexmo.com", True),
        ("api.nexmo.com:8443", "api.nexmo.com", False),
        ("mo.com", "api.nexmo.com", False),
        ("", "api.nexmo.com", False),
        (".", "api.nexmo.com", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/eight", "10.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:443", "10.1.2.3", True),
        ("1.2.3", "10.1.2.3", False),
        ("fd00::/8", "[fd00::1]", True),
        ("[fd00::1]:443", "fd00::1", True),
        ("fd00::1", "fd00::1", True),
        ("fd00::1", "fd00::2", False),
    ],
)
def test_entries_of_no_proxy(entry: str, host: str, is_exempt: bool) -> None:
    proxies = Proxies(PROXY, ("other.example", f" {entry} "))
    assert (proxies.towards("https", host, 443) is None) is is_exempt


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "a.localhost", "127.0.0.9", "::1"])
def test_this_machine_is_asked_by_a_proxy_only_if_the_config_says_so(host: str) -> None:
    assert Proxies(PROXY).towards("https", host, None) is None
    assert Proxies(PROXY, for_loopback=True).towards("https", host, None) is PROXY


def test_plain_http_is_for_this_machine_and_goes_by_no_proxy() -> None:
    assert Proxies(PROXY, for_loopback=True).towards("http", "127.0.0.1", 8080) is None


def test_without_a_proxy_there_is_none() -> None:
    assert Proxies().towards("https", "api.nexmo.com", 443) is None
