"""The number of open reports that the API takes from one key: learned when it refuses more."""

import math
from datetime import timedelta
from typing import Final

import anyio

from orchestrator.core import vonage
from orchestrator.core.events import RunEvents
from orchestrator.core.slots import SlotPool
from orchestrator.errors import Throttled

_SUSPECT_AFTER: Final = 2
"""Refused creates in a row after which a harmless call shows whether it is the rate."""

_RATE_REFUSAL_SECONDS: Final = 300.0
"""How long after another call was refused a create's refusal counts for the rate as well."""

_MAX_ROUNDS: Final = 16
"""The limit is raised by one at the latest when all its slots were given back so many times."""

PAUSE_INITIAL: Final = 1.0
"""Seconds until the next create where the API refuses them though it has none of ours open."""

PAUSE_MAX: Final = 60.0  # Seconds; the pause doubles up to this


class OpenReportLimit(SlotPool):
    """Limits the open reports of one key to what the API takes, once it has refused more.

    The vendor tells of no such limit. A 429 for a create is taken for the rate at first, and slows
    the key. Where creates are refused again and again while a harmless call is let through, or the
    problem's type says that it is not the rate, the limit is reached: from then on a create waits
    until a report has ended, and its refusal slows nothing else. Where calls that create nothing
    are refused as well, it is the rate after all. The limit is raised by one after as many reports
    have ended as it holds, after twice as many each time that was wrong.

    Args:
        patience: how long creates may be refused, while nothing ends, before the run gives up.

    Attributes:
        most: open reports that the API takes; None: no limit was met.
        gave_up: why no more creates are sent in this run, in words; empty while they are.
    """

    def __init__(
        self, api_key: str, events: RunEvents, patience: timedelta = timedelta.max
    ) -> None:
        super().__init__()
        self.gave_up = ""
        self._patience = patience
        self._refused_since: float | None = None
        self._api_key = api_key
        self._events = events
        self._pausing = 0
        self._refusals = 0
        self._has_probe_passed = False
        self._rate_refused_at = -math.inf
        self._ended = 0
        self._rounds = 1
        self._pause = PAUSE_INITIAL

    @property
    def is_suspect(self) -> bool:
        """Whether a call that creates nothing should show if it is the rate that is too high."""
        has_refused = self._refusals >= _SUSPECT_AFTER
        return self.most is None and has_refused and not self._has_probe_passed

    def probe_passed(self) -> None:
        """Takes note that such a call was let through."""
        self._has_probe_passed = True

    def probe_throttled(self) -> None:
        """A call that creates nothing was refused: others use this key, or the API is slow."""
        self._rate_refused_at = anyio.current_time()
        self._has_probe_passed = False

    def created(self) -> None:
        """Takes note that the API has taken a report."""
        self._refusals = 0
        self._has_probe_passed = False
        self._pause = PAUSE_INITIAL
        self._refused_since = None

    def ended(self) -> None:
        """Takes note that an open report of ours has ended at the API."""
        self._refused_since = None
        if self.most is not None:
            self._ended += 1
            if self._ended >= self._rounds * self.most:
                self.most += 1
                self._ended = 0

    def is_reached(self, refusal: Throttled) -> bool:
        """Whether a create was refused since the limit is reached; False: it was for the rate.

        Called inside the turn of that create, while its slot is still taken.
        """
        self._refusals += 1
        self._lose_patience()
        kind = refusal.problem.type if refusal.problem is not None else ""
        says_so = "#" in kind and not kind.endswith(vonage.RATE_LIMIT_TYPE)
        if not says_so and not self._may_be_reached():
            return False
        before, self.most = self.most, max(1, self.taken - 1)
        if before is None:
            self._events.message(
                "info",
                f"key {self._api_key}: the API takes no more than about {self.most} open reports "
                "at once; the others wait until one has ended",
            )
        elif before > self.most:
            self._rounds = min(_MAX_ROUNDS, 2 * self._rounds)
        self._ended = 0
        return True

    def _may_be_reached(self) -> bool:
        if anyio.current_time() - self._rate_refused_at < _RATE_REFUSAL_SECONDS:
            return False
        return self.most is not None or self._has_probe_passed

    def _lose_patience(self) -> None:
        now = anyio.current_time()
        if self._refused_since is None:
            self._refused_since = now
        refused_for = timedelta(seconds=round(now - self._refused_since))
        if refused_for >= self._patience and not self.gave_up:
            self.gave_up = (
                f"the API has refused every create of key {self._api_key} for {refused_for}"
            )
            self._events.message("error", f"{self.gave_up}; nothing more is asked for in this run")
            self.wake_all()  # they come to their turn to hear that it is over

    async def pause(self) -> None:
        """Waits after a refusal where none of ours is open: nothing tells when there is room."""
        if self.taken or self.gave_up:
            return
        pause, self._pause = self._pause, min(PAUSE_MAX, 2 * self._pause)
        self._pausing += 1
        try:
            await anyio.sleep(pause)
        finally:
            self._pausing -= 1
            self.wake_all()

    @property
    def is_free(self) -> bool:
        """Whether one more report may be created now.

        A report that is found open takes a slot free or not: it has one at the API already.
        """
        if self.gave_up:
            return True  # they come to their turn to hear that it is over
        return not self._pausing and super().is_free
