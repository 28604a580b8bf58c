"""Tells those whom the config names how a run begins and ends; never changes how it ends."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import anyio
from anyio import to_thread

from orchestrator.app.shutdown import HeldSignals, StoppedBeforeRun
from orchestrator.config import proxies_of
from orchestrator.config.credentials import Unavailable, look_up
from orchestrator.config.discovery import working_directory
from orchestrator.config.inputs import read_settings
from orchestrator.core.events import RunEvent
from orchestrator.core.policy import ExitCode, code_of, most_telling
from orchestrator.core.ports import Clock
from orchestrator.core.settings import Config, NotificationTarget
from orchestrator.errors import InputError, TransportError
from orchestrator.notify import metrics, sending
from orchestrator.notify.otel import Telemetry
from orchestrator.notify.outcomes import (
    Ending,
    Past,
    by_name,
    outcome_of,
    read_past,
    replace_file,
    wanted,
    write_past,
)
from orchestrator.notify.sending import Delivery, Post
from orchestrator.presence import is_dir
from orchestrator.reporting import summary, summary_text
from orchestrator.reporting.json_fields import exit_fields
from orchestrator.reporting.summary import RunSummary
from orchestrator.texts import printable, short

_METRICS_MODE: Final = 0o644
"""The node exporter runs as another user; the file holds names of jobs and numbers alone."""


def says_anything(config: Config) -> bool:
    """Whether the config names anybody who hears of runs."""
    return bool(config.notify or config.ping or config.metrics.textfile or config.metrics.otlp)


class Announcement:
    """One run, told to those whom its config names: when it begins, and how it ends.

    Use it as a context manager around the whole command, and call `begin` once the config is
    known and `end` with how the run ended. An error that passes through is told as the exit code
    that it leads to; where the config was not known by then, it is read once more by itself.

    Args:
        jobs: the job files of the command, by which the config is found.
        config: the config, or what the command names; None: it is found.
        clock: the time of the ending.
        warn: takes a line for each that could not be told.
        handle_signals: from `end` on a signal limits the telling, and changes nothing else.
    """

    def __init__(
        self,
        jobs: Sequence[Path],
        config: Config | Path | None,
        clock: Clock,
        warn: Callable[[str], None],
        *,
        handle_signals: bool = True,
    ) -> None:
        self._jobs = jobs
        self._named = None if isinstance(config, Config) else config
        self._clock = clock
        self._warn = warn
        self._handle_signals = handle_signals
        self._config: Config | None = config if isinstance(config, Config) else None
        self._mask: Callable[[str], str] = lambda text: text
        self._start: threading.Thread | None = None
        self._ended: RunSummary | ExitCode | None = None
        self._signals = HeldSignals()
        self._begun = time.monotonic()
        self._telemetry: Telemetry | None = None

    def begin(self, config: Config, mask: Callable[[str], str] = lambda text: text) -> None:
        """Pings that the run begins; the run does not wait for it.

        Raises:
            InputError: what the config asks for needs a library that is not installed.
        """
        self._config, self._mask = config, mask
        self._telemetry = _telemetry(config, mask)
        if config.ping is not None:
            self._start = threading.Thread(
                target=anyio.run, args=(self._ping, config, sending.PING_START), daemon=True
            )
            self._start.start()

    def notify(self, event: RunEvent) -> None:
        """A subscriber to the run's events."""
        if self._telemetry is not None:
            self._telemetry.notify(event)

    def end(self, result: RunSummary | ExitCode) -> None:
        """How the run ended: all of it, or an exit code where it did not begin."""
        self._ended = result
        if self._handle_signals and self._config is not None and says_anything(self._config):
            self._signals.hold()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Exception | BaseExceptionGroup) or self._ended is not None:
            anyio.run(self._tell, error)
        # else it is an interrupt of the command itself

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        with anyio.CancelScope(shield=True):
            await self._tell(error)

    async def _tell(self, error: BaseException | None) -> None:
        """Tells how the run ended: by an error, else as `end` was told. Raises nothing."""
        if self._handle_signals:
            self._signals.hold()
        try:
            config = self._config if self._config is not None else self._config_alone()
            if config is None or not says_anything(config):
                return
            if self._ended is not None and not isinstance(error, Exception):
                await self._tell_all(config, self._of(self._ended))
            elif error is not None:
                await self._tell_all(config, self._failed(error))
        except Exception as problem:  # noqa: BLE001 - whatever it is, the run ended as it did
            self._warn(f"nobody could be told how the run ended ({type(problem).__name__})")
        finally:
            self._signals.release()

    # --- what is told -----------------------------------------------------------------------------

    def _of(self, result: RunSummary | ExitCode) -> Ending:
        if isinstance(result, ExitCode):
            words = "stopped while it waited for another run; nothing was done"
            return self._short(result, words)
        answer = json.loads(self._mask(json.dumps(summary.as_json(result))))
        lines = [self._mask(printable(line)) for line in summary_text.text(result)]
        return Ending(result.code, self._clock.now(), answer, tuple(lines))

    def _failed(self, error: BaseException) -> Ending:
        if isinstance(error, BaseExceptionGroup):
            error = most_telling(error)
        if isinstance(error, StoppedBeforeRun):
            return self._of(ExitCode(128 + error.signal))
        if not isinstance(error, Exception):
            return self._short(ExitCode.INTERRUPTED, "cancelled by the program that called it")
        code = code_of(error)
        if code is ExitCode.BUG:
            return self._short(code, f"a bug of ours ({type(error).__name__}); see the log")
        words = (
            [str(mistake) for mistake in error.mistakes] if isinstance(error, InputError) else []
        )
        return self._short(code, *(words or [str(error)]))

    def _short(self, code: ExitCode, *words: str) -> Ending:
        """The ending of a run that did not begin, or not end by itself."""
        lines = tuple(short(self._mask(word), 1000) for word in words)
        answer = {
            "jobs": [path.stem for path in self._jobs],
            "seconds": round(time.monotonic() - self._begun, 3),
            "why": list(lines),
            **exit_fields(code),
        }
        return Ending(code, self._clock.now(), answer, lines)

    def _config_alone(self) -> Config | None:
        """The config where a job file cannot be read; None where it cannot be read itself."""
        with suppress(InputError, OSError):
            return read_settings(self._jobs, self._named, os.environ, working_directory()).config
        return None

    # --- telling ----------------------------------------------------------------------------------

    async def _tell_all(self, config: Config, ending: Ending) -> None:
        past = read_past(config.state)
        if config.metrics.textfile is not None:
            # First of all: it takes no time, and whatever comes it is there.
            self._write_metrics(
                config.metrics.textfile, metrics.text_of(ending, past.after(ending))
            )
        targets = wanted(by_name(config.notify), ending, past)
        problems: dict[str, str] = {}
        with anyio.CancelScope() as sending_scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._signals.limit, sending_scope, self._warn)
                await self._send(config, targets, ending, past, problems)
                tasks.cancel_scope.cancel()
        for name, problem in sorted(problems.items()):
            self._warn(f"{name} could not be told how the run ended: {problem}")
        after = past.after(ending, problems)
        if after != past:
            self._remember(config, after)

    async def _send(
        self,
        config: Config,
        targets: Mapping[str, NotificationTarget],
        ending: Ending,
        past: Past,
        problems: dict[str, str],
    ) -> None:
        deliveries = _deliveries(targets, problems)
        if self._start is not None:
            await to_thread.run_sync(self._start.join, abandon_on_cancel=True)
        async with _web(config) as post, anyio.create_task_group() as tasks:
            tasks.start_soon(self._send_telemetry, config, ending, past)
            if config.ping is not None:
                suffix = sending.ping_suffix(outcome_of(ending.code))
                tasks.start_soon(_ping, post, config, suffix, self._warn)
            await sending.notify(post, deliveries, ending, problems)

    async def _send_telemetry(self, config: Config, ending: Ending, past: Past) -> None:
        with suppress(InputError):  # it is not installed: that is what ended the run
            telemetry = self._telemetry or _telemetry(config, self._mask)
            if telemetry is not None:
                telemetry.end(ending, past.after(ending))
                if problem := await to_thread.run_sync(telemetry.close, abandon_on_cancel=True):
                    self._warn(f"metrics.otlp: {problem}")

    def _remember(self, config: Config, past: Past) -> None:
        folder = config.state.parent
        with suppress(OSError):  # a first run that fails early has made none
            folder.mkdir()
            folder.chmod(0o750 & ~config.output.mode.umask)
        try:
            if is_dir(folder):
                write_past(config.state, past)
        except OSError as error:
            self._warn(f"the outcome is not remembered beside the ledger ({error.strerror})")

    async def _ping(self, config: Config, suffix: str) -> None:
        async with _web(config) as post:
            await _ping(post, config, suffix, self._warn)

    def _write_metrics(self, path: Path, text: str) -> None:
        try:
            replace_file(path, text, _METRICS_MODE)
        except OSError as error:
            self._warn(f"metrics.textfile {path} cannot be written ({error.strerror})")


