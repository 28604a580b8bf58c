"""Builds what the use cases work with: inputs, clocks, credentials, sessions with the API."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import anyio

from orchestrator.app.ledger_reading import reading_ledger
from orchestrator.config import load_inputs, proxies_of, resolve_credentials
from orchestrator.config.credentials import Unavailable, look_up
from orchestrator.core.hosts import is_on_this_machine
from orchestrator.core.local_dates import use_zones_of
from orchestrator.core.settings import Secret
from orchestrator.errors import InputError, Mistake, OrchestratorError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
    from os import PathLike

    from orchestrator.config import Inputs
    from orchestrator.core.events import RunEvents
    from orchestrator.core.ports import Clock
    from orchestrator.core.settings import Config, Credentials, OutputSettings
    from orchestrator.engine.key_session import KeySession


Result = TypeVar("Result")


def load(
    jobs: str | PathLike[str] | Iterable[str | PathLike[str]],
    config: str | PathLike[str] | None = None,
    *,
    now: datetime | None = None,
) -> Inputs:
    """Reads the config and the job files; changes nothing and sends nothing.

    Args:
        jobs: the path of a job file, or several; none: only the config is read.
        config: path of the config; None: it is looked for, as the commands do.
        now: the moment by which dates in the future are judged; None: the present.

    Returns:
        What the other use cases take. Its `warnings` are for people to read.

    Raises:
        InputError: every mistake of every file.
    """
    inputs = load_inputs(
        [Path(job) for job in ([jobs] if isinstance(jobs, str | os.PathLike) else jobs)],
        config=None if config is None else Path(config),
        env=os.environ,
        now=now,
    )
    use_zones_of(inputs.jobs)
    return inputs


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


def clock_of(now: datetime | None) -> Clock:
    """The machine's clock, or one that begins at `now`."""
    return SystemClock() if now is None else ShiftedClock(now)


def refuse_shifted_clock(config: Config) -> None:
    """A shifted clock against the real API would ask, and pay, for the wrong days.

    Raises:
        InputError: the API is not on this machine.
    """
    if not is_on_this_machine(config.api.base_url):
        raise InputError(
            f"--now: {config.api.base_url} is not on this machine, and the real API has its own "
            "time; use --now with `plan`, or against `orchestrator simulate`"
        )


def credentials_of(inputs: Inputs) -> dict[str, Credentials]:
    """The credentials that the jobs use, looked up; the way to the API is looked at too.

    With them others of the config that bought what is open of the jobs: an account may have moved
    to another key since, and its open reports are seen by the old one only. What of these cannot be
    had is left out; the reports stay open then, and the run says so.

    Raises:
        InputError: all that are missing, or a proxy that cannot be used.
    """
    config = inputs.config
    proxies_of(config, os.environ)
    output_of(config)
    result = resolve_credentials(config, inputs.credential_names, os.environ)
    at_hand = {each.api_key for each in result.values()}
    keys = frozenset(entry.series.key for job in inputs.jobs for entry in job.series)
    try:
        with reading_ledger(config) as store:
            missing = store.keys_of_open(keys) - at_hand
    except OrchestratorError:
        return result  # the run itself will say what is wrong with its ledger
    for name in config.credentials:
        if missing and name not in result:
            with suppress(InputError):
                resolved = resolve_credentials(config, [name], os.environ)
                if resolved[name].api_key in missing:
                    result |= resolved
                    missing -= {resolved[name].api_key}
    return result


def output_of(config: Config) -> OutputSettings:
    """The settings of the output, with the key of the hashes looked up.

    Raises:
        InputError: the key is missing.
    """
    reference = config.output.hash_key
    if reference is None:
        return config.output
    try:
        key = look_up(reference.reveal(), os.environ)
    except Unavailable as error:
        file = str(config.path) if config.path else ""
        mistake = Mistake(file, 0, 0, "output.hash_key", error.what, error.remedy)
        raise InputError([mistake]) from None
    return replace(config.output, hash_key=Secret(key))


# --- the API --------------------------------------------------------------------------------------


@asynccontextmanager
async def open_sessions(
    config: Config,
    credentials: Mapping[str, Credentials],
    clock: Clock,
    events: RunEvents | None = None,
    patience: timedelta = timedelta(),
) -> AsyncIterator[dict[str, KeySession]]:
    """A session for each API key, by name of credentials; names of one key share it.

    Args:
        clock: for the server's ``Date``.
        events: told when the API is down; None: nobody is.
        patience: how long to wait for an API that is down.

    Raises:
        InputError: the config or the environment names a proxy that cannot be used.
    """
    from orchestrator.api import KeyRateLimiter, VonageReports, open_session  # noqa: PLC0415
    from orchestrator.core.events import RunEvents  # noqa: PLC0415 - start-up time
    from orchestrator.engine.key_session import KeySession  # noqa: PLC0415

    events = RunEvents() if events is None else events
    jitter = random.SystemRandom().random
    proxies = proxies_of(config, os.environ)
    async with open_session(config.api.authorities) as session:
        by_key: dict[str, KeySession] = {}
        for each in credentials.values():
            if each.api_key not in by_key:
                api = VonageReports(
                    session,
                    config.api.base_url,
                    each,
                    config.api.timeout,
                    clock,
                    proxies=proxies,
                    tell=events.notify,
                )
                rate_limiter = KeyRateLimiter(config.api.requests_per_second)
                by_key[each.api_key] = KeySession(
                    api,
                    rate_limiter,
                    config.retry,
                    jitter=jitter,
                    events=events,
                    patience=patience,
                )
        yield {name: by_key[each.api_key] for name, each in credentials.items()}


# --- the event loop -------------------------------------------------------------------------------


def run_in_new_loop(work: Callable[[], Awaitable[Result]], name: str) -> Result:
    """Runs asynchronous work in an event loop of its own; each Ctrl-C cancels it.

    Raises:
        RuntimeError: a loop runs in this thread already; `name` can be awaited there.
        KeyboardInterrupt: the work was cancelled by Ctrl-C.
    """
    import asyncio  # noqa: PLC0415 - start-up time

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise RuntimeError(f"an event loop runs in this thread; use `await {name}(…)` here")
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        return anyio.run(work)
    interrupted = False

    async def interruptible() -> Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def interrupt() -> None:
            nonlocal interrupted
            interrupted = True
            assert task is not None, "this is one"
            task.cancel()

        # asyncio's own handler cancels but once: the second Ctrl-C would end the loop at once,
        # and cut off requests that must be finished.
        loop.add_signal_handler(signal.SIGINT, interrupt)
        try:
            return await work()
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    try:
        return anyio.run(interruptible)
    except asyncio.CancelledError:
        if interrupted:
            raise KeyboardInterrupt from None
        raise
