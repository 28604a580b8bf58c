"""Wall clocks."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


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