def _telemetry(config: Config, mask: Callable[[str], str]) -> Telemetry | None:
    """What sends traces and metrics; None where they are not wanted.

    Raises:
        InputError: OpenTelemetry is not installed.
    """
    return None if config.metrics.otlp is None else Telemetry(config.metrics.otlp, mask)


async def _ping(post: Post, config: Config, suffix: str, warn: Callable[[str], None]) -> None:
    assert config.ping is not None
    try:
        address = look_up(config.ping.reveal(), os.environ)
    except Unavailable as error:
        warn(f"ping: {error.what}; {error.remedy}")
        return
    if problem := await sending.ping(post, address, suffix):
        warn(problem)


def _deliveries(
    targets: Mapping[str, NotificationTarget], problems: dict[str, str]
) -> list[Delivery]:
    """What is sent to the targets; those whose address cannot be had go to `problems`, by name."""
    deliveries = []
    for name, target in targets.items():
        address = ""
        if target.webhook is not None:
            try:
                address = look_up(target.webhook.reveal(), os.environ)
            except Unavailable as error:
                problems[name] = f"{error.what}; {error.remedy}"
                continue
        deliveries.append(Delivery(name, target, address))
    return deliveries


def unavailable(config: Config) -> list[str]:
    """What of the addresses cannot be had now, a sentence each."""
    by_target: dict[str, str] = {}
    _deliveries(by_name(config.notify), by_target)
    problems = [f"{name}: {problem}" for name, problem in by_target.items()]
    textfile = config.metrics.textfile
    if textfile is not None and not os.access(textfile.parent, os.W_OK | os.X_OK):
        problems.append(f"metrics.textfile: {textfile.parent} is not there or cannot be written")
    if config.ping is not None:
        try:
            look_up(config.ping.reveal(), os.environ)
        except Unavailable as error:
            problems.append(f"ping: {error.what}; {error.remedy}")
    return problems


