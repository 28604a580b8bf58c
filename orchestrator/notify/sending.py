"""Sends notifications and pings: three tries each, in bounded time, and never with an error."""

import json
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import anyio

from orchestrator.core.hosts import is_on_this_machine
from orchestrator.core.settings import NotificationTarget, Outcome
from orchestrator.errors import TransportError
from orchestrator.notify.messages import payload
from orchestrator.notify.outcomes import Ending

Post = Callable[[str, dict[str, Any] | None], Awaitable[int]]
"""Sends a POST with JSON, or without a body, and follows no redirect; the HTTP status.

Raises `TransportError` where there is no answer."""

TRIES: Final = 3  # How often a notification is sent before it counts as undelivered.
_PAUSES_SECONDS: Final = (1.0, 4.0)  # Between the tries.

_TRY_SECONDS: Final = 8.0  # The longest that one try of a webhook or a ping may take.
_COMMAND_SECONDS: Final = 30.0  # The longest that a command may take; then it is killed.

_PING_SUFFIXES: Final = {Outcome.SUCCESS: "", Outcome.UNFINISHED: "/log", Outcome.FAILURE: "/fail"}
"""What is appended to the address of a ping, as healthchecks.io and its likes have it."""

PING_START: Final = "/start"

CUT_OFF: Final = "it was cut off by a signal"
"""Why a target was not told where the sending was cancelled."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One target, ready to be told."""

    name: str  # for people; never the address, which is a secret
    target: NotificationTarget  # as the config has it
    address: str = ""  # of its webhook, looked up; empty for a command


async def notify(
    post: Post, deliveries: Sequence[Delivery], ending: Ending, problems: dict[str, str]
) -> None:
    """Tells every target how a run ended, all at once.

    Args:
        problems: gets, by name, why a target could not be told, in words without secrets; one that
            is cut off by a cancellation stays in it.
    """
    problems.update({delivery.name: CUT_OFF for delivery in deliveries})

    async def tell(delivery: Delivery) -> None:
        content = payload(delivery.target, ending)
        if delivery.target.command:
            problem = await _run(delivery.target.command, json.dumps(content).encode() + b"\n")
        else:
            problem = await _in_tries(post, delivery.address, content)
        del problems[delivery.name]
        if problem:
            problems[delivery.name] = problem

    async with anyio.create_task_group() as tasks:
        for delivery in deliveries:
            tasks.start_soon(tell, delivery)


async def ping(post: Post, address: str, suffix: str) -> str | None:
    """Pings the address with a suffix behind its path; a warning if it cannot be reached."""
    parts = urlsplit(address)
    url = urlunsplit(parts._replace(path=parts.path.rstrip("/") + suffix))
    problem = await _in_tries(post, url, None)
    return f"the ping could not be sent: {problem}" if problem else None


def ping_suffix(outcome: Outcome) -> str:
    """What tells the service at the ping's address how a run ended."""
    return _PING_SUFFIXES[outcome]


async def _in_tries(post: Post, url: str, content: dict[str, Any] | None) -> str:
    """Why it could not be sent, in words; empty if it could."""
    if urlsplit(url).scheme != "https" and not is_on_this_machine(url):
        return "its address is neither https nor on this machine"
    problem = ""
    for number in range(TRIES):
        try:
            with anyio.fail_after(_TRY_SECONDS):
                status = await post(url, content)
        except TimeoutError:
            problem = "no answer in time"
        except TransportError:
            problem = "no connection"  # the error's own words may repeat the address
        else:
            if 200 <= status < 300:
                return ""
            problem = f"HTTP {status}"
        if number < TRIES - 1:
            await anyio.sleep(_PAUSES_SECONDS[number])
    return problem


async def _run(command: Sequence[str], content: bytes) -> str:
    """Runs a command without a shell, in a group of its own, so that all of it can be killed.

    Returns:
        Why it could not be told, in words; empty if it could.
    """
    try:
        process = await anyio.open_process(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        return f"{command[0]} cannot be run ({error.strerror})"
    code: int | None = None
    try:
        with anyio.move_on_after(_COMMAND_SECONDS):
            assert process.stdin is not None
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                # One that does not read its input is told all the same.
                await process.stdin.send(content)
            await process.stdin.aclose()
            code = await process.wait()
    finally:
        with anyio.CancelScope(shield=True):
            if code is None:  # it may have ended, and what it started may hold its input
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            await process.aclose()
    if code is None:
        return f"{command[0]} was killed: it took longer than {_COMMAND_SECONDS:.0f} seconds"
    return f"{command[0]} ended with {code}" if code else ""
