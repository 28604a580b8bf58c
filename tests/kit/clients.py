"""Clients of the API for tests that look at single requests and answers."""

from __future__ import annotations

import base64
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from orchestrator.api import VonageReports, open_session
from orchestrator.core.intervals import Window
from orchestrator.core.model import Series
from orchestrator.core.settings import Credentials, Secret
from orchestrator.core.vonage import Status
from tests.kit.virtual_time import VirtualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from orchestrator.core.ports import ReportsApi

SECRET = "Zx9-top-secret"
KEY = Credentials("default", "key00001", Secret(SECRET))
TOKEN = base64.b64encode(f"key00001:{SECRET}".encode()).decode()
SERIES = Series.of("abcd1234", "SMS", "outbound")
WINDOW = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
MINUTE = timedelta(minutes=1)
REPORT = {"request_id": "r-1", "request_status": "PENDING", "account_id": "abcd1234"}
"""A report object as it comes over the wire."""


@asynccontextmanager
async def client_of(base_url: str) -> AsyncIterator[VonageReports]:
    """A client with a session of its own and a timeout of one minute."""
    async with open_session() as session:
        yield VonageReports(session, base_url, KEY, MINUTE, VirtualClock())


async def create(api: ReportsApi) -> object:
    return await api.create(SERIES, WINDOW, None)


async def status(api: ReportsApi) -> object:
    return await api.status("r-1")


async def list_(api: ReportsApi) -> object:
    return await api.list("abcd1234", [Status.PENDING])


async def cancel(api: ReportsApi) -> object:
    return await api.cancel("r-1")


every_call = pytest.mark.parametrize(
    "call", [create, status, list_, cancel], ids=["create", "status", "list", "cancel"]
)
"""Runs a test once for each JSON call of the API, as its argument `call`."""