async def send_test(config: Config, clock: Clock) -> tuple[int, list[str]]:
    """Sends a message to every target and a ping, whatever they hear of otherwise.

    Returns:
        How many were told, and a warning for each that could not be.
    """
    words = "This is a test: orchestrator can tell you how its runs end."
    answer = {"jobs": [], "test": True, "why": [], **exit_fields(ExitCode.DONE)}
    ending = Ending(ExitCode.DONE, clock.now(), answer, (words,))
    warnings: list[str] = []
    problems: dict[str, str] = {}
    deliveries = _deliveries(by_name(config.notify), problems)
    number = len(config.notify) + (config.ping is not None)
    async with _web(config) as post:
        await sending.notify(post, deliveries, ending, problems)
        if config.ping is not None:
            await _ping(post, config, "", warnings.append)
    warnings += [f"{name} could not be told: {problem}" for name, problem in problems.items()]
    return number - len(warnings), warnings


@asynccontextmanager
async def _web(config: Config) -> AsyncIterator[Post]:
    """The way of notifications: the proxy and the authorities of the config, no redirects."""
    import aiohttp  # noqa: PLC0415 - start-up time

    from orchestrator.api import open_session  # noqa: PLC0415
    from orchestrator.api.transport import through  # noqa: PLC0415

    proxies = proxies_of(config, os.environ)
    async with open_session(config.api.authorities) as session:

        async def post(url: str, content: dict[str, Any] | None) -> int:
            parts = urlsplit(url)
            try:
                proxy = proxies.towards(parts.scheme, parts.hostname or "", parts.port)
                async with session.post(
                    url, json=content, allow_redirects=False, **through(proxy)
                ) as answer:
                    return answer.status
            except (aiohttp.ClientError, OSError, ValueError):
                raise TransportError("no answer", maybe_sent=True) from None

        yield post
