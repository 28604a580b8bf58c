"""One API key at work: its client behind its gate, its retries, what it must leave alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio
import tenacity

from orchestrator.core import policy
from orchestrator.errors import ServerFault, Throttled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from orchestrator.core.model import RetryPolicy, Series
    from orchestrator.core.ports import Gate, Priority, ReportsApi

T = TypeVar("T")


class Desk:
    """Everything that goes to the API under one key goes through its desk.

    Args:
        api: the client of the key.
        gate: the key's turns.
        retry: of requests that change nothing.
        jitter: a random number in [0, 1), for the pauses.
    """

    def __init__(
        self, api: ReportsApi, gate: Gate, retry: RetryPolicy, jitter: Callable[[], float]
    ) -> None:
        self.api = api
        self.gate = gate
        self.retry = retry
        self.jitter = jitter
        self._refused: dict[str | tuple[str, str], str] = {}
        self.unreachable: str = ""

    @property
    def api_key(self) -> str:
        """The key."""
        return self.api.api_key

    # --- what is left alone for this run ------------------------------------------------------

    def refuse_key(self, reason: str) -> None:
        """The API does not accept the key: nothing more with it in this run."""
        self._refused.setdefault("key", reason)

    def refuse_account(self, account_id: str, reason: str) -> None:
        """The key may not ask for this account."""
        self._refused.setdefault(("account", account_id), reason)

    def refuse_series(self, series: Series, reason: str) -> None:
        """The API does not accept what this series asks."""
        self._refused.setdefault(("series", series.key), reason)

    def refusal(self, series: Series) -> str | None:
        """Why nothing of this series may be asked for in this run; None if it may."""
        return (
            self._refused.get("key")
            or self._refused.get(("account", series.account_id))
            or self._refused.get(("series", series.key))
        )

    # --- requests -----------------------------------------------------------------------------

    def retrying(
        self, retry: Callable[[BaseException], bool] = policy.is_retryable
    ) -> tenacity.AsyncRetrying:
        """Attempts with pauses, as the retry policy says; the last error is raised as it is."""
        return tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(retry),
            stop=tenacity.stop_after_attempt(self.retry.attempts),
            wait=self._pause,
            sleep=anyio.sleep,
            reraise=True,
        )

    def _pause(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, ServerFault) else None
        pause = policy.backoff(self.retry, state.attempt_number, self.jitter(), asked)
        return pause.total_seconds()

    async def turn(
        self, request: Callable[[], Awaitable[T]], priority: Priority, order: float = 0.0
    ) -> T:
        """One request at the key's turn; again at its next turns while the API throttles."""
        while True:
            try:
                async with self.gate.turn(priority, order):
                    return await request()
            except Throttled:
                # The gate has slowed the whole key down; waiting for its next turn is the pause.
                continue

    async def ask(self, request: Callable[[], Awaitable[T]], priority: Priority) -> T:
        """A request that changes nothing, retried.

        Raises:
            ApiError: what the last attempt met.
        """
        async for attempt in self.retrying():
            with attempt:
                return await self.turn(request, priority)
        raise AssertionError("unreachable: tenacity raises the last error")
