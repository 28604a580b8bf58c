"""The rate limit of one API key."""

from __future__ import annotations


class TokenBucket:
    """So many calls a second of the loop's time; at first, and after a rest, a second's worth.

    Args:
        rate: calls a second; None is no limit.
        now: the loop's time.
    """

    def __init__(self, rate: float | None, now: float) -> None:
        self._rate = rate
        self._capacity = max(1.0, rate or 0.0)
        self._tokens = self._capacity
        self._filled = now

    def take(self, now: float) -> bool:
        """Whether a call may pass now; if so, it is counted."""
        if self._rate is None:
            return True
        self._tokens = min(self._capacity, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        if self._tokens < 1 - 1e-9:
            return False
        self._tokens -= 1
        return True
