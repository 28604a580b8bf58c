"""One API key at work: its client behind its rate limiter, its retries, what it leaves alone."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final, TypeVar

import anyio
import tenacity

from orchestrator.core import policy
from orchestrator.core.echo import EchoDifference
from orchestrator.core.events import Level, RunEvents
from orchestrator.core.local_dates import chunk_text
from orchestrator.core.model import Report, Series
from orchestrator.core.policy import Scope
from orchestrator.core.ports import Priority, RateLimiter, ReportsApi
from orchestrator.core.settings import RetryPolicy
from orchestrator.core.slots import Slot
from orchestrator.core.vonage import Status
from orchestrator.engine.breaker import Breaker
from orchestrator.engine.drain import Drain
from orchestrator.engine.open_report_limit import OpenReportLimit
from orchestrator.errors import ApiError, NotFound, ServerFault, Throttled, TransportError

T = TypeVar("T")

_MESSAGE_FROM: Final = timedelta(minutes=1)
"""A wait of a whole key from which on a message tells of it."""

_NOBODY: Final = "00000000-0000-0000-0000-000000000000"  # The id of no report

_DATELESS: Final = 3
"""Answers of a gateway without a ``Date`` after which the API's time counts as unknown."""


class KeySession:
    """Sends everything that goes to the API under one key: turns, retries, what is left alone.

    Args:
        jitter: a random number in [0, 1), for the pauses.
        patience: how long one run waits for an API that is down.
    """

    def __init__(
        self,
        api: ReportsApi,
        rate_limiter: RateLimiter,
        retry: RetryPolicy,
        *,
        jitter: Callable[[], float],
        events: RunEvents,
        patience: timedelta,
    ) -> None:
        self.api = api
        self.api_key = api.api_key
        self.rate_limiter = rate_limiter
        self.breaker = Breaker(api.api_key, self._probe, events, patience)
        self.open_report_limit = OpenReportLimit(api.api_key, events, patience)
        self.patience = patience
        self._events = events
        self._throttled_since: float | None = None
        self._asking_time = anyio.Lock()
        self._dateless = 0
        self.retry = retry
        self.jitter = jitter
        self.drain: Drain | None = None
        self._told_to_wait = ""
        self._waits_until = -math.inf
        self._refused: dict[str | tuple[str, str], str] = {}
        self._doubted: dict[str, str] = {}
        self._slips: set[tuple[str, EchoDifference]] = set()
        self._goes_on: set[str] = set()

    @property
    def unreachable(self) -> str:
        """Why nothing more can be bought in this run, in words; empty while it can."""
        return self.silent or self.open_report_limit.gave_up

    @property
    def silent(self) -> str:
        """Why no call of any kind is answered in this run, in words; empty while some may be."""
        return self._told_to_wait or self.breaker.gave_up

    def is_too_long(self, wait: timedelta, since: float | None = None) -> bool:
        """Whether a wait from now on would outlast what this run waits, or its deadline.

        Args:
            since: when it was begun to wait, by the loop's clock; None: now.
        """
        now = anyio.current_time()
        until = now + wait.total_seconds()
        began = now if since is None else since
        ends_at = math.inf if self.drain is None else self.drain.ends_at
        return until - began > self.patience.total_seconds() or until > ends_at

    def may_not_see(self, report: Report) -> str:
        """Why a report that this key does not find may be there all the same; empty: it is not.

        Nobody says which reports of one key another key sees.
        """
        if self.api_key == report.api_key:
            return ""
        return (
            f"report {report.request_id or report.id} ({chunk_text(report)}) was "
            f"bought with key {report.api_key}, and key {self.api_key} may not see it: use the "
            f"credentials of {report.api_key} in a job again"
        )

    # --- what is left alone for this run ------------------------------------------------------

    def refuse(self, series: Series, scope: Scope, reason: str) -> None:
        """The API has refused a series, its account or the key: left for this run, and told once.

        Several requests may hear it at the same time.
        """
        level: Level = "error" if self.lasting_refusal(series) is None else "debug"
        key: str | tuple[str, str]
        match scope:
            case Scope.KEY:
                key, name = "key", f"key {self.api_key}"
            case Scope.ACCOUNT:
                key, name = ("account", series.account_id), f"account {series.account_id}"
            case Scope.SERIES:
                key, name = ("series", series.key), str(series)
        self._refused.setdefault(key, reason)
        self._events.message(
            level,
            f"{name}: refused by the API, nothing more of it in this run: {reason}",
            type="refused",
            what=scope.value,
            name=name,
            reason=reason,
        )

    def leave_series(self, series: Series, reason: str) -> None:
        """Nothing more of a series in this run; told by whoever decided it."""
        self._refused.setdefault(("series", series.key), reason)

    def doubt_series(self, series: Series, reason: str) -> None:
        """The API's answer is not what was asked for: nothing more of it until a file tells."""
        self._doubted.setdefault(series.key, reason)

    def is_known_slip(self, series: Series, difference: EchoDifference) -> bool:
        """Whether a file has shown that the API only says so."""
        return (series.key, difference) in self._slips

    def trust_series(self, series: Series, differences: Iterable[EchoDifference]) -> None:
        """A file has shown that these differences are slips: its series may go on."""
        self._slips.update((series.key, difference) for difference in differences)
        if self._doubted.pop(series.key, None) is not None:
            self._goes_on.add(series.key)

    def has_come_back(self, series: Series) -> bool:
        """Whether a series that was doubted may go on; said once."""
        if series.key in self._goes_on:
            self._goes_on.discard(series.key)
            return True
        return False

    def refusal(self, series: Series) -> str | None:
        """Why nothing of this series may be asked for in this run; None if it may."""
        return self._doubted.get(series.key) or self.lasting_refusal(series)

    def lasting_refusal(self, series: Series) -> str | None:
        """Why the API refuses this series, its account or the key; a doubt of ours is none."""
        return (
            self._refused.get("key")
            or self._refused.get(("account", series.account_id))
            or self._refused.get(("series", series.key))
        )

    # --- requests -----------------------------------------------------------------------------

    def _is_enough(self, state: tenacity.RetryCallState) -> bool:
        """Whether it was tried often enough, or the server asks for too long a pause."""
        asked = _asked(state)
        if asked is not None and self.is_too_long(asked + timedelta(seconds=state.idle_for)):
            return True
        return state.attempt_number >= self.retry.attempts

    def _pause(self, state: tenacity.RetryCallState) -> float:
        pause = policy.backoff(self.retry, state.attempt_number, self.jitter(), _asked(state))
        return pause.total_seconds()

    @asynccontextmanager
    async def admitted(
        self, priority: Priority, order: float = 0.0, slot: Slot | None = None
    ) -> AsyncIterator[None]:
        """The key's turn, at an API that is not known to be down.

        Rate limiter and breaker note an error that passes through; the breaker must be told of one
        that is caught inside.
        """
        while True:
            await self.breaker.wait()
            async with self.rate_limiter.turn(priority, order, slot):
                if self.breaker.is_down:
                    continue
                try:
                    yield
                except ApiError as error:
                    self._heed(error)
                    self.breaker.record(error)
                    raise
                return

    async def tell_limit_from_rate(self) -> None:
        """After creates were refused again and again: shows whether it is the rate, if asked."""
        if not self.open_report_limit.is_suspect:
            return
        try:
            await self._ask_for_nothing()
        except Throttled:
            self.open_report_limit.probe_throttled()
        except NotFound:  # the usual answer
            self.open_report_limit.probe_passed()
        except ApiError:
            pass
        else:
            self.open_report_limit.probe_passed()

    async def time_is_known(self) -> bool:
        """Whether the API's clock can be reckoned with; asks for it where no answer has told it.

        One call that costs nothing. Where answers carry no time, ours has to do: true as well.
        """
        return await self._asked_until(self._knows_time)

    def _knows_time(self) -> bool:
        return self.api.server_now() is not None or self._dateless >= _DATELESS

    async def has_reached(self, moment: datetime) -> bool:
        """Whether the API's clock has; asked anew where it seems not so: ours may have been set."""
        return await self._asked_until(
            lambda: (now := self.api.server_now()) is None or now >= moment
        )

    async def _asked_until(self, is_known: Callable[[], bool]) -> bool:
        """Whether something is known of the API's time, by one call for it where it is not yet."""
        if not is_known():
            async with self._asking_time:
                if not is_known():
                    await self._ask_time()
        return is_known()

    async def _ask_for_nothing(self) -> None:
        """One call that costs nothing, at the key's very next turn."""
        async with self.admitted(Priority.SUBMIT, -math.inf):
            await self.api.status(_NOBODY)

    async def _ask_time(self) -> None:
        """One call, for the time in its answer."""
        try:
            await self._ask_for_nothing()
        except TransportError:
            return
        except (ServerFault, Throttled):
            self._dateless += 1  # it may be a gateway that speaks
        except ApiError:
            self._dateless = _DATELESS

    def _heed(self, error: ApiError) -> None:
        """A `Retry-After` that this run does not wait for ends the work of the key."""
        if not isinstance(error, Throttled) or error.retry_after is None:
            return
        asked = error.retry_after
        wait = timedelta(seconds=round(asked.total_seconds()))
        request = f"key {self.api_key}: the API asks to wait {wait} before the next request"
        until = anyio.current_time() + asked.total_seconds()
        if self.is_too_long(asked, self._throttled_since):
            if not self._told_to_wait:
                self._told_to_wait = f"{request}, longer than this run waits"
                self.rate_limiter.close(self._told_to_wait)
                self._events.message(
                    "warning",
                    f"{self._told_to_wait}: nothing more is asked with it in this run; the next "
                    "run goes on",
                )
        elif until >= self._waits_until + _MESSAGE_FROM.total_seconds():
            self._waits_until = until
            if asked >= _MESSAGE_FROM:
                self._events.message("warning", f"{request}; this run waits so long")

    async def _probe(self) -> None:
        """Asks for a report that cannot be: whatever is answered, the API is up.

        Where that is not answered, the list may be: a part of the API may fail alone.
        """
        try:
            await self._ask_though_down(lambda: self.api.status(_NOBODY))
        except (TransportError, ServerFault):
            await self._ask_though_down(lambda: self.api.list(self.api_key, (Status.PENDING,)))

    async def _ask_though_down(self, request: Callable[[], Awaitable[object]]) -> None:
        async with self.rate_limiter.turn(Priority.POLL):
            try:
                await request()
            except ApiError as error:
                self._heed(error)
                raise

    async def turn(
        self,
        request: Callable[[], Awaitable[T]],
        priority: Priority,
        order: float = 0.0,
        slot: Slot | None = None,
    ) -> T:
        """One request at the key's turn; again at its next turns while the API throttles.

        Raises:
            Throttled: it has let nothing through for as long as the run's patience lasts.
            ApiError: what the request met.
        """
        while True:
            try:
                async with self.admitted(priority, order, slot):
                    answer = await request()
                    self.breaker.record(None)
                    self._throttled_since = None
                    return answer
            except Throttled:
                self.open_report_limit.probe_throttled()
                now = anyio.current_time()
                if self._throttled_since is None:
                    self._throttled_since = now
                if now - self._throttled_since >= self.patience.total_seconds():
                    raise
                # The key is slower now; waiting for its next turn is the pause.

    async def ask(self, request: Callable[[], Awaitable[T]], priority: Priority) -> T:
        """A request that changes nothing, retried.

        Raises:
            ApiError: what the last attempt met.
        """
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(policy.is_retryable),
            stop=self._is_enough,
            wait=self._pause,
            sleep=anyio.sleep,
            reraise=True,
        )
        answer: T = await retrying(self.turn, request, priority)
        return answer


def _asked(state: tenacity.RetryCallState) -> timedelta | None:
    """The pause that the server has asked for."""
    error = state.outcome.exception() if state.outcome else None
    return error.retry_after if isinstance(error, ServerFault) else None
