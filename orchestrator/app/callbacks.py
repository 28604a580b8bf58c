"""Starts the receiver of callbacks with a run, stops it at its end, and counts what came."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from orchestrator.api.callback_server import CallbackServer
    from orchestrator.core.events import RunEvents
    from orchestrator.core.model import Job
    from orchestrator.core.settings import Config

_MANY: Final = 10
"""Reports without a single call from which on that is no chance."""


@asynccontextmanager
async def open_receiver(
    config: Config, jobs: Sequence[Job], events: RunEvents
) -> AsyncIterator[CallbackServer | None]:
    """The receiver that the config asks for; None where there is none, or it cannot listen.

    Args:
        jobs: those with a `callback_url` of their own are named once.
        events: told where it listens, or why it cannot.
    """
    if config.callback is None:
        yield None
        return
    own = [job.name for job in jobs if job.callback_url is not None]
    if own:
        events.message(
            "info",
            f"callbacks: reports of {', '.join(own)} call the job's own callback_url, not here",
        )
    # With the run, not with the program: the server's half of aiohttp takes its time to import.
    from orchestrator.api.callback_server import receiving  # noqa: PLC0415 - start-up time

    async with receiving(config.callback, events) as receiver:
        yield receiver


def numbers(receiver: CallbackServer | None) -> dict[str, int] | None:
    """What came in, for `--json`; None without a receiver."""
    if receiver is None:
        return None
    calls = receiver.calls
    return {"received": calls.received, "unknown": calls.unknown, "refused": calls.refused}


def silence(receiver: CallbackServer | None, config: Config, collected: int) -> str:
    """What to say where many reports were collected and none of them called; else empty."""
    if receiver is None or config.callback is None or receiver.calls.received:
        return ""
    if min(receiver.given, collected) < _MANY:
        return ""
    return (
        f"callbacks: none came for {collected:,} reports; is {config.callback.public_url} what "
        f"reaches {config.callback.listen} from outside? The run looked at its reports itself"
    )
