"""The simulated world's clock: it starts at a given moment and runs with the event loop."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import anyio


class WorldClock:
    """World time: `speed` times as fast as the loop's own, so a virtual loop moves it too.

    It fits the program's `Clock` port. Read it on the loop's thread only. It shows its start
    until `begin` is called.
    """

    def __init__(self, start: datetime, speed: float = 1.0) -> None:
        if start.tzinfo is None:
            raise ValueError(f"{start!r} has no time zone; the world's clock needs one")
        if speed < 0:
            raise ValueError(f"the world's clock cannot run backwards (speed {speed})")
        self.speed = speed  # world seconds for each second of the loop; 0 stops it
        # called after the clock was set or advanced by hand
        self.listeners: list[Callable[[], None]] = []
        self._base = start.astimezone(UTC)
        self._base_epoch = self._base.timestamp()
        self._origin: float | None = None

    def begin(self) -> None:
        """Starts the clock; a second call changes nothing."""
        if self._origin is None:
            self._origin = anyio.current_time()

    def epoch(self) -> float:
        """Seconds since 1970-01-01T00:00:00Z, with fractions."""
        if self._origin is None:
            return self._base_epoch
        return self._base_epoch + (anyio.current_time() - self._origin) * self.speed

    def now(self) -> datetime:
        """The present moment of the world, aware, in UTC."""
        return datetime.fromtimestamp(self.epoch(), UTC)

    def set(self, moment: datetime) -> None:
        """Sets the clock, which runs on from there. Setting it back is allowed."""
        if self._origin is not None:
            self._origin = anyio.current_time()
        self._base = moment.astimezone(UTC)
        self._base_epoch = self._base.timestamp()
        for listener in self.listeners:
            listener()

    def advance(self, span: timedelta) -> None:
        """Sets the clock forward, or back, by a span."""
        self.set(self.now() + span)

    def loop_seconds_until(self, epoch: float) -> float | None:
        """Seconds of the loop until a moment of the world; None where the clock is stopped."""
        if not self.speed or self._origin is None:
            return None
        return max(0.0, (epoch - self.epoch()) / self.speed)
