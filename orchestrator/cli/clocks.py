"""Wall clocks, and whose the API goes by."""

from __future__ import annotations

import ipaddress
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present moment, in UTC."""
        return datetime.now(UTC)


class ShiftedClock:
    """A clock that began at a given moment and runs like the machine's (for `--now`)."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._begun = time.monotonic()

    def now(self) -> datetime:
        """The present moment, in UTC."""
        return self._start + timedelta(seconds=time.monotonic() - self._begun)


def is_on_this_machine(base_url: str) -> bool:
    """Whether an API is on this machine: then it may be a simulator, with a time of its own."""
    host = urlsplit(base_url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
