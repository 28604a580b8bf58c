"""A circuit breaker: while the API is down, one caller at a time asks, and ever more rarely."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import anyio

from orchestrator.core.events import RunEvents
from orchestrator.errors import ApiError, ServerFault, TooLarge, TransportError

TRIPS_AFTER: Final = 5
"""Failed calls of a key in a row, of any kind, after which the API counts as down."""

PAUSE_FIRST: Final = timedelta(seconds=5)
"""The pause before the first probe; it doubles from probe to probe."""

PAUSE_LONGEST: Final = timedelta(minutes=5)
"""The longest pause between probes: an API that is back is noticed within it."""


@dataclass(slots=True, eq=False)
class Breaker:
    """Lets requests of a key through while the API answers, and holds them while it does not.

    An answer of any kind but a 5xx shows that it is up. While it is down, one of those who wait
    asks something that costs nothing, with pauses that double from `PAUSE_FIRST` to
    `PAUSE_LONGEST`; once that is answered, everybody goes on. A create is thus never sent into an
    API that is known to be down.
    """

    api_key: str
    # a request that changes nothing; any `ApiError` may come out of it
    probe: Callable[[], Awaitable[object]]
    events: RunEvents  # is told when the API goes down, and when it is back
    patience: timedelta  # how long the run waits for the API
    # why nothing more is asked in this run, in words; empty while there is hope
    gave_up: str = ""
    _failures: int = 0
    _down_since: float | None = None
    _probing: bool = False
    _changed: anyio.Event = field(default_factory=anyio.Event)

    @property
    def is_down(self) -> bool:
        """Whether requests are held at present."""
        return self._down_since is not None

    def record(self, error: BaseException | None) -> None:
        """Takes note of how a request ended; None: it was answered as it should be.

        That a file cannot be had, here or at another host, tells nothing of the API. An answer
        that is too large is one.
        """
        if error is not None and (not isinstance(error, ApiError) or error.is_about_file):
            return
        if not isinstance(error, TransportError | ServerFault) or isinstance(error, TooLarge):
            self._failures = 0
            return
        self._failures += 1
        if self._failures >= TRIPS_AFTER and self._down_since is None:
            self._down_since = anyio.current_time()
            self.events.message(
                "warning",
                f"the API does not answer requests of key {self.api_key} ({error}); waiting "
                "until it does, and asking ever more rarely",
                type="api_unreachable",
                api_key=self.api_key,
            )

    async def wait(self) -> None:
        """Returns once the API is not known to be down.

        Raises:
            TransportError: it has been down for longer than the patience of this run.
        """
        while self.is_down:
            if self.gave_up:
                raise TransportError(self.gave_up, maybe_sent=False)
            if self._probing:
                await self._changed.wait()
                continue
            self._probing = True
            try:
                await self._ask_until_it_answers()
            finally:
                # If the one who asks is cancelled, the next of those who wait takes over.
                self._probing = False
                self._changed.set()
                self._changed = anyio.Event()

    async def _ask_until_it_answers(self) -> None:
        assert self._down_since is not None
        pause = PAUSE_FIRST
        while True:
            await anyio.sleep(pause.total_seconds())
            down = timedelta(seconds=round(anyio.current_time() - self._down_since))
            try:
                await self.probe()
            except (TransportError, ServerFault) as error:
                if down >= self.patience:
                    self.gave_up = f"the API has not answered for {down}: {error}"
                    self.events.message(
                        "error",
                        f"{self.gave_up}; nothing more is asked for with key {self.api_key} in "
                        "this run",
                    )
                    return
                pause = min(2 * pause, PAUSE_LONGEST)
                continue
            except ApiError:
                pass  # refused or throttled, but answered
            self._failures = 0
            self._down_since = None
            self.events.message(
                "info",
                f"the API answers requests of key {self.api_key} again, after {down}",
                type="api_reachable",
                api_key=self.api_key,
                seconds=down.total_seconds(),
            )
            return
