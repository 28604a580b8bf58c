"""A token bucket: so many at once, and so many a second in the long run."""

from __future__ import annotations


class TokenBucket:
    """Full at first. Where its time comes from, the caller knows.

    Args:
        rate: tokens a second that come in.
        most: tokens that it holds.
        now: seconds of a clock that never goes back.
    """

    __slots__ = ("_filled_at", "_most", "_rate", "_tokens")

    def __init__(self, rate: float, most: float, now: float) -> None:
        self._rate = rate
        self._most = most
        self._tokens = most
        self._filled_at = now

    def take(self, now: float) -> bool:
        """Takes a token; whether there was one."""
        grown = self._tokens + (now - self._filled_at) * self._rate
        self._tokens, self._filled_at = min(self._most, grown), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
