"""Fixtures for all tests."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings

from tests.kit.virtual_time import VIRTUAL, VirtualClock

# How long an example takes says more about the machine than about the program.
settings.register_profile("unhurried", settings(), deadline=None)


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("unhurried")
    config.addinivalue_line("markers", "virtual: run an anyio test in virtual time")


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Asyncio, in virtual time for tests marked ``virtual``."""
    return VIRTUAL if request.node.get_closest_marker("virtual") else ("asyncio", {})


@pytest.fixture
def virtual_clock() -> VirtualClock:
    """The wall clock of a test in virtual time."""
    return VirtualClock()
