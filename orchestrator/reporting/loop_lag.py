"""Measures how late the turns of the event loop come, in memory of constant size."""

import math
from dataclasses import dataclass
from typing import Final

import anyio

INTERVAL_SECONDS: Final = 0.02
"""Seconds between measurements: short enough to see a stall of 50 ms; costs about 1 % of a core."""

WARNING_MS: Final = 50.0
"""Milliseconds that 999 of 1,000 turns stay below on a healthy machine; above it a run warns."""

_FIRST_BUCKET_MS: Final = 0.1
_GROWTH: Final = 1.1
_BUCKETS: Final = 1 + math.ceil(math.log(1e6 / _FIRST_BUCKET_MS) / math.log(_GROWTH))
"""From a tenth of a millisecond to a quarter of an hour, each bucket ends 10 % above the last."""

_MAX_MISSED_BEATS: Final = 30_000
"""Maximum number of missed measurements that are counted for one stall: those of ten minutes."""

_MIN_BEATS: Final = 1_000
"""Measurements that are needed before the slowest of a thousand means something."""


@dataclass(frozen=True, slots=True)
class LoopLag:
    """How late the loop's turns came, in milliseconds; quantiles are at most 10 % too high."""

    beats: int = 0  # how many turns were looked at, missed ones included
    p50_ms: float = 0.0  # half of them came no later
    p999_ms: float = 0.0  # of a thousand, all but one came no later
    max_ms: float = 0.0  # the latest

    @property
    def as_json(self) -> dict[str, float | int]:
        """For `--json`."""
        return {
            "beats": self.beats,
            "stall_p50_ms": round(self.p50_ms, 1),
            "stall_p999_ms": round(self.p999_ms, 1),
            "stall_max_ms": round(self.max_ms, 1),
        }

    @property
    def words(self) -> str:
        """What is to be said of it; empty where all is well, or too little is known."""
        if self.beats < _MIN_BEATS or self.p999_ms <= WARNING_MS:
            return ""
        return (
            f"the event loop stalled: one turn in a thousand came {self.p999_ms:,.0f} ms late or "
            f"more, the worst {self.max_ms:,.0f} ms; requests went out that much later, nothing "
            "else suffers; the machine is short of CPU, or its disk is slow"
        )


class LoopLagMonitor:
    """Measures the loop in which `beat` runs. Lateness is that of a sleep of `interval` seconds.

    A stall hides the beats that it swallows, so they are counted too, each as late as it would
    have come: the quantiles are those of whoever waits for a turn at any moment.
    """

    def __init__(self, interval: float = INTERVAL_SECONDS) -> None:
        self._interval = interval
        self._buckets = [0] * _BUCKETS
        self._beats = 0
        self._max_ms = 0.0

    async def beat(self) -> None:
        """Measures until it is cancelled."""
        while True:
            due = anyio.current_time() + self._interval
            await anyio.sleep(self._interval)
            self.record(anyio.current_time() - due)

    def record(self, late: float) -> None:
        """Notes that a beat came so many seconds late, and those that it swallowed."""
        late = max(0.0, late)
        self._max_ms = max(self._max_ms, late * 1000)
        for _ in range(min(_MAX_MISSED_BEATS, 1 + int(late / self._interval))):
            self._buckets[_bucket(late * 1000)] += 1
            self._beats += 1
            late -= self._interval

    def stalls(self) -> LoopLag:
        """What was seen so far; zeros where nothing was."""
        return LoopLag(self._beats, self._quantile(0.5), self._quantile(0.999), self._max_ms)

    def _quantile(self, share: float) -> float:
        wanted = math.ceil(self._beats * share)
        seen = 0
        for index, number in enumerate(self._buckets):
            seen += number
            if number and seen >= wanted:
                return min(_FIRST_BUCKET_MS * _GROWTH**index, self._max_ms)
        return 0.0


def _bucket(late_ms: float) -> int:
    if late_ms <= _FIRST_BUCKET_MS:
        return 0
    return min(_BUCKETS - 1, math.ceil(math.log(late_ms / _FIRST_BUCKET_MS) / math.log(_GROWTH)))
