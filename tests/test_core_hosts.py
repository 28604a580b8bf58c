"""Which hosts count as this machine: one answer for clocks, proxies, secrets and links."""

from __future__ import annotations

import pytest

from orchestrator.core.hosts import is_on_this_machine


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8080",
        "http://LOCALHOST",
        "http://api.localhost/v2",
        "http://127.0.0.1:1",
        "http://127.9.9.9",
        "http://[::1]:8080",
        "http://localhost.:8080",
    ],
)
def test_these_are(url: str) -> None:
    assert is_on_this_machine(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.nexmo.com",
        "http://localhost.example.com",
        "http://notlocalhost",
        "http://10.0.0.1",
        "http://127.0.0.1.example.com",
        "http://[::1",
        "",
    ],
)
def test_these_are_not(url: str) -> None:
    assert not is_on_this_machine(url)
